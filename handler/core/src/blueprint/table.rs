//! The route table of a spoke: ours, or, for kubenet, the one in which AKS keeps a route per node. A table that belongs to AKS
//! and its owner is never made, attached, detached or deleted by us; only our two routes in it are ours.

use super::{PlannedRoute, route_table_id};
use crate::config::Config;
use crate::estate::{ClusterView, Estate, RouteTableView, RouteView};
use crate::ids::ResourceId;

/// The table that leads a cluster's subnets to the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpokeTable {
    /// The table.
    pub id: ResourceId,
    /// False for the table of a kubenet cluster, which cannot be exchanged (AKS configure-kubenet.md).
    pub is_ours: bool,
}

/// The table that the subnets of `cluster` carry or should carry; `None` while no node subnet of a kubenet cluster is known to
/// carry one, or while the cluster shows no subnet.
#[must_use]
pub fn spoke_table(estate: &Estate, config: &Config, cluster: &ClusterView<'_>) -> Option<SpokeTable> {
    if cluster.is_kubenet() {
        let nodes = cluster.node_subnets();
        let id = nodes.iter().find_map(|id| estate.subnet(id)?.route_table())?;
        return Some(SpokeTable { id, is_ours: false });
    }
    let vnet = cluster.subnets().first()?.parent()?;
    Some(SpokeTable {
        id: route_table_id(config, &vnet),
        is_ours: true,
    })
}

/// The name of our route of a kind (`default` or `return`) in any table.
#[must_use]
pub fn route_name(config: &Config, kind: &str) -> String {
    format!("{}-{kind}", config.naming.prefix)
}

/// The route of somebody else that has the prefix of `route`: a table takes each prefix once.
#[must_use]
pub fn rival<'a>(table: &RouteTableView<'a>, route: &PlannedRoute) -> Option<RouteView<'a>> {
    table
        .routes()
        .into_iter()
        .find(|present| present.prefix == route.prefix && !present.name.eq_ignore_ascii_case(route.id.name()))
}

/// True if `present` leads where `route` should, whatever its name.
#[must_use]
pub fn leads_alike(present: &RouteView<'_>, route: &PlannedRoute) -> bool {
    present.prefix == route.prefix
        && match route.next_hop {
            Some(hop) => {
                present.next_hop_type.eq_ignore_ascii_case("VirtualAppliance") && present.next_hop == Some(hop)
            }
            None => present.next_hop_type.eq_ignore_ascii_case("Internet"),
        }
}

/// True if every subnet of the cluster is led to an appliance by us: it carries the table, and a table that was attached before
/// Hubward came has our default route.
#[must_use]
pub fn is_led(estate: &Estate, config: &Config, cluster: &ClusterView<'_>) -> bool {
    let Some(table) = spoke_table(estate, config, cluster) else {
        return false;
    };
    let attached = cluster.subnets().iter().all(|subnet| {
        let carried = estate.subnet(subnet).and_then(|s| s.route_table());
        carried.as_ref() == Some(&table.id)
    });
    attached && (table.is_ours || has_our_default(estate, config, &table.id))
}

fn has_our_default(estate: &Estate, config: &Config, table: &ResourceId) -> bool {
    let name = route_name(config, "default");
    estate.route_table(table).is_some_and(|table| {
        table
            .routes()
            .iter()
            .any(|r| r.name.eq_ignore_ascii_case(&name) && r.next_hop_type.eq_ignore_ascii_case("VirtualAppliance"))
    })
}
