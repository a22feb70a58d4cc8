//! A view of an AKS cluster: the fields that decide where its traffic leaves and what it needs.

use ipnet::Ipv4Net;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::access::{flag, id, list, prefixes, strings, text};
use crate::ids::ResourceId;

/// Typed reading of a `managedClusters` document.
#[derive(Clone, Copy, Debug)]
pub struct ClusterView<'a> {
    body: &'a Value,
}

/// One agent pool, as the cluster's document shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The pool's name.
    pub name: String,
    /// The node subnet; `None` means that AKS made the network.
    pub subnet: Option<ResourceId>,
    /// The pod subnet of dynamic pod addressing.
    pub pod_subnet: Option<ResourceId>,
    /// True for Windows nodes.
    pub windows: bool,
    /// True if each node has a public address of its own.
    pub node_public_ip: bool,
    /// The most nodes the pool may have: those it has, or the limit of its autoscaler.
    pub most_nodes: u64,
}

/// Who the cluster's control plane is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// System-assigned, with the principal's object id.
    SystemAssigned(String),
    /// User-assigned, with the principal's object id.
    UserAssigned(String),
    /// A service principal, by the client id of its application. The document does not have the object id that rights are given
    /// to (managedClusters.json, ManagedClusterServicePrincipalProfile).
    ServicePrincipal(String),
    /// The document does not say: AKS has not named the principal yet, or whoever showed the document left it out.
    Unknown,
}

impl<'a> ClusterView<'a> {
    /// A view on `body`.
    #[must_use]
    pub fn new(body: &'a Value) -> Self {
        Self { body }
    }

    /// The cluster's id with Azure's own casing.
    #[must_use]
    pub fn id(&self) -> Option<ResourceId> {
        id(self.body, "/id")
    }

    /// The cluster's name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        text(self.body, "/name").unwrap_or_default()
    }

    /// The region.
    #[must_use]
    pub fn location(&self) -> &'a str {
        text(self.body, "/location").unwrap_or_default()
    }

    /// `properties.provisioningState`, for example `Succeeded`, `Creating`, `Updating`, `Deleting`, `Failed`.
    #[must_use]
    pub fn provisioning_state(&self) -> &'a str {
        text(self.body, "/properties/provisioningState").unwrap_or_default()
    }

    /// True if the last operation on the cluster ended well.
    #[must_use]
    pub fn is_succeeded(&self) -> bool {
        self.provisioning_state().eq_ignore_ascii_case("Succeeded")
    }

    /// When the cluster was made, if Azure says (`systemData.createdAt`).
    #[must_use]
    pub fn created_at(&self) -> Option<OffsetDateTime> {
        text(self.body, "/systemData/createdAt").and_then(|t| OffsetDateTime::parse(t, &Rfc3339).ok())
    }

    /// The group in which AKS keeps the cluster's own resources (`MC_...`).
    #[must_use]
    pub fn node_resource_group(&self) -> Option<&'a str> {
        text(self.body, "/properties/nodeResourceGroup")
    }

    /// The public name of the API server; private clusters have none that matters for egress.
    #[must_use]
    pub fn api_server(&self) -> Option<&'a str> {
        text(self.body, "/properties/fqdn").filter(|name| !name.is_empty())
    }

    /// True if the API server is reached through a private endpoint or through its own subnet (VNet integration):
    /// no traffic to it crosses the firewall (AKS private-clusters.md, api-server-vnet-integration.md).
    #[must_use]
    pub fn api_server_is_private(&self) -> bool {
        let profile = "/properties/apiServerAccessProfile";
        flag(self.body, &format!("{profile}/enablePrivateCluster")).unwrap_or(false)
            || flag(self.body, &format!("{profile}/enableVnetIntegration")).unwrap_or(false)
    }

    /// The addresses that may call the API server; empty means everybody.
    #[must_use]
    pub fn authorized_ranges(&self) -> Vec<&'a str> {
        strings(self.body, "/properties/apiServerAccessProfile/authorizedIPRanges")
    }

    /// `networkProfile.outboundType`, for example `loadBalancer`.
    #[must_use]
    pub fn outbound_type(&self) -> &'a str {
        text(self.body, "/properties/networkProfile/outboundType").unwrap_or("loadBalancer")
    }

    /// `networkProfile.networkPlugin`, for example `azure`, `kubenet`, `none`.
    #[must_use]
    pub fn network_plugin(&self) -> &'a str {
        text(self.body, "/properties/networkProfile/networkPlugin").unwrap_or_default()
    }

    /// True if AKS routes to pods by a route per node, in a table that the node subnets carry (AKS configure-kubenet.md).
    #[must_use]
    pub fn is_kubenet(&self) -> bool {
        self.network_plugin().eq_ignore_ascii_case("kubenet")
    }

    /// The prefixes of pods that have no address of the network (kubenet, CNI overlay); IPv6 ones are left out.
    #[must_use]
    pub fn pod_prefixes(&self) -> Vec<Ipv4Net> {
        let overlay = text(self.body, "/properties/networkProfile/networkPluginMode")
            .is_some_and(|mode| mode.eq_ignore_ascii_case("overlay"));
        if !overlay && !self.is_kubenet() {
            return Vec::new();
        }
        let mut all = prefixes(self.body, "/properties/networkProfile/podCidrs");
        all.extend(text(self.body, "/properties/networkProfile/podCidr").and_then(|t| t.parse::<Ipv4Net>().ok()));
        all.sort();
        all.dedup();
        all
    }

    /// True if the cluster has IPv6 addresses.
    #[must_use]
    pub fn is_dual_stack(&self) -> bool {
        strings(self.body, "/properties/networkProfile/ipFamilies")
            .iter()
            .any(|family| family.eq_ignore_ascii_case("IPv6"))
    }

    /// True if Karpenter may add nodes in subnets that ARM does not show (AKS node-auto-provisioning-networking.md).
    #[must_use]
    pub fn is_auto_provisioned(&self) -> bool {
        text(self.body, "/properties/nodeProvisioningProfile/mode").is_some_and(|m| m.eq_ignore_ascii_case("Auto"))
    }

    /// The public load balancer that AKS makes and names `kubernetes` (AKS load-balancer-standard.md).
    #[must_use]
    pub fn load_balancer_id(&self) -> Option<ResourceId> {
        Some(ResourceId::in_group(
            self.id()?.subscription(),
            self.node_resource_group()?,
            "Microsoft.Network/loadBalancers",
            "kubernetes",
        ))
    }

    /// The load balancer that AKS makes for internal services and names `kubernetes-internal` (AKS internal-lb.md).
    #[must_use]
    pub fn internal_balancer_id(&self) -> Option<ResourceId> {
        Some(ResourceId::in_group(
            self.id()?.subscription(),
            self.node_resource_group()?,
            "Microsoft.Network/loadBalancers",
            "kubernetes-internal",
        ))
    }

    /// The agent pools, in Azure's order.
    #[must_use]
    pub fn pools(&self) -> Vec<Pool> {
        list(self.body, "/properties/agentPoolProfiles")
            .iter()
            .map(pool)
            .collect()
    }

    /// Node subnets without repeats, ordered by id.
    #[must_use]
    pub fn node_subnets(&self) -> Vec<ResourceId> {
        let mut subnets: Vec<ResourceId> = self.pools().into_iter().filter_map(|pool| pool.subnet).collect();
        subnets.sort();
        subnets.dedup();
        subnets
    }

    /// Node and pod subnets without repeats, ordered by id.
    #[must_use]
    pub fn subnets(&self) -> Vec<ResourceId> {
        let mut subnets: Vec<ResourceId> = self
            .pools()
            .into_iter()
            .flat_map(|pool| [pool.subnet, pool.pod_subnet])
            .flatten()
            .collect();
        subnets.sort();
        subnets.dedup();
        subnets
    }

    /// The control plane's identity. Clusters with a managed identity carry `msi` for a client id (scrubbed recordings do not),
    /// so the `identity` object decides, and the client id only where there is none (managedClusters.json, ManagedClusterServicePrincipalProfile).
    #[must_use]
    pub fn identity(&self) -> Identity {
        let Some(identity) = self.body.get("identity").filter(|v| v.is_object()) else {
            return match text(self.body, "/properties/servicePrincipalProfile/clientId") {
                Some(client) if !client.eq_ignore_ascii_case("msi") => Identity::ServicePrincipal(client.to_owned()),
                Some(_) | None => Identity::Unknown,
            };
        };
        if let Some(principal) = text(identity, "/principalId") {
            return Identity::SystemAssigned(principal.to_owned());
        }
        identity
            .get("userAssignedIdentities")
            .and_then(Value::as_object)
            .and_then(|all| all.values().find_map(|one| text(one, "/principalId")))
            .map_or(Identity::Unknown, |principal| {
                Identity::UserAssigned(principal.to_owned())
            })
    }

    /// The value of a tag of the cluster.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&'a str> {
        self.body.get("tags")?.as_object()?.iter().find_map(|(key, value)| {
            // Tag names compare without regard to case (Azure Resource Manager, tag resources).
            key.eq_ignore_ascii_case(name).then(|| value.as_str()).flatten()
        })
    }
}

fn pool(body: &Value) -> Pool {
    Pool {
        name: text(body, "/name").unwrap_or_default().to_owned(),
        subnet: id(body, "/vnetSubnetID"),
        pod_subnet: id(body, "/podSubnetID"),
        windows: text(body, "/osType").is_some_and(|os| os.eq_ignore_ascii_case("Windows")),
        node_public_ip: flag(body, "/enableNodePublicIP").unwrap_or(false),
        most_nodes: most_nodes(body),
    }
}

fn most_nodes(body: &Value) -> u64 {
    let number = |pointer| body.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let limit = flag(body, "/enableAutoScaling")
        .unwrap_or(false)
        .then(|| number("/maxCount"));
    number("/count").max(limit.unwrap_or_default())
}
