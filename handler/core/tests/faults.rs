//! What Azure shows of failed, running and half things: each is a doubt, a repeated write or a finding, never a silent wait.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use hubward_core::finding::Code;
use hubward_core::ids::ResourceId;
use hubward_core::plan::{State, Wait};
use serde_json::{Value, json};
use world::{World, codes, hub_vnet, id, nodes, policy, shop, steps, vnet};

type Edit = fn(&mut World);

// The way to the firewall and back

#[test]
fn the_switch_waits_for_routes_that_join_nodes_and_firewall_in_both_directions() {
    let cuts: [(&str, Edit); 4] = [
        ("the peering of the spoke knows an outdated hub", |w| {
            peering(w, &vnet("a"), |p| {
                p["remoteAddressSpace"]["addressPrefixes"] = json!(["10.0.128.0/17"])
            });
        }),
        ("the peering of the hub knows an outdated spoke", |w| {
            peering(w, &hub_vnet(), |p| {
                p["remoteAddressSpace"]["addressPrefixes"] = json!(["10.1.128.0/17"])
            });
        }),
        ("a route of the hub leads replies astray", |w| {
            let table = id("hub", "routeTables/firewall-routes");
            w.put(&table, json!({"name": "firewall-routes", "properties": {"provisioningState": "Succeeded", "routes": [
                {"name": "on-premises", "properties": {"addressPrefix": "10.1.0.0/20", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.9.9"}}]}}));
            w.edit(&hub_vnet(), |v| {
                v["properties"]["subnets"][0]["properties"]["routeTable"] = json!({"id": table.as_str()})
            });
        }),
        ("a peering of chosen subnets", |w| {
            peering(w, &vnet("a"), |p| p["peerCompleteVnets"] = json!(false));
        }),
    ];
    for (what, cut) in cuts {
        let mut world = World::ready();
        cut(&mut world);
        let plan = world.plan(&shop());
        assert_eq!(plan.startable().count(), 0, "{what}: {plan}");
        assert!(plan.findings.iter().any(|f| f.is_blocking()), "{what}: {plan}");
        insta::assert_snapshot!(what.replace(' ', "_"), plan);
        let mut wired = World::wired();
        cut(&mut wired);
        let plan = wired.plan(&shop());
        let proof = plan.proof.as_ref().unwrap();
        assert!(!proof.egress.holds() && !proof.reach.holds(), "{what}: {plan}");
        assert_ne!(plan.state, Some(State::Wired), "{what}: {plan}");
    }
}

#[test]
fn a_peering_out_of_sync_is_a_doubt_in_both_proofs() {
    let mut world = World::wired();
    peering(&mut world, &hub_vnet(), |p| {
        p["peeringSyncLevel"] = json!("RemoteNotInSync")
    });
    let plan = world.plan(&shop());
    let proof = plan.proof.as_ref().unwrap();
    assert_eq!(
        (proof.egress.word(), proof.reach.word()),
        ("unknown", "unknown"),
        "{plan}"
    );
    assert!(codes(&plan).contains(&Code::PeeringOutOfSync), "{plan}");
}

// A failed firewall

#[test]
fn our_failed_rules_are_written_again_while_policy_and_firewall_are_failed_too() {
    let mut world = World::ready();
    let contributions = world.contributions(&[shop()]);
    let (group, firewall) = (world.our_group(), world.hub_config().firewall.clone());
    let sound = world.estate.get(&group).unwrap()["properties"]["ruleCollections"].clone();
    for failed in [group.clone(), policy(), firewall] {
        world.state(&failed, "Failed");
    }
    let plan = world.plan_hub(&contributions);
    assert_eq!(steps(&plan), ["rules (startable)"], "{plan}");
    assert_eq!(plan.steps[0].body["properties"]["ruleCollections"], sound);
    let spoke = world.plan(&shop());
    assert_eq!((spoke.steps.len(), codes(&spoke)), (0, vec![Code::HubDown]), "{spoke}");
}

#[test]
fn somebody_elses_failed_update_of_the_hub_is_named_and_not_written_over() {
    for failed in [policy(), id("hub", "azureFirewalls/hub-firewall")] {
        let mut world = World::ready();
        world.state(&failed, "Failed");
        let plan = world.plan_hub(&world.contributions(&[shop()]));
        assert!(plan.steps.is_empty() && plan.waits == [Wait::Hub], "{plan}");
        assert_eq!(codes(&plan), [Code::HubFailed], "{plan}");
        insta::assert_snapshot!(format!("somebody_left_the_{}_failed", failed.name()), plan);
    }
}

#[test]
fn new_rules_are_written_to_a_policy_that_somebody_left_failed() {
    let mut world = World::ready().with_spoke("b", 2).with_cluster("b", "depot", "nodes");
    world.state(&policy(), "Failed");
    let clusters = [shop(), world::cluster_id("b", "depot")];
    assert_eq!(
        steps(&world.plan_hub(&world.contributions(&clusters))),
        ["rules (startable)"]
    );
}

// A failed peering

#[test]
fn a_failed_peering_of_ours_is_written_again() {
    for (local, step) in [(hub_vnet(), "peer-hub-to-spoke"), (vnet("a"), "peer-spoke-to-hub")] {
        let mut world = World::ready();
        peering(&mut world, &local, |p| p["provisioningState"] = json!("Failed"));
        let plan = world.plan(&shop());
        assert_eq!(steps(&plan)[0], format!("{step} (startable)"), "{plan}");
        world.start(&plan);
        assert_eq!(steps(&world.plan(&shop())), ["switch-nodes (startable)"]);
    }
}

#[test]
fn a_failed_peering_of_somebody_is_a_finding_and_not_a_wait_for_ever() {
    let mut world = World::ready();
    world.edit(&vnet("a"), |v| {
        v["properties"]["virtualNetworkPeerings"][0]["name"] = json!("by-terraform")
    });
    peering(&mut world, &vnet("a"), |p| p["provisioningState"] = json!("Failed"));
    let plan = world.plan(&shop());
    assert_eq!(
        (plan.state, plan.startable().count()),
        (Some(State::Prepared), 0),
        "{plan}"
    );
    let finding = plan.findings.iter().find(|f| f.code == Code::PeeringFailed).unwrap();
    assert!(
        finding.is_blocking() && finding.message.contains("by-terraform"),
        "{plan}"
    );
}

// Running and failed writes on the spoke

#[test]
fn what_is_being_written_proves_nothing_and_is_waited_for() {
    let world = World::wired();
    for moving in [vnet("a"), world.our_table("a"), nodes("a")] {
        let mut world = world.clone();
        set(&mut world, &moving, "Updating");
        let plan = world.plan(&shop());
        let proof = plan.proof.as_ref().unwrap();
        assert_eq!(
            (proof.egress.word(), proof.reach.word()),
            ("unknown", "unknown"),
            "{plan}"
        );
        assert_eq!((plan.state, plan.steps.len()), (Some(State::Waiting), 0), "{plan}");
        assert!(plan.waits.contains(&Wait::AtRest { id: moving.clone() }), "{plan}");
    }
}

#[test]
fn a_failed_switch_is_the_same_write_again() {
    let mut world = World::ready();
    let plan = world.plan(&shop());
    let body = plan.steps[0].body.clone();
    world.start(&plan);
    set(&mut world, &nodes("a"), "Failed");
    let again = world.plan(&shop());
    assert_eq!(steps(&again), ["switch-nodes (startable)"], "{again}");
    assert_eq!(
        (&again.steps[0].body, again.state),
        (&body, Some(State::Waiting)),
        "{again}"
    );
    insta::assert_snapshot!(again);
    world.start(&again);
    assert_eq!(world.plan(&shop()).state, Some(State::Wired));
}

#[test]
fn a_failed_switch_that_failed_the_network_too_is_written_again() {
    let mut world = World::wired();
    set(&mut world, &nodes("a"), "Failed");
    set(&mut world, &vnet("a"), "Failed");
    let plan = world.plan(&shop());
    assert_eq!(steps(&plan), ["switch-nodes (startable)"], "{plan}");
    world.start(&plan);
    assert_eq!(world.plan(&shop()).state, Some(State::Wired));
}

#[test]
fn a_failed_table_of_ours_is_written_again_before_it_is_attached() {
    let mut world = World::ready();
    let table = world.our_table("a");
    world.state(&table, "Failed");
    let plan = world.plan(&shop());
    assert_eq!(
        steps(&plan),
        [
            "route-hubward-default (startable)",
            "route-hubward-return (startable)",
            "switch-nodes"
        ],
        "{plan}"
    );
    world.start(&plan);
    assert_eq!(steps(&world.plan(&shop())), ["switch-nodes (startable)"]);
}

#[test]
fn a_network_or_subnet_that_somebody_left_failed_is_named_and_not_switched() {
    for failed in [vnet("a"), nodes("a")] {
        let mut world = World::ready();
        set(&mut world, &failed, "Failed");
        let plan = world.plan(&shop());
        assert_eq!(plan.startable().count(), 0, "{plan}");
        assert!(codes(&plan).contains(&Code::NetworkFailed), "{plan}");
    }
}

// The hub's way out

#[test]
fn a_failed_nat_gateway_or_address_proves_no_egress() {
    for failed in [
        id("hub", "natGateways/hub-nat"),
        id("hub", "publicIPAddresses/hub-egress"),
    ] {
        let mut world = World::wired();
        world.state(&failed, "Failed");
        let plan = world.plan(&shop());
        let egress = &plan.proof.as_ref().unwrap().egress;
        assert_eq!(egress.word(), "unknown", "{plan}");
        assert!(egress.to_string().contains(failed.name()), "{egress}");
    }
}

#[test]
fn an_address_that_may_change_or_does_not_fit_its_gateway_is_a_warning() {
    let address = id("hub", "publicIPAddresses/hub-egress");
    let mut world = World::wired();
    world.edit(&address, |a| {
        a["properties"]["publicIPAllocationMethod"] = json!("Dynamic")
    });
    assert_eq!(warnings(&world), [Code::EgressAddressNotStatic; 2]);
    for (gateway, of_address, fits) in [
        ("StandardV2", "Standard", false),
        ("Standard", "StandardV2", false),
        ("StandardV2", "StandardV2", true),
    ] {
        let mut world = World::wired();
        world.edit(&id("hub", "natGateways/hub-nat"), |n| n["sku"]["name"] = json!(gateway));
        world.edit(&address, |a| a["sku"]["name"] = json!(of_address));
        let wanted = if fits {
            Vec::new()
        } else {
            vec![Code::NatGatewaySkuMismatch; 2]
        };
        assert_eq!(warnings(&world), wanted, "{gateway} with {of_address}");
    }
}

// Strangers

#[test]
fn an_interface_whose_owner_cannot_be_read_is_a_stranger() {
    for strange in [json!({"id": "not an id"}), json!({"id": null}), json!({"name": "x"})] {
        let mut world = World::ready();
        world.edit_subnet("a", "nodes", |s| s["properties"]["ipConfigurations"] = json!([strange]));
        let plan = world.plan(&shop());
        assert_eq!(plan.startable().count(), 0, "{strange}: {plan}");
        assert!(codes(&plan).contains(&Code::SharedSubnet), "{strange}: {plan}");
    }
}

/// The warnings of the spoke's plan and of the hub's.
fn warnings(world: &World) -> Vec<Code> {
    let plans = [world.plan(&shop()), world.plan_hub(&world.contributions(&[shop()]))];
    let findings = plans.iter().flat_map(|p| &p.findings);
    findings
        .filter(|f| f.severity == hubward_core::finding::Severity::Warning)
        .map(|f| f.code)
        .collect()
}

/// Edits the properties of the one peering of a network.
fn peering(world: &mut World, local: &ResourceId, change: impl FnOnce(&mut Value)) {
    world.edit(local, |v| {
        change(&mut v["properties"]["virtualNetworkPeerings"][0]["properties"])
    });
}

/// Sets the state of a document or of a subnet inside its network.
fn set(world: &mut World, id: &ResourceId, state: &str) {
    if id.is_type("Microsoft.Network/virtualNetworks/subnets") {
        world.edit_subnet("a", id.name(), |s| s["properties"]["provisioningState"] = json!(state));
    } else {
        world.state(id, state);
    }
}
