//! Under which address traffic leaves Azure. A subnet without a table that says otherwise leaves by its NAT gateway, else
//! by the node's own public address, else by the cluster's load balancer, else by Azure's default outbound access. The
//! firewall leaves by its subnet's NAT gateway, else by its own public addresses.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::Value;

use super::firewall::Firewall;
use super::topology::Place;
use super::view::{address, flag, id, items, last_part, name, references, resource_group, same, text};
use super::{Lost, Walker};

/// Stands for the unknown, Microsoft-owned address of default outbound access and of node addresses that have no document.
/// It lies in a range reserved for documentation, so it is never an egress address of anybody.
pub const DEFAULT_OUTBOUND_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);

impl Walker<'_> {
    /// The address under which a subnet's node leaves for the internet.
    pub(super) fn egress_of_subnet(&mut self, place: &Place, cluster: Option<&str>) -> Result<Ipv4Addr, Lost> {
        // The NAT gateway comes first: it supersedes instance addresses and load balancers (nat-gateway-resource).
        if let Some(gateway) = text(&place.subnet, "/properties/natGateway/id") {
            return self.egress_of_nat_gateway(gateway);
        }
        let cluster = self.cluster_in(place, cluster);
        if let Some(cluster) = &cluster {
            let label = last_part(id(cluster)).to_owned();
            if self.has_node_addresses(cluster, place) {
                let own = self.node_address(cluster);
                return Ok(self.pick(own, &format!("public address of a node of {label}")));
            }
            let shared = self.outbound_addresses(cluster);
            if !shared.is_empty() {
                let shared = self.pick(shared, &format!("outbound address of {label}"));
                return Ok(shared);
            }
        }
        if !flag(&place.subnet, "/properties/defaultOutboundAccess", true) {
            return Err(Lost::new(
                place.name(),
                "the subnet is private and has no way to the internet",
            ));
        }
        Ok(self.pick(Vec::new(), "default outbound access"))
    }

    /// The address under which the firewall leaves for the internet.
    pub(super) fn egress_of_firewall(&mut self, firewall: &Firewall) -> Result<Ipv4Addr, Lost> {
        if let Some(gateway) = text(&firewall.place.subnet, "/properties/natGateway/id") {
            return self.egress_of_nat_gateway(gateway);
        }
        let own: Vec<Ipv4Addr> = firewall
            .public_address_ids()
            .into_iter()
            .filter_map(|id| self.public_address(id))
            .collect();
        let label = name(&firewall.document);
        if own.is_empty() {
            return Err(Lost::new(label, "the firewall has no public address"));
        }
        Ok(self.pick(own, &format!("public address of firewall {label}")))
    }

    /// The addresses AKS made for a cluster's outbound traffic: of its load balancer or its managed NAT gateway.
    pub(super) fn outbound_addresses(&self, cluster: &Value) -> Vec<Ipv4Addr> {
        let profile = match text(cluster, "/properties/networkProfile/outboundType") {
            Some("loadBalancer") | None => "loadBalancerProfile",
            Some("managedNATGateway" | "managedNATGatewayV2") => "natGatewayProfile",
            Some(_) => return Vec::new(),
        };
        references(
            cluster,
            &format!("/properties/networkProfile/{profile}/effectiveOutboundIPs"),
        )
        .filter_map(|id| self.public_address(id))
        .collect()
    }

    /// All addresses of a NAT gateway: its public addresses and every address of its prefixes.
    pub(super) fn nat_gateway_addresses(&self, gateway: &Value) -> Vec<Ipv4Addr> {
        let single = references(gateway, "/properties/publicIpAddresses").filter_map(|id| self.public_address(id));
        let ranges = references(gateway, "/properties/publicIpPrefixes")
            .filter_map(|id| self.documents.get(id))
            .filter_map(|prefix| text(&prefix, "/properties/ipPrefix")?.parse::<Ipv4Net>().ok())
            // Network and broadcast address count: a prefix is a block of single addresses.
            .flat_map(|prefix| (u32::from(prefix.network())..=u32::from(prefix.broadcast())).map(Ipv4Addr::from));
        single.chain(ranges).collect()
    }

    fn egress_of_nat_gateway(&mut self, id: &str) -> Result<Ipv4Addr, Lost> {
        let lost = |why: &str| Lost::new(last_part(id), why);
        let gateway = self
            .documents
            .get(id)
            .ok_or_else(|| lost("the NAT gateway does not exist"))?;
        let addresses = self.nat_gateway_addresses(&gateway);
        if addresses.is_empty() {
            return Err(lost("the NAT gateway has no public address"));
        }
        Ok(self.pick(addresses, &format!("NAT gateway {}", name(&gateway))))
    }

    /// The smallest of several addresses: Azure picks at random, and a walk must not.
    fn pick(&mut self, mut addresses: Vec<Ipv4Addr>, label: &str) -> Ipv4Addr {
        addresses.sort();
        addresses.dedup();
        let chosen = addresses.first().copied().unwrap_or(DEFAULT_OUTBOUND_ADDRESS);
        let choice = match addresses.len() {
            0 => " (not known beforehand)".to_owned(),
            1 => String::new(),
            several => format!(" (one of {several})"),
        };
        self.note(format!("leaves as {chosen}, {label}{choice}"));
        chosen
    }

    pub(super) fn public_address(&self, id: &str) -> Option<Ipv4Addr> {
        address(&self.documents.get(id)?, "/properties/ipAddress")
    }

    fn cluster_in(&self, place: &Place, wanted: Option<&str>) -> Option<Value> {
        match wanted {
            Some(id) => self.documents.get(id),
            None => self
                .documents
                .list("Microsoft.ContainerService/managedClusters")
                .into_iter()
                .find(|cluster| pools_in(cluster, place).next().is_some()),
        }
    }

    fn has_node_addresses(&self, cluster: &Value, place: &Place) -> bool {
        pools_in(cluster, place).any(|pool| flag(pool, "/enableNodePublicIP", false))
    }

    fn node_address(&self, cluster: &Value) -> Vec<Ipv4Addr> {
        let group = text(cluster, "/properties/nodeResourceGroup").unwrap_or_default();
        self.documents
            .list("Microsoft.Network/publicIPAddresses")
            .iter()
            .filter(|public| resource_group(id(public)).is_some_and(|its| same(its, group)))
            .filter(|public| {
                text(public, "/properties/ipConfiguration/id")
                    .is_some_and(|owner| owner.to_ascii_lowercase().contains("/virtualmachinescalesets/"))
            })
            .filter_map(|public| address(public, "/properties/ipAddress"))
            .collect()
    }
}

fn pools_in<'a>(cluster: &'a Value, place: &'a Place) -> impl Iterator<Item = &'a Value> {
    items(cluster, "/properties/agentPoolProfiles").iter().filter(|pool| {
        ["/vnetSubnetID", "/podSubnetID"]
            .iter()
            .filter_map(|field| text(pool, field))
            .any(|subnet| same(subnet, id(&place.subnet)))
            || in_managed_network(cluster, pool, place)
    })
}

/// A pool that names no subnet lives in the VNet of the node resource group, which AKS made.
fn in_managed_network(cluster: &Value, pool: &Value, place: &Place) -> bool {
    let group = text(cluster, "/properties/nodeResourceGroup").unwrap_or_default();
    text(pool, "/vnetSubnetID").is_none() && resource_group(place.vnet_id()).is_some_and(|its| same(its, group))
}
