//! The ARM bodies by which a person asks for a cluster, in the order in which they send them. Field names and values are
//! those of the Azure command line's own requests [recorded: cli aks_azurecni_custom_service_cidr, aks_default_kubenet,
//! aks_private_cluster_kubenet].

use super::{ClusterIdentity, ClusterPlace, ClusterSpec, NetworkPlugin, NodeSubnet, OutboundType};
use serde_json::{Map, Value, json};

const NETWORK: &str = "2024-05-01";
const CONTAINER_SERVICE: &str = "2025-05-01";
const MANAGED_IDENTITY: &str = "2023-01-31";
const RESOURCES: &str = "2024-11-01";

impl ClusterSpec {
    /// The person's PUTs in order: group, identity, security group, route table, VNet or subnets, cluster. Each waits for the one
    /// before.
    pub(crate) fn calls(&self, subscription: &str, location: &str) -> Vec<(String, &'static str, Value)> {
        let mut calls = vec![(self.group_id(subscription), RESOURCES, json!({"location": location}))];
        if let Some(identity) = self.identity_id(subscription) {
            calls.push((identity, MANAGED_IDENTITY, json!({"location": location})));
        }
        if self.place != ClusterPlace::ManagedVnet {
            calls.push((
                self.security_group_id(subscription),
                NETWORK,
                security_group_body(location),
            ));
            if self.own_table.is_some() {
                calls.push((self.own_table_id(subscription), NETWORK, self.table_body(location)));
            }
        }
        match &self.place {
            ClusterPlace::OwnVnet => calls.push((
                self.vnet_id(subscription),
                NETWORK,
                self.vnet_body(subscription, location),
            )),
            ClusterPlace::ExistingVnet { .. } => calls.extend(self.subnets.iter().map(|subnet| {
                let body = json!({"properties": self.subnet_properties(subscription, subnet)});
                (self.subnet_id(subscription, &subnet.name), NETWORK, body)
            })),
            ClusterPlace::ManagedVnet => {}
        }
        calls.push((
            self.cluster_id(subscription),
            CONTAINER_SERVICE,
            self.cluster_body(subscription, location),
        ));
        calls
    }

    fn table_body(&self, location: &str) -> Value {
        let hop = self.own_table.and_then(|table| table.default_next_hop);
        let routes: Vec<Value> = hop
            .iter()
            .map(|hop| {
                json!({"name": "default", "properties": {
                    "addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance", "nextHopIpAddress": hop
                }})
            })
            .collect();
        json!({"location": location, "tags": {"owner": self.name}, "properties": {"routes": routes}})
    }

    fn vnet_body(&self, subscription: &str, location: &str) -> Value {
        let subnets: Vec<Value> = self
            .subnets
            .iter()
            .map(|subnet| json!({"name": subnet.name, "properties": self.subnet_properties(subscription, subnet)}))
            .collect();
        json!({
            "location": location, "tags": {"owner": self.name},
            "properties": {
                "addressSpace": {"addressPrefixes": [self.vnet_prefix]},
                "dhcpOptions": {"dnsServers": []}, "subnets": subnets
            }
        })
    }

    fn subnet_properties(&self, subscription: &str, subnet: &NodeSubnet) -> Value {
        let mut properties = json!({
            "addressPrefix": subnet.prefix,
            "networkSecurityGroup": {"id": self.security_group_id(subscription)},
            "privateEndpointNetworkPolicies": "NetworkSecurityGroupEnabled"
        });
        if subnet.pods {
            // Pod subnets are delegated to AKS [AKS configure-azure-cni-dynamic-ip-allocation.md].
            properties["delegations"] = json!([{"name": "aks-delegation", "properties": {
                "serviceName": "Microsoft.ContainerService/managedClusters"
            }}]);
        } else if self.own_table.is_some() {
            properties["routeTable"] = json!({"id": self.own_table_id(subscription)});
        }
        properties
    }

    fn cluster_body(&self, subscription: &str, location: &str) -> Value {
        let tags: Map<String, Value> = self
            .tags
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let mut body = json!({"location": location, "tags": tags});
        if let Some(identity) = self.identity_body(subscription) {
            body["identity"] = identity;
        }
        let mut properties = json!({
            "kubernetesVersion": self.kubernetes_version, "dnsPrefix": format!("{}-dns", self.name),
            "agentPoolProfiles": self.pool_bodies(subscription), "enableRBAC": true,
            "networkProfile": self.network_profile()
        });
        if let ClusterIdentity::ServicePrincipal { client_id } = &self.identity {
            properties["servicePrincipalProfile"] = json!({"clientId": client_id, "secret": "not-a-real-secret"});
        }
        if self.private {
            // Without a public name: `enablePrivateClusterPublicFQDN` would add one for the private address.
            properties["apiServerAccessProfile"] =
                json!({"enablePrivateCluster": true, "enablePrivateClusterPublicFQDN": false});
        } else if !self.authorized_ranges.is_empty() {
            properties["apiServerAccessProfile"] = json!({"authorizedIPRanges": self.authorized_ranges});
        }
        body["properties"] = properties;
        body
    }

    fn identity_body(&self, subscription: &str) -> Option<Value> {
        match &self.identity {
            ClusterIdentity::SystemAssigned => Some(json!({"type": "SystemAssigned"})),
            ClusterIdentity::UserAssigned { .. } => {
                let id = self.identity_id(subscription).unwrap_or_default();
                Some(json!({"type": "UserAssigned", "userAssignedIdentities": {id: {}}}))
            }
            ClusterIdentity::ServicePrincipal { .. } => None,
        }
    }

    fn pool_bodies(&self, subscription: &str) -> Vec<Value> {
        let managed = self.place == ClusterPlace::ManagedVnet;
        let pools = self.pools.iter().enumerate();
        pools
            .map(|(index, pool)| {
                let mut body = json!({
                    "name": pool.name, "count": pool.count, "vmSize": "Standard_D4s_v5", "osDiskSizeGB": 0,
                    "osType": "Linux", "type": "VirtualMachineScaleSets",
                    "mode": if index == 0 { "System" } else { "User" }
                });
                if !managed {
                    body["vnetSubnetID"] = json!(self.subnet_id(subscription, &pool.subnet));
                    if let Some(pods) = &pool.pod_subnet {
                        body["podSubnetID"] = json!(self.subnet_id(subscription, pods));
                    }
                }
                body
            })
            .collect()
    }

    fn network_profile(&self) -> Value {
        let mut profile = match self.plugin {
            NetworkPlugin::AzureCni => json!({"networkPlugin": "azure"}),
            NetworkPlugin::AzureCniOverlay => {
                json!({"networkPlugin": "azure", "networkPluginMode": "overlay", "podCidr": "10.244.0.0/16"})
            }
            NetworkPlugin::Kubenet => json!({"networkPlugin": "kubenet", "podCidr": "10.244.0.0/16"}),
        };
        for (field, value) in [
            ("serviceCidr", "172.16.0.0/16"),
            ("dnsServiceIP", "172.16.0.10"),
            ("outboundType", outbound_word(self.outbound)),
            ("loadBalancerSku", "standard"),
        ] {
            profile[field] = json!(value);
        }
        profile
    }
}

fn outbound_word(outbound: OutboundType) -> &'static str {
    match outbound {
        OutboundType::LoadBalancer => "loadBalancer",
        OutboundType::UserDefinedRouting => "userDefinedRouting",
        OutboundType::None => "none",
    }
}

fn security_group_body(location: &str) -> Value {
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
