//! Network security groups: rules inline, the six default rules added by Azure, in-use deletes refused.
//! Rules are not judged for sense; the packet walk reads them as they stand.

use crate::arm::errors::ArmError;
use crate::ids::ArmPath;
use crate::kinds::checks::{Accepted, Write, default_to, objects_only, properties_mut};
use crate::render::subnets_with;
use crate::store::{Store, array, text};
use serde_json::{Value, json};

/// PUT of a group: its rules are replaced.
pub(crate) fn accept(write: Write<'_>) -> Result<Accepted, ArmError> {
    let Write { path, mut body, .. } = write;
    objects_only(array(&body, &["properties", "securityRules"]), "securityRules", path)?;
    let properties = properties_mut(&mut body);
    default_to(properties, "securityRules", json!([]));
    if let Some(rules) = properties.get_mut("securityRules").and_then(Value::as_array_mut) {
        for rule in rules {
            let name = text(rule, &["name"]).unwrap_or_default().to_owned();
            rule["id"] = json!(format!("{path}/securityRules/{name}"));
            rule["type"] = json!("Microsoft.Network/networkSecurityGroups/securityRules");
            rule["properties"]["provisioningState"] = json!("Succeeded");
        }
    }
    properties.insert("defaultSecurityRules".to_owned(), default_rules(path));
    Ok(Accepted::operation(body))
}

/// The body of a group without rules, as AKS makes one beside a cluster.
pub(crate) fn empty(path: &ArmPath, location: &Value) -> Value {
    json!({"location": location, "properties": {"securityRules": [], "defaultSecurityRules": default_rules(path)}})
}

/// Code as NRP names it; the text is not captured [?].
pub(crate) fn refuse_if_in_use(store: &Store, group: &ArmPath) -> Result<(), ArmError> {
    let users = subnets_with(store, "networkSecurityGroup", group.as_str());
    let Some(user) = users.first().and_then(|user| text(user, &["id"])) else {
        return Ok(());
    };
    Err(ArmError::service(
        400,
        "InUseNetworkSecurityGroupCannotBeDeleted",
        format!(
            "Network security group {group} cannot be deleted because it is in use by the following resources: {user}."
        ),
    ))
}

fn default_rules(path: &ArmPath) -> Value {
    [
        (
            "AllowVnetInBound",
            "VirtualNetwork",
            "VirtualNetwork",
            "Allow",
            65000,
            "Inbound",
        ),
        (
            "AllowAzureLoadBalancerInBound",
            "AzureLoadBalancer",
            "*",
            "Allow",
            65001,
            "Inbound",
        ),
        ("DenyAllInBound", "*", "*", "Deny", 65500, "Inbound"),
        (
            "AllowVnetOutBound",
            "VirtualNetwork",
            "VirtualNetwork",
            "Allow",
            65000,
            "Outbound",
        ),
        ("AllowInternetOutBound", "*", "Internet", "Allow", 65001, "Outbound"),
        ("DenyAllOutBound", "*", "*", "Deny", 65500, "Outbound"),
    ]
    .into_iter()
    .map(|(name, source, destination, access, priority, direction)| {
        json!({
            "name": name,
            "id": format!("{path}/defaultSecurityRules/{name}"),
            "type": "Microsoft.Network/networkSecurityGroups/defaultSecurityRules",
            "properties": {
                "provisioningState": "Succeeded", "protocol": "*", "sourcePortRange": "*",
                "destinationPortRange": "*", "sourceAddressPrefix": source, "destinationAddressPrefix": destination,
                "access": access, "priority": priority, "direction": direction
            }
        })
    })
    .collect()
}
