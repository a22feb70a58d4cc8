//! Long-running operations: status codes, headers, poll URLs, etags.

use crate::bench::{Bench, START, vnet};
use azure_sim::{Azure, World};
use http::Method;
use serde_json::json;

#[test]
fn a_create_answers_201_updating_with_an_operation_and_no_location() {
    let mut bench = Bench::new();
    bench.make_group("spoke");
    let id = bench.network("spoke", "virtualNetworks/a");
    let answer = bench.put(&id, vnet("10.1.0.0/16", &[("nodes", "10.1.0.0/24")]));
    assert_eq!((answer.status, answer.state()), (201, "Updating"));
    assert!(
        answer
            .operation()
            .contains("/providers/Microsoft.Network/locations/westeurope/operations/")
    );
    assert_eq!(answer.header("location"), None);
    assert_eq!(answer.header("etag"), None, "PUT answers carry no ETag header");
    assert_eq!(answer.header("retry-after"), Some("3"));
    assert_eq!(answer.header("azure-asyncnotification"), Some("Enabled"));
}

#[test]
fn an_update_shows_the_desired_values_at_once_and_the_etag_changes_when_it_ends() {
    let mut bench = Bench::new();
    let id = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let update = bench.put(
        &id,
        vnet("10.1.0.0/16", &[("nodes", "10.1.0.0/24"), ("more", "10.1.1.0/24")]),
    );
    assert_eq!((update.status, update.state()), (200, "Updating"));
    let during = bench.get(&id);
    assert_eq!(during.state(), "Updating");
    assert_eq!(during.body["properties"]["subnets"][1]["name"], "more");
    let etag = during.header("etag").unwrap().to_owned();
    assert!(etag.starts_with("W/\""));
    assert_eq!(during.body["etag"], etag);
    assert_eq!(
        during.body["properties"]["subnets"][0]["etag"], etag,
        "children share the VNet's etag"
    );
    bench.finish(&update);
    let after = bench.get(&id);
    assert_eq!(after.state(), "Succeeded");
    assert_ne!(after.header("etag"), Some(etag.as_str()));
}

#[test]
fn an_edited_poll_url_is_refused_and_the_exact_one_is_answered() {
    let mut bench = Bench::new();
    bench.make_group("spoke");
    let id = bench.network("spoke", "virtualNetworks/a");
    let url = bench.put(&id, vnet("10.1.0.0/16", &[])).operation();
    assert!(
        url.len() > 2500 && url.contains("&t=") && url.contains("&c=") && url.contains("&s=") && url.contains("&h=")
    );
    let (polled, shown) = (bench.poll(&url), json!({"status": "InProgress"}));
    assert_eq!((polled.status, polled.body), (200, shown));
    let cut = &url[..url.find("&h=").unwrap()];
    assert_eq!(bench.poll(cut).status, 400);
    let version_only = format!("{}?api-version=2024-05-01", url.split('?').next().unwrap());
    assert_eq!(bench.poll(&version_only).status, 400);
    bench.pass(60);
    assert_eq!(bench.poll(&url).body, json!({"status": "Succeeded"}));
}

#[test]
fn a_delete_answers_202_with_both_urls_and_its_location_turns_from_202_to_done() {
    let mut bench = Bench::new();
    let id = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let answer = bench.delete(&id);
    assert_eq!(answer.status, 202);
    assert!(answer.response.body().is_empty());
    let location = answer.header("location").unwrap().to_owned();
    assert!(location.contains("/operationResults/"));
    assert_eq!(bench.poll(&location).status, 202);
    assert_eq!(bench.get(&id).state(), "Deleting");
    bench.finish(&answer);
    assert!(matches!(bench.poll(&location).status, 200 | 204));
    assert_eq!(bench.get(&id).code(), "ResourceNotFound");
    assert_eq!(bench.delete(&id).status, 204, "deleting what is gone is no error");
}

#[test]
fn a_failed_operation_is_a_200_poll_and_leaves_the_resource_failed() {
    let mut bench = Bench::new();
    bench.make_group("spoke");
    let id = bench.network("spoke", "virtualNetworks/a");
    bench.azure.inject(azure_sim::Fault {
        method: Some(Method::PUT),
        path_contains: "virtualNetworks/a".to_owned(),
        nth: 1,
        effect: azure_sim::FaultEffect::FailOperation {
            code: "InternalServerError".to_owned(),
            message: "An error occurred.".to_owned(),
        },
    });
    let answer = bench.put(&id, vnet("10.1.0.0/16", &[]));
    assert_eq!(answer.status, 201);
    bench.finish(&answer);
    let polled = bench.poll(&answer.operation());
    assert_eq!(
        (polled.status, polled.body["error"]["code"].as_str()),
        (200, Some("InternalServerError"))
    );
    assert_eq!(bench.get(&id).state(), "Failed");
    bench.put_done(&id, vnet("10.1.0.0/16", &[]));
    assert_eq!(bench.get(&id).state(), "Succeeded", "the same PUT again heals it");
}

#[test]
fn a_snapshot_lives_on_by_itself() {
    let mut bench = Bench::new();
    bench.make_group("spoke");
    let id = bench.network("spoke", "virtualNetworks/a");
    let snapshot: Azure = bench.azure.clone();
    bench.put_done(&id, vnet("10.1.0.0/16", &[]));
    assert!(snapshot.document(&id).is_none());
    assert!(bench.azure.document(&id).is_some());
}

#[test]
fn the_same_seed_draws_the_same_latencies_whatever_happens_beside() {
    let end_of = |seed: u64, disturbed: bool| {
        let mut bench = Bench::with(World::one_hub(), seed);
        bench.make_group("spoke");
        if disturbed {
            let other = bench.network("spoke", "virtualNetworks/other");
            bench.put(&other, vnet("10.9.0.0/16", &[]));
            bench.pass(120);
        }
        let before = bench.now;
        let id = bench.network("spoke", "virtualNetworks/a");
        bench.put(&id, vnet("10.1.0.0/16", &[]));
        bench.azure.next_event().unwrap() - before
    };
    assert_eq!(end_of(7, false), end_of(7, true));
    assert_ne!(end_of(7, false), end_of(8, false));
}

#[test]
fn time_never_runs_backwards() {
    let mut bench = Bench::new();
    bench.pass(100);
    let late = bench.azure.now();
    bench.azure.advance(START);
    assert_eq!(bench.azure.now(), late);
}
