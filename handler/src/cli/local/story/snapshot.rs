//! Everything that Azure shows at one moment, so that two moments can be compared.

use std::collections::BTreeMap;

use azure_sim::{Azure, Counters, Documents};
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

/// How many differences are shown.
const MOST_SHOWN: usize = 8;

/// A moment to compare with.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    documents: BTreeMap<String, Value>,
    /// The handler's calls so far.
    pub(super) counters: Counters,
}

impl Snapshot {
    pub(super) fn of(azure: &Azure) -> Self {
        let documents = TYPES.iter().flat_map(|kind| azure.documents().list(kind));
        let documents = documents.filter_map(|mut document| {
            let id = document["id"].as_str()?.to_ascii_lowercase();
            forget_draws(&mut document);
            Some((id, document))
        });
        Self {
            documents: documents.collect(),
            counters: azure.counters(&azure.world().handler.clone()),
        }
    }

    /// What differs in `later`, one line each; empty if nothing does.
    pub(super) fn differences(&self, later: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (id, document) in &self.documents {
            match later.documents.get(id) {
                None => lines.push(format!("gone: {id}")),
                Some(now) if now != document => lines.push(format!("changed: {id}: {}", first_change(document, now))),
                Some(_) => {}
            }
        }
        let made = later.documents.keys().filter(|id| !self.documents.contains_key(*id));
        lines.extend(made.map(|id| format!("made: {id}")));
        let surplus = lines.len().saturating_sub(MOST_SHOWN);
        lines.truncate(MOST_SHOWN);
        if surplus > 0 {
            lines.push(format!("and {surplus} more"));
        }
        lines
    }
}

/// Takes away what Azure draws anew for each write.
fn forget_draws(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| name != "etag" && name != "resourceGuid");
            members.values_mut().for_each(forget_draws);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_draws),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The first field that differs, with old and new.
fn first_change(old: &Value, new: &Value) -> String {
    let (mut path, mut old, mut new) = (String::new(), old, new);
    while let (Value::Object(before), Value::Object(after)) = (old, new) {
        let names = before.keys().chain(after.keys());
        let Some(name) = names.into_iter().find(|name| before.get(*name) != after.get(*name)) else {
            break;
        };
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
        (old, new) = (
            before.get(name).unwrap_or(&Value::Null),
            after.get(name).unwrap_or(&Value::Null),
        );
    }
    format!("{path} was {}, is {}", short(old), short(new))
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 80 {
        return text;
    }
    let start: String = text.chars().take(77).collect();
    format!("{start}...")
}
