//! Block blobs: put, get with range, properties, metadata, delete, and the way to their leases. Every write is judged by
//! its conditional headers first and by the lease second. There is no MD5: answers carry no `Content-MD5`.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use time::OffsetDateTime;

use super::Stamps;
use super::blocks;
use super::call::Call;
use super::conditions;
use super::containers::Container;
use super::lease::{self, Lease};
use super::reply::{Refusal, Reply, rfc1123};

/// Longest blob name (naming rules, REST reference).
const LONGEST_NAME: usize = 1024;

/// A committed block blob.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    pub(super) content: Bytes,
    pub(super) content_type: String,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) etag: String,
    pub(super) created: OffsetDateTime,
    pub(super) modified: OffsetDateTime,
    pub(super) lease: Option<Lease>,
}

impl Blob {
    pub(super) fn body(&self) -> Bytes {
        self.content.clone()
    }

    pub(super) fn lease_turns(&self) -> Option<OffsetDateTime> {
        self.lease.as_ref().and_then(Lease::turns)
    }
}

/// Answers a request to a blob.
pub(super) fn answer(
    container: &mut Container,
    stamps: &mut Stamps,
    call: &Call<'_>,
    now: OffsetDateTime,
) -> Result<Reply, Refusal> {
    let name = call.rest.as_deref().unwrap_or_default();
    if name.len() > LONGEST_NAME {
        return Err(Refusal::invalid_name());
    }
    match (call.method(), call.comp()) {
        (&Method::PUT, "") => put(container, stamps, call, name, now),
        (&Method::PUT, "block") => blocks::stage(container, call, name, now),
        (&Method::PUT, "blocklist") => blocks::commit(container, stamps, call, name, now),
        (&Method::PUT, "metadata") => set_metadata(container, stamps, call, name, now),
        (&Method::PUT, "lease") => act_on_lease(container, stamps, call, name, now),
        (&Method::GET, "") => get(container, call, name, now),
        (&Method::HEAD, "") => head(container, call, name, now),
        (&Method::DELETE, "") => delete(container, call, name, now),
        _ => Err(call.not_simulated()),
    }
}

/// Replaces the whole content, keeping a lease that holds and the time of creation.
pub(super) fn write(
    container: &mut Container,
    stamps: &mut Stamps,
    call: &Call<'_>,
    name: &str,
    content: Bytes,
    now: OffsetDateTime,
) -> Result<Reply, Refusal> {
    let lease = check_write(container, call, name, now)?;
    let content_type = call
        .header("x-ms-blob-content-type")
        .or_else(|| call.header("content-type").filter(|_| call.comp() == ""))
        .unwrap_or("application/octet-stream");
    let blob = Blob {
        content,
        content_type: content_type.to_owned(),
        metadata: call.metadata(),
        etag: stamps.etag(now),
        created: container.blobs.get(name).map_or(now, |blob| blob.created),
        modified: now,
        lease,
    };
    let reply = Reply::new(201)
        .version(&blob.etag, now)
        .header("x-ms-request-server-encrypted", "true");
    container.staged.forget(name);
    container.blobs.insert(name.to_owned(), blob);
    Ok(reply)
}

fn put(
    container: &mut Container,
    stamps: &mut Stamps,
    call: &Call<'_>,
    name: &str,
    now: OffsetDateTime,
) -> Result<Reply, Refusal> {
    match call.required_header("x-ms-blob-type")? {
        "BlockBlob" if call.header("x-ms-copy-source").is_none() => {
            write(container, stamps, call, name, call.body().clone(), now)
        }
        "BlockBlob" | "AppendBlob" | "PageBlob" => Err(call.not_simulated()),
        other => Err(Refusal::invalid_header("x-ms-blob-type", other)),
    }
}

fn set_metadata(
    container: &mut Container,
    stamps: &mut Stamps,
    call: &Call<'_>,
    name: &str,
    now: OffsetDateTime,
) -> Result<Reply, Refusal> {
    existing(container, name)?;
    let lease = check_write(container, call, name, now)?;
    let etag = stamps.etag(now);
    let blob = existing(container, name)?;
    blob.metadata = call.metadata();
    blob.lease = lease;
    blob.etag = etag;
    blob.modified = now;
    Ok(Reply::new(200).version(&blob.etag, now))
}

fn act_on_lease(
    container: &mut Container,
    stamps: &mut Stamps,
    call: &Call<'_>,
    name: &str,
    now: OffsetDateTime,
) -> Result<Reply, Refusal> {
    let blob = existing(container, name)?;
    conditions::check_write(call, Some(&blob.etag))?;
    let reply = lease::act(&mut blob.lease, call, stamps.id().to_string(), now)?;
    Ok(reply.version(&blob.etag, blob.modified))
}

fn get(container: &mut Container, call: &Call<'_>, name: &str, now: OffsetDateTime) -> Result<Reply, Refusal> {
    let blob = readable(container, call, name, now)?;
    let total = blob.content.len();
    let asked = call.header("x-ms-range").or_else(|| call.header("range"));
    let Some((first, end)) = asked.map(|text| range(text, total)).transpose()? else {
        return Ok(describe(Reply::new(200), blob, now)
            .header("content-length", total.to_string())
            .body(blob.body()));
    };
    Ok(describe(Reply::new(206), blob, now)
        .header("content-length", (end - first).to_string())
        .header("content-range", format!("bytes {first}-{}/{total}", end - 1))
        .body(blob.content.slice(first..end)))
}

fn head(container: &mut Container, call: &Call<'_>, name: &str, now: OffsetDateTime) -> Result<Reply, Refusal> {
    let blob = readable(container, call, name, now)?;
    Ok(describe(Reply::new(200), blob, now).header("content-length", blob.content.len().to_string()))
}

fn delete(container: &mut Container, call: &Call<'_>, name: &str, now: OffsetDateTime) -> Result<Reply, Refusal> {
    existing(container, name)?;
    check_write(container, call, name, now)?;
    container.blobs.remove(name);
    Ok(Reply::new(202).header("x-ms-delete-type-permanent", "true"))
}

fn existing<'a>(container: &'a mut Container, name: &str) -> Result<&'a mut Blob, Refusal> {
    container
        .blobs
        .get_mut(name)
        .ok_or_else(|| Refusal::new(404, "BlobNotFound", "The specified blob does not exist."))
}

fn readable<'a>(
    container: &'a mut Container,
    call: &Call<'_>,
    name: &str,
    now: OffsetDateTime,
) -> Result<&'a Blob, Refusal> {
    let blob = existing(container, name)?;
    conditions::check_read(call, &blob.etag)?;
    lease::check_given(blob.lease.as_ref(), call, now)?;
    Ok(blob)
}

/// Judges a write and gives the lease that stays on the blob.
fn check_write(
    container: &Container,
    call: &Call<'_>,
    name: &str,
    now: OffsetDateTime,
) -> Result<Option<Lease>, Refusal> {
    let blob = container.blobs.get(name);
    conditions::check_write(call, blob.map(|blob| blob.etag.as_str()))?;
    let mut lease = blob.and_then(|blob| blob.lease.clone());
    lease::check_write(&mut lease, call, now)?;
    Ok(lease)
}

fn describe(reply: Reply, blob: &Blob, now: OffsetDateTime) -> Reply {
    let (state, status, duration) = lease::words(blob.lease.as_ref(), now);
    let reply = reply
        .version(&blob.etag, blob.modified)
        .metadata(&blob.metadata)
        .header("content-type", &blob.content_type)
        .header("accept-ranges", "bytes")
        .header("x-ms-blob-type", "BlockBlob")
        .header("x-ms-creation-time", rfc1123(blob.created))
        .header("x-ms-lease-state", state)
        .header("x-ms-lease-status", status)
        .header("x-ms-server-encrypted", "true");
    match duration {
        Some(duration) => reply.header("x-ms-lease-duration", duration),
        None => reply,
    }
}

/// First byte and end (exclusive) of `bytes=first-last` or `bytes=first-`. A start at or past the end is 416, also for
/// an empty blob.
fn range(text: &str, total: usize) -> Result<(usize, usize), Refusal> {
    let invalid = || Refusal::invalid_header("Range", text);
    let (first, last) = text
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
        .ok_or_else(invalid)?;
    let first: usize = first.parse().map_err(|_| invalid())?;
    let end = match last {
        "" => total,
        last => last
            .parse::<usize>()
            .map_err(|_| invalid())?
            .saturating_add(1)
            .min(total),
    };
    if first < end {
        Ok((first, end))
    } else {
        Err(Refusal::new(
            416,
            "InvalidRange",
            "The range specified is invalid for the current size of the resource.",
        ))
    }
}
