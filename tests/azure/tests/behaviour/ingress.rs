//! The way in: frontends of services, addresses of the firewall, DNAT between them, and the reply.

use crate::bench::{Answer, Bench};
use azure_sim::walk::{Inbound, Outcome, Protocol};
use azure_sim::{ClusterSpec, Exposure, PendingService, World};
use http::Method;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
/// The hub's NAT gateway.
const EGRESS: &str = "203.0.113.10";
/// The first further address of the firewall.
const INGRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 31);

fn bench() -> (Bench, ClusterSpec, String) {
    let mut bench = Bench::with(World::one_hub().with_ingress_addresses(2), 7);
    let spec = ClusterSpec::usual("shop", 1);
    let id = bench.azure.create_cluster(&spec, bench.now);
    settle(&mut bench);
    (bench, spec, id)
}

fn settle(bench: &mut Bench) {
    while let Some(next) = bench.azure.next_event() {
        bench.now = bench.now.max(next);
        bench.azure.advance(bench.now);
    }
}

fn enter(bench: &Bench, from: Ipv4Addr, to: Ipv4Addr) -> Result<String, String> {
    let packet = Inbound {
        client: from,
        to,
        port: 443,
        protocol: Protocol::Tcp,
    };
    match bench.azure.walk_inbound(&packet).outcome {
        Outcome::Reached { seen_from } => Ok(seen_from.to_string()),
        Outcome::Dropped { at, why } => Err(format!("{at}: {why}")),
    }
}

fn lost(bench: &Bench, from: Ipv4Addr, to: Ipv4Addr) -> String {
    enter(bench, from, to).expect_err("the packet must be lost")
}

/// Routes of a table on the node subnet: the default route to the firewall, with or without the return route.
fn attach_table(bench: &mut Bench, spec: &ClusterSpec, with_return: bool) {
    let subscription = bench.azure.world().subscription.clone();
    let mut routes = vec![json!({"name": "default", "properties": {
        "addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.0.4"
    }})];
    if with_return {
        routes.push(json!({"name": "return", "properties": {
            "addressPrefix": format!("{EGRESS}/32"), "nextHopType": "Internet"
        }}));
    }
    let table = bench.network("rg-shop", "routeTables/hub");
    bench.put_done(
        &table,
        json!({"location": "westeurope", "properties": {"routes": routes}}),
    );
    let subnet = spec.subnet_id(&subscription, "nodes");
    let mut body = bench.get(&subnet).body;
    body["properties"]["routeTable"] = json!({"id": table});
    bench.put_done(&subnet, body);
}

fn peer(bench: &mut Bench, spec: &ClusterSpec) {
    let hub = bench.azure.world().hub.virtual_network.clone();
    let spoke = spec.vnet_id(&bench.azure.world().subscription);
    for (from, to) in [(&spoke, &hub), (&hub, &spoke)] {
        let id = format!("{from}/virtualNetworkPeerings/hub-and-shop");
        bench.put_done(&id, crate::bench::peering_to(to));
    }
}

fn nat_rule(to: Ipv4Addr, target: Ipv4Addr, sources: &[&str]) -> Value {
    json!({
        "ruleType": "NatRule", "name": "shop-443", "ipProtocols": ["TCP"], "sourceAddresses": sources,
        "destinationAddresses": [to], "destinationPorts": ["443"], "translatedAddress": target, "translatedPort": "443"
    })
}

fn nat_group(rules: &[Value]) -> Value {
    json!({"properties": {"priority": 500, "ruleCollections": [{
        "ruleCollectionType": "FirewallPolicyNatRuleCollection", "name": "dnat", "priority": 500,
        "action": {"type": "DNAT"}, "rules": rules
    }]}})
}

fn put_rules(bench: &mut Bench, rules: &[Value]) -> Answer {
    let policy = bench.azure.world().hub.firewall_policy.clone();
    bench.put(&format!("{policy}/ruleCollectionGroups/ingress"), nat_group(rules))
}

fn open(bench: &mut Bench, target: Ipv4Addr, sources: &[&str]) {
    let answer = put_rules(bench, &[nat_rule(INGRESS, target, sources)]);
    assert_eq!(answer.status, 201, "{}", answer.body);
    bench.finish(&answer);
}

#[test]
fn a_public_service_is_a_frontend_with_rules_an_address_and_a_security_rule() {
    let (mut bench, spec, id) = bench();
    let address = bench.azure.expose(&id, &Exposure::public("web", &[80, 443])).unwrap();
    let group = spec.node_group_id(&bench.azure.world().subscription);
    let balancer = bench
        .azure
        .document(&format!("{group}/providers/Microsoft.Network/loadBalancers/kubernetes"));
    let properties = &balancer.unwrap()["properties"];
    assert_eq!(properties["frontendIPConfigurations"].as_array().unwrap().len(), 2);
    let rules: Vec<(u64, u64, bool)> = properties["loadBalancingRules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| &rule["properties"])
        .map(|rule| {
            let port = |field: &str| rule[field].as_u64().unwrap();
            (
                port("frontendPort"),
                port("backendPort"),
                rule["enableFloatingIP"] == true,
            )
        })
        .collect();
    assert_eq!(rules, [(80, 80, true), (443, 443, true)]);
    assert_eq!(enter(&bench, CLIENT, address), Ok(CLIENT.to_string()));
    let packet = Inbound {
        client: CLIENT,
        to: address,
        port: 22,
        protocol: Protocol::Tcp,
    };
    let other_port = bench.azure.walk_inbound(&packet).outcome;
    assert!(
        matches!(&other_port, Outcome::Dropped { why, .. } if why.contains("listens on TCP 22")),
        "{other_port:?}"
    );
    bench.azure.unexpose(&id, "web");
    assert!(
        lost(&bench, CLIENT, address).contains("stranger"),
        "its address is gone with it"
    );
}

#[test]
fn a_default_route_to_the_firewall_cuts_a_live_public_frontend() {
    let (mut bench, spec, id) = bench();
    let address = bench.azure.expose(&id, &Exposure::public("web", &[443])).unwrap();
    assert_eq!(enter(&bench, CLIENT, address), Ok(CLIENT.to_string()));
    attach_table(&mut bench, &spec, true);
    assert!(lost(&bench, CLIENT, address).contains("asymmetric"));
}

#[test]
fn dnat_to_a_public_frontend_is_seen_from_the_nat_gateway_and_needs_the_return_route() {
    for with_return in [true, false] {
        let (mut bench, spec, id) = bench();
        let address = bench.azure.expose(&id, &Exposure::public("web", &[443])).unwrap();
        peer(&mut bench, &spec);
        open(&mut bench, address, &["*"]);
        attach_table(&mut bench, &spec, with_return);
        let walked = enter(&bench, CLIENT, INGRESS);
        if with_return {
            assert_eq!(walked, Ok(EGRESS.to_owned()));
        } else {
            assert!(walked.unwrap_err().contains("asymmetric: the reply to 203.0.113.10"));
        }
    }
}

#[test]
fn dnat_to_an_internal_frontend_is_symmetric_without_the_return_route() {
    let (mut bench, spec, id) = bench();
    let address = bench
        .azure
        .expose(&id, &Exposure::internal("web", &[443], None))
        .unwrap();
    assert_eq!(
        address,
        Ipv4Addr::new(10, 1, 0, 7),
        "the first address after three nodes"
    );
    peer(&mut bench, &spec);
    open(&mut bench, address, &["*"]);
    attach_table(&mut bench, &spec, false);
    assert_eq!(enter(&bench, CLIENT, INGRESS), Ok("10.0.0.4".to_owned()));
    bench.azure.unexpose(&id, "web");
    assert!(lost(&bench, CLIENT, INGRESS).contains("nothing answers"));
}

#[test]
fn a_dnat_rule_takes_only_its_sources_and_only_its_address() {
    let (mut bench, spec, id) = bench();
    let address = bench.azure.expose(&id, &Exposure::public("web", &[443])).unwrap();
    peer(&mut bench, &spec);
    open(&mut bench, address, &["192.0.2.0/25"]);
    assert_eq!(enter(&bench, CLIENT, INGRESS), Ok(EGRESS.to_owned()));
    let stranger = Ipv4Addr::new(192, 0, 2, 200);
    assert!(lost(&bench, stranger, INGRESS).contains("no DNAT rule takes"));
    let other = Ipv4Addr::new(203, 0, 113, 32);
    assert!(lost(&bench, CLIENT, other).contains("no DNAT rule takes"));
}

#[test]
fn source_ranges_of_a_service_must_hold_the_nat_gateway() {
    let (mut bench, spec, id) = bench();
    peer(&mut bench, &spec);
    for (range, reached) in [("192.0.2.0/24", false), ("203.0.113.10/32", true)] {
        let service = Exposure {
            source_ranges: vec![range.to_owned()],
            ..Exposure::public("web", &[443])
        };
        let address = bench.azure.expose(&id, &service).unwrap();
        let answer = put_rules(&mut bench, &[nat_rule(INGRESS, address, &["*"])]);
        bench.finish(&answer);
        assert_eq!(enter(&bench, CLIENT, INGRESS).is_ok(), reached, "{range}");
    }
}

#[test]
fn a_given_address_needs_a_role_of_the_control_plane_and_stays_when_the_service_goes() {
    let (mut bench, _, id) = bench();
    bench.make_group("app");
    let address = bench.network("app", "publicIPAddresses/app");
    let service = Exposure::at("web", &[443], &address);
    assert!(matches!(
        bench.azure.expose(&id, &service),
        Err(PendingService::NoAddress { .. })
    ));
    let body = json!({
        "location": "westeurope", "sku": {"name": "Standard"}, "properties": {"publicIPAllocationMethod": "Static"}
    });
    bench.put_done(&address, body);
    assert!(matches!(
        bench.azure.expose(&id, &service),
        Err(PendingService::NoRights { .. })
    ));
    let principal = bench.azure.principal_of(&id).unwrap();
    bench.pass(300);
    let assignment = format!(
        "{}/providers/Microsoft.Authorization/roleAssignments/{}",
        bench.group("app"),
        uuid::Uuid::from_u128(7)
    );
    let role = "/providers/Microsoft.Authorization/roleDefinitions/4d97b98b-1d4f-4787-a291-c67834d212e7";
    let body = json!({"properties": {
        "roleDefinitionId": role, "principalId": principal, "principalType": "ServicePrincipal"
    }});
    let granted = bench.send(Method::PUT, &format!("{assignment}?api-version=2022-04-01"), Some(body));
    assert_eq!(granted.status, 201, "{}", granted.body);
    let reached = bench.azure.expose(&id, &service).unwrap();
    assert_eq!(enter(&bench, CLIENT, reached), Ok(CLIENT.to_string()));
    assert_eq!(bench.delete(&address).code(), "PublicIPAddressCannotBeDeleted");
    bench.azure.unexpose(&id, "web");
    assert!(lost(&bench, CLIENT, reached).contains("attached to nothing"));
    assert_eq!(bench.delete(&address).status, 202);
}

#[test]
fn a_subnet_with_an_internal_frontend_names_it() {
    let (mut bench, spec, id) = bench();
    bench
        .azure
        .expose(
            &id,
            &Exposure::internal("web", &[443], Some(Ipv4Addr::new(10, 1, 3, 9))),
        )
        .unwrap();
    let subnet = spec.subnet_id(&bench.azure.world().subscription, "nodes");
    let held = bench.get(&subnet).body["properties"]["ipConfigurations"].clone();
    assert!(
        held[0]["id"]
            .as_str()
            .unwrap()
            .contains("/loadBalancers/kubernetes-internal/")
    );
    let taken = Exposure::internal("other", &[443], Some(Ipv4Addr::new(10, 1, 3, 9)));
    assert!(matches!(
        bench.azure.expose(&id, &taken),
        Err(PendingService::NoPrivateAddress { .. })
    ));
}

#[test]
fn ingress_addresses_are_further_configurations_of_the_firewall_without_a_subnet() {
    let (bench, _, _) = bench();
    let hub = bench.azure.world().hub.clone();
    let firewall = bench.azure.document(&hub.firewall).unwrap();
    let configurations = firewall["properties"]["ipConfigurations"].as_array().unwrap();
    let names: Vec<&str> = configurations.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["hub", "ingress-1", "ingress-2"]);
    assert_eq!(configurations[1]["properties"].get("subnet"), None);
    let address = bench.azure.document(&hub.ingress_public_ips[0]).unwrap();
    assert_eq!(address["properties"]["ipAddress"], INGRESS.to_string());
    let holder = address["properties"]["ipConfiguration"]["id"].as_str().unwrap();
    assert!(holder.ends_with("/azureFirewallIpConfigurations/ingress-1"), "{holder}");
    assert!(World::one_hub().hub.ingress_public_ips.is_empty());
}

#[test]
fn attaching_a_further_address_is_a_full_update_of_minutes_on_the_firewall_lane() {
    let (mut bench, _, _) = bench();
    let hub = bench.azure.world().hub.clone();
    let extra = bench.network("hub", "publicIPAddresses/extra");
    let body = json!({
        "location": "westeurope", "sku": {"name": "Standard"}, "properties": {"publicIPAllocationMethod": "Static"}
    });
    let mut firewall = bench.get(&hub.firewall).body;
    let add = |firewall: &mut Value, name: &str, id: &str| {
        let configurations = firewall["properties"]["ipConfigurations"].as_array_mut().unwrap();
        configurations.push(json!({"name": name, "properties": {"publicIPAddress": {"id": id}}}));
    };
    add(&mut firewall, "extra", &extra);
    let missing = bench.put(&hub.firewall, firewall.clone());
    assert_eq!((missing.status, missing.code()), (400, "InvalidResourceReference"));
    bench.put_done(&extra, body);
    let started = bench.now;
    let answer = bench.put(&hub.firewall, firewall.clone());
    assert_eq!((answer.status, answer.state()), (200, "Updating"));
    let busy = put_rules(&mut bench, &[nat_rule(INGRESS, CLIENT, &["*"])]);
    assert_eq!(busy.code(), "FirewallPolicyUpdateNotAllowedWhenUpdatingOrDeleting");
    bench.finish(&answer);
    assert!((bench.now - started).whole_seconds() >= 180);
    assert_eq!(
        bench.get(&hub.firewall).body["properties"]["ipConfigurations"][3]["name"],
        "extra"
    );
    assert_eq!(bench.delete(&extra).code(), "PublicIPAddressCannotBeDeleted");

    let mut twice = firewall.clone();
    add(&mut twice, "again", &extra);
    assert_eq!(bench.put(&hub.firewall, twice).status, 400);
    let mut held = firewall.clone();
    add(&mut held, "held", &hub.egress_public_ip);
    assert_eq!(bench.put(&hub.firewall, held).code(), "PublicIPAddressInUse");
}

#[test]
fn an_address_that_dnat_names_cannot_leave_the_firewall() {
    let (mut bench, _, _) = bench();
    let hub = bench.azure.world().hub.clone();
    open(&mut bench, CLIENT, &["*"]);
    let mut fewer = bench.get(&hub.firewall).body;
    fewer["properties"]["ipConfigurations"]
        .as_array_mut()
        .unwrap()
        .remove(1);
    assert_eq!(bench.put(&hub.firewall, fewer.clone()).status, 500);
    let answer = put_rules(&mut bench, &[]);
    bench.finish(&answer);
    let answer = bench.put(&hub.firewall, fewer);
    assert_eq!(answer.status, 200, "{}", answer.body);
    bench.finish(&answer);
    assert_eq!(bench.delete(&hub.ingress_public_ips[0]).status, 202);
}

#[test]
fn dnat_rules_that_azure_cannot_take_are_refused() {
    let (mut bench, _, _) = bench();
    let good = nat_rule(INGRESS, CLIENT, &["*"]);
    let with = |field: &str, value: Value| {
        let mut rule = good.clone();
        rule[field] = value;
        rule
    };
    for (rule, code) in [
        (
            with("destinationPorts", json!(["80", "443"])),
            "FirewallPolicyNatRuleInvalidDnatMultipleDestinationPortsExists",
        ),
        (
            with("destinationPorts", json!(["64000"])),
            "FirewallPolicyRuleConditionInvalidPortOrRangeFormat",
        ),
        (with("ipProtocols", json!(["ICMP"])), "FirewallPolicyNatRuleInvalid"),
        (with("destinationAddresses", json!([])), "FirewallPolicyNatRuleInvalid"),
        (with("translatedAddress", json!("")), "FirewallPolicyNatRuleInvalid"),
        (with("translatedPort", json!("0")), "FirewallPolicyNatRuleInvalid"),
    ] {
        let refused = put_rules(&mut bench, &[rule]);
        assert_eq!((refused.status, refused.code()), (400, code));
    }
    assert_eq!(put_rules(&mut bench, &[good]).status, 201);
}
