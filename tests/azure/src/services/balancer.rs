//! The documents of the cloud controller's load balancers: frontends, rules, probes, and the rules it writes into the node
//! resource group's security group. Names and values are those of the cloud controller [kubernetes/kubernetes#91997:
//! `a<uid>-TCP-80`, floating IP, backend port as frontend port; cloud-provider-azure documentation].

use crate::ids::ArmPath;
use crate::kinds::Kind;
use crate::kinds::cluster_nodes::aks_number;
use crate::services::sits_in;
use crate::store::{Resource, Store, array, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use time::OffsetDateTime;

/// What a frontend shows to the world.
#[derive(Clone, Debug)]
pub(super) enum Face {
    Public { id: String },
    Internal { subnet: String, address: Ipv4Addr },
}

/// A service as the load balancer sees it.
pub(super) struct Listener<'a> {
    pub(super) uid: &'a str,
    pub(super) service: &'a str,
    pub(super) ports: &'a [u16],
    pub(super) address: Ipv4Addr,
    pub(super) sources: &'a [String],
}

/// The two load balancers of a cluster.
const BALANCERS: [&str; 2] = ["kubernetes", "kubernetes-internal"];

/// Adds a service. Returns what was written.
pub(super) fn add(
    store: &mut Store,
    cluster: &Resource,
    group: &str,
    face: &Face,
    listener: &Listener<'_>,
    now: OffsetDateTime,
) -> Vec<ArmPath> {
    let name = match face {
        Face::Public { .. } => BALANCERS[0],
        Face::Internal { .. } => BALANCERS[1],
    };
    let Some(path) = balancer_path(group, name) else {
        return Vec::new();
    };
    if !store.exists(path.key()) {
        let body = empty_balancer(&path, &cluster.body["location"]);
        store.put(&path, Kind::LoadBalancer, body, "Succeeded", now);
    }
    if let Some(found) = store.find_mut(path.key()) {
        let properties = &mut found.body["properties"];
        push(properties, "frontendIPConfigurations", frontend(&path, face, listener));
        for port in listener.ports {
            push(properties, "loadBalancingRules", rule(&path, listener.uid, *port));
            push(properties, "probes", probe(&path, listener.uid, *port));
        }
    }
    store.touch(path.key());
    let mut written = vec![path];
    if matches!(face, Face::Public { .. }) || !listener.sources.is_empty() {
        written.extend(admit(store, cluster, group, listener));
    }
    written
}

/// Removes a service from both load balancers; one that has no frontend left goes. Returns what was written.
pub(super) fn remove(store: &mut Store, cluster: &Resource, group: &str, uid: &str) -> Vec<ArmPath> {
    let mut written = Vec::new();
    for path in BALANCERS.iter().filter_map(|name| balancer_path(group, name)) {
        let Some(found) = store.find_mut(path.key()) else {
            continue;
        };
        let properties = &mut found.body["properties"];
        let mut changed = false;
        for list in ["frontendIPConfigurations", "loadBalancingRules", "probes"] {
            changed |= drop_of(properties, list, uid);
        }
        if !changed {
            continue;
        }
        if array(properties, &["frontendIPConfigurations"]).is_empty() {
            store.remove_tree(path.key());
        } else {
            store.touch(path.key());
            written.push(path);
        }
    }
    let security = security_group(cluster, group);
    if let Some(found) = security.as_ref().and_then(|path| store.find_mut(path.key()))
        && drop_of(&mut found.body["properties"], "securityRules", uid)
        && let Some(path) = security
    {
        store.touch(path.key());
        written.push(path);
    }
    written
}

/// Private addresses that frontends in a subnet hold, this service's own left out.
pub(super) fn private_addresses(store: &Store, subnet: &str, uid: &str) -> BTreeSet<Ipv4Addr> {
    store
        .of_kind(Kind::LoadBalancer)
        .flat_map(|balancer| array(&balancer.body, &["properties", "frontendIPConfigurations"]))
        .filter(|frontend| sits_in(frontend, subnet) && text(frontend, &["name"]) != Some(uid))
        .filter_map(|frontend| text(frontend, &["properties", "privateIPAddress"])?.parse().ok())
        .collect()
}

/// The controller's rule in the security group on the nodes' interfaces. Packets keep the frontend's address as their
/// destination, because the rule has a floating IP.
fn admit(store: &mut Store, cluster: &Resource, group: &str, listener: &Listener<'_>) -> Option<ArmPath> {
    let path = security_group(cluster, group)?;
    let found = store.find_mut(path.key())?;
    let rules = array(&found.body, &["properties", "securityRules"]);
    let taken: BTreeSet<u64> = rules
        .iter()
        .filter_map(|rule| rule["properties"]["priority"].as_u64())
        .collect();
    let priority = (500..4096).find(|priority| !taken.contains(priority))?;
    let sources = if listener.sources.is_empty() {
        json!(["Internet"])
    } else {
        json!(listener.sources)
    };
    let name = format!("k8s-azure-lb_allow_IPv4_{}", listener.uid);
    let ports: Vec<String> = listener.ports.iter().map(u16::to_string).collect();
    let rule = json!({
        "name": name, "id": format!("{path}/securityRules/{name}"),
        "type": "Microsoft.Network/networkSecurityGroups/securityRules",
        "properties": {
            "provisioningState": "Succeeded", "description": format!("default/{}", listener.service),
            "protocol": "Tcp", "sourcePortRange": "*", "destinationPortRanges": ports,
            "sourceAddressPrefixes": sources, "destinationAddressPrefixes": [listener.address],
            "access": "Allow", "priority": priority, "direction": "Inbound"
        }
    });
    push(&mut found.body["properties"], "securityRules", rule);
    store.touch(path.key());
    Some(path)
}

fn frontend(balancer: &ArmPath, face: &Face, listener: &Listener<'_>) -> Value {
    let rules: Vec<Value> = listener
        .ports
        .iter()
        .map(|port| json!({"id": format!("{balancer}/loadBalancingRules/{}", rule_name(listener.uid, *port))}))
        .collect();
    let mut properties = json!({"provisioningState": "Succeeded", "privateIPAllocationMethod": "Dynamic"});
    match face {
        Face::Public { id } => properties["publicIPAddress"] = json!({"id": id}),
        Face::Internal { subnet, address } => {
            properties["privateIPAddress"] = json!(address);
            properties["subnet"] = json!({"id": subnet});
        }
    }
    properties["loadBalancingRules"] = json!(rules);
    json!({
        "name": listener.uid, "id": format!("{balancer}/frontendIPConfigurations/{}", listener.uid),
        "properties": properties
    })
}

fn rule(balancer: &ArmPath, uid: &str, port: u16) -> Value {
    let name = rule_name(uid, port);
    json!({
        "name": name, "id": format!("{balancer}/loadBalancingRules/{name}"),
        "properties": {
            "provisioningState": "Succeeded",
            "frontendIPConfiguration": {"id": format!("{balancer}/frontendIPConfigurations/{uid}")},
            "backendAddressPool": {"id": format!("{balancer}/backendAddressPools/kubernetes")},
            "probe": {"id": format!("{balancer}/probes/{name}")},
            "protocol": "Tcp", "frontendPort": port, "backendPort": port, "enableFloatingIP": true,
            "enableTcpReset": true, "disableOutboundSnat": true, "idleTimeoutInMinutes": 4,
            "loadDistribution": "Default"
        }
    })
}

fn probe(balancer: &ArmPath, uid: &str, port: u16) -> Value {
    let name = rule_name(uid, port);
    // Node ports begin at 30000.
    json!({
        "name": name, "id": format!("{balancer}/probes/{name}"),
        "properties": {
            "provisioningState": "Succeeded", "protocol": "Tcp", "port": 30_000 + u32::from(port) % 2768,
            "intervalInSeconds": 5, "numberOfProbes": 2
        }
    })
}

fn rule_name(uid: &str, port: u16) -> String {
    format!("{uid}-TCP-{port}")
}

fn empty_balancer(path: &ArmPath, location: &Value) -> Value {
    json!({
        "location": location, "sku": {"name": "Standard", "tier": "Regional"},
        "properties": {
            "frontendIPConfigurations": [],
            "backendAddressPools": [{
                "name": "kubernetes", "id": format!("{path}/backendAddressPools/kubernetes"),
                "properties": {"provisioningState": "Succeeded"}
            }],
            "loadBalancingRules": [], "probes": [], "inboundNatRules": [], "inboundNatPools": [], "outboundRules": []
        }
    })
}

fn balancer_path(group: &str, name: &str) -> Option<ArmPath> {
    ArmPath::parse(&format!("{group}/providers/Microsoft.Network/loadBalancers/{name}"))
}

fn security_group(cluster: &Resource, group: &str) -> Option<ArmPath> {
    let number = aks_number(cluster.path.key());
    ArmPath::parse(&format!(
        "{group}/providers/Microsoft.Network/networkSecurityGroups/aks-agentpool-{number}-nsg"
    ))
}

fn push(properties: &mut Value, list: &str, value: Value) {
    if let Some(list) = properties.get_mut(list).and_then(Value::as_array_mut) {
        list.push(value);
    }
}

/// Drops what belongs to a service, by name; true if there was any.
fn drop_of(properties: &mut Value, list: &str, uid: &str) -> bool {
    let Some(list) = properties.get_mut(list).and_then(Value::as_array_mut) else {
        return false;
    };
    let before = list.len();
    list.retain(|entry| !text(entry, &["name"]).is_some_and(|name| name.contains(uid)));
    list.len() < before
}
