//! What every kind's write has in common: the request seen whole, read-only fields removed, references checked.
//! Unknown properties that the caller sends are kept; only what Azure itself owns is taken out.

use crate::arm::errors::{self, ArmError};
use crate::ids::ArmPath;
use crate::kinds::{
    Kind, azure_firewall, managed_cluster, nat_gateway, network_security_group, peering, public_ip, route_table,
    rule_collection_group, virtual_network,
};
use crate::store::{Resource, Store};
use ipnet::Ipv4Net;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A PUT that is to be judged.
pub(crate) struct Write<'a> {
    pub(crate) store: &'a Store,
    pub(crate) path: &'a ArmPath,
    pub(crate) existing: Option<&'a Resource>,
    /// Query parameters, names in lower case.
    pub(crate) query: &'a BTreeMap<String, String>,
    /// What the caller sent, read-only fields removed.
    pub(crate) body: Value,
    pub(crate) draws: crate::draws::Draws,
    pub(crate) tenant: uuid::Uuid,
}

/// A PUT that is accepted.
pub(crate) struct Accepted {
    pub(crate) body: Value,
    /// Inline children that replace those that exist.
    pub(crate) children: Vec<ReplacedChildren>,
    pub(crate) answer: Answer,
}

/// All children of one kind, as the parent's PUT wants them.
pub(crate) struct ReplacedChildren {
    pub(crate) kind: Kind,
    pub(crate) wanted: Vec<(ArmPath, Value)>,
}

/// What the PUT answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 201 or 200 with the resource, and an operation.
    Operation,
    /// 200 with the body `null`: an unchanged rule collection group [azure-rest-api-specs#19505].
    Null,
    /// 200, `Succeeded` at once, same etag, and still an operation URL [recorded: cli azurefirewall_noop_put].
    Unchanged,
}

impl Accepted {
    pub(crate) fn operation(body: Value) -> Self {
        Self {
            body,
            children: Vec::new(),
            answer: Answer::Operation,
        }
    }
}

/// Judges a PUT by its kind.
pub(crate) fn accept(kind: Kind, write: Write<'_>) -> Result<Accepted, ArmError> {
    match kind {
        // These are judged where they are written.
        Kind::ResourceGroup | Kind::AgentPool | Kind::UserAssignedIdentity | Kind::RoleAssignment => {
            Ok(Accepted::operation(write.body))
        }
        Kind::VirtualNetwork => virtual_network::accept_network(write),
        Kind::Subnet => virtual_network::accept_subnet(write),
        Kind::Peering => peering::accept(write),
        Kind::RouteTable => route_table::accept_table(write),
        Kind::Route => route_table::accept_route(write),
        Kind::NetworkSecurityGroup => network_security_group::accept(write),
        Kind::NatGateway => nat_gateway::accept(write),
        Kind::PublicIp => public_ip::accept(write),
        Kind::FirewallPolicy => rule_collection_group::accept_policy(write),
        Kind::RuleCollectionGroup => rule_collection_group::accept_group(write),
        Kind::AzureFirewall => azure_firewall::accept(write),
        Kind::LoadBalancer => Ok(Accepted::operation(write.body)),
        Kind::ManagedCluster => managed_cluster::accept(write),
    }
}

/// Fields that Azure owns; a caller that sends them back from a GET changes nothing.
pub(crate) fn strip_read_only(kind: Kind, body: &mut Value) {
    let Some(top) = body.as_object_mut() else { return };
    for field in ["id", "name", "type", "etag", "eTag", "systemData"] {
        top.remove(field);
    }
    let Some(properties) = top.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    let owned: &[&str] = match kind {
        Kind::RouteTable | Kind::NetworkSecurityGroup | Kind::NatGateway => &["subnets"],
        Kind::Subnet => &["ipConfigurations", "privateEndpoints", "purpose"],
        Kind::PublicIp => &["ipConfiguration", "natGateway", "ipAddress"],
        Kind::FirewallPolicy => &["firewalls", "ruleCollectionGroups", "childPolicies", "size"],
        Kind::RuleCollectionGroup => &["size"],
        Kind::Peering => &["peeringState", "peeringSyncLevel", "remoteVirtualNetworkAddressSpace"],
        Kind::ResourceGroup
        | Kind::VirtualNetwork
        | Kind::Route
        | Kind::AzureFirewall
        | Kind::LoadBalancer
        | Kind::ManagedCluster
        | Kind::AgentPool => &[],
        Kind::UserAssignedIdentity => &["principalId", "clientId", "tenantId"],
        Kind::RoleAssignment => &["scope", "createdOn", "updatedOn", "createdBy", "updatedBy"],
    };
    for field in ["provisioningState", "resourceGuid"].iter().chain(owned) {
        properties.remove(*field);
    }
}

/// The referenced resource, which must exist, be of the kind and be at rest.
pub(crate) fn reference<'a>(store: &'a Store, id: &str, kind: Kind, by: &ArmPath) -> Result<&'a Resource, ArmError> {
    let found = store.find(id).filter(|resource| resource.kind == kind);
    let resource = found.ok_or_else(|| errors::invalid_resource_reference(id, by.as_str()))?;
    at_rest(resource, by)?;
    Ok(resource)
}

/// Refuses when a resource that the write needs is being written itself.
pub(crate) fn at_rest(resource: &Resource, by: &ArmPath) -> Result<(), ArmError> {
    match resource.state.as_str() {
        "Updating" | "Deleting" => Err(errors::referenced_not_provisioned(
            resource.path.as_str(),
            by.as_str(),
            &resource.state,
            resource.kind.facts().operation_name,
        )),
        _ => Ok(()),
    }
}

/// `properties` of a body, made if absent.
pub(crate) fn properties_mut(body: &mut Value) -> &mut Map<String, Value> {
    if !body.get("properties").is_some_and(Value::is_object) {
        body["properties"] = json!({});
    }
    match body.get_mut("properties") {
        Some(Value::Object(properties)) => properties,
        Some(_) | None => unreachable!("properties was made an object above"),
    }
}

/// Sets a field that Azure fills in when the caller leaves it out.
pub(crate) fn default_to(object: &mut Map<String, Value>, field: &str, value: Value) {
    object.entry(field.to_owned()).or_insert(value);
}

/// Refuses a list with a member that is not an object: nothing sensible can be done with it.
pub(crate) fn objects_only(values: &[Value], field: &str, by: &ArmPath) -> Result<(), ArmError> {
    if values.iter().all(Value::is_object) {
        return Ok(());
    }
    let message = format!("Cannot parse the request: every member of {field} of {by} must be an object.");
    Err(ArmError::service(400, "InvalidRequestFormat", message))
}

/// Parses prefixes, refusing what is not an IPv4 network in canonical form.
pub(crate) fn prefixes(values: &[Value], by: &ArmPath) -> Result<Vec<Ipv4Net>, ArmError> {
    values
        .iter()
        .map(|value| prefix(value.as_str().unwrap_or_default(), by))
        .collect()
}

/// One prefix. Code as NRP uses it; the text is not captured [?].
pub(crate) fn prefix(text: &str, by: &ArmPath) -> Result<Ipv4Net, ArmError> {
    let parsed = text.parse::<Ipv4Net>().ok().filter(|net| net.trunc() == *net);
    parsed.ok_or_else(|| {
        ArmError::service(
            400,
            "InvalidAddressPrefixFormat",
            format!("Address prefix {text} of resource {by} is not formatted correctly. It should follow CIDR notation, for example 10.0.0.0/24."),
        )
    })
}

/// True when two networks share an address.
pub(crate) fn overlaps(left: Ipv4Net, right: Ipv4Net) -> bool {
    left.contains(&right) || right.contains(&left)
}
