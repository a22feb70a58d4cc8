//! The two judgements in worlds that leak, hide something or are read late, in one way each.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use hubward_core::blueprint::requirements;
use hubward_core::ids::ResourceId;
use hubward_core::proof::{Judgement, egress, reach};
use serde_json::{Value, json};
use time::Duration;
use world::{READ, World, collection, https_rule, hub_vnet, id, nodes, policy, shop, vnet};

type Edit = fn(&mut World);

#[test]
fn egress_is_broken_by_every_way_out_beside_the_firewall() {
    let leaks: [(&str, Edit, &str); 9] = [
        (
            "another route to the internet",
            |w| add_route(w, "8.8.8.0/24", "Internet", None),
            "8.8.8.0",
        ),
        (
            "a wide route to the internet beside the narrow one",
            |w| add_route(w, "128.0.0.0/1", "Internet", None),
            "128.0.0.0",
        ),
        (
            "a route to another appliance",
            |w| add_route(w, "9.9.9.9/32", "VirtualAppliance", Some("10.0.3.4")),
            "9.9.9.9",
        ),
        (
            "the table detached",
            |w| w.edit_subnet("a", "nodes", |s| s["properties"]["routeTable"] = Value::Null),
            "0.0.0.0",
        ),
        (
            "a wrong next hop",
            |w| {
                let table = w.our_table("a");
                w.edit(&table, |t| {
                    t["properties"]["routes"][0]["properties"]["nextHopIpAddress"] = json!("10.0.0.5")
                });
            },
            "0.0.0.0",
        ),
        (
            "nodes with public addresses",
            |w| {
                w.edit(&shop(), |c| {
                    c["properties"]["agentPoolProfiles"][0]["enableNodePublicIP"] = json!(true)
                })
            },
            "public",
        ),
        (
            "a service endpoint",
            |w| {
                w.edit_subnet("a", "nodes", |s| {
                    s["properties"]["serviceEndpoints"] =
                        json!([{"service": "Microsoft.Storage", "locations": ["westeurope"]}]);
                })
            },
            "Microsoft.Storage",
        ),
        (
            "two IP families",
            |w| {
                w.edit(&shop(), |c| {
                    c["properties"]["networkProfile"]["ipFamilies"] = json!(["IPv4", "IPv6"])
                })
            },
            "IPv6",
        ),
        (
            "a table on the firewall's subnet that leads around the NAT gateway",
            |w| {
                firewall_table(
                    w,
                    Some(json!({"properties": {"routes": [
                {"name": "x", "properties": {"addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.9.9"}}]}})),
                );
            },
            "0.0.0.0",
        ),
    ];
    for (what, leak, destination) in leaks {
        let mut world = World::wired();
        leak(&mut world);
        match judge(&world).0 {
            Judgement::Broken { counter } => assert!(counter.destination.contains(destination), "{what}: {counter:?}"),
            other @ (Judgement::Holds { .. } | Judgement::Unknown { .. }) => panic!("{what}: {other}"),
        }
    }
}

#[test]
fn egress_is_unknown_when_something_was_not_read_or_cannot_be_read() {
    let gaps: [(&str, Edit); 11] = [
        ("the route table was not read", |w| {
            let table = w.our_table("a");
            w.unread(&table);
        }),
        ("the network was not read", |w| w.unread(&vnet("a"))),
        ("a route by service tag", |w| {
            add_route(w, "Storage.WestEurope", "Internet", None)
        }),
        ("routes that a gateway announces", |w| {
            w.edit(&vnet("a"), |v| {
                v["properties"]["virtualNetworkPeerings"][0]["properties"]["useRemoteGateways"] = json!(true);
            })
        }),
        ("a gateway of the spoke", |w| {
            w.edit(&vnet("a"), |v| {
                v["properties"]["subnets"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"name": "GatewaySubnet", "properties": {"addressPrefix": "10.1.255.0/27"}}));
            })
        }),
        ("nodes that provision themselves", |w| {
            w.edit(&shop(), |c| {
                c["properties"]["nodeProvisioningProfile"] = json!({"mode": "Auto"})
            })
        }),
        ("no pools", |w| {
            w.edit(&shop(), |c| c["properties"]["agentPoolProfiles"] = json!([]))
        }),
        ("the peering is gone", |w| {
            w.edit(&vnet("a"), |v| v["properties"]["virtualNetworkPeerings"] = json!([]))
        }),
        ("the table of the firewall's subnet was not read", |w| {
            firewall_table(w, None)
        }),
        ("a gateway of the hub", |w| hub_gateway(w)),
        ("a gateway that the hub uses", |w| {
            w.edit(&hub_vnet(), |v| {
                v["properties"]["virtualNetworkPeerings"][0]["properties"]["useRemoteGateways"] = json!(true);
            })
        }),
    ];
    for (what, gap) in gaps {
        let mut world = World::wired();
        gap(&mut world);
        let judgement = judge(&world).0;
        assert_eq!(judgement.word(), "unknown", "{what}: {judgement}");
    }
}

#[test]
fn gateway_routes_do_not_matter_where_the_table_refuses_them() {
    let mut world = World::wired();
    world.edit(&vnet("a"), |v| {
        v["properties"]["virtualNetworkPeerings"][0]["properties"]["useRemoteGateways"] = json!(true)
    });
    let table = world.our_table("a");
    world.edit(&table, |t| t["properties"]["disableBgpRoutePropagation"] = json!(true));
    assert!(judge(&world).0.holds(), "{}", judge(&world).0);
}

#[test]
fn gateway_routes_of_the_hub_do_not_matter_where_the_firewalls_table_refuses_them() {
    let mut world = World::wired();
    hub_gateway(&mut world);
    let judgement = judge(&world).0;
    assert!(
        judgement.to_string().contains("announces to AzureFirewallSubnet"),
        "{judgement}"
    );
    let table = |refuses: bool| {
        Some(json!({"properties": {"disableBgpRoutePropagation": refuses, "routes": [
            {"name": "x", "properties": {"addressPrefix": "0.0.0.0/0", "nextHopType": "Internet"}}]}}))
    };
    for (refuses, word) in [(false, "unknown"), (true, "holds")] {
        firewall_table(&mut world, table(refuses));
        assert_eq!(judge(&world).0.word(), word, "{}", judge(&world).0);
    }
}

#[test]
fn filters_with_lists_that_nobody_can_read_are_named_and_turn_nothing_unknown() {
    let mut world = World::wired();
    assert!(!judge(&world).1.to_string().contains("not judged"));
    world.edit(&policy(), |p| {
        p["properties"]["threatIntelMode"] = json!("Deny");
        p["properties"]["intrusionDetection"] = json!({"mode": "Deny"});
    });
    let reach = judge(&world).1;
    assert!(reach.holds(), "{reach}");
    assert!(
        reach
            .to_string()
            .contains("not judged: what threat intelligence and intrusion detection denies"),
        "{reach}"
    );
}

#[test]
fn private_routes_of_the_owner_break_neither_promise() {
    for (prefix, kind, hop) in [
        ("10.0.0.0/8", "VirtualAppliance", Some("10.0.3.4")),
        ("192.168.0.0/16", "VirtualNetworkGateway", None),
        ("172.16.0.0/12", "None", None),
    ] {
        let mut world = World::wired();
        add_route(&mut world, prefix, kind, hop);
        let (egress, reach) = judge(&world);
        assert!(egress.holds() && reach.holds(), "{prefix}: {egress}; {reach}");
    }
}

#[test]
fn a_firewall_subnet_whose_table_leads_to_the_internet_keeps_the_promise() {
    let mut world = World::wired();
    firewall_table(
        &mut world,
        Some(json!({"properties": {"routes": [
        {"name": "x", "properties": {"addressPrefix": "0.0.0.0/0", "nextHopType": "Internet"}}]}})),
    );
    assert!(judge(&world).0.holds());
}

#[test]
fn holds_rests_on_the_oldest_document() {
    let ids: Vec<ResourceId> = World::wired().estate.iter().map(|(id, _)| id.clone()).collect();
    for old in ids {
        let mut world = World::wired();
        let body = world.estate.get(&old).cloned();
        world.estate.insert(old.clone(), body, READ - Duration::DAY);
        for judgement in <[Judgement; 2]>::from(judge(&world)) {
            match judgement {
                Judgement::Holds { oldest_read, .. } => assert_eq!(oldest_read, READ - Duration::DAY, "{old}"),
                other @ (Judgement::Unknown { .. } | Judgement::Broken { .. }) => panic!("{old}: {other}"),
            }
        }
    }
}

#[test]
fn nothing_holds_without_the_document_it_rests_on() {
    let world = World::wired();
    let contribution = world.contribution(&shop());
    let facts = world.facts();
    let hub = world.hub_config();
    let wanted = requirements(&contribution, hub);
    let needed_by_reach = [
        vnet("a"),
        hub_vnet(),
        world.our_table("a"),
        policy(),
        world.our_group(),
        policy().child("ruleCollectionGroups", "company-baseline"),
        hub.firewall.clone(),
    ];
    for unread in needed_by_reach {
        let mut world = world.clone();
        world.unread(&unread);
        let cluster = world.estate.cluster(&shop()).unwrap();
        let judgement = reach(&world.estate, hub, &facts, &cluster, &wanted);
        assert!(!judgement.holds(), "{unread}: {judgement}");
    }
    for unread in [vnet("a"), hub_vnet(), world.our_table("a"), hub.firewall.clone()] {
        let mut world = world.clone();
        world.unread(&unread);
        let cluster = world.estate.cluster(&shop()).unwrap();
        let judgement = egress(&world.estate, hub, &facts, &cluster);
        assert!(!judgement.holds(), "{unread}: {judgement}");
    }
}

#[test]
fn reach_is_lost_by_a_route_that_drops_a_part_of_the_internet() {
    let mut world = World::wired();
    add_route(&mut world, "20.0.0.0/8", "None", None);
    assert_eq!(judge(&world).1.word(), "broken");
}

#[test]
fn rules_of_a_group_that_is_being_written_prove_nothing() {
    let mut world = World::wired();
    let group = policy().child("ruleCollectionGroups", "company-baseline");
    world.edit(&group, |g| g["properties"]["provisioningState"] = json!("Updating"));
    assert_eq!(judge(&world).1.word(), "unknown");
}

#[test]
fn the_parent_policy_is_asked_before_the_child_and_network_rules_before_application_rules() {
    let mut world = World::wired();
    let parent = id("hub", "firewallPolicies/parent");
    let group = parent.child("ruleCollectionGroups", "last-in-number");
    world.edit(&policy(), |p| {
        p["properties"]["basePolicy"] = json!({"id": parent.as_str()})
    });
    world.put(&parent, json!({"name": "parent", "properties": {"provisioningState": "Succeeded", "ruleCollectionGroups": [{"id": group.as_str()}]}}));
    let with = |world: &World, rules: Value| {
        let mut world = world.clone();
        world.put(&group, json!({"name": "g", "properties": {"provisioningState": "Succeeded", "priority": 65000, "ruleCollections": [rules]}}));
        judge(&world).1
    };
    let deny = https_rule("ban", &["*"], &["mcr.microsoft.com"]);
    assert_eq!(
        with(&world, collection("c", 65000, "Deny", std::slice::from_ref(&deny))).word(),
        "broken"
    );
    assert_eq!(with(&world, collection("c", 65000, "Allow", &[deny])).word(), "holds");
    let network = json!({"ruleType": "NetworkRule", "name": "n", "ipProtocols": ["TCP"], "sourceAddresses": ["*"], "destinationAddresses": ["*"], "destinationPorts": ["443"]});
    assert_eq!(
        with(&world, collection("c", 65000, "Deny", &[network])).word(),
        "broken"
    );
    world.unread(&parent);
    assert_eq!(judge(&world).1.word(), "unknown");
}

fn judge(world: &World) -> (Judgement, Judgement) {
    let hub = world.hub_config();
    let facts = world.facts();
    let cluster = world.estate.cluster(&shop()).unwrap();
    let contribution = World::wired().contribution(&shop());
    let wanted = requirements(&contribution, hub);
    (
        egress(&world.estate, hub, &facts, &cluster),
        reach(&world.estate, hub, &facts, &cluster, &wanted),
    )
}

fn add_route(world: &mut World, prefix: &str, kind: &str, hop: Option<&str>) {
    let table = world.our_table("a");
    assert_eq!(
        world.estate.subnet(&nodes("a")).unwrap().route_table().as_ref(),
        Some(&table)
    );
    world.edit(&table, |t| {
        let mut properties = json!({"addressPrefix": prefix, "nextHopType": kind});
        if let Some(hop) = hop {
            properties["nextHopIpAddress"] = json!(hop);
        }
        t["properties"]["routes"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": "by-hand", "properties": properties}));
    });
}

fn hub_gateway(world: &mut World) {
    world.edit(&hub_vnet(), |v| {
        v["properties"]["subnets"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": "GatewaySubnet", "properties": {"addressPrefix": "10.0.255.0/27"}}));
    });
}

/// Gives the firewall's subnet a route table; `None` is one that was not read.
fn firewall_table(world: &mut World, body: Option<Value>) {
    let table = id("hub", "routeTables/firewall-routes");
    if let Some(body) = body {
        world.put(&table, body);
    }
    world.edit(&hub_vnet(), |v| {
        v["properties"]["subnets"][0]["properties"]["routeTable"] = json!({"id": table.as_str()})
    });
}
