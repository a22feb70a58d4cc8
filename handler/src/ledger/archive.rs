//! The archive of events, by the day and hour they happened and by their id.
//!
//! Redeliveries of one event meet in one place, because the event's own time does not change. "Seen before" is not "done":
//! the delivery that archived it may have died before it enqueued, so a caller asks for the work on every delivery; the
//! counters make that cheap. Events that fell under another hour by a changed time are merely kept twice.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime, UtcOffset};

use super::documents::{Document, Documents, Listing, digest};
use super::error::LedgerError;
use super::store::{Condition, Put};

/// The most hours that [`Archive::between`] reads: 31 days.
pub const MAX_HOURS: i64 = 31 * 24;

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

impl Document for ArchivedEvent {
    const FOLDER: &'static str = "events/";

    fn name(&self) -> String {
        let identity = digest(&format!("{}\n{}", self.source, self.id));
        format!("{}{identity}.json", hour_folder(self.happened_at))
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
    /// [`LedgerError::Storage`].
    pub async fn keep(&self, event: &ArchivedEvent) -> Result<bool, LedgerError> {
        let put = self.documents.write(event, Condition::IfAbsent).await?;
        Ok(matches!(put, Put::Stored(_)))
    }

    /// The events that happened from `from` to before `to`, oldest first, for replay.
    ///
    /// # Errors
    /// [`LedgerError::TooMany`] if the range is longer than [`MAX_HOURS`], [`LedgerError::Storage`].
    pub async fn between(
        &self,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> Result<Listing<ArchivedEvent>, LedgerError> {
        if (to - from).whole_hours() > MAX_HOURS {
            return Err(LedgerError::TooMany {
                prefix: format!("events from {from} to {to}"),
                limit: usize::try_from(MAX_HOURS).unwrap_or(usize::MAX),
            });
        }
        let mut found = Listing {
            documents: Vec::new(),
            damaged: Vec::new(),
        };
        let mut hour = from;
        let last = hour_folder(to);
        // Bounded by the check above; one more round covers the hour that `to` lies in.
        for _ in 0..=MAX_HOURS + 1 {
            let folder = hour_folder(hour);
            if folder > last {
                break;
            }
            let of_hour = self.documents.all::<ArchivedEvent>(&folder).await?;
            found.documents.extend(of_hour.documents);
            found.damaged.extend(of_hour.damaged);
            let Some(next) = hour.checked_add(Duration::HOUR) else {
                break;
            };
            hour = next;
        }
        found.documents.retain(|event| (from..to).contains(&event.happened_at));
        found
            .documents
            .sort_by(|a, b| (a.happened_at, &a.id).cmp(&(b.happened_at, &b.id)));
        Ok(found)
    }
}

fn hour_folder(at: OffsetDateTime) -> String {
    // An event may claim a time of year 0 or 9999 that has no date in UTC; then the date it claims must do.
    let at = at.checked_to_offset(UtcOffset::UTC).unwrap_or(at);
    format!("{}{}/{:02}/", ArchivedEvent::FOLDER, at.date(), at.hour())
}
