//! The resource kinds we read or write, with the api-version of each. The versions are constants of ours, so that a
//! change of shape arrives when we choose it.

use crate::ids::ResourceId;

/// A resource kind known to Hubward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An AKS cluster.
    ManagedCluster,
    /// A virtual network.
    VirtualNetwork,
    /// A subnet.
    Subnet,
    /// A peering of a virtual network.
    Peering,
    /// A route table.
    RouteTable,
    /// A route of a route table.
    Route,
    /// A firewall.
    Firewall,
    /// A firewall policy.
    FirewallPolicy,
    /// A rule collection group of a policy.
    RuleCollectionGroup,
    /// A NAT gateway.
    NatGateway,
    /// A public IP address.
    PublicIp,
    /// A load balancer.
    LoadBalancer,
    /// A network security group.
    NetworkSecurityGroup,
    /// A role assignment.
    RoleAssignment,
    /// A resource group.
    ResourceGroup,
}

impl Kind {
    const ALL: [(Self, &'static str, &'static str); 15] = [
        (
            Self::ManagedCluster,
            "Microsoft.ContainerService/managedClusters",
            CONTAINER_SERVICE,
        ),
        (Self::VirtualNetwork, "Microsoft.Network/virtualNetworks", NETWORK),
        (Self::Subnet, "Microsoft.Network/virtualNetworks/subnets", NETWORK),
        (
            Self::Peering,
            "Microsoft.Network/virtualNetworks/virtualNetworkPeerings",
            NETWORK,
        ),
        (Self::RouteTable, "Microsoft.Network/routeTables", NETWORK),
        (Self::Route, "Microsoft.Network/routeTables/routes", NETWORK),
        (Self::Firewall, "Microsoft.Network/azureFirewalls", NETWORK),
        (Self::FirewallPolicy, "Microsoft.Network/firewallPolicies", NETWORK),
        (
            Self::RuleCollectionGroup,
            "Microsoft.Network/firewallPolicies/ruleCollectionGroups",
            NETWORK,
        ),
        (Self::NatGateway, "Microsoft.Network/natGateways", NETWORK),
        (Self::PublicIp, "Microsoft.Network/publicIPAddresses", NETWORK),
        (Self::LoadBalancer, "Microsoft.Network/loadBalancers", NETWORK),
        (
            Self::NetworkSecurityGroup,
            "Microsoft.Network/networkSecurityGroups",
            NETWORK,
        ),
        (
            Self::RoleAssignment,
            "Microsoft.Authorization/roleAssignments",
            AUTHORIZATION,
        ),
        (Self::ResourceGroup, GROUP, RESOURCES),
    ];

    /// The kind of a resource, if it is one of ours.
    #[must_use]
    pub fn of(id: &ResourceId) -> Option<Self> {
        let wanted = match id.resource_type() {
            none if none.is_empty() && id.resource_group().is_some() => GROUP.to_owned(),
            some => some,
        };
        Self::ALL
            .iter()
            .find(|(_, name, _)| name.eq_ignore_ascii_case(&wanted))
            .map(|(kind, _, _)| *kind)
    }
}

/// `Microsoft.Network`: the first version with StandardV2 NAT gateways is 2024-10-01 (natGateway.json of that version);
/// 2025-05-01 is the version of the official SDK whose shapes we checked.
const NETWORK: &str = "2025-05-01";

/// `Microsoft.ContainerService`: the version of the official example set.
pub const CONTAINER_SERVICE: &str = "2025-05-01";

/// `Microsoft.Authorization`: the version of role assignments in the official SDK.
const AUTHORIZATION: &str = "2022-04-01";

/// `Microsoft.Resources`: the version of resource groups in the official SDK.
const RESOURCES: &str = "2024-11-01";

/// The type of a resource group, which its id does not spell.
const GROUP: &str = "Microsoft.Resources/resourceGroups";

/// The api-version we use for a kind.
#[must_use]
pub fn api_version_of(kind: Kind) -> &'static str {
    Kind::ALL
        .iter()
        .find(|(k, _, _)| *k == kind)
        .map_or("", |(_, _, version)| *version)
}

/// The api-version we use for a resource; `None` if its kind is not one of ours.
#[must_use]
pub fn api_version(id: &ResourceId) -> Option<&'static str> {
    Kind::of(id).map(api_version_of)
}
