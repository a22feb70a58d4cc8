//! The ledger's container over the official blob client.
//!
//! It translates storage's answers into [`Put`], [`Acquire`] and booleans, and everything unexpected into
//! [`LedgerError::Storage`]. It never retries: the SDK's retries draw real randomness and sleep on a real clock, and whoever
//! asked brings the work again anyway.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::policies::Policy;
use azure_core::http::{ClientOptions, Etag, HttpClient, RetryOptions, Transport};
use azure_storage_blob::models::{
    BlobClientAcquireLeaseResultHeaders, BlobContainerClientListBlobsOptions, BlockBlobClientUploadOptions,
};
use azure_storage_blob::{BlobClient, BlobContainerClient, BlobContainerClientOptions};
use bytes::Bytes;
use futures::TryStreamExt;
use url::Url;

use super::CONTAINER;
use super::account::{Access, SettingsError, StorageSettings};
use super::error::{LedgerError, code_of, status_of};
use super::shared_key::SharedKeyPolicy;
use super::store::{Acquire, Condition, Put, Store};
use crate::clock::Clock;

/// The most names of one listing. Keys and contributions are a few per cluster, events are listed by the hour: more than
/// this is no estate but a mistake, and a listing must end.
const MAX_LISTED: usize = 100_000;

/// One container of the account: the ledger's own, or that of the dead letters.
pub struct Blobs {
    container: BlobContainerClient,
}

impl Blobs {
    /// A client for the container; nothing is sent yet.
    ///
    /// # Errors
    /// [`LedgerError::Settings`] if a credential is missing, [`LedgerError::Storage`] if the SDK refuses the address.
    pub fn new(
        settings: &StorageSettings,
        transport: Arc<dyn HttpClient>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LedgerError> {
        Self::in_container(settings, CONTAINER, transport, clock)
    }

    /// A client for any container of the account; nothing is sent yet.
    ///
    /// # Errors
    /// As [`Blobs::new`].
    pub fn in_container(
        settings: &StorageSettings,
        container: &str,
        transport: Arc<dyn HttpClient>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LedgerError> {
        let (credential, client_options) = client(&settings.access, transport, clock)?;
        let options = BlobContainerClientOptions {
            client_options,
            ..Default::default()
        };
        let container = BlobContainerClient::new(under(&settings.blob, container), credential, Some(options))
            .map_err(|error| LedgerError::storage("open container", container, error))?;
        Ok(Self { container })
    }

    /// Makes the container if it is not there.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    pub async fn ensure_container(&self) -> Result<(), LedgerError> {
        match self.container.create(None).await {
            Ok(_) => Ok(()),
            Err(error) if code_of(&error) == Some("ContainerAlreadyExists") => Ok(()),
            Err(error) => Err(LedgerError::storage("create container", CONTAINER, error)),
        }
    }

    fn blob(&self, name: &str) -> BlobClient {
        self.container.blob_client(name)
    }
}

impl std::fmt::Debug for Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Blobs").field(&self.container.url().as_str()).finish()
    }
}

#[async_trait]
impl Store for Blobs {
    async fn get(&self, name: &str) -> Result<Option<(Bytes, Etag)>, LedgerError> {
        let failed = |error| LedgerError::storage("get", name, error);
        let found = match self.blob(name).download(None).await {
            Ok(found) => found,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let etag = found.properties.etag.clone();
        let content = found.body.collect().await.map_err(failed)?;
        Ok(Some((content, versioned(etag).map_err(failed)?)))
    }

    async fn put(&self, name: &str, content: Bytes, condition: Condition) -> Result<Put, LedgerError> {
        let failed = |error| LedgerError::storage("put", name, error);
        let (if_match, if_none_match) = match &condition {
            Condition::Any => (None, None),
            Condition::IfMatch(etag) => (Some(etag.clone()), None),
            Condition::IfAbsent => (None, Some(Etag::from("*"))),
        };
        let options = BlockBlobClientUploadOptions {
            blob_content_type: Some("application/json".to_owned()),
            if_match,
            if_none_match,
            ..Default::default()
        };
        match self.blob(name).upload(content.into(), Some(options)).await {
            Ok(stored) => Ok(Put::Stored(versioned(stored.etag).map_err(failed)?)),
            Err(error) if is_conflict(&condition, &error) => Ok(Put::Conflict),
            Err(error) => Err(failed(error)),
        }
    }

    async fn delete(&self, name: &str) -> Result<bool, LedgerError> {
        match self.blob(name).delete(None).await {
            Ok(_) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(LedgerError::storage("delete", name, error)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, LedgerError> {
        let failed = |error| LedgerError::storage("list", prefix, error);
        let options = BlobContainerClientListBlobsOptions {
            prefix: Some(prefix.to_owned()),
            ..Default::default()
        };
        let mut blobs = self.container.list_blobs(Some(options)).map_err(failed)?;
        let mut names = Vec::new();
        while let Some(blob) = blobs.try_next().await.map_err(failed)? {
            if names.len() == MAX_LISTED {
                return Err(LedgerError::TooMany {
                    prefix: prefix.to_owned(),
                    limit: MAX_LISTED,
                });
            }
            names.extend(blob.name);
        }
        names.sort();
        Ok(names)
    }

    async fn acquire(&self, name: &str, duration: Duration) -> Result<Acquire, LedgerError> {
        let failed = |error| LedgerError::storage("lease", name, error);
        // Storage itself refuses what is not 15 to 60.
        let seconds = i32::try_from(duration.as_secs()).unwrap_or(i32::MAX);
        match self.blob(name).acquire_lease(seconds, None).await {
            Ok(answer) => match answer.lease_id().map_err(failed)? {
                Some(id) => Ok(Acquire::Acquired(id)),
                None => Err(failed(incomplete("x-ms-lease-id"))),
            },
            Err(error) if status_of(&error) == Some(409) => Ok(Acquire::Held),
            Err(error) if code_of(&error) == Some("BlobNotFound") => Ok(Acquire::Absent),
            Err(error) => Err(failed(error)),
        }
    }

    async fn renew(&self, name: &str, lease: &str) -> Result<bool, LedgerError> {
        let answer = self.blob(name).renew_lease(lease.to_owned(), None).await.map(|_| ());
        still_ours("renew lease", name, answer)
    }

    async fn release(&self, name: &str, lease: &str) -> Result<bool, LedgerError> {
        let answer = self.blob(name).release_lease(lease.to_owned(), None).await.map(|_| ());
        still_ours("release lease", name, answer)
    }
}

/// The credential and options of a storage client: our transport, no retries, the account key where there is one.
pub(super) fn client(
    access: &Access,
    transport: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
) -> Result<(Option<Arc<dyn TokenCredential>>, ClientOptions), SettingsError> {
    let mut options = ClientOptions {
        retry: RetryOptions::none(),
        transport: Some(Transport::new(transport)),
        ..Default::default()
    };
    match access {
        Access::SharedKey { account, key } => {
            let policy = SharedKeyPolicy::new(account.clone(), key.clone(), clock);
            options.per_try_policies.push(Arc::new(policy) as Arc<dyn Policy>);
            Ok((None, options))
        }
        Access::Identity(Some(credential)) => Ok((Some(Arc::clone(credential)), options)),
        Access::Identity(None) => Err(SettingsError::NoCredential),
    }
}

/// A container or queue under a service's address, whose path is kept: an emulator's has the account in it.
pub(super) fn under(service: &Url, name: &str) -> Url {
    let mut url = service.clone();
    url.set_path(&format!("{}/{name}", service.path().trim_end_matches('/')));
    url
}

fn is_absent(error: &azure_core::Error) -> bool {
    // A missing container is a broken installation, not a missing document.
    status_of(error) == Some(404) && code_of(error) != Some("ContainerNotFound")
}

/// Storage answers 412 to a stale `If-Match` and 409 `BlobAlreadyExists` to `If-None-Match: *`; over a blob that is there and
/// leased the latter is 412 `LeaseIdMissing`, and it is there all the same.
fn is_conflict(condition: &Condition, error: &azure_core::Error) -> bool {
    match (condition, status_of(error), code_of(error)) {
        (Condition::IfAbsent, Some(409), Some("BlobAlreadyExists")) => true,
        (Condition::IfAbsent, Some(412), Some("ConditionNotMet" | "LeaseIdMissing")) => true,
        (Condition::IfMatch(_), Some(412), Some("ConditionNotMet")) => true,
        (Condition::Any | Condition::IfMatch(_) | Condition::IfAbsent, _, _) => false,
    }
}

/// A lease that ended, was broken or went to another answers 409; a deleted blob 404; both mean it is not ours.
fn still_ours(operation: &'static str, name: &str, answer: Result<(), azure_core::Error>) -> Result<bool, LedgerError> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if matches!(status_of(&error), Some(404 | 409 | 412)) => Ok(false),
        Err(error) => Err(LedgerError::storage(operation, name, error)),
    }
}

fn versioned(etag: Option<Etag>) -> Result<Etag, azure_core::Error> {
    etag.ok_or_else(|| incomplete("etag"))
}

fn incomplete(header: &str) -> azure_core::Error {
    azure_core::Error::with_message(
        azure_core::error::ErrorKind::DataConversion,
        format!("the answer has no {header} header"),
    )
}
