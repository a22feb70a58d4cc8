//! What people decide reaches the plan as data: an approval lets exactly the approved writes go, a pause holds everything, and
//! somebody who answers for a cluster's age lifts its observation.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::collections::BTreeSet;

use hubward_core::config::Mode;
use hubward_core::finding::Code;
use hubward_core::plan::{Acceptance, Known, Plan, State, Wait, Word, plan_spoke};
use serde_json::json;
use world::{World, codes, id, shop, steps, vnet};

fn plan(world: &World, word: Word) -> Plan {
    let known = Known {
        word,
        ..Known::at(world::READ, world::age())
    };
    plan_spoke(&world.estate, &world.config, &shop(), &known)
}

/// Everything that waits for somebody's word in a plan.
fn digests(plan: &Plan) -> BTreeSet<String> {
    let steps = plan.held().map(hubward_core::plan::Step::digest);
    steps.chain(plan.held_rules.clone()).collect()
}

fn approving(approved: BTreeSet<String>) -> Word {
    Word {
        approved,
        ..Word::default()
    }
}

fn in_mode(mode: Mode) -> World {
    let mut world = World::fresh();
    world.config.mode = mode;
    world
}

#[test]
fn in_mode_approve_nothing_starts_and_the_hub_is_asked_for_nothing() {
    let plan = plan(&in_mode(Mode::Approve), Word::default());
    assert_eq!(plan.state, Some(State::PendingApproval));
    assert_eq!(plan.startable().count(), 0);
    assert_eq!(plan.held().count(), plan.steps.len());
    assert!(plan.contribution.is_none());
}

#[test]
fn approved_steps_go_as_they_would_in_mode_correct() {
    let world = in_mode(Mode::Approve);
    let held = digests(&plan(&world, Word::default()));
    let approved = plan(&world, approving(held));
    let corrected = plan(&in_mode(Mode::Correct), Word::default());
    assert_eq!(steps(&approved), steps(&corrected));
    assert_eq!(approved.state, corrected.state);
    assert_eq!(approved.contribution, corrected.contribution);
    assert!(approved.contribution.is_some());
}

#[test]
fn rules_that_nobody_approved_are_not_asked_of_the_hub() {
    let world = in_mode(Mode::Approve);
    let asking = plan(&world, Word::default());
    let steps_alone = asking.held().map(hubward_core::plan::Step::digest).collect();
    let without = plan(&world, approving(steps_alone));
    assert_eq!(without.state, Some(State::PendingApproval));
    assert_eq!(without.held_rules, asking.held_rules);
    assert!(without.contribution.is_none() && without.waits.contains(&Wait::Approval));
}

#[test]
fn rules_in_force_need_no_word_and_other_ones_do() {
    let mut world = World::wired();
    world.config.mode = Mode::Approve;
    let wired = plan(&world, Word::default());
    assert_eq!((wired.state, &wired.held_rules), (Some(State::Wired), &None));
    assert!(wired.contribution.is_some());
    // A DNS server outside that is asked through the firewall: the cluster needs one more rule.
    world.edit(&vnet("a"), |v| {
        v["properties"]["dhcpOptions"] = json!({"dnsServers": ["192.0.2.53"]});
    });
    let wanting = plan(&world, Word::default());
    assert!(
        wanting.held_rules.is_some() && wanting.contribution.is_none(),
        "{wanting}"
    );
    assert_eq!(wanting.state, Some(State::PendingApproval));
}

#[test]
fn a_step_that_differs_from_the_approved_one_still_waits() {
    let mut world = in_mode(Mode::Approve);
    let held = digests(&plan(&world, Word::default()));
    // The firewall has another address now, so the table is another write than the one that somebody agreed to.
    world.edit(&id("hub", "azureFirewalls/hub-firewall"), |f| {
        f["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"] = json!("10.0.1.9");
    });
    let plan = plan(&world, approving(held));
    let waiting: Vec<&str> = plan.held().map(|step| step.id.as_str()).collect();
    assert!(!waiting.is_empty() && waiting.len() < plan.steps.len(), "{plan}");
    assert_eq!(plan.state, Some(State::PendingApproval));
}

#[test]
fn one_approved_step_goes_alone() {
    let world = in_mode(Mode::Approve);
    let first = plan(&world, Word::default()).steps[0].digest();
    let plan = plan(&world, approving(BTreeSet::from([first.clone()])));
    let startable: Vec<String> = plan.startable().map(|step| step.digest()).collect();
    assert_eq!(startable, [first]);
    assert_eq!(plan.state, Some(State::PendingApproval));
}

#[test]
fn an_approval_means_nothing_in_mode_observe() {
    let held = digests(&plan(&in_mode(Mode::Approve), Word::default()));
    let plan = plan(&in_mode(Mode::Observe), approving(held));
    assert_eq!((plan.state, plan.startable().count()), (Some(State::Observed), 0));
    assert!(plan.contribution.is_none());
}

#[test]
fn somebody_who_answers_for_an_older_cluster_has_it_wired() {
    let mut world = World::fresh();
    world.edit(&shop(), |c| {
        c["systemData"]["createdAt"] = json!("2026-01-02T03:04:05Z")
    });
    let observed = plan(&world, Word::default());
    assert_eq!(observed.state, Some(State::Observed));
    assert!(codes(&observed).contains(&Code::OlderThanInstallation));
    assert_eq!(observed.held().count(), observed.steps.len());
    let enrolled = Word {
        enrolled: true,
        ..Word::default()
    };
    let plan = plan(&world, enrolled);
    assert!(!codes(&plan).contains(&Code::OlderThanInstallation));
    assert!(plan.startable().count() > 0);
    assert_eq!(plan.state, Some(State::Waiting));
}

#[test]
fn what_a_plan_asks_is_accepted_by_the_same_words_and_by_no_others() {
    let mut world = World::ready();
    world.config = world::config("required_only");
    let asking = plan(&world, Word::default());
    assert!(codes(&asking).contains(&Code::WorkloadEgressUndecided), "{asking}");
    assert_eq!(asking.asks.len(), 1);
    let accepting = |what: &str| Word {
        accepted: asking
            .asks
            .iter()
            .map(|ask| Acceptance {
                what: what.to_owned(),
                ..ask.clone()
            })
            .collect(),
        ..Word::default()
    };
    let accepted = plan(&world, accepting(&asking.asks[0].what));
    assert!(!codes(&accepted).contains(&Code::WorkloadEgressUndecided), "{accepted}");
    assert!(accepted.asks.is_empty());
    assert_eq!(steps(&accepted), ["switch-nodes (startable)"]);
    let of_another = plan(&world, accepting("required_only of another"));
    assert_eq!(of_another.asks, asking.asks);
}

#[test]
fn a_paused_hub_holds_every_step_of_its_spokes_in_every_mode() {
    for mode in [Mode::Correct, Mode::Approve] {
        let world = in_mode(mode);
        let paused = Word {
            approved: digests(&plan(&in_mode(Mode::Approve), Word::default())),
            paused: true,
            ..Word::default()
        };
        let plan = plan(&world, paused);
        assert!(
            plan.steps.iter().all(|step| step.waits.contains(&Wait::Paused)),
            "{plan}"
        );
        assert!(plan.waits.contains(&Wait::Paused));
        assert_eq!(plan.state, Some(State::Waiting));
        // Letting people know what is needed writes nothing.
        assert!(plan.contribution.is_some());
    }
}

#[test]
fn a_wired_cluster_of_a_paused_hub_is_wired_and_waits_for_nothing() {
    let paused = Word {
        paused: true,
        ..Word::default()
    };
    let plan = plan(&World::wired(), paused);
    assert_eq!((plan.state, plan.waits.len()), (Some(State::Wired), 0));
}

fn of_hub(world: &World) -> Plan {
    world.plan_hub(&world.contributions(&[shop()]))
}

#[test]
fn the_hub_follows_the_contributions_in_mode_approve_and_writes_nothing_in_mode_observe() {
    assert_eq!(of_hub(&in_mode(Mode::Approve)).startable().count(), 1);
    let observed = of_hub(&in_mode(Mode::Observe));
    assert_eq!((observed.startable().count(), observed.held().count()), (0, 1));
}

#[test]
fn a_paused_hub_shows_what_it_would_write_and_is_another_plan() {
    let plan = of_hub(&World::fresh());
    let paused = plan.clone().behind(Wait::Paused);
    assert_eq!(paused.startable().count(), 0);
    assert_eq!(paused.steps.len(), plan.steps.len());
    assert!(paused.waits.contains(&Wait::Paused));
    assert_ne!(paused.id, plan.id);
    assert_eq!(paused, plan.behind(Wait::Paused));
}
