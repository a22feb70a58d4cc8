//! What a contribution would take away from the rules that our group has for its cluster.
//!
//! A rule that is taken away from nodes behind the firewall cuts them off, so whoever writes a smaller part asks here first.
//! A source that is no IPv4 network is nobody's of ours and is passed over. DNAT rules let nobody out and are no part of this.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use serde_json::{Map, Value};

use super::Contribution;
use super::group::{empty_collection, frame, is_of, is_ours, owned, part_of, rules_of};
use super::rules::{CollectionKind, egress_rules};
use crate::config::{Config, Hub};
use crate::estate::strings;
use crate::ids::ResourceId;
use crate::names;

/// The prefixes that our group lets out, by the hash of the cluster whose rules do.
#[must_use]
pub(crate) fn prefixes_by_part(config: &Config, group: &Value) -> BTreeMap<String, BTreeSet<Ipv4Net>> {
    let mut parts: BTreeMap<String, BTreeSet<Ipv4Net>> = BTreeMap::new();
    for (_, rule) in our_rules(config, group) {
        if let Some(hash) = part_of(rule) {
            parts.entry(hash.to_owned()).or_default().extend(sources(rule));
        }
    }
    parts
}

/// The prefixes of `present` that no prefix of `wanted` covers.
#[must_use]
pub(crate) fn uncovered(present: &BTreeSet<Ipv4Net>, wanted: &[Ipv4Net]) -> Vec<Ipv4Net> {
    let covered = |prefix: &Ipv4Net| wanted.iter().any(|other| other.contains(prefix));
    present.iter().filter(|prefix| !covered(prefix)).copied().collect()
}

/// True if every rule that the group has for the cluster stays, for every prefix that it has now.
#[must_use]
pub(crate) fn only_adds(config: &Config, hub: &Hub, group: &Value, contribution: &Contribution) -> bool {
    holds(
        &wanted(config, hub, contribution),
        &present(config, group, &contribution.cluster),
    )
}

/// True if the group has every rule that the contribution asks for, whatever it has beside them.
#[must_use]
pub(crate) fn carries_at_least(config: &Config, hub: &Hub, group: &Value, contribution: &Contribution) -> bool {
    holds(
        &present(config, group, &contribution.cluster),
        &wanted(config, hub, contribution),
    )
}

/// What rules allow, each with the prefixes it allows it for.
type Part = BTreeMap<String, BTreeSet<Ipv4Net>>;

fn holds(more: &Part, less: &Part) -> bool {
    less.iter().all(|(rule, prefixes)| {
        let there: Vec<Ipv4Net> = more.get(rule).into_iter().flatten().copied().collect();
        uncovered(prefixes, &there).is_empty()
    })
}

fn present(config: &Config, group: &Value, cluster: &ResourceId) -> Part {
    let hash = names::hash(cluster);
    let mut part = Part::new();
    for (collection, rule) in our_rules(config, group).filter(|(_, rule)| part_of(rule) == Some(hash.as_str())) {
        add(&mut part, &frame(collection), rule);
    }
    part
}

fn wanted(config: &Config, hub: &Hub, contribution: &Contribution) -> Part {
    let mut part = Part::new();
    for rule in egress_rules(contribution, hub) {
        let frame = frame(&empty_collection(config, rule.kind, rule.priority));
        add(&mut part, &frame, &Value::Object(rule.body));
    }
    part
}

fn add(part: &mut Part, frame: &str, rule: &Value) {
    let mut apart: Map<String, Value> = rule.as_object().cloned().unwrap_or_default();
    apart.shift_remove("sourceAddresses");
    part.entry(format!("{frame} {}", owned(&Value::Object(apart))))
        .or_default()
        .extend(sources(rule));
}

fn our_rules<'a>(config: &'a Config, group: &'a Value) -> impl Iterator<Item = (&'a Value, &'a Value)> {
    let collections = group.pointer("/properties/ruleCollections").and_then(Value::as_array);
    collections
        .into_iter()
        .flatten()
        .filter(|collection| is_ours(collection, config) && !is_of(collection, config, CollectionKind::Dnat))
        .flat_map(|collection| rules_of(collection).iter().map(move |rule| (collection, rule)))
}

fn sources(rule: &Value) -> impl Iterator<Item = Ipv4Net> {
    let texts = strings(rule, "/sourceAddresses");
    texts.into_iter().filter_map(|text| {
        let address = || text.parse::<std::net::Ipv4Addr>().map(Ipv4Net::from);
        text.parse().or_else(|_| address()).ok()
    })
}
