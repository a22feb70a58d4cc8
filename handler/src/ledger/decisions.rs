//! What people decided: one document per cluster and one per hub, each decision with its time, its reason and who gave it.
//!
//! A decision outlives the look that asked for it, so it is kept until somebody takes it back. What cannot be read is an error
//! for the look, which then writes nothing: a pause or a release must not be lost to a broken document. The history is for
//! people and short; it decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use hubward_core::plan::{Acceptance, Word};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::documents::{Document, Documents, Listing, digest};
use super::error::LedgerError;

/// How many past decisions a document keeps.
const HISTORY: usize = 20;

/// One decision of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When it was given.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Who gave it, by their own word: a function key tells nobody's name.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Decision {
    /// What the app itself notes about the end of a decision.
    fn of_the_app(at: OffsetDateTime, reason: &str) -> Self {
        Self {
            at,
            by: "hubward".to_owned(),
            reason: reason.to_owned(),
        }
    }
}

/// A decision of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// What was decided, for example `pause`.
    pub what: String,
    /// When, by whom and why.
    #[serde(flatten)]
    pub decision: Decision,
}

/// What is decided about a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterDecisions {
    /// The cluster's key: its lower-cased id.
    pub cluster: String,
    /// It may be written although it is older than the installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<Decision>,
    /// The approved steps, by their digests.
    #[serde(default)]
    pub approved: BTreeMap<String, Decision>,
    /// What its owner accepts.
    #[serde(default)]
    pub accepted: BTreeSet<Acceptance>,
    /// It is to be taken off the hub and left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Decision>,
    /// The last decisions, oldest first.
    #[serde(default)]
    pub history: Vec<Past>,
}

/// What is decided about a hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubDecisions {
    /// The hub's name in the configuration.
    pub hub: String,
    /// Nothing is written to it and its spokes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Decision>,
    /// The last decisions, oldest first.
    #[serde(default)]
    pub history: Vec<Past>,
}

/// What an approval covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approval {
    /// The cluster's age does not matter any more.
    pub enrolls: bool,
    /// Steps, by their digests.
    pub steps: BTreeSet<String>,
    /// What is accepted.
    pub accepts: BTreeSet<Acceptance>,
}

impl Document for ClusterDecisions {
    const FOLDER: &'static str = "decisions/clusters/";

    fn name(&self) -> String {
        name_of::<Self>(&self.cluster)
    }
}

impl Document for HubDecisions {
    const FOLDER: &'static str = "decisions/hubs/";

    fn name(&self) -> String {
        name_of::<Self>(&self.hub)
    }
}

impl ClusterDecisions {
    fn none(cluster: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            enrolled: None,
            approved: BTreeMap::new(),
            accepted: BTreeSet::new(),
            released: None,
            history: Vec::new(),
        }
    }

    /// What still holds of a cluster that was said to be deleted at `deleted_at`: what people said of it before was about one that
    /// may be gone. That it is left alone holds on, because the deletion may be made up.
    #[must_use]
    pub fn since(mut self, deleted_at: Option<OffsetDateTime>) -> Self {
        let Some(deleted_at) = deleted_at else { return self };
        let holds = |decision: &Decision| decision.at > deleted_at;
        self.enrolled = self.enrolled.filter(holds);
        self.approved.retain(|_, decision| holds(decision));
        let last = self.history.iter().rev().find(|past| past.what == APPROVE);
        if !last.is_some_and(|past| holds(&past.decision)) {
            self.accepted.clear();
        }
        self
    }

    /// The decisions as a plan takes them; whether the hub is paused is the hub's own.
    #[must_use]
    pub fn word(&self) -> Word {
        Word {
            enrolled: self.enrolled.is_some(),
            approved: self.approved.keys().cloned().collect(),
            accepted: self.accepted.clone(),
            released: self.released.is_some(),
            paused: false,
        }
    }
}

impl HubDecisions {
    fn none(hub: &str) -> Self {
        Self {
            hub: hub.to_owned(),
            paused: None,
            history: Vec::new(),
        }
    }
}

/// What the history calls an approval.
const APPROVE: &str = "approve";

/// The decisions in the ledger.
#[derive(Debug, Clone)]
pub struct Decisions {
    documents: Documents,
}

impl Decisions {
    /// Decisions kept as documents.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self { documents }
    }

    /// What is decided about a cluster.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn of_cluster(&self, cluster: &str) -> Result<ClusterDecisions, LedgerError> {
        let document = self.documents.read(&name_of::<ClusterDecisions>(cluster)).await?;
        Ok(document.map_or_else(|| ClusterDecisions::none(cluster), |(document, _)| document))
    }

    /// What is decided about a hub.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn of_hub(&self, hub: &str) -> Result<HubDecisions, LedgerError> {
        let document = self.documents.read(&name_of::<HubDecisions>(hub)).await?;
        Ok(document.map_or_else(|| HubDecisions::none(hub), |(document, _)| document))
    }

    /// What is decided about every cluster of which something is.
    ///
    /// # Errors
    /// [`LedgerError::Storage`], [`LedgerError::TooMany`].
    pub async fn of_clusters(&self) -> Result<Listing<ClusterDecisions>, LedgerError> {
        self.documents.all(ClusterDecisions::FOLDER).await
    }

    /// What is decided about every hub of which something is.
    ///
    /// # Errors
    /// [`LedgerError::Storage`], [`LedgerError::TooMany`].
    pub async fn of_hubs(&self) -> Result<Listing<HubDecisions>, LedgerError> {
        self.documents.all(HubDecisions::FOLDER).await
    }

    /// The hubs that are paused.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if one document cannot be read: it may hold a pause. [`LedgerError::Storage`],
    /// [`LedgerError::TooMany`].
    pub async fn paused_hubs(&self) -> Result<BTreeSet<String>, LedgerError> {
        let listing = self.of_hubs().await?;
        if let Some(damaged) = listing.damaged.into_iter().next() {
            return Err(damaged.into());
        }
        let paused = listing.documents.into_iter().filter(|hub| hub.paused.is_some());
        Ok(paused.map(|hub| hub.hub).collect())
    }

    /// Lets go what waits for somebody's word, and takes a release back.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn approve(&self, cluster: &str, approval: &Approval, decision: &Decision) -> Result<(), LedgerError> {
        self.change_cluster(cluster, APPROVE, decision, |document| {
            if approval.enrolls {
                document.enrolled.get_or_insert_with(|| decision.clone());
            }
            let steps = approval.steps.iter().map(|step| (step.clone(), decision.clone()));
            document.approved.extend(steps);
            document.accepted.extend(approval.accepts.iter().cloned());
            document.released = None;
        })
        .await
    }

    /// Has a cluster taken off its hub. What was approved and accepted for it no longer holds.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn release(&self, cluster: &str, decision: &Decision) -> Result<(), LedgerError> {
        self.change_cluster(cluster, "offboard", decision, |document| {
            document.released.get_or_insert_with(|| decision.clone());
            document.approved.clear();
            document.accepted.clear();
        })
        .await
    }

    /// Forgets everything that was decided about a cluster that is gone: one that is made under its name is another cluster.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn forget(&self, cluster: &str, at: OffsetDateTime) -> Result<(), LedgerError> {
        let present = self.of_cluster(cluster).await?;
        if present.word() == Word::default() {
            return Ok(());
        }
        let gone = Decision::of_the_app(at, "the cluster is gone");
        self.change_cluster(cluster, "forget", &gone, |document| {
            document.enrolled = None;
            document.approved.clear();
            document.accepted.clear();
            document.released = None;
        })
        .await
    }

    /// Ends the approvals of steps that were carried out: what somebody undoes by hand later needs a word of its own.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn use_up(&self, cluster: &str, steps: &BTreeSet<String>, at: OffsetDateTime) -> Result<(), LedgerError> {
        if steps.is_empty() {
            return Ok(());
        }
        let done = Decision::of_the_app(at, "what was approved is done");
        self.change_cluster(cluster, "use up", &done, |document| {
            document.approved.retain(|step, _| !steps.contains(step));
        })
        .await
    }

    /// Pauses a hub; false if it was paused already.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn pause(&self, hub: &str, decision: &Decision) -> Result<bool, LedgerError> {
        self.change_hub(hub, "pause", decision, |document| {
            let news = document.paused.is_none();
            document.paused.get_or_insert_with(|| decision.clone());
            news
        })
        .await
    }

    /// Ends the pause of a hub; false if it was not paused.
    ///
    /// # Errors
    /// [`LedgerError::Contended`], [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn resume(&self, hub: &str, decision: &Decision) -> Result<bool, LedgerError> {
        self.change_hub(hub, "resume", decision, |document| document.paused.take().is_some())
            .await
    }

    async fn change_cluster<F>(
        &self,
        cluster: &str,
        what: &str,
        decision: &Decision,
        change: F,
    ) -> Result<(), LedgerError>
    where
        F: Fn(&mut ClusterDecisions) + Send + Sync,
    {
        self.documents
            .change(
                &name_of::<ClusterDecisions>(cluster),
                |present: Option<&ClusterDecisions>| {
                    let mut document = present.cloned().unwrap_or_else(|| ClusterDecisions::none(cluster));
                    change(&mut document);
                    note(&mut document.history, what, decision);
                    Some(document)
                },
            )
            .await
            .map(|_| ())
    }

    /// Changes a hub's document if `change` says that it is news, and tells whether it was.
    async fn change_hub<F>(&self, hub: &str, what: &str, decision: &Decision, change: F) -> Result<bool, LedgerError>
    where
        F: Fn(&mut HubDecisions) -> bool + Send + Sync,
    {
        let present = self.of_hub(hub).await?;
        if !change(&mut present.clone()) {
            return Ok(false);
        }
        self.documents
            .change(&name_of::<HubDecisions>(hub), |present: Option<&HubDecisions>| {
                let mut document = present.cloned().unwrap_or_else(|| HubDecisions::none(hub));
                change(&mut document);
                note(&mut document.history, what, decision);
                Some(document)
            })
            .await?;
        Ok(true)
    }
}

fn note(history: &mut Vec<Past>, what: &str, decision: &Decision) {
    history.push(Past {
        what: what.to_owned(),
        decision: decision.clone(),
    });
    let surplus = history.len().saturating_sub(HISTORY);
    history.drain(..surplus);
}

fn name_of<D: Document>(subject: &str) -> String {
    format!("{}{}.json", D::FOLDER, digest(subject))
}

#[cfg(test)]
mod tests;
