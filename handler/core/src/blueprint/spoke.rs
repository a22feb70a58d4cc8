//! What should exist for a spoke: two peerings, a route table, the table on each node and pod subnet.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::{HubFacts, SpokeTable, peering_id, route_name, spoke_table};
use crate::config::{Config, Hub};
use crate::estate::{ClusterView, Estate};
use crate::ids::ResourceId;

/// Everything a spoke should have.
#[derive(Clone, Debug, PartialEq)]
pub struct SpokeBlueprint {
    /// The spoke's virtual network.
    pub vnet: ResourceId,
    /// The peering on the hub's side and on the spoke's.
    pub peerings: [PeeringSide; 2],
    /// The route table with our routes.
    pub route_table: ResourceId,
    /// False if the table belongs to AKS and the network's owner (kubenet), and only the two routes in it are ours.
    pub table_is_ours: bool,
    /// Its region: that of the network.
    pub location: String,
    /// The two routes.
    pub routes: [PlannedRoute; 2],
    /// The cluster's subnets, each with the table it should carry.
    pub subnets: Vec<SubnetAttachment>,
}

/// One side of the peering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeeringSide {
    /// The peering, if it has to be made.
    pub id: ResourceId,
    /// The network it belongs to.
    pub local: ResourceId,
    /// The network it leads to.
    pub remote: ResourceId,
}

/// One named route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRoute {
    /// The route's id under the table.
    pub id: ResourceId,
    /// The prefix.
    pub prefix: String,
    /// `VirtualAppliance` with an address, or `Internet`.
    pub next_hop: Option<Ipv4Addr>,
}

/// A subnet that should carry the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetAttachment {
    /// The subnet.
    pub id: ResourceId,
    /// The table.
    pub route_table: ResourceId,
}

impl PeeringSide {
    /// The body of a peering to be made. Forwarded traffic is allowed both ways: what leaves through the firewall comes
    /// back from addresses outside the peer (azure tutorial hub-spoke-nat-firewall.md).
    #[must_use]
    pub fn body(&self) -> Value {
        json!({
            "properties": {
                "remoteVirtualNetwork": {"id": self.remote.as_str()},
                "allowVirtualNetworkAccess": true,
                "allowForwardedTraffic": true,
                "allowGatewayTransit": false,
                "useRemoteGateways": false,
            }
        })
    }
}

impl PlannedRoute {
    /// The route's properties as Azure takes them.
    #[must_use]
    pub fn properties(&self) -> Value {
        match self.next_hop {
            Some(address) => json!({
                "addressPrefix": self.prefix,
                "nextHopType": "VirtualAppliance",
                "nextHopIpAddress": address.to_string(),
            }),
            None => json!({"addressPrefix": self.prefix, "nextHopType": "Internet"}),
        }
    }
}

impl SpokeBlueprint {
    /// The body of our table when it is made: both routes at once, so that it never exists without the return route.
    /// Gateway propagation stays as it is for a subnet without a table: on.
    #[must_use]
    pub fn route_table_body(&self, prefix: &str) -> Value {
        let routes: Vec<Value> = self
            .routes
            .iter()
            .map(|r| json!({"name": r.id.name(), "properties": r.properties()}))
            .collect();
        json!({
            "location": self.location,
            "tags": {"managed-by": prefix},
            "properties": {"disableBgpRoutePropagation": false, "routes": routes},
        })
    }
}

/// The blueprint of the spoke in which `cluster` lives, or `None` while its network was not read.
#[must_use]
pub fn spoke_blueprint(
    estate: &Estate,
    config: &Config,
    hub: &Hub,
    facts: &HubFacts,
    cluster: &ClusterView<'_>,
) -> Option<SpokeBlueprint> {
    let subnets = cluster.subnets();
    let vnet = subnets.first()?.parent()?;
    let location = estate.vnet(&vnet)?.location().to_owned();
    let SpokeTable {
        id: route_table,
        is_ours: table_is_ours,
    } = spoke_table(estate, config, cluster)?;
    let side = |local: &ResourceId, remote: &ResourceId| PeeringSide {
        id: peering_id(config, local, remote),
        local: local.clone(),
        remote: remote.clone(),
    };
    let route = |kind: &str, prefix: String, next_hop: Option<Ipv4Addr>| PlannedRoute {
        id: route_table.child("routes", &route_name(config, kind)),
        prefix,
        next_hop,
    };
    Some(SpokeBlueprint {
        peerings: [side(&hub.virtual_network, &vnet), side(&vnet, &hub.virtual_network)],
        routes: [
            route("default", "0.0.0.0/0".to_owned(), Some(facts.firewall_ip)),
            // Replies to what came in through the firewall go back the way they came; a public load balancer needs this
            // (Azure Firewall integrate-lb.md, with the NAT gateway's address because it is the source that nodes see).
            route("return", format!("{}/32", facts.egress_ip), None),
        ],
        subnets: subnets
            .iter()
            .map(|id| SubnetAttachment {
                id: id.clone(),
                route_table: route_table.clone(),
            })
            .collect(),
        location,
        route_table,
        table_is_ours,
        vnet,
    })
}
