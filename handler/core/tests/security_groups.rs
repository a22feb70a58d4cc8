//! What a network security group denies is named and not judged.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use hubward_core::estate::{Estate, Subject, api_version, wanted_reads};
use hubward_core::finding::{Code, Severity};
use hubward_core::plan::State;
use serde_json::json;
use world::{World, codes, https_rule, security_group, shop, steps};

#[test]
fn the_security_groups_of_the_clusters_subnets_are_read() {
    let world = World::fresh();
    let group = security_group("a", "nodes");
    let mut estate = Estate::default();
    for (id, document) in world.estate.iter().filter(|(id, _)| **id != group) {
        estate.insert(id.clone(), document.body.clone(), document.read_at);
    }
    let subject = Subject::Spoke { cluster: shop() };
    let wanted = wanted_reads(&estate, &world.config, &subject);
    assert!(wanted.contains(&group), "{wanted:?}");
    assert!(api_version(&group).is_some());
}

#[test]
fn outbound_deny_rules_of_a_security_group_make_reach_unknown_before_and_after_the_switch() {
    for mut world in [World::ready(), World::wired()] {
        deny_outbound(&mut world);
        let plan = world.plan(&shop());
        let reach = plan.proof.as_ref().unwrap().reach.to_string();
        let expected = "unknown: all flows of subnet nodes: the security group nodes-nsg has outbound Deny rules, which are not judged";
        assert_eq!(reach, expected);
        let finding = plan.findings.iter().find(|f| f.code == Code::OutboundSecurityRules);
        assert_eq!(finding.unwrap().severity, Severity::Warning);
        assert_ne!(plan.state, Some(State::Wired), "{plan}");
    }
}

#[test]
fn outbound_deny_rules_of_a_security_group_do_not_hold_the_switch_and_do_not_blind_the_guard() {
    let mut world = World::ready();
    deny_outbound(&mut world);
    assert_eq!(steps(&world.plan(&shop())), ["switch-nodes (startable)"]);
    let deny = https_rule("no-images", &["10.0.0.0/8"], &["mcr.microsoft.com"]);
    world.company("ban", 100, "Deny", &[deny]);
    let plan = world.plan(&shop());
    assert!(
        plan.steps.is_empty() && codes(&plan).contains(&Code::PlanRefused),
        "{plan}"
    );
}

#[test]
fn a_security_group_that_was_not_read_makes_reach_unknown() {
    let mut world = World::wired();
    world.gone(&security_group("a", "nodes"));
    let reach = world.plan(&shop()).proof.unwrap().reach.to_string();
    assert!(
        reach.starts_with("unknown") && reach.contains("was not read"),
        "{reach}"
    );
}

fn deny_outbound(world: &mut World) {
    world.edit(&security_group("a", "nodes"), |group| {
        group["properties"]["securityRules"]
            .as_array_mut()
            .unwrap()
            .push(json!({
                "name": "deny-out",
                "properties": {"direction": "outbound", "access": "deny", "priority": 300, "protocol": "*"},
            }));
    });
}
