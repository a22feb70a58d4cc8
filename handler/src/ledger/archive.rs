//! The archive of events, by the day and hour they happened; a small document beside it finds them by their id.
//!
//! Redeliveries of one event meet in one place, because the event's own time does not change. "Seen before" is not "done":
//! the delivery that archived it may have died before it enqueued, so a caller asks for the work on every delivery; the
//! counters make that cheap. Events that fell under another hour by a changed time are merely kept twice.

use std::collections::BTreeSet;

use hubward_core::event::{Event, Schema, redacted};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime, UtcOffset};

use super::documents::{Document, Documents, Listing, digest};
use super::error::LedgerError;
use super::store::{Condition, Put};

/// The most days that [`Archive::between`] reads.
pub const MAX_DAYS: i64 = 31;

/// The most events that [`Archive::between`] reads.
pub const MAX_READ: usize = 10_000;

/// An event as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArchivedEvent {
    /// The event's id.
    pub id: String,
    /// Who sent it: its topic or source. Ids are unique within it.
    pub source: String,
    /// When it happened, by its own word, or when it came if it does not say.
    #[serde(with = "time::serde::rfc3339")]
    pub happened_at: OffsetDateTime,
    /// When it came first.
    #[serde(with = "time::serde::rfc3339")]
    pub received_at: OffsetDateTime,
    /// The whole event.
    pub body: Value,
}

impl ArchivedEvent {
    /// What the archive keeps of an event that came now: nothing of the caller but the object id.
    #[must_use]
    pub fn of(event: &Event, body: &Value, now: OffsetDateTime) -> Self {
        let source = match event.source_schema {
            Schema::EventGrid => body.get("topic"),
            Schema::CloudEvents => body.get("source"),
        };
        Self {
            id: event.id.clone(),
            source: source.and_then(Value::as_str).unwrap_or_default().to_owned(),
            happened_at: event.time.unwrap_or(now),
            received_at: now,
            body: redacted(body),
        }
    }
}

impl Document for ArchivedEvent {
    const FOLDER: &'static str = "events/";

    fn name(&self) -> String {
        let identity = digest(&format!("{}\n{}", self.source, self.id));
        format!("{}{identity}.json", hour_folder(self.happened_at))
    }
}

/// Where the events of one id lie: one place as a rule, one per source that uses the same id, or per hour it was told under.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Places {
    id: String,
    names: BTreeSet<String>,
}

impl Document for Places {
    const FOLDER: &'static str = "event-ids/";

    fn name(&self) -> String {
        places_of(&self.id)
    }
}

/// The events in the ledger.
#[derive(Debug, Clone)]
pub struct Archive {
    documents: Documents,
}

impl Archive {
    /// Events kept as documents.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self { documents }
    }

    /// Keeps an event; true if it was not there before.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn keep(&self, event: &ArchivedEvent) -> Result<bool, LedgerError> {
        // First, so that no event is kept that cannot be found by its id.
        self.note_place(event).await?;
        let put = self.documents.write(event, Condition::IfAbsent).await?;
        Ok(matches!(put, Put::Stored(_)))
    }

    /// The events of an id, oldest first; none if it was never kept.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn by_id(&self, id: &str) -> Result<Vec<ArchivedEvent>, LedgerError> {
        let Some((places, _)) = self.documents.read::<Places>(&places_of(id)).await? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for name in &places.names {
            if let Some((event, _)) = self.documents.read::<ArchivedEvent>(name).await? {
                found.push(event);
            }
        }
        found.sort_by_key(|event| event.happened_at);
        Ok(found)
    }

    /// The events that happened from `from` to before `to`, oldest first, for replay.
    ///
    /// # Errors
    /// [`LedgerError::TooMany`] if the range is longer than [`MAX_DAYS`] or holds more than [`MAX_READ`] events,
    /// [`LedgerError::Storage`].
    pub async fn between(
        &self,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> Result<Listing<ArchivedEvent>, LedgerError> {
        if (to - from).whole_days() > MAX_DAYS {
            return Err(LedgerError::TooMany {
                prefix: format!("the days from {from} to {to}"),
                limit: usize::try_from(MAX_DAYS).unwrap_or(usize::MAX),
            });
        }
        let (first, last) = (hour_folder(from), hour_folder(to));
        let mut names = Vec::new();
        let mut day = from;
        // Bounded by the check above; one more round covers the day that `to` lies in.
        for _ in 0..=MAX_DAYS + 1 {
            let folder = day_folder(day);
            if !last.starts_with(&folder) && folder > last {
                break;
            }
            let of_day = self.documents.names(&folder).await?;
            // Hours sort as their folders' names do.
            names.extend(of_day.into_iter().filter(|name| {
                let hour = name.get(..first.len()).unwrap_or_default();
                hour >= first.as_str() && hour <= last.as_str()
            }));
            let Some(next) = day.checked_add(Duration::DAY) else {
                break;
            };
            day = next;
        }
        if names.len() > MAX_READ {
            return Err(LedgerError::TooMany {
                prefix: format!("the time from {from} to {to}"),
                limit: MAX_READ,
            });
        }
        let mut found = self.documents.named::<ArchivedEvent>(names).await?;
        found.documents.retain(|event| (from..to).contains(&event.happened_at));
        found
            .documents
            .sort_by(|a, b| (a.happened_at, &a.id).cmp(&(b.happened_at, &b.id)));
        Ok(found)
    }

    async fn note_place(&self, event: &ArchivedEvent) -> Result<(), LedgerError> {
        let name = event.name();
        self.documents
            .change(&places_of(&event.id), |present: Option<&Places>| {
                let mut places = present.cloned().unwrap_or_else(|| Places {
                    id: event.id.clone(),
                    names: BTreeSet::new(),
                });
                places.names.insert(name.clone()).then_some(places)
            })
            .await
            .map(|_| ())
    }
}

fn places_of(id: &str) -> String {
    format!("{}{}.json", Places::FOLDER, digest(id))
}

fn day_folder(at: OffsetDateTime) -> String {
    format!("{}{}/", ArchivedEvent::FOLDER, in_utc(at).date())
}

fn hour_folder(at: OffsetDateTime) -> String {
    let at = in_utc(at);
    format!("{}{}/{:02}/", ArchivedEvent::FOLDER, at.date(), at.hour())
}

/// An event may claim a time of year 0 or 9999 that has no date in UTC; then the date it claims must do.
fn in_utc(at: OffsetDateTime) -> OffsetDateTime {
    at.checked_to_offset(UtcOffset::UTC).unwrap_or(at)
}
