//! A store, an outbox and a clock in memory, for the ledger's own tests.
//!
//! Every operation yields once before it takes effect, atomically, so a test can drive each interleaving by choosing whom
//! to poll. What an operation answered is noted per actor, so that equal situations can be recognised.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::Etag;
use bytes::Bytes;
use time::OffsetDateTime;
use time::macros::datetime;

use super::error::LedgerError;
use super::queue::{Outbox, WorkMessage};
use super::store::{Acquire, Condition, Put, Store};
use crate::clock::Clock;

/// Storage in memory.
#[derive(Debug)]
pub struct Memory(Mutex<State>);

/// What there is.
#[derive(Debug, Clone)]
pub struct State {
    /// The time.
    pub now: OffsetDateTime,
    /// Blobs by name.
    pub blobs: BTreeMap<String, Blob>,
    /// Queued messages, oldest first, each with its time.
    pub messages: Vec<(WorkMessage, OffsetDateTime)>,
    /// Who is being polled.
    pub actor: usize,
    /// A digest of all answers each actor got.
    pub answers: BTreeMap<usize, u64>,
}

/// One blob.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Its content.
    pub content: Bytes,
    version: u64,
    leases: u64,
    lease: Option<(String, OffsetDateTime)>,
}

impl Memory {
    pub fn new() -> Self {
        Self(Mutex::new(State {
            now: datetime!(2026-11-23 12:00 UTC),
            blobs: BTreeMap::new(),
            messages: Vec::new(),
            actor: 0,
            answers: BTreeMap::new(),
        }))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Takes the oldest message whose time has come.
    pub async fn take(&self) -> Option<WorkMessage> {
        self.step(|state| {
            let now = state.now;
            let at = state.messages.iter().position(|(_, visible_at)| *visible_at <= now)?;
            Some(state.messages.remove(at).0)
        })
        .await
    }

    /// One atomic step of the actor that is being polled.
    pub async fn step<T: Debug>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        tokio::task::yield_now().await;
        let mut state = self.state();
        let answer = act(&mut state);
        let actor = state.actor;
        let digest = state.answers.entry(actor).or_default();
        let mut hasher = DefaultHasher::new();
        (*digest, format!("{answer:?}")).hash(&mut hasher);
        *digest = hasher.finish();
        answer
    }
}

impl State {
    /// Everything that decides what happens next, as one number.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (name, blob) in &self.blobs {
            (name, &blob.content, blob.version, blob.leases, &blob.lease).hash(&mut hasher);
        }
        format!("{:?}", (self.now, &self.messages, &self.answers)).hash(&mut hasher);
        hasher.finish()
    }
}

impl Blob {
    fn holder(&self, now: OffsetDateTime) -> Option<&str> {
        self.lease
            .as_ref()
            .filter(|(_, end)| *end > now)
            .map(|(id, _)| id.as_str())
    }
}

#[async_trait]
impl Store for Memory {
    async fn get(&self, name: &str) -> Result<Option<(Bytes, Etag)>, LedgerError> {
        Ok(self
            .step(|state| {
                let blob = state.blobs.get(name)?;
                Some((blob.content.clone(), Etag::from(blob.version.to_string())))
            })
            .await)
    }

    async fn put(&self, name: &str, content: Bytes, condition: Condition) -> Result<Put, LedgerError> {
        Ok(self
            .step(|state| {
                let present = state.blobs.get(name);
                let holds = match &condition {
                    Condition::Any => true,
                    Condition::IfAbsent => present.is_none(),
                    Condition::IfMatch(etag) => {
                        present.is_some_and(|blob| blob.version.to_string() == etag.to_string())
                    }
                };
                if !holds {
                    return Put::Conflict;
                }
                let version = present.map_or(1, |blob| blob.version + 1);
                let blob = Blob {
                    content,
                    version,
                    leases: 0,
                    lease: None,
                };
                state.blobs.insert(name.to_owned(), blob);
                Put::Stored(Etag::from(version.to_string()))
            })
            .await)
    }

    async fn delete(&self, name: &str) -> Result<bool, LedgerError> {
        Ok(self.step(|state| state.blobs.remove(name).is_some()).await)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, LedgerError> {
        Ok(self
            .step(|state| {
                state
                    .blobs
                    .keys()
                    .filter(|name| name.starts_with(prefix))
                    .cloned()
                    .collect()
            })
            .await)
    }

    async fn acquire(&self, name: &str, duration: Duration) -> Result<Acquire, LedgerError> {
        Ok(self
            .step(|state| {
                let now = state.now;
                match state.blobs.get_mut(name) {
                    None => Acquire::Absent,
                    Some(blob) if blob.holder(now).is_some() => Acquire::Held,
                    Some(blob) => {
                        blob.leases += 1;
                        let id = format!("lease-{}", blob.leases);
                        blob.lease = Some((id.clone(), now + duration));
                        Acquire::Acquired(id)
                    }
                }
            })
            .await)
    }

    async fn renew(&self, name: &str, lease: &str) -> Result<bool, LedgerError> {
        Ok(self
            .step(|state| {
                let end = state.now + super::leases::DURATION;
                match state.blobs.get_mut(name).and_then(|blob| blob.lease.as_mut()) {
                    Some((id, ends_at)) if id == lease => {
                        *ends_at = end;
                        true
                    }
                    Some(_) | None => false,
                }
            })
            .await)
    }

    async fn release(&self, name: &str, lease: &str) -> Result<bool, LedgerError> {
        Ok(self
            .step(|state| {
                let now = state.now;
                let blob = state.blobs.get_mut(name);
                match blob.filter(|blob| blob.holder(now) == Some(lease)) {
                    Some(blob) => {
                        blob.lease = None;
                        true
                    }
                    None => false,
                }
            })
            .await)
    }
}

#[async_trait]
impl Outbox for Memory {
    async fn send(&self, message: &WorkMessage, delay: Duration) -> Result<(), LedgerError> {
        self.step(|state| state.messages.push((message.clone(), state.now + delay)))
            .await;
        Ok(())
    }
}

#[async_trait]
impl Clock for Memory {
    fn now(&self) -> OffsetDateTime {
        self.state().now
    }

    async fn sleep(&self, azure: Duration) {
        self.state().now += azure;
    }
}
