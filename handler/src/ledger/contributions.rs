//! Contributions: what each cluster needs from its hub, one document per hub and cluster.
//!
//! A contribution that is missing says nothing: only a tombstone with its evidence says that a cluster is gone, so a lost
//! ledger removes nobody's rules. What a contribution holds is the plan's affair and stays a JSON value here.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::documents::{Document, Documents, Listing, digest};
use super::error::LedgerError;
use super::store::Condition;

/// What one cluster needs from one hub, or that it needs nothing any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The hub's name in the configuration.
    pub hub: String,
    /// The cluster's key: its lower-cased id.
    pub cluster: String,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub written_at: OffsetDateTime,
    /// What is needed; `null` in a tombstone.
    pub body: Value,
    /// Why the cluster is known to be gone; present in a tombstone only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tombstone: Option<Value>,
}

impl Document for Contribution {
    const FOLDER: &'static str = "contributions/";

    fn name(&self) -> String {
        name_of(&self.hub, &self.cluster)
    }
}

/// The contributions in the ledger.
#[derive(Debug, Clone)]
pub struct Contributions {
    documents: Documents,
}

impl Contributions {
    /// Contributions kept as documents.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self { documents }
    }

    /// Writes what a cluster needs; true if that is a change. Equal content is not written again, so it keeps its time.
    /// A tombstone is replaced: a cluster of that name exists again.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn put(&self, hub: &str, cluster: &str, body: &Value, now: OffsetDateTime) -> Result<bool, LedgerError> {
        let wanted = Contribution {
            hub: hub.to_owned(),
            cluster: cluster.to_owned(),
            written_at: now,
            body: body.clone(),
            tombstone: None,
        };
        self.replace(wanted).await
    }

    /// Writes that a cluster is gone, with the evidence; true if that is a change.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn bury(
        &self,
        hub: &str,
        cluster: &str,
        evidence: &Value,
        now: OffsetDateTime,
    ) -> Result<bool, LedgerError> {
        let wanted = Contribution {
            hub: hub.to_owned(),
            cluster: cluster.to_owned(),
            written_at: now,
            body: Value::Null,
            tombstone: Some(evidence.clone()),
        };
        self.replace(wanted).await
    }

    /// The contribution or tombstone of a cluster.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn get(&self, hub: &str, cluster: &str) -> Result<Option<Contribution>, LedgerError> {
        let document = self.documents.read(&name_of(hub, cluster)).await?;
        Ok(document.map(|(document, _)| document))
    }

    /// All contributions and tombstones of a hub. Damaged ones are listed: their clusters' rules must stay as they are.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    pub async fn of_hub(&self, hub: &str) -> Result<Listing<Contribution>, LedgerError> {
        self.documents.all(&folder_of(hub)).await
    }

    /// Removes a tombstone once nothing of the cluster is left in the hub. A contribution is never removed by this.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn forget_tombstone(&self, hub: &str, cluster: &str) -> Result<bool, LedgerError> {
        match self.get(hub, cluster).await? {
            Some(Contribution { tombstone: Some(_), .. }) => self.documents.delete(&name_of(hub, cluster)).await,
            Some(_) | None => Ok(false),
        }
    }

    async fn replace(&self, wanted: Contribution) -> Result<bool, LedgerError> {
        let name = wanted.name();
        if let Some((present, etag)) = self.documents.read::<Contribution>(&name).await? {
            if present.body == wanted.body && present.tombstone == wanted.tombstone {
                return Ok(false);
            }
            if let super::store::Put::Stored(_) = self.documents.write(&wanted, Condition::IfMatch(etag)).await? {
                return Ok(true);
            }
        }
        // Absent, or changed in between: only the holder of the cluster's key lease writes, so the last word is ours.
        self.documents
            .change(&name, |_: Option<&Contribution>| Some(wanted.clone()))
            .await?;
        Ok(true)
    }
}

fn folder_of(hub: &str) -> String {
    format!("{}{}/", Contribution::FOLDER, digest(hub))
}

fn name_of(hub: &str, cluster: &str) -> String {
    format!("{}{}.json", folder_of(hub), digest(cluster))
}
