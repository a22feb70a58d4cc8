//! The running operations of each key: what an invocation started in Azure and a later one takes up again.
//!
//! One document per key, written as soon as Azure has accepted a write and before anything else is done, so that a crash
//! loses at most the answer of one idempotent write. Poll addresses are kept byte for byte. A record that is already there
//! for a step is replaced; nothing is polled or judged here.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::documents::{Document, Documents, digest};
use super::error::LedgerError;
use crate::arm::Operation;

/// A write that Azure has accepted, with what is to be done when it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperationRecord {
    /// The plan's step that started it.
    pub step: String,
    /// The operation; its poll address is replayed byte for byte.
    pub operation: Operation,
    /// Not to be asked for before this time (`Retry-After`).
    #[serde(with = "time::serde::rfc3339")]
    pub retry_at: OffsetDateTime,
    /// The body, if it was written over a document of somebody else's; compared with what is there afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Value>,
    /// The keys of the clusters that wait for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
}

/// All running operations of one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningOperations {
    /// The key.
    pub key: String,
    /// In the order they were started.
    pub operations: Vec<OperationRecord>,
}

impl Document for RunningOperations {
    const FOLDER: &'static str = "operations/";

    fn name(&self) -> String {
        name_of(&self.key)
    }
}

/// The operations in the ledger.
#[derive(Debug, Clone)]
pub struct Operations {
    documents: Documents,
}

impl Operations {
    /// Operations kept as documents.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self { documents }
    }

    /// What runs for a key, in the order it was started.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn running(&self, key: &str) -> Result<Vec<OperationRecord>, LedgerError> {
        let document = self.documents.read::<RunningOperations>(&name_of(key)).await?;
        Ok(document.map(|(document, _)| document.operations).unwrap_or_default())
    }

    /// Records an operation; one of the same step is replaced in its place.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn record(&self, key: &str, operation: &OperationRecord) -> Result<(), LedgerError> {
        self.documents
            .change(&name_of(key), |present: Option<&RunningOperations>| {
                let mut operations = present.map(|document| document.operations.clone()).unwrap_or_default();
                match operations.iter_mut().find(|known| known.step == operation.step) {
                    Some(known) => known.clone_from(operation),
                    None => operations.push(operation.clone()),
                }
                Some(RunningOperations {
                    key: key.to_owned(),
                    operations,
                })
            })
            .await
            .map(|_| ())
    }

    /// Forgets the operation of a step: its end is known.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn forget(&self, key: &str, step: &str) -> Result<(), LedgerError> {
        self.documents
            .change(&name_of(key), |present: Option<&RunningOperations>| {
                let document = present?;
                let left: Vec<_> = document
                    .operations
                    .iter()
                    .filter(|known| known.step != step)
                    .cloned()
                    .collect();
                (left.len() != document.operations.len()).then(|| RunningOperations {
                    key: key.to_owned(),
                    operations: left,
                })
            })
            .await
            .map(|_| ())
    }
}

fn name_of(key: &str) -> String {
    format!("{}{}.json", RunningOperations::FOLDER, digest(key))
}
