//! Who else uses what a leaving cluster used: shared things stay, and nobody who lives there loses the way out.
//!
//! Other clusters are known by their footprints, which say what is still meant to be led to the hub, and by Azure's own list of
//! clusters, which needs no ledger. An interface that belongs to none of them is a stranger, of whom nobody knows what it needs.

use std::collections::BTreeSet;

use crate::blueprint::{Contribution, Footprint, HubFacts, Place, contribution};
use crate::config::{Config, Hub};
use crate::estate::{ClusterView, Estate, Kind};
use crate::ids::ResourceId;

/// One network that the cluster leaves, with everybody who stays.
pub(super) struct Site<'a> {
    pub(super) estate: &'a Estate,
    pub(super) place: &'a Place,
    pub(super) hub: &'a Hub,
    pub(super) facts: HubFacts,
    /// Living clusters in the network, other than the one that leaves.
    pub(super) neighbours: Vec<Stayer<'a>>,
    /// The footprints of clusters that stay.
    pub(super) others: &'a [Footprint],
    /// The groups whose interfaces belong to the leaving cluster.
    own_groups: &'a BTreeSet<String>,
}

/// A cluster that stays.
pub(super) struct Stayer<'a> {
    pub(super) cluster: ClusterView<'a>,
    /// What it needs; `None` while one of its subnets is not known.
    pub(super) contribution: Option<Contribution>,
    subnets: Vec<ResourceId>,
}

impl<'a> Site<'a> {
    pub(super) fn of(
        estate: &'a Estate,
        config: &Config,
        footprint: &'a Footprint,
        place: &'a Place,
        others: &'a [Footprint],
        (hub, facts): (&'a Hub, HubFacts),
    ) -> Self {
        let neighbours = estate
            .iter()
            .map(|(id, _)| id)
            .filter(|id| **id != footprint.cluster && Kind::of(id) == Some(Kind::ManagedCluster))
            .filter_map(|id| {
                let cluster = estate.cluster(id)?;
                let subnets = cluster.subnets();
                subnets.iter().find(|s| s.parent().as_ref() == Some(&place.vnet))?;
                let contribution = contribution(estate, config, id, &cluster, &place.hub, &facts);
                Some(Stayer {
                    cluster,
                    contribution,
                    subnets,
                })
            })
            .collect();
        Self {
            estate,
            place,
            hub,
            facts,
            neighbours,
            others,
            own_groups: &footprint.node_groups,
        }
    }

    /// True if another cluster needs the way to the hub: by its footprint in this network, or because it lives behind the table.
    pub(super) fn is_shared(&self) -> bool {
        let by_footprint = self.others.iter().flat_map(|f| &f.places);
        let lives_behind = |stayer: &Stayer<'_>| stayer.subnets.iter().any(|subnet| self.carries(subnet));
        by_footprint.into_iter().any(|place| place.vnet == self.place.vnet) || self.neighbours.iter().any(lives_behind)
    }

    /// True if another cluster lives in the subnet, or is meant to be led to the hub from it.
    pub(super) fn is_subnet_shared(&self, subnet: &ResourceId) -> bool {
        let mut by_footprint = self.others.iter().flat_map(|f| &f.places);
        by_footprint.any(|place| place.subnets.contains(subnet))
            || self.neighbours.iter().any(|stayer| stayer.subnets.contains(subnet))
    }

    /// True if another cluster's routes are in the same table.
    pub(super) fn is_table_shared(&self) -> bool {
        let mut by_footprint = self.others.iter().flat_map(|f| &f.places);
        by_footprint.any(|place| place.route_table == self.place.route_table)
    }

    /// True if the subnet carries the place's table now.
    pub(super) fn carries(&self, subnet: &ResourceId) -> bool {
        let attached = self.estate.subnet(subnet).and_then(|s| s.route_table());
        attached.as_ref() == Some(&self.place.route_table)
    }

    /// All subnets that carry the place's table, by the network's own document or theirs.
    pub(super) fn carriers(&self) -> BTreeSet<ResourceId> {
        let listed = self
            .estate
            .vnet(&self.place.vnet)
            .map(|v| v.subnets())
            .unwrap_or_default();
        listed
            .iter()
            .map(|subnet| self.place.vnet.child("subnets", subnet.name()))
            .chain(self.place.subnets.iter().cloned())
            .filter(|id| self.carries(id))
            .collect()
    }

    /// Who lives in the subnet and is no cluster that we know, in words; the leaving cluster's own remains do not count.
    pub(super) fn stranger(&self, subnet: &ResourceId) -> Option<String> {
        let known: BTreeSet<String> = self
            .neighbours
            .iter()
            .filter_map(|stayer| stayer.cluster.node_resource_group())
            .map(str::to_ascii_lowercase)
            .chain(self.own_groups.iter().cloned())
            .collect();
        let view = self.estate.subnet(subnet)?;
        let interfaces = view.ip_configurations();
        interfaces.into_iter().find_map(|interface| {
            let id = ResourceId::parse(interface).ok();
            let group = id
                .as_ref()
                .and_then(|id| id.resource_group())
                .map(str::to_ascii_lowercase);
            match group {
                Some(group) if known.contains(&group) => None,
                Some(group) => Some(group),
                None => Some(format!("an interface of the id {interface:?}")),
            }
        })
    }
}
