//! Plans as people read them: one golden text per situation of a spoke, so that a change of what Hubward does is seen.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use hubward_core::config::Mode;
use hubward_core::finding::Code;
use hubward_core::plan::{Age, Known, State, Wait, plan_spoke};
use serde_json::{Value, json};
use world::{World, cluster_id, codes, collection, config, hub_vnet, id, policy, shop, steps, vnet};

#[test]
fn a_fresh_cluster() {
    insta::assert_snapshot!(World::fresh().plan(&shop()));
}

#[test]
fn peerings_connected_and_rules_not_in_force() {
    let mut world = World::fresh();
    let plan = world.plan(&shop());
    world.start(&plan);
    insta::assert_snapshot!(world.plan(&shop()));
}

#[test]
fn everything_live_and_only_the_switch_can_start() {
    let world = World::ready();
    assert_eq!(steps(&world.plan(&shop())), ["switch-nodes (startable)"]);
    insta::assert_snapshot!(world.plan(&shop()));
}

#[test]
fn a_wired_cluster_has_nothing_to_write() {
    let plan = World::wired().plan(&shop());
    assert_eq!(plan.state, Some(State::Wired));
    insta::assert_snapshot!(plan);
}

#[test]
fn observe_mode_shows_the_steps_and_asks_the_hub_for_nothing() {
    let mut world = World::fresh();
    world.config.mode = Mode::Observe;
    let plan = world.plan(&shop());
    assert_eq!((plan.state, plan.contribution.is_none()), (Some(State::Observed), true));
    insta::assert_snapshot!(plan);
}

#[test]
fn approve_mode_waits_for_a_person() {
    let mut world = World::fresh();
    world.config.mode = Mode::Approve;
    let plan = world.plan(&shop());
    assert_eq!(plan.state, Some(State::PendingApproval));
    assert!(plan.waits.contains(&Wait::Approval));
    insta::assert_snapshot!(plan);
}

#[test]
fn a_cluster_older_than_the_installation_is_observed() {
    let mut world = World::fresh();
    world.edit(&shop(), |c| {
        c["systemData"]["createdAt"] = json!("2026-01-02T03:04:05Z")
    });
    insta::assert_snapshot!(world.plan(&shop()));
}

#[test]
fn a_cluster_of_unknown_age_and_a_lost_ledger_are_observed() {
    let mut world = World::fresh();
    let lost = plan_spoke(
        &world.estate,
        &world.config,
        &shop(),
        &Known::at(world::READ, Age::default()),
    );
    world.edit(&shop(), |c| c["systemData"] = Value::Null);
    let unseen = Age {
        create_seen: false,
        ..world::age()
    };
    let unknown = plan_spoke(&world.estate, &world.config, &shop(), &Known::at(world::READ, unseen));
    for plan in [lost, unknown] {
        assert_eq!(
            (plan.state, codes(&plan)[0]),
            (Some(State::Observed), Code::OlderThanInstallation)
        );
    }
}

#[test]
fn a_hub_whose_firewall_has_no_address() {
    let mut world = World::fresh();
    world.edit(&id("hub", "azureFirewalls/hub-firewall"), |f| {
        f["properties"]["ipConfigurations"] = json!([])
    });
    let plan = world.plan(&shop());
    assert!(plan.steps.is_empty() && plan.waits == [Wait::Hub]);
    insta::assert_snapshot!(plan);
}

#[test]
fn a_nat_gateway_that_does_not_exist_is_named_with_the_setting_that_names_it() {
    let mut world = World::fresh();
    world.gone(&id("hub", "natGateways/hub-nat"));
    let plan = world.plan(&shop());
    assert!(plan.steps.is_empty());
    assert_eq!(codes(&plan), [Code::NatGatewayNotFound]);
    assert!(plan.findings[0].help.contains("nat_gateway"), "{plan}");
}

#[test]
fn two_addresses_on_the_nat_gateway() {
    let mut world = World::fresh();
    world.edit(&id("hub", "natGateways/hub-nat"), |nat| {
        let second = json!({"id": id("hub", "publicIPAddresses/second").as_str()});
        nat["properties"]["publicIpAddresses"]
            .as_array_mut()
            .unwrap()
            .push(second);
    });
    let plan = world.plan(&shop());
    assert!(plan.steps.is_empty());
    insta::assert_snapshot!(plan);
}

#[test]
fn a_firewall_in_another_network_than_the_configured_one() {
    let mut world = World::fresh();
    let elsewhere = id("hub", "virtualNetworks/other-vnet/subnets/AzureFirewallSubnet");
    world.edit(&id("hub", "azureFirewalls/hub-firewall"), |f| {
        f["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"] = json!(elsewhere.as_str());
    });
    let plan = world.plan(&shop());
    assert!(plan.steps.is_empty());
    insta::assert_snapshot!(plan);
}

#[test]
fn a_subnet_with_somebodys_route_table() {
    let mut world = World::ready();
    let foreign = id("a", "routeTables/network-team");
    world.put(
        &foreign,
        json!({"name": "network-team", "properties": {"provisioningState": "Succeeded", "routes": []}}),
    );
    world.edit_subnet("a", "nodes", |s| {
        s["properties"]["routeTable"] = json!({"id": foreign.as_str()})
    });
    let plan = world.plan(&shop());
    assert_eq!((plan.state, plan.steps.len()), (Some(State::Prepared), 0));
    insta::assert_snapshot!(plan);
}

#[test]
fn an_address_space_that_overlaps_the_hub() {
    let mut world = World::fresh();
    world.edit(&vnet("a"), |v| {
        v["properties"]["addressSpace"]["addressPrefixes"] = json!(["10.0.128.0/17", "10.1.0.0/16"])
    });
    let plan = world.plan(&shop());
    assert_eq!((plan.state, plan.steps.len()), (Some(State::Failed), 0));
    insta::assert_snapshot!(plan);
}

#[test]
fn an_address_space_that_overlaps_another_spoke() {
    let mut world = World::wired().with_spoke("b", 1).with_cluster("b", "twin", "nodes");
    let twin = cluster_id("b", "twin");
    world.edit(&vnet("b"), |v| {
        v["properties"]["addressSpace"]["addressPrefixes"] = json!(["10.1.0.0/17"])
    });
    let plan = world.plan(&twin);
    assert_eq!((plan.steps.len(), codes(&plan)[0]), (0, Code::AddressSpaceOverlap));
}

#[test]
fn authorized_ranges_without_the_egress_address() {
    let mut world = World::ready();
    world.edit(&shop(), |c| {
        c["properties"]["apiServerAccessProfile"] = json!({"authorizedIPRanges": ["198.51.100.0/24"]})
    });
    let plan = world.plan(&shop());
    assert_eq!((plan.state, plan.startable().count()), (Some(State::Prepared), 0));
    insta::assert_snapshot!(plan);
    world.edit(&shop(), |c| {
        c["properties"]["apiServerAccessProfile"]["authorizedIPRanges"] = json!(["198.51.100.0/24", "203.0.113.10/32"]);
    });
    assert_eq!(world.plan(&shop()).startable().count(), 1);
}

#[test]
fn required_only_without_and_with_the_owners_word() {
    let mut world = World::ready();
    world.config = config("required_only");
    let plan = world.plan(&shop());
    assert_eq!((plan.state, plan.startable().count()), (Some(State::Prepared), 0));
    insta::assert_snapshot!(plan);
    world.edit(&shop(), |c| c["tags"]["Hubward-Accept-Egress"] = json!("required_only"));
    assert_eq!(steps(&world.plan(&shop())), ["switch-nodes (startable)"]);
}

#[test]
fn a_live_public_frontend() {
    let mut world = World::ready();
    world.serve("a", "shop", "a1b2", "198.51.100.7", &[80, 443]);
    let plan = world.plan(&shop());
    assert_eq!((plan.state, plan.startable().count()), (Some(State::Prepared), 0));
    insta::assert_snapshot!(plan);
}

#[test]
fn a_network_that_aks_manages() {
    let mut world = World::fresh();
    world.edit(&shop(), |c| {
        c["properties"]["agentPoolProfiles"][0]["vnetSubnetID"] = Value::Null
    });
    insta::assert_snapshot!(world.plan(&shop()));
}

#[test]
fn a_cluster_with_user_defined_routing_and_no_table() {
    let mut world = World::fresh();
    world.edit(&shop(), |c| {
        c["properties"]["networkProfile"]["outboundType"] = json!("userDefinedRouting")
    });
    insta::assert_snapshot!(world.plan(&shop()));
    world.wire(&shop());
    assert_eq!(world.plan(&shop()).state, Some(State::Wired));
}

#[test]
fn a_disconnected_peering() {
    let mut world = World::ready();
    peerings(&mut world, |p| p["peeringState"] = json!("Disconnected"));
    let plan = world.plan(&shop());
    assert_eq!((plan.state, plan.startable().count()), (Some(State::Prepared), 0));
    insta::assert_snapshot!(plan);
}

#[test]
fn a_foreign_peering_without_forwarded_traffic() {
    let mut world = World::ready();
    world.edit(&vnet("a"), |v| {
        let peering = &mut v["properties"]["virtualNetworkPeerings"][0];
        peering["name"] = json!("to-hub-by-terraform");
        peering["properties"]["allowForwardedTraffic"] = json!(false);
    });
    let plan = world.plan(&shop());
    assert!(!plan.steps.iter().any(|s| s.id.starts_with("peer-")), "{plan}");
    assert_eq!((plan.state, plan.startable().count()), (Some(State::Prepared), 0));
    insta::assert_snapshot!(plan);
}

#[test]
fn a_peering_out_of_sync_is_a_finding_and_not_a_wait_for_ever() {
    let mut world = World::ready();
    peerings(&mut world, |p| p["peeringSyncLevel"] = json!("RemoteNotInSync"));
    let plan = world.plan(&shop());
    assert!(
        plan.findings
            .iter()
            .any(|f| f.is_blocking() && f.code == Code::PeeringOutOfSync),
        "{plan}"
    );
    assert_eq!(plan.startable().count(), 0);
}

#[test]
fn a_cluster_that_is_being_created() {
    let mut world = World::fresh();
    world.edit(&shop(), |c| c["properties"]["provisioningState"] = json!("Creating"));
    insta::assert_snapshot!(world.plan(&shop()));
}

#[test]
fn a_second_cluster_in_the_same_network_uses_what_is_there() {
    let mut world = World::wired().with_cluster("a", "depot", "more");
    let depot = cluster_id("a", "depot");
    insta::assert_snapshot!(world.plan(&depot));
    world.wire(&depot);
    // The switch of the second subnet gave the first cluster another prefix behind the firewall.
    world.rules_live(&[shop(), depot.clone()]);
    for cluster in [shop(), depot] {
        assert_eq!(
            world.plan(&cluster).state,
            Some(State::Wired),
            "{}",
            world.plan(&cluster)
        );
    }
}

#[test]
fn clusters_that_share_a_subnet_are_switched_when_both_are_ready() {
    let mut world = World::ready().with_cluster("a", "depot", "nodes");
    let depot = cluster_id("a", "depot");
    let plan = world.plan(&shop());
    assert_eq!(plan.startable().count(), 0);
    insta::assert_snapshot!(plan);
    world.rules_live(&[shop(), depot.clone()]);
    assert_eq!(steps(&world.plan(&shop())), ["switch-nodes (startable)"]);
    world.edit(&depot, |c| {
        c["properties"]["apiServerAccessProfile"] = json!({"authorizedIPRanges": ["198.51.100.7"]})
    });
    assert_eq!(
        world.plan(&shop()).startable().count(),
        0,
        "the neighbour would lose its API server"
    );
}

#[test]
fn a_subnet_with_interfaces_of_a_stranger_is_not_switched() {
    let mut world = World::ready();
    let interface = |group: &str| json!({"id": id(group, "networkInterfaces/nic/ipConfigurations/one").as_str()});
    world.edit_subnet("a", "nodes", |s| {
        s["properties"]["ipConfigurations"] = json!([interface("mc_A_shop_westeurope")])
    });
    assert_eq!(world.plan(&shop()).startable().count(), 1);
    world.edit_subnet("a", "nodes", |s| {
        s["properties"]["ipConfigurations"] = json!([interface("MC_x_unknown_westeurope")])
    });
    let plan = world.plan(&shop());
    assert_eq!((plan.state, plan.startable().count()), (Some(State::Prepared), 0));
    insta::assert_snapshot!(plan);
}

#[test]
fn a_rule_of_the_company_that_stops_images_refuses_the_switch_with_the_counter_example() {
    let mut world = World::ready();
    let deny = world::https_rule("no-registries", &["10.0.0.0/8"], &["*.microsoft.com"]);
    world.edit(&policy().child("ruleCollectionGroups", "company-baseline"), |g| {
        let all = g["properties"]["ruleCollections"].as_array_mut().unwrap();
        all.push(collection("ban", 500, "Deny", &[deny]));
    });
    let plan = world.plan(&shop());
    assert_eq!((plan.state, plan.steps.len()), (Some(State::Failed), 0));
    let refusal = plan.findings.iter().find(|f| f.code == Code::PlanRefused).unwrap();
    assert!(
        refusal.message.contains("mcr.microsoft.com") && refusal.message.contains("no-registries"),
        "{plan}"
    );
    insta::assert_snapshot!(plan);
}

#[test]
fn a_hub_without_dns_proxy_waits_for_its_owner_and_says_so_once() {
    let mut world = World::ready();
    world.edit(&policy(), |p| {
        p["properties"]["dnsSettings"]["enableProxy"] = json!(false)
    });
    let plan = world.plan(&shop());
    assert_eq!((plan.state, plan.startable().count()), (Some(State::Prepared), 0));
    insta::assert_snapshot!(plan);
}

#[test]
fn the_rules_of_the_hub() {
    let world = World::fresh();
    let plan = world.plan_hub(&world.contributions(&[shop()]));
    insta::assert_snapshot!(plan);
    insta::assert_json_snapshot!(plan.steps[0].body);
}

#[test]
fn a_subnet_that_aks_delegated_to_itself_for_pods_is_switched_too() {
    let mut world = World::ready();
    world.edit(&shop(), |c| {
        c["properties"]["agentPoolProfiles"][0]["podSubnetID"] = json!(vnet("a").child("subnets", "more").as_str());
    });
    world.edit_subnet("a", "more", |s| {
        s["properties"]["delegations"] =
            json!([{"name": "aks-delegation", "properties": {"serviceName": "Microsoft.ContainerService/managedClusters"}}]);
    });
    world.prepare(&[shop()]);
    assert_eq!(
        steps(&world.plan(&shop())),
        ["switch-more (startable)", "switch-nodes (startable)"]
    );
    world.edit_subnet("a", "more", |s| {
        s["properties"]["delegations"][0]["properties"]["serviceName"] = json!("Microsoft.Web/serverFarms");
    });
    assert_eq!(
        world.plan(&shop()).startable().count(),
        0,
        "half a cluster is not switched"
    );
}

/// Edits the properties of both sides of the peering.
fn peerings(world: &mut World, change: impl Fn(&mut Value)) {
    for network in [hub_vnet(), vnet("a")] {
        world.edit(&network, |v| {
            change(&mut v["properties"]["virtualNetworkPeerings"][0]["properties"])
        });
    }
}
