//! Views of virtual networks, subnets, peerings and route tables.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::Value;

use super::access::{at_rest, flag, has_failed, id, ids, list, prefixes, strings, succeeded, text, unsettled};
use crate::ids::ResourceId;

/// Typed reading of a virtual network.
#[derive(Clone, Copy, Debug)]
pub struct VnetView<'a> {
    body: &'a Value,
}

/// Typed reading of a subnet.
#[derive(Clone, Copy, Debug)]
pub struct SubnetView<'a> {
    /// The document as read.
    pub body: &'a Value,
}

/// Typed reading of one side of a peering.
#[derive(Clone, Copy, Debug)]
pub struct PeeringView<'a> {
    /// The document as read.
    pub body: &'a Value,
}

/// Typed reading of a route table.
#[derive(Clone, Copy, Debug)]
pub struct RouteTableView<'a> {
    body: &'a Value,
}

/// One route of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteView<'a> {
    /// The route's name.
    pub name: &'a str,
    /// The prefix or service tag.
    pub prefix: &'a str,
    /// For example `VirtualAppliance`, `Internet`, `None`.
    pub next_hop_type: &'a str,
    /// The appliance's address.
    pub next_hop: Option<Ipv4Addr>,
}

impl<'a> VnetView<'a> {
    /// A view on `body`.
    #[must_use]
    pub fn new(body: &'a Value) -> Self {
        Self { body }
    }

    /// The region.
    #[must_use]
    pub fn location(&self) -> &'a str {
        text(self.body, "/location").unwrap_or_default()
    }

    /// The IPv4 address space.
    #[must_use]
    pub fn address_space(&self) -> Vec<Ipv4Net> {
        prefixes(self.body, "/properties/addressSpace/addressPrefixes")
    }

    /// The custom DNS servers; empty means Azure's own resolver.
    #[must_use]
    pub fn dns_servers(&self) -> Vec<&'a str> {
        strings(self.body, "/properties/dhcpOptions/dnsServers")
    }

    /// The subnet of that name.
    #[must_use]
    pub fn subnet(&self, name: &str) -> Option<SubnetView<'a>> {
        list(self.body, "/properties/subnets")
            .iter()
            .find(|s| text(s, "/name").is_some_and(|n| n.eq_ignore_ascii_case(name)))
            .map(SubnetView::new)
    }

    /// All subnets.
    #[must_use]
    pub fn subnets(&self) -> Vec<SubnetView<'a>> {
        list(self.body, "/properties/subnets")
            .iter()
            .map(SubnetView::new)
            .collect()
    }

    /// All peerings.
    #[must_use]
    pub fn peerings(&self) -> Vec<PeeringView<'a>> {
        list(self.body, "/properties/virtualNetworkPeerings")
            .iter()
            .map(|body| PeeringView { body })
            .collect()
    }

    /// The peering that leads to `remote`, whatever its name.
    #[must_use]
    pub fn peering_to(&self, remote: &ResourceId) -> Option<PeeringView<'a>> {
        self.peerings()
            .into_iter()
            .find(|p| p.remote().as_ref() == Some(remote))
    }

    /// True if no write is under way on the network.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        at_rest(self.body)
    }

    /// True if the last write on the network ended badly.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        has_failed(self.body)
    }

    /// The state in which the network's content is not known to be in force.
    pub(crate) fn unsettled(&self) -> Option<&'a str> {
        unsettled(self.body)
    }

    /// True if routes that a gateway learns, here or in a peered network, reach this network's subnets.
    #[must_use]
    pub fn learns_gateway_routes(&self) -> bool {
        self.has_gateway_subnet() || self.peerings().iter().any(PeeringView::uses_remote_gateways)
    }

    /// True if the network has a gateway of its own, the source of propagated routes.
    #[must_use]
    pub fn has_gateway_subnet(&self) -> bool {
        self.subnet("GatewaySubnet").is_some()
    }
}

impl<'a> SubnetView<'a> {
    /// A view on `body`.
    #[must_use]
    pub fn new(body: &'a Value) -> Self {
        Self { body }
    }

    /// The subnet's name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        text(self.body, "/name").unwrap_or_default()
    }

    /// The subnet's IPv4 prefixes. Azure writes one as `addressPrefix`, several as `addressPrefixes`.
    #[must_use]
    pub fn prefixes(&self) -> Vec<Ipv4Net> {
        let mut all: Vec<Ipv4Net> = text(self.body, "/properties/addressPrefix")
            .and_then(|t| t.parse().ok())
            .into_iter()
            .chain(prefixes(self.body, "/properties/addressPrefixes"))
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// The attached route table.
    #[must_use]
    pub fn route_table(&self) -> Option<ResourceId> {
        id(self.body, "/properties/routeTable/id")
    }

    /// The attached NAT gateway.
    #[must_use]
    pub fn nat_gateway(&self) -> Option<ResourceId> {
        id(self.body, "/properties/natGateway/id")
    }

    /// The attached network security group.
    #[must_use]
    pub fn security_group(&self) -> Option<ResourceId> {
        id(self.body, "/properties/networkSecurityGroup/id")
    }

    /// The services to which the subnet is delegated.
    #[must_use]
    pub fn delegations(&self) -> Vec<&'a str> {
        list(self.body, "/properties/delegations")
            .iter()
            .filter_map(|d| text(d, "/properties/serviceName"))
            .collect()
    }

    /// The services with an endpoint in the subnet; their traffic does not follow the default route.
    #[must_use]
    pub fn service_endpoints(&self) -> Vec<&'a str> {
        list(self.body, "/properties/serviceEndpoints")
            .iter()
            .filter_map(|e| text(e, "/service"))
            .collect()
    }

    /// The network interfaces in the subnet, as the texts of their ids, which name the resource group of their owner. One
    /// without an id is an empty text: it is there all the same.
    #[must_use]
    pub fn ip_configurations(&self) -> Vec<&'a str> {
        list(self.body, "/properties/ipConfigurations")
            .iter()
            .map(|one| text(one, "/id").unwrap_or_default())
            .collect()
    }

    /// True if no write is under way on the subnet.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        at_rest(self.body)
    }

    /// True if the last write on the subnet ended badly.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        has_failed(self.body)
    }

    /// The state in which the subnet's content is not known to be in force.
    pub(crate) fn unsettled(&self) -> Option<&'a str> {
        unsettled(self.body)
    }

    /// True for subnets whose routing belongs to another Azure service. AKS delegates the pod subnets of dynamic addressing
    /// to itself (MicrosoftDocs/azure-docs#103167), so that delegation reserves nothing.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        const RESERVED: [&str; 5] = [
            "GatewaySubnet",
            "AzureBastionSubnet",
            "AzureFirewallSubnet",
            "AzureFirewallManagementSubnet",
            "RouteServerSubnet",
        ];
        RESERVED.iter().any(|name| self.name().eq_ignore_ascii_case(name))
            || self
                .delegations()
                .iter()
                .any(|service| !service.eq_ignore_ascii_case("Microsoft.ContainerService/managedClusters"))
            || !list(self.body, "/properties/applicationGatewayIPConfigurations").is_empty()
    }
}

impl<'a> PeeringView<'a> {
    /// The peering's name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        text(self.body, "/name").unwrap_or_default()
    }

    /// The network at the other end.
    #[must_use]
    pub fn remote(&self) -> Option<ResourceId> {
        id(self.body, "/properties/remoteVirtualNetwork/id")
    }

    /// `Initiated`, `Connected` or `Disconnected`.
    #[must_use]
    pub fn state(&self) -> &'a str {
        text(self.body, "/properties/peeringState").unwrap_or_default()
    }

    /// The address space that is peered.
    #[must_use]
    pub fn remote_address_space(&self) -> Vec<Ipv4Net> {
        prefixes(self.body, "/properties/remoteAddressSpace/addressPrefixes")
    }

    /// True if both sides exist and joined: its routes are in force, also during an update of it, and not for long any more
    /// while it is being deleted.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let leaves = unsettled(self.body).is_some_and(|state| state.eq_ignore_ascii_case("Deleting"));
        self.state().eq_ignore_ascii_case("Connected") && !leaves
    }

    /// True if one side of it was deleted; Azure never connects it again.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.state().eq_ignore_ascii_case("Disconnected")
    }

    /// True if traffic flows: `Connected`, in sync, and no write under way.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.is_connected() && self.is_in_sync() && succeeded(self.body)
    }

    /// True if the last write on the peering ended badly.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        has_failed(self.body)
    }

    /// False if the peering joins chosen subnets only (`peerCompleteVnets`; absent in answers from before 2023).
    #[must_use]
    pub fn joins_whole_networks(&self) -> bool {
        flag(self.body, "/properties/peerCompleteVnets").unwrap_or(true)
    }

    /// True if the address space that is peered is the one the networks have. Answers from before 2021 lack
    /// `peeringSyncLevel`; its absence counts as in sync.
    #[must_use]
    pub fn is_in_sync(&self) -> bool {
        text(self.body, "/properties/peeringSyncLevel").is_none_or(|l| l.eq_ignore_ascii_case("FullyInSync"))
    }

    /// True if traffic of the peer itself and traffic forwarded by it are let through.
    #[must_use]
    pub fn flags_suffice(&self) -> bool {
        flag(self.body, "/properties/allowVirtualNetworkAccess").unwrap_or(false)
            && flag(self.body, "/properties/allowForwardedTraffic").unwrap_or(false)
    }

    /// True if the peer's gateway announces routes into this network.
    #[must_use]
    pub fn uses_remote_gateways(&self) -> bool {
        flag(self.body, "/properties/useRemoteGateways").unwrap_or(false)
    }
}

impl<'a> RouteTableView<'a> {
    /// A view on `body`.
    #[must_use]
    pub fn new(body: &'a Value) -> Self {
        Self { body }
    }

    /// The routes, in Azure's order.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteView<'a>> {
        list(self.body, "/properties/routes")
            .iter()
            .map(|route| RouteView {
                name: text(route, "/name").unwrap_or_default(),
                prefix: text(route, "/properties/addressPrefix").unwrap_or_default(),
                next_hop_type: text(route, "/properties/nextHopType").unwrap_or_default(),
                next_hop: text(route, "/properties/nextHopIpAddress").and_then(|t| t.parse().ok()),
            })
            .collect()
    }

    /// The subnets that carry the table, as the table itself lists them; they may lie in several networks.
    #[must_use]
    pub fn subnets(&self) -> Vec<ResourceId> {
        ids(self.body, "/properties/subnets")
    }

    /// True if routes announced by a gateway reach the table's subnets (the default).
    #[must_use]
    pub fn propagates_gateway_routes(&self) -> bool {
        !flag(self.body, "/properties/disableBgpRoutePropagation").unwrap_or(false)
    }

    /// True if no write is under way on the table.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        at_rest(self.body)
    }

    /// True if the last write on the table or one of its routes ended badly.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        has_failed(self.body)
    }

    /// The state in which the table's content is not known to be in force.
    pub(crate) fn unsettled(&self) -> Option<&'a str> {
        unsettled(self.body)
    }
}
