//! What a step would change, field by field: the report of drift, with old and new.
//!
//! It compares as preconditions do: an absent field, `null` and an empty array are the same, texts compare without regard to case,
//! items of arrays are found by their `name` or `id` wherever they stand. It judges nothing; a step that only repeats a failed
//! write changes no field.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::step::{comparable, mark, says};
use super::{Method, Step};
use crate::ids::ResourceId;

/// One field that differs from what should be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The resource.
    pub resource: ResourceId,
    /// The field, as a JSON pointer into the document as it should be, or into the present one if it should not be there.
    /// Empty: the whole resource.
    pub field: String,
    /// The name of the rule, route or other item that the field belongs to, if it is one of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// As it is; `null` if it is not there.
    pub old: Value,
    /// As it should be; `null` if it should not be there.
    pub new: Value,
}

/// Every field that the step would change, in a fixed order.
#[must_use]
pub fn changes(step: &Step) -> Vec<FieldChange> {
    let mut found = Found {
        resource: &step.target,
        changes: Vec::new(),
    };
    let old = step.precondition.clone().unwrap_or(Value::Null);
    if step.method == Method::Delete {
        found.note("", None, &old, &Value::Null);
        return found.changes;
    }
    let new = comparable(&step.body);
    let at = Place {
        pointer: "",
        item: None,
    };
    match (&old, new.as_object()) {
        // What the body does not say at the top is Azure's: id, type, and how it is doing.
        (Value::Object(old), Some(new)) => {
            for (key, value) in new {
                let pointer = below("", key);
                found.value(
                    Place {
                        pointer: &pointer,
                        ..at
                    },
                    old.get(key).unwrap_or(&Value::Null),
                    value,
                );
            }
        }
        // What is missing as a whole is told part by part, as far as it has parts with names.
        (_, Some(new)) => {
            for (key, value) in new.iter().filter(|(key, _)| key.as_str() != "name") {
                let pointer = below("", key);
                found.missing(
                    Place {
                        pointer: &pointer,
                        ..at
                    },
                    value,
                );
            }
        }
        (_, None) => found.note("", None, &old, &new),
    }
    found.changes
}

/// Where in a document.
#[derive(Clone, Copy)]
struct Place<'a> {
    pointer: &'a str,
    item: Option<&'a str>,
}

struct Found<'a> {
    resource: &'a ResourceId,
    changes: Vec<FieldChange>,
}

impl Found<'_> {
    fn note(&mut self, field: &str, item: Option<&str>, old: &Value, new: &Value) {
        self.changes.push(FieldChange {
            resource: self.resource.clone(),
            field: field.to_owned(),
            item: item.map(str::to_owned),
            old: old.clone(),
            new: new.clone(),
        });
    }

    fn value(&mut self, at: Place<'_>, old: &Value, new: &Value) {
        match (old, new) {
            (old, new) if !tells(old) && !tells(new) => {}
            (Value::Object(before), Value::Object(after)) => {
                let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
                for key in keys {
                    let pointer = below(at.pointer, key);
                    let [old, new] = [before, after].map(|map| map.get(key).unwrap_or(&Value::Null));
                    self.value(
                        Place {
                            pointer: &pointer,
                            ..at
                        },
                        old,
                        new,
                    );
                }
            }
            (Value::Array(before), Value::Array(after)) if is_named(before) && is_named(after) => {
                self.items(at, before, after);
            }
            (Value::Array(before), Value::Array(after)) if holds_the_same(before, after) => {}
            (Value::String(before), Value::String(after)) if before.eq_ignore_ascii_case(after) => {}
            (old, new) if old == new => {}
            (old, new) => self.note(at.pointer, at.item, old, new),
        }
    }

    fn items(&mut self, at: Place<'_>, before: &[Value], after: &[Value]) {
        let same = |items: &[Value], name: &str| {
            let named = |item: &Value| mark(item).is_some_and(|mark| mark.eq_ignore_ascii_case(name));
            items.iter().position(named)
        };
        for (index, new) in after.iter().enumerate() {
            let name = mark(new).unwrap_or_default();
            let pointer = below(at.pointer, &index.to_string());
            let place = Place {
                pointer: &pointer,
                item: Some(name),
            };
            match same(before, name).and_then(|index| before.get(index)) {
                Some(old) => self.value(place, old, new),
                None => self.missing(place, new),
            }
        }
        for (index, old) in before.iter().enumerate() {
            let name = mark(old).unwrap_or_default();
            if same(after, name).is_none() {
                self.note(&below(at.pointer, &index.to_string()), Some(name), old, &Value::Null);
            }
        }
    }

    /// Something that is not there at all: its named parts one by one, or as a whole if it has none.
    fn missing(&mut self, at: Place<'_>, new: &Value) {
        match new {
            new if !tells(new) => {}
            Value::Object(fields) if fields.values().any(has_named_items) => {
                for (key, value) in fields {
                    let pointer = below(at.pointer, key);
                    self.missing(
                        Place {
                            pointer: &pointer,
                            ..at
                        },
                        value,
                    );
                }
            }
            Value::Array(items) if is_named(items) => self.items(at, &[], items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                self.note(at.pointer, at.item, &Value::Null, new)
            }
        }
    }
}

fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// False for what Azure fills in or leaves out as it likes.
fn tells(value: &Value) -> bool {
    says(value) && *value != Value::Bool(false)
}

/// True if every item has a mark of its own. References (`{"id": ..}` alone) are a set, not named items.
fn is_named(items: &[Value]) -> bool {
    items
        .iter()
        .all(|item| mark(item).is_some() && item.as_object().is_some_and(|fields| fields.len() > 1))
}

fn has_named_items(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| !items.is_empty() && is_named(items))
}

fn holds_the_same(before: &[Value], after: &[Value]) -> bool {
    super::differs(&Value::Array(after.to_vec()), &Value::Array(before.to_vec())).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn target(tail: &str) -> ResourceId {
        let group = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/g/providers/Microsoft.Network";
        ResourceId::parse(&format!("{group}/{tail}")).unwrap()
    }

    fn told(step: &Step) -> Vec<String> {
        changes(step)
            .iter()
            .map(|c| {
                let item = c.item.as_deref().map_or_else(String::new, |item| format!(" ({item})"));
                format!("{}{item}: {} -> {}", c.field, c.old, c.new)
            })
            .collect()
    }

    #[test]
    fn a_route_that_leads_elsewhere_is_told_by_its_fields_and_nothing_of_azures_own() {
        let present = json!({"id": "x", "name": "r", "type": "t", "etag": "W", "properties": {
            "provisioningState": "Succeeded", "addressPrefix": "0.0.0.0/0", "nextHopType": "virtualappliance",
            "nextHopIpAddress": "10.9.9.9", "hasBgpOverride": false}});
        let body = json!({"name": "r", "properties": {
            "addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.1.4"}});
        let step = Step::put("route", target("routeTables/t/routes/r"), body, "why").over(&present);
        assert_eq!(
            told(&step),
            [r#"/properties/nextHopIpAddress: "10.9.9.9" -> "10.0.1.4""#]
        );
        assert_eq!(changes(&step)[0].resource, step.target);
    }

    #[test]
    fn a_subnet_that_lost_its_table_and_a_peering_that_lost_a_flag_are_one_field_each() {
        let present =
            json!({"name": "nodes", "properties": {"addressPrefix": "10.1.0.0/24", "ipConfigurations": [{"id": "a"}]}});
        let body = json!({"name": "nodes", "properties": {"addressPrefix": "10.1.0.0/24", "routeTable": {"id": "/t"}}});
        let step = Step::put("switch", target("virtualNetworks/v/subnets/nodes"), body, "why").over(&present);
        assert_eq!(told(&step), [r#"/properties/routeTable: null -> {"id":"/t"}"#]);

        let flags = |forwarded: bool| {
            json!({"name": "p", "properties": {"allowVirtualNetworkAccess": true, "allowForwardedTraffic": forwarded,
                "remoteVirtualNetwork": {"id": "/v2"}}})
        };
        let id = target("virtualNetworks/v/virtualNetworkPeerings/p");
        let step = Step::put("peer", id, flags(true), "why").over(&flags(false));
        assert_eq!(told(&step), ["/properties/allowForwardedTraffic: false -> true"]);
    }

    #[test]
    fn rules_are_told_rule_by_rule_wherever_they_stand() {
        let rule =
            |name: &str, names: &[&str]| json!({"name": name, "ruleType": "ApplicationRule", "targetFqdns": names});
        let group = |rules: Vec<Value>| {
            json!({"name": "hubward", "properties": {"priority": 500, "ruleCollections": [
            {"name": "hubward-application-200", "priority": 200, "rules": rules}]}})
        };
        let present = group(vec![
            rule("gone", &["old.example"]),
            rule("b", &["x.example", "Y.example"]),
            rule("a", &["evil.example"]),
        ]);
        let body = group(vec![
            rule("a", &["a.example"]),
            rule("b", &["y.example", "x.example"]),
            rule("new", &["new.example"]),
        ]);
        let id = target("firewallPolicies/p/ruleCollectionGroups/hubward");
        let step = Step::put("rules", id, body, "why").over(&present);
        assert_eq!(
            told(&step),
            [
                r#"/properties/ruleCollections/0/rules/0/targetFqdns (a): ["evil.example"] -> ["a.example"]"#,
                r#"/properties/ruleCollections/0/rules/2 (new): null -> {"name":"new","ruleType":"ApplicationRule","targetFqdns":["new.example"]}"#,
                r#"/properties/ruleCollections/0/rules/0 (gone): {"name":"gone","ruleType":"ApplicationRule","targetFqdns":["old.example"]} -> null"#,
            ]
        );
    }

    #[test]
    fn what_is_missing_as_a_whole_is_told_part_by_part() {
        let body = json!({"name": "t", "location": "westeurope", "properties": {
            "disableBgpRoutePropagation": false, "routes": [{"name": "default", "properties": {"addressPrefix": "0.0.0.0/0"}}]}});
        let step = Step::put("route-table", target("routeTables/t"), body, "why");
        assert_eq!(
            told(&step),
            [
                r#"/location: null -> "westeurope""#,
                r#"/properties/routes/0 (default): null -> {"name":"default","properties":{"addressPrefix":"0.0.0.0/0"}}"#,
            ]
        );
    }

    #[test]
    fn a_deletion_takes_the_whole_and_a_repeated_write_changes_nothing() {
        let present = json!({"name": "r", "properties": {"addressPrefix": "0.0.0.0/0"}});
        let id = target("routeTables/t/routes/r");
        let step = Step::delete("away", id.clone(), &present, "why");
        assert_eq!(
            told(&step),
            [r#": {"name":"r","properties":{"addressPrefix":"0.0.0.0/0"}} -> null"#]
        );
        let again = Step::put("again", id, present.clone(), "the last write failed").over(&present);
        assert_eq!(told(&again), Vec::<String>::new());
    }
}
