//! Requirements of the packet walk: effective routes, peerings and egress addresses.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::routes::{NextHop, Origin, Route, choose};
use super::super::{DEFAULT_OUTBOUND_ADDRESS, Destination};
use super::world::{
    EGRESS, FIREWALL, FRONTEND, GATEWAY, HUB, INGRESS, POLICY, TABLE, TWO_OUTBOUND, World, cluster, drop, filter, ip,
    network_rule, public, seen, vnet,
};
use super::{lines, named};
use crate::documents::Documents;

#[test]
fn a_peering_that_is_not_connected_carries_nothing() {
    for side in [HUB.to_owned(), vnet("one")] {
        for (field, value) in [
            ("peeringState", json!("Disconnected")),
            ("peeringState", json!("Initiated")),
            ("allowVirtualNetworkAccess", json!(false)),
        ] {
            let mut world = World::wired();
            let pointer = format!("/properties/virtualNetworkPeerings/0/properties/{field}");
            world.set(&side, &pointer, value);
            let why = drop(&world.send(
                "one",
                Destination::Address(ip("52.99.0.1")),
                443,
                Some("partner.example"),
            ));
            assert!(why.contains("no network that is peered"), "{side} {field}: {why}");
        }
    }
}

#[test]
fn a_hub_link_that_is_out_of_sync_has_no_way_back() {
    let mut world = World::wired();
    let synced = "/properties/virtualNetworkPeerings/0/properties/remoteAddressSpace";
    world.set(HUB, synced, json!({"addressPrefixes": ["10.8.0.0/16"]}));
    // By address, so that it is the packet and not the DNS query that is lost.
    let walk = world.call_address("20.50.7.7");
    assert!(drop(&walk).contains("cannot return to 10.1.0.4"));
}

#[test]
fn a_stale_next_hop_drops() {
    let mut world = World::wired();
    world.set(
        TABLE,
        "/properties/routes/0/properties/nextHopIpAddress",
        json!("10.0.0.9"),
    );
    assert!(drop(&world.call("mcr.microsoft.com")).contains("no firewall's private address"));
}

#[test]
fn a_failed_firewall_passes_nothing_and_an_updating_one_does() {
    let mut world = World::wired();
    world.set(FIREWALL, "/properties/provisioningState", json!("Updating"));
    assert_eq!(seen(&world.call("mcr.microsoft.com")), EGRESS);
    world.set(FIREWALL, "/properties/provisioningState", json!("Failed"));
    assert!(drop(&world.call("mcr.microsoft.com")).contains("provisioningState is Failed"));
}

#[test]
fn with_several_addresses_the_nat_gateway_leaves_as_one_of_them() {
    let mut world = World::wired();
    let prefix = "/subscriptions/s/resourceGroups/hub/providers/Microsoft.Network/publicIPPrefixes/p";
    world.put(prefix, json!({"ipPrefix": "52.9.0.0/30"}));
    world.set(GATEWAY, "/properties/publicIpPrefixes", json!([{"id": prefix}]));
    let walk = world.call("mcr.microsoft.com");
    assert_eq!(seen(&walk), "52.9.0.0");
    assert!(lines(&walk).contains("one of 5"));
}

#[test]
fn without_nat_gateway_the_firewall_leaves_as_itself() {
    let mut world = World::wired();
    world.set(HUB, "/properties/subnets/0/properties/natGateway", Value::Null);
    assert_eq!(seen(&world.call("mcr.microsoft.com")), INGRESS);
}

#[test]
fn a_forced_tunnel_on_the_firewall_subnet_drops() {
    let mut world = World::wired();
    world.set(HUB, "/properties/subnets/0/properties/routeTable", json!({"id": TABLE}));
    assert!(drop(&world.call("mcr.microsoft.com")).contains("does not lead to Internet"));
}

#[test]
fn private_ranges_of_everything_stop_translation_of_network_rules() {
    let mut world = World::wired();
    world.set(POLICY, "/properties/snat", json!({"privateRanges": ["0.0.0.0/0"]}));
    assert!(drop(&world.call_address("20.50.7.7")).contains("not translated"));
    assert_eq!(seen(&world.call("partner.example")), EGRESS);
}

#[test]
fn an_unwired_spoke_leaves_by_its_load_balancer() {
    let world = World::wired();
    let walk = world.send("two", named("blocked.example"), 443, None);
    assert_eq!(seen(&walk), TWO_OUTBOUND);
}

#[test]
fn a_nat_gateway_on_the_subnet_supersedes_the_load_balancer() {
    let mut world = World::wired();
    world.set(
        &vnet("two"),
        "/properties/subnets/0/properties/natGateway",
        json!({"id": GATEWAY}),
    );
    assert_eq!(seen(&world.send("two", named("blocked.example"), 443, None)), EGRESS);
}

#[test]
fn an_empty_table_leaks_by_default_outbound_access() {
    let mut world = World::wired();
    world.set(TABLE, "/properties/routes", json!([]));
    world.set(
        &cluster("one"),
        "/properties/networkProfile/outboundType",
        json!("userDefinedRouting"),
    );
    assert_eq!(
        seen(&world.call("mcr.microsoft.com")),
        DEFAULT_OUTBOUND_ADDRESS.to_string()
    );
    world.set(
        &vnet("one"),
        "/properties/subnets/0/properties/defaultOutboundAccess",
        json!(false),
    );
    assert!(drop(&world.call("mcr.microsoft.com")).contains("private"));
}

#[test]
fn a_more_specific_route_leaks_past_the_firewall() {
    let mut world = World::wired();
    let route = json!({"name": "leak", "properties": {"addressPrefix": "52.99.0.0/16", "nextHopType": "Internet"}});
    world.set(TABLE, "/properties/routes/1", route);
    assert_eq!(seen(&world.call("blocked.example")), FRONTEND);
}

#[test]
fn a_service_endpoint_bypasses_the_firewall() {
    let mut world = World::wired();
    let endpoints = json!([{"service": "Microsoft.Storage"}]);
    world.set(
        &vnet("one"),
        "/properties/subnets/0/properties/serviceEndpoints",
        endpoints,
    );
    assert_eq!(seen(&world.call_address("20.70.1.1")), "10.1.0.4");
}

#[test]
fn private_addresses_without_a_network_go_nowhere() {
    let world = World::wired();
    let walk = world.send("two", Destination::Address(ip("10.77.0.1")), 443, None);
    assert!(drop(&walk).contains("drops the packet"));
}

#[test]
fn spokes_talk_through_the_firewall_only_if_both_route_and_take_forwarded_traffic() {
    let mut world = World::wired();
    let rule = network_rule("east-west", &["*"], json!({"destinationAddresses": ["10.0.0.0/8"]}));
    world.rule_group(POLICY, "ew", 300, json!([filter("ew", 100, "Allow", json!([rule]))]));
    let to_two = Destination::Address(ip("10.2.0.4"));
    assert!(drop(&world.send("one", to_two.clone(), 443, None)).contains("asymmetric"));
    world.set(
        &vnet("two"),
        "/properties/subnets/0/properties/routeTable",
        json!({"id": TABLE}),
    );
    assert_eq!(seen(&world.send("one", to_two.clone(), 443, None)), "10.1.0.4");
    let forwarded = "/properties/virtualNetworkPeerings/0/properties/allowForwardedTraffic";
    world.set(&vnet("two"), forwarded, json!(false));
    assert!(drop(&world.send("one", to_two, 443, None)).contains("forwarded traffic"));
}

#[test]
fn with_two_firewall_addresses_and_no_nat_gateway_one_is_named() {
    let mut world = World::wired();
    world.put(&public("more"), json!({"ipAddress": "52.10.0.9"}));
    world.set(HUB, "/properties/subnets/0/properties/natGateway", Value::Null);
    let first = world.get(FIREWALL).unwrap()["properties"]["ipConfigurations"][0].clone();
    let second = json!({"name": "more", "properties": {"publicIPAddress": {"id": public("more")}}});
    world.set(FIREWALL, "/properties/ipConfigurations", json!([first, second]));
    let walk = world.call("mcr.microsoft.com");
    assert_eq!(seen(&walk), INGRESS);
    assert!(lines(&walk).contains("one of 2"));
}

fn any_route() -> impl Strategy<Value = Route> {
    // Few distinct bits, so that prefixes nest and collide often.
    let origin = prop_oneof![
        Just(Origin::Default),
        Just(Origin::Peering),
        Just(Origin::Network),
        Just(Origin::User),
    ];
    (0u32..16, 0u8..=32, origin).prop_map(|(bits, length, origin)| Route {
        prefix: Ipv4Net::new(Ipv4Addr::from(bits << 28 | bits), length).unwrap().trunc(),
        hop: NextHop::Internet,
        origin,
        from: String::new(),
    })
}

proptest! {
    #[test]
    fn the_chosen_route_is_the_longest_then_strongest(
        routes in proptest::collection::vec(any_route(), 0..24),
        bits in 0u32..16,
    ) {
        let address = bits << 28 | bits;
        let mut expected = None;
        'lengths: for length in (0..=32u32).rev() {
            for origin in [Origin::User, Origin::Network, Origin::Peering, Origin::Default] {
                let shift = 32 - length;
                let matched = routes.iter().any(|route| {
                    let network = u64::from(u32::from(route.prefix.network()));
                    u32::from(route.prefix.prefix_len()) == length
                        && route.origin == origin
                        && network >> shift == u64::from(address) >> shift
                });
                if matched {
                    expected = Some((length, origin));
                    break 'lengths;
                }
            }
        }
        let chosen = choose(&routes, Ipv4Addr::from(address))
            .map(|route| (u32::from(route.prefix.prefix_len()), route.origin));
        prop_assert_eq!(chosen, expected);
    }
}

#[test]
fn azures_routes_to_none_go_with_its_default_route() {
    let mut world = World::wired();
    let private = || Destination::Address(ip("10.77.0.1"));
    assert!(drop(&world.send("two", private(), 443, None)).contains("drops the packet"));
    assert!(drop(&world.send("one", private(), 443, None)).contains("no rule allows"));
    world.set(TABLE, "/properties/routes/0/properties/nextHopType", json!("Internet"));
    assert!(drop(&world.send("one", private(), 443, None)).contains("no private address"));
}
