//! The counters of a key, and which message they call for.
//!
//! Pure: it reads no storage and no clock. What the counters mean when messages and workers race is told in [`super::keys`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::documents::{Document, digest};
use super::queue::{WorkKind, WorkMessage};

/// How late the noted turn's message may be before it counts as lost. The host hides a failed message for 30 s and gives up
/// after the fifth try, so a living one is seldom later than this.
pub const OVERDUE: Duration = Duration::from_secs(300);

/// How far ahead of the noted turn a message's turn may be: each turn whose noting failed leaves the document one behind.
pub const FORESIGHT: u64 = 64;

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
    /// When the cluster, or the resource group that the key names, was deleted, by the last event that said so.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub delete_seen_at: Option<OffsetDateTime>,
    /// Since when no look has found the cluster; nothing once one has.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub absent_since: Option<OffsetDateTime>,
    /// When the message with `turn` becomes visible.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub parked_until: Option<OffsetDateTime>,
    /// What the last look left to do, as the id of its plan.
    #[serde(default)]
    pub last_plan: String,
    /// How many looks in a row found the same to do and could do none of it.
    #[serde(default)]
    pub unchanged: u32,
    /// True while nobody but the first sweep wishes anything: its looks write nothing.
    #[serde(default)]
    pub look_only: bool,
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

    /// True if a message that covers every wish is known to be on its way: it was noted when it was sent, and it is not so
    /// late that it must be lost.
    #[must_use]
    pub fn is_under_way(&self, now: OffsetDateTime) -> bool {
        self.is_owed() && self.parked >= self.wanted && !self.is_overdue(now)
    }

    fn is_overdue(&self, now: OffsetDateTime) -> bool {
        self.parked_until.is_none_or(|until| now - until > OVERDUE)
    }

    /// True if this message is the one to act on: something is owed, and no other message is under way for it.
    pub(super) fn calls_for(&self, message: &WorkMessage, now: OffsetDateTime) -> bool {
        let in_turn = self.turn_of(message).is_some_and(|turn| turn >= self.turn);
        self.is_owed() && (in_turn || !self.is_under_way(now))
    }

    /// The message's place in the chain, if it can be one.
    pub(super) fn turn_of(&self, message: &WorkMessage) -> Option<u64> {
        let last = self.turn.saturating_add(FORESIGHT);
        message.turn.filter(|turn| *turn <= last)
    }
}

/// The name of the document of a key.
pub(super) fn name_of(key: &str) -> String {
    format!("{}{}.json", KeyDocument::FOLDER, digest(key))
}
