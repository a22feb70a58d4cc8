//! What a person asks for when they create a cluster: every shape the product meets in its first hour. The ARM bodies that
//! ask for it are in `bodies`. It says what a person sends; what AKS makes of it is the business of `kinds`.

mod bodies;

use super::REGION;
use crate::kinds::cluster_nodes::{aks_number, node_group_name};
use std::net::Ipv4Addr;

/// One cluster to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Cluster name.
    pub name: String,
    /// Resource group, created if it is not there.
    pub resource_group: String,
    /// Where its nodes live.
    pub place: ClusterPlace,
    /// Address space of the VNet `NAME-vnet`; unused where the VNet exists already or AKS makes it.
    pub vnet_prefix: String,
    /// Node and pod subnets.
    pub subnets: Vec<NodeSubnet>,
    /// A route table of the customer's own, on the node subnets from the start.
    pub own_table: Option<OwnTable>,
    /// Node pools.
    pub pools: Vec<NodePool>,
    /// How pods get addresses.
    pub plugin: NetworkPlugin,
    /// `networkProfile.outboundType`.
    pub outbound: OutboundType,
    /// Whom AKS acts as in the customer's network.
    pub identity: ClusterIdentity,
    /// True for an API server behind a private endpoint.
    pub private: bool,
    /// `apiServerAccessProfile.authorizedIPRanges`.
    pub authorized_ranges: Vec<String>,
    /// Kubernetes version, a full one or an alias.
    pub kubernetes_version: String,
    /// Tags of the cluster.
    pub tags: Vec<(String, String)>,
}

/// Where the nodes of a cluster live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterPlace {
    /// In the VNet `NAME-vnet` in the cluster's resource group, made just before.
    OwnVnet,
    /// In a VNet that exists; each subnet is added by a PUT of its own.
    ExistingVnet {
        /// Resource group of the VNet.
        resource_group: String,
        /// Name of the VNet.
        name: String,
    },
    /// In a VNet that AKS makes in the node resource group: the pools name no subnet.
    ManagedVnet,
}

/// One subnet, protected by a network security group of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSubnet {
    /// Subnet name.
    pub name: String,
    /// Prefix within the VNet.
    pub prefix: String,
    /// True for a pod subnet: it is delegated to AKS and carries no route table of the customer.
    pub pods: bool,
}

/// A route table `NAME-routes` of the customer's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnTable {
    /// Where its route 0.0.0.0/0 leads; `None` for a table without routes.
    pub default_next_hop: Option<Ipv4Addr>,
}

/// One node pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePool {
    /// Pool name; the first pool is the system pool.
    pub name: String,
    /// Name of its node subnet.
    pub subnet: String,
    /// Name of the subnet its pods take addresses from.
    pub pod_subnet: Option<String>,
    /// Number of nodes.
    pub count: u32,
}

/// How pods get addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkPlugin {
    /// Azure CNI: pods take addresses of the VNet.
    AzureCni,
    /// Azure CNI overlay: pods have a network of their own behind the node's address.
    AzureCniOverlay,
    /// kubenet: pods have a network of their own, which AKS routes node by node.
    Kubenet,
}

/// `networkProfile.outboundType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboundType {
    /// Through the cluster's load balancer.
    LoadBalancer,
    /// Through the default route of the customer's table, which must be on the node subnets beforehand.
    UserDefinedRouting,
    /// No way out of AKS's making.
    None,
}

/// Whom AKS acts as in the customer's network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterIdentity {
    /// An identity that comes into being with the cluster.
    SystemAssigned,
    /// A user-assigned identity of this name in the cluster's resource group.
    UserAssigned {
        /// Name of the identity.
        name: String,
    },
    /// A service principal: such a cluster has no `identity` at all.
    ServicePrincipal {
        /// Application (client) id.
        client_id: String,
    },
}

impl ClusterSpec {
    /// A usual cluster: one subnet, one pool of three nodes, VNet 10.`index`.0.0/16 (index 1 to 255; 0 is the hub).
    pub fn usual(name: &str, index: u8) -> Self {
        Self {
            name: name.to_owned(),
            resource_group: format!("rg-{name}"),
            place: ClusterPlace::OwnVnet,
            vnet_prefix: format!("10.{index}.0.0/16"),
            subnets: vec![NodeSubnet {
                name: "nodes".to_owned(),
                prefix: format!("10.{index}.0.0/22"),
                pods: false,
            }],
            own_table: None,
            pools: vec![NodePool {
                name: "system".to_owned(),
                subnet: "nodes".to_owned(),
                pod_subnet: None,
                count: 3,
            }],
            plugin: NetworkPlugin::AzureCni,
            outbound: OutboundType::LoadBalancer,
            identity: ClusterIdentity::SystemAssigned,
            private: false,
            authorized_ranges: Vec::new(),
            kubernetes_version: "1.33".to_owned(),
            tags: vec![("team".to_owned(), "shop".to_owned())],
        }
    }

    /// kubenet; AKS makes the route table.
    #[must_use]
    pub fn kubenet(mut self) -> Self {
        self.plugin = NetworkPlugin::Kubenet;
        self
    }

    /// kubenet with the customer's own, empty table on the node subnets, and the user-assigned identity that AKS demands
    /// then [AKS configure-kubenet.md].
    #[must_use]
    pub fn kubenet_with_own_table(self) -> Self {
        let identity = format!("{}-identity", self.name);
        self.kubenet().own_table(None).user_assigned(&identity)
    }

    /// Azure CNI overlay.
    #[must_use]
    pub fn overlay(mut self) -> Self {
        self.plugin = NetworkPlugin::AzureCniOverlay;
        self
    }

    /// An API server behind a private endpoint, without a public name.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.private = true;
        self
    }

    /// A user-assigned control-plane identity of this name.
    #[must_use]
    pub fn user_assigned(mut self, name: &str) -> Self {
        self.identity = ClusterIdentity::UserAssigned { name: name.to_owned() };
        self
    }

    /// A service principal instead of a managed identity.
    #[must_use]
    pub fn service_principal(mut self, client_id: &str) -> Self {
        self.identity = ClusterIdentity::ServicePrincipal {
            client_id: client_id.to_owned(),
        };
        self
    }

    /// A VNet of AKS's own making in the node resource group.
    #[must_use]
    pub fn managed_vnet(mut self) -> Self {
        self.place = ClusterPlace::ManagedVnet;
        self
    }

    /// In an existing VNet, in one subnet `NAME-nodes` of its own with this prefix.
    #[must_use]
    pub fn in_vnet(mut self, resource_group: &str, vnet: &str, subnet_prefix: &str) -> Self {
        let subnet = format!("{}-nodes", self.name);
        for pool in &mut self.pools {
            pool.subnet.clone_from(&subnet);
        }
        self.subnets = vec![NodeSubnet {
            name: subnet,
            prefix: subnet_prefix.to_owned(),
            pods: false,
        }];
        self.place = ClusterPlace::ExistingVnet {
            resource_group: resource_group.to_owned(),
            name: vnet.to_owned(),
        };
        self
    }

    /// In the VNet of another cluster, in one subnet `NAME-nodes` of its own with this prefix.
    #[must_use]
    pub fn beside(self, other: &ClusterSpec, subnet_prefix: &str) -> Self {
        let (group, vnet) = match &other.place {
            ClusterPlace::ExistingVnet { resource_group, name } => (resource_group.clone(), name.clone()),
            ClusterPlace::OwnVnet | ClusterPlace::ManagedVnet => {
                (other.resource_group.clone(), format!("{}-vnet", other.name))
            }
        };
        self.in_vnet(&group, &vnet, subnet_prefix)
    }

    /// One more node subnet.
    #[must_use]
    pub fn subnet(mut self, name: &str, prefix: &str) -> Self {
        self.subnets.push(NodeSubnet {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            pods: false,
        });
        self
    }

    /// One more pool, in a node subnet of the spec.
    #[must_use]
    pub fn pool(mut self, name: &str, subnet: &str, count: u32) -> Self {
        self.pools.push(NodePool {
            name: name.to_owned(),
            subnet: subnet.to_owned(),
            pod_subnet: None,
            count,
        });
        self
    }

    /// A subnet from which the pods of every pool so far take their addresses.
    #[must_use]
    pub fn pod_subnet(mut self, name: &str, prefix: &str) -> Self {
        self.subnets.push(NodeSubnet {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            pods: true,
        });
        for pool in &mut self.pools {
            pool.pod_subnet = Some(name.to_owned());
        }
        self
    }

    /// A route table of the customer's own on the node subnets; with a next hop it has a default route to that appliance.
    #[must_use]
    pub fn own_table(mut self, default_next_hop: Option<Ipv4Addr>) -> Self {
        self.own_table = Some(OwnTable { default_next_hop });
        self
    }

    /// Another `outboundType`.
    #[must_use]
    pub fn outbound(mut self, outbound: OutboundType) -> Self {
        self.outbound = outbound;
        self
    }

    /// The API server admits these ranges only.
    #[must_use]
    pub fn authorized(mut self, ranges: &[&str]) -> Self {
        self.authorized_ranges = ranges.iter().map(|range| (*range).to_owned()).collect();
        self
    }

    /// One more tag of the cluster.
    #[must_use]
    pub fn tag(mut self, name: &str, value: &str) -> Self {
        self.tags.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The cluster's id.
    pub fn cluster_id(&self, subscription: &str) -> String {
        let group = self.group_id(subscription);
        format!(
            "{group}/providers/Microsoft.ContainerService/managedClusters/{}",
            self.name
        )
    }

    /// Id of the cluster's resource group.
    pub fn group_id(&self, subscription: &str) -> String {
        group_id(subscription, &self.resource_group)
    }

    /// Id of the resource group in which AKS keeps what it makes.
    pub fn node_group_id(&self, subscription: &str) -> String {
        group_id(subscription, &node_group_name(&self.resource_group, &self.name, REGION))
    }

    /// The VNet's id.
    pub fn vnet_id(&self, subscription: &str) -> String {
        let (group, name) = match &self.place {
            ClusterPlace::OwnVnet => (self.group_id(subscription), format!("{}-vnet", self.name)),
            ClusterPlace::ExistingVnet { resource_group, name } => {
                (group_id(subscription, resource_group), name.clone())
            }
            ClusterPlace::ManagedVnet => {
                let number = aks_number(&self.cluster_id(subscription));
                (self.node_group_id(subscription), format!("aks-vnet-{number}"))
            }
        };
        format!("{group}/providers/Microsoft.Network/virtualNetworks/{name}")
    }

    /// Id of one of the VNet's subnets.
    pub fn subnet_id(&self, subscription: &str, subnet: &str) -> String {
        format!("{}/subnets/{subnet}", self.vnet_id(subscription))
    }

    /// Id of the network security group on the node subnets.
    pub fn security_group_id(&self, subscription: &str) -> String {
        self.network_id(subscription, "networkSecurityGroups", "nsg")
    }

    /// Id of the customer's own route table.
    pub fn own_table_id(&self, subscription: &str) -> String {
        self.network_id(subscription, "routeTables", "routes")
    }

    /// Id of the user-assigned control-plane identity, if the cluster has one.
    pub fn identity_id(&self, subscription: &str) -> Option<String> {
        let ClusterIdentity::UserAssigned { name } = &self.identity else {
            return None;
        };
        let group = self.group_id(subscription);
        Some(format!(
            "{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
        ))
    }

    fn network_id(&self, subscription: &str, kind: &str, suffix: &str) -> String {
        let group = self.group_id(subscription);
        format!("{group}/providers/Microsoft.Network/{kind}/{}-{suffix}", self.name)
    }
}

fn group_id(subscription: &str, name: &str) -> String {
    format!("/subscriptions/{subscription}/resourceGroups/{name}")
}
