//! Outcomes: what came of the last work on each key, for status and for whoever asks why.
//!
//! One document per key, the last writer's; it decides nothing, so losing it loses only what people read. A damaged one is
//! replaced by the next outcome.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::documents::{Document, Documents, Listing, digest};
use super::error::LedgerError;
use super::store::Condition;

/// What came of the last work on a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The key.
    pub key: String,
    /// The state, for example `wired` or `waiting`.
    pub state: String,
    /// When it was found.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Steps, proofs, findings: the worker's own words.
    pub body: Value,
}

impl Document for Outcome {
    const FOLDER: &'static str = "outcomes/";

    fn name(&self) -> String {
        name_of(&self.key)
    }
}

/// The outcomes in the ledger.
#[derive(Debug, Clone)]
pub struct Outcomes {
    documents: Documents,
}

impl Outcomes {
    /// Outcomes kept as documents.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self { documents }
    }

    /// Writes the last outcome of its key.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    pub async fn put(&self, outcome: &Outcome) -> Result<(), LedgerError> {
        self.documents.write(outcome, Condition::Any).await.map(|_| ())
    }

    /// The last outcome of a key.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn get(&self, key: &str) -> Result<Option<Outcome>, LedgerError> {
        let document = self.documents.read(&name_of(key)).await?;
        Ok(document.map(|(document, _)| document))
    }

    /// The last outcomes of all keys.
    ///
    /// # Errors
    /// [`LedgerError::Storage`], [`LedgerError::TooMany`].
    pub async fn all(&self) -> Result<Listing<Outcome>, LedgerError> {
        self.documents.all(Outcome::FOLDER).await
    }
}

fn name_of(key: &str) -> String {
    format!("{}{}.json", Outcome::FOLDER, digest(key))
}
