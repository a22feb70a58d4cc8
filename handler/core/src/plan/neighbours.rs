//! Who else lives in the subnets of a switch: it changes their fate too, so they must be as ready as the cluster itself.
//!
//! Neighbours are the clusters of the estate; a network interface that belongs to none of them is a stranger, of whom nobody
//! knows what it needs, and stops the switch. Subnets that carry our table already are past the question.

use std::collections::BTreeSet;

use super::Wait;
use super::gates::{Gates, Scene, readiness};
use crate::blueprint::{Contribution, adopt_dnat, contribution};
use crate::estate::{ClusterView, Kind};
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;

/// Another cluster of the spoke with what it needs.
pub(super) struct Neighbour<'a> {
    pub(super) id: &'a ResourceId,
    pub(super) cluster: ClusterView<'a>,
    pub(super) contribution: Contribution,
    /// True if it has a subnet in common with the cluster.
    pub(super) shares_subnet: bool,
}

impl<'a> Neighbour<'a> {
    /// The scene with the neighbour in the place of the cluster.
    pub(super) fn scene<'b>(&'b self, scene: &Scene<'b>) -> Scene<'b>
    where
        'a: 'b,
    {
        Scene {
            id: self.id,
            cluster: self.cluster,
            contribution: &self.contribution,
            ..*scene
        }
    }
}

/// The other clusters of the estate in the same network. One of which a subnet is not known is left out, and its interfaces
/// are strangers.
pub(super) fn neighbours<'a>(scene: &Scene<'a>) -> Vec<Neighbour<'a>> {
    let vnet = &scene.blueprint.vnet;
    let mine: BTreeSet<&ResourceId> = scene.blueprint.subnets.iter().map(|s| &s.id).collect();
    scene
        .estate
        .iter()
        .map(|(id, _)| id)
        .filter(|id| *id != scene.id && Kind::of(id) == Some(Kind::ManagedCluster))
        .filter_map(|id| {
            let cluster = scene.estate.cluster(id)?;
            let subnets = cluster.subnets();
            subnets.iter().find(|s| s.parent().as_ref() == Some(vnet))?;
            let hub = &scene.contribution.hub;
            let mut contribution = contribution(scene.estate, scene.config, id, &cluster, hub, scene.facts)?;
            // Its reservation is its own look's affair.
            adopt_dnat(&mut contribution, scene.estate, scene.config, scene.hub);
            Some(Neighbour {
                id,
                cluster,
                contribution,
                shares_subnet: subnets.iter().any(|s| mine.contains(s)),
            })
        })
        .collect()
}

/// What the neighbours of the subnets still to be switched are not ready for.
pub(super) fn neighbour_gates(scene: &Scene<'_>, neighbours: &[Neighbour<'_>], gates: &mut Gates) {
    for neighbour in neighbours.iter().filter(|n| n.shares_subnet) {
        let theirs = readiness(&neighbour.scene(scene));
        if theirs.waits.contains(&Wait::Rules) {
            gates.findings.push(Finding::warning(
                Code::SharedSubnet,
                format!(
                    "{} shares a subnet with {}, whose rules are not in force",
                    scene.cluster.name(),
                    neighbour.cluster.name()
                ),
                "Both are switched by the same write; approve the other cluster if it is only observed.",
            ));
        }
        gates.waits.extend(theirs.waits);
        gates.findings.extend(theirs.findings);
        gates.asks.extend(theirs.asks);
    }
    strangers(scene, neighbours, gates);
}

fn strangers(scene: &Scene<'_>, neighbours: &[Neighbour<'_>], gates: &mut Gates) {
    let known: BTreeSet<String> = neighbours
        .iter()
        .filter_map(|n| n.cluster.node_resource_group())
        .chain(scene.cluster.node_resource_group())
        .map(str::to_ascii_lowercase)
        .collect();
    for attachment in &scene.blueprint.subnets {
        let Some(subnet) = scene.estate.subnet(&attachment.id) else {
            continue;
        };
        // A table that was attached before Hubward came leads nobody to the firewall yet.
        if scene.blueprint.table_is_ours && subnet.route_table().is_some() {
            continue;
        }
        // What names no group that we know belongs to a stranger, be it unreadable.
        let owner = |interface: &str| {
            let id = ResourceId::parse(interface).ok()?;
            id.resource_group().map(str::to_owned)
        };
        let stranger = subnet
            .ip_configurations()
            .into_iter()
            .map(|interface| (interface, owner(interface)))
            .find(|(_, group)| group.as_ref().is_none_or(|g| !known.contains(&g.to_ascii_lowercase())));
        if let Some((interface, group)) = stranger {
            gates.findings.push(Finding::blocking(
                Code::SharedSubnet,
                format!(
                    "the subnet {} is shared with {}, of which it is not known what it needs to reach",
                    attachment.id.name(),
                    group.unwrap_or_else(|| format!("an interface of the id {interface:?}"))
                ),
                "Give the cluster a subnet of its own, or wire the other cluster first.",
            ));
        }
    }
}
