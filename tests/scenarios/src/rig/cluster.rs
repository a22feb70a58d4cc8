//! Clusters of a run: made as a person makes them, and found again by what Azure shows of them, never by the product's names.

use azure_sim::{ClusterSpec, Documents};
use serde_json::Value;

use super::Rig;

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
    /// ARM id of its node subnet.
    pub subnet: String,
    /// ARM id of the security group on it.
    pub security_group: String,
}

impl Rig {
    /// A person creates cluster number `index` (1 to 255); it is there some minutes later.
    pub fn create_cluster(&mut self, index: u8) -> Cluster {
        let spec = ClusterSpec::usual(&format!("aks-{index:02}"), index);
        let now = self.now();
        let mut azure = self.azure.lock();
        let id = azure.create_cluster(&spec, now);
        let subscription = azure.world().subscription.clone();
        Cluster {
            key: id.to_ascii_lowercase(),
            vnet: spec.vnet_id(&subscription),
            subnet: spec.subnet_id(&subscription, &spec.subnets[0].name),
            security_group: spec.security_group_id(&subscription),
            id,
            spec,
        }
    }

    /// Creates clusters 1 to `count` and runs until all is done.
    pub async fn wire_clusters(&mut self, count: u8) -> Vec<Cluster> {
        let clusters = (1..=count).map(|index| self.create_cluster(index)).collect();
        self.settle().await;
        clusters
    }

    /// The event of the cluster's creation, in Event Grid's schema, as it was delivered.
    #[must_use]
    pub fn creation_of(&self, cluster: &Cluster) -> Value {
        self.first(self.events(), cluster)
    }

    /// The event of the cluster's creation as a CloudEvent.
    #[must_use]
    pub fn cloud_creation_of(&self, cluster: &Cluster) -> Value {
        self.first(self.cloud_events(), cluster)
    }

    /// A document as GET would show it.
    #[must_use]
    pub fn document(&self, id: &str) -> Value {
        let document = self.azure.lock().document(id);
        document.unwrap_or_else(|| self.fail(&format!("there is no {id}")))
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

    /// The one route table on the cluster's subnet.
    #[must_use]
    pub fn route_table_of(&self, cluster: &Cluster) -> String {
        let subnet = self.document(&cluster.subnet);
        let table = subnet["properties"]["routeTable"]["id"].as_str();
        table.map_or_else(
            || self.fail(&format!("{} has no route table", cluster.subnet)),
            str::to_owned,
        )
    }

    /// The one rule collection group that was not there at the start.
    #[must_use]
    pub fn our_group(&self) -> String {
        let foreign = self.azure.lock().world().hub.foreign_rule_collection_group.clone();
        let mut ours = self.ids_of("Microsoft.Network/firewallPolicies/ruleCollectionGroups");
        ours.retain(|id| !id.eq_ignore_ascii_case(&foreign));
        match ours.as_slice() {
            [one] => one.clone(),
            other => self.fail(&format!("one group of ours was expected, not {other:?}")),
        }
    }

    fn first(&self, events: Vec<Value>, cluster: &Cluster) -> Value {
        let about = |event: &&Value| {
            let uri = event["data"]["resourceUri"].as_str().unwrap_or_default();
            uri.eq_ignore_ascii_case(&cluster.id)
        };
        let found = events.iter().find(about).cloned();
        found.unwrap_or_else(|| self.fail(&format!("no event of {} was delivered", cluster.id)))
    }
}
