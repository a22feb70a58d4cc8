//! The stage with what a story knows of it: which clusters it has created, what it has marked, what the last command said.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use azure_sim::Azure;

use super::snapshot::Snapshot;
use super::statements::Thing;
use super::things;
use crate::cli::Said;
use crate::stage::reach::Continuity;
use crate::stage::{Cluster, START, Stage, StageError};

/// What came of a statement: a text for the transcript, or why the story ends here.
pub(super) type Done = Result<String, String>;

/// The stage with what the story knows of it.
pub(super) struct Scene {
    pub(super) stage: Stage,
    pub(super) clusters: Vec<(String, Cluster)>,
    /// What the last command said.
    pub(super) said: Option<Said>,
    pub(super) mark: Option<Snapshot>,
    pub(super) continuity: Continuity,
    /// Where each cluster's last service was exposed.
    pub(super) services: BTreeMap<String, Ipv4Addr>,
}

impl Scene {
    /// Time since the story began.
    pub(super) fn elapsed(&self) -> time::Duration {
        self.stage.now() - START
    }

    /// The ledger's key of a cluster.
    pub(super) fn key(&self, name: &str) -> Result<String, StageError> {
        let cluster = self.cluster(name).map_err(StageError::Absent)?;
        Ok(cluster.key.clone())
    }

    /// A cluster of the story.
    pub(super) fn cluster(&self, name: &str) -> Result<&Cluster, String> {
        let found = self.clusters.iter().find(|(known, _)| known == name);
        found
            .map(|(_, cluster)| cluster)
            .ok_or_else(|| format!("cluster {name}"))
    }

    /// The id of a thing.
    pub(super) fn find(&self, azure: &Azure, thing: &Thing) -> Result<String, String> {
        let config = self.stage.config().map_err(|error| error.to_string())?;
        things::find(azure, &config, thing, |name| self.cluster(name))
    }

    /// What the last command printed, progress included.
    pub(super) fn output(&self) -> String {
        let said = self.said.as_ref();
        said.map_or_else(String::new, |said| format!("{}{}", said.stderr, said.stdout))
    }
}
