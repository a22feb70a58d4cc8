//! A contribution: what one cluster needs from its hub. The ledger keeps one document per cluster, and the hub's rules
//! are built from all of them, so that a hub's work never has to read a cluster.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::ingress::{Target, adopt_dnat, inbound, target};
use super::{HubFacts, spoke_table};
use crate::catalogue::Feature;
use crate::config::{Config, IpProtocol};
use crate::estate::{ClusterView, Estate, VnetView};
use crate::ids::ResourceId;
use crate::proof::{NextHop, intervals};

/// Azure's own resolver, which the platform answers and no route leads away (virtual-network what-is-ip-address-168-63-129-16.md).
const AZURE_RESOLVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// What one cluster needs from its hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// The cluster.
    pub cluster: ResourceId,
    /// The hub's name in the configuration.
    pub hub: String,
    /// The prefixes from which the cluster's nodes and pods send, and those of every other subnet of their network that carries
    /// our table, in order.
    pub prefixes: Vec<Ipv4Net>,
    /// The API server's public name, unless it is private.
    pub api_server: Option<String>,
    /// The features that bring needs.
    pub features: BTreeSet<Feature>,
    /// The network's own DNS servers that are asked through the firewall, in order.
    #[serde(default)]
    pub dns_servers: Vec<Ipv4Addr>,
    /// Prefixes that our group still lets out for the cluster and that were seen to be in no subnet with our table, in order.
    /// No other prefix is ever taken away from a cluster that exists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<Ipv4Net>,
    /// What clients on the internet are led to, in order of port; empty while the cluster has no live target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inbound: Vec<Inbound>,
    /// The hub's address that is reserved for the cluster and attached. Whoever plans with a contribution fills it in from the
    /// reservations; it is no part of what the cluster asks for and is never kept with it.
    #[serde(skip)]
    pub ingress: Option<Ipv4Addr>,
}

/// One port that is led to a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    /// TCP or UDP.
    pub protocol: IpProtocol,
    /// The port that clients call.
    pub port: u16,
    /// The cluster's frontend.
    pub target: Ipv4Addr,
    /// Its port.
    pub target_port: u16,
}

/// What `cluster` needs from `hub`, or `None` while its network or one of its subnets is unknown: a contribution with a
/// missing prefix would look complete and leave nodes without rules.
///
/// A subnet that carries our table is led to the firewall whether or not a pool of the cluster is left in it: without rules
/// whoever lives there next would be cut off.
#[must_use]
pub fn contribution(
    estate: &Estate,
    config: &Config,
    id: &ResourceId,
    cluster: &ClusterView<'_>,
    hub: &str,
    facts: &HubFacts,
) -> Option<Contribution> {
    let subnets = cluster.subnets();
    let vnet_id = subnets.first()?.parent()?;
    let vnet = estate.vnet(&vnet_id)?;
    let table = spoke_table(estate, config, cluster).map(|table| table.id);
    let mut prefixes = Vec::new();
    for subnet in &subnets {
        prefixes.extend(estate.subnet(subnet)?.prefixes());
    }
    for subnet in vnet.subnets() {
        // Its own document may be the later read.
        let latest = estate.subnet(&vnet_id.child("subnets", subnet.name()));
        if let Some(led) = latest.filter(|s| table.is_some() && s.route_table() == table) {
            prefixes.extend(led.prefixes());
        }
    }
    prefixes.sort();
    prefixes.dedup();
    if prefixes.is_empty() {
        return None;
    }
    let pools = cluster.pools();
    let api_server = cluster
        .api_server()
        .filter(|_| !cluster.api_server_is_private())
        .map(str::to_ascii_lowercase);
    let dns_servers = dns_servers(&vnet, facts);
    let features = [
        (Feature::Always, true),
        (Feature::Linux, pools.iter().any(|p| !p.windows)),
        (Feature::Windows, pools.iter().any(|p| p.windows)),
        (Feature::PublicApiServer, api_server.is_some()),
        (Feature::CustomDns, !dns_servers.is_empty()),
    ];
    let mut contribution = Contribution {
        cluster: id.clone(),
        hub: hub.to_owned(),
        prefixes,
        api_server,
        features: features.into_iter().filter(|(_, on)| *on).map(|(f, _)| f).collect(),
        dns_servers,
        released: Vec::new(),
        inbound: Vec::new(),
        ingress: None,
    };
    if let Some(configured) = config.hubs.get(hub).filter(|hub| hub.ingress.is_some()) {
        match target(estate, config, configured, id, cluster) {
            Target::Live(address) => contribution.inbound = inbound(configured, address),
            Target::ToBeMade | Target::Gone(_) => {}
            // What leads in stays as it is until somebody can say where to.
            Target::Unknown => adopt_dnat(&mut contribution, estate, config, configured),
        }
        contribution.ingress = None;
    }
    Some(contribution)
}

/// The DNS servers of the network to which lookups go through the firewall once the default route leads there. What lies in
/// the network itself or behind a peering is reached directly, the hub's network also while its peering is still to be made.
fn dns_servers(vnet: &VnetView<'_>, facts: &HubFacts) -> Vec<Ipv4Addr> {
    let system = intervals(vnet, None).unwrap_or_default();
    let direct = |server: &Ipv4Addr| {
        facts.address_space.iter().any(|prefix| prefix.contains(server))
            || system.iter().any(|i| {
                i.first <= *server && *server <= i.last && matches!(i.next_hop, NextHop::Local | NextHop::Peered(_))
            })
    };
    let mut servers: Vec<Ipv4Addr> = vnet
        .dns_servers()
        .into_iter()
        .filter_map(|text| text.parse().ok())
        .filter(|server| *server != facts.firewall_ip && *server != AZURE_RESOLVER && !direct(server))
        .collect();
    servers.sort_unstable();
    servers.dedup();
    servers
}
