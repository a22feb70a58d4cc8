//! ARM documents in the shape of real answers.

use hubward_core::ids::ResourceId;
use serde_json::{Value, json};

use super::{hub_vnet, id, policy};

pub const SUBSCRIPTION: &str = "11111111-1111-4111-8111-111111111111";
pub const FIREWALL_IP: &str = "10.0.0.4";
pub const EGRESS_IP: &str = "203.0.113.10";
/// The control plane's identity of the cluster `shop`.
pub const PRINCIPAL: &str = "3c7d1ab0-4a5e-4f04-9c5c-0a2a5f2f8e11";

const ETAG: &str = "W/\"0d3b7a52-0c2c-4f0e-9d13-2f3f2c1f9a01\"";

/// Network, firewall with policy and a group of somebody else, NAT gateway with one address.
pub fn hub() -> Vec<(ResourceId, Value)> {
    let nat = id("hub", "natGateways/hub-nat");
    let firewall = id("hub", "azureFirewalls/hub-firewall");
    let address = id("hub", "publicIPAddresses/hub-egress");
    let foreign = policy().child("ruleCollectionGroups", "company-baseline");
    let subnet = hub_vnet().child("subnets", "AzureFirewallSubnet");
    vec![
        (
            hub_vnet(),
            json!({
                "id": hub_vnet().as_str(), "name": "hub-vnet", "etag": ETAG, "location": "westeurope",
                "type": "Microsoft.Network/virtualNetworks",
                "properties": {
                    "provisioningState": "Succeeded",
                    "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
                    "subnets": [{
                        "id": subnet.as_str(), "name": "AzureFirewallSubnet", "etag": ETAG,
                        "type": "Microsoft.Network/virtualNetworks/subnets",
                        "properties": {
                            "provisioningState": "Succeeded",
                            "addressPrefix": "10.0.0.0/26",
                            "natGateway": {"id": nat.as_str()},
                            "delegations": [],
                        },
                    }],
                    "virtualNetworkPeerings": [],
                    "enableDdosProtection": false,
                },
            }),
        ),
        (
            firewall.clone(),
            json!({
                "id": firewall.as_str(), "name": "hub-firewall", "etag": ETAG, "location": "westeurope",
                "properties": {
                    "provisioningState": "Succeeded",
                    "sku": {"name": "AZFW_VNet", "tier": "Standard"},
                    "ipConfigurations": [{
                        "name": "primary", "etag": ETAG,
                        "properties": {
                            "provisioningState": "Succeeded",
                            "privateIPAddress": FIREWALL_IP,
                            "privateIPAllocationMethod": "Dynamic",
                            "subnet": {"id": subnet.as_str()},
                        },
                    }],
                    "firewallPolicy": {"id": policy().as_str()},
                },
            }),
        ),
        (
            policy(),
            json!({
                "id": policy().as_str(), "name": "hub-policy", "type": "Microsoft.Network/FirewallPolicies",
                "location": "westeurope", "etag": "5b7f3a0e-31d5-4a0c-9f57-d28a3f5e1c77",
                "properties": {
                    "provisioningState": "Succeeded",
                    "sku": {"tier": "Standard"},
                    "threatIntelMode": "Alert",
                    "dnsSettings": {"servers": [], "enableProxy": true},
                    "ruleCollectionGroups": [{"id": foreign.as_str()}],
                    "firewalls": [{"id": firewall.as_str()}],
                    "childPolicies": [],
                },
            }),
        ),
        (
            foreign.clone(),
            json!({
                "id": foreign.as_str(), "name": "company-baseline",
                "type": "Microsoft.Network/FirewallPolicies/RuleCollectionGroups",
                "location": "westeurope", "etag": "90f0bb21-9a2c-4d64-8a6c-5a1c1e7fb0aa",
                "properties": {
                    "provisioningState": "Succeeded", "size": "0.01 MB", "priority": 300,
                    "ruleCollections": [{
                        "ruleCollectionType": "FirewallPolicyFilterRuleCollection",
                        "name": "old-office", "priority": 400, "action": {"type": "Allow"},
                        "rules": [{
                            "ruleType": "NetworkRule", "name": "office-dns",
                            "ipProtocols": ["UDP"],
                            "sourceAddresses": ["10.200.0.0/16"], "sourceIpGroups": [],
                            "destinationAddresses": ["198.51.100.53"], "destinationIpGroups": [],
                            "destinationFqdns": [], "destinationPorts": ["53"],
                        }],
                    }],
                },
            }),
        ),
        (
            nat.clone(),
            json!({
                "id": nat.as_str(), "name": "hub-nat", "etag": ETAG, "location": "westeurope",
                "sku": {"name": "Standard"},
                "properties": {
                    "provisioningState": "Succeeded", "idleTimeoutInMinutes": 4,
                    "publicIpAddresses": [{"id": address.as_str()}],
                    "subnets": [{"id": subnet.as_str()}],
                },
            }),
        ),
        (
            address.clone(),
            json!({
                "id": address.as_str(), "name": "hub-egress", "etag": ETAG, "location": "westeurope",
                "sku": {"name": "Standard", "tier": "Regional"},
                "properties": {
                    "provisioningState": "Succeeded", "ipAddress": EGRESS_IP,
                    "publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4",
                },
            }),
        ),
    ]
}

/// A spoke with the subnets `nodes` (10.n.0.0/20) and `more` (10.n.16.0/20), each with a network security group and a field
/// that Hubward does not know.
pub fn spoke_vnet(vnet: &ResourceId, n: u8) -> Value {
    json!({
        "id": vnet.as_str(), "name": vnet.name(), "etag": ETAG, "location": "westeurope",
        "type": "Microsoft.Network/virtualNetworks",
        "properties": {
            "provisioningState": "Succeeded",
            "resourceGuid": "7f8a3d5e-2f6f-4a37-8d0e-60f1f7f5a0f1",
            "addressSpace": {"addressPrefixes": [format!("10.{n}.0.0/16")]},
            "subnets": [subnet(vnet, "nodes", &format!("10.{n}.0.0/20")), subnet(vnet, "more", &format!("10.{n}.16.0/20"))],
            "virtualNetworkPeerings": [],
            "enableDdosProtection": false,
        },
    })
}

fn subnet(vnet: &ResourceId, name: &str, prefix: &str) -> Value {
    let group = vnet.resource_group().unwrap_or_default();
    json!({
        "id": vnet.child("subnets", name).as_str(), "name": name, "etag": ETAG,
        "type": "Microsoft.Network/virtualNetworks/subnets",
        "properties": {
            "provisioningState": "Succeeded",
            "addressPrefix": prefix,
            "networkSecurityGroup": {"id": id(group, &format!("networkSecurityGroups/{name}-nsg")).as_str()},
            "delegations": [],
            "privateEndpointNetworkPolicies": "Disabled",
            "privateLinkServiceNetworkPolicies": "Enabled",
            "aFieldOfNextYear": {"keep": "me", "size": 3},
        },
    })
}

/// A cluster with Azure CNI, one Linux pool and a public API server.
pub fn cluster(cluster: &ResourceId, subnet: &ResourceId) -> Value {
    let spoke = cluster.resource_group().unwrap_or_default();
    json!({
        "id": cluster.as_str(), "name": cluster.name(), "location": "westeurope",
        "type": "Microsoft.ContainerService/ManagedClusters",
        "tags": {"team": "commerce"},
        "systemData": {"createdAt": "2026-11-23T09:00:00.1234567Z", "createdByType": "Application"},
        "properties": {
            "provisioningState": "Succeeded",
            "powerState": {"code": "Running"},
            "fqdn": format!("{}-abcd1234.hcp.westeurope.azmk8s.io", cluster.name()),
            "agentPoolProfiles": [{
                "name": "system", "count": 3, "type": "VirtualMachineScaleSets", "mode": "System", "osType": "Linux",
                "vnetSubnetID": subnet.as_str(), "enableNodePublicIP": false, "provisioningState": "Succeeded",
            }],
            "servicePrincipalProfile": {"clientId": "msi"},
            "nodeResourceGroup": node_group(spoke, cluster.name()),
            "networkProfile": {
                "networkPlugin": "azure", "loadBalancerSku": "standard", "outboundType": "loadBalancer",
                "serviceCidr": "10.250.0.0/16", "dnsServiceIP": "10.250.0.10", "ipFamilies": ["IPv4"],
            },
        },
        "identity": {
            "type": "SystemAssigned",
            "principalId": principal(cluster.name()),
            "tenantId": "72f988bf-86f1-41af-91ab-2d7cd011db47",
        },
        "sku": {"name": "Base", "tier": "Standard"},
    })
}

/// The control plane's identity of a cluster, each its own.
pub fn principal(cluster: &str) -> String {
    if cluster == "shop" {
        return PRINCIPAL.to_owned();
    }
    let number = cluster
        .bytes()
        .fold(0_u64, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte));
    format!("9d5e0c1f-7a2b-4c3d-8e4f-{number:012x}")
}

/// The group AKS makes for the nodes of a cluster.
pub fn node_group(spoke: &str, name: &str) -> String {
    format!("MC_{spoke}_{name}_westeurope")
}

/// The load balancer AKS makes for the way out; it serves nobody.
pub fn load_balancer(balancer: &ResourceId) -> Value {
    json!({
        "id": balancer.as_str(), "name": "kubernetes", "etag": ETAG, "location": "westeurope",
        "sku": {"name": "Standard"},
        "properties": {
            "provisioningState": "Succeeded",
            "loadBalancingRules": [],
            "outboundRules": [{"name": "aksOutboundRule"}],
        },
    })
}

/// A network security group with one inbound rule of its own and Azure's last word on outbound traffic.
pub fn security_group(group: &ResourceId) -> Value {
    let rule = |name: &str, priority: u32, direction: &str, access: &str| {
        json!({
            "name": name, "etag": ETAG,
            "properties": {
                "provisioningState": "Succeeded", "protocol": "*", "access": access, "priority": priority,
                "direction": direction, "sourcePortRange": "*", "destinationPortRange": "*",
                "sourceAddressPrefix": "*", "destinationAddressPrefix": "*",
            },
        })
    };
    json!({
        "id": group.as_str(), "name": group.name(), "etag": ETAG, "location": "westeurope",
        "type": "Microsoft.Network/networkSecurityGroups",
        "properties": {
            "provisioningState": "Succeeded",
            "securityRules": [rule("no-ssh", 100, "Inbound", "Deny")],
            "defaultSecurityRules": [
                rule("AllowInternetOutBound", 65001, "Outbound", "Allow"),
                rule("DenyAllOutBound", 65500, "Outbound", "Deny"),
            ],
        },
    })
}

/// A static public address.
pub fn public_ip(id: &ResourceId, address: &str) -> Value {
    json!({
        "id": id.as_str(), "name": id.name(), "etag": ETAG, "location": "westeurope",
        "type": "Microsoft.Network/publicIPAddresses",
        "sku": {"name": "Standard", "tier": "Regional"},
        "properties": {
            "provisioningState": "Succeeded", "ipAddress": address,
            "publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4",
        },
    })
}

/// Adds a frontend with a rule for each port to a load balancer, as AKS does for a service.
pub fn add_frontend(balancer: &mut Value, frontend: &ResourceId, properties: Value, ports: &[u16]) {
    let add = |balancer: &mut Value, list: &str, item: Value| {
        if !balancer["properties"][list].is_array() {
            balancer["properties"][list] = json!([]);
        }
        balancer["properties"][list].as_array_mut().unwrap().push(item);
    };
    let front = json!({"id": frontend.as_str(), "name": frontend.name(), "etag": ETAG, "properties": properties});
    add(balancer, "frontendIPConfigurations", front);
    for port in ports {
        let rule = json!({
            "name": format!("{}-TCP-{port}", frontend.name()), "etag": ETAG,
            "properties": {
                "provisioningState": "Succeeded", "protocol": "Tcp", "frontendPort": port, "backendPort": port,
                "frontendIPConfiguration": {"id": frontend.as_str()}, "enableFloatingIP": true,
            },
        });
        add(balancer, "loadBalancingRules", rule);
    }
}
