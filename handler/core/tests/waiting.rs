//! What is waited for, what is not, and what is believed: an absence that another document contradicts is none.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use hubward_core::finding::Code;
use hubward_core::plan::{State, Wait};
use serde_json::json;
use world::{World, codes, hub_vnet, id, nodes, policy, shop, vnet};

#[test]
fn a_table_that_a_subnet_names_is_not_made_anew_when_azure_says_it_is_absent() {
    let mut world = World::wired();
    let table = world.our_table("a");
    world.gone(&table);
    let plan = world.plan(&shop());
    assert!(plan.steps.is_empty(), "{plan}");
    assert!(codes(&plan).contains(&Code::NotRead), "{plan}");
    assert!(plan.waits.contains(&Wait::AtRest { id: table.clone() }), "{plan}");
    assert_eq!(plan.state, Some(State::Waiting), "{plan}");
    // The subnet's own document counts too, whatever its network shows.
    let own = nodes("a");
    let mut subnet = world.estate.get(&vnet("a")).unwrap()["properties"]["subnets"][0].clone();
    subnet["properties"]["routeTable"] = json!({"id": table.as_str()});
    world.put(&own, subnet);
    world.edit_subnet("a", "nodes", |s| s["properties"]["routeTable"] = json!(null));
    assert!(world.plan(&shop()).steps.is_empty(), "{}", world.plan(&shop()));
}

#[test]
fn a_group_that_the_policy_lists_is_not_made_anew_when_azure_says_it_is_absent() {
    let mut world = World::wired();
    let group = world.our_group();
    let contributions = world.contributions(&[shop()]);
    world.edit(&policy(), |p| {
        let listed = p["properties"]["ruleCollectionGroups"].as_array_mut().unwrap();
        listed.push(json!({"id": group.as_str()}));
    });
    world.gone(&group);
    let plan = world.plan_hub(&contributions);
    assert!(plan.steps.is_empty(), "{plan}");
    assert_eq!(codes(&plan), [Code::NotRead], "{plan}");
    assert_eq!(plan.waits, [Wait::AtRest { id: group }], "{plan}");
}

#[test]
fn rules_that_are_still_being_written_are_waited_for_though_nothing_is_left_to_write() {
    let world = World::wired();
    let contributions = world.contributions(&[shop()]);
    assert!(world.plan_hub(&contributions).waits.is_empty());
    let firewall = id("hub", "azureFirewalls/hub-firewall");
    for (target, named) in [
        (world.our_group(), policy()),
        (policy(), policy()),
        (firewall.clone(), firewall),
    ] {
        let mut world = world.clone();
        world.state(&target, "Updating");
        let plan = world.plan_hub(&contributions);
        assert!(plan.steps.is_empty(), "{plan}");
        assert_eq!(plan.waits, [Wait::AtRest { id: named }], "{plan}");
    }
}

#[test]
fn a_peering_that_only_a_person_mends_is_not_looked_at_again_and_again() {
    for (field, value, code) in [
        ("peeringState", json!("Disconnected"), Code::PeeringDisconnected),
        ("peeringSyncLevel", json!("RemoteNotInSync"), Code::PeeringOutOfSync),
        ("peerCompleteVnets", json!(false), Code::ForeignPeering),
    ] {
        let mut world = World::wired();
        for network in [vnet("a"), hub_vnet()] {
            world.edit(&network, |v| {
                v["properties"]["virtualNetworkPeerings"][0]["properties"][field] = value.clone();
            });
        }
        let plan = world.plan(&shop());
        assert_eq!(plan.waits, [Wait::Person { code }], "{field}: {plan}");
    }
}

#[test]
fn a_cluster_that_ended_badly_waits_for_a_person_and_not_for_aks() {
    for state in ["Failed", "Canceled"] {
        let mut world = World::ready();
        world.state(&shop(), state);
        let plan = world.plan(&shop());
        assert_eq!(
            plan.waits,
            [Wait::Person {
                code: Code::ClusterFailed
            }],
            "{plan}"
        );
        assert_eq!(plan.state, Some(State::Prepared), "{plan}");
        assert_eq!(plan.startable().count(), 0, "{plan}");
        world.state(&shop(), "Succeeded");
        assert_eq!(world.plan(&shop()).startable().count(), 1);
    }
    let mut world = World::ready();
    world.state(&shop(), "Upgrading");
    let waits = world.plan(&shop()).waits;
    assert_eq!(
        waits,
        [Wait::Cluster {
            state: "Upgrading".to_owned()
        }]
    );
}
