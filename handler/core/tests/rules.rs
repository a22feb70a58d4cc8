//! How the hub's rules come about and go: named as requirements.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::collections::BTreeMap;

use hubward_core::blueprint::{Reservations, Tombstone, edit_group};
use hubward_core::config::Hub;
use hubward_core::finding::Code;
use hubward_core::ids::ResourceId;
use hubward_core::plan::{Wait, plan_hub};
use proptest::prelude::*;
use serde_json::{Value, json};
use world::{World, cluster_id, codes, collection, https_rule, policy, shop};

type Edit = fn(&mut Value);

#[test]
fn a_missing_contribution_removes_nothing_and_writes_nothing() {
    let (world, clusters) = three();
    for left in 0..clusters.len() {
        let mut some = world.contributions(&clusters);
        some.remove(&clusters[left]);
        let plan = world.plan_hub(&some);
        assert!(plan.steps.is_empty(), "{plan}");
        assert!(world.plan_hub(&BTreeMap::new()).steps.is_empty());
    }
}

#[test]
fn a_tombstone_removes_exactly_its_part() {
    let (world, clusters) = three();
    let mut left = world.contributions(&clusters);
    left.remove(&clusters[1]);
    let stone = Tombstone {
        cluster: clusters[1].clone(),
        evidence: "ResourceNotFound".to_owned(),
    };
    let present = world.estate.get(&world.our_group()).unwrap();
    for contributions in [left.clone(), BTreeMap::new()] {
        let edit = edit_group(
            &world.config,
            world.hub_config(),
            &policy(),
            Some(present),
            &contributions,
            std::slice::from_ref(&stone),
        );
        assert!(edit.changed);
        let (before, next) = (rule_names(present), rule_names(&edit.body));
        let hash = hubward_core::names::hash(&clusters[1]);
        let wanted: Vec<String> = before.into_iter().filter(|name| !name.ends_with(&hash)).collect();
        assert_eq!(next, wanted);
    }
    let plan = plan_hub(
        &world.estate,
        &world.config,
        "main",
        &left,
        &[stone],
        &Reservations::default(),
    );
    assert_eq!(plan.steps.len(), 1, "{plan}");
}

#[test]
fn foreign_rules_collections_and_unknown_fields_in_our_group_survive() {
    let (mut world, clusters) = three();
    let group = world.our_group();
    let foreign_rule = https_rule("by-hand", &["10.9.0.0/16"], &["example.com"]);
    let foreign = collection(
        "hubward-by-hand",
        3000,
        "Deny",
        &[https_rule("x", &["10.9.0.0/16"], &["b.example", "a.example"])],
    );
    world.edit(&group, |g| {
        g["aFieldOfNextYear"] = json!(1);
        g["properties"]["another"] = json!({"x": []});
        let all = g["properties"]["ruleCollections"].as_array_mut().unwrap();
        all[0]["rules"].as_array_mut().unwrap().insert(1, foreign_rule.clone());
        all[0]["rules"][2]["description"] = json!("ask Ann");
        all[0]["newInCollection"] = json!(true);
        all.insert(0, foreign.clone());
    });
    assert!(
        world.plan_hub(&world.contributions(&clusters)).steps.is_empty(),
        "{}",
        world.plan_hub(&world.contributions(&clusters))
    );
    let more = world.clone().with_spoke("d", 4).with_cluster("d", "fourth", "nodes");
    let contributions = more.contributions(&[cluster_id("d", "fourth")]);
    let plan = more.plan_hub(&contributions);
    let body = &plan.steps[0].body;
    let all = body["properties"]["ruleCollections"].as_array().unwrap();
    assert!(all.contains(&foreign));
    assert_eq!(
        (&body["aFieldOfNextYear"], &body["properties"]["another"]),
        (&json!(1), &json!({"x": []}))
    );
    let ours = all.iter().find(|c| c["name"] == "hubward-network-1000").unwrap();
    assert_eq!(ours["newInCollection"], json!(true));
    let rules = ours["rules"].as_array().unwrap();
    assert!(rules.contains(&foreign_rule));
    assert_eq!(rules.iter().filter(|r| r["description"] == "ask Ann").count(), 1);
}

#[test]
fn what_azure_adds_and_reorders_in_the_group_is_no_change_and_the_rules_are_still_carried() {
    let (world, clusters) = three();
    let contributions = world.contributions(&clusters);
    let changes: [(&str, Edit); 6] = [
        ("empty arrays and nulls", |g| {
            each_rule(g, |r| {
                r["sourceIpGroups"] = json!([]);
                r["destinationIpGroups"] = json!([]);
                r["webCategories"] = json!([]);
                r["description"] = Value::Null;
            })
        }),
        ("reordered collections", |g| {
            g["properties"]["ruleCollections"].as_array_mut().unwrap().reverse()
        }),
        ("reordered rules and addresses", |g| {
            for c in g["properties"]["ruleCollections"].as_array_mut().unwrap() {
                c["rules"].as_array_mut().unwrap().reverse();
            }
            each_rule(g, |r| {
                if let Some(names) = r["targetFqdns"].as_array_mut() {
                    names.reverse()
                }
            });
        }),
        ("a description", |g| {
            each_rule(g, |r| r["description"] = json!("by Ann"))
        }),
        ("casing of values", |g| {
            each_rule(g, |r| {
                if r["ipProtocols"].is_array() {
                    r["ipProtocols"] = json!([r["ipProtocols"][0].as_str().unwrap().to_lowercase()])
                }
            })
        }),
        ("computed fields", |g| {
            g["etag"] = json!("other");
            g["properties"]["size"] = json!("0.1 MB");
        }),
    ];
    for (what, change) in changes {
        let mut world = world.clone();
        let group = world.our_group();
        world.edit(&group, change);
        assert!(world.plan_hub(&contributions).steps.is_empty(), "{what}");
        assert!(
            !world.plan(&clusters[0]).waits.contains(&Wait::Rules),
            "{what}: {}",
            world.plan(&clusters[0])
        );
    }
}

#[test]
fn a_rule_or_collection_of_ours_that_somebody_changed_is_put_right() {
    let (world, clusters) = three();
    let changes: [(&str, Edit); 4] = [
        ("action", |g| {
            g["properties"]["ruleCollections"][0]["action"]["type"] = json!("Deny")
        }),
        ("priority of a collection", |g| {
            g["properties"]["ruleCollections"][0]["priority"] = json!(4000)
        }),
        ("priority of the group", |g| g["properties"]["priority"] = json!(9000)),
        ("a prefix", |g| {
            g["properties"]["ruleCollections"][0]["rules"][0]["sourceAddresses"] = json!(["10.1.0.0/24"])
        }),
    ];
    let before = world.estate.get(&world.our_group()).unwrap().clone();
    for (what, change) in changes {
        let mut world = world.clone();
        let group = world.our_group();
        world.edit(&group, change);
        // As the next look at each cluster keeps them: it sees that no subnet has the prefix that somebody wrote.
        let looked = |id: &ResourceId| (id.clone(), world.plan(id).contribution.unwrap());
        let plan = world.plan_hub(&clusters.iter().map(looked).collect());
        assert_eq!(plan.steps.len(), 1, "{what}");
        assert_eq!(
            plan.steps[0].body["properties"]["ruleCollections"], before["properties"]["ruleCollections"],
            "{what}"
        );
        assert_eq!(plan.steps[0].body["properties"]["priority"], json!(500), "{what}");
    }
}

#[test]
fn a_contribution_to_another_hub_is_passed_over() {
    let (world, clusters) = three();
    let mut all = world.contributions(&clusters);
    let stranger = cluster_id("z", "stranger");
    let mut theirs = all[&clusters[0]].clone();
    theirs.cluster = stranger.clone();
    theirs.hub = "other".to_owned();
    all.insert(stranger, theirs);
    assert!(world.plan_hub(&all).steps.is_empty());
}

#[test]
fn a_hub_write_that_would_stop_a_passing_flow_is_refused() {
    let (mut world, clusters) = three();
    // Our group moves behind a collection of the company that denies.
    let deny = https_rule("no-partner", &["10.0.0.0/8"], &["api.partner.example"]);
    world.edit(&policy().child("ruleCollectionGroups", "company-baseline"), |g| {
        g["properties"]["priority"] = json!(600);
        g["properties"]["ruleCollections"]
            .as_array_mut()
            .unwrap()
            .push(collection("ban", 100, "Deny", &[deny]));
    });
    assert!(world.plan_hub(&world.contributions(&clusters)).steps.is_empty());
    let hub: &mut Hub = world.config.hubs.get_mut("main").unwrap();
    hub.rule_collection_group_priority = 700;
    let plan = world.plan_hub(&world.contributions(&clusters));
    assert_eq!((plan.steps.len(), codes(&plan)), (0, vec![Code::PlanRefused]));
    assert!(plan.findings[0].message.contains("no-partner"), "{plan}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_groups_bytes_do_not_depend_on_the_order_in_which_clusters_came(order in Just(vec![0_usize, 1, 2, 3]).prop_shuffle()) {
        let world = four();
        let clusters = fourth_names();
        let all = world.contributions(&clusters);
        let at_once = edit_group(&world.config, world.hub_config(), &policy(), None, &all, &[]).body;
        let mut group: Option<Value> = None;
        for index in order {
            let one: BTreeMap<ResourceId, _> = [(clusters[index].clone(), all[&clusters[index]].clone())].into();
            group = Some(edit_group(&world.config, world.hub_config(), &policy(), group.as_ref(), &one, &[]).body);
        }
        prop_assert_eq!(at_once.to_string(), group.unwrap().to_string());
    }
}

fn fourth_names() -> Vec<ResourceId> {
    vec![
        shop(),
        cluster_id("b", "depot"),
        cluster_id("c", "till"),
        cluster_id("d", "desk"),
    ]
}

fn four() -> World {
    World::fresh()
        .with_spoke("b", 2)
        .with_cluster("b", "depot", "nodes")
        .with_spoke("c", 3)
        .with_cluster("c", "till", "nodes")
        .with_spoke("d", 4)
        .with_cluster("d", "desk", "nodes")
}

/// A wired cluster and two more with rules in force.
fn three() -> (World, Vec<ResourceId>) {
    let clusters = fourth_names()[..3].to_vec();
    let mut world = four();
    for cluster in &clusters {
        world.wire(cluster);
    }
    (world, clusters)
}

fn each_rule(group: &mut Value, change: impl Fn(&mut Value)) {
    for c in group["properties"]["ruleCollections"].as_array_mut().unwrap() {
        c["rules"].as_array_mut().unwrap().iter_mut().for_each(&change);
    }
}

fn rule_names(group: &Value) -> Vec<String> {
    let collections = group["properties"]["ruleCollections"].as_array().unwrap();
    let rules = collections.iter().flat_map(|c| c["rules"].as_array().unwrap());
    rules.map(|r| r["name"].as_str().unwrap().to_owned()).collect()
}
