//! What the hub's documents say about the one egress address and the next hop.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::config::Hub;
use crate::estate::{self, Estate};
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;

/// What every spoke needs to know about its hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFacts {
    /// The next hop of every spoke's default route.
    pub firewall_ip: Ipv4Addr,
    /// The address from which everybody leaves.
    pub egress_ip: Ipv4Addr,
    /// The policy that carries the rules.
    pub policy: ResourceId,
    /// The hub network's address space, which a peered spoke reaches without the firewall.
    pub address_space: Vec<Ipv4Net>,
}

/// Reads the hub's facts.
///
/// # Errors
/// A blocking finding if the hub has no next hop, or if its egress is not exactly one known address: with several, Azure
/// picks one at random (Azure Firewall integrate-with-nat-gateway.md), and "one address" would be untrue.
pub fn hub_facts(estate: &Estate, hub: &Hub) -> Result<HubFacts, Finding> {
    let firewall = estate
        .firewall(&hub.firewall)
        .ok_or_else(|| hub_down(format!("the firewall {} was not found", hub.firewall)))?;
    let firewall_ip = firewall.private_ip().ok_or_else(|| {
        hub_down(format!(
            "the firewall {} has no private address (deallocated?)",
            hub.firewall
        ))
    })?;
    let lives_in = firewall.subnet().and_then(|subnet| subnet.parent());
    if lives_in.as_ref() != Some(&hub.virtual_network) {
        return Err(Finding::blocking(
            Code::HubDown,
            format!(
                "the firewall {} does not lie in the network {}",
                hub.firewall, hub.virtual_network
            ),
            "Name the firewall's own network as virtual_network of the hub; spokes peered to another could not reach it.",
        ));
    }
    let policy = firewall
        .policy()
        .ok_or_else(|| hub_down(format!("the firewall {} has no firewall policy", hub.firewall)))?;
    Ok(HubFacts {
        firewall_ip,
        egress_ip: egress_ip(estate, hub)?,
        policy,
        address_space: estate
            .vnet(&hub.virtual_network)
            .map(|vnet| vnet.address_space())
            .unwrap_or_default(),
    })
}

/// The facts of a hub to which a spoke may be led; only repeating a failed update mends a failed firewall, so the hub's own
/// work goes on with [`hub_facts`].
///
/// # Errors
/// As [`hub_facts`]; a blocking finding too if the firewall's last update failed.
pub fn serving_hub(estate: &Estate, hub: &Hub) -> Result<HubFacts, Finding> {
    let facts = hub_facts(estate, hub)?;
    if estate.firewall(&hub.firewall).is_some_and(|f| f.has_failed()) {
        return Err(hub_down(format!(
            "the firewall {} is in state Failed, its instances may hold different rules",
            hub.firewall
        )));
    }
    Ok(facts)
}

fn egress_ip(estate: &Estate, hub: &Hub) -> Result<Ipv4Addr, Finding> {
    let refuse = |reason: String| {
        Finding::blocking(
            Code::NotOneEgressAddress,
            reason,
            "Attach exactly one public IP address and no prefix to the NAT gateway of AzureFirewallSubnet.",
        )
    };
    let nat = estate.nat_gateway(&hub.nat_gateway).ok_or_else(|| {
        Finding::blocking(
            Code::NatGatewayNotFound,
            format!("the NAT gateway {} was not found", hub.nat_gateway),
            "Name the NAT gateway of AzureFirewallSubnet in the hub's nat_gateway setting.",
        )
    })?;
    if !nat.public_ip_prefixes().is_empty() {
        return Err(refuse(format!(
            "the NAT gateway {} has a public IP prefix",
            hub.nat_gateway
        )));
    }
    let addresses = nat.public_ips();
    let [address] = addresses.as_slice() else {
        return Err(refuse(format!(
            "the NAT gateway {} has {} public IP addresses",
            hub.nat_gateway,
            addresses.len()
        )));
    };
    let subnet = estate.firewall(&hub.firewall).and_then(|f| f.subnet());
    let attached = subnet
        .and_then(|id| estate.subnet(&id))
        .and_then(|s| s.nat_gateway())
        .is_some_and(|id| id == hub.nat_gateway);
    if !attached {
        return Err(refuse(format!(
            "the firewall's subnet does not use the NAT gateway {}",
            hub.nat_gateway
        )));
    }
    estate
        .get(address)
        .and_then(|ip| estate::text(ip, "/properties/ipAddress"))
        .and_then(|t| t.parse().ok())
        .ok_or_else(|| refuse(format!("the public IP {address} has no IPv4 address")))
}

fn hub_down(reason: String) -> Finding {
    Finding::blocking(
        Code::HubDown,
        reason,
        "Bring the firewall back; nothing is written to any spoke until then.",
    )
}
