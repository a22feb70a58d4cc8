//! Uploads in blocks: the official client stages blocks and commits a list when a body is larger than 4 MiB. Only blocks
//! staged since the last commit can be named; re-using committed blocks is refused as an unknown block.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use time::OffsetDateTime;

use super::Stamps;
use super::blobs;
use super::call::Call;
use super::containers::Container;
use super::lease;
use super::reply::{Refusal, Reply};
use super::xml;

/// Blocks waiting for their commit: blob name, then block id.
#[derive(Clone, Debug, Default)]
pub(super) struct Staged(BTreeMap<String, BTreeMap<String, Bytes>>);

impl Staged {
    /// Drops what was staged for a blob; every whole write does.
    pub(super) fn forget(&mut self, blob: &str) {
        self.0.remove(blob);
    }
}

/// Put Block.
pub(super) fn stage(
    container: &mut Container,
    call: &Call<'_>,
    name: &str,
    now: OffsetDateTime,
) -> Result<Reply, Refusal> {
    let id = call
        .query("blockid")
        .filter(|id| STANDARD.decode(id).is_ok_and(|id| (1..=64).contains(&id.len())))
        .ok_or_else(|| {
            Refusal::new(
                400,
                "InvalidQueryParameterValue",
                "Value for one of the query parameters specified in the request URI is invalid: blockid.",
            )
        })?;
    let mut lease = container.blobs.get(name).and_then(|blob| blob.lease.clone());
    lease::check_write(&mut lease, call, now)?;
    container
        .staged
        .0
        .entry(name.to_owned())
        .or_default()
        .insert(id.to_owned(), call.body().clone());
    Ok(Reply::new(201).header("x-ms-request-server-encrypted", "true"))
}

/// Put Block List.
pub(super) fn commit(
    container: &mut Container,
    stamps: &mut Stamps,
    call: &Call<'_>,
    name: &str,
    now: OffsetDateTime,
) -> Result<Reply, Refusal> {
    let list = xml::leaves(call.body()).ok_or_else(Refusal::invalid_xml)?;
    let staged = container.staged.0.get(name);
    let mut content = BytesMut::new();
    for (element, id) in list {
        let block = staged
            .and_then(|staged| staged.get(id.trim()))
            .filter(|_| element != "Committed")
            .ok_or_else(|| Refusal::new(400, "InvalidBlockList", "The specified block list is invalid."))?;
        content.extend_from_slice(block);
    }
    blobs::write(container, stamps, call, name, content.freeze(), now)
}
