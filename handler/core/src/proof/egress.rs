//! EGRESS: from a switched cluster, every public address is reached through the firewall, and the firewall leaves from
//! exactly one address. Decided on intervals that cover all addresses, not on samples.

use super::Judgement;
use super::path::obstacle;
use super::routes::{NextHop, attached_table, doubt, intervals};
use crate::blueprint::HubFacts;
use crate::config::Hub;
use crate::estate::{ClusterView, Estate, has_failed};
use crate::ids::ResourceId;

/// Judges where the cluster's public traffic leaves.
#[must_use]
pub fn egress(estate: &Estate, hub: &Hub, facts: &HubFacts, cluster: &ClusterView<'_>) -> Judgement {
    let mut missing = Vec::new();
    if cluster.subnets().is_empty() {
        missing.push("the cluster's pools and their subnets".to_owned());
    }
    for pool in cluster.pools() {
        if pool.node_public_ip {
            return Judgement::broken(
                "any public address",
                vec![format!(
                    "nodes of pool {} have public addresses of their own and leave from them",
                    pool.name
                )],
            );
        }
        if pool.subnet.is_none() {
            missing.push(format!("the subnet of pool {}", pool.name));
        }
    }
    if cluster.is_dual_stack() {
        return Judgement::broken(
            "any IPv6 address",
            vec!["the cluster has IPv6, which no route leads through the firewall".to_owned()],
        );
    }
    if cluster.is_auto_provisioned() {
        missing.push("subnets of auto-provisioned nodes, which ARM does not show".to_owned());
    }
    match hub_exit(estate, hub) {
        Ok(mut unknown) => missing.append(&mut unknown),
        Err(broken) => return broken,
    }
    for subnet in cluster.subnets() {
        match judge_subnet(estate, hub, facts, &subnet) {
            Ok(mut unknown) => missing.append(&mut unknown),
            Err(broken) => return broken,
        }
    }
    match (missing.is_empty(), estate.oldest_read()) {
        (true, Some(oldest_read)) => Judgement::Holds {
            witness: format!(
                "every public address goes to {} and leaves from {}",
                facts.firewall_ip, facts.egress_ip
            ),
            oldest_read,
        },
        _ => Judgement::Unknown { missing },
    }
}

/// What could not be decided about one subnet, or the way out that is not the firewall.
fn judge_subnet(estate: &Estate, hub: &Hub, facts: &HubFacts, id: &ResourceId) -> Result<Vec<String>, Judgement> {
    let not_read = |what: String| Ok(vec![what]);
    let (Some(subnet), Some(vnet_id)) = (estate.subnet(id), id.parent()) else {
        return not_read(format!("the subnet {id}"));
    };
    let Some(vnet) = estate.vnet(&vnet_id) else {
        return not_read(format!("the virtual network {vnet_id}"));
    };
    let attached = subnet.route_table();
    let table = match attached_table(estate, attached.as_ref()) {
        Ok(table) => table,
        Err(reason) => return not_read(reason),
    };
    let mut missing: Vec<String> = doubt(&subnet, &vnet_id, &vnet, table).into_iter().collect();
    let learns = table.is_none_or(|(_, t)| t.propagates_gateway_routes());
    if learns && vnet.learns_gateway_routes() {
        missing.push(format!("the routes a gateway announces to {}", id.name()));
    }
    let cut = match intervals(&vnet, table) {
        Ok(cut) => cut,
        Err(mut unreadable) => {
            missing.append(&mut unreadable);
            return Ok(missing);
        }
    };
    for interval in cut.iter().filter(|i| i.is_public()) {
        let leak = |what: &str| {
            Judgement::broken(
                interval.first.to_string(),
                vec![format!("subnet {}", id.name()), interval.route.clone(), what.to_owned()],
            )
        };
        match &interval.next_hop {
            NextHop::Local | NextHop::Peered(_) | NextHop::Dropped => {}
            NextHop::Appliance(hop) if *hop == facts.firewall_ip => {}
            NextHop::Appliance(hop) => return Err(leak(&format!("goes to {hop}, which is not the firewall"))),
            NextHop::Internet if interval.first == interval.last && interval.first == facts.egress_ip => {}
            NextHop::Internet => return Err(leak("leaves to the internet from the cluster's own address")),
            NextHop::Gateway => missing.push(format!("what lies behind the gateway ({})", interval.route)),
            NextHop::Unreadable(kind) => missing.push(format!("the next hop {kind:?} ({})", interval.route)),
        }
    }
    // Traffic to these services takes a more specific system route around the firewall (virtual-networks-udr-overview.md).
    if let Some(service) = subnet.service_endpoints().first() {
        return Err(Judgement::broken(
            *service,
            vec![
                format!("subnet {}", id.name()),
                format!("service endpoint of {service} leads around the firewall"),
            ],
        ));
    }
    missing.extend(obstacle(estate, hub, facts, &vnet_id, &subnet.prefixes()).map(|o| o.reason));
    Ok(missing)
}

/// What cannot be said about the firewall's own way out, or why it is not the NAT gateway: a NAT gateway serves only what
/// the subnet's routes send to the internet (Azure NAT gateway overview), so a default route to anything else leads around it.
fn hub_exit(estate: &Estate, hub: &Hub) -> Result<Vec<String>, Judgement> {
    let Some(id) = estate.firewall(&hub.firewall).and_then(|f| f.subnet()) else {
        return Ok(vec![format!("the subnet of the firewall {}", hub.firewall.name())]);
    };
    let (Some(subnet), Some(vnet)) = (estate.subnet(&id), estate.vnet(&hub.virtual_network)) else {
        return Ok(vec![format!("the subnet {id}")]);
    };
    let mut missing = failed_gateway(estate, hub);
    let attached = subnet.route_table();
    let table = match attached_table(estate, attached.as_ref()) {
        Ok(table) => table,
        Err(reason) => {
            missing.push(reason);
            return Ok(missing);
        }
    };
    if vnet.learns_gateway_routes() && table.is_none_or(|(_, t)| t.propagates_gateway_routes()) {
        missing.push(format!(
            "the routes a gateway announces to {} of the firewall",
            id.name()
        ));
    }
    let cut = match intervals(&vnet, table) {
        Ok(cut) => cut,
        Err(unreadable) => {
            missing.extend(unreadable);
            return Ok(missing);
        }
    };
    match cut.iter().find(|i| i.is_public() && i.next_hop != NextHop::Internet) {
        Some(interval) => Err(Judgement::broken(
            interval.first.to_string(),
            vec![
                format!("subnet {} of the firewall", id.name()),
                interval.route.clone(),
                "leads around the NAT gateway".to_owned(),
            ],
        )),
        None => Ok(missing),
    }
}

/// Why the NAT gateway may not be the way out even where routes lead to it.
fn failed_gateway(estate: &Estate, hub: &Hub) -> Vec<String> {
    let addresses = estate.nat_gateway(&hub.nat_gateway).map(|nat| nat.public_ips());
    let mut all = vec![("NAT gateway", hub.nat_gateway.clone())];
    all.extend(addresses.into_iter().flatten().map(|id| ("public IP", id)));
    all.into_iter()
        .filter(|(_, id)| estate.get(id).is_some_and(has_failed))
        .map(|(what, id)| format!("whether the {what} {} works, of which the last write failed", id.name()))
        .collect()
}
