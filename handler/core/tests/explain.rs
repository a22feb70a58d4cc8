//! Explanations as people read them: each thing of ours with the one sentence that says why it is there and what breaks without it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use hubward_core::explain::{cluster, things};
use hubward_core::plan::Plan;
use serde_json::json;
use world::{World, shop};

fn told(world: &World) -> String {
    let plan: Plan = world.plan(&shop());
    let mut lines = cluster(&world.estate, &shop(), &plan);
    lines.extend(
        things(&world.estate, &world.config, &shop(), None)
            .iter()
            .map(ToString::to_string),
    );
    lines.join("\n")
}

#[test]
fn a_wired_cluster_with_everything_that_stands_for_it() {
    insta::assert_snapshot!(told(&World::wired()));
}

#[test]
fn a_fresh_cluster_says_what_it_waits_for() {
    let world = World::fresh();
    insta::assert_snapshot!(cluster(&world.estate, &shop(), &world.plan(&shop())).join("\n"));
}

#[test]
fn a_cluster_with_user_defined_routing_needs_no_note_about_its_outbound_type() {
    let mut world = World::wired();
    assert!(told(&world).contains("--outbound-type userDefinedRouting"));
    world.edit(&shop(), |c| {
        c["properties"]["networkProfile"]["outboundType"] = json!("userDefinedRouting");
    });
    assert!(!told(&world).contains("az aks update"));
}

#[test]
fn a_thing_is_found_by_its_id_and_by_its_name_in_any_case() {
    let world = World::wired();
    let all = things(&world.estate, &world.config, &shop(), None);
    assert!(all.len() > 8);
    for thing in &all {
        assert!(thing.is_meant_by(&thing.name.to_ascii_uppercase()), "{thing}");
        if let Some(id) = &thing.id {
            assert!(thing.is_meant_by(&id.key()), "{thing}");
        }
        assert!(!thing.is_meant_by("something-else"));
        assert!(thing.why.contains("; without "), "{thing}");
    }
}
