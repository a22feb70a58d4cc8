//! What no step may ever do, and what every step waits for: named as requirements.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use hubward_core::estate::{Estate, Subject};
use hubward_core::finding::Code;
use hubward_core::ids::ResourceId;
use hubward_core::plan::{Plan, State, Wait, after, comparable, kept};
use serde_json::json;
use world::{
    EGRESS_IP, FIREWALL_IP, READ, World, cluster_id, codes, collection, hub_vnet, id, nodes, policy, shop, vnet,
};

type Edit = fn(&mut World);

#[test]
fn the_switch_is_the_subnet_as_it_is_with_our_table_and_nothing_else() {
    let mut world = World::fresh();
    world.edit_subnet("a", "nodes", |s| {
        s["properties"]["delegations"] = json!([{"name": "d", "etag": "W/\"x\"", "properties": {
            "serviceName": "Microsoft.ContainerService/managedClusters", "provisioningState": "Succeeded"}}]);
        s["properties"]["ipConfigurations"] =
            json!([{"id": id("MC_a_shop_westeurope", "networkInterfaces/n/ipConfigurations/1").as_str()}]);
    });
    let plan = world.plan(&shop());
    let switch = plan.steps.iter().find(|s| s.id == "switch-nodes").unwrap();
    let mut wanted = json!({
        "id": nodes("a").as_str(), "name": "nodes", "type": "Microsoft.Network/virtualNetworks/subnets",
        "properties": {
            "addressPrefix": "10.1.0.0/20",
            "networkSecurityGroup": {"id": id("a", "networkSecurityGroups/nodes-nsg").as_str()},
            "delegations": [{"name": "d", "properties": {"serviceName": "Microsoft.ContainerService/managedClusters"}}],
            "privateEndpointNetworkPolicies": "Disabled",
            "privateLinkServiceNetworkPolicies": "Enabled",
            "aFieldOfNextYear": {"keep": "me", "size": 3},
        },
    });
    assert_eq!(switch.precondition.as_ref(), Some(&wanted));
    wanted["properties"]["routeTable"] = json!({"id": world.our_table("a").as_str()});
    assert_eq!(switch.body, wanted);
    assert_eq!(switch.lanes, [vnet("a")]);
}

#[test]
fn no_step_writes_a_parent_of_somebody_else() {
    let world = World::fresh();
    let hub = world.plan_hub(&world.contributions(&[shop()]));
    for step in world.plan(&shop()).steps.iter().chain(&hub.steps) {
        let kind = step.target.resource_type().to_ascii_lowercase();
        let written = [
            "microsoft.network/virtualnetworks/virtualnetworkpeerings",
            "microsoft.network/virtualnetworks/subnets",
            "microsoft.network/routetables",
            "microsoft.network/firewallpolicies/rulecollectiongroups",
            "microsoft.authorization/roleassignments",
        ];
        assert!(written.contains(&kind.as_str()), "{}", step.id);
        assert!(!step.api_version.is_empty(), "{}", step.id);
    }
}

#[test]
fn the_route_table_is_made_with_both_routes_at_once() {
    let world = World::fresh();
    let plan = world.plan(&shop());
    let table = plan.steps.iter().find(|s| s.id == "route-table").unwrap();
    assert_eq!(
        table.body["properties"],
        json!({"disableBgpRoutePropagation": false, "routes": [
            {"name": "hubward-default", "properties": {
                "addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance", "nextHopIpAddress": FIREWALL_IP}},
            {"name": "hubward-return", "properties": {"addressPrefix": format!("{EGRESS_IP}/32"), "nextHopType": "Internet"}},
        ]})
    );
}

#[test]
fn the_switch_waits_for_rules_peering_and_table() {
    let plan = World::fresh().plan(&shop());
    let switch = plan.steps.iter().find(|s| s.id == "switch-nodes").unwrap();
    let step = |id: &str| Wait::Step { id: id.to_owned() };
    for wait in [
        Wait::Rules,
        Wait::Peering,
        step("route-table"),
        step("peer-hub-to-spoke"),
        step("peer-spoke-to-hub"),
    ] {
        assert!(switch.waits.contains(&wait), "{wait:?} in {:?}", switch.waits);
    }
    assert!(plan.needs_hub());
}

#[test]
fn the_switch_waits_while_the_table_the_policy_the_firewall_or_the_network_is_being_written() {
    let firewall = id("hub", "azureFirewalls/hub-firewall");
    let foreign = policy().child("ruleCollectionGroups", "company-baseline");
    let world = World::ready();
    let own = world.our_group();
    for busy in [world.our_table("a"), policy(), firewall, vnet("a"), own, foreign] {
        let mut world = World::ready();
        assert_eq!(world.plan(&shop()).startable().count(), 1);
        world.edit(&busy, |body| {
            body["properties"]["provisioningState"] = json!("Updating")
        });
        let plan = world.plan(&shop());
        assert_eq!(
            (plan.startable().count(), plan.state),
            (0, Some(State::Waiting)),
            "{busy}: {plan}"
        );
        assert_eq!(plan.steps.len(), 1, "{busy}: {plan}");
    }
}

#[test]
fn a_failed_write_of_rules_is_written_again_and_not_waited_for_for_ever() {
    let mut world = World::ready();
    let group = world.our_group();
    world.edit(&group, |g| g["properties"]["provisioningState"] = json!("Failed"));
    assert_eq!(world.plan(&shop()).startable().count(), 0);
    world.rules_live(&[shop()]);
    assert_eq!(world.plan(&shop()).startable().count(), 1);
}

#[test]
fn wired_twice_is_no_step() {
    let world = World::wired();
    let contributions = world.contributions(&[shop()]);
    assert_eq!(world.plan(&shop()).steps.len(), 0);
    assert_eq!(world.plan_hub(&contributions).steps.len(), 0);
}

#[test]
fn an_upgrade_of_a_wired_cluster_leaves_it_wired() {
    let mut world = World::wired();
    world.edit(&shop(), |c| c["properties"]["provisioningState"] = json!("Updating"));
    assert_eq!(world.plan(&shop()).state, Some(State::Wired));
}

#[test]
fn what_only_the_switch_asks_is_not_asked_of_a_wired_cluster() {
    let mut world = World::wired();
    world.config = world::config("required_only");
    assert_eq!(world.plan(&shop()).state, Some(State::Wired));
}

#[test]
fn a_wired_cluster_that_lost_something_is_broken_and_not_prepared_or_waiting() {
    let cut: [(&str, Edit); 5] = [
        ("rules", |w| {
            let group = w.our_group();
            w.gone(&group);
        }),
        ("peering", |w| {
            w.edit(&hub_vnet(), |v| {
                v["properties"]["virtualNetworkPeerings"][0]["properties"]["peeringState"] = json!("Disconnected")
            });
        }),
        ("authorized ranges", |w| {
            w.edit(&shop(), |c| {
                c["properties"]["apiServerAccessProfile"] = json!({"authorizedIPRanges": ["198.51.100.7"]})
            });
        }),
        ("default route", |w| {
            let table = w.our_table("a");
            w.edit(&table, |t| {
                t["properties"]["routes"].as_array_mut().unwrap().remove(0);
            });
        }),
        ("dns proxy", |w| {
            w.edit(&policy(), |p| {
                p["properties"]["dnsSettings"]["enableProxy"] = json!(false)
            })
        }),
    ];
    for (what, cut) in cut {
        let mut world = World::wired();
        cut(&mut world);
        let plan = world.plan(&shop());
        assert_eq!(plan.state, Some(State::Broken), "{what}: {plan}");
    }
}

#[test]
fn giving_an_attached_table_its_default_route_back_waits_as_a_switch_does() {
    let mut world = World::wired();
    let table = world.our_table("a");
    world.edit(&table, |t| {
        t["properties"]["routes"].as_array_mut().unwrap().remove(0);
    });
    assert_eq!(
        world::steps(&world.plan(&shop())),
        ["route-hubward-default (startable)"]
    );
    let group = world.our_group();
    world.gone(&group);
    let plan = world.plan(&shop());
    assert_eq!(world::steps(&plan), ["route-hubward-default"]);
    assert!(plan.needs_hub());
}

#[test]
fn a_new_firewall_address_is_followed_at_once() {
    let mut world = World::wired();
    world.edit(&id("hub", "azureFirewalls/hub-firewall"), |f| {
        f["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"] = json!("10.0.0.5");
    });
    let plan = world.plan(&shop());
    assert_eq!(world::steps(&plan), ["route-hubward-default (startable)"], "{plan}");
    world.start(&plan);
    assert_eq!(world.plan(&shop()).state, Some(State::Wired));
}

#[test]
fn a_plan_is_the_same_for_the_same_estate_whatever_the_order_and_time_of_reading() {
    let mut world = World::fresh().with_cluster("a", "depot", "more");
    world.assigned(vec![json!({"name": "one"}), json!({"name": "two"})]);
    let text = |estate: &Estate| {
        let plan = World {
            estate: estate.clone(),
            ..world.clone()
        }
        .plan(&shop());
        (plan.id.clone(), plan)
    };
    let mut documents: Vec<_> = world.estate.iter().map(|(id, s)| (id.clone(), s.clone())).collect();
    documents.reverse();
    let (mut reversed, mut later) = (Estate::default(), Estate::default());
    for (id, snapshot) in documents {
        reversed.insert(id.clone(), snapshot.body.clone(), snapshot.read_at);
        later.insert(id, snapshot.body, snapshot.read_at + time::Duration::HOUR);
    }
    let subject = Subject::Spoke { cluster: shop() };
    for (listing, items) in world.estate.lists() {
        reversed.insert_list(&subject, listing.clone(), items.iter().rev().cloned().collect(), READ);
        later.insert_list(&subject, listing.clone(), items.to_vec(), READ + time::Duration::HOUR);
    }
    let bytes = |plan: &Plan| serde_json::to_string(plan).unwrap();
    assert_eq!(bytes(&text(&world.estate).1), bytes(&text(&reversed).1));
    assert_eq!(text(&world.estate).0, text(&later).0);
}

#[test]
fn a_cluster_or_a_network_that_was_not_read_is_not_called_absent() {
    let mut world = World::fresh();
    world.unread(&shop());
    let plan = world.plan(&shop());
    assert_eq!((plan.state, codes(&plan)), (Some(State::Waiting), vec![Code::NotRead]));
    let mut world = World::fresh();
    world.unread(&vnet("a"));
    let plan = world.plan(&shop());
    assert_eq!((plan.state, codes(&plan)), (Some(State::Failed), vec![Code::NotRead]));
}

#[test]
fn nothing_that_moves_traffic_can_start_while_a_document_was_not_read() {
    let all = World::ready();
    // A security group asks for the destination and not for the next hop: what it stops is the same before and after.
    let decides = |id: &&ResourceId| !id.is_type("Microsoft.Network/networkSecurityGroups");
    for unread in all.estate.iter().map(|(id, _)| id).filter(decides) {
        let mut world = all.clone();
        world.unread(unread);
        let plan = world.plan(&shop());
        assert_eq!(
            plan.startable().filter(|s| s.id.starts_with("switch")).count(),
            0,
            "{unread}: {plan}"
        );
    }
}

#[test]
fn a_network_outside_the_scope_is_never_written() {
    let mut world = World::fresh();
    world.config.scope.exclude = vec![vnet("a")];
    let plan = world.plan(&shop());
    assert_eq!((plan.steps.len(), codes(&plan)), (0, vec![Code::OutOfScope]));
}

#[test]
fn the_missing_side_of_a_disconnected_peering_is_not_written() {
    let mut world = World::wired();
    world.edit(&hub_vnet(), |v| v["properties"]["virtualNetworkPeerings"] = json!([]));
    world.edit(&vnet("a"), |v| {
        v["properties"]["virtualNetworkPeerings"][0]["properties"]["peeringState"] = json!("Disconnected")
    });
    let plan = world.plan(&shop());
    assert_eq!((plan.steps.len(), plan.state), (0, Some(State::Broken)), "{plan}");
}

#[test]
fn the_guard_refuses_a_switch_of_which_a_required_destination_is_not_allowed() {
    let mut world = World::ready();
    let deny = json!({
        "ruleType": "NetworkRule", "name": "no-time", "ipProtocols": ["UDP"], "sourceAddresses": ["*"],
        "destinationAddresses": ["*"], "destinationPorts": ["123"],
    });
    world.edit(&policy().child("ruleCollectionGroups", "company-baseline"), |g| {
        g["properties"]["ruleCollections"]
            .as_array_mut()
            .unwrap()
            .push(collection("ban", 500, "Deny", &[deny]));
    });
    let plan = world.plan(&shop());
    assert!(plan.steps.is_empty(), "{plan}");
    assert!(
        plan.findings
            .iter()
            .any(|f| f.code == Code::PlanRefused && f.message.contains("ntp.ubuntu.com")),
        "{plan}"
    );
}

#[test]
fn the_switch_of_a_shared_subnet_is_judged_for_the_neighbour_too() {
    let mut world = World::ready().with_cluster("a", "depot", "nodes");
    world.rules_live(&[shop(), cluster_id("a", "depot")]);
    let fqdn = "depot-abcd1234.hcp.westeurope.azmk8s.io";
    let deny = json!({
        "ruleType": "NetworkRule", "name": "no-depot", "ipProtocols": ["TCP"], "sourceAddresses": ["*"],
        "destinationFqdns": [fqdn], "destinationPorts": ["443"],
    });
    world.edit(&policy().child("ruleCollectionGroups", "company-baseline"), |g| {
        g["properties"]["ruleCollections"]
            .as_array_mut()
            .unwrap()
            .push(collection("ban", 500, "Deny", &[deny]));
    });
    let plan = world.plan(&shop());
    assert!(plan.steps.is_empty(), "{plan}");
    assert!(
        plan.findings.iter().any(|f| f.message.contains("REACH of depot")),
        "{plan}"
    );
}

// What a write is compared by

#[test]
fn kept_forgives_what_azure_adds_reorders_and_recases_and_nothing_else() {
    let sent =
        json!({"a": [{"name": "x", "v": 1}, {"name": "y", "v": 2}], "id": "/S/G", "e": [], "n": null, "f": false});
    let read =
        json!({"a": [{"name": "y", "v": 2, "etag": "1"}, {"name": "x", "v": 1}], "id": "/s/g", "f": false, "more": 1});
    assert!(kept(&sent, &read));
    for lost in [
        json!({"a": [{"name": "x", "v": 1}], "id": "/s/g", "f": false}),
        json!({"a": [{"name": "x", "v": 1}, {"name": "x", "v": 1}], "id": "/s/g", "f": false}),
        json!({"a": [{"name": "x", "v": 1}, {"name": "y", "v": 3}], "id": "/s/g", "f": false}),
        json!({"a": [{"name": "x", "v": 1}, {"name": "y", "v": 2}], "id": "/s/other", "f": false}),
        json!({"a": [{"name": "x", "v": 1}, {"name": "y", "v": 2}], "id": "/s/g"}),
    ] {
        assert!(!kept(&sent, &lost), "{lost}");
    }
}

#[test]
fn a_write_elsewhere_in_the_network_does_not_spoil_a_precondition() {
    let world = World::fresh();
    let subnet = world.estate.subnet(&nodes("a")).unwrap().body;
    let mut next = subnet.clone();
    next["etag"] = json!("W/\"another\"");
    next["properties"]["provisioningState"] = json!("Updating");
    next["properties"]["ipConfigurations"] = json!([{"id": "x"}]);
    assert_eq!(comparable(subnet), comparable(&next));
    next["properties"]["natGateway"] = json!({"id": "y"});
    assert_ne!(comparable(subnet), comparable(&next));
}

#[test]
fn a_step_on_a_subnet_that_was_read_on_its_own_is_seen_by_the_guard() {
    let mut world = World::ready();
    let own = world.estate.subnet(&nodes("a")).unwrap().body.clone();
    world
        .estate
        .insert(nodes("a"), Some(own), world::READ + time::Duration::MINUTE);
    let plan = world.plan(&shop());
    let next = after(&world.estate, plan.startable().next().unwrap());
    assert_eq!(
        next.subnet(&nodes("a")).unwrap().route_table(),
        Some(world.our_table("a"))
    );
}
