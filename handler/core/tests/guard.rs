//! What the guard refuses: every flow of every cluster counts by itself, whatever else is lost already.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use hubward_core::finding::Code;
use hubward_core::plan::{Plan, State};
use serde_json::json;
use world::{World, cluster_id, codes, https_rule, shop, steps, vnet};

/// An operator's rule for private addresses that no route leads to before the switch.
const OFFICE: &str = r#"
[[hubs.main.rules.network]]
name = "office"
destinations = ["10.200.0.0/16"]
protocols = ["TCP"]
ports = ["443"]
"#;

#[test]
fn a_promise_that_is_broken_before_the_switch_hides_no_further_loss() {
    let mut world = World::fresh();
    world.configure(OFFICE);
    world.prepare(&[shop()]);
    let plan = world.plan(&shop());
    assert_eq!(plan.proof.as_ref().unwrap().reach.word(), "broken", "{plan}");
    assert_eq!(
        steps(&plan),
        ["switch-nodes (startable)"],
        "the switch mends what is broken"
    );
    let deny = https_rule("no-images", &["10.0.0.0/8"], &["mcr.microsoft.com"]);
    world.company("ban", 100, "Deny", &[deny]);
    let plan = world.plan(&shop());
    assert_eq!((plan.state, plan.steps.len()), (Some(State::Failed), 0), "{plan}");
    insta::assert_snapshot!(plan);
    let refusal = refusal(&plan);
    for part in ["switch-nodes", "REACH of shop", "mcr.microsoft.com", "no-images"] {
        assert!(refusal.contains(part), "{part}: {refusal}");
    }
}

#[test]
fn a_flow_that_becomes_doubtful_is_a_loss_too() {
    let mut world = World::fresh();
    world.configure(OFFICE);
    world.prepare(&[shop()]);
    let mut deny = https_rule("maybe-no-images", &[], &["mcr.microsoft.com"]);
    deny["sourceIpGroups"] = json!([world::id("hub", "ipGroups/everybody").as_str()]);
    world.company("ban", 100, "Deny", &[deny]);
    let plan = world.plan(&shop());
    assert_eq!(plan.proof.as_ref().unwrap().reach.word(), "broken", "{plan}");
    assert!(plan.steps.is_empty(), "{plan}");
    let refusal = refusal(&plan);
    assert!(
        refusal.contains("mcr.microsoft.com") && refusal.contains("maybe-no-images"),
        "{refusal}"
    );
}

#[test]
fn a_loss_of_one_subnet_is_not_outweighed_by_another_that_was_lost_before() {
    let mut world = World::fresh().with_cluster("a", "depot", "more");
    world.edit(&shop(), |c| {
        let mut second = c["properties"]["agentPoolProfiles"][0].clone();
        second["name"] = json!("second");
        second["vnetSubnetID"] = json!(vnet("a").child("subnets", "more").as_str());
        c["properties"]["agentPoolProfiles"]
            .as_array_mut()
            .unwrap()
            .push(second);
    });
    world.prepare(&[shop(), cluster_id("a", "depot")]);
    // The subnet `more` was switched by another hand and has lost mcr already; `nodes` still has it.
    let table = world.our_table("a");
    world.edit_subnet("a", "more", |s| {
        s["properties"]["routeTable"] = json!({"id": table.as_str()})
    });
    world.company(
        "ban",
        100,
        "Deny",
        &[https_rule("no-images", &["10.1.0.0/16"], &["mcr.microsoft.com"])],
    );
    let plan = world.plan(&shop());
    assert_eq!(plan.proof.as_ref().unwrap().reach.word(), "broken", "{plan}");
    assert!(
        plan.steps.is_empty() && codes(&plan).contains(&Code::PlanRefused),
        "{plan}"
    );
    assert!(refusal(&plan).contains("subnet nodes"), "{plan}");
}

#[test]
fn a_running_write_on_a_neighbours_subnet_hides_no_loss_of_the_neighbour() {
    let mut world = World::wired().with_cluster("a", "depot", "more");
    let depot = cluster_id("a", "depot");
    world.wire(&depot);
    world.rules_live(&[shop(), depot]);
    let table = world.our_table("a");
    world.edit(&table, |t| {
        t["properties"]["routes"].as_array_mut().unwrap().remove(0);
    });
    assert_eq!(steps(&world.plan(&shop())), ["route-hubward-default (startable)"]);
    let fqdn = "depot-abcd1234.hcp.westeurope.azmk8s.io";
    let deny = json!({
        "ruleType": "NetworkRule", "name": "no-depot", "ipProtocols": ["TCP"], "sourceAddresses": ["*"],
        "destinationFqdns": [fqdn], "destinationPorts": ["443"],
    });
    world.company("ban", 100, "Deny", &[deny]);
    world.edit_subnet("a", "more", |s| {
        s["properties"]["provisioningState"] = json!("Updating")
    });
    let plan = world.plan(&shop());
    assert!(plan.steps.is_empty(), "{plan}");
    assert!(refusal(&plan).contains("REACH of depot"), "{plan}");
}

fn refusal(plan: &Plan) -> &str {
    let found = plan.findings.iter().find(|f| f.code == Code::PlanRefused);
    &found.unwrap_or_else(|| panic!("nothing was refused: {plan}")).message
}
