//! What a table that was attached before Hubward came must be like, so that its default route can be the switch: the table of a
//! kubenet cluster, in which AKS keeps a route per node and which cannot be exchanged.
//!
//! The table is judged, never mended: attaching it, sharing it and everybody else's routes are its owner's business. AKS's own
//! routes come and go with the nodes and are compared with nothing.

use std::collections::BTreeSet;

use super::Wait;
use super::gates::{Gates, Scene};
use crate::blueprint::{SubnetAttachment, leads_alike, rival};
use crate::estate::{ClusterView, Estate, RouteTableView};
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;

/// Most routes of a table (Azure limits, virtual-network azure-subscription-service-limits.md, 2025).
const MOST_ROUTES: u64 = 400;
/// How AKS begins the names of its nodes, and with them of its routes.
const NODE: &str = "aks-";

/// Why the node subnet does not carry the cluster's table; AKS attaches it, and we never do.
pub(super) fn attached(scene: &Scene<'_>, attachment: &SubnetAttachment) -> Result<(), Finding> {
    let carried = scene.estate.subnet(&attachment.id).and_then(|s| s.route_table());
    if carried.as_ref() == Some(&attachment.route_table) || !scene.cluster.is_succeeded() {
        return Ok(());
    }
    let carries = carried.map_or_else(
        || "no route table".to_owned(),
        |other| format!("the route table {other}"),
    );
    Err(Finding::blocking(
        Code::KubenetRouteTable,
        format!(
            "the subnet {} carries {carries}, and kubenet needs {} on every node subnet",
            attachment.id.name(),
            attachment.route_table
        ),
        "Attach the cluster's route table to the subnet; without it pods on its nodes reach nobody.",
    ))
}

/// The finding for a cluster whose nodes run and whose subnets carry no table at all.
pub(super) fn no_table(estate: &Estate, cluster: &ClusterView<'_>) -> Option<Finding> {
    let nodes = cluster.node_subnets();
    let bare = |id: &ResourceId| estate.subnet(id).is_some_and(|s| s.route_table().is_none());
    (cluster.is_kubenet() && nodes.iter().all(bare)).then(|| {
        Finding::blocking(
            Code::KubenetRouteTable,
            format!(
                "no node subnet of {} carries a route table, and kubenet needs one with a route per node",
                cluster.name()
            ),
            "Reconcile the cluster (az aks update), so that AKS makes and attaches its route table.",
        )
    })
}

/// True if the spoke's table leads to the firewall by default, by our route or by somebody's that is as good.
pub(super) fn leads(scene: &Scene<'_>) -> bool {
    let Some(table) = scene.estate.route_table(&scene.blueprint.route_table) else {
        return false;
    };
    let [default, _] = &scene.blueprint.routes;
    let ours = table.routes().iter().any(|r| {
        r.name.eq_ignore_ascii_case(default.id.name()) && r.next_hop_type.eq_ignore_ascii_case("VirtualAppliance")
    });
    ours || rival(&table, default).is_some_and(|r| leads_alike(&r, default))
}

/// What in the table stands in the way of our routes, before the switch and after it.
pub(super) fn table_findings(scene: &Scene<'_>) -> Vec<Finding> {
    let id = &scene.blueprint.route_table;
    let Some(table) = scene.estate.route_table(id) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for route in &scene.blueprint.routes {
        if let Some(found) = rival(&table, route).filter(|found| !leads_alike(found, route)) {
            findings.push(Finding::blocking(
                Code::ForeignRouteTable,
                format!(
                    "the route {} of {} leads {} elsewhere, and it is not ours to change",
                    found.name,
                    id.name(),
                    found.prefix
                ),
                "Remove the route; Hubward then adds its own.",
            ));
        }
    }
    findings.extend(capacity(scene, &table));
    findings
}

/// Nodes that find no place for their route have pods that nobody reaches (AKS configure-kubenet.md, limitations).
fn capacity(scene: &Scene<'_>, table: &RouteTableView<'_>) -> Option<Finding> {
    let routes = table.routes();
    let count = |routes: usize| u64::try_from(routes).unwrap_or(u64::MAX);
    let ours = |name: &str| {
        scene
            .blueprint
            .routes
            .iter()
            .any(|r| r.id.name().eq_ignore_ascii_case(name))
    };
    let of_nodes = routes.iter().filter(|r| r.name.starts_with(NODE)).count();
    let of_others = routes
        .iter()
        .filter(|r| !r.name.starts_with(NODE) && !ours(r.name))
        .count();
    let fixed = count(of_others + scene.blueprint.routes.len());
    let most_nodes: u64 = scene.cluster.pools().iter().map(|pool| pool.most_nodes).sum();
    let message = |all: u64, nodes: u64| {
        format!(
            "{} would have {all} routes ({nodes} of them for nodes), and Azure takes {MOST_ROUTES}",
            scene.blueprint.route_table.name()
        )
    };
    let help = "Lower the number of nodes, or move the cluster to Azure CNI overlay, which needs no routes.";
    let (present, possible) = (fixed + count(of_nodes), fixed + most_nodes.max(count(of_nodes)));
    if present > MOST_ROUTES {
        return Some(Finding::blocking(
            Code::RouteTableFull,
            message(present, count(of_nodes)),
            help,
        ));
    }
    let grows = scene.cluster.is_kubenet() && possible > MOST_ROUTES;
    grows.then(|| Finding::warning(Code::RouteTableFull, message(possible, most_nodes), help))
}

/// The default route switches every subnet that carries the table, in whatever network: each must be the cluster's own, or
/// empty. The table itself says which they are.
pub(super) fn sharing(scene: &Scene<'_>, gates: &mut Gates) {
    if scene.blueprint.table_is_ours {
        return;
    }
    let id = &scene.blueprint.route_table;
    let Some(table) = scene.estate.route_table(id) else {
        gates.waits.push(Wait::AtRest { id: id.clone() });
        return;
    };
    let own: BTreeSet<&ResourceId> = scene.blueprint.subnets.iter().map(|s| &s.id).collect();
    let vnet = scene.estate.vnet(&scene.blueprint.vnet);
    let beside = vnet.iter().flat_map(|vnet| vnet.subnets()).filter_map(|subnet| {
        let carries = subnet.route_table().as_ref() == Some(id);
        carries.then(|| scene.blueprint.vnet.child("subnets", subnet.name()))
    });
    let mut led: BTreeSet<ResourceId> = table.subnets().into_iter().chain(beside).collect();
    led.extend(own.iter().map(|id| (*id).clone()));
    for subnet in &led {
        let empty = scene
            .estate
            .subnet(subnet)
            .is_some_and(|s| s.ip_configurations().is_empty());
        let owner = owner(scene, subnet);
        if owner.is_none() && (empty || own.contains(subnet)) {
            continue;
        }
        let whose = owner.map_or_else(
            || "which is not the cluster's own".to_owned(),
            |name| format!("of the cluster {name}"),
        );
        gates.findings.push(Finding::blocking(
            Code::RouteTableShared,
            format!(
                "{} leads the subnet {} of {}, {whose}, and its default route would switch that too",
                id.name(),
                subnet.name(),
                subnet.parent().as_ref().map_or("", ResourceId::name)
            ),
            "Give each kubenet cluster a route table of its own.",
        ));
    }
}

/// The other cluster of the estate with a pool in the subnet.
fn owner(scene: &Scene<'_>, subnet: &ResourceId) -> Option<String> {
    let mut others = scene.estate.iter().map(|(id, _)| id).filter(|id| *id != scene.id);
    others.find_map(|id| {
        let cluster = id
            .is_type("Microsoft.ContainerService/managedClusters")
            .then(|| scene.estate.cluster(id))??;
        cluster.subnets().contains(subnet).then(|| cluster.name().to_owned())
    })
}
