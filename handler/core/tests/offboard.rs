//! Unwiring: what wiring made goes, in the order that cuts nobody off, and nothing else does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::collections::{BTreeMap, BTreeSet};

use hubward_core::blueprint::{Footprint, Tombstone, edit_group, peering_id};
use hubward_core::config::Mode;
use hubward_core::estate::Estate;
use hubward_core::finding::Code;
use hubward_core::ids::ResourceId;
use hubward_core::plan::{
    AcceptedLoss, Cause, Departure, Farewell, Method, Plan, State, Unwiring, Wait, comparable, plan_offboard,
};
use serde_json::{Value, json};
use world::documents::node_group;
use world::{World, cluster_id, codes, hub_vnet, id, known, nodes, policy, shop, steps, vnet};

fn gone() -> Departure {
    Departure {
        cause: Cause::Gone {
            evidence: "deleted at noon".to_owned(),
        },
        others: Vec::new(),
        in_group: None,
    }
}

fn released() -> Departure {
    Departure {
        cause: Cause::Released,
        ..gone()
    }
}

fn footprint(world: &World, cluster: &ResourceId) -> Footprint {
    world.plan(cluster).footprint.unwrap()
}

fn unwire(world: &World, footprint: &Footprint, departure: &Departure) -> Unwiring {
    plan_offboard(&world.estate, &world.config, footprint, departure, &known())
}

/// The hub has taken the rules of the cluster away.
fn bury(world: &mut World, cluster: &ResourceId) {
    let group = world.our_group();
    let stone = Tombstone {
        cluster: cluster.clone(),
        evidence: "deleted at noon".to_owned(),
    };
    let present = world.estate.get(&group).cloned();
    let edit = edit_group(
        &world.config,
        world.hub_config(),
        &policy(),
        present.as_ref(),
        &BTreeMap::new(),
        &[stone],
    );
    let mut body = edit.body;
    if body["properties"]["ruleCollections"].as_array().unwrap().is_empty() {
        world.gone(&group);
    } else {
        body["properties"]["provisioningState"] = json!("Succeeded");
        world.put(&group, body);
    }
}

/// Carries out plan after plan, as many as it takes; the ids of the writes in order, those of rights without their GUIDs.
fn carry_out(world: &mut World, footprint: &Footprint, departure: &Departure) -> Vec<String> {
    let mut written = Vec::new();
    for _ in 0..12 {
        let unwiring = unwire(world, footprint, departure);
        if unwiring.done {
            return written;
        }
        let ids = unwiring.plan.startable().map(|step| step.id.clone());
        written.extend(ids.map(|id| {
            if id.starts_with("revoke-") {
                "revoke".to_owned()
            } else {
                id
            }
        }));
        if world.start(&unwiring.plan) == 0 {
            assert_eq!(unwiring.rules["main"], Farewell::Buried, "{}", unwiring.plan);
            written.push("rules".to_owned());
            bury(world, &footprint.cluster);
        }
    }
    panic!("not unwired: {}", unwire(world, footprint, departure).plan);
}

/// Everything but what no unwiring can give back: etags, and absence that was not asked for before.
fn documents(estate: &Estate) -> BTreeMap<String, Value> {
    let there = estate.iter().filter_map(|(id, s)| Some((id.key(), s.body.as_ref()?)));
    there.map(|(id, body)| (id, comparable(body))).collect()
}

/// The wired world after the cluster was deleted: AKS takes the load balancer with it.
fn deleted(world: &World, cluster: &ResourceId, spoke: &str) -> World {
    let mut world = world.clone();
    world.gone(cluster);
    world.gone(&world::load_balancer(spoke, cluster.name()));
    world
}

#[test]
fn after_unwiring_everything_is_as_it_was_before_the_cluster() {
    let mut before = World::fresh();
    before = deleted(&before, &shop(), "a");
    let wired = World::wired();
    let footprint = footprint(&wired, &shop());
    let mut world = deleted(&wired, &shop(), "a");
    let written = carry_out(&mut world, &footprint, &gone());
    assert_eq!(
        written,
        [
            "detach-nodes",
            "remove-route-table",
            "rules",
            "remove-hub-peering",
            "remove-spoke-peering",
            "revoke",
            "revoke"
        ]
    );
    assert_eq!(documents(&world.estate), documents(&before.estate));
}

#[test]
fn a_plan_of_unwiring_says_why_it_takes_each_thing_away() {
    let wired = World::wired();
    let footprint = footprint(&wired, &shop());
    let unwiring = unwire(&deleted(&wired, &shop(), "a"), &footprint, &gone());
    assert_eq!(unwiring.plan.state, Some(State::Offboarding));
    assert_eq!(unwiring.rules["main"], Farewell::Buried, "nobody is left in the subnet");
    insta::assert_snapshot!(unwiring.plan);
}

#[test]
fn what_is_absent_is_done() {
    let wired = World::wired();
    let footprint = footprint(&wired, &shop());
    let mut world = deleted(&wired, &shop(), "a");
    world.gone(&vnet("a"));
    let table = world.our_table("a");
    world.gone(&table);
    footprint.roles.iter().for_each(|id| world.gone(id));
    world.edit(&hub_vnet(), |hub| {
        hub["properties"]["virtualNetworkPeerings"][0]["properties"]["peeringState"] = json!("Disconnected");
    });
    let written = carry_out(&mut world, &footprint, &gone());
    assert_eq!(written, ["rules", "remove-hub-peering"]);
    assert!(unwire(&world, &footprint, &gone()).done);
}

#[test]
fn of_two_clusters_in_a_subnet_the_first_takes_only_its_rules_with_it() {
    let depot = cluster_id("a", "depot");
    let mut world = World::fresh().with_cluster("a", "depot", "nodes");
    world.prepare(&[shop(), depot.clone()]);
    world.wire(&shop());
    world.wire(&depot);
    let (mine, theirs) = (footprint(&world, &shop()), footprint(&world, &depot));
    let mut world = deleted(&world, &shop(), "a");
    let departure = Departure {
        others: vec![theirs.clone()],
        ..gone()
    };
    let before = world.plan(&depot).proof;
    assert_eq!(carry_out(&mut world, &mine, &departure), ["rules", "revoke", "revoke"]);
    let after = world.plan(&depot);
    assert_eq!((after.state, &after.proof), (Some(State::Wired), &before), "{after}");
    let mut world = deleted(&world, &depot, "a");
    let written = carry_out(&mut world, &theirs, &gone());
    assert_eq!(written.len(), 7, "the last one takes what was shared: {written:?}");
}

/// The cluster that stays keeps both promises, and its next look only gives back the rules that served the subnet of the other.
fn assert_left_alone(world: &mut World, cluster: &ResourceId) {
    let plan = world.plan(cluster);
    let proof = plan.proof.as_ref().unwrap();
    assert!(proof.egress.holds() && proof.reach.holds(), "{plan}");
    assert_eq!((plan.steps.len(), &plan.waits[..]), (0, &[Wait::Rules][..]), "{plan}");
    let contribution = plan.contribution.unwrap();
    let hub = world.plan_hub(&[(cluster.clone(), contribution)].into());
    world.start(&hub);
    let plan = world.plan(cluster);
    assert_eq!(plan.state, Some(State::Wired), "{plan}");
}

#[test]
fn of_two_clusters_in_a_network_the_first_takes_the_table_off_its_own_subnet_only() {
    let depot = cluster_id("a", "depot");
    let mut world = World::wired().with_cluster("a", "depot", "more");
    world.wire(&depot);
    let (mine, theirs) = (footprint(&world, &shop()), footprint(&world, &depot));
    let mut world = deleted(&world, &shop(), "a");
    let departure = Departure {
        others: vec![theirs],
        ..gone()
    };
    assert_eq!(
        carry_out(&mut world, &mine, &departure),
        ["detach-nodes", "rules", "revoke", "revoke"]
    );
    assert_left_alone(&mut world, &depot);
}

#[test]
fn a_cluster_that_lives_behind_the_table_is_seen_without_any_footprint_of_it() {
    let depot = cluster_id("a", "depot");
    let mut world = World::wired().with_cluster("a", "depot", "more");
    world.wire(&depot);
    let mine = footprint(&world, &shop());
    let mut world = deleted(&world, &shop(), "a");
    assert_eq!(
        carry_out(&mut world, &mine, &gone()),
        ["detach-nodes", "rules", "revoke", "revoke"]
    );
    assert_left_alone(&mut world, &depot);
}

#[test]
fn rules_on_which_another_cluster_lives_are_not_taken_away() {
    // The newcomer in the same subnet is only observed, so it has no rules of its own and leaves by those of the shop.
    let world = World::wired().with_cluster("a", "depot", "nodes");
    let mine = footprint(&world, &shop());
    let mut world = deleted(&world, &shop(), "a");
    world.edit(&cluster_id("a", "depot"), |c| {
        c["properties"]["apiServerAccessProfile"] = json!({"enablePrivateCluster": true});
    });
    let unwiring = unwire(&world, &mine, &gone());
    assert_eq!(codes(&unwiring.plan), [Code::PlanRefused], "{}", unwiring.plan);
    assert_eq!(unwiring.rules["main"], Farewell::Stays);
    assert!(unwiring.plan.steps.is_empty() && !unwiring.done, "{}", unwiring.plan);
    insta::assert_snapshot!(unwiring.plan);
}

fn stranger(world: &mut World, group: &str) {
    let interface = id(group, "networkInterfaces/vm-1/ipConfigurations/first");
    world.edit_subnet("a", "nodes", |s| {
        s["properties"]["ipConfigurations"] = json!([{"id": interface.as_str()}]);
    });
}

#[test]
fn a_subnet_in_which_strangers_live_without_another_way_out_keeps_the_table() {
    let wired = World::wired();
    let mine = footprint(&wired, &shop());
    let mut world = deleted(&wired, &shop(), "a");
    stranger(&mut world, "somebody");
    let unwiring = unwire(&world, &mine, &gone());
    assert_eq!(codes(&unwiring.plan), [Code::NoOtherEgress], "{}", unwiring.plan);
    assert_eq!(unwiring.rules["main"], Farewell::Stays);
    assert_eq!(steps(&unwiring.plan), Vec::<String>::new());
    assert_eq!(
        unwiring.plan.waits,
        [Wait::Person {
            code: Code::NoOtherEgress
        }]
    );
}

#[test]
fn the_rules_go_after_the_table_while_strangers_live_in_the_subnet() {
    let wired = World::wired();
    let mine = footprint(&wired, &shop());
    let mut world = deleted(&wired, &shop(), "a");
    stranger(&mut world, "somebody");
    world.edit_subnet("a", "nodes", |s| {
        s["properties"]["natGateway"] = json!({"id": id("a", "natGateways/own").as_str()});
    });
    let first = unwire(&world, &mine, &gone());
    assert_eq!(first.rules["main"], Farewell::Stays, "{}", first.plan);
    assert_eq!(
        carry_out(&mut world, &mine, &gone()),
        [
            "detach-nodes",
            "remove-route-table",
            "rules",
            "remove-hub-peering",
            "remove-spoke-peering",
            "revoke",
            "revoke"
        ]
    );
}

#[test]
fn the_remains_of_the_cluster_itself_are_no_strangers() {
    let wired = World::wired();
    let mine = footprint(&wired, &shop());
    let mut world = deleted(&wired, &shop(), "a");
    stranger(&mut world, &node_group("a", "shop").to_ascii_uppercase());
    let unwiring = unwire(&world, &mine, &gone());
    assert_eq!(unwiring.rules["main"], Farewell::Buried, "{}", unwiring.plan);
    assert_eq!(codes(&unwiring.plan), []);
}

#[test]
fn a_subnet_that_somebody_gave_our_table_keeps_the_way_to_the_hub() {
    let wired = World::wired();
    let mine = footprint(&wired, &shop());
    let mut world = deleted(&wired, &shop(), "a");
    let table = world.our_table("a");
    world.edit_subnet("a", "more", |s| {
        s["properties"]["routeTable"] = json!({"id": table.as_str()});
    });
    let unwiring = unwire(&world, &mine, &gone());
    assert_eq!(codes(&unwiring.plan), [Code::SharedSubnet], "{}", unwiring.plan);
    assert_eq!(steps(&unwiring.plan), ["detach-nodes (startable)"]);
    assert_eq!(unwiring.rules["main"], Farewell::Stays);
}

#[test]
fn a_table_or_peering_that_is_not_ours_by_name_stays() {
    let wired = World::wired();
    let mine = footprint(&wired, &shop());
    let mut world = deleted(&wired, &shop(), "a");
    world.edit_subnet("a", "nodes", |s| {
        s["properties"]["routeTable"] = json!({"id": id("a", "routeTables/theirs").as_str()});
    });
    for network in [hub_vnet(), vnet("a")] {
        world.edit(&network, |v| {
            v["properties"]["virtualNetworkPeerings"][0]["name"] = json!("made-by-hand")
        });
    }
    assert_eq!(
        carry_out(&mut world, &mine, &gone()),
        ["remove-route-table", "rules", "revoke", "revoke"]
    );
    assert_eq!(
        world.estate.vnet(&hub_vnet()).unwrap().peerings()[0].name(),
        "made-by-hand"
    );
}

#[test]
fn a_living_cluster_is_taken_off_the_hub_and_its_own_way_out_is_accepted() {
    let mut world = World::wired();
    let mine = footprint(&world, &shop());
    let first = unwire(&world, &mine, &released());
    let detach = &first.plan.steps[0];
    assert_eq!(detach.id, "detach-nodes");
    assert_eq!(detach.accepts, [AcceptedLoss::OpenConnections, AcceptedLoss::Egress]);
    assert_eq!(first.rules["main"], Farewell::Stays, "it still leaves by its rules");
    let written = carry_out(&mut world, &mine, &released());
    assert_eq!(written[..3], ["detach-nodes", "remove-route-table", "rules"]);
    let reach = world.plan(&shop()).proof.unwrap().reach;
    assert!(reach.holds(), "{reach}");
    assert_eq!(unwire(&world, &mine, &released()).plan.state, Some(State::Offboarded));
}

#[test]
fn a_living_cluster_without_another_way_out_is_not_taken_off_the_hub() {
    let mut world = World::wired();
    let mine = footprint(&world, &shop());
    world.edit(&shop(), |c| {
        c["properties"]["networkProfile"]["outboundType"] = json!("userDefinedRouting")
    });
    let unwiring = unwire(&world, &mine, &released());
    assert_eq!(codes(&unwiring.plan), [Code::NoOtherEgress]);
    assert_eq!(unwiring.rules["main"], Farewell::Stays);
    insta::assert_snapshot!(unwiring.plan);
    world.edit_subnet("a", "nodes", |s| {
        s["properties"]["natGateway"] = json!({"id": id("a", "natGateways/own").as_str()});
    });
    assert_eq!(codes(&unwire(&world, &mine, &released()).plan), []);
}

#[test]
fn a_living_cluster_that_would_lose_a_destination_is_not_taken_off_the_hub() {
    let mut world = World::fresh();
    world.configure(
        r#"
[[hubs.main.rules.network]]
name = "office"
destinations = ["10.200.0.0/16"]
protocols = ["TCP"]
ports = ["443"]
"#,
    );
    world.wire(&shop());
    let mine = footprint(&world, &shop());
    let unwiring = unwire(&world, &mine, &released());
    assert_eq!(codes(&unwiring.plan), [Code::PlanRefused], "{}", unwiring.plan);
    assert!(
        unwiring.plan.findings[0].message.contains("REACH of shop"),
        "{}",
        unwiring.plan
    );
    assert!(unwiring.plan.steps.is_empty());
}

#[test]
fn a_mode_that_does_not_write_takes_nothing_away() {
    let wired = World::wired();
    let mine = footprint(&wired, &shop());
    let mut world = deleted(&wired, &shop(), "a");
    for (mode, wait) in [(Mode::Observe, Wait::Observing), (Mode::Approve, Wait::Approval)] {
        world.config.mode = mode;
        let unwiring = unwire(&world, &mine, &gone());
        assert_eq!(unwiring.plan.startable().count(), 0, "{mode:?}");
        assert_eq!(unwiring.rules["main"], Farewell::Stays, "{mode:?}");
        assert_eq!(unwiring.plan.waits, [wait], "{mode:?}");
    }
}

#[test]
fn a_hub_that_is_down_holds_everything() {
    let wired = World::wired();
    let mine = footprint(&wired, &shop());
    let mut world = deleted(&wired, &shop(), "a");
    world.edit(&id("hub", "azureFirewalls/hub-firewall"), |f| {
        f["properties"]["ipConfigurations"] = json!([]);
    });
    let unwiring = unwire(&world, &mine, &gone());
    assert_eq!(
        (unwiring.plan.steps.len(), unwiring.done),
        (0, false),
        "{}",
        unwiring.plan
    );
    assert_eq!(unwiring.plan.waits, [Wait::Hub]);
    assert_eq!(unwiring.rules, BTreeMap::new());
}

fn role(name: &str) -> ResourceId {
    ResourceId::parse(&format!(
        "{}/providers/Microsoft.Authorization/roleAssignments/{name}",
        nodes("a")
    ))
    .unwrap()
}

fn group() -> ResourceId {
    let nodes = nodes("a");
    ResourceId::parse(&format!(
        "/subscriptions/{}/resourceGroups/hubward-app-1",
        nodes.subscription()
    ))
    .unwrap()
}

/// A wired cluster with a role assignment and an application address in a group of its own, deleted.
fn with_address() -> (World, Footprint) {
    let wired = World::wired();
    let mut mine = footprint(&wired, &shop());
    let address = id("hubward-app-1", "publicIPAddresses/hubward-app-1");
    mine.roles = [role("one")].into();
    mine.address_group = Some(group());
    mine.application_address = Some(address.clone());
    let mut world = deleted(&wired, &shop(), "a");
    world.put(
        &role("one"),
        json!({"id": role("one").as_str(), "properties": {"principalId": "p"}}),
    );
    world.put(&group(), json!({"id": group().as_str(), "location": "westeurope"}));
    world.put(
        &address,
        json!({"id": address.as_str(), "properties": {"ipAddress": "198.51.100.40"}}),
    );
    (world, mine)
}

fn in_group(ids: &[ResourceId]) -> Departure {
    Departure {
        in_group: Some(ids.iter().cloned().collect::<BTreeSet<_>>()),
        ..gone()
    }
}

#[test]
fn rights_and_then_the_address_with_its_group_go_last() {
    let (mut world, mine) = with_address();
    let address = mine.application_address.clone().unwrap();
    let written = carry_out(&mut world, &mine, &in_group(&[address]));
    assert_eq!(
        written[3..],
        [
            "remove-hub-peering",
            "remove-spoke-peering",
            "revoke",
            "remove-address-group"
        ]
    );
}

#[test]
fn a_group_with_something_foreign_in_it_stays_and_is_named() {
    let (mut world, mine) = with_address();
    let address = mine.application_address.clone().unwrap();
    let departure = in_group(&[address, id("hubward-app-1", "publicIPAddresses/theirs")]);
    let unwiring = unwire(&world, &mine, &departure);
    assert_eq!(codes(&unwiring.plan), [Code::ForeignInGroup]);
    let last = unwiring.plan.steps.last().unwrap();
    assert_eq!(
        (last.id.as_str(), last.method),
        ("remove-application-address", Method::Delete)
    );
    let written = carry_out(&mut world, &mine, &departure);
    assert!(!written.contains(&"remove-address-group".to_owned()), "{written:?}");
}

#[test]
fn a_group_that_nobody_listed_is_not_deleted() {
    let (world, mine) = with_address();
    let unwiring = unwire(&world, &mine, &gone());
    assert_eq!(codes(&unwiring.plan), [Code::NotRead]);
    assert!(
        unwiring.plan.steps.iter().all(|step| !step.id.contains("address")),
        "{}",
        unwiring.plan
    );
}

#[test]
fn an_address_in_use_stays_with_a_living_cluster_and_its_footprint_is_kept() {
    let (mut world, mine) = with_address();
    let address = mine.application_address.clone().unwrap();
    let frontend = id(
        &node_group("a", "shop"),
        "loadBalancers/kubernetes/frontendIPConfigurations/f",
    );
    world.edit(&address, |a| {
        a["properties"]["ipConfiguration"] = json!({"id": frontend.as_str()})
    });
    let dead = unwire(&world, &mine, &in_group(std::slice::from_ref(&address)));
    assert!(
        dead.plan.waits.contains(&Wait::AtRest { id: address.clone() }),
        "{}",
        dead.plan
    );
    assert!(!dead.remains);
    world.put(&shop(), World::fresh().estate.get(&shop()).unwrap().clone());
    let departure = Departure {
        cause: Cause::Released,
        ..in_group(std::slice::from_ref(&address))
    };
    let unwiring = unwire(&world, &mine, &departure);
    assert_eq!(codes(&unwiring.plan), [Code::ForeignInGroup]);
    assert!(unwiring.remains);
    carry_out(&mut world, &mine, &departure);
    assert!(world.estate.get(&address).is_some());
}

#[test]
fn a_right_that_another_cluster_relies_on_stays() {
    let (world, mine) = with_address();
    let mut other = mine.clone();
    other.cluster = cluster_id("b", "depot");
    for place in &mut other.places {
        place.vnet = vnet("b");
        place.subnets = [nodes("b")].into();
    }
    let departure = Departure {
        others: vec![other],
        ..in_group(&[])
    };
    let plan = unwire(&world, &mine, &departure).plan;
    assert!(plan.steps.iter().all(|step| !step.id.starts_with("revoke")), "{plan}");
}

#[test]
fn a_kubenet_table_stays_and_loses_our_two_routes_the_default_one_first() {
    let mut world = World::fresh();
    let table = id(&node_group("a", "shop"), "routeTables/aks-routetable");
    world.edit(&shop(), |c| {
        c["properties"]["networkProfile"]["networkPlugin"] = json!("kubenet");
        c["properties"]["networkProfile"]["podCidr"] = json!("10.244.0.0/16");
    });
    let body = json!({
        "id": table.as_str(), "name": table.name(), "location": "westeurope",
        "properties": {"provisioningState": "Succeeded", "routes": [], "subnets": [{"id": nodes("a").as_str()}]},
    });
    world.put(&table, body);
    world.edit_subnet("a", "nodes", |s| {
        s["properties"]["routeTable"] = json!({"id": table.as_str()})
    });
    world.wire(&shop());
    let mine = footprint(&world, &shop());
    assert!(!mine.places[0].table_is_ours);
    let mut world = deleted(&world, &shop(), "a");
    let written = carry_out(&mut world, &mine, &gone());
    assert_eq!(
        written,
        [
            "remove-hubward-default",
            "remove-hubward-return",
            "rules",
            "remove-hub-peering",
            "remove-spoke-peering",
            "revoke",
            "revoke"
        ]
    );
    assert_eq!(world.estate.get(&table).unwrap()["properties"]["routes"], json!([]));
}

#[test]
fn a_footprint_only_grows() {
    let mut world = World::wired();
    let old = footprint(&world, &shop());
    world.edit(&shop(), |c| {
        c["properties"]["agentPoolProfiles"][0]["vnetSubnetID"] = json!(vnet("a").child("subnets", "more").as_str());
    });
    let grown = old.grown(&footprint(&world, &shop()));
    let both = [vnet("a").child("subnets", "more"), nodes("a")];
    assert_eq!(grown.places.len(), 1);
    assert_eq!(grown.places[0].subnets, both.into());
    assert_eq!(grown.grown(&old), grown, "what is known is not forgotten");
    let elsewhere = World::hub().with_spoke("b", 2).with_cluster("b", "shop", "nodes");
    let moved = old.grown(&footprint(&elsewhere, &cluster_id("b", "shop")));
    assert_eq!(moved.vnets(), [vnet("a"), vnet("b")].into());
    assert_eq!(
        moved.places[0].hub_peering,
        peering_id(&world.config, &hub_vnet(), &vnet("a"))
    );
}

#[test]
fn the_same_estate_gives_the_same_plan() {
    let wired = World::wired();
    let mine = footprint(&wired, &shop());
    let world = deleted(&wired, &shop(), "a");
    let plans: Vec<Plan> = (0..2).map(|_| unwire(&world, &mine, &gone()).plan).collect();
    assert_eq!(plans[0], plans[1]);
}
