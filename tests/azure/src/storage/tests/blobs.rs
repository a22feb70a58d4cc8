//! Requirements of the simulated Blob service.

use time::Duration;

use super::super::*;
use super::{Bench, START};

#[test]
fn a_container_is_made_once_and_gone_after_delete() {
    let mut bench = Bench::with_blob();
    let again = bench.send("PUT", "c1c?restype=container", &[], "");
    assert_eq!(again.refusal(), (409, "ContainerAlreadyExists"));
    let bad = bench.send("PUT", "A_b?restype=container", &[], "");
    assert_eq!(bad.refusal(), (400, "InvalidResourceName"));
    assert_eq!(bench.send("DELETE", "c1c?restype=container", &[], "").status, 202);
    let gone = bench.send("GET", "c1c/doc.json", &[], "");
    assert_eq!(gone.refusal(), (404, "ContainerNotFound"));
}

#[test]
fn a_stale_etag_writes_nothing() {
    let mut bench = Bench::with_blob();
    let first = bench.send("HEAD", "c1c/doc.json", &[], "").header("etag").to_owned();
    let second = bench.put_blob("two", &[("if-match", &first)]);
    assert_eq!(second.status, 201);
    assert_ne!(second.header("etag"), first);
    let stale = bench.put_blob("three", &[("if-match", &first)]);
    assert_eq!(stale.refusal(), (412, "ConditionNotMet"));
    let exists = bench.put_blob("three", &[("if-none-match", "*")]);
    assert_eq!(exists.refusal(), (409, "BlobAlreadyExists"));
    let missing = bench.send(
        "PUT",
        "c1c/other",
        &[("x-ms-blob-type", "BlockBlob"), ("if-match", &first)],
        "x",
    );
    assert_eq!(missing.refusal(), (412, "ConditionNotMet"));
    assert_eq!(bench.storage.blob("c1c", "doc.json").unwrap(), "two");
    assert_eq!(bench.storage.blob_names("c1c"), ["doc.json"]);
}

#[test]
fn two_writes_in_one_instant_have_two_etags() {
    let mut bench = Bench::with_blob();
    let one = bench.put_blob("x", &[]);
    let two = bench.put_blob("x", &[]);
    assert_ne!(one.header("etag"), two.header("etag"));
}

#[test]
fn a_read_can_ask_for_a_part_or_for_a_change() {
    let mut bench = Bench::with_blob();
    let part = bench.send("GET", "c1c/doc.json", &[("x-ms-range", "bytes=1-99")], "");
    assert_eq!((part.status, part.body.as_str()), (206, "ne"));
    assert_eq!(part.header("content-range"), "bytes 1-2/3");
    let past = bench.send("GET", "c1c/doc.json", &[("range", "bytes=3-")], "");
    assert_eq!(past.refusal(), (416, "InvalidRange"));
    let etag = part.header("etag").to_owned();
    let same = bench.send("GET", "c1c/doc.json", &[("if-none-match", &etag)], "");
    assert_eq!((same.status, same.body.as_str()), (304, ""));
}

#[test]
fn head_shows_the_properties_without_the_body() {
    let mut bench = Bench::with_blob();
    bench.put_blob(
        "four",
        &[("x-ms-meta-owner", "me"), ("x-ms-blob-content-type", "text/plain")],
    );
    let head = bench.send("HEAD", "c1c/doc.json", &[], "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), "4");
    assert_eq!(head.header("content-type"), "text/plain");
    assert_eq!(head.header("x-ms-meta-owner"), "me");
    let missing = bench.send("HEAD", "c1c/none", &[], "");
    assert_eq!(missing.refusal(), (404, "BlobNotFound"));
    assert_eq!(missing.body, "");
}

#[test]
fn a_list_is_ordered_paged_and_keeps_to_its_prefix() {
    let mut bench = Bench::with_blob();
    for name in ["p/b&b", "p/a", "p/c", "q"] {
        let encoded = name.replace('&', "%26");
        let headers = [("x-ms-blob-type", "BlockBlob")];
        assert_eq!(bench.send("PUT", &format!("c1c/{encoded}"), &headers, "x").status, 201);
    }
    let mut names = Vec::new();
    let mut marker = String::new();
    for _ in 0..2 {
        let query = format!("c1c?restype=container&comp=list&prefix=p/&maxresults=2&marker={marker}");
        let page = bench.send("GET", &query, &[], "");
        for (element, text) in xml::leaves(page.body.as_bytes()).unwrap() {
            if element == "Name" {
                names.push(text);
            } else if element == "NextMarker" {
                marker = text;
            }
        }
    }
    assert_eq!(names, ["p/a", "p/b&b", "p/c"]);
    assert_eq!(marker, "");
}

#[test]
fn one_holder_writes_while_a_lease_runs() {
    let mut bench = Bench::with_blob();
    let lease = bench.acquire("15");
    assert_eq!(lease.status, 201);
    let id = lease.header("x-ms-lease-id").to_owned();
    assert_eq!(bench.acquire("15").refusal(), (409, "LeaseAlreadyPresent"));
    assert_eq!(bench.put_blob("x", &[]).refusal(), (412, "LeaseIdMissing"));
    let other = bench.put_blob("x", &[("x-ms-lease-id", "other")]);
    assert_eq!(other.refusal(), (412, "LeaseIdMismatchWithBlobOperation"));
    assert_eq!(
        bench.send("DELETE", "c1c/doc.json", &[], "").refusal(),
        (412, "LeaseIdMissing")
    );
    assert_eq!(bench.put_blob("mine", &[("x-ms-lease-id", &id)]).status, 201);
    let head = bench.send("HEAD", "c1c/doc.json", &[], "");
    assert_eq!(head.header("x-ms-lease-state"), "leased");
    assert_eq!(head.header("x-ms-lease-duration"), "fixed");
    assert_eq!(bench.send("GET", "c1c/doc.json", &[], "").body, "mine");
}

#[test]
fn a_lease_ends_at_its_time_and_its_holder_is_told() {
    let mut bench = Bench::with_blob();
    let id = bench.acquire("15").header("x-ms-lease-id").to_owned();
    assert_eq!(bench.storage.next_event(), Some(START + Duration::seconds(15)));
    bench.pass(14);
    assert_eq!(bench.lease("renew", &[("x-ms-lease-id", &id)]).status, 200);
    bench.pass(15);
    let late = bench.put_blob("late", &[("x-ms-lease-id", &id)]);
    assert_eq!(late.refusal(), (412, "LeaseLost"));
    // Nobody wrote since: the holder may still renew an expired lease.
    assert_eq!(bench.lease("renew", &[("x-ms-lease-id", &id)]).status, 200);
    bench.pass(15);
    assert_eq!(bench.put_blob("other", &[]).status, 201);
    let renewed = bench.lease("renew", &[("x-ms-lease-id", &id)]);
    assert_eq!(renewed.refusal(), (409, "LeaseIdMismatchWithLeaseOperation"));
}

#[test]
fn release_frees_and_break_waits_for_the_rest() {
    let mut bench = Bench::with_blob();
    let id = bench.acquire("-1").header("x-ms-lease-id").to_owned();
    assert_eq!(bench.lease("release", &[("x-ms-lease-id", &id)]).status, 200);
    let id = bench.acquire("60").header("x-ms-lease-id").to_owned();
    bench.pass(10);
    let broken = bench.lease("break", &[("x-ms-lease-break-period", "20")]);
    assert_eq!((broken.status, broken.header("x-ms-lease-time")), (202, "20"));
    let renewed = bench.lease("renew", &[("x-ms-lease-id", &id)]);
    assert_eq!(renewed.refusal(), (409, "LeaseIsBrokenAndCannotBeRenewed"));
    assert_eq!(bench.acquire("15").refusal(), (409, "LeaseAlreadyPresent"));
    bench.pass(20);
    assert_eq!(bench.acquire("15").status, 201);
    assert_eq!(bench.acquire("14").refusal(), (400, "InvalidHeaderValue"));
}

#[test]
fn blocks_become_a_blob_only_when_committed() {
    let mut bench = Bench::with_blob();
    for (id, body) in [("QQ==", "first "), ("Qg==", "second")] {
        let path = format!("c1c/big?comp=block&blockid={id}");
        assert_eq!(bench.send("PUT", &path, &[], body).status, 201);
    }
    assert_eq!(bench.send("GET", "c1c/big", &[], "").refusal(), (404, "BlobNotFound"));
    let unknown = "<BlockList><Latest>Qw==</Latest></BlockList>";
    let refused = bench.send("PUT", "c1c/big?comp=blocklist", &[], unknown);
    assert_eq!(refused.refusal(), (400, "InvalidBlockList"));
    let list = "<BlockList><Latest>QQ==</Latest><Latest>Qg==</Latest></BlockList>";
    assert_eq!(bench.send("PUT", "c1c/big?comp=blocklist", &[], list).status, 201);
    assert_eq!(bench.storage.blob("c1c", "big").unwrap(), "first second");
}
