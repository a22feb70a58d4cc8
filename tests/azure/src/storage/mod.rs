//! Azure Blob and Queue storage in memory: the operations the official Rust clients send for documents, leases and
//! messages, answered with the codes, headers and XML of the REST service. It is passive: it has no clock, and time is
//! only what a call brings. What it does not know it refuses with `501 NotImplemented` and changes nothing.

mod blobs;
mod blocks;
mod call;
mod conditions;
mod containers;
mod lease;
mod messages;
mod queues;
mod reply;
pub mod signature;
mod xml;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use time::OffsetDateTime;

use call::Call;
use containers::Container;
use queues::Queue;
use reply::{Refusal, Reply};

/// Which of the two services a request was sent to; they listen on different ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Blob service.
    Blob,
    /// Queue service.
    Queue,
}

/// One storage account. Cloning it is taking a snapshot.
#[derive(Clone, Debug)]
pub struct Storage {
    account: String,
    key: Option<Vec<u8>>,
    tokens: BTreeSet<String>,
    containers: BTreeMap<String, Container>,
    queues: BTreeMap<String, Queue>,
    stamps: Stamps,
    clock: OffsetDateTime,
}

impl Storage {
    /// An empty account. A key that is not base64 can sign nothing, so every shared-key request is then refused.
    pub fn new(account: &str, key_base64: &str) -> Self {
        Self {
            account: account.to_owned(),
            key: STANDARD.decode(key_base64).ok(),
            tokens: BTreeSet::new(),
            containers: BTreeMap::new(),
            queues: BTreeMap::new(),
            stamps: Stamps::default(),
            clock: OffsetDateTime::UNIX_EPOCH,
        }
    }

    /// Accepts `Authorization: Bearer <token>` from here on, with full rights on both services.
    pub fn trust_token(&mut self, token: &str) {
        self.tokens.insert(token.to_owned());
    }

    /// Answers one request. `now` is Azure time: lease ends, visibility and message expiry are judged by it.
    pub fn handle(&mut self, kind: Kind, request: &http::Request<Bytes>, now: OffsetDateTime) -> http::Response<Bytes> {
        self.advance(now);
        let request_id = self.stamps.request_id();
        let result = self.answer(kind, request, now);
        reply::render(result, request, &request_id, now)
    }

    /// Lets time pass without a request; needed before asking for the event after next.
    pub fn advance(&mut self, to: OffsetDateTime) {
        self.clock = self.clock.max(to);
    }

    /// The next instant, after the latest one seen, at which something changes by itself: a message becomes visible or
    /// expires, a lease ends. `None` if nothing is pending.
    pub fn next_event(&self) -> Option<OffsetDateTime> {
        let leases = self.containers.values().flat_map(Container::lease_ends);
        let messages = self.queues.values().flat_map(Queue::changes);
        leases.chain(messages).filter(|instant| *instant > self.clock).min()
    }

    /// Names of the queues, in order.
    pub fn queue_names(&self) -> Vec<String> {
        self.queues.keys().cloned().collect()
    }

    /// How many unexpired messages a queue holds, visible or not; 0 if there is no such queue.
    pub fn queue_length(&self, queue: &str) -> usize {
        self.queues.get(queue).map_or(0, |queue| queue.length(self.clock))
    }

    /// The texts of a queue's unexpired messages as they were put (base64 if the client encodes), oldest first.
    pub fn queue_texts(&self, queue: &str) -> Vec<String> {
        self.queues
            .get(queue)
            .map_or_else(Vec::new, |queue| queue.texts(self.clock))
    }

    /// Names of the containers, in order.
    pub fn container_names(&self) -> Vec<String> {
        self.containers.keys().cloned().collect()
    }

    /// Names of the blobs of a container, in order; empty if there is no such container.
    pub fn blob_names(&self, container: &str) -> Vec<String> {
        self.containers
            .get(container)
            .map_or_else(Vec::new, Container::blob_names)
    }

    /// The bytes of one blob.
    pub fn blob(&self, container: &str, blob: &str) -> Option<Bytes> {
        self.containers
            .get(container)
            .and_then(|container| container.body(blob))
    }

    /// Makes a container by hand, as an infrastructure team would; nothing happens if it is there.
    pub fn make_container(&mut self, name: &str) {
        let (stamps, now) = (&mut self.stamps, self.clock);
        self.containers
            .entry(name.to_owned())
            .or_insert_with(|| Container::empty(stamps, now));
    }

    /// A service of Azure itself writes a blob. False if there is no such container.
    pub(crate) fn write_blob(&mut self, container: &str, name: &str, content: Bytes, now: OffsetDateTime) -> bool {
        self.advance(now);
        let Some(container) = self.containers.get_mut(container) else {
            return false;
        };
        container.place(&mut self.stamps, name, "application/json", content, now);
        true
    }

    fn answer(&mut self, kind: Kind, request: &http::Request<Bytes>, now: OffsetDateTime) -> Result<Reply, Refusal> {
        self.authenticate(request)?;
        let call = Call::read(request, &self.account)?;
        match kind {
            Kind::Blob => containers::answer(&mut self.containers, &mut self.stamps, &call, now),
            Kind::Queue => queues::answer(&mut self.queues, &mut self.stamps, &call, now),
        }
    }

    fn authenticate(&self, request: &http::Request<Bytes>) -> Result<(), Refusal> {
        let given = request
            .headers()
            .get(http::header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(Refusal::authentication)?;
        let accepted = match given.strip_prefix("Bearer ") {
            Some(token) => self.tokens.contains(token),
            None => self.key.as_ref().is_some_and(|key| {
                signature::has_date(request) && signature::header(&self.account, key, request) == given
            }),
        };
        if accepted {
            Ok(())
        } else {
            Err(Refusal::authentication())
        }
    }
}

/// Makes the values the service invents: request ids, ETags, message ids, lease ids. They come from counters, so that
/// two runs with the same requests are equal to the byte.
#[derive(Clone, Debug, Default)]
struct Stamps {
    requests: u64,
    things: u64,
    etag: u64,
}

impl Stamps {
    fn request_id(&mut self) -> String {
        self.requests += 1;
        uuid::Uuid::from_u64_pair(0x5707_a6e0_701e_4000, 0x8000_0000_0000_0000 | self.requests).to_string()
    }

    /// An id for a message, a pop receipt or a lease.
    fn id(&mut self) -> uuid::Uuid {
        self.things += 1;
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &self.things.to_be_bytes())
    }

    /// An ETag without its quotes. Like the real service's it is the time in ticks of 100 ns since year 1; the counter
    /// keeps two writes within one tick apart.
    fn etag(&mut self, now: OffsetDateTime) -> String {
        const TICKS_AT_UNIX_EPOCH: i128 = 621_355_968_000_000_000;
        let ticks = now.unix_timestamp_nanos() / 100 + TICKS_AT_UNIX_EPOCH;
        self.etag = u64::try_from(ticks).unwrap_or(0).max(self.etag + 1);
        format!("0x{:X}", self.etag)
    }
}

#[cfg(test)]
mod tests;
