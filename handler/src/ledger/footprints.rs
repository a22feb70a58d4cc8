//! Footprints: what each cluster's wiring touches, kept from before its first write until it is unwired.
//!
//! A second, tiny document per network and cluster finds everybody in a network without reading all footprints. A footprint
//! that is missing means that nothing of the cluster is ours to remove; what it names is never guessed.

use std::collections::BTreeSet;

use hubward_core::blueprint::Footprint;
use hubward_core::ids::ResourceId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::documents::{Document, Documents, Listing, digest};
use super::error::LedgerError;
use super::store::Condition;

/// The footprint of a cluster, as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The cluster's key: its lower-cased id.
    pub cluster: String,
    /// Since when the cluster is being unwired: what it shares is no longer needed by it.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub leaving_since: Option<OffsetDateTime>,
    /// True from when unwiring began until the cluster is wired again: something of ours may be half taken away.
    #[serde(default)]
    pub unfinished: bool,
    /// What wiring touches.
    pub footprint: Footprint,
}

impl Document for Kept {
    const FOLDER: &'static str = "footprints/";

    fn name(&self) -> String {
        name_of(&self.cluster)
    }
}

/// That a cluster has a footprint in a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Dweller {
    /// The network's key.
    vnet: String,
    /// The cluster's key.
    cluster: String,
}

impl Document for Dweller {
    const FOLDER: &'static str = "dwellers/";

    fn name(&self) -> String {
        format!("{}{}.json", folder_of(&self.vnet), digest(&self.cluster))
    }
}

/// The footprints in the ledger.
#[derive(Debug, Clone)]
pub struct Footprints {
    documents: Documents,
}

impl Footprints {
    /// Footprints kept as documents.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self { documents }
    }

    /// Adds to a cluster's footprint, and takes back that it is leaving; true if that is a change. Durable when it returns,
    /// for every network it names.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`]: nothing may be written to Azure then.
    pub async fn grow(&self, footprint: &Footprint) -> Result<bool, LedgerError> {
        let cluster = footprint.cluster.key();
        let present = self.get(&cluster).await?;
        let grown = Kept {
            footprint: present
                .as_ref()
                .map_or_else(|| footprint.clone(), |kept| kept.footprint.grown(footprint)),
            leaving_since: None,
            unfinished: present.as_ref().is_some_and(|kept| kept.unfinished),
            cluster,
        };
        if present.as_ref() == Some(&grown) {
            return Ok(false);
        }
        // First, or a crash in between would leave a footprint that nobody in the network sees.
        for vnet in grown.footprint.vnets() {
            self.documents
                .write(&dweller(&vnet, &grown.cluster), Condition::Any)
                .await?;
        }
        self.replace(grown).await?;
        Ok(true)
    }

    /// Notes that a cluster is being unwired, from when on it no longer needs what it shares.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn leave(&self, cluster: &str, now: OffsetDateTime) -> Result<(), LedgerError> {
        let Some(present) = self.get(cluster).await? else {
            return Ok(());
        };
        if present.leaving_since.is_some() {
            return Ok(());
        }
        let leaving = Kept {
            leaving_since: Some(now),
            unfinished: true,
            ..present
        };
        self.replace(leaving).await
    }

    /// Notes that a cluster whose unwiring was interrupted is wired as if there had been none.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn mended(&self, cluster: &str) -> Result<(), LedgerError> {
        match self.get(cluster).await? {
            Some(present) if present.unfinished => {
                let whole = Kept {
                    unfinished: false,
                    ..present
                };
                self.replace(whole).await
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The footprint of a cluster.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn get(&self, cluster: &str) -> Result<Option<Kept>, LedgerError> {
        let document = self.documents.read(&name_of(cluster)).await?;
        Ok(document.map(|(document, _)| document))
    }

    /// The footprints of all other clusters that touch one of these networks, in the order of their clusters.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if one cannot be read, because what it needs would not be known; [`LedgerError::Storage`].
    pub async fn others(&self, cluster: &str, vnets: &BTreeSet<ResourceId>) -> Result<Vec<Kept>, LedgerError> {
        let mut names = BTreeSet::new();
        for vnet in vnets {
            let listing = self.documents.all::<Dweller>(&folder_of(&vnet.key())).await?;
            if let Some(damaged) = listing.damaged.into_iter().next() {
                return Err(LedgerError::Damaged(damaged));
            }
            names.extend(listing.documents.into_iter().map(|dweller| dweller.cluster));
        }
        names.remove(cluster);
        let mut kept = Vec::new();
        for name in names {
            // One that was forgotten since, or by a worker that died before its networks were.
            kept.extend(self.get(&name).await?);
        }
        Ok(kept)
    }

    /// All footprints.
    ///
    /// # Errors
    /// [`LedgerError::Storage`], [`LedgerError::TooMany`].
    pub async fn all(&self) -> Result<Listing<Kept>, LedgerError> {
        self.documents.all(Kept::FOLDER).await
    }

    /// Removes the footprint of a cluster of which nothing is left; false if there was none.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn forget(&self, cluster: &str) -> Result<bool, LedgerError> {
        let Some(present) = self.get(cluster).await? else {
            return Ok(false);
        };
        let gone = self.documents.delete(&name_of(cluster)).await?;
        for vnet in present.footprint.vnets() {
            self.documents.delete(&dweller(&vnet, cluster).name()).await?;
        }
        Ok(gone)
    }

    /// Only the holder of the cluster's key lease writes, so the last word is ours.
    async fn replace(&self, wanted: Kept) -> Result<(), LedgerError> {
        let name = wanted.name();
        self.documents
            .change(&name, |_: Option<&Kept>| Some(wanted.clone()))
            .await
            .map(|_| ())
    }
}

fn dweller(vnet: &ResourceId, cluster: &str) -> Dweller {
    Dweller {
        vnet: vnet.key(),
        cluster: cluster.to_owned(),
    }
}

fn name_of(cluster: &str) -> String {
    format!("{}{}.json", Kept::FOLDER, digest(cluster))
}

fn folder_of(vnet: &str) -> String {
    format!("{}{}/", Dweller::FOLDER, digest(vnet))
}
