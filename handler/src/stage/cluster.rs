//! Clusters of a run: made as a person makes them, and found again by what Azure shows of them, never by the product's names.

use azure_sim::{ClusterSpec, Documents};
use serde_json::Value;

use super::{Stage, StageError};

/// A cluster that a person has asked for.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// How it was asked for.
    pub spec: ClusterSpec,
    /// ARM id.
    pub id: String,
    /// Its key in the ledger.
    pub key: String,
    /// ARM id of its network.
    pub vnet: String,
    /// ARM id of its first node subnet.
    pub subnet: String,
    /// ARM id of the security group on it.
    pub security_group: String,
}

impl Stage {
    /// A person creates a cluster; it is there some minutes later.
    pub fn create(&mut self, spec: ClusterSpec) -> Cluster {
        let now = self.now();
        let mut azure = self.azure.lock();
        let id = azure.create_cluster(&spec, now);
        let subscription = azure.world().subscription.clone();
        let first = spec.subnets.first().map(|subnet| subnet.name.as_str());
        Cluster {
            key: id.to_ascii_lowercase(),
            vnet: spec.vnet_id(&subscription),
            subnet: spec.subnet_id(&subscription, first.unwrap_or_default()),
            security_group: spec.security_group_id(&subscription),
            id,
            spec,
        }
    }

    /// A document as GET would show it.
    ///
    /// # Errors
    /// [`StageError::Absent`] if there is no such resource.
    pub fn document(&self, id: &str) -> Result<Value, StageError> {
        let document = self.azure.lock().document(id);
        document.ok_or_else(|| StageError::Absent(id.to_owned()))
    }

    /// Ids of all resources of a type.
    #[must_use]
    pub fn ids_of(&self, resource_type: &str) -> Vec<String> {
        let azure = self.azure.lock();
        let documents = azure.documents().list(resource_type);
        documents
            .iter()
            .filter_map(|d| d["id"].as_str().map(str::to_owned))
            .collect()
    }
}
