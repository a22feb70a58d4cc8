//! What each ARM kind is: its type name, back end, versions and habits, as data, and which module judges its writes.
//! A kind that is not in the table does not exist here, and ARM's own errors say so.

mod agent_pool;
pub(crate) mod azure_firewall;
pub(crate) mod checks;
pub(crate) mod cluster_network;
pub(crate) mod cluster_nodes;
pub(crate) mod cluster_shape;
pub(crate) mod kubenet;
pub(crate) mod managed_cluster;
pub(crate) mod nat_gateway;
pub(crate) mod nat_rule;
pub(crate) mod network_security_group;
pub(crate) mod peering;
pub(crate) mod public_ip;
pub(crate) mod role_assignment;
pub(crate) mod route_table;
pub(crate) mod rule_collection_group;
pub(crate) mod user_assigned_identity;
pub(crate) mod virtual_network;

use crate::ids::ArmPath;

/// One ARM kind the simulator serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    ResourceGroup,
    VirtualNetwork,
    Subnet,
    Peering,
    RouteTable,
    Route,
    NetworkSecurityGroup,
    NatGateway,
    PublicIp,
    FirewallPolicy,
    RuleCollectionGroup,
    AzureFirewall,
    LoadBalancer,
    ManagedCluster,
    AgentPool,
    UserAssignedIdentity,
    RoleAssignment,
}

/// Which back end answers: they differ in etag style, headers, operation URLs and body format
/// [arm-behaviour 1: "Two Network back-ends"].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    /// ARM itself and the small providers beside it: resource groups, identities, role assignments. Compact bodies,
    /// no etags.
    Resources,
    /// Network resource provider: `/operations/`, weak etags, pretty-printed bodies.
    Nrp,
    /// Firewall policies and their groups: `/nfvOperations/`, bare etags.
    Nfv,
    /// Azure Kubernetes Service.
    Aks,
}

/// Fixed facts about a kind.
pub(crate) struct KindFacts {
    pub(crate) kind: Kind,
    /// Type as it comes back in documents.
    pub(crate) type_name: &'static str,
    /// Type as authorization actions and events spell it.
    pub(crate) action_name: &'static str,
    pub(crate) backend: Backend,
    /// First answer's `Retry-After` in seconds for a PUT [arm-behaviour 1: recorded per kind in fluent-net].
    pub(crate) put_retry_after: Option<u32>,
    /// NRP's name of the last operation, used in its conflict texts.
    pub(crate) operation_name: &'static str,
}

macro_rules! facts {
    ($($kind:ident, $type_name:literal, $action:literal, $backend:ident, $retry:expr, $operation:literal;)*) => {
        const FACTS: &[KindFacts] = &[$(KindFacts {
            kind: Kind::$kind,
            type_name: $type_name,
            action_name: $action,
            backend: Backend::$backend,
            put_retry_after: $retry,
            operation_name: $operation,
        }),*];
    };
}

facts! {
    ResourceGroup, "Microsoft.Resources/resourceGroups", "Microsoft.Resources/subscriptions/resourceGroups", Resources, None, "PutResourceGroup";
    VirtualNetwork, "Microsoft.Network/virtualNetworks", "Microsoft.Network/virtualNetworks", Nrp, Some(3), "PutVirtualNetworkOperation";
    Subnet, "Microsoft.Network/virtualNetworks/subnets", "Microsoft.Network/virtualNetworks/subnets", Nrp, Some(3), "PutSubnetOperation";
    Peering, "Microsoft.Network/virtualNetworks/virtualNetworkPeerings", "Microsoft.Network/virtualNetworks/virtualNetworkPeerings", Nrp, Some(10), "PutVirtualNetworkPeeringOperation";
    RouteTable, "Microsoft.Network/routeTables", "Microsoft.Network/routeTables", Nrp, Some(10), "PutRouteTableOperation";
    Route, "Microsoft.Network/routeTables/routes", "Microsoft.Network/routeTables/routes", Nrp, Some(10), "PutRouteOperation";
    NetworkSecurityGroup, "Microsoft.Network/networkSecurityGroups", "Microsoft.Network/networkSecurityGroups", Nrp, Some(3), "PutNetworkSecurityGroupOperation";
    NatGateway, "Microsoft.Network/natGateways", "Microsoft.Network/natGateways", Nrp, Some(10), "PutNatGatewayOperation";
    PublicIp, "Microsoft.Network/publicIPAddresses", "Microsoft.Network/publicIPAddresses", Nrp, Some(1), "PutPublicIpAddressOperation";
    FirewallPolicy, "Microsoft.Network/FirewallPolicies", "Microsoft.Network/firewallPolicies", Nfv, Some(10), "PutFirewallPolicyOperation";
    RuleCollectionGroup, "Microsoft.Network/FirewallPolicies/RuleCollectionGroups", "Microsoft.Network/firewallPolicies/ruleCollectionGroups", Nfv, Some(10), "PutRuleCollectionGroupOperation";
    AzureFirewall, "Microsoft.Network/azureFirewalls", "Microsoft.Network/azureFirewalls", Nrp, Some(10), "PutAzureFirewallOperation";
    LoadBalancer, "Microsoft.Network/loadBalancers", "Microsoft.Network/loadBalancers", Nrp, Some(10), "PutLoadBalancerOperation";
    ManagedCluster, "Microsoft.ContainerService/ManagedClusters", "Microsoft.ContainerService/managedClusters", Aks, None, "PutManagedClusterHandler.PUT";
    AgentPool, "Microsoft.ContainerService/managedClusters/agentPools", "Microsoft.ContainerService/managedClusters/agentPools", Aks, None, "PutAgentPoolHandler.PUT";
    UserAssignedIdentity, "Microsoft.ManagedIdentity/userAssignedIdentities", "Microsoft.ManagedIdentity/userAssignedIdentities", Resources, None, "PutUserAssignedIdentity";
    RoleAssignment, "Microsoft.Authorization/roleAssignments", "Microsoft.Authorization/roleAssignments", Resources, None, "PutRoleAssignment";
}

impl Kind {
    /// The kind's fixed facts.
    pub(crate) fn facts(self) -> &'static KindFacts {
        FACTS.iter().find(|facts| facts.kind == self).unwrap_or(&FACTS[0])
    }

    /// The kind a path names, whether one resource or a collection.
    pub(crate) fn of(path: &ArmPath) -> Option<Kind> {
        if path.provider.is_none() {
            let group = path.resource_group.is_some() && path.types.is_empty();
            return (group || path.types == ["resourceGroups"]).then_some(Kind::ResourceGroup);
        }
        Self::of_type(&path.type_key())
    }

    /// The kind with this `Namespace/type`, compared without case.
    pub(crate) fn of_type(type_key: &str) -> Option<Kind> {
        FACTS
            .iter()
            .find(|facts| facts.type_name.eq_ignore_ascii_case(type_key))
            .map(|facts| facts.kind)
    }

    /// True for kinds that live inside another resource and share its lane and, in NRP, its etag.
    pub(crate) fn is_child(self) -> bool {
        matches!(
            self,
            Kind::Subnet | Kind::Peering | Kind::Route | Kind::RuleCollectionGroup | Kind::AgentPool
        )
    }
}

/// Api versions the simulator accepts for a kind; anything else gets ARM's own refusal.
pub(crate) fn api_versions(kind: Kind) -> &'static [&'static str] {
    match kind.facts().backend {
        Backend::Resources if kind == Kind::RoleAssignment => &[
            "2022-04-01",
            "2022-01-01-preview",
            "2020-10-01-preview",
            "2020-08-01-preview",
            "2020-04-01-preview",
            "2018-09-01-preview",
            "2018-01-01-preview",
            "2015-07-01",
        ],
        Backend::Resources if kind == Kind::UserAssignedIdentity => &[
            "2024-11-30",
            "2023-07-31-preview",
            "2023-01-31",
            "2022-01-31-preview",
            "2018-11-30",
        ],
        Backend::Resources => &[
            "2025-04-01",
            "2025-03-01",
            "2024-11-01",
            "2024-07-01",
            "2024-03-01",
            "2023-07-01",
            "2022-09-01",
            "2021-04-01",
        ],
        Backend::Nrp | Backend::Nfv => &[
            "2025-05-01",
            "2025-03-01",
            "2025-01-01",
            "2024-10-01",
            "2024-07-01",
            "2024-05-01",
            "2024-03-01",
            "2024-01-01",
            "2023-11-01",
            "2023-09-01",
            "2023-06-01",
            "2023-05-01",
            "2023-04-01",
            "2022-07-01",
            "2022-01-01",
            "2021-08-01",
            "2021-05-01",
            "2020-07-01",
            "2020-06-01",
            "2019-09-01",
        ],
        Backend::Aks => &[
            "2026-07-01",
            "2025-10-01",
            "2025-09-01",
            "2025-08-01",
            "2025-07-01",
            "2025-05-01",
            "2025-04-01",
            "2025-03-01",
            "2025-02-01",
            "2025-01-01",
            "2024-10-01",
            "2024-09-01",
            "2024-05-01",
            "2024-02-01",
            "2024-01-01",
            "2023-11-01",
            "2023-08-01",
        ],
    }
}
