//! The events that Event Grid could not deliver, as it leaves them: one blob each, in a container that the event subscription
//! names.
//!
//! The blobs are Event Grid's and are never changed or deleted here; that one was replayed is noted in the ledger, so that it is
//! replayed once. A note that is lost costs one idle look.

use std::collections::BTreeSet;
use std::sync::Arc;

use azure_core::http::HttpClient;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::account::StorageSettings;
use super::blobs::Blobs;
use super::documents::{Document, Documents, digest};
use super::error::LedgerError;
use super::store::{Condition, Store};
use crate::clock::Clock;

/// What reaches the other containers of the ledger's account.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) settings: StorageSettings,
    pub(super) transport: Arc<dyn HttpClient>,
    pub(super) clock: Arc<dyn Clock>,
}

/// That a dead letter was replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Replayed {
    /// The container.
    container: String,
    /// The blob.
    blob: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

impl Document for Replayed {
    const FOLDER: &'static str = "replayed/";

    fn name(&self) -> String {
        note_of(&self.container, &self.blob)
    }
}

/// The dead letters and what was done with them.
#[derive(Clone)]
pub struct DeadLetters {
    documents: Documents,
    account: Option<Account>,
}

impl std::fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetters").finish_non_exhaustive()
    }
}

impl DeadLetters {
    pub(super) fn new(documents: Documents, account: Option<Account>) -> Self {
        Self { documents, account }
    }

    pub(super) fn in_account(self, account: Account) -> Self {
        Self::new(self.documents, Some(account))
    }

    /// The names of the blobs that were not replayed yet, in order. `None` if there is no such container.
    ///
    /// # Errors
    /// [`LedgerError::Storage`], [`LedgerError::TooMany`].
    pub async fn waiting(&self, container: &str) -> Result<Option<Vec<String>>, LedgerError> {
        let Some(store) = self.container(container)? else {
            return Ok(None);
        };
        let mut names = match store.list("").await {
            Ok(names) => names,
            Err(LedgerError::Storage { code, .. }) if code == "ContainerNotFound" => return Ok(None),
            Err(error) => return Err(error),
        };
        let notes: BTreeSet<String> = self.documents.names(Replayed::FOLDER).await?.into_iter().collect();
        names.retain(|blob| !notes.contains(&note_of(container, blob)));
        Ok(Some(names))
    }

    /// The content of a blob; `None` if it is gone.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    pub async fn read(&self, container: &str, blob: &str) -> Result<Option<Bytes>, LedgerError> {
        match self.container(container)? {
            Some(store) => Ok(store.get(blob).await?.map(|(content, _)| content)),
            None => Ok(None),
        }
    }

    /// Notes that a blob was replayed.
    ///
    /// # Errors
    /// [`LedgerError::Storage`]: it is replayed once more then.
    pub async fn note_replayed(&self, container: &str, blob: &str, at: OffsetDateTime) -> Result<(), LedgerError> {
        let note = Replayed {
            container: container.to_owned(),
            blob: blob.to_owned(),
            at,
        };
        self.documents.write(&note, Condition::Any).await.map(|_| ())
    }

    fn container(&self, name: &str) -> Result<Option<Arc<dyn Store>>, LedgerError> {
        let Some(account) = &self.account else { return Ok(None) };
        let (transport, clock) = (Arc::clone(&account.transport), Arc::clone(&account.clock));
        let blobs = Blobs::in_container(&account.settings, name, transport, clock)?;
        Ok(Some(Arc::new(blobs)))
    }
}

fn note_of(container: &str, blob: &str) -> String {
    format!("{}{}.json", Replayed::FOLDER, digest(&format!("{container}\n{blob}")))
}
