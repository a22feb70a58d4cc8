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
//! 10. *A message fails five times and goes to the poison queue*: `wanted > done` stays and [`Keys::owed`] tells. If it was
//!     the noted turn's, it would keep every covered wish out for ever; so a noted turn that is overdue by [`OVERDUE`] counts
//!     as lost, and any message may act. If it was only late, both are good, and the first to wait again makes the other one
//!     old (7).
//! 11. *Storage fails while a turn is noted*: the next turn's message is under way, so nothing else is sent (8). Storage that
//!     fails in any other place leaves the message itself: [`Keys::postpone`] puts it off without wearing it out.
//! 12. *A message with a turn that nobody gave out*: turns go up one by one, so one that is more than [`FORESIGHT`] ahead is
//!     no turn, and the message counts as a fresh wish.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::counters::name_of;
use super::documents::{Document, Documents, Listing};
use super::error::LedgerError;
use super::leases::{self, Lease, Leases};
use super::queue::{Outbox, WorkKind, WorkMessage};
use crate::clock::Clock;

pub use super::counters::{FORESIGHT, KeyDocument, OVERDUE};

/// When a message that met a held lease comes again: the lease has ended by then unless it was renewed.
pub const BUSY_DELAY: Duration = leases::DURATION.saturating_add(Duration::from_secs(1));

/// The wait after a first failure of which nothing better is known; each further one doubles it.
pub const FIRST_RETRY: Duration = Duration::from_secs(60);

/// The longest wait after a failure.
pub const LAST_RETRY: Duration = Duration::from_secs(3600);

/// What a message may do.
#[derive(Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one for each invocation, taken apart at once")]
pub enum Begin {
    /// Work: the key is ours.
    Lease(Box<KeyLease>),
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
    /// When the cluster, or its resource group, was deleted, by the last event that said so.
    pub delete_seen_at: Option<OffsetDateTime>,
    /// Since when no look has found the cluster.
    pub absent_since: Option<OffsetDateTime>,
    /// Why the last wish came.
    pub cause: String,
    /// True if nothing may be written: only the first sweep wished for this look.
    pub look_only: bool,
    turn: u64,
    last_plan: String,
    unchanged: u32,
    lease: Lease,
}

impl KeyLease {
    /// Notes what this look leaves to do, and gives how many looks before it left the same.
    pub fn leaves(&mut self, plan: &str) -> u32 {
        if self.last_plan == plan {
            self.unchanged = self.unchanged.saturating_add(1);
        } else {
            plan.clone_into(&mut self.last_plan);
            self.unchanged = 0;
        }
        self.unchanged
    }

    /// Notes that this look wrote something: whatever is left to do, it is not the same as before.
    pub fn wrote(&mut self) {
        self.last_plan.clear();
        self.unchanged = 0;
    }

    /// How long the key is certainly ours from `now`, in Azure seconds: to be checked before each write.
    #[must_use]
    pub fn remaining(&self, now: OffsetDateTime) -> Duration {
        self.lease.remaining(now)
    }
}

/// What an event or the sweep tells beside that something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// No more than that.
    Nothing,
    /// Nothing happened, and nothing may be written.
    LookOnly,
    /// The cluster was created then.
    Created(OffsetDateTime),
    /// The cluster, or its resource group, was deleted then.
    Deleted(OffsetDateTime),
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
        self.count(kind, key, cause, Told::Nothing).await
    }

    /// As [`Keys::request`], for a look that writes nothing. A key that is owed anyway keeps its own wish, which may write.
    ///
    /// # Errors
    /// As [`Keys::request`].
    pub async fn request_look(&self, kind: WorkKind, key: &str, cause: &str) -> Result<(), LedgerError> {
        self.count(kind, key, cause, Told::LookOnly).await
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
        self.count(kind, key, cause, Told::Created(at)).await
    }

    /// As [`Keys::request`], for an event that says that the cluster, or the resource group that the key names, was deleted
    /// `at` that time; the key remembers it. It proves nothing by itself.
    ///
    /// # Errors
    /// As [`Keys::request`].
    pub async fn request_deleted(
        &self,
        kind: WorkKind,
        key: &str,
        cause: &str,
        at: OffsetDateTime,
    ) -> Result<(), LedgerError> {
        self.count(kind, key, cause, Told::Deleted(at)).await
    }

    /// Notes whether this look found the cluster. One that is there takes back every word of its end that came before; of one
    /// that is not, the first look that missed it counts. The lease says the same afterwards.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn saw(&self, lease: &mut KeyLease, found: bool, now: OffsetDateTime) -> Result<(), LedgerError> {
        let (absent_since, told) = if found {
            (None, lease.delete_seen_at.filter(|at| *at > now))
        } else {
            (lease.absent_since.or(Some(now)), lease.delete_seen_at)
        };
        if (absent_since, told) == (lease.absent_since, lease.delete_seen_at) {
            return Ok(());
        }
        let old = lease.delete_seen_at;
        self.note(&lease.key, |document| {
            document.absent_since = absent_since;
            // An event that came since the look began is news, and not taken back.
            if document.delete_seen_at == old {
                document.delete_seen_at = told;
            }
        })
        .await?;
        lease.absent_since = absent_since;
        lease.delete_seen_at = told;
        Ok(())
    }

    async fn count(&self, kind: WorkKind, key: &str, cause: &str, told: Told) -> Result<(), LedgerError> {
        let now = self.clock.now();
        self.documents
            .change(&name_of(key), |present: Option<&KeyDocument>| {
                if told == Told::LookOnly && present.is_some_and(|document| document.is_owed() && !document.look_only) {
                    return None;
                }
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
                    delete_seen_at: None,
                    absent_since: None,
                    parked_until: None,
                    last_plan: String::new(),
                    unchanged: 0,
                    look_only: false,
                });
                if !document.is_owed() {
                    document.owed_since = Some(now);
                }
                document.wanted += 1;
                // Somebody saw something happen: what was left unchanged until now may change at once.
                document.unchanged = 0;
                match told {
                    Told::Nothing | Told::LookOnly => {}
                    // An event tells of what was; one from times to come would outlive every look that contradicts it.
                    Told::Created(at) => document.create_seen_at = document.create_seen_at.max(Some(at.min(now))),
                    Told::Deleted(at) => document.delete_seen_at = document.delete_seen_at.max(Some(at.min(now))),
                }
                document.look_only = told == Told::LookOnly;
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
            Some(document) => Ok(Begin::Lease(Box::new(KeyLease {
                turn: document.turn.max(document.turn_of(message).unwrap_or(0)),
                key: document.key,
                kind: document.kind,
                wanted: document.wanted,
                attempts: document.attempts,
                first_failed_at: document.first_failed_at,
                owed_since: document.owed_since,
                create_seen_at: document.create_seen_at,
                delete_seen_at: document.delete_seen_at,
                absent_since: document.absent_since,
                cause: document.cause,
                look_only: document.look_only,
                last_plan: document.last_plan,
                unchanged: document.unchanged,
                lease,
            }))),
            None => {
                self.leases.release(lease).await?;
                // A wish that came while we held the lease for nothing met it: its message waits, so it gets another.
                self.send_if_news(&message.key).await?;
                Ok(Begin::Idle)
            }
        }
    }

    /// Sends a message again after `delay`, as it was: for work that could not even begin, or not be noted.
    ///
    /// # Errors
    /// [`LedgerError::Storage`]: the invocation fails and the host brings the message again.
    pub async fn postpone(&self, message: &WorkMessage, delay: Duration) -> Result<(), LedgerError> {
        self.outbox.send(message, delay).await
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
            document.unchanged = 0;
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
        let mut listing = self.all().await?;
        listing.documents.retain(KeyDocument::is_owed);
        Ok(listing)
    }

    /// The counters of every key that was ever wished for.
    ///
    /// # Errors
    /// [`LedgerError::Storage`], [`LedgerError::TooMany`].
    pub async fn all(&self) -> Result<Listing<KeyDocument>, LedgerError> {
        self.documents.all(KeyDocument::FOLDER).await
    }

    async fn due(&self, message: &WorkMessage) -> Result<Option<KeyDocument>, LedgerError> {
        let document = self.get(&message.key).await?;
        let now = self.clock.now();
        Ok(document.filter(|document| document.calls_for(message, now)))
    }

    async fn park<F>(&self, lease: KeyLease, delay: Duration, cause: &str, note: F) -> Result<Finish, LedgerError>
    where
        F: Fn(&mut KeyDocument) + Send + Sync,
    {
        let turn = lease.turn.saturating_add(1);
        let message = WorkMessage {
            turn: Some(turn),
            ..WorkMessage::fresh(lease.kind, &lease.key, cause)
        };
        let until = self.clock.now().checked_add(delay.try_into().unwrap_or_default());
        self.outbox.send(&message, delay).await?;
        let key = lease.key.clone();
        // The next turn is under way. To fail from here on would bring this message again as well, and two would go on.
        match self.note_parked(lease, turn, until, note).await {
            Ok(finish) => Ok(finish),
            Err(error) => {
                tracing::warn!(key, turn, "the next turn was sent and could not be noted: {error}");
                Ok(Finish::Settled)
            }
        }
    }

    async fn note_parked<F>(
        &self,
        lease: KeyLease,
        turn: u64,
        until: Option<OffsetDateTime>,
        note: F,
    ) -> Result<Finish, LedgerError>
    where
        F: Fn(&mut KeyDocument) + Send + Sync,
    {
        self.note(&lease.key, |document| {
            if turn > document.turn {
                document.turn = turn;
                document.parked_until = until;
            } else if turn == document.turn {
                document.parked_until = document.parked_until.max(until);
            }
            document.parked = document.parked.max(lease.wanted);
            document.last_plan.clone_from(&lease.last_plan);
            document.unchanged = lease.unchanged;
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
