//! Kubenet: the table that the node subnets carry holds a route per node, cannot be exchanged, and is led to the hub by two routes
//! of ours in it. Giving it the default route is the switch.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use hubward_core::finding::{Code, Severity};
use hubward_core::ids::ResourceId;
use hubward_core::plan::{AcceptedLoss, Plan, State, Wait};
use serde_json::{Value, json};
use world::{EGRESS_IP, FIREWALL_IP, World, cluster_id, codes, id, nodes, shop, steps, vnet};

/// The table that AKS made in the cluster's node resource group.
fn table() -> ResourceId {
    id("MC_a_shop_westeurope", "routeTables/aks-agentpool-12345678-routetable")
}

fn node_route(number: usize) -> Value {
    json!({
        "name": format!("aks-system-12345678-vmss{number:06}____10244{number}024"),
        "properties": {
            "provisioningState": "Succeeded", "addressPrefix": format!("10.244.{}.0/24", number % 256),
            "nextHopType": "VirtualAppliance", "nextHopIpAddress": format!("10.1.0.{}", 4 + number % 200),
        },
    })
}

/// The cluster `shop` as kubenet, with the routes of three nodes.
fn fresh() -> World {
    let mut world = World::fresh();
    world.edit(&shop(), |c| {
        c["properties"]["networkProfile"]["networkPlugin"] = json!("kubenet");
        c["properties"]["networkProfile"]["podCidr"] = json!("10.244.0.0/16");
        c["properties"]["networkProfile"]["podCidrs"] = json!(["10.244.0.0/16"]);
    });
    world.put(
        &table(),
        json!({
            "id": table().as_str(), "name": table().name(), "location": "westeurope",
            "properties": {
                "provisioningState": "Succeeded", "disableBgpRoutePropagation": false,
                "routes": [node_route(0), node_route(1), node_route(2)],
                "subnets": [{"id": nodes("a").as_str()}],
            },
        }),
    );
    world.edit_subnet("a", "nodes", |s| {
        s["properties"]["routeTable"] = json!({"id": table().as_str()})
    });
    world
}

/// Everything done but the switch.
fn ready() -> World {
    let mut world = fresh();
    world.prepare(&[shop()]);
    world
}

fn routes(world: &World) -> Vec<Value> {
    world.estate.get(&table()).unwrap()["properties"]["routes"]
        .as_array()
        .unwrap()
        .clone()
}

fn blocked(plan: &Plan, code: Code) {
    assert!(
        plan.findings.iter().any(|f| f.code == code && f.is_blocking()),
        "{plan}"
    );
    assert!(
        !steps(plan).contains(&"route-hubward-default (startable)".to_owned()),
        "{plan}"
    );
}

#[test]
fn a_fresh_kubenet_cluster() {
    insta::assert_snapshot!(fresh().plan(&shop()));
}

#[test]
fn the_default_route_in_the_attached_table_is_the_switch() {
    let world = ready();
    let plan = world.plan(&shop());
    assert_eq!(steps(&plan), ["route-hubward-default (startable)"]);
    let step = &plan.steps[0];
    assert_eq!(step.accepts, [AcceptedLoss::OpenConnections, AcceptedLoss::NotInRules]);
    assert_eq!(step.target, table().child("routes", "hubward-default"));
    assert_eq!(step.body["properties"]["nextHopIpAddress"], FIREWALL_IP);
}

#[test]
fn a_wired_kubenet_cluster_is_proven_and_every_route_of_aks_is_as_it_was() {
    let mut world = fresh();
    let before = routes(&world);
    world.wire(&shop());
    let plan = world.plan(&shop());
    assert_eq!((plan.state, plan.steps.len()), (Some(State::Wired), 0), "{plan}");
    let proof = plan.proof.unwrap();
    assert!(proof.egress.holds() && proof.reach.holds());
    let after = routes(&world);
    assert_eq!(after[..before.len()], before[..]);
    let ours: Vec<&Value> = after[before.len()..].iter().map(|r| &r["name"]).collect();
    assert_eq!(ours, ["hubward-return", "hubward-default"]);
    assert_eq!(after[3]["properties"]["addressPrefix"], format!("{EGRESS_IP}/32"));
    let attached = world.estate.subnet(&nodes("a")).unwrap().route_table();
    assert_eq!(attached, Some(table()));
}

#[test]
fn no_step_makes_attaches_or_replaces_a_table() {
    let plan = fresh().plan(&shop());
    let written = [
        "Microsoft.Network/routeTables/routes",
        "Microsoft.Network/virtualNetworks/virtualNetworkPeerings",
        "Microsoft.Authorization/roleAssignments",
    ];
    let is_one = |id: &ResourceId| written.iter().any(|kind| id.is_type(kind));
    assert!(plan.steps.iter().all(|s| is_one(&s.target)), "{plan}");
}

#[test]
fn routes_of_nodes_that_come_and_go_are_no_work_of_ours() {
    let mut world = fresh();
    world.wire(&shop());
    world.edit(&table(), |t| {
        let routes = t["properties"]["routes"].as_array_mut().unwrap();
        routes.remove(0);
        routes.push(node_route(7));
    });
    let plan = world.plan(&shop());
    assert_eq!((plan.state, plan.steps.len()), (Some(State::Wired), 0), "{plan}");
}

#[test]
fn a_lost_default_route_is_a_switch_again_and_waits_for_every_gate() {
    let mut world = fresh();
    world.wire(&shop());
    world.edit(&table(), |t| {
        let routes = t["properties"]["routes"].as_array_mut().unwrap();
        routes.retain(|r| r["name"] != "hubward-default");
    });
    assert_eq!(steps(&world.plan(&shop())), ["route-hubward-default (startable)"]);
    world.edit(&shop(), |c| {
        c["properties"]["apiServerAccessProfile"] = json!({"authorizedIPRanges": ["192.0.2.0/24"]});
    });
    blocked(&world.plan(&shop()), Code::AuthorizedRangesLackEgress);
}

#[test]
fn the_whole_switch_waits_while_aks_writes_its_table() {
    let mut world = ready();
    world.state(&table(), "Updating");
    let plan = world.plan(&shop());
    assert_eq!(
        (plan.state, plan.startable().count()),
        (Some(State::Waiting), 0),
        "{plan}"
    );
    assert!(plan.waits.contains(&Wait::AtRest { id: table() }));
}

#[test]
fn a_table_that_aks_has_not_made_yet_is_waited_for_and_later_missed() {
    let mut world = fresh();
    world.edit_subnet("a", "nodes", |s| s["properties"]["routeTable"] = Value::Null);
    world.state(&shop(), "Creating");
    let plan = world.plan(&shop());
    assert_eq!(plan.state, Some(State::Waiting));
    assert_eq!(
        plan.waits,
        [Wait::Cluster {
            state: "Creating".to_owned()
        }]
    );
    world.state(&shop(), "Succeeded");
    let plan = world.plan(&shop());
    assert_eq!(
        (plan.state, codes(&plan)),
        (Some(State::Failed), vec![Code::KubenetRouteTable])
    );
}

#[test]
fn a_node_subnet_that_lost_its_table_is_told_and_not_given_one() {
    let mut world = fresh();
    world.edit(&shop(), |c| {
        let mut second = c["properties"]["agentPoolProfiles"][0].clone();
        second["name"] = json!("second");
        second["vnetSubnetID"] = json!(vnet("a").child("subnets", "more").as_str());
        c["properties"]["agentPoolProfiles"]
            .as_array_mut()
            .unwrap()
            .push(second);
    });
    world.prepare(&[shop()]);
    let plan = world.plan(&shop());
    blocked(&plan, Code::KubenetRouteTable);
    assert_eq!(
        (plan.state, plan.startable().count()),
        (Some(State::Prepared), 0),
        "{plan}"
    );
    world.edit_subnet("a", "more", |s| {
        s["properties"]["routeTable"] = json!({"id": table().as_str()})
    });
    world.wire(&shop());
    assert_eq!(world.plan(&shop()).state, Some(State::Wired));
}

#[test]
fn a_table_that_another_clusters_subnet_carries_is_not_switched() {
    let mut world = ready().with_cluster("a", "other", "more");
    world.edit_subnet("a", "more", |s| {
        s["properties"]["routeTable"] = json!({"id": table().as_str()})
    });
    world.rules_live(&[shop(), cluster_id("a", "other")]);
    let plan = world.plan(&shop());
    blocked(&plan, Code::RouteTableShared);
    let finding = plan.findings.iter().find(|f| f.code == Code::RouteTableShared).unwrap();
    assert!(
        finding
            .message
            .contains("the subnet more of a-vnet, of the cluster other"),
        "{plan}"
    );
}

#[test]
fn a_table_on_a_subnet_of_another_network_is_not_switched() {
    let mut world = ready();
    world.edit(&table(), |t| {
        let stranger = json!({"id": vnet("z").child("subnets", "vms").as_str()});
        t["properties"]["subnets"].as_array_mut().unwrap().push(stranger);
    });
    blocked(&world.plan(&shop()), Code::RouteTableShared);
}

#[test]
fn somebodys_default_route_stops_the_switch_and_is_left_alone() {
    for kind in ["Internet", "VirtualAppliance"] {
        let mut world = ready();
        world.edit(&table(), |t| {
            let theirs = json!({"name": "to-proxy", "properties": {
                "addressPrefix": "0.0.0.0/0", "nextHopType": kind, "nextHopIpAddress": "10.9.9.9"}});
            t["properties"]["routes"].as_array_mut().unwrap().push(theirs);
        });
        let plan = world.plan(&shop());
        blocked(&plan, Code::ForeignRouteTable);
        assert_eq!((plan.state, plan.steps.len()), (Some(State::Prepared), 0), "{plan}");
    }
}

#[test]
fn somebodys_default_route_to_the_firewall_is_used() {
    let mut world = fresh();
    world.edit(&table(), |t| {
        let theirs = json!({"name": "to-firewall", "properties": {
            "addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance", "nextHopIpAddress": FIREWALL_IP}});
        t["properties"]["routes"].as_array_mut().unwrap().push(theirs);
    });
    world.wire(&shop());
    let plan = world.plan(&shop());
    assert_eq!((plan.state, plan.steps.len()), (Some(State::Wired), 0), "{plan}");
    assert!(!routes(&world).iter().any(|r| r["name"] == "hubward-default"));
}

#[test]
fn a_table_takes_no_more_than_four_hundred_routes() {
    let full = |nodes: usize| {
        let mut world = ready();
        world.edit(&table(), |t| {
            t["properties"]["routes"] = (0..nodes).map(node_route).collect();
        });
        world.plan(&shop())
    };
    assert!(!codes(&full(398)).contains(&Code::RouteTableFull));
    blocked(&full(399), Code::RouteTableFull);
}

#[test]
fn an_autoscaler_that_may_outgrow_the_table_is_told_and_stops_nothing() {
    let mut world = ready();
    world.edit(&shop(), |c| {
        let pool = &mut c["properties"]["agentPoolProfiles"][0];
        pool["enableAutoScaling"] = json!(true);
        pool["maxCount"] = json!(399);
    });
    let plan = world.plan(&shop());
    let finding = plan.findings.iter().find(|f| f.code == Code::RouteTableFull).unwrap();
    assert_eq!(finding.severity, Severity::Warning);
    assert_eq!(steps(&plan), ["route-hubward-default (startable)"]);
}

#[test]
fn pods_whose_addresses_the_hub_has_too_are_not_switched() {
    let mut world = ready();
    world.edit(&shop(), |c| {
        c["properties"]["networkProfile"]["podCidr"] = json!("10.0.0.0/17");
    });
    blocked(&world.plan(&shop()), Code::PodAddressOverlap);
}

#[test]
fn pods_whose_addresses_a_peer_of_the_hub_has_are_told() {
    let mut world = ready();
    world.edit(&world::hub_vnet(), |hub| {
        let peering = json!({"name": "to-datacenter", "properties": {
            "provisioningState": "Succeeded", "peeringState": "Connected", "peeringSyncLevel": "FullyInSync",
            "remoteVirtualNetwork": {"id": vnet("z").as_str()},
            "remoteAddressSpace": {"addressPrefixes": ["10.244.8.0/24"]}}});
        hub["properties"]["virtualNetworkPeerings"]
            .as_array_mut()
            .unwrap()
            .push(peering);
    });
    let plan = world.plan(&shop());
    assert!(codes(&plan).contains(&Code::PodAddressOverlap));
    assert_eq!(steps(&plan), ["route-hubward-default (startable)"]);
}
