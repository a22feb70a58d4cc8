//! Our rule collection group: the group as Azure has it, each cluster's part replaced by its contribution.
//!
//! A part is removed only by a tombstone; a missing contribution changes nothing, so an empty ledger is harmless. Rules
//! and collections that are not ours, and fields of ours that we do not know, stay. Equal content gives no write: Azure
//! answers a PUT without change with the body `null` after a full update of the firewall (azure-rest-api-specs#19505).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::rules::{CollectionKind, Rule, rules};
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

/// Fields of a rule that are ours. A field of ours that a rule no longer needs is emptied or left out, other fields stay.
const OWNED: [&str; 13] = [
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
    "translatedAddress",
    "translatedFqdn",
    "translatedPort",
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

    let mut wanted: BTreeMap<(CollectionKind, u32), Vec<Rule>> = BTreeMap::new();
    for (cluster, contribution) in in_hash_order(contributions) {
        for rule in rules(contribution, hub) {
            wanted.entry((rule.kind, rule.priority)).or_default().push(rule);
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
    if let Some(properties) = body.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("priority".to_owned(), json!(hub.rule_collection_group_priority));
    }
    for ((kind, priority), rules) in wanted {
        let target = collection(&mut collections, &empty_collection(config, kind, priority));
        for rule in rules {
            let merged = merge_rule(old.get(rule_name(&rule.body)), rule.body);
            target.push(Value::Object(merged));
        }
    }
    for collection in collections.iter_mut().filter(|c| is_ours(c, config)) {
        if let Some(rules) = collection.get_mut("rules").and_then(Value::as_array_mut) {
            // By part, so that the bytes do not depend on which parts were replaced this time.
            rules.sort_by_key(|rule| part_of(rule).map(str::to_owned));
        }
    }
    collections.retain(|c| !is_ours(c, config) || !rules_of(c).is_empty());
    collections.sort_by_key(|c| (!is_ours(c, config), c.get("priority").and_then(Value::as_u64)));
    if let Some(properties) = body.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("ruleCollections".to_owned(), Value::Array(collections));
    }
    let changed = match present {
        Some(present) => canonical(config, present) != canonical(config, &body),
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

/// What the group still has of a cluster that is to leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// True if any rule of ours serves it.
    pub(crate) any: bool,
    /// True if a DNAT rule of ours leads to it.
    pub(crate) inbound: bool,
}

/// What the group has of the cluster of this hash.
#[must_use]
pub(crate) fn part_in(config: &Config, group: &Value, hash: &str) -> Part {
    let mut body = group.clone();
    let mut part = Part::default();
    for collection in take_collections(&mut body).iter().filter(|c| is_ours(c, config)) {
        if rules_of(collection).iter().any(|rule| belongs_to(rule, hash)) {
            part.any = true;
            part.inbound |= is_of(collection, config, CollectionKind::Dnat);
        }
    }
    part
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
        .flat_map(|c| rules_of(c).iter().map(move |r| (c, r)))
        .filter(|(_, r)| belongs_to(r, &hash))
        .map(|(c, r)| format!("{} {}", frame(c), owned(r)))
        .collect();
    let wanted: BTreeSet<String> = rules(contribution, hub)
        .into_iter()
        .map(|rule| {
            let collection = empty_collection(config, rule.kind, rule.priority);
            format!("{} {}", frame(&collection), owned(&Value::Object(rule.body)))
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

/// The rules of the collection that `wanted` describes, which is made or put right.
fn collection<'a>(collections: &'a mut Vec<Value>, wanted: &Value) -> &'a mut Vec<Value> {
    let name = collection_text(wanted);
    let at = collections
        .iter()
        .position(|c| collection_text(c) == name)
        .unwrap_or_else(|| {
            collections.push(wanted.clone());
            collections.len() - 1
        });
    let collection = &mut collections[at];
    if frame(collection) != frame(wanted) {
        for key in ["ruleCollectionType", "priority", "action"] {
            collection[key] = wanted[key].clone();
        }
    }
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

pub(super) fn empty_collection(config: &Config, kind: CollectionKind, priority: u32) -> Value {
    let (type_name, action) = match kind {
        CollectionKind::Application | CollectionKind::Network => ("FirewallPolicyFilterRuleCollection", "Allow"),
        CollectionKind::Dnat => ("FirewallPolicyNatRuleCollection", "DNAT"),
    };
    json!({
        "ruleCollectionType": type_name,
        "name": format!("{}-{}-{priority}", config.naming.prefix, word(kind)),
        "priority": priority,
        "action": {"type": action},
        "rules": [],
    })
}

/// What decides over all rules of a collection: rules of ours under `Deny` or at another priority are not what we asked for.
pub(super) fn frame(collection: &Value) -> String {
    let action = collection
        .pointer("/action/type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let priority = collection.get("priority").and_then(Value::as_u64).unwrap_or_default();
    format!(
        "{} {priority} {}",
        collection_text(collection),
        action.to_ascii_lowercase()
    )
}

fn merge_rule(old: Option<&Map<String, Value>>, wanted: Map<String, Value>) -> Map<String, Value> {
    let Some(old) = old else { return wanted };
    let mut merged = old.clone();
    for key in OWNED {
        match (wanted.get(key), merged.contains_key(key)) {
            (Some(value), _) => {
                merged.insert(key.to_owned(), value.clone());
            }
            (None, true) if merged[key].is_array() => {
                merged.insert(key.to_owned(), json!([]));
            }
            (None, true) => {
                merged.shift_remove(key);
            }
            (None, false) => {}
        }
    }
    merged
}

/// The word for a kind in the names of collections.
fn word(kind: CollectionKind) -> &'static str {
    match kind {
        CollectionKind::Application => "application",
        CollectionKind::Network => "network",
        CollectionKind::Dnat => "dnat",
    }
}

pub(super) fn is_ours(collection: &Value, config: &Config) -> bool {
    let kinds = [
        CollectionKind::Application,
        CollectionKind::Network,
        CollectionKind::Dnat,
    ];
    kinds.into_iter().any(|kind| is_of(collection, config, kind))
}

/// True if the collection is one of ours and of this kind.
pub(super) fn is_of(collection: &Value, config: &Config, kind: CollectionKind) -> bool {
    let name = collection_text(collection);
    let rest = name
        .strip_prefix(config.naming.prefix.as_str())
        .and_then(|rest| rest.strip_prefix('-')?.strip_prefix(word(kind))?.strip_prefix('-'));
    rest.is_some_and(|priority| !priority.is_empty() && priority.bytes().all(|b| b.is_ascii_digit()))
}

fn collection_text(collection: &Value) -> String {
    collection
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

pub(super) fn rules_of(collection: &Value) -> &[Value] {
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

/// The hash of the cluster that a rule of ours serves; `None` for a rule that somebody put into our collection.
pub(super) fn part_of(rule: &Value) -> Option<&str> {
    const DIGITS: usize = 10;
    let name = rule.get("name").and_then(Value::as_str)?;
    let (_, hash) = name.rsplit_once('-')?;
    (hash.len() == DIGITS && hash.bytes().all(|b| b.is_ascii_hexdigit())).then_some(hash)
}

/// What of a rule is ours, for comparison: a description that somebody added is not a difference.
pub(super) fn owned(rule: &Value) -> String {
    let mut mine = sorted(rule);
    if let Some(fields) = mine.as_object_mut() {
        fields.retain(|key, _| OWNED.contains(&key.as_str()));
    }
    mine.to_string().to_ascii_lowercase()
}

/// The group without what Azure adds or reorders: empty arrays, nulls, computed fields and the casing of enum values we write.
fn canonical(config: &Config, group: &Value) -> String {
    let mut body = group.clone();
    strip_read_only(&mut body);
    let priority = body.pointer("/properties/priority").cloned().unwrap_or(Value::Null);
    let mut collections: Vec<Value> = take_collections(&mut body)
        .iter()
        .map(|c| {
            let mut rules: Vec<Value> = rules_of(c).iter().map(sorted).collect();
            if is_ours(c, config) {
                // All rules of a collection have one action, and no two DNAT rules of ours take the same packet: their order
                // decides nothing.
                rules.sort_by_key(Value::to_string);
            }
            let mut c = sorted(c);
            c["rules"] = Value::Array(rules);
            c
        })
        .collect();
    // Priority decides, not position, and Azure may answer in another order than it was asked with.
    collections.sort_by_key(collection_text);
    json!([priority, collections]).to_string().to_ascii_lowercase()
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
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(sorted).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
