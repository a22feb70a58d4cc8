//! Every document that Azure shows at one moment, so that two moments can be compared, whatever happened between them. What Azure
//! draws or stamps anew for each write is left out: two ways to the same end differ in nothing else.

use std::collections::BTreeMap;

use azure_sim::{Azure, Documents};
use serde_json::Value;

/// The types whose documents are compared.
const TYPES: [&str; 17] = [
    "Microsoft.Resources/resourceGroups",
    "Microsoft.Network/virtualNetworks",
    "Microsoft.Network/virtualNetworks/subnets",
    "Microsoft.Network/virtualNetworks/virtualNetworkPeerings",
    "Microsoft.Network/routeTables",
    "Microsoft.Network/routeTables/routes",
    "Microsoft.Network/networkSecurityGroups",
    "Microsoft.Network/natGateways",
    "Microsoft.Network/publicIPAddresses",
    "Microsoft.Network/firewallPolicies",
    "Microsoft.Network/firewallPolicies/ruleCollectionGroups",
    "Microsoft.Network/azureFirewalls",
    "Microsoft.Network/loadBalancers",
    "Microsoft.ContainerService/managedClusters",
    "Microsoft.ContainerService/managedClusters/agentPools",
    "Microsoft.ManagedIdentity/userAssignedIdentities",
    "Microsoft.Authorization/roleAssignments",
];

/// Fields that differ from one write of the same content to the next.
const DRAWN: [&str; 4] = ["etag", "resourceGuid", "createdOn", "updatedOn"];

/// All documents by their lower-cased ids.
#[must_use]
pub fn documents(azure: &Azure) -> BTreeMap<String, Value> {
    let all = TYPES.iter().flat_map(|kind| azure.documents().list(kind));
    all.filter_map(|mut document| {
        let id = document["id"].as_str()?.to_ascii_lowercase();
        forget_draws(&mut document);
        Some((id, document))
    })
    .collect()
}

/// Takes away what Azure draws anew for each write.
fn forget_draws(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !DRAWN.contains(&name.as_str()));
            members.values_mut().for_each(forget_draws);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_draws),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
