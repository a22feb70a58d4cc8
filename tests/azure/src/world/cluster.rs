//! What a person asks for when they create a cluster, and the ARM bodies that ask for it.
//! It describes Azure CNI clusters with a public API server in their own VNet; other shapes are made by raw calls.

use serde_json::{Value, json};

/// One cluster to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Cluster name.
    pub name: String,
    /// Resource group, created if it is not there.
    pub resource_group: String,
    /// Address space of the VNet `NAME-vnet`.
    pub vnet_prefix: String,
    /// Node subnets.
    pub subnets: Vec<NodeSubnet>,
    /// Node pools.
    pub pools: Vec<NodePool>,
    /// Kubernetes version, a full one or an alias.
    pub kubernetes_version: String,
    /// Tags of the cluster.
    pub tags: Vec<(String, String)>,
}

/// One node subnet, protected by a network security group of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSubnet {
    /// Subnet name.
    pub name: String,
    /// Prefix within the VNet.
    pub prefix: String,
}

/// One node pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePool {
    /// Pool name; the first pool is the system pool.
    pub name: String,
    /// Name of its node subnet.
    pub subnet: String,
    /// Number of nodes.
    pub count: u32,
}

impl ClusterSpec {
    /// A usual cluster: one subnet, one pool of three nodes, VNet 10.`index`.0.0/16 (index 1 to 255; 0 is the hub).
    pub fn usual(name: &str, index: u8) -> Self {
        Self {
            name: name.to_owned(),
            resource_group: format!("rg-{name}"),
            vnet_prefix: format!("10.{index}.0.0/16"),
            subnets: vec![NodeSubnet {
                name: "nodes".to_owned(),
                prefix: format!("10.{index}.0.0/22"),
            }],
            pools: vec![NodePool {
                name: "system".to_owned(),
                subnet: "nodes".to_owned(),
                count: 3,
            }],
            kubernetes_version: "1.33".to_owned(),
            tags: vec![("team".to_owned(), "shop".to_owned())],
        }
    }

    /// The cluster's id.
    pub fn cluster_id(&self, subscription: &str) -> String {
        let group = self.group_id(subscription);
        format!(
            "{group}/providers/Microsoft.ContainerService/managedClusters/{}",
            self.name
        )
    }

    /// The VNet's id.
    pub fn vnet_id(&self, subscription: &str) -> String {
        format!(
            "{}/providers/Microsoft.Network/virtualNetworks/{}-vnet",
            self.group_id(subscription),
            self.name
        )
    }

    /// Id of one of the VNet's subnets.
    pub fn subnet_id(&self, subscription: &str, subnet: &str) -> String {
        format!("{}/subnets/{subnet}", self.vnet_id(subscription))
    }

    /// Id of the network security group on the node subnets.
    pub fn security_group_id(&self, subscription: &str) -> String {
        format!(
            "{}/providers/Microsoft.Network/networkSecurityGroups/{}-nsg",
            self.group_id(subscription),
            self.name
        )
    }

    /// The person's calls in order: group, security group, VNet, cluster. Each waits for the one before.
    pub(crate) fn calls(&self, subscription: &str, location: &str) -> Vec<(String, &'static str, Value)> {
        vec![
            (self.group_id(subscription), "2024-11-01", json!({"location": location})),
            (
                self.security_group_id(subscription),
                "2024-05-01",
                self.security_group_body(location),
            ),
            (
                self.vnet_id(subscription),
                "2024-05-01",
                self.vnet_body(subscription, location),
            ),
            (
                self.cluster_id(subscription),
                "2025-05-01",
                self.cluster_body(subscription, location),
            ),
        ]
    }

    fn group_id(&self, subscription: &str) -> String {
        format!("/subscriptions/{subscription}/resourceGroups/{}", self.resource_group)
    }

    fn security_group_body(&self, location: &str) -> Value {
        json!({
            "location": location,
            "properties": {"securityRules": [{
                "name": "allow-web",
                "properties": {
                    "description": "the shop's own rule", "protocol": "Tcp", "sourcePortRange": "*",
                    "destinationPortRanges": ["80", "443"], "sourceAddressPrefix": "Internet",
                    "destinationAddressPrefix": "*", "access": "Allow", "priority": 200, "direction": "Inbound"
                }
            }]}
        })
    }

    fn vnet_body(&self, subscription: &str, location: &str) -> Value {
        let subnets: Vec<Value> = self
            .subnets
            .iter()
            .map(|subnet| {
                json!({"name": subnet.name, "properties": {
                    "addressPrefix": subnet.prefix,
                    "networkSecurityGroup": {"id": self.security_group_id(subscription)},
                    "privateEndpointNetworkPolicies": "NetworkSecurityGroupEnabled"
                }})
            })
            .collect();
        json!({
            "location": location, "tags": {"owner": self.name},
            "properties": {
                "addressSpace": {"addressPrefixes": [self.vnet_prefix]},
                "dhcpOptions": {"dnsServers": []}, "subnets": subnets
            }
        })
    }

    fn cluster_body(&self, subscription: &str, location: &str) -> Value {
        let pools: Vec<Value> = self
            .pools
            .iter()
            .enumerate()
            .map(|(index, pool)| {
                json!({
                    "name": pool.name, "count": pool.count, "vmSize": "Standard_D4s_v5", "osDiskSizeGB": 0,
                    "osType": "Linux", "type": "VirtualMachineScaleSets",
                    "mode": if index == 0 { "System" } else { "User" },
                    "vnetSubnetID": self.subnet_id(subscription, &pool.subnet)
                })
            })
            .collect();
        let tags: serde_json::Map<String, Value> = self
            .tags
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        json!({
            "location": location, "tags": tags, "identity": {"type": "SystemAssigned"},
            "properties": {
                "kubernetesVersion": self.kubernetes_version, "dnsPrefix": format!("{}-dns", self.name),
                "agentPoolProfiles": pools, "enableRBAC": true,
                "networkProfile": {
                    "networkPlugin": "azure", "serviceCidr": "172.16.0.0/16", "dnsServiceIP": "172.16.0.10",
                    "outboundType": "loadBalancer", "loadBalancerSku": "standard"
                }
            }
        })
    }
}
