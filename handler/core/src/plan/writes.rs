//! The writes a spoke needs: peerings, route table, switch. Each is the present document with our part in it, made only if
//! our part is missing; what belongs to somebody else becomes a finding.

use serde_json::{Value, json};

use super::gates::Scene;
use super::ingress::accepted_losses;
use super::{AcceptedLoss, Step, Wait, comparable, kubenet};
use crate::blueprint::{PeeringSide, SubnetAttachment, leads_alike, rival};
use crate::config::WorkloadEgress;
use crate::estate::{PeeringView, SubnetView};
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;

/// The side of the peering that an unwiring left over which the cluster's return interrupted. It carries nothing and Azure never
/// connects it again, so it has to go before both sides are made anew (virtual-network manage-peering). One that somebody else
/// disconnected or named is not touched.
pub(super) fn remnants(scene: &Scene<'_>) -> Vec<Step> {
    if !scene.known.returning {
        return Vec::new();
    }
    let sides = scene.blueprint.peerings.iter();
    sides
        .filter_map(|side| {
            let present = scene.estate.vnet(&side.local)?.peering_to(&side.remote)?;
            let other = scene.estate.vnet(&side.remote)?.peering_to(&side.local);
            let ours = present.name().eq_ignore_ascii_case(side.id.name());
            if !ours || !present.is_disconnected() || other.is_some() {
                return None;
            }
            let lanes = [&side.local, &side.remote];
            let why = format!(
                "{} is what an interrupted unwiring left of the peering to {}",
                side.id.name(),
                side.remote.name()
            );
            let step = Step::delete("remove-remnant", side.id.clone(), present.body, why)
                .in_lanes(&lanes)
                .waiting_for(at_rest(scene, &lanes));
            Some(step)
        })
        .collect()
}

/// The step that makes one side of the peering what it should be, if it is not.
pub(super) fn peering(scene: &Scene<'_>, side: &PeeringSide) -> Result<Option<Step>, Finding> {
    let hub_side = side.local == scene.hub.virtual_network;
    let step_id = if hub_side {
        "peer-hub-to-spoke"
    } else {
        "peer-spoke-to-hub"
    };
    let lanes = [&side.local, &side.remote];
    let present = scene.estate.vnet(&side.local).and_then(|v| v.peering_to(&side.remote));
    let Some(present) = present else {
        // Azure refuses the missing side with RemotePeeringIsDisconnected while the other is there (bicep-registry-modules#6556).
        if other_side_is_disconnected(scene, side) {
            return Ok(None);
        }
        let why = format!("{} has no peering to {}", side.local.name(), side.remote.name());
        let step = Step::put(step_id, side.id.clone(), side.body(), why)
            .in_lanes(&lanes)
            .waiting_for(at_rest(scene, &lanes));
        return Ok(Some(step));
    };
    if present.is_disconnected() {
        return Err(Finding::blocking(
            Code::PeeringDisconnected,
            format!(
                "the peering {} of {} is Disconnected",
                present.name(),
                side.local.name()
            ),
            "Delete it; Hubward then makes both sides again.",
        ));
    }
    // Whether a peering joins whole networks is decided when it is made.
    if !present.joins_whole_networks() {
        return Err(Finding::blocking(
            Code::ForeignPeering,
            format!(
                "the peering {} of {} joins chosen subnets only",
                present.name(),
                side.local.name()
            ),
            "Replace it by a peering of the whole networks (peerCompleteVnets).",
        ));
    }
    if present.flags_suffice() && !present.has_failed() {
        return Ok(None);
    }
    if !present.name().eq_ignore_ascii_case(side.id.name()) {
        return Err(foreign(&present, side));
    }
    let mut body = comparable(present.body);
    body["properties"]["allowVirtualNetworkAccess"] = json!(true);
    body["properties"]["allowForwardedTraffic"] = json!(true);
    let why = if present.has_failed() {
        format!("the last write on the peering {} failed", present.name())
    } else {
        format!("the peering {} does not allow forwarded traffic", present.name())
    };
    let step = Step::put(step_id, side.id.clone(), body, why)
        .over(present.body)
        .in_lanes(&lanes)
        .waiting_for(at_rest(scene, &lanes));
    Ok(Some(step))
}

/// A peering that would have to change and belongs to somebody else.
fn foreign(present: &PeeringView<'_>, side: &PeeringSide) -> Finding {
    let of = format!("the peering {} of {}", present.name(), side.local.name());
    if present.flags_suffice() {
        return Finding::blocking(
            Code::PeeringFailed,
            format!("the last write on {of} failed, and it is not ours to repeat"),
            "Repeat the failed update until Azure says Succeeded.",
        );
    }
    Finding::blocking(
        Code::ForeignPeering,
        format!("{of} does not allow forwarded traffic, and it is not ours to change"),
        "Set allowVirtualNetworkAccess and allowForwardedTraffic on it.",
    )
}

fn other_side_is_disconnected(scene: &Scene<'_>, side: &PeeringSide) -> bool {
    let other = scene.estate.vnet(&side.remote).and_then(|v| v.peering_to(&side.local));
    other.is_some_and(|p| p.is_disconnected())
}

/// The table as a whole if it does not exist, otherwise each route that is missing or wrong as a child. To give an attached
/// table its default route is a switch. A route of somebody's with the prefix of ours is used if it leads alike; otherwise nothing
/// is written into the table (a finding says so). Nothing while it is unknown whether the table exists, or while a subnet names a table
/// that was not found: a PUT would replace it, with every route that somebody added.
pub(super) fn route_table(scene: &Scene<'_>) -> Vec<Step> {
    let id = &scene.blueprint.route_table;
    let prefix = &scene.config.naming.prefix;
    if !scene.estate.knows(id) || is_contradicted(scene, id) {
        return Vec::new();
    }
    let Some(table) = scene.estate.route_table(id) else {
        if !scene.blueprint.table_is_ours {
            return Vec::new();
        }
        let body = scene.blueprint.route_table_body(prefix);
        let why = format!(
            "{} has no route table that leads to the hub",
            scene.blueprint.vnet.name()
        );
        return vec![Step::put("route-table", id.clone(), body, why)];
    };
    let present = table.routes();
    let rivals = scene.blueprint.routes.iter().map(|route| (route, rival(&table, route)));
    let rivals: Vec<_> = rivals.filter_map(|(route, found)| Some((route, found?))).collect();
    if rivals.iter().any(|(route, found)| !leads_alike(found, route)) {
        return Vec::new();
    }
    let mut steps = Vec::new();
    for route in &scene.blueprint.routes {
        if rivals.iter().any(|(other, _)| *other == route) {
            continue;
        }
        let same = present.iter().find(|r| r.name.eq_ignore_ascii_case(route.id.name()));
        let right = same.is_some_and(|r| leads_alike(r, route));
        if right && !table.has_failed() {
            continue;
        }
        let body = json!({"name": route.id.name(), "properties": route.properties()});
        let why = if right {
            format!("the last write on {} failed", id.name())
        } else {
            format!(
                "the route {} of {} is missing or leads elsewhere",
                route.id.name(),
                id.name()
            )
        };
        let mut step = Step::put(format!("route-{}", route.id.name()), route.id.clone(), body, why).in_lanes(&[id]);
        if let Some(old) = route_document(scene, route.id.name()) {
            step = step.over(&old);
        }
        if !table.is_at_rest() {
            step.waits.push(Wait::AtRest { id: id.clone() });
        }
        // A stale appliance address reaches nobody, so mending it cuts nobody off; anything else still carries traffic.
        let carries = same.is_none_or(|r| !r.next_hop_type.eq_ignore_ascii_case("VirtualAppliance"));
        if route.next_hop.is_some() && carries && is_attached(scene, id) {
            step.accepts = losses_of_a_switch(scene);
        }
        steps.push(step);
    }
    steps
}

/// True if Azure said that the table does not exist and a subnet of the network names it. Azure deletes no table that is in use.
pub(super) fn is_contradicted(scene: &Scene<'_>, table: &ResourceId) -> bool {
    scene.estate.is_absent(table) && is_attached(scene, table)
}

fn is_attached(scene: &Scene<'_>, table: &ResourceId) -> bool {
    let vnet = &scene.blueprint.vnet;
    let inline = scene.estate.vnet(vnet).map(|v| v.subnets()).unwrap_or_default();
    let named = |subnet: &SubnetView<'_>| subnet.route_table().as_ref() == Some(table);
    inline.iter().any(|subnet| {
        let own = scene.estate.get(&vnet.child("subnets", subnet.name()));
        named(subnet) || own.is_some_and(|body| named(&SubnetView::new(body)))
    })
}

fn route_document(scene: &Scene<'_>, name: &str) -> Option<Value> {
    let table = scene.estate.get(&scene.blueprint.route_table)?;
    let routes = table.pointer("/properties/routes")?.as_array()?;
    routes
        .iter()
        .find(|r| {
            r.get("name")
                .and_then(Value::as_str)
                .is_some_and(|n| n.eq_ignore_ascii_case(name))
        })
        .cloned()
}

/// The switch of one subnet: the subnet as it is, with our table. What it waits for besides the network and the table, the
/// caller adds.
pub(super) fn switch(scene: &Scene<'_>, attachment: &SubnetAttachment) -> Result<Option<Step>, Finding> {
    let Some(subnet) = scene.estate.subnet(&attachment.id) else {
        return Ok(None);
    };
    if !scene.blueprint.table_is_ours {
        return kubenet::attached(scene, attachment).map(|()| None);
    }
    let attached = subnet.route_table();
    let repeats = attached.as_ref() == Some(&attachment.route_table);
    if repeats && !subnet.has_failed() {
        return Ok(None);
    }
    if let Some(table) = attached.filter(|_| !repeats) {
        return Err(Finding::blocking(
            Code::ForeignRouteTable,
            format!("the subnet {} carries the route table {table}", attachment.id.name()),
            "Detach it, or lead its default route to the firewall yourself.",
        ));
    }
    if subnet.is_reserved() {
        return Err(Finding::blocking(
            Code::ReservedSubnet,
            format!("the subnet {} belongs to another Azure service", attachment.id.name()),
            "Put the pool into a subnet of its own.",
        ));
    }
    let mut body = comparable(subnet.body);
    body["properties"]["routeTable"] = json!({"id": attachment.route_table.as_str()});
    let vnet = &scene.blueprint.vnet;
    let mut waits = at_rest(scene, &[vnet]);
    if scene
        .estate
        .route_table(&attachment.route_table)
        .is_some_and(|t| !t.is_at_rest())
    {
        waits.push(Wait::AtRest {
            id: attachment.route_table.clone(),
        });
    }
    let why = if repeats {
        format!("the last write on the subnet {} failed", attachment.id.name())
    } else {
        format!("{} still leaves from its own address", attachment.id.name())
    };
    let mut step = Step::put(
        format!("switch-{}", attachment.id.name()),
        attachment.id.clone(),
        body,
        why,
    )
    .over(subnet.body)
    .in_lanes(&[vnet])
    .waiting_for(waits);
    step.accepts = losses_of_a_switch(scene);
    Ok(Some(step))
}

/// True for a step that leads traffic of a running cluster to the firewall which did not go there before.
pub(super) fn is_switch(step: &Step) -> bool {
    step.accepts.contains(&AcceptedLoss::OpenConnections)
}

fn losses_of_a_switch(scene: &Scene<'_>) -> Vec<AcceptedLoss> {
    let mut accepts = vec![AcceptedLoss::OpenConnections];
    if scene.hub.workload_egress != WorkloadEgress::Web {
        accepts.push(AcceptedLoss::NotInRules);
    }
    if !accepted_losses(scene).is_empty() {
        accepts.push(AcceptedLoss::PublicInbound);
    }
    accepts
}

fn at_rest(scene: &Scene<'_>, networks: &[&ResourceId]) -> Vec<Wait> {
    networks
        .iter()
        .filter(|id| scene.estate.vnet(id).is_some_and(|v| !v.is_at_rest()))
        .map(|id| Wait::AtRest { id: (*id).clone() })
        .collect()
}
