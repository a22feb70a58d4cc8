//! The writes of unwiring: each takes away what wiring made, if it is there and is ours by its exact name. What is absent is
//! removed already and gives no step.

use std::collections::BTreeSet;

use serde_json::Value;

use super::sharing::Site;
use super::{AcceptedLoss, Step, Wait, comparable};
use crate::blueprint::Footprint;
use crate::estate::{ClusterView, Estate, at_rest, text};
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;

/// What takes the subnets of one network off the hub.
#[derive(Default)]
pub(super) struct Detached {
    pub(super) steps: Vec<Step>,
    /// Why somebody stays led to the hub who is no cluster that uses it.
    pub(super) held: Vec<Finding>,
}

/// The subnets that leave the hub: our table is taken off, or our routes are taken out of a table that is not ours.
/// `living` is the cluster, if it still exists; `why` says what ends.
pub(super) fn detach(site: &Site<'_>, living: Option<&ClusterView<'_>>, why: &str) -> Detached {
    let mut detached = Detached::default();
    let leaving: Vec<&ResourceId> = site
        .place
        .subnets
        .iter()
        .filter(|subnet| site.carries(subnet) && !site.is_subnet_shared(subnet))
        .collect();
    let routes = our_routes(site);
    if !site.place.table_is_ours && (routes.is_empty() || site.is_table_shared()) {
        return detached;
    }
    let mut able = Vec::new();
    for subnet in leaving {
        match no_other_egress(site, subnet, living) {
            Some(finding) => detached.held.push(finding),
            None => able.push(subnet),
        }
    }
    if site.place.table_is_ours {
        detached
            .steps
            .extend(able.iter().filter_map(|subnet| off_subnet(site, subnet, why)));
        detached
            .held
            .extend(unclaimed(site, site.carriers()).filter(|_| !site.is_shared()));
    } else {
        let table = site.estate.route_table(&site.place.route_table);
        let listed = table.map(|table| table.subnets()).unwrap_or_default();
        let carriers = site.carriers().into_iter().chain(listed).collect();
        detached.held.extend(unclaimed(site, carriers));
    }
    if !site.place.table_is_ours && detached.held.is_empty() {
        detached.steps.extend(out_of_table(site, &routes, why));
    }
    for step in &mut detached.steps {
        if living.is_some() {
            step.accepts = vec![AcceptedLoss::OpenConnections, AcceptedLoss::Egress];
        }
    }
    detached
}

/// Somebody put a subnet behind the table whom nobody led to the hub; whoever lives there would lose the way out.
fn unclaimed(site: &Site<'_>, carriers: BTreeSet<ResourceId>) -> Option<Finding> {
    let subnet = carriers
        .into_iter()
        .find(|id| !site.place.subnets.contains(id) && !site.is_subnet_shared(id))?;
    Some(Finding::blocking(
        Code::SharedSubnet,
        format!(
            "the subnet {} carries the route table {} and is none of a cluster that was led to the hub",
            subnet.name(),
            site.place.route_table.name()
        ),
        "Take the table off it; until then the way to the hub stays.",
    ))
}

/// Nodes behind a table need it if nothing else leads them out [azure-domain: an outboundType of userDefinedRouting has no
/// egress of its own]. Of a stranger nothing is known, so only a NAT gateway counts.
fn no_other_egress(site: &Site<'_>, subnet: &ResourceId, living: Option<&ClusterView<'_>>) -> Option<Finding> {
    let view = site.estate.subnet(subnet)?;
    if view.nat_gateway().is_some() {
        return None;
    }
    let who = match living {
        Some(cluster) if cluster.outbound_type().eq_ignore_ascii_case("userDefinedRouting") => {
            Some(format!("{} has outboundType userDefinedRouting", cluster.name()))
        }
        Some(_) | None => site.stranger(subnet).map(|stranger| format!("{stranger} lives there")),
    }?;
    Some(Finding::blocking(
        Code::NoOtherEgress,
        format!(
            "without our route table the subnet {} has no way out: {who}",
            subnet.name()
        ),
        "Attach a NAT gateway to the subnet, or move what lives in it; nothing is taken away until then.",
    ))
}

/// The subnet as it is, without our table.
fn off_subnet(site: &Site<'_>, id: &ResourceId, why: &str) -> Option<Step> {
    let subnet = site.estate.subnet(id)?;
    let mut body = comparable(subnet.body);
    body.get_mut("properties")?.as_object_mut()?.shift_remove("routeTable");
    let vnet = &site.place.vnet;
    let why = format!("{why}, and {} still leads to the hub", id.name());
    let step = Step::put(format!("detach-{}", id.name()), id.clone(), body, why)
        .over(subnet.body)
        .in_lanes(&[vnet])
        .waiting_for(moving(site.estate, &[vnet, &site.place.route_table]));
    Some(step)
}

/// Our routes as the table has them, in the order in which they go.
fn our_routes<'a>(site: &Site<'a>) -> Vec<(&'a ResourceId, &'a Value)> {
    let listed = site.estate.get(&site.place.route_table);
    let listed = listed.and_then(|table| table.pointer("/properties/routes")?.as_array());
    let all: Vec<&Value> = listed.into_iter().flatten().collect();
    let find = |name: &str| {
        let is_it = |route: &&&Value| text(route, "/name").is_some_and(|n| n.eq_ignore_ascii_case(name));
        all.iter().find(is_it).copied()
    };
    let routes = site.place.routes.iter();
    routes.filter_map(|id| Some((id, find(id.name())?))).collect()
}

fn out_of_table(site: &Site<'_>, routes: &[(&ResourceId, &Value)], why: &str) -> Vec<Step> {
    let table = &site.place.route_table;
    let mut steps: Vec<Step> = Vec::new();
    for (id, present) in routes {
        let why = format!("{why}, and {} still has our route {}", table.name(), id.name());
        let mut waits = moving(site.estate, &[table]);
        // The return route serves the default route, so it goes after it.
        waits.extend(steps.iter().map(earlier));
        let step = Step::delete(format!("remove-{}", id.name()), (*id).clone(), present, why)
            .in_lanes(&[table])
            .waiting_for(waits);
        steps.push(step);
    }
    steps
}

/// Our table, once no subnet carries it.
pub(super) fn table(site: &Site<'_>, why: &str) -> Option<Step> {
    let id = &site.place.route_table;
    if !site.place.table_is_ours || site.is_shared() {
        return None;
    }
    let present = site.estate.get(id)?;
    let why = format!("{why}, and no subnet needs {} any more", id.name());
    Some(
        Step::delete("remove-route-table", id.clone(), present, why)
            .in_lanes(&[id])
            .waiting_for(moving(site.estate, &[id])),
    )
}

/// Our peerings of the pair, the hub's side first, if nobody else in the network is led to the hub.
pub(super) fn peerings(site: &Site<'_>, why: &str) -> Vec<Step> {
    if site.is_shared() {
        return Vec::new();
    }
    let (hub, spoke) = (&site.hub.virtual_network, &site.place.vnet);
    let mut steps: Vec<Step> = Vec::new();
    for (step_id, id, remote) in [
        ("remove-hub-peering", &site.place.hub_peering, spoke),
        ("remove-spoke-peering", &site.place.spoke_peering, hub),
    ] {
        let Some(local) = id.parent() else { continue };
        let views = site.estate.vnet(&local).map(|v| v.peerings()).unwrap_or_default();
        let ours = views
            .iter()
            .find(|p| p.name().eq_ignore_ascii_case(id.name()) && p.remote().as_ref() == Some(remote));
        let Some(ours) = ours else { continue };
        let why = format!("{why}, and nobody else in {} is led to the hub", spoke.name());
        let mut waits = moving(site.estate, &[hub, spoke]);
        waits.extend(steps.iter().map(earlier));
        let step = Step::delete(step_id, id.clone(), ours.body, why)
            .in_lanes(&[hub, spoke])
            .waiting_for(waits);
        steps.push(step);
    }
    steps
}

/// Our role assignments that no other cluster relies on.
pub(super) fn roles(estate: &Estate, footprint: &Footprint, others: &[Footprint], why: &str) -> Vec<Step> {
    let needed = |id: &ResourceId| others.iter().any(|other| other.roles.contains(id));
    footprint
        .roles
        .iter()
        .filter(|id| !needed(id))
        .filter_map(|id| {
            let present = estate.get(id)?;
            let why = format!("{why}, and its control plane needs no right there any more");
            Some(Step::delete(format!("revoke-{}", id.name()), id.clone(), present, why))
        })
        .collect()
}

pub(super) fn earlier(step: &Step) -> Wait {
    Wait::Step { id: step.id.clone() }
}

/// The documents among these on which a write is under way.
pub(super) fn moving(estate: &Estate, ids: &[&ResourceId]) -> Vec<Wait> {
    ids.iter()
        .filter(|id| estate.get(id).is_some_and(|document| !at_rest(document)))
        .map(|id| Wait::AtRest { id: (*id).clone() })
        .collect()
}
