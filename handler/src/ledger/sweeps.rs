//! The sweeps: when everything was last looked at, how much that was, and how far a running one has come.
//!
//! One document per kind of sweep. Losing it makes the next sweep the first one again, which writes nothing: the safe side.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::documents::{Document, Documents, digest};
use super::error::LedgerError;

/// What is known of the sweeps of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepNote {
    /// The key, see [`crate::work::sweep`].
    pub key: String,
    /// When the first one began.
    #[serde(with = "time::serde::rfc3339")]
    pub first_started_at: OffsetDateTime,
    /// When the last one began.
    #[serde(with = "time::serde::rfc3339")]
    pub last_started_at: OffsetDateTime,
    /// When the last one that came to its end did.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub last_finished_at: Option<OffsetDateTime>,
    /// How many came to their end.
    pub finished: u64,
    /// How many clusters the last finished one wished a look at.
    pub clusters: usize,
    /// The last key that the running one made a wish for, if it was interrupted.
    #[serde(default)]
    pub reached: Option<String>,
    /// What the last one could not do, for people.
    #[serde(default)]
    pub trouble: Option<String>,
}

impl Document for SweepNote {
    const FOLDER: &'static str = "sweeps/";

    fn name(&self) -> String {
        name_of(&self.key)
    }
}

/// The sweeps in the ledger.
#[derive(Debug, Clone)]
pub struct Sweeps {
    documents: Documents,
}

impl Sweeps {
    /// Sweeps noted as documents.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self { documents }
    }

    /// What is known of the sweeps of a key; `None` before the first.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn get(&self, key: &str) -> Result<Option<SweepNote>, LedgerError> {
        let document = self.documents.read(&name_of(key)).await?;
        Ok(document.map(|(document, _)| document))
    }

    /// Notes that a sweep begins, or goes on after it was interrupted.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn begin(&self, key: &str, now: OffsetDateTime) -> Result<SweepNote, LedgerError> {
        let fresh = SweepNote {
            key: key.to_owned(),
            first_started_at: now,
            last_started_at: now,
            last_finished_at: None,
            finished: 0,
            clusters: 0,
            reached: None,
            trouble: None,
        };
        let noted = self
            .documents
            .change(&name_of(key), |present: Option<&SweepNote>| match present {
                None => Some(fresh.clone()),
                Some(going_on) if going_on.reached.is_some() => None,
                Some(earlier) => Some(SweepNote {
                    last_started_at: now,
                    ..earlier.clone()
                }),
            })
            .await?;
        Ok(noted.unwrap_or(fresh))
    }

    /// Notes how far a sweep has come that has to stop for now.
    ///
    /// # Errors
    /// As [`Sweeps::begin`].
    pub async fn reached(&self, key: &str, last: &str) -> Result<(), LedgerError> {
        self.note(key, |note| note.reached = Some(last.to_owned())).await
    }

    /// Notes the end of a sweep.
    ///
    /// # Errors
    /// As [`Sweeps::begin`].
    pub async fn finish(
        &self,
        key: &str,
        clusters: usize,
        trouble: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<(), LedgerError> {
        self.note(key, |note| {
            note.last_finished_at = Some(now);
            note.finished = note.finished.saturating_add(1);
            note.clusters = clusters;
            note.reached = None;
            note.trouble = trouble.map(str::to_owned);
        })
        .await
    }

    async fn note<F>(&self, key: &str, note: F) -> Result<(), LedgerError>
    where
        F: Fn(&mut SweepNote) + Send + Sync,
    {
        self.documents
            .change(&name_of(key), |present: Option<&SweepNote>| {
                let mut noted = present?.clone();
                note(&mut noted);
                Some(noted)
            })
            .await
            .map(|_| ())
    }
}

fn name_of(key: &str) -> String {
    format!("{}{}.json", SweepNote::FOLDER, digest(key))
}
