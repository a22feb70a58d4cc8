//! Every recorded rule collection group is put beside ours on the policy of a wired cluster, and the proof is made again.
//!
//! The groups are other people's: what they allow and deny, with address groups and features that we never write. The proof
//! has to read them without a panic, and may not call a promise held that it could not judge.

use serde_json::{Value, json};

use crate::files::{Document, data_for, documents};
use crate::world::{self, World};

#[test]
fn every_recorded_rule_collection_group_is_judged_beside_ours() {
    let Some(data) = data_for("conformance-network") else {
        return;
    };
    let found = documents(
        &data,
        &["clusters", "examples", "recordings"],
        &["Microsoft.Network/firewallPolicies/ruleCollectionGroups"],
    );
    assert!(!found.is_empty(), "no rule collection group under {}", data.display());
    let lines: Vec<String> = found.iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// The file, the rules, and what the proof says of the group as it is and as it would be if it concerned every source.
fn line(document: &Document) -> String {
    let mut everybody = document.body.clone();
    each_rule(&mut everybody, |rule| {
        rule["sourceIpGroups"] = json!([]);
        rule["sourceAddresses"] = json!(["*"]);
    });
    format!(
        "{:.60} | {} | {} | from everywhere: {}",
        document.file,
        rules_of(&document.body),
        verdict(&document.body),
        verdict(&everybody)
    )
}

fn each_rule(group: &mut Value, change: impl Fn(&mut Value)) {
    let collections = group
        .pointer_mut("/properties/ruleCollections")
        .and_then(Value::as_array_mut);
    for collection in collections.into_iter().flatten() {
        let rules = collection["rules"].as_array_mut();
        rules.into_iter().flatten().for_each(&change);
    }
}

fn verdict(group_body: &Value) -> String {
    let mut world = World::wired();
    let group = world::policy().child("ruleCollectionGroups", "theirs");
    world.edit(&world::policy(), |policy| {
        let groups = policy["properties"]["ruleCollectionGroups"].as_array_mut().unwrap();
        groups.push(json!({"id": group.as_str()}));
    });
    world.put(&group, group_body.clone());
    let plan = world.plan(&world::shop());
    let proof = plan.proof.as_ref().unwrap();
    format!("egress {}, reach {}", proof.egress.word(), proof.reach.word())
}

/// What the raw document holds: the kind of each collection, its action and its number of rules.
fn rules_of(group: &Value) -> String {
    let collections = group.pointer("/properties/ruleCollections").and_then(Value::as_array);
    let collections = collections.into_iter().flatten().map(|collection| {
        let action = collection
            .pointer("/action/type")
            .and_then(Value::as_str)
            .unwrap_or("no action");
        let rules = collection["rules"].as_array().cloned().unwrap_or_default();
        let kinds: Vec<&str> = rules.iter().filter_map(|rule| rule["ruleType"].as_str()).collect();
        format!("{action} {}", kinds.join("+"))
    });
    collections.collect::<Vec<_>>().join(", ")
}
