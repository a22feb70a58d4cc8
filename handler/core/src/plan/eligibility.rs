//! Whether a cluster may be wired at all, and in which mode. Every refusal is a finding that says what would help; nothing
//! here writes or waits, and what is not known counts against writing.

use ipnet::Ipv4Net;

use super::Known;
use super::gates::Scene;
use crate::config::{Config, Mode};
use crate::estate::ClusterView;
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;

pub(super) fn effective_mode(config: &Config, cluster: &ClusterView<'_>, known: &Known) -> (Mode, Option<Finding>) {
    let older = |why: &str| {
        let finding = Finding::info(
            Code::OlderThanInstallation,
            format!("{} {why}; it is observed and not written", cluster.name()),
            "Approve the cluster when its owner agrees to one reset of open connections.",
        );
        (Mode::Observe, Some(finding))
    };
    // Somebody has answered for the cluster's age.
    if known.word.enrolled {
        return (config.mode, None);
    }
    let age = known.age;
    match (age.installed_at, cluster.created_at()) {
        (None, _) => older("was found by a ledger that does not know when Hubward was installed"),
        (Some(installed), Some(created)) if created < installed => older("is older than the installation"),
        (Some(_), None) if !age.create_seen => older("may be older than the installation"),
        (Some(_), _) => (config.mode, None),
    }
}

pub(super) fn not_eligible(config: &Config, id: &ResourceId, cluster: &ClusterView<'_>) -> Option<Finding> {
    let name = cluster.name();
    let no = |code, message: String, help: &str| Some(Finding::blocking(code, message, help));
    if cluster.provisioning_state().eq_ignore_ascii_case("Deleting") {
        return no(Code::ClusterDeleting, format!("{name} is being deleted"), "");
    }
    if config.hub_for_location(cluster.location()).is_none() {
        return no(
            Code::NoHubForLocation,
            format!("no hub is configured for {} ({name})", cluster.location()),
            "Add a hub with this location to the configuration.",
        );
    }
    // AKS forbids changes in the network it made (AKS concepts-network-cni-overview.md).
    let managed = cluster.pools().iter().any(|p| p.subnet.is_none())
        || cluster.subnets().iter().any(|s| {
            s.resource_group()
                .zip(cluster.node_resource_group())
                .is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
        });
    if managed {
        return no(
            Code::ManagedVirtualNetwork,
            format!("{name} lies in a network that AKS manages"),
            "Only clusters in a virtual network of your own can be led through the hub.",
        );
    }
    let mut vnets: Vec<ResourceId> = cluster.subnets().iter().filter_map(ResourceId::parent).collect();
    vnets.dedup();
    if vnets.len() != 1 {
        return no(
            Code::SeveralVirtualNetworks,
            format!("the pools of {name} lie in {} virtual networks", vnets.len()),
            "All pools of a cluster must lie in one virtual network.",
        );
    }
    if let Some(outside) = [id, &vnets[0]].into_iter().find(|id| !config.scope.covers(id)) {
        return no(
            Code::OutOfScope,
            format!("{outside} lies outside the configured scope"),
            "Add its subscription to scope.subscriptions, or leave the cluster alone.",
        );
    }
    const MOVABLE: [&str; 3] = ["loadBalancer", "userAssignedNATGateway", "userDefinedRouting"];
    if !MOVABLE.iter().any(|t| cluster.outbound_type().eq_ignore_ascii_case(t)) {
        return no(
            Code::OutboundTypeUnsupported,
            format!(
                "{name} has outboundType {}, which a route table does not move",
                cluster.outbound_type()
            ),
            "Change outboundType to loadBalancer, userAssignedNATGateway or userDefinedRouting.",
        );
    }
    if let Some(pool) = cluster.pools().iter().find(|p| p.node_public_ip) {
        return no(
            Code::NodePublicAddress,
            format!(
                "nodes of pool {} of {name} have public addresses of their own",
                pool.name
            ),
            "Replace the pool by one without enableNodePublicIP.",
        );
    }
    None
}

/// Pods whose addresses the hub has too cannot reach it. What a network behind the hub has is only lost to the pods themselves.
pub(super) fn pod_overlap(scene: &Scene<'_>) -> Option<Finding> {
    let pods = scene.cluster.pod_prefixes();
    let (name, mine, theirs) = meeting(&pods, &others(scene)?)?;
    let message = format!(
        "the pod addresses {mine} of {} overlap {theirs} of {name}",
        scene.cluster.name()
    );
    let help = "Give the cluster a pod CIDR of its own.";
    Some(if name == HUB {
        Finding::blocking(Code::PodAddressOverlap, message, help)
    } else {
        Finding::warning(Code::PodAddressOverlap, message, help)
    })
}

/// A network that overlaps the hub or one of its peers cannot be peered (Azure refuses it), and would be ambiguous.
pub(super) fn overlap(scene: &Scene<'_>) -> Option<Finding> {
    let ours = scene.estate.vnet(&scene.blueprint.vnet)?.address_space();
    let (name, mine, theirs) = meeting(&ours, &others(scene)?)?;
    Some(Finding::blocking(
        Code::AddressSpaceOverlap,
        format!("{mine} of {} overlaps {theirs} of {name}", scene.blueprint.vnet.name()),
        "Give the spoke an address space of its own; nothing is written until then.",
    ))
}

const HUB: &str = "the hub";

/// The address spaces of the hub and of every network peered to it but the spoke's own, the hub first.
fn others(scene: &Scene<'_>) -> Option<Vec<(String, Vec<Ipv4Net>)>> {
    let hub = scene.estate.vnet(&scene.hub.virtual_network)?;
    let mut others = vec![(HUB.to_owned(), hub.address_space())];
    for peering in hub.peerings() {
        if let Some(remote) = peering.remote().filter(|r| *r != scene.blueprint.vnet) {
            others.push((remote.name().to_owned(), peering.remote_address_space()));
        }
    }
    Some(others)
}

/// The first of `others` that has an address of `ours`, with both prefixes.
fn meeting(ours: &[Ipv4Net], others: &[(String, Vec<Ipv4Net>)]) -> Option<(String, Ipv4Net, Ipv4Net)> {
    let meets = |a: &Ipv4Net, b: &Ipv4Net| a.contains(b) || b.contains(a);
    others.iter().find_map(|(name, spaces)| {
        let (mine, theirs) = ours
            .iter()
            .find_map(|a| spaces.iter().find(|b| meets(a, b)).map(|b| (*a, *b)))?;
        Some((name.clone(), mine, theirs))
    })
}
