//! Explanations as people read them: each thing of ours with the one sentence that says why it is there and what breaks without it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use hubward_core::blueprint::{Inbound, footprint, spoke_blueprint};
use hubward_core::config::IpProtocol;
use hubward_core::explain::{cluster, things};
use hubward_core::ids::ResourceId;
use hubward_core::plan::Plan;
use serde_json::json;
use world::{World, id, shop};

fn told(world: &World) -> String {
    let plan: Plan = world.plan(&shop());
    let mut lines = cluster(&world.estate, &shop(), &plan);
    lines.extend(
        things(&world.estate, &world.config, &plan, &shop(), None, None)
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
fn what_leads_clients_in_and_what_the_ledger_knows_is_explained_too() {
    let mut world = World::wired();
    world.configure("[hubs.main.ingress]\nsources = [\"198.51.100.0/24\"]");
    let mut plan = world.plan(&shop());
    let inbound = Inbound {
        protocol: IpProtocol::Tcp,
        port: 443,
        target: "10.1.0.9".parse().unwrap(),
        target_port: 8443,
    };
    plan.contribution.as_mut().unwrap().inbound.push(inbound);
    let cluster = world.estate.cluster(&shop()).unwrap();
    let blueprint = spoke_blueprint(
        &world.estate,
        &world.config,
        world.hub_config(),
        &world.facts(),
        &cluster,
    )
    .unwrap();
    let mut footprint = footprint(&shop(), &cluster, "main", &blueprint);
    let role = format!(
        "{}/providers/Microsoft.Authorization/roleAssignments/5c8ff5df-9aee-5046-84a6-35a6e2463d47",
        blueprint.route_table
    );
    footprint.roles.insert(ResourceId::parse(&role).unwrap());
    footprint.application_address = Some(id("a", "publicIPAddresses/hubward-app-6bda7bfea9"));
    let address = Some("203.0.113.20".parse().unwrap());
    let all = things(&world.estate, &world.config, &plan, &shop(), address, Some(&footprint));
    let told: Vec<String> = all
        .iter()
        .filter(|thing| {
            thing.name.starts_with("in-") || ["role assignment", "application address"].contains(&thing.kind)
        })
        .map(ToString::to_string)
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_thing_is_found_by_its_id_and_by_its_name_in_any_case() {
    let world = World::wired();
    let all = things(&world.estate, &world.config, &world.plan(&shop()), &shop(), None, None);
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
