//! How a stored resource looks when GET answers it: Azure's own fields, inline children and back references.
//! Nothing here changes the store; every computed field is computed from what exists at this moment.

use crate::ids::same_id;
use crate::kinds::{Backend, Kind, azure_firewall, cluster_nodes, peering, role_assignment, user_assigned_identity};
use crate::store::{Resource, Store, array, text};
use serde_json::{Map, Value, json};

/// Renders one resource.
pub(crate) fn render(store: &Store, resource: &Resource) -> Value {
    match resource.kind.facts().backend {
        Backend::Resources if resource.kind == Kind::RoleAssignment => role_assignment::render(resource),
        Backend::Resources if resource.kind == Kind::UserAssignedIdentity => user_assigned_identity::render(resource),
        Backend::Resources => render_group(resource),
        Backend::Nrp => render_nrp(store, resource),
        Backend::Nfv => render_nfv(store, resource),
        Backend::Aks => render_aks(resource),
    }
}

/// The etag in the form of the resource's back end: NRP weak, NFV bare, children of a VNet or route table with the
/// etag of their parent [arm-behaviour 2].
pub(crate) fn etag(store: &Store, resource: &Resource) -> String {
    let shared = match resource.kind {
        Kind::Subnet | Kind::Peering | Kind::Route => resource
            .path
            .parent()
            .and_then(|parent| store.find(parent.key()))
            .map_or(resource.etag, |parent| parent.etag),
        Kind::ResourceGroup
        | Kind::VirtualNetwork
        | Kind::RouteTable
        | Kind::NetworkSecurityGroup
        | Kind::NatGateway
        | Kind::PublicIp
        | Kind::FirewallPolicy
        | Kind::RuleCollectionGroup
        | Kind::AzureFirewall
        | Kind::LoadBalancer
        | Kind::ManagedCluster
        | Kind::AgentPool
        | Kind::UserAssignedIdentity
        | Kind::RoleAssignment => resource.etag,
    };
    match resource.kind.facts().backend {
        Backend::Nrp => format!("W/\"{shared}\""),
        Backend::Nfv | Backend::Aks | Backend::Resources => shared.to_string(),
    }
}

fn render_group(resource: &Resource) -> Value {
    let mut document = json!({
        "id": resource.path.as_str(),
        "name": resource.path.name(),
        "type": resource.kind.facts().type_name,
    });
    merge_top(&mut document, &resource.body);
    document["properties"] = json!({"provisioningState": resource.state});
    document
}

/// Field order as recorded: name, id, etag, type, location, tags, properties [recorded: fluent-net CreateUpdatePeering].
fn render_nrp(store: &Store, resource: &Resource) -> Value {
    let mut document = json!({
        "name": resource.path.name(),
        "id": resource.path.as_str(),
        "etag": etag(store, resource),
        "type": resource.kind.facts().type_name,
    });
    merge_top(&mut document, &resource.body);
    let mut properties = Map::new();
    properties.insert("provisioningState".to_owned(), json!(resource.state));
    if !resource.kind.is_child() && resource.kind != Kind::AzureFirewall {
        properties.insert("resourceGuid".to_owned(), json!(resource.resource_guid));
    }
    if let Some(own) = resource.body.get("properties").and_then(Value::as_object) {
        properties.extend(own.clone());
    }
    add_computed(store, resource, &mut properties);
    document["properties"] = Value::Object(properties);
    document
}

fn add_computed(store: &Store, resource: &Resource, properties: &mut Map<String, Value>) {
    let id = resource.path.as_str();
    match resource.kind {
        Kind::VirtualNetwork => {
            properties.insert("subnets".to_owned(), rendered_children(store, id, Kind::Subnet));
            properties.insert(
                "virtualNetworkPeerings".to_owned(),
                rendered_children(store, id, Kind::Peering),
            );
        }
        Kind::Subnet => insert_unless_empty(properties, "ipConfigurations", subnet_ip_configurations(store, id)),
        Kind::Peering => peering::add_computed(store, resource, properties),
        Kind::RouteTable => {
            properties.insert("routes".to_owned(), rendered_children(store, id, Kind::Route));
            insert_unless_empty(properties, "subnets", subnets_with(store, "routeTable", id));
        }
        Kind::NetworkSecurityGroup => {
            insert_unless_empty(properties, "subnets", subnets_with(store, "networkSecurityGroup", id));
        }
        Kind::NatGateway => insert_unless_empty(properties, "subnets", subnets_with(store, "natGateway", id)),
        Kind::PublicIp => {
            if let Some((field, holder)) = public_ip_holder(store, id) {
                properties.insert(field.to_owned(), json!({"id": holder}));
            }
        }
        Kind::AzureFirewall => azure_firewall::decorate_ip_configurations(resource, properties),
        Kind::ResourceGroup
        | Kind::Route
        | Kind::FirewallPolicy
        | Kind::RuleCollectionGroup
        | Kind::LoadBalancer
        | Kind::ManagedCluster
        | Kind::AgentPool
        | Kind::UserAssignedIdentity
        | Kind::RoleAssignment => {}
    }
}

/// Field order as recorded: properties first, then id, name, type, etag, location [recorded: cli firewallpolicy_and_rcg].
fn render_nfv(store: &Store, resource: &Resource) -> Value {
    let mut properties = resource
        .body
        .get("properties")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if resource.kind == Kind::FirewallPolicy {
        let groups = store.children(resource.path.key(), Kind::RuleCollectionGroup);
        properties.insert("childPolicies".to_owned(), json!([]));
        properties.insert(
            "ruleCollectionGroups".to_owned(),
            references(groups.iter().map(|g| g.path.as_str())),
        );
        let firewalls = firewalls_of_policy(store, resource.path.as_str());
        properties.insert(
            "firewalls".to_owned(),
            references(firewalls.iter().map(|f| f.path.as_str())),
        );
    }
    properties.insert("provisioningState".to_owned(), json!(resource.state));
    let mut document = json!({
        "properties": properties,
        "id": resource.path.as_str(),
        "name": resource.path.name(),
        "type": resource.kind.facts().type_name,
        "etag": etag(store, resource),
    });
    merge_top(&mut document, &resource.body);
    document
}

/// AKS answers its id with a lower-case `/resourcegroups/` whatever the caller wrote [recorded: cli aks_*].
fn render_aks(resource: &Resource) -> Value {
    let mut document = json!({
        "id": aks_id(resource.path.as_str()),
        "location": resource.body.get("location"),
        "name": resource.path.name(),
        "type": resource.kind.facts().type_name,
    });
    merge_top(&mut document, &resource.body);
    let mut properties = Map::new();
    properties.insert("provisioningState".to_owned(), json!(resource.state));
    if let Some(own) = resource.body.get("properties").and_then(Value::as_object) {
        properties.extend(own.clone());
    }
    document["properties"] = Value::Object(properties);
    document["eTag"] = json!(resource.etag);
    document
}

/// An id as AKS spells it.
pub(crate) fn aks_id(id: &str) -> String {
    id.replacen("/resourceGroups/", "/resourcegroups/", 1)
}

/// The firewalls bound to a policy.
pub(crate) fn firewalls_of_policy<'a>(store: &'a Store, policy: &str) -> Vec<&'a Resource> {
    let bound = |firewall: &&Resource| {
        text(&firewall.body, &["properties", "firewallPolicy", "id"]).is_some_and(|id| same_id(id, policy))
    };
    store.of_kind(Kind::AzureFirewall).filter(bound).collect()
}

/// Subnets whose `field.id` names `id`.
pub(crate) fn subnets_with(store: &Store, field: &str, id: &str) -> Vec<Value> {
    let uses = |subnet: &&Resource| {
        text(&subnet.body, &["properties", field, "id"]).is_some_and(|reference| same_id(reference, id))
    };
    store
        .of_kind(Kind::Subnet)
        .filter(uses)
        .map(|subnet| json!({"id": subnet.path.as_str()}))
        .collect()
}

/// Who holds a public IP: the field of the back reference and the holder's id.
pub(crate) fn public_ip_holder(store: &Store, id: &str) -> Option<(&'static str, String)> {
    for gateway in store.of_kind(Kind::NatGateway) {
        let held = array(&gateway.body, &["properties", "publicIpAddresses"]);
        if held
            .iter()
            .any(|ip| text(ip, &["id"]).is_some_and(|held| same_id(held, id)))
        {
            return Some(("natGateway", gateway.path.as_str().to_owned()));
        }
    }
    let frontends = [
        (Kind::AzureFirewall, "ipConfigurations", "azureFirewallIpConfigurations"),
        (
            Kind::LoadBalancer,
            "frontendIPConfigurations",
            "frontendIPConfigurations",
        ),
    ];
    for (kind, field, segment) in frontends {
        for owner in store.of_kind(kind) {
            for configuration in array(&owner.body, &["properties", field]) {
                let held = text(configuration, &["properties", "publicIPAddress", "id"]);
                if held.is_some_and(|held| same_id(held, id)) {
                    let name = text(configuration, &["name"]).unwrap_or_default();
                    return Some(("ipConfiguration", format!("{}/{segment}/{name}", owner.path)));
                }
            }
        }
    }
    None
}

/// What sits in a subnet: firewall instances, internal frontends and cluster nodes. A subnet with any cannot be deleted.
pub(crate) fn subnet_ip_configurations(store: &Store, subnet: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for firewall in store.of_kind(Kind::AzureFirewall) {
        for configuration in array(&firewall.body, &["properties", "ipConfigurations"]) {
            if text(configuration, &["properties", "subnet", "id"]).is_some_and(|id| same_id(id, subnet)) {
                let name = text(configuration, &["name"]).unwrap_or_default();
                found.push(json!({"id": format!("{}/azureFirewallIpConfigurations/{name}", firewall.path)}));
            }
        }
    }
    for balancer in store.of_kind(Kind::LoadBalancer) {
        let frontends = array(&balancer.body, &["properties", "frontendIPConfigurations"]);
        let inside = frontends
            .iter()
            .filter(|frontend| crate::services::sits_in(frontend, subnet));
        found.extend(inside.map(|frontend| json!({"id": frontend["id"]})));
    }
    for cluster in store.of_kind(Kind::ManagedCluster) {
        for pool in array(&cluster.body, &["properties", "agentPoolProfiles"]) {
            if cluster_nodes::subnet_of(cluster, pool).is_some_and(|id| same_id(&id, subnet)) {
                found.extend(node_ip_configurations(cluster, pool));
            }
        }
    }
    found
}

fn node_ip_configurations(cluster: &Resource, pool: &Value) -> Vec<Value> {
    let subscription = cluster.path.subscription.as_deref().unwrap_or_default();
    let node_group = text(&cluster.body, &["properties", "nodeResourceGroup"]).unwrap_or_default();
    let pool_name = text(pool, &["name"]).unwrap_or_default();
    let count = pool.get("count").and_then(Value::as_u64).unwrap_or(0);
    let scale_set = cluster_nodes::scale_set(cluster, pool_name);
    (0..count)
        .map(|node| {
            json!({"id": format!(
                "/subscriptions/{subscription}/resourceGroups/{}/providers/Microsoft.Compute/virtualMachineScaleSets/\
                 {scale_set}/virtualMachines/{node}/networkInterfaces/{scale_set}/ipConfigurations/ipconfig1",
                node_group.to_uppercase()
            )})
        })
        .collect()
}

fn rendered_children(store: &Store, parent: &str, kind: Kind) -> Value {
    store
        .children(parent, kind)
        .into_iter()
        .map(|child| render(store, child))
        .collect()
}

fn references<'a>(ids: impl Iterator<Item = &'a str>) -> Value {
    ids.map(|id| json!({"id": id})).collect()
}

fn insert_unless_empty(properties: &mut Map<String, Value>, field: &str, values: Vec<Value>) {
    if !values.is_empty() {
        properties.insert(field.to_owned(), Value::Array(values));
    }
}

fn merge_top(document: &mut Value, body: &Value) {
    for (key, value) in body.as_object().into_iter().flatten() {
        if key != "properties" {
            document[key] = value.clone();
        }
    }
}
