//! Single flight per key: one worker at a time, no wish lost, duplicates cheap.
//!
//! Each key has one document with two counters: `wanted`, raised by every wish, and `done`, the value of `wanted` that a
//! worker read before it looked at Azure and then satisfied. The lease lies beside it. Nothing here observes or writes
//! Azure; under a storage failure the caller fails its invocation, and the trigger's message comes again.
//!
//! # Races, each with its outcome
//!
//! 1. *Two wishes at once*: both raise `wanted` by compare-and-set; the loser reads again. Each round one gets through.
//! 2. *A wish dies between raising `wanted` and sending*: [`Keys::request`] has not returned, so the event is not answered
//!    and comes again. A wish that never comes again is found by [`Keys::owed`], which the drift timer reads.
//! 3. *A wish while a worker works*: its change may be older or newer than what the worker saw. The worker read `wanted`
//!    before looking, so `wanted > done` after [`Keys::finish`], which then sends a message.
//! 4. *A wish's message meets the held lease*: it works nothing, and the holder will see the raised `wanted` after it has
//!    released (3). The release comes before that last reading, so no wish falls in between: either its message comes
//!    after the release and gets the lease, or its counter was raised before and is read. (In the other order the wish
//!    would not be lost, because of 5, but a minute late.)
//! 5. *The holder died*: then nobody reads again, and the dead holder's own message, brought back by the host, may meet the
//!    lease it left. So a message that meets a held lease is sent again for the time when that lease must have ended. If the
//!    holder was alive it finds nothing to do then, for the price of one read.
//! 6. *A worker dies after `done` is written, before it sent what (3) owes*: its message was not deleted and comes again,
//!    and `wanted > done` lets it work.
//! 7. *Many messages for one wish, while work waits for Azure*: each would go on polling side by side. A waiting worker
//!    sends one message with the next `turn` and then notes that turn and the wishes it covers (`parked`). A fresh message
//!    whose wish is covered, or one with an older turn, is dropped: the noted turn's message is under way, since it was
//!    sent first.
//! 8. *A worker dies after sending the next turn, before noting it*: both its message and the next turn's are good; the
//!    first to wait again makes the other one old (7).
//! 9. *A lease runs out under a slow worker and another one starts*: `done`, `parked` and `turn` only ever grow, and what
//!    the slow one notes is true: it did look after it read `wanted`. Its writes to Azure are its own care
//!    ([`KeyLease::remaining`]).
//! 10. *A message fails five times and goes to the poison queue*: `wanted > done` stays and [`Keys::owed`] tells.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::documents::{Document, Documents, Listing, digest};
use super::error::LedgerError;
use super::leases::{self, Lease, Leases};
use super::queue::{Outbox, WorkKind, WorkMessage};
use crate::clock::Clock;

/// When a message that met a held lease comes again: the lease has ended by then unless it was renewed.
pub const BUSY_DELAY: Duration = leases::DURATION.saturating_add(Duration::from_secs(1));

/// The wait after a first failure of which nothing better is known; each further one doubles it.
pub const FIRST_RETRY: Duration = Duration::from_secs(60);

/// The longest wait after a failure.
pub const LAST_RETRY: Duration = Duration::from_secs(3600);

/// The counters of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDocument {
    /// The key itself; the blob's name is only its digest.
    pub key: String,
    /// What the last wish asked for.
    pub kind: WorkKind,
    /// How many wishes there were.
    pub wanted: u64,
    /// How many of them are satisfied.
    pub done: u64,
    /// How many of them the message with `turn` covers.
    pub parked: u64,
    /// The place in the chain of the message that continues this work.
    pub turn: u64,
    /// Failures in a row.
    pub attempts: u32,
    /// When the first of them was.
    #[serde(with = "time::serde::rfc3339::option")]
    pub first_failed_at: Option<OffsetDateTime>,
    /// When the last wish came.
    #[serde(with = "time::serde::rfc3339")]
    pub requested_at: OffsetDateTime,
    /// Why the last wish came.
    pub cause: String,
    /// Since when something is wanted that is not done.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub owed_since: Option<OffsetDateTime>,
    /// When the cluster was created, by the last event that said so: AKS itself does not tell.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub create_seen_at: Option<OffsetDateTime>,
}

impl Document for KeyDocument {
    const FOLDER: &'static str = "keys/";

    fn name(&self) -> String {
        name_of(&self.key)
    }
}

impl KeyDocument {
    /// True if something is wanted that is not done.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.wanted > self.done
    }

    /// True if this message is the one to act on: something is owed, and no other message is under way for it.
    fn calls_for(&self, message: &WorkMessage) -> bool {
        let news = self.wanted > self.parked;
        let in_turn = message.turn.is_some_and(|turn| turn >= self.turn);
        self.is_owed() && (news || in_turn)
    }
}

/// What a message may do.
#[derive(Debug, PartialEq, Eq)]
pub enum Begin {
    /// Work: the key is ours.
    Lease(KeyLease),
    /// Nothing: it is done already, or another message is under way for it.
    Idle,
    /// Nothing now: someone works. The message was sent again for the time when that lease has ended.
    Busy,
}

/// A key we work on.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyLease {
    /// The key.
    pub key: String,
    /// What the last wish asked for.
    pub kind: WorkKind,
    /// The wishes that this work satisfies: read before Azure is looked at.
    pub wanted: u64,
    /// Failures in a row before this work.
    pub attempts: u32,
    /// When the first of them was.
    pub first_failed_at: Option<OffsetDateTime>,
    /// Since when something is wanted that is not done.
    pub owed_since: Option<OffsetDateTime>,
    /// When the cluster was created, by the last event that said so.
    pub create_seen_at: Option<OffsetDateTime>,
    turn: u64,
    lease: Lease,
}

impl KeyLease {
    /// How long the key is certainly ours from `now`, in Azure seconds: to be checked before each write.
    #[must_use]
    pub fn remaining(&self, now: OffsetDateTime) -> Duration {
        self.lease.remaining(now)
    }
}

/// What is left after work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Nothing more is wanted.
    Settled,
    /// More was wanted meanwhile; a message for it was sent.
    More,
}

/// The keys in the ledger.
#[derive(Debug, Clone)]
pub struct Keys {
    documents: Documents,
    leases: Leases,
    outbox: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
}

impl Keys {
    /// Keys kept as documents, guarded by leases, worked on by the readers of `outbox`.
    #[must_use]
    pub fn new(documents: Documents, leases: Leases, outbox: Arc<dyn Outbox>, clock: Arc<dyn Clock>) -> Self {
        Self {
            documents,
            leases,
            outbox,
            clock,
        }
    }

    /// Wishes work on a key: counts the wish, then sends its message. Durable when it returns.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`]: the wish must be made again.
    pub async fn request(&self, kind: WorkKind, key: &str, cause: &str) -> Result<(), LedgerError> {
        self.count(kind, key, cause, None).await
    }

    /// As [`Keys::request`], for an event that says that the cluster was created `at` that time; the key remembers it.
    ///
    /// # Errors
    /// As [`Keys::request`].
    pub async fn request_created(
        &self,
        kind: WorkKind,
        key: &str,
        cause: &str,
        at: OffsetDateTime,
    ) -> Result<(), LedgerError> {
        self.count(kind, key, cause, Some(at)).await
    }

    async fn count(
        &self,
        kind: WorkKind,
        key: &str,
        cause: &str,
        created_at: Option<OffsetDateTime>,
    ) -> Result<(), LedgerError> {
        let now = self.clock.now();
        self.documents
            .change(&name_of(key), |present: Option<&KeyDocument>| {
                let mut document = present.cloned().unwrap_or_else(|| KeyDocument {
                    key: key.to_owned(),
                    kind,
                    wanted: 0,
                    done: 0,
                    parked: 0,
                    turn: 0,
                    attempts: 0,
                    first_failed_at: None,
                    requested_at: now,
                    cause: String::new(),
                    owed_since: None,
                    create_seen_at: None,
                });
                if !document.is_owed() {
                    document.owed_since = Some(now);
                }
                document.wanted += 1;
                document.create_seen_at = document.create_seen_at.max(created_at);
                document.kind = kind;
                document.requested_at = now;
                cause.clone_into(&mut document.cause);
                Some(document)
            })
            .await?;
        let message = WorkMessage::fresh(kind, key, cause);
        self.outbox.send(&message, Duration::ZERO).await
    }

    /// What a message of the queue may do. Azure is looked at only after this returned [`Begin::Lease`].
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`]: the invocation fails and the message comes again.
    pub async fn begin(&self, message: &WorkMessage) -> Result<Begin, LedgerError> {
        // Without the lease first, so that the many idle messages never keep a real one out.
        if self.due(message).await?.is_none() {
            return Ok(Begin::Idle);
        }
        let Some(lease) = self.leases.acquire("keys", &message.key).await? else {
            self.outbox.send(message, BUSY_DELAY).await?;
            return Ok(Begin::Busy);
        };
        match self.due(message).await? {
            Some(document) => Ok(Begin::Lease(KeyLease {
                key: document.key,
                kind: document.kind,
                wanted: document.wanted,
                attempts: document.attempts,
                first_failed_at: document.first_failed_at,
                owed_since: document.owed_since,
                create_seen_at: document.create_seen_at,
                turn: document.turn.max(message.turn.unwrap_or(0)),
                lease,
            })),
            None => {
                self.leases.release(lease).await?;
                // A wish that came while we held the lease for nothing met it: its message waits, so it gets another.
                self.send_if_news(&message.key).await?;
                Ok(Begin::Idle)
            }
        }
    }

    /// Keeps the key for another 60 Azure seconds; false if it was lost, and then nothing more may be written.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    pub async fn renew(&self, lease: &mut KeyLease) -> Result<bool, LedgerError> {
        self.leases.renew(&mut lease.lease).await
    }

    /// The wishes that `lease` covers are satisfied.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`]: the message comes again.
    pub async fn finish(&self, lease: KeyLease) -> Result<Finish, LedgerError> {
        let wanted = lease.wanted;
        self.note(&lease.key, |document| {
            document.done = document.done.max(wanted);
            document.attempts = 0;
            document.first_failed_at = None;
        })
        .await?;
        self.let_go(lease).await
    }

    /// Azure is at work: looks again after `delay` by a new message.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`]: the message comes again.
    pub async fn wait(&self, lease: KeyLease, delay: Duration, cause: &str) -> Result<Finish, LedgerError> {
        self.park(lease, delay, cause, |document| {
            document.attempts = 0;
            document.first_failed_at = None;
        })
        .await
    }

    /// The work failed in a way that may pass: tries again after a growing delay, which is returned. `first` is the delay
    /// after a first failure.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`]: the message comes again.
    pub async fn retry(&self, lease: KeyLease, first: Duration, cause: &str) -> Result<Duration, LedgerError> {
        let now = self.clock.now();
        let attempts = lease.attempts.saturating_add(1);
        let delay = retry_delay(first, attempts);
        self.park(lease, delay, cause, |document| {
            document.attempts = attempts;
            document.first_failed_at.get_or_insert(now);
        })
        .await?;
        Ok(delay)
    }

    /// The counters of a key.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn get(&self, key: &str) -> Result<Option<KeyDocument>, LedgerError> {
        let document = self.documents.read(&name_of(key)).await?;
        Ok(document.map(|(document, _)| document))
    }

    /// The keys that want something that is not done. If one stays here while nothing is queued, wish it again.
    ///
    /// # Errors
    /// [`LedgerError::Storage`], [`LedgerError::TooMany`].
    pub async fn owed(&self) -> Result<Listing<KeyDocument>, LedgerError> {
        let mut listing = self.documents.all::<KeyDocument>(KeyDocument::FOLDER).await?;
        listing.documents.retain(KeyDocument::is_owed);
        Ok(listing)
    }

    async fn due(&self, message: &WorkMessage) -> Result<Option<KeyDocument>, LedgerError> {
        let document = self.get(&message.key).await?;
        Ok(document.filter(|document| document.calls_for(message)))
    }

    async fn park<F>(&self, lease: KeyLease, delay: Duration, cause: &str, note: F) -> Result<Finish, LedgerError>
    where
        F: Fn(&mut KeyDocument) + Send + Sync,
    {
        let turn = lease.turn + 1;
        let message = WorkMessage {
            turn: Some(turn),
            ..WorkMessage::fresh(lease.kind, &lease.key, cause)
        };
        self.outbox.send(&message, delay).await?;
        let wanted = lease.wanted;
        self.note(&lease.key, |document| {
            document.turn = document.turn.max(turn);
            document.parked = document.parked.max(wanted);
            note(document);
        })
        .await?;
        self.let_go(lease).await
    }

    async fn note<F>(&self, key: &str, note: F) -> Result<(), LedgerError>
    where
        F: Fn(&mut KeyDocument) + Send + Sync,
    {
        self.documents
            .change(&name_of(key), |present: Option<&KeyDocument>| {
                // A document that was removed under us has no wishes left to note anything about.
                let mut document = present?.clone();
                note(&mut document);
                Some(document)
            })
            .await
            .map(|_| ())
    }

    /// Releases, then reads once more: in this order, or a wish could fall in between.
    async fn let_go(&self, lease: KeyLease) -> Result<Finish, LedgerError> {
        self.leases.release(lease.lease).await?;
        self.send_if_news(&lease.key).await
    }

    async fn send_if_news(&self, key: &str) -> Result<Finish, LedgerError> {
        match self.get(key).await? {
            Some(document) if document.wanted > document.done.max(document.parked) => {
                let message = WorkMessage::fresh(document.kind, key, &document.cause);
                self.outbox.send(&message, Duration::ZERO).await?;
                Ok(Finish::More)
            }
            Some(_) | None => Ok(Finish::Settled),
        }
    }
}

/// The wait after a number of failures in a row: `first`, doubling up to an hour.
#[must_use]
pub fn retry_delay(first: Duration, attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(12);
    first
        .max(Duration::from_secs(1))
        .saturating_mul(1 << doublings)
        .min(LAST_RETRY)
}

fn name_of(key: &str) -> String {
    format!("{}{}.json", KeyDocument::FOLDER, digest(key))
}
