//! What a waiting step waits for has come about when it is written. The guard judges a step in that estate, so that a wait
//! is not mistaken for a loss; what no wait names is left as it is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::effect::settle;
use super::gates::Scene;
use super::neighbours::Neighbour;
use super::{Step, Wait, after};
use crate::blueprint::{Contribution, edit_group, rule_collection_group_id};
use crate::estate::{Estate, Kind, at_rest, rule_collection_groups};
use crate::finding::Code;
use crate::ids::ResourceId;

/// Findings that end with two whole, connected peerings, and that only a person ends.
pub(super) const PEERING: [Code; 5] = [
    Code::ForeignPeering,
    Code::NoPathToFirewall,
    Code::PeeringDisconnected,
    Code::PeeringFailed,
    Code::PeeringOutOfSync,
];

/// The estate in which `step` will be written.
pub(super) fn waits_over(scene: &Scene<'_>, neighbours: &[Neighbour<'_>], estate: &Estate, step: &Step) -> Estate {
    let mut then = estate.clone();
    let waits_for = |code| step.waits.contains(&Wait::Person { code });
    for id in moving(scene, estate) {
        settle(&mut then, &id);
    }
    for wait in &step.waits {
        if let Wait::AtRest { id } = wait {
            settle(&mut then, id);
        }
    }
    if step.waits.contains(&Wait::Rules) {
        then = rules_in_force(scene, neighbours, then);
    }
    if step.waits.contains(&Wait::Peering) || PEERING.iter().any(|code| waits_for(*code)) {
        connect_peerings(scene, &mut then);
    }
    if waits_for(Code::DnsProxyOff) {
        edit(&mut then, &scene.facts.policy, |policy| {
            policy["properties"]["dnsSettings"]["enableProxy"] = json!(true);
        });
    }
    then
}

/// What is being written in the spoke, a neighbour's subnet among it: a running write ends, and until then nothing could be said
/// of the neighbour that a step might cut. What has failed stays a doubt.
fn moving(scene: &Scene<'_>, estate: &Estate) -> Vec<ResourceId> {
    let vnet_id = &scene.blueprint.vnet;
    let Some(vnet) = estate.vnet(vnet_id) else {
        return Vec::new();
    };
    let subnets: Vec<ResourceId> = vnet
        .subnets()
        .iter()
        .map(|s| vnet_id.child("subnets", s.name()))
        .collect();
    let tables = subnets.iter().filter_map(|id| estate.subnet(id)?.route_table());
    let is_moving = |id: &ResourceId| match Kind::of(id) {
        Some(Kind::Subnet) => estate.subnet(id).is_some_and(|s| !s.is_at_rest()),
        Some(_) | None => estate.get(id).is_some_and(|d| !at_rest(d)),
    };
    let all = tables.chain(subnets.iter().cloned()).chain([vnet_id.clone()]);
    all.filter(is_moving).collect()
}

/// The running writes on the rules have ended, and the group holds the cluster's part and those of its neighbours.
fn rules_in_force(scene: &Scene<'_>, neighbours: &[Neighbour<'_>], mut estate: Estate) -> Estate {
    for id in rule_collection_groups(&estate, scene.config, scene.hub) {
        if estate.get(&id).is_some_and(|group| !at_rest(group)) {
            settle(&mut estate, &id);
        }
    }
    let mut parts: BTreeMap<ResourceId, Contribution> = neighbours
        .iter()
        .filter(|n| n.shares_subnet)
        .map(|n| (n.id.clone(), n.contribution.clone()))
        .collect();
    parts.insert(scene.id.clone(), scene.contribution.clone());
    let group = rule_collection_group_id(scene.config, &scene.facts.policy);
    let present = estate.get(&group);
    if present.is_none() && !estate.is_absent(&group) {
        return estate;
    }
    let edit = edit_group(scene.config, scene.hub, &scene.facts.policy, present, &parts, &[]);
    after(&estate, &Step::put("rules", edit.id, edit.body, ""))
}

fn connect_peerings(scene: &Scene<'_>, estate: &mut Estate) {
    for side in &scene.blueprint.peerings {
        let space = estate
            .get(&side.remote)
            .and_then(|v| v.pointer("/properties/addressSpace").cloned());
        edit(estate, &side.local, |vnet| {
            let peerings = vnet["properties"]["virtualNetworkPeerings"].as_array_mut();
            let present = peerings.into_iter().flatten().find(|p| {
                p.pointer("/properties/remoteVirtualNetwork/id")
                    .and_then(Value::as_str)
                    .is_some_and(|id| id.eq_ignore_ascii_case(side.remote.as_str()))
            });
            if let Some(peering) = present {
                peering["properties"]["peeringState"] = json!("Connected");
                peering["properties"]["peeringSyncLevel"] = json!("FullyInSync");
                peering["properties"]["provisioningState"] = json!("Succeeded");
                peering["properties"]["allowVirtualNetworkAccess"] = json!(true);
                peering["properties"]["allowForwardedTraffic"] = json!(true);
                peering["properties"]["peerCompleteVnets"] = json!(true);
                peering["properties"]["remoteAddressSpace"] = space.unwrap_or(Value::Null);
            }
        });
    }
}

fn edit(estate: &mut Estate, id: &ResourceId, change: impl FnOnce(&mut Value)) {
    if let (Some(mut body), Some(read_at)) = (estate.get(id).cloned(), estate.read_at(id)) {
        change(&mut body);
        estate.insert(id.clone(), Some(body), read_at);
    }
}
