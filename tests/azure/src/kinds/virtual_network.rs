//! Virtual networks and their subnets. A subnet PUT replaces the whole subnet: what the caller leaves out is cleared.
//! A VNet PUT replaces the list of subnets and refuses to drop one that is in use.

use crate::arm::errors::ArmError;
use crate::ids::ArmPath;
use crate::kinds::Kind;
use crate::kinds::checks::{
    Accepted, Answer, ReplacedChildren, Write, default_to, overlaps, prefix, prefixes, properties_mut, reference,
    strip_read_only,
};
use crate::render::subnet_ip_configurations;
use crate::store::{Store, array, text};
use ipnet::Ipv4Net;
use serde_json::{Value, json};

/// PUT of a VNet. Peerings are children of their own and survive it; subnets are replaced by the list, and a list
/// left out is an empty list [azure-domain 5, arm-behaviour 1: "omitted child arrays are removed"].
pub(crate) fn accept_network(write: Write<'_>) -> Result<Accepted, ArmError> {
    let Write {
        store, path, mut body, ..
    } = write;
    let properties = properties_mut(&mut body);
    properties.remove("virtualNetworkPeerings");
    let listed = properties.remove("subnets");
    default_to(properties, "addressSpace", json!({"addressPrefixes": []}));
    default_to(properties, "enableDdosProtection", json!(false));
    let space = prefixes(array(&body, &["properties", "addressSpace", "addressPrefixes"]), path)?;
    if space.is_empty() {
        return Err(ArmError::service(
            400,
            "AddressSpaceNotSpecified",
            format!("Virtual network {path} has no address space specified. At least one address prefix is needed."),
        ));
    }
    let mut wanted: Vec<(ArmPath, Value)> = Vec::new();
    for subnet in listed.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let subnet_path = text(subnet, &["name"])
            .and_then(|name| path.child("subnets", name))
            .ok_or_else(|| {
                ArmError::service(
                    400,
                    "InvalidRequestFormat",
                    format!("A subnet of {path} has no valid name."),
                )
            })?;
        let mut subnet_body = subnet.clone();
        strip_read_only(Kind::Subnet, &mut subnet_body);
        wanted.push((subnet_path, subnet_body));
    }
    let mut judged: Vec<(ArmPath, Value)> = Vec::new();
    for (subnet_path, subnet_body) in wanted {
        let siblings: Vec<(String, Ipv4Net)> = judged
            .iter()
            .flat_map(|(path, body)| named_prefixes(path, body))
            .collect();
        let subnet_body = judge_subnet(store, &subnet_path, subnet_body, &space, &siblings)?;
        judged.push((subnet_path, subnet_body));
    }
    for existing in store.children(path.key(), Kind::Subnet) {
        if !judged.iter().any(|(kept, _)| kept.key() == existing.path.key()) {
            refuse_if_subnet_in_use(store, &existing.path)?;
        }
    }
    let children = vec![ReplacedChildren {
        kind: Kind::Subnet,
        wanted: judged,
    }];
    Ok(Accepted {
        body,
        children,
        answer: Answer::Operation,
    })
}

/// PUT of one subnet.
pub(crate) fn accept_subnet(write: Write<'_>) -> Result<Accepted, ArmError> {
    let Write { store, path, body, .. } = write;
    let parent = path.parent().and_then(|parent| store.find(parent.key()));
    let parent = parent.ok_or_else(|| crate::arm::errors::parent_not_found(path))?;
    let space = prefixes(
        array(&parent.body, &["properties", "addressSpace", "addressPrefixes"]),
        &parent.path,
    )?;
    let siblings: Vec<(String, Ipv4Net)> = store
        .children(parent.path.key(), Kind::Subnet)
        .iter()
        .filter(|sibling| sibling.path.key() != path.key())
        .flat_map(|sibling| named_prefixes(&sibling.path, &sibling.body))
        .collect();
    Ok(Accepted::operation(judge_subnet(store, path, body, &space, &siblings)?))
}

/// Refuses while something sits in the subnet [azurerm#334: InUseSubnetCannotBeDeleted].
pub(crate) fn refuse_if_subnet_in_use(store: &Store, subnet: &ArmPath) -> Result<(), ArmError> {
    let users = subnet_ip_configurations(store, subnet.as_str());
    let Some(user) = users.first().and_then(|user| text(user, &["id"])) else {
        return Ok(());
    };
    Err(ArmError::service(
        400,
        "InUseSubnetCannotBeDeleted",
        format!(
            "Subnet {} is in use by {user} and cannot be deleted. In order to delete the subnet, delete all the \
             resources within the subnet. See aka.ms/deletesubnet.",
            subnet.name()
        ),
    ))
}

fn judge_subnet(
    store: &Store,
    path: &ArmPath,
    mut body: Value,
    space: &[Ipv4Net],
    siblings: &[(String, Ipv4Net)],
) -> Result<Value, ArmError> {
    let properties = properties_mut(&mut body);
    default_to(properties, "delegations", json!([]));
    default_to(properties, "privateEndpointNetworkPolicies", json!("Disabled"));
    default_to(properties, "privateLinkServiceNetworkPolicies", json!("Enabled"));
    for (field, kind) in [
        ("routeTable", Kind::RouteTable),
        ("networkSecurityGroup", Kind::NetworkSecurityGroup),
        ("natGateway", Kind::NatGateway),
    ] {
        match properties.get(field).and_then(|value| text(value, &["id"])) {
            Some(id) => {
                reference(store, id, kind, path)?;
                // A reference is kept as the id alone: an inlined copy of the document is not stored.
                let id = json!({"id": id});
                properties.insert(field.to_owned(), id);
            }
            None => {
                properties.remove(field);
            }
        }
    }
    let vnet = path.parent().map_or_else(String::new, |vnet| vnet.name().to_owned());
    let own = named_prefixes(path, &body);
    if own.is_empty() {
        let given = text(&body, &["properties", "addressPrefix"]).unwrap_or_default();
        prefix(given, path)?;
    }
    for (name, net) in &own {
        // Codes and texts from memory of NRP, not captured [?].
        if !space.iter().any(|outer| outer.contains(net)) {
            return Err(ArmError::service(
                400,
                "NetcfgSubnetRangeOutsideVnet",
                format!(
                    "Subnet '{name}' is not valid because its IP address range is outside the IP address range of virtual network '{vnet}'."
                ),
            ));
        }
        if siblings.iter().any(|(_, other)| overlaps(*net, *other)) {
            return Err(ArmError::service(
                400,
                "NetcfgSubnetRangesOverlap",
                format!(
                    "Subnet '{name}' is not valid because its IP address range overlaps with that of an existing subnet in virtual network '{vnet}'."
                ),
            ));
        }
    }
    Ok(body)
}

/// The prefixes of a subnet, whether in `addressPrefix` or `addressPrefixes`.
fn named_prefixes(path: &ArmPath, body: &Value) -> Vec<(String, Ipv4Net)> {
    let single = text(body, &["properties", "addressPrefix"]);
    let several = array(body, &["properties", "addressPrefixes"])
        .iter()
        .filter_map(Value::as_str);
    let parsed = single
        .into_iter()
        .chain(several)
        .filter_map(|text| text.parse::<Ipv4Net>().ok());
    parsed.map(|net| (path.name().to_owned(), net)).collect()
}
