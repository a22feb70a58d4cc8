//! JSON documents with a version, found by name and changed by ETag.
//!
//! A document is read wholly or set aside as [`Damaged`]: other versions, broken JSON and a document under another's name
//! are never guessed at or overwritten. Changes are bounded compare-and-set loops without waiting: in each round at least
//! one contender gets through.

use std::sync::Arc;

use azure_core::http::Etag;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::error::LedgerError;
use super::store::{Condition, Put, Store};

/// The version this code reads and writes.
pub const VERSION: u64 = 1;

/// How often a change is tried: more contenders than one app has invocations at once [functions-host: queue batch size].
pub const MAX_ATTEMPTS: u32 = 64;

/// A kind of document.
pub trait Document: Serialize + DeserializeOwned + Send + Sync {
    /// The folder of this kind, ending in `/`.
    const FOLDER: &'static str;

    /// The blob's name: follows from what the document says it is about.
    fn name(&self) -> String;
}

/// A document that cannot be read. It is left where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ledger document {name} cannot be read: {reason}; it is left as it is, move it away to start it anew")]
pub struct Damaged {
    /// The blob's name.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// All documents of a kind that can be read, and those that cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<D> {
    /// In the order of their names.
    pub documents: Vec<D>,
    /// In the order of their names.
    pub damaged: Vec<Damaged>,
}

/// Reads and writes documents.
#[derive(Debug, Clone)]
pub struct Documents {
    store: Arc<dyn Store>,
}

impl Documents {
    /// Documents in a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The document of a name with its version.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if it cannot be read, [`LedgerError::Storage`].
    pub async fn read<D: Document>(&self, name: &str) -> Result<Option<(D, Etag)>, LedgerError> {
        match self.store.get(name).await? {
            None => Ok(None),
            Some((content, etag)) => Ok(Some((parse(name, &content)?, etag))),
        }
    }

    /// Writes a document under its own name.
    ///
    /// # Errors
    /// [`LedgerError::Storage`], or [`LedgerError::NotJson`] if it cannot be serialised.
    pub async fn write<D: Document>(&self, document: &D, condition: Condition) -> Result<Put, LedgerError> {
        let name = document.name();
        let content = render(&name, document)?;
        self.store.put(&name, content, condition).await
    }

    /// Changes a document: `change` gets what is there and says what should be, or `None` to leave it.
    /// Returns what is there in the end.
    ///
    /// # Errors
    /// [`LedgerError::Contended`] after [`MAX_ATTEMPTS`] lost races, [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn change<D, F>(&self, name: &str, change: F) -> Result<Option<D>, LedgerError>
    where
        D: Document,
        F: Fn(Option<&D>) -> Option<D> + Send + Sync,
    {
        for _ in 0..MAX_ATTEMPTS {
            let present = self.read::<D>(name).await?;
            let Some(wanted) = change(present.as_ref().map(|(document, _)| document)) else {
                return Ok(present.map(|(document, _)| document));
            };
            let condition = present.map_or(Condition::IfAbsent, |(_, etag)| Condition::IfMatch(etag));
            if let Put::Stored(_) = self.write(&wanted, condition).await? {
                return Ok(Some(wanted));
            }
        }
        Err(LedgerError::Contended {
            name: name.to_owned(),
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Deletes a document; false if there was none.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    pub async fn delete(&self, name: &str) -> Result<bool, LedgerError> {
        self.store.delete(name).await
    }

    /// All documents whose names begin with `prefix`, which lies in the folder of `D`.
    ///
    /// # Errors
    /// [`LedgerError::Storage`], [`LedgerError::TooMany`]; damaged documents are listed, not errors.
    pub async fn all<D: Document>(&self, prefix: &str) -> Result<Listing<D>, LedgerError> {
        let names = self.names(prefix).await?;
        self.named(names).await
    }

    /// The names that begin with `prefix`, in order, without reading what they name.
    ///
    /// # Errors
    /// [`LedgerError::Storage`], [`LedgerError::TooMany`].
    pub async fn names(&self, prefix: &str) -> Result<Vec<String>, LedgerError> {
        self.store.list(prefix).await
    }

    /// The documents of these names, in their order.
    ///
    /// # Errors
    /// [`LedgerError::Storage`]; damaged documents are listed, not errors.
    pub async fn named<D: Document>(&self, names: Vec<String>) -> Result<Listing<D>, LedgerError> {
        let mut listing = Listing {
            documents: Vec::new(),
            damaged: Vec::new(),
        };
        for name in names {
            match self.read(&name).await {
                Ok(Some((document, _))) => listing.documents.push(document),
                // Deleted since it was listed.
                Ok(None) => {}
                Err(LedgerError::Damaged(damaged)) => listing.damaged.push(damaged),
                Err(error) => return Err(error),
            }
        }
        Ok(listing)
    }
}

/// The name part of any text: the first 40 hex digits of its SHA-256. Blob names bound length and characters, keys do not.
#[must_use]
pub fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .take(20)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn parse<D: Document>(name: &str, content: &[u8]) -> Result<D, Damaged> {
    let damaged = |reason: String| Damaged {
        name: name.to_owned(),
        reason,
    };
    let mut value: Map<String, Value> = serde_json::from_slice(content).map_err(|error| damaged(error.to_string()))?;
    match value.remove("version") {
        Some(version) if version == VERSION => {}
        Some(version) => {
            return Err(damaged(format!(
                "version {version} is unknown, this app knows {VERSION}"
            )));
        }
        None => return Err(damaged("it has no version".to_owned())),
    }
    let document: D = serde_json::from_value(Value::Object(value)).map_err(|error| damaged(error.to_string()))?;
    let own = document.name();
    if own == name {
        Ok(document)
    } else {
        Err(damaged(format!("by its content it belongs at {own}")))
    }
}

fn render<D: Document>(name: &str, document: &D) -> Result<Bytes, LedgerError> {
    let not_json = |reason: String| LedgerError::NotJson {
        name: name.to_owned(),
        reason,
    };
    let mut members = Map::from_iter([("version".to_owned(), Value::from(VERSION))]);
    match serde_json::to_value(document).map_err(|error| not_json(error.to_string()))? {
        Value::Object(body) => members.extend(body),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err(not_json("it is not an object".to_owned()));
        }
    }
    serde_json::to_vec(&members)
        .map(Bytes::from)
        .map_err(|error| not_json(error.to_string()))
}
