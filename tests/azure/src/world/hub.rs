//! The hub that every story starts with: VNet, firewall with policy and a foreign rule group, NAT gateway with one
//! address. It is an Azure as an infrastructure team would have left it, with nothing of the product in it.

use super::{EventHabits, REGION, World};
use crate::arm::throttle::ThrottleLimits;
use crate::internet::Internet;
use crate::trace::Principal;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use uuid::Uuid;

/// Ids of the hub's resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubIds {
    /// Resource group.
    pub resource_group: String,
    /// Virtual network 10.0.0.0/16.
    pub virtual_network: String,
    /// AzureFirewallSubnet 10.0.0.0/26.
    pub firewall_subnet: String,
    /// Azure Firewall, private address 10.0.0.4.
    pub firewall: String,
    /// Its own public address, for DNAT and management.
    pub firewall_public_ip: String,
    /// Further public addresses of the firewall, from 203.0.113.31 on; none unless asked for.
    pub ingress_public_ips: Vec<String>,
    /// Its policy, DNS proxy on.
    pub firewall_policy: String,
    /// The operators' own rule collection group.
    pub foreign_rule_collection_group: String,
    /// NAT gateway, StandardV2, on AzureFirewallSubnet.
    pub nat_gateway: String,
    /// The one egress address, 203.0.113.10.
    pub egress_public_ip: String,
}

impl World {
    /// One subscription in westeurope with one complete hub in resource group `hub`.
    pub fn one_hub() -> Self {
        let subscription = "5b1f6471-1bf0-4dda-aec3-cb9272f09590".to_owned();
        let hub = HubIds::in_subscription(&subscription);
        let resources = hub.resources(REGION);
        Self {
            tenant: Uuid::from_u128(0x72f9_88bf_0000_4000_8000_0000_0000_db47),
            location: REGION.to_owned(),
            handler: principal("handler", 0x10),
            person: principal("person", 0x20),
            service_principals: vec![principal("aks-service-principal", 0x30)],
            custom_roles: Vec::new(),
            identity_secret: "853b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a".to_owned(),
            hub,
            resources,
            internet: public_names(),
            throttle: ThrottleLimits::default(),
            events: EventHabits::default(),
            handler_rights: None,
            storage_account: "hubwardlocal".to_owned(),
            storage_key: "aHVid2FyZC1sb2NhbC1zdG9yYWdlLWtleS1ub3QtYS1zZWNyZXQtMDEyMzQ1Njc4OWFiY2RlZg==".to_owned(),
            subscription,
        }
    }
}

impl World {
    /// Attaches this many further public addresses to the firewall (at most 220), each by an ipConfiguration
    /// `ingress-N` without a subnet, as the infrastructure team does for `ingress_addresses = provided`
    /// [learn: firewall/deploy-multi-public-ip-powershell].
    #[must_use]
    pub fn with_ingress_addresses(mut self, count: u8) -> Self {
        for number in 1..=count.min(220) {
            let id = format!(
                "{}/providers/Microsoft.Network/publicIPAddresses/hub-ingress-{number}",
                self.hub.resource_group
            );
            let address = Ipv4Addr::new(203, 0, 113, 30 + number).to_string();
            let before_the_firewall = self.resources.len().saturating_sub(1);
            let body = public_address(&self.location, "Standard", &address);
            self.resources.insert(before_the_firewall, (id.clone(), body));
            let firewall = self.resources.iter_mut().find(|(id, _)| *id == self.hub.firewall);
            let configurations = firewall
                .and_then(|(_, body)| body.pointer_mut("/properties/ipConfigurations"))
                .and_then(serde_json::Value::as_array_mut);
            if let Some(configurations) = configurations {
                configurations.push(json!({
                    "name": format!("ingress-{number}"), "properties": {"publicIPAddress": {"id": id}}
                }));
            }
            self.hub.ingress_public_ips.push(id);
        }
        self
    }
}

/// A static public address of the network team.
fn public_address(location: &str, sku: &str, address: &str) -> serde_json::Value {
    json!({
        "location": location, "tags": {"owner": "network-team"}, "sku": {"name": sku, "tier": "Regional"},
        "zones": ["1", "2", "3"],
        "properties": {
            "publicIPAddressVersion": "IPv4", "publicIPAllocationMethod": "Static",
            "idleTimeoutInMinutes": 4, "ipTags": [], "ipAddress": address
        }
    })
}

impl HubIds {
    fn in_subscription(subscription: &str) -> Self {
        let resource_group = format!("/subscriptions/{subscription}/resourceGroups/hub");
        let network = format!("{resource_group}/providers/Microsoft.Network");
        let virtual_network = format!("{network}/virtualNetworks/hub-vnet");
        let firewall_policy = format!("{network}/firewallPolicies/hub-policy");
        Self {
            firewall_subnet: format!("{virtual_network}/subnets/AzureFirewallSubnet"),
            firewall: format!("{network}/azureFirewalls/hub-firewall"),
            firewall_public_ip: format!("{network}/publicIPAddresses/hub-firewall-ip"),
            ingress_public_ips: Vec::new(),
            foreign_rule_collection_group: format!("{firewall_policy}/ruleCollectionGroups/corporate"),
            nat_gateway: format!("{network}/natGateways/hub-nat"),
            egress_public_ip: format!("{network}/publicIPAddresses/hub-egress-ip"),
            resource_group,
            virtual_network,
            firewall_policy,
        }
    }

    fn resources(&self, location: &str) -> Vec<(String, serde_json::Value)> {
        let address = |sku: &str, address: &str| public_address(location, sku, address);
        vec![
            (
                self.resource_group.clone(),
                json!({"location": location, "tags": {"owner": "network-team"}}),
            ),
            (self.egress_public_ip.clone(), address("StandardV2", "203.0.113.10")),
            (self.firewall_public_ip.clone(), address("Standard", "203.0.113.20")),
            (
                self.nat_gateway.clone(),
                json!({
                    "location": location, "tags": {"owner": "network-team"}, "sku": {"name": "StandardV2"},
                    "properties": {
                        "idleTimeoutInMinutes": 4, "publicIpAddresses": [{"id": self.egress_public_ip}]
                    }
                }),
            ),
            (
                self.virtual_network.clone(),
                json!({
                    "location": location, "tags": {"owner": "network-team"},
                    "properties": {
                        "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
                        "dhcpOptions": {"dnsServers": []}, "enableDdosProtection": false
                    }
                }),
            ),
            (
                self.firewall_subnet.clone(),
                json!({"properties": {
                    "addressPrefix": "10.0.0.0/26", "natGateway": {"id": self.nat_gateway}, "delegations": [],
                    "privateEndpointNetworkPolicies": "Disabled", "privateLinkServiceNetworkPolicies": "Enabled"
                }}),
            ),
            (
                self.firewall_policy.clone(),
                json!({
                    "location": location, "tags": {"owner": "network-team"},
                    "properties": {
                        "sku": {"tier": "Standard"}, "threatIntelMode": "Alert",
                        "dnsSettings": {"servers": [], "enableProxy": true}
                    }
                }),
            ),
            (self.foreign_rule_collection_group.clone(), corporate_rules(location)),
            (
                self.firewall.clone(),
                json!({
                    "location": location, "tags": {"owner": "network-team"}, "zones": ["1", "2", "3"],
                    "properties": {
                        "sku": {"name": "AZFW_VNet", "tier": "Standard"}, "threatIntelMode": "Alert",
                        "additionalProperties": {},
                        "ipConfigurations": [{
                            "name": "hub",
                            "properties": {
                                "subnet": {"id": self.firewall_subnet},
                                "publicIPAddress": {"id": self.firewall_public_ip},
                                "privateIPAddress": "10.0.0.4"
                            }
                        }],
                        "networkRuleCollections": [], "applicationRuleCollections": [], "natRuleCollections": [],
                        "firewallPolicy": {"id": self.firewall_policy}
                    }
                }),
            ),
        ]
    }
}

/// Rules of the network team that have nothing to do with clusters: they must survive everything.
fn corporate_rules(location: &str) -> serde_json::Value {
    json!({
        "location": location,
        "properties": {
            "priority": 40000,
            "ruleCollections": [{
                "ruleCollectionType": "FirewallPolicyFilterRuleCollection", "name": "jump-hosts", "priority": 41000,
                "action": {"type": "Allow"},
                "rules": [{
                    "ruleType": "NetworkRule", "name": "jump-to-dns", "ipProtocols": ["UDP"],
                    "sourceAddresses": ["10.0.1.0/24"], "sourceIpGroups": [],
                    "destinationAddresses": ["203.0.113.53"], "destinationIpGroups": [], "destinationFqdns": [],
                    "destinationPorts": ["53"]
                }]
            }]
        }
    })
}

fn principal(name: &str, number: u128) -> Principal {
    const BASE: u128 = 0x6a1f_0000_0000_4000_8000_0000_0000_0000;
    Principal {
        name: name.to_owned(),
        client_id: Uuid::from_u128(BASE + number),
        object_id: Uuid::from_u128(BASE + number + 1),
    }
}

/// The outside world: what AKS nodes need, one partner that operators allow, and one name that nobody allows.
/// Wildcard destinations of the requirement lists are here as examples that match them.
fn public_names() -> Internet {
    const NAMES: &[&str] = &[
        "management.azure.com",
        "login.microsoftonline.com",
        "mcr.microsoft.com",
        "eastus.data.mcr.microsoft.com",
        "westeurope.data.mcr.microsoft.com",
        "mcr-0001.mcr-msedge.net",
        "mcrprod.azurecr.io",
        "packages.microsoft.com",
        "packages.aks.azure.com",
        "acs-mirror.azureedge.net",
        "ntp.ubuntu.com",
        "security.ubuntu.com",
        "azure.archive.ubuntu.com",
        "changelogs.ubuntu.com",
        "snapshot.ubuntu.com",
        "api.partner.example",
        "not-allowed.example",
    ];
    let addresses = (100_u8..).map(|last| Ipv4Addr::new(192, 0, 2, last));
    let names: BTreeMap<String, Ipv4Addr> = NAMES.iter().map(|name| (*name).to_owned()).zip(addresses).collect();
    Internet { names }
}
