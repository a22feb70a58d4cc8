//! Preconditions: what a switch is compared with, and what counts as a difference.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use hubward_core::estate::{Subject, wanted_reads};
use hubward_core::ids::ResourceId;
use hubward_core::plan::{comparable, differs};
use proptest::prelude::*;
use serde_json::{Value, json};
use world::{READ, World, nodes, shop, steps};

type Edit = fn(&mut Value);

#[test]
fn the_clusters_own_subnets_are_read_beside_their_network() {
    let world = World::fresh();
    let subject = Subject::Spoke { cluster: shop() };
    let wanted = wanted_reads(&world.estate, &world.config, &subject);
    let of_a_right = |id: &ResourceId| id.is_type("Microsoft.Authorization/roleAssignments");
    let (rights, others): (Vec<_>, Vec<_>) = wanted.into_iter().partition(of_a_right);
    assert_eq!(others, [nodes("a")], "everything else of the fixture was read");
    let table = world.our_table("a");
    assert!(
        rights.len() == 2
            && rights
                .iter()
                .all(|id| id.is_within(&nodes("a")) || id.is_within(&table))
    );
}

#[test]
fn a_switch_starts_from_the_subnets_own_document_and_is_compared_with_it() {
    let mut world = World::ready();
    let mut own = world.estate.subnet(&nodes("a")).unwrap().body.clone();
    own["properties"]["onlyInTheDocumentOfItsOwn"] = json!(true);
    world.put(&nodes("a"), own.clone());
    let plan = world.plan(&shop());
    assert_eq!(steps(&plan), ["switch-nodes (startable)"], "{plan}");
    let switch = &plan.steps[0];
    assert_eq!(switch.precondition, Some(comparable(&own)));
    assert_eq!(switch.body["properties"]["onlyInTheDocumentOfItsOwn"], json!(true));
    world.start(&plan);
    assert!(world.plan(&shop()).steps.is_empty(), "{}", world.plan(&shop()));
}

#[test]
fn a_subnet_that_was_deleted_after_its_network_was_read_is_absent() {
    let mut world = World::ready();
    world.gone(&nodes("a"));
    assert!(world.estate.subnet(&nodes("a")).is_none());
    world.estate.insert(nodes("a"), None, READ - time::Duration::HOUR);
    assert!(world.estate.subnet(&nodes("a")).is_some(), "the network was read later");
}

#[test]
fn differs_forgives_what_says_the_same() {
    let expected = json!({
        "id": "/subscriptions/S/x", "properties": {"mode": "Enabled", "gone": null, "none": [],
            "delegations": [{"name": "a", "v": 1}, {"name": "b", "v": 2}], "prefixes": ["10.0.0.0/8", "10.1.0.0/16"]},
    });
    let found = json!({
        "id": "/SUBSCRIPTIONS/s/X", "more": null, "properties": {"mode": "enabled", "empty": [],
            "delegations": [{"name": "B", "v": 2}, {"name": "A", "v": 1}], "prefixes": ["10.1.0.0/16", "10.0.0.0/8"]},
    });
    assert_eq!(differs(&expected, &found), None);
    assert_eq!(differs(&found, &expected), None);
}

#[test]
fn differs_names_the_first_field_that_says_something_else() {
    let expected = json!({"a": 1, "properties": {"list": [{"name": "x", "v": {"w/~": true}}], "plain": ["p"], "table": {"id": "/t"}}});
    let cases: [(&str, Edit); 8] = [
        ("/a", |d| d["a"] = json!(2)),
        ("/a", |d| d["a"] = Value::Null),
        ("/new", |d| d["new"] = json!(false)),
        ("/properties/table/id", |d| d["properties"]["table"]["id"] = json!("/u")),
        ("/properties/list/0/v/w~1~0", |d| {
            d["properties"]["list"][0]["v"]["w/~"] = json!(false)
        }),
        ("/properties/list/0", |d| {
            d["properties"]["list"][0]["name"] = json!("y")
        }),
        ("/properties/list/1", |d| {
            d["properties"]["list"]
                .as_array_mut()
                .unwrap()
                .push(json!({"name": "y"}))
        }),
        ("/properties/plain/1", |d| d["properties"]["plain"] = json!(["P", "q"])),
    ];
    for (pointer, change) in cases {
        let mut found = expected.clone();
        change(&mut found);
        assert_eq!(differs(&expected, &found).as_deref(), Some(pointer), "{found}");
        assert!(differs(&found, &expected).is_some(), "{found}");
    }
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|b| json!(b)),
        (0_u8..3).prop_map(|n| json!(n)),
        "[aAbB]{0,2}".prop_map(|t| json!(t)),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(|items| json!(items)),
            proptest::collection::btree_map("name|id|v", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn differs_asks_both_ways_alike_and_never_of_a_document_itself(one in document(), other in document()) {
        prop_assert_eq!(differs(&one, &one), None);
        prop_assert_eq!(differs(&one, &other).is_none(), differs(&other, &one).is_none(), "{} {}", one, other);
    }
}
