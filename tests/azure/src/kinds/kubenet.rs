//! The route table of a kubenet cluster: AKS needs one on every node subnet and writes one route per node into it, which
//! leads the node's part of the pod network to the node's address. It uses the table that is there, whoever made it, and
//! touches no route but its own.

use crate::ids::ArmPath;
use crate::kinds::Kind;
use crate::kinds::cluster_nodes::{Node, aks_number, nodes, scale_set};
use crate::store::{Resource, Store, array, text};
use ipnet::Ipv4Net;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use time::OffsetDateTime;

/// Brings the table of a kubenet cluster in line with its nodes. Returns what came into being.
pub(crate) fn sync(store: &mut Store, cluster: &ArmPath, now: OffsetDateTime) -> Vec<ArmPath> {
    let Some(found) = store.find(cluster.key()).cloned() else {
        return Vec::new();
    };
    if text(&found.body, &["properties", "networkProfile", "networkPlugin"]) != Some("kubenet") {
        return Vec::new();
    }
    let nodes = nodes(store, &found);
    let mut subnets: Vec<String> = nodes.iter().map(|node| node.subnet.to_lowercase()).collect();
    subnets.sort();
    subnets.dedup();
    let mut made = Vec::new();
    let Some(table) = table_of(store, &subnets).or_else(|| make_table(store, &found, now, &mut made)) else {
        return made;
    };
    attach(store, &subnets, &table);
    let wanted = routes(&found, &nodes, &table);
    drop_routes_of_gone_nodes(store, &found, &table, &wanted);
    for (route, body) in wanted {
        if !store.exists(route.key()) {
            store.put(&route, Kind::Route, body, "Succeeded", now);
            made.push(route);
        }
    }
    store.touch(table.key());
    made
}

/// The table that one of the subnets carries already: the customer's, or AKS's own of before.
fn table_of(store: &Store, subnets: &[String]) -> Option<ArmPath> {
    subnets
        .iter()
        .filter_map(|subnet| store.find(subnet))
        .filter_map(|subnet| text(&subnet.body, &["properties", "routeTable", "id"]))
        .find_map(|table| store.find(table))
        .map(|table| table.path.clone())
}

/// `aks-agentpool-41832928-routetable` in the node resource group [Azure/AKS#718].
fn make_table(store: &mut Store, cluster: &Resource, now: OffsetDateTime, made: &mut Vec<ArmPath>) -> Option<ArmPath> {
    let subscription = cluster.path.subscription.as_deref()?;
    let group = text(&cluster.body, &["properties", "nodeResourceGroup"])?;
    let number = aks_number(cluster.path.key());
    let table = ArmPath::parse(&format!(
        "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/routeTables/\
         aks-agentpool-{number}-routetable"
    ))?;
    let body = json!({"location": cluster.body["location"], "properties": {"disableBgpRoutePropagation": false}});
    store.put(&table, Kind::RouteTable, body, "Succeeded", now);
    made.push(table.clone());
    Some(table)
}

/// AKS attaches the table where there is none; it replaces no other.
fn attach(store: &mut Store, subnets: &[String], table: &ArmPath) {
    for id in subnets {
        let Some(subnet) = store.find_mut(id) else { continue };
        if text(&subnet.body, &["properties", "routeTable", "id"]).is_some() {
            continue;
        }
        subnet.body["properties"]["routeTable"] = json!({"id": table.as_str()});
        let parent = subnet.path.parent();
        store.touch(id);
        if let Some(parent) = parent {
            store.touch(parent.key());
        }
    }
}

/// One route per node: `aks-nodepool1-40643304-vmss000000____102440024` leads 10.244.0.0/24 to the node [exported tables of
/// real clusters; cloud-provider-azure appends the prefix's digits to the node's name].
fn routes(cluster: &Resource, nodes: &[Node], table: &ArmPath) -> Vec<(ArmPath, Value)> {
    let pods = text(&cluster.body, &["properties", "networkProfile", "podCidr"]).and_then(|cidr| cidr.parse().ok());
    let Some(pods) = pods else { return Vec::new() };
    let numbered = nodes.iter().zip(0_u32..);
    numbered
        .filter_map(|(node, number)| {
            let prefix = nth_of_24(pods, number)?;
            let digits: String = prefix.to_string().chars().filter(char::is_ascii_digit).collect();
            let route = table.child("routes", &format!("{}____{digits}", node.name))?;
            let body = json!({"properties": {
                "addressPrefix": prefix.to_string(), "nextHopType": "VirtualAppliance",
                "nextHopIpAddress": node.address.to_string(), "hasBgpOverride": false
            }});
            Some((route, body))
        })
        .collect()
}

/// Routes of this cluster's scale sets whose nodes are gone.
fn drop_routes_of_gone_nodes(store: &mut Store, cluster: &Resource, table: &ArmPath, wanted: &[(ArmPath, Value)]) {
    // Any pool name, the cluster's own number: pools that are gone had routes too.
    let any_pool = scale_set(cluster, "POOL").to_lowercase();
    let (head, tail) = any_pool.split_once("pool").unwrap_or(("aks-", "-vmss"));
    let gone: Vec<String> = store
        .children(table.key(), Kind::Route)
        .iter()
        .filter(|route| {
            let name = route.path.name().to_lowercase();
            name.starts_with(head) && name.contains(tail)
        })
        .filter(|route| !wanted.iter().any(|(kept, _)| kept.key() == route.path.key()))
        .map(|route| route.path.key().to_owned())
        .collect();
    for key in gone {
        store.remove_tree(&key);
    }
}

/// Each node has a /24 of the pod network [AKS configure-kubenet.md].
fn nth_of_24(pods: Ipv4Net, number: u32) -> Option<Ipv4Net> {
    let start = u32::from(pods.network()).checked_add(number.checked_mul(256)?)?;
    Ipv4Net::new(Ipv4Addr::from(start), 24)
        .ok()
        .filter(|part| pods.contains(part))
}

/// The table on a subnet that is not of AKS's own making.
pub(crate) fn foreign_table(store: &Store, cluster_body: &Value, node_group: &str) -> Option<String> {
    array(cluster_body, &["properties", "agentPoolProfiles"])
        .iter()
        .filter_map(|pool| text(pool, &["vnetSubnetID"]))
        .filter_map(|subnet| store.find(subnet))
        .filter_map(|subnet| text(&subnet.body, &["properties", "routeTable", "id"]))
        .find(|table| {
            !table
                .to_lowercase()
                .contains(&format!("/resourcegroups/{}/", node_group.to_lowercase()))
        })
        .map(str::to_owned)
}
