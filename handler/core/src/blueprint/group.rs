//! Our rule collection group: the group as Azure has it, each cluster's part replaced by its contribution.
//!
//! A part is removed only by a tombstone; a missing contribution changes nothing, so an empty ledger is harmless. Rules
//! and collections that are not ours, and fields of ours that we do not know, stay. Equal content gives no write: Azure
//! answers a PUT without change with the body `null` after a full update of the firewall (azure-rest-api-specs#19505).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::rules::{Rule, rules};
use super::{Contribution, rule_collection_group_id};
use crate::config::{Config, Hub};
use crate::ids::ResourceId;
use crate::names;

/// Proof that a cluster is gone and its part of the rules may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The cluster.
    pub cluster: ResourceId,
    /// How we know.
    pub evidence: String,
}

/// The outcome of building our group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupEdit {
    /// The group.
    pub id: ResourceId,
    /// The whole body to write.
    pub body: Value,
    /// False if Azure has exactly this already.
    pub changed: bool,
    /// The clusters whose part differs, ordered.
    pub differing: Vec<ResourceId>,
}

/// Fields of a rule that are ours. A field of ours that a rule no longer needs is emptied, other fields stay.
const OWNED: [&str; 10] = [
    "ruleType",
    "name",
    "ipProtocols",
    "protocols",
    "sourceAddresses",
    "destinationAddresses",
    "destinationFqdns",
    "destinationPorts",
    "targetFqdns",
    "fqdnTags",
];

/// Builds our group from the one Azure has (`None`: it does not exist).
#[must_use]
pub fn edit_group(
    config: &Config,
    hub: &Hub,
    policy: &ResourceId,
    present: Option<&Value>,
    contributions: &BTreeMap<ResourceId, Contribution>,
    tombstones: &[Tombstone],
) -> GroupEdit {
    let id = rule_collection_group_id(config, policy);
    let mut body = present.cloned().unwrap_or_else(|| empty_group(&id, hub));
    strip_read_only(&mut body);
    let mut collections = take_collections(&mut body);
    let mut differing = BTreeSet::new();

    let mut wanted: BTreeMap<(bool, u32), Vec<Rule>> = BTreeMap::new();
    for (cluster, contribution) in in_hash_order(contributions) {
        for rule in rules(contribution, hub) {
            wanted.entry((rule.network, rule.priority)).or_default().push(rule);
        }
        if part_differs(&collections, config, cluster, contribution, hub) {
            differing.insert(cluster.clone());
        }
    }
    let replaced: BTreeSet<String> = contributions
        .keys()
        .chain(tombstones.iter().map(|t| &t.cluster))
        .map(names::hash)
        .collect();
    let old = remove_parts(&mut collections, config, &replaced);
    for ((network, priority), rules) in wanted {
        let name = collection_name(config, network, priority);
        let target = collection(&mut collections, &name, priority);
        for rule in rules {
            let merged = merge_rule(old.get(rule_name(&rule.body)), rule.body);
            target.push(Value::Object(merged));
        }
    }
    collections.retain(|c| !is_ours(c, config) || !rules_of(c).is_empty());
    collections.sort_by_key(|c| (!is_ours(c, config), c.get("priority").and_then(Value::as_u64)));
    if let Some(properties) = body.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("ruleCollections".to_owned(), Value::Array(collections));
    }
    let changed = match present {
        Some(present) => canonical(present) != canonical(&body),
        None => !contributions.is_empty(),
    };
    GroupEdit {
        id,
        body,
        changed,
        differing: differing.into_iter().collect(),
    }
}

/// True if the group as Azure has it carries exactly what `contribution` asks for.
#[must_use]
pub(crate) fn carries(config: &Config, hub: &Hub, present: &Value, contribution: &Contribution) -> bool {
    let mut body = present.clone();
    let collections = take_collections(&mut body);
    !part_differs(&collections, config, &contribution.cluster, contribution, hub)
}

fn part_differs(
    collections: &[Value],
    config: &Config,
    cluster: &ResourceId,
    contribution: &Contribution,
    hub: &Hub,
) -> bool {
    let hash = names::hash(cluster);
    let present: BTreeSet<String> = collections
        .iter()
        .filter(|c| is_ours(c, config))
        .flat_map(|c| rules_of(c).iter().map(move |r| (collection_text(c), r)))
        .filter(|(_, r)| belongs_to(r, &hash))
        .map(|(name, r)| format!("{name} {}", owned(r)))
        .collect();
    let wanted: BTreeSet<String> = rules(contribution, hub)
        .into_iter()
        .map(|rule| {
            let name = collection_name(config, rule.network, rule.priority);
            format!("{name} {}", owned(&Value::Object(rule.body)))
        })
        .collect();
    present != wanted
}

fn in_hash_order(
    contributions: &BTreeMap<ResourceId, Contribution>,
) -> impl Iterator<Item = (&ResourceId, &Contribution)> {
    let ordered: BTreeMap<String, (&ResourceId, &Contribution)> =
        contributions.iter().map(|(id, c)| (names::hash(id), (id, c))).collect();
    ordered.into_values()
}

fn empty_group(id: &ResourceId, hub: &Hub) -> Value {
    json!({
        "name": id.name(),
        "properties": {"priority": hub.rule_collection_group_priority, "ruleCollections": []},
    })
}

/// Removes what Azure computes; a PUT carries only what a person could have written.
fn strip_read_only(body: &mut Value) {
    if let Some(body) = body.as_object_mut() {
        body.shift_remove("etag");
        if let Some(properties) = body.get_mut("properties").and_then(Value::as_object_mut) {
            properties.shift_remove("provisioningState");
            properties.shift_remove("size");
        }
    }
}

fn take_collections(body: &mut Value) -> Vec<Value> {
    match body.pointer_mut("/properties/ruleCollections").map(Value::take) {
        Some(Value::Array(items)) => items,
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) | None => {
            Vec::new()
        }
    }
}

/// Takes the rules of the named clusters out of our collections and returns them by name.
fn remove_parts(
    collections: &mut [Value],
    config: &Config,
    hashes: &BTreeSet<String>,
) -> BTreeMap<String, Map<String, Value>> {
    let mut removed = BTreeMap::new();
    for collection in collections.iter_mut().filter(|c| is_ours(c, config)) {
        let Some(rules) = collection.get_mut("rules").and_then(Value::as_array_mut) else {
            continue;
        };
        rules.retain(|rule| {
            let gone = hashes.iter().any(|hash| belongs_to(rule, hash));
            if let (true, Some(body)) = (gone, rule.as_object()) {
                removed.insert(rule_name(body).to_owned(), body.clone());
            }
            !gone
        });
    }
    removed
}

fn collection<'a>(collections: &'a mut Vec<Value>, name: &str, priority: u32) -> &'a mut Vec<Value> {
    let at = collections
        .iter()
        .position(|c| collection_text(c) == name)
        .unwrap_or_else(|| {
            collections.push(json!({
                "ruleCollectionType": "FirewallPolicyFilterRuleCollection",
                "name": name,
                "priority": priority,
                "action": {"type": "Allow"},
                "rules": [],
            }));
            collections.len() - 1
        });
    let collection = &mut collections[at];
    if !collection.get("rules").is_some_and(Value::is_array) {
        collection["rules"] = json!([]);
    }
    match collection.get_mut("rules") {
        Some(Value::Array(rules)) => rules,
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) | None => {
            unreachable!("the array was put there above")
        }
    }
}

fn merge_rule(old: Option<&Map<String, Value>>, wanted: Map<String, Value>) -> Map<String, Value> {
    let Some(old) = old else { return wanted };
    let mut merged = old.clone();
    for key in OWNED {
        match (wanted.get(key), merged.contains_key(key)) {
            (Some(value), _) => {
                merged.insert(key.to_owned(), value.clone());
            }
            (None, true) => {
                merged.insert(key.to_owned(), json!([]));
            }
            (None, false) => {}
        }
    }
    merged
}

fn collection_name(config: &Config, network: bool, priority: u32) -> String {
    let kind = if network { "network" } else { "application" };
    format!("{}-{kind}-{priority}", config.naming.prefix)
}

fn is_ours(collection: &Value, config: &Config) -> bool {
    let prefix = format!("{}-", config.naming.prefix);
    collection_text(collection).starts_with(&prefix)
}

fn collection_text(collection: &Value) -> String {
    collection
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn rules_of(collection: &Value) -> &[Value] {
    collection
        .get("rules")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn rule_name(rule: &Map<String, Value>) -> &str {
    rule.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn belongs_to(rule: &Value, hash: &str) -> bool {
    rule.as_object()
        .and_then(|r| rule_name(r).strip_suffix(hash))
        .is_some_and(|rest| rest.ends_with('-'))
}

/// What of a rule is ours, for comparison: a description that somebody added is not a difference.
fn owned(rule: &Value) -> String {
    let mut mine = sorted(rule);
    if let Some(fields) = mine.as_object_mut() {
        fields.retain(|key, _| OWNED.contains(&key.as_str()));
    }
    mine.to_string().to_ascii_lowercase()
}

/// The group without what Azure adds: empty arrays, nulls, computed fields and the casing of enum values we write.
fn canonical(group: &Value) -> String {
    let mut body = group.clone();
    strip_read_only(&mut body);
    let priority = body.pointer("/properties/priority").cloned().unwrap_or(Value::Null);
    let mut collections: Vec<Value> = take_collections(&mut body)
        .iter()
        .map(|c| {
            let rules: Vec<Value> = rules_of(c).iter().map(sorted).collect();
            let mut c = sorted(c);
            c["rules"] = Value::Array(rules);
            c
        })
        .collect();
    // Priority decides, not position, and Azure may answer in another order than it was asked with.
    collections.sort_by_key(collection_text);
    json!([priority, collections]).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<&String, Value> = map
                .iter()
                .filter(|(_, v)| !v.is_null() && v.as_array().is_none_or(|a| !a.is_empty()))
                .map(|(k, v)| (k, sorted(v)))
                .collect();
            ordered.into_iter().map(|(k, v)| (k.clone(), v)).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
