//! A contribution that became smaller takes nothing away from nodes behind the firewall.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use hubward_core::blueprint::{Contribution, Reservations, Tombstone};
use hubward_core::estate::at_rest;
use hubward_core::finding::Code;
use hubward_core::plan::{Plan, State, plan_hub};
use serde_json::json;
use world::{World, cluster_id, codes, shop, vnet};

#[test]
fn a_subnet_that_carries_our_table_keeps_its_rules_after_its_last_pool_is_gone() {
    let mut world = two_pools();
    world.edit(&shop(), |c| {
        c["properties"]["agentPoolProfiles"].as_array_mut().unwrap().pop();
    });
    let plan = world.plan(&shop());
    assert_eq!(plan.state, Some(State::Wired), "{plan}");
    let hub = world.plan_hub(&[(shop(), plan.contribution.unwrap())].into());
    assert!(hub.steps.is_empty() && hub.findings.is_empty(), "{hub}");
}

#[test]
fn a_prefix_is_given_back_when_no_subnet_with_our_table_has_it() {
    let mut world = two_pools();
    world.edit(&shop(), |c| {
        c["properties"]["agentPoolProfiles"].as_array_mut().unwrap().pop();
    });
    world.edit_subnet("a", "more", |s| s["properties"]["routeTable"] = json!(null));
    let contribution = world.plan(&shop()).contribution.unwrap();
    assert_eq!(contribution.released, ["10.1.16.0/20".parse().unwrap()]);
    let hub = world.plan_hub(&[(shop(), contribution)].into());
    assert_eq!(hub.steps.len(), 1, "{hub}");
    assert!(!hub.steps[0].body.to_string().contains("10.1.16.0/20"), "{hub}");
    world.start(&hub);
    let plan = world.plan(&shop());
    assert_eq!(plan.state, Some(State::Wired), "{plan}");
    assert!(plan.contribution.unwrap().released.is_empty());
}

#[test]
fn a_cluster_that_is_being_changed_or_has_failed_gives_no_rule_back() {
    for state in ["Stopping", "Updating", "Failed", "Canceled"] {
        let mut world = World::wired();
        world.edit(&shop(), |c| {
            c["properties"]["provisioningState"] = json!(state);
            c["properties"].as_object_mut().unwrap().shift_remove("fqdn");
        });
        let plan = world.plan(&shop());
        assert_eq!(plan.contribution, None, "{state}: {plan}");
        assert!(!plan.needs_hub(), "{state}: {plan}");
    }
}

#[test]
fn a_cluster_that_is_being_changed_may_ask_for_more() {
    let mut world = World::wired();
    world.edit(&shop(), |c| {
        c["properties"]["provisioningState"] = json!("Updating");
        let mut second = c["properties"]["agentPoolProfiles"][0].clone();
        second["name"] = json!("win");
        second["osType"] = json!("Windows");
        let pools = c["properties"]["agentPoolProfiles"].as_array_mut().unwrap();
        pools.push(second);
    });
    let plan = world.plan(&shop());
    assert!(plan.contribution.is_some() && plan.needs_hub(), "{plan}");
}

#[test]
fn a_prefix_that_nobody_saw_to_be_free_stays_and_is_named_and_others_are_served() {
    let world = two_pools().with_spoke("b", 2).with_cluster("b", "depot", "nodes");
    let depot = cluster_id("b", "depot");
    let mut contributions = world.contributions(&[shop(), depot.clone()]);
    contributions.get_mut(&shop()).unwrap().prefixes.pop();
    let plan = world.plan_hub(&contributions);
    assert_eq!(codes(&plan), [Code::PlanRefused], "{plan}");
    let message = &plan.findings[0].message;
    assert!(
        message.contains("shop") && message.contains("10.1.16.0/20"),
        "{message}"
    );
    let body = plan.steps[0].body.to_string();
    assert!(body.contains("10.1.16.0/20") && body.contains("10.2.0.0/20"), "{plan}");
}

#[test]
fn a_tombstone_takes_all_prefixes_of_its_cluster() {
    let world = two_pools();
    let gone = Tombstone {
        cluster: shop(),
        evidence: "the cluster was deleted".to_owned(),
    };
    let plan: Plan = plan_hub(
        &world.estate,
        &world.config,
        "main",
        &[].into(),
        &[gone],
        &Reservations::default(),
    );
    assert_eq!(plan.steps.len(), 1, "{plan}");
    assert!(!plan.steps[0].body.to_string().contains("10.1."), "{plan}");
}

#[test]
fn a_contribution_that_releases_nothing_is_kept_as_before() {
    let text = json!(World::wired().contribution(&shop()));
    assert!(text.get("released").is_none(), "{text}");
    assert!(
        serde_json::from_value::<Contribution>(text)
            .unwrap()
            .released
            .is_empty()
    );
}

/// The cluster `shop` wired with a pool in each of both subnets.
fn two_pools() -> World {
    let mut world = World::fresh();
    world.edit(&shop(), |c| {
        let mut second = c["properties"]["agentPoolProfiles"][0].clone();
        second["name"] = json!("second");
        second["vnetSubnetID"] = json!(vnet("a").child("subnets", "more").as_str());
        let pools = c["properties"]["agentPoolProfiles"].as_array_mut().unwrap();
        pools.push(second);
    });
    world.wire(&shop());
    let group = world.our_group();
    assert!(at_rest(world.estate.get(&group).unwrap()));
    assert_eq!(world.plan(&shop()).state, Some(State::Wired), "{}", world.plan(&shop()));
    world
}
