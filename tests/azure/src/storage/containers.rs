//! Containers: create, delete, properties, and the paged list of blobs. Deleting takes everything below at once; the
//! half minute in which the real service keeps the name blocked is not simulated.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use time::OffsetDateTime;

use super::Stamps;
use super::blobs::{self, Blob};
use super::blocks::Staged;
use super::call::Call;
use super::lease;
use super::reply::{Refusal, Reply, rfc1123};
use super::xml::escaped;

/// Most entries on one page of a list (List Blobs, REST reference).
const PAGE: i64 = 5000;

/// A container with its blobs.
#[derive(Clone, Debug)]
pub(super) struct Container {
    etag: String,
    modified: OffsetDateTime,
    metadata: BTreeMap<String, String>,
    pub(super) blobs: BTreeMap<String, Blob>,
    pub(super) staged: Staged,
}

impl Container {
    pub(super) fn empty(stamps: &mut Stamps, now: OffsetDateTime) -> Self {
        Self {
            etag: stamps.etag(now),
            modified: now,
            metadata: BTreeMap::new(),
            blobs: BTreeMap::new(),
            staged: Staged::default(),
        }
    }

    /// Puts a whole blob in place, whatever was there.
    pub(super) fn place(
        &mut self,
        stamps: &mut Stamps,
        name: &str,
        content_type: &str,
        content: Bytes,
        now: OffsetDateTime,
    ) {
        let blob = Blob {
            content,
            content_type: content_type.to_owned(),
            metadata: BTreeMap::new(),
            etag: stamps.etag(now),
            created: now,
            modified: now,
            lease: None,
        };
        self.blobs.insert(name.to_owned(), blob);
    }

    pub(super) fn lease_ends(&self) -> impl Iterator<Item = OffsetDateTime> + '_ {
        self.blobs.values().filter_map(Blob::lease_turns)
    }

    pub(super) fn blob_names(&self) -> Vec<String> {
        self.blobs.keys().cloned().collect()
    }

    pub(super) fn body(&self, blob: &str) -> Option<Bytes> {
        self.blobs.get(blob).map(Blob::body)
    }
}

/// Answers a request to the Blob service.
pub(super) fn answer(
    containers: &mut BTreeMap<String, Container>,
    stamps: &mut Stamps,
    call: &Call<'_>,
    now: OffsetDateTime,
) -> Result<Reply, Refusal> {
    let Some(name) = call.resource.as_deref() else {
        return Err(call.not_simulated());
    };
    if call.rest.is_some() {
        let container = containers.get_mut(name).ok_or_else(not_found)?;
        return blobs::answer(container, stamps, call, now);
    }
    if call.query("restype") != Some("container") {
        return Err(call.not_simulated());
    }
    match (call.method(), call.comp()) {
        (&Method::PUT, "") => create(containers, stamps, call, name, now),
        (&Method::DELETE, "") => {
            containers.remove(name).ok_or_else(not_found)?;
            Ok(Reply::new(202))
        }
        (&Method::GET | &Method::HEAD, "") => properties(containers.get(name)),
        (&Method::GET, "list") => list(containers.get(name), call, name, now),
        _ => Err(call.not_simulated()),
    }
}

fn create(
    containers: &mut BTreeMap<String, Container>,
    stamps: &mut Stamps,
    call: &Call<'_>,
    name: &str,
    now: OffsetDateTime,
) -> Result<Reply, Refusal> {
    if !is_resource_name(name) {
        return Err(Refusal::invalid_name());
    }
    if containers.contains_key(name) {
        return Err(Refusal::new(
            409,
            "ContainerAlreadyExists",
            "The specified container already exists.",
        ));
    }
    let container = Container {
        metadata: call.metadata(),
        ..Container::empty(stamps, now)
    };
    let reply = Reply::new(201).version(&container.etag, now);
    containers.insert(name.to_owned(), container);
    Ok(reply)
}

/// Whether a container or queue may be called so: 3 to 63 lower-case letters, digits and single inner hyphens.
pub(super) fn is_resource_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(is_name_byte))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn properties(container: Option<&Container>) -> Result<Reply, Refusal> {
    let container = container.ok_or_else(not_found)?;
    Ok(Reply::new(200)
        .version(&container.etag, container.modified)
        .metadata(&container.metadata)
        .header("x-ms-lease-state", "available")
        .header("x-ms-lease-status", "unlocked"))
}

fn list(container: Option<&Container>, call: &Call<'_>, name: &str, now: OffsetDateTime) -> Result<Reply, Refusal> {
    let container = container.ok_or_else(not_found)?;
    if call.query("delimiter").is_some() {
        return Err(call.not_simulated());
    }
    let prefix = call.query("prefix").unwrap_or_default();
    let marker = call.query("marker").unwrap_or_default();
    let size = usize::try_from(call.number("maxresults", PAGE, 1..=i64::MAX)?.min(PAGE)).unwrap_or_default();
    let with_metadata = call
        .query("include")
        .is_some_and(|include| include.split(',').any(|word| word == "metadata"));
    // The marker is the name the next page begins with; callers must treat it as opaque.
    let mut rest = container
        .blobs
        .range(marker.to_owned()..)
        .filter(|(blob, _)| blob.starts_with(prefix));
    let entries: String = rest
        .by_ref()
        .take(size)
        .map(|(blob, content)| entry(blob, content, with_metadata, now))
        .collect();
    let next = rest.next().map_or("", |(blob, _)| blob);
    let mut body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"{}\">",
        escaped(name)
    );
    for (element, value) in [("Prefix", prefix), ("Marker", marker)] {
        if !value.is_empty() {
            body.push_str(&format!("<{element}>{}</{element}>", escaped(value)));
        }
    }
    if call.query("maxresults").is_some() {
        body.push_str(&format!("<MaxResults>{size}</MaxResults>"));
    }
    body.push_str(&format!(
        "<Blobs>{entries}</Blobs><NextMarker>{}</NextMarker></EnumerationResults>",
        escaped(next)
    ));
    Ok(Reply::new(200).xml(body))
}

fn entry(name: &str, blob: &Blob, with_metadata: bool, now: OffsetDateTime) -> String {
    let (state, status, duration) = lease::words(blob.lease.as_ref(), now);
    let duration = duration.map_or_else(String::new, |duration| {
        format!("<LeaseDuration>{duration}</LeaseDuration>")
    });
    let metadata = if with_metadata {
        let elements: String = blob
            .metadata
            .iter()
            .map(|(name, value)| format!("<{name}>{}</{name}>", escaped(value)))
            .collect();
        format!("<Metadata>{elements}</Metadata>")
    } else {
        String::new()
    };
    format!(
        "<Blob><Name>{}</Name><Properties><Creation-Time>{}</Creation-Time><Last-Modified>{}</Last-Modified>\
         <Etag>{}</Etag><Content-Length>{}</Content-Length><Content-Type>{}</Content-Type><BlobType>BlockBlob</BlobType>\
         <LeaseStatus>{status}</LeaseStatus><LeaseState>{state}</LeaseState>{duration}<ServerEncrypted>true</ServerEncrypted>\
         </Properties>{metadata}</Blob>",
        escaped(name),
        rfc1123(blob.created),
        rfc1123(blob.modified),
        blob.etag,
        blob.content.len(),
        escaped(&blob.content_type),
    )
}

fn not_found() -> Refusal {
    Refusal::new(404, "ContainerNotFound", "The specified container does not exist.")
}
