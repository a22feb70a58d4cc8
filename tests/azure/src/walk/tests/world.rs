//! A small hand-built estate for tests: one hub with firewall and NAT gateway, spoke `one` wired to it, spoke `two` not.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::super::{Destination, Inbound, Outcome, Packet, Protocol, Source, Walk, walk, walk_inbound};
use crate::documents::Documents;
use crate::internet::Internet;

/// The NAT gateway's address: the one egress address.
pub(super) const EGRESS: &str = "52.10.0.1";
/// The firewall's first public address, which DNAT rules name.
pub(super) const INGRESS: &str = "52.10.0.2";
/// The public frontend of cluster `one`.
pub(super) const FRONTEND: &str = "52.20.0.1";
/// The outbound address of cluster `two`'s load balancer.
pub(super) const TWO_OUTBOUND: &str = "52.20.0.2";

pub(super) const HUB: &str = "/subscriptions/s/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/hub";
pub(super) const FIREWALL: &str = "/subscriptions/s/resourceGroups/hub/providers/Microsoft.Network/azureFirewalls/fw";
pub(super) const POLICY: &str =
    "/subscriptions/s/resourceGroups/hub/providers/Microsoft.Network/firewallPolicies/child";
pub(super) const BASE: &str = "/subscriptions/s/resourceGroups/hub/providers/Microsoft.Network/firewallPolicies/base";
pub(super) const GATEWAY: &str = "/subscriptions/s/resourceGroups/hub/providers/Microsoft.Network/natGateways/nat";
pub(super) const TABLE: &str = "/subscriptions/s/resourceGroups/one/providers/Microsoft.Network/routeTables/one";

/// Documents by lower-case id, and what is in force where it differs.
#[derive(Clone, Default)]
pub(super) struct World {
    documents: BTreeMap<String, Value>,
    live: BTreeMap<String, Option<Value>>,
    pub(super) internet: Internet,
}

impl Documents for World {
    fn get(&self, id: &str) -> Option<Value> {
        self.documents.get(&id.to_lowercase()).cloned()
    }

    fn get_live(&self, id: &str) -> Option<Value> {
        match self.live.get(&id.to_lowercase()) {
            Some(live) => live.clone(),
            None => self.get(id),
        }
    }

    fn list(&self, resource_type: &str) -> Vec<Value> {
        let wanted: Vec<String> = resource_type.split('/').skip(1).map(str::to_lowercase).collect();
        self.documents
            .iter()
            .filter(|(id, _)| {
                let types: Vec<String> = id.split('/').skip(7).step_by(2).map(str::to_owned).collect();
                types == wanted
            })
            .map(|(_, document)| document.clone())
            .collect()
    }
}

impl World {
    /// Hub and both spokes; everything healthy.
    pub(super) fn wired() -> Self {
        let mut world = Self::default();
        world.hub();
        world.rules();
        world.spoke("one", "10.1.0.0/16", "10.1.0.0/24", FRONTEND);
        world.spoke("two", "10.2.0.0/16", "10.2.0.0/24", TWO_OUTBOUND);
        for spoke in ["one", "two"] {
            world.peer(HUB, &vnet(spoke));
        }
        world.table();
        world.set(
            &vnet("one"),
            "/properties/dhcpOptions",
            json!({"dnsServers": ["10.0.0.4"]}),
        );
        for (name, address) in [
            ("mcr.microsoft.com", "20.50.0.1"),
            ("partner.example", "52.99.0.1"),
            ("blocked.example", "52.99.0.2"),
            ("one.hcp.westeurope.azmk8s.io", "20.50.7.7"),
        ] {
            world.internet.names.insert(name.to_owned(), ip(address));
        }
        world
    }

    pub(super) fn put(&mut self, id: &str, properties: Value) {
        let name = id.rsplit('/').next().unwrap();
        let document = json!({"id": id, "name": name, "properties": properties});
        self.documents.insert(id.to_lowercase(), document);
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.documents.remove(&id.to_lowercase());
    }

    /// Sets a value; the last part of the pointer may be absent yet.
    pub(super) fn set(&mut self, id: &str, pointer: &str, value: Value) {
        let document = self.documents.get_mut(&id.to_lowercase()).unwrap();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = document.pointer_mut(parent).unwrap();
        match parent {
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
            Value::Object(fields) => {
                fields.insert(key.to_owned(), value);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                panic!("{pointer} has no place in {id}")
            }
        }
    }

    /// Makes `id` count with other content than GET shows, or not at all.
    pub(super) fn set_live(&mut self, id: &str, properties: Option<Value>) {
        let live = properties.map(|properties| json!({"id": id, "properties": properties}));
        self.live.insert(id.to_lowercase(), live);
    }

    /// Two links between two networks, both `Connected`.
    pub(super) fn peer(&mut self, one: &str, other: &str) {
        for (from, to) in [(one, other), (other, one)] {
            let prefixes = self.documents[&to.to_lowercase()]["properties"]["addressSpace"].clone();
            let link = json!({
                "name": format!("to-{}", to.rsplit('/').next().unwrap()),
                "properties": {
                    "peeringState": "Connected",
                    "peeringSyncLevel": "FullyInSync",
                    "allowVirtualNetworkAccess": true,
                    "allowForwardedTraffic": true,
                    "remoteVirtualNetwork": {"id": to},
                    "remoteAddressSpace": prefixes,
                }
            });
            let document = self.documents.get_mut(&from.to_lowercase()).unwrap();
            document["properties"]["virtualNetworkPeerings"]
                .as_array_mut()
                .unwrap()
                .push(link);
        }
    }

    pub(super) fn rule_group(&mut self, policy: &str, name: &str, priority: i64, collections: Value) {
        self.put(
            &format!("{policy}/ruleCollectionGroups/{name}"),
            json!({"priority": priority, "provisioningState": "Succeeded", "ruleCollections": collections}),
        );
    }

    /// Walks TCP 443 from spoke `one` by name.
    pub(super) fn call(&self, name: &str) -> Walk {
        self.send("one", Destination::Name(name.to_owned()), 443, None)
    }

    /// Walks TCP 443 from spoke `one` to an address, without a server name.
    pub(super) fn call_address(&self, address: &str) -> Walk {
        self.send("one", Destination::Address(ip(address)), 443, None)
    }

    pub(super) fn send(&self, spoke: &str, to: Destination, port: u16, server_name: Option<&str>) -> Walk {
        let packet = Packet {
            from: Source {
                subnet: subnet(spoke),
                cluster: None,
                address: None,
            },
            to,
            port,
            protocol: Protocol::Tcp,
            server_name: server_name.map(str::to_owned),
        };
        walk(self, &self.internet, &packet)
    }

    /// Walks TCP 443 from a client on the internet.
    pub(super) fn enter(&self, to: &str) -> Walk {
        let packet = Inbound {
            client: ip("52.77.0.7"),
            to: ip(to),
            port: 443,
            protocol: Protocol::Tcp,
        };
        walk_inbound(self, &self.internet, &packet)
    }

    fn hub(&mut self) {
        self.put(
            HUB,
            json!({
                "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
                "subnets": [{
                    "id": format!("{HUB}/subnets/AzureFirewallSubnet"),
                    "name": "AzureFirewallSubnet",
                    "properties": {"addressPrefix": "10.0.0.0/26", "natGateway": {"id": GATEWAY}},
                }],
                "virtualNetworkPeerings": [],
            }),
        );
        self.put(
            GATEWAY,
            json!({"publicIpAddresses": [{"id": public("egress")}], "publicIpPrefixes": []}),
        );
        self.put(&public("egress"), json!({"ipAddress": EGRESS}));
        self.put(&public("ingress"), json!({"ipAddress": INGRESS}));
        self.put(
            FIREWALL,
            json!({
                "provisioningState": "Succeeded",
                "firewallPolicy": {"id": POLICY},
                "ipConfigurations": [{"name": "first", "properties": {
                    "privateIPAddress": "10.0.0.4",
                    "publicIPAddress": {"id": public("ingress")},
                    "subnet": {"id": format!("{HUB}/subnets/AzureFirewallSubnet")},
                }}],
            }),
        );
        self.put(BASE, json!({}));
        self.put(
            POLICY,
            json!({"basePolicy": {"id": BASE}, "dnsSettings": {"enableProxy": true}}),
        );
    }

    fn rules(&mut self) {
        let application = filter(
            "names",
            300,
            "Allow",
            json!([
                application_rule("aks", &["10.1.0.0/24"], json!({"fqdnTags": ["AzureKubernetesService"]}),),
                application_rule("partner", &["10.1.0.0/24"], json!({"targetFqdns": ["partner.example"]}),)
            ]),
        );
        let network = filter(
            "api",
            200,
            "Allow",
            json!([network_rule(
                "api-server",
                &["10.1.0.0/24"],
                json!({"destinationFqdns": ["one.hcp.westeurope.azmk8s.io"]}),
            )]),
        );
        let nat = json!({
            "ruleCollectionType": "FirewallPolicyNatRuleCollection", "name": "dnat", "priority": 100,
            "action": {"type": "DNAT"},
            "rules": [{
                "ruleType": "NatRule", "name": "one-443", "ipProtocols": ["TCP"], "sourceAddresses": ["*"],
                "destinationAddresses": [INGRESS], "destinationPorts": ["443"],
                "translatedAddress": FRONTEND, "translatedPort": "443",
            }],
        });
        self.rule_group(POLICY, "hubward", 1000, json!([application, network, nat]));
    }

    fn spoke(&mut self, name: &str, space: &str, nodes: &str, outbound: &str) {
        let group = format!("/subscriptions/s/resourceGroups/MC_{name}/providers/Microsoft.Network");
        let balancer = format!("{group}/loadBalancers/kubernetes");
        let frontend = format!("{balancer}/frontendIPConfigurations/front");
        self.put(
            &vnet(name),
            json!({
                "addressSpace": {"addressPrefixes": [space]},
                "subnets": [{"id": subnet(name), "name": "nodes", "properties": {"addressPrefix": nodes}}],
                "virtualNetworkPeerings": [],
            }),
        );
        self.put(
            &format!("{group}/publicIPAddresses/front"),
            json!({"ipAddress": outbound, "ipConfiguration": {"id": frontend}}),
        );
        self.put(
            &balancer,
            json!({"loadBalancingRules": [{"properties": {
                "protocol": "Tcp", "frontendPort": 443, "frontendIPConfiguration": {"id": frontend},
            }}]}),
        );
        self.put(
            &cluster(name),
            json!({
                "fqdn": format!("{name}.hcp.westeurope.azmk8s.io"),
                "nodeResourceGroup": format!("mc_{name}"),
                "agentPoolProfiles": [{"name": "pool", "vnetSubnetID": subnet(name)}],
                "networkProfile": {
                    "outboundType": "loadBalancer",
                    "loadBalancerProfile": {
                        "effectiveOutboundIPs": [{"id": format!("{group}/publicIPAddresses/front")}],
                    },
                },
            }),
        );
    }

    fn table(&mut self) {
        self.put(
            TABLE,
            json!({"routes": [
                {"name": "default", "properties": {
                    "addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.0.4",
                }},
                {"name": "return", "properties": {
                    "addressPrefix": format!("{EGRESS}/32"), "nextHopType": "Internet",
                }},
            ]}),
        );
        self.set(
            &vnet("one"),
            "/properties/subnets/0/properties/routeTable",
            json!({"id": TABLE}),
        );
    }
}

pub(super) fn filter(name: &str, priority: i64, action: &str, rules: Value) -> Value {
    json!({
        "ruleCollectionType": "FirewallPolicyFilterRuleCollection", "name": name, "priority": priority,
        "action": {"type": action}, "rules": rules,
    })
}

pub(super) fn application_rule(name: &str, sources: &[&str], targets: Value) -> Value {
    merged(
        json!({
            "ruleType": "ApplicationRule", "name": name, "sourceAddresses": sources,
            "protocols": [{"protocolType": "Http", "port": 80}, {"protocolType": "Https", "port": 443}],
        }),
        &targets,
    )
}

pub(super) fn network_rule(name: &str, sources: &[&str], targets: Value) -> Value {
    merged(
        json!({
            "ruleType": "NetworkRule", "name": name, "sourceAddresses": sources,
            "ipProtocols": ["TCP"], "destinationPorts": ["443"],
        }),
        &targets,
    )
}

fn merged(mut rule: Value, fields: &Value) -> Value {
    for (key, value) in fields.as_object().unwrap() {
        rule[key] = value.clone();
    }
    rule
}

pub(super) fn vnet(spoke: &str) -> String {
    format!("/subscriptions/s/resourceGroups/{spoke}/providers/Microsoft.Network/virtualNetworks/{spoke}")
}

pub(super) fn subnet(spoke: &str) -> String {
    format!("{}/subnets/nodes", vnet(spoke))
}

pub(super) fn cluster(spoke: &str) -> String {
    format!("/subscriptions/s/resourceGroups/{spoke}/providers/Microsoft.ContainerService/managedClusters/{spoke}")
}

pub(super) fn public(name: &str) -> String {
    format!("/subscriptions/s/resourceGroups/hub/providers/Microsoft.Network/publicIPAddresses/{name}")
}

pub(super) fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

/// Requires arrival and gives the source the target saw.
pub(super) fn seen(walk: &Walk) -> String {
    match &walk.outcome {
        Outcome::Reached { seen_from } => seen_from.to_string(),
        Outcome::Dropped { at, why } => panic!("dropped at {at}: {why}\n{:#?}", walk.hops),
    }
}

/// Requires a drop and gives `place: reason`.
pub(super) fn drop(walk: &Walk) -> String {
    match &walk.outcome {
        Outcome::Reached { seen_from } => panic!("reached from {seen_from}\n{:#?}", walk.hops),
        Outcome::Dropped { at, why } => format!("{at}: {why}"),
    }
}
