//! A footprint: every resource that wiring one cluster touches, by its exact id. The ledger keeps it from before the first
//! write, so that a cluster can be unwired when nothing of it is left to read.
//!
//! It names only what is ours by name, and it only grows while the cluster lives: a subnet that a pool has left, or a network of
//! an earlier cluster of the same name, stays listed until unwiring has seen it clean.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::SpokeBlueprint;
use crate::estate::ClusterView;
use crate::ids::ResourceId;

/// What wiring a cluster touches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint {
    /// The cluster.
    pub cluster: ResourceId,
    /// The groups in which AKS keeps the cluster's own resources, in lower case: interfaces of theirs are the cluster's.
    pub node_groups: BTreeSet<String>,
    /// The networks that were led to a hub for the cluster, in the order of their ids; more than one only if a cluster of the
    /// same name lived elsewhere before.
    pub places: Vec<Place>,
    /// Our role assignments for the cluster's control plane.
    #[serde(default)]
    pub roles: BTreeSet<ResourceId>,
    /// The resource group of the application address.
    #[serde(default)]
    pub address_group: Option<ResourceId>,
    /// The application address.
    #[serde(default)]
    pub application_address: Option<ResourceId>,
}

/// What wiring touches in one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The hub's name in the configuration.
    pub hub: String,
    /// The network.
    pub vnet: ResourceId,
    /// The cluster's node and pod subnets.
    pub subnets: BTreeSet<ResourceId>,
    /// The table with our routes.
    pub route_table: ResourceId,
    /// False if the table belongs to AKS or to the owner, and only routes in it are ours.
    pub table_is_ours: bool,
    /// Our routes in the table, the default route first.
    pub routes: Vec<ResourceId>,
    /// Our peering in the hub's network; one of another name is not ours.
    pub hub_peering: ResourceId,
    /// Our peering in the spoke's network.
    pub spoke_peering: ResourceId,
}

/// The footprint of a cluster whose spoke has this blueprint.
#[must_use]
pub fn footprint(id: &ResourceId, cluster: &ClusterView<'_>, hub: &str, blueprint: &SpokeBlueprint) -> Footprint {
    let [hub_side, spoke_side] = &blueprint.peerings;
    let place = Place {
        hub: hub.to_owned(),
        vnet: blueprint.vnet.clone(),
        subnets: blueprint.subnets.iter().map(|s| s.id.clone()).collect(),
        table_is_ours: blueprint.table_is_ours,
        route_table: blueprint.route_table.clone(),
        routes: blueprint.routes.iter().map(|route| route.id.clone()).collect(),
        hub_peering: hub_side.id.clone(),
        spoke_peering: spoke_side.id.clone(),
    };
    Footprint {
        cluster: id.clone(),
        node_groups: cluster
            .node_resource_group()
            .map(str::to_ascii_lowercase)
            .into_iter()
            .collect(),
        places: vec![place],
        roles: BTreeSet::new(),
        address_group: None,
        application_address: None,
    }
}

impl Footprint {
    /// This footprint with everything of `more`. What both name is named once, as `more` has it.
    #[must_use]
    pub fn grown(&self, more: &Self) -> Self {
        let mut all = more.clone();
        all.node_groups.extend(self.node_groups.iter().cloned());
        all.roles.extend(self.roles.iter().cloned());
        all.address_group = all.address_group.or_else(|| self.address_group.clone());
        all.application_address = all.application_address.or_else(|| self.application_address.clone());
        for place in &self.places {
            match all.places.iter_mut().find(|p| p.is_as(place)) {
                Some(same) => same.subnets.extend(place.subnets.iter().cloned()),
                None => all.places.push(place.clone()),
            }
        }
        all.places
            .sort_by(|a, b| (&a.vnet, &a.route_table, &a.hub).cmp(&(&b.vnet, &b.route_table, &b.hub)));
        all
    }

    /// The networks it touches.
    #[must_use]
    pub fn vnets(&self) -> BTreeSet<ResourceId> {
        self.places.iter().map(|place| place.vnet.clone()).collect()
    }

    /// The hubs it contributes to.
    #[must_use]
    pub fn hubs(&self) -> BTreeSet<String> {
        self.places.iter().map(|place| place.hub.clone()).collect()
    }
}

impl Place {
    fn is_as(&self, other: &Self) -> bool {
        self.vnet == other.vnet
            && self.hub == other.hub
            && self.route_table == other.route_table
            && self.table_is_ours == other.table_is_ours
            && self.routes == other.routes
            && self.hub_peering == other.hub_peering
            && self.spoke_peering == other.spoke_peering
    }
}
