//! Requirements of the packet walk: the whole way, names and borders; the parts are in the modules below.

mod inbound;
mod routing;
mod rules;
mod world;

use serde_json::json;

use super::*;
use world::{EGRESS, HUB, INGRESS, POLICY, TABLE, World, cluster, drop, filter, seen, subnet, vnet};

/// Our rule collection group in the test estate.
const GROUP: &str = "/subscriptions/s/resourceGroups/hub/providers/Microsoft.Network/firewallPolicies/child/ruleCollectionGroups/hubward";

/// The hops and the outcome, a line each.
fn lines(walk: &Walk) -> String {
    let mut text: Vec<String> = walk.hops.iter().map(|hop| hop.text.clone()).collect();
    text.push(format!("{:?}", walk.outcome));
    text.join("\n")
}

fn named(name: &str) -> Destination {
    Destination::Name(name.to_owned())
}

#[test]
fn a_wired_spoke_leaves_by_the_one_address() {
    let world = World::wired();
    assert_eq!(seen(&world.call("mcr.microsoft.com")), EGRESS);
    assert_eq!(seen(&world.call("partner.example")), EGRESS);
}

#[test]
fn the_hops_read_as_a_story() {
    let world = World::wired();
    insta::assert_snapshot!("allowed_by_name", lines(&world.call("mcr.microsoft.com")));
    insta::assert_snapshot!("denied_by_firewall", lines(&world.call("blocked.example")));
    insta::assert_snapshot!("inbound_by_dnat", lines(&world.enter(INGRESS)));
}

#[test]
fn an_unknown_name_ends_at_dns() {
    assert!(drop(&World::wired().call("nowhere.example")).starts_with("DNS: "));
}

#[test]
fn dns_needs_the_proxy_where_the_spoke_asks_the_firewall() {
    let mut world = World::wired();
    world.set(POLICY, "/properties/dnsSettings/enableProxy", json!(false));
    assert!(drop(&world.call("mcr.microsoft.com")).contains("DNS proxy is not enabled"));
    world.set(&vnet("one"), "/properties/dhcpOptions/dnsServers", json!([]));
    assert_eq!(seen(&world.call("mcr.microsoft.com")), EGRESS);
}

#[test]
fn a_dns_server_on_the_internet_must_be_allowed() {
    let mut world = World::wired();
    world.set(
        &vnet("one"),
        "/properties/dhcpOptions/dnsServers",
        json!(["52.53.0.53"]),
    );
    assert!(drop(&world.call("mcr.microsoft.com")).starts_with("DNS: no DNS server answers"));
    let rule = json!({
        "ruleType": "NetworkRule", "name": "dns", "sourceAddresses": ["*"], "ipProtocols": ["UDP"],
        "destinationAddresses": ["52.53.0.53"], "destinationPorts": ["53"],
    });
    world.rule_group(POLICY, "dns", 200, json!([filter("dns", 100, "Allow", json!([rule]))]));
    assert_eq!(seen(&world.call("mcr.microsoft.com")), EGRESS);
}

#[test]
fn the_api_server_admits_only_authorized_addresses() {
    let mut world = World::wired();
    let profile = "/properties/apiServerAccessProfile";
    world.set(&cluster("one"), profile, json!({"authorizedIPRanges": ["9.9.9.9/32"]}));
    assert!(drop(&world.call("one.hcp.westeurope.azmk8s.io")).contains("authorizedIPRanges"));
    world.set(
        &cluster("one"),
        profile,
        json!({"authorizedIPRanges": [format!("{EGRESS}/32")]}),
    );
    assert_eq!(seen(&world.call("one.hcp.westeurope.azmk8s.io")), EGRESS);
}

#[test]
fn security_groups_decide_by_priority_and_end_in_their_defaults() {
    let mut world = World::wired();
    let group = "/subscriptions/s/resourceGroups/one/providers/Microsoft.Network/networkSecurityGroups/g";
    let rule = |name: &str, priority: i64, access: &str, to: &str| {
        json!({"name": name, "properties": {
            "direction": "Outbound", "priority": priority, "access": access, "protocol": "*",
            "sourceAddressPrefix": "*", "destinationAddressPrefix": to, "destinationPortRange": "443",
        }})
    };
    world.put(group, json!({"securityRules": [rule("no", 200, "Deny", "Internet")]}));
    world.set(
        &vnet("one"),
        "/properties/subnets/0/properties/networkSecurityGroup",
        json!({"id": group}),
    );
    assert!(drop(&world.call("mcr.microsoft.com")).contains("security rule no"));
    let rules = json!([
        rule("no", 200, "Deny", "Internet"),
        rule("yes", 100, "Allow", "20.50.0.0/16")
    ]);
    world.set(group, "/properties/securityRules", rules);
    assert_eq!(seen(&world.call("mcr.microsoft.com")), EGRESS);
    world.set(group, "/properties/securityRules", json!([]));
    assert_eq!(seen(&world.call("mcr.microsoft.com")), EGRESS);
}

#[test]
fn ids_are_compared_without_regard_to_case() {
    let mut world = World::wired();
    world.set(
        &vnet("one"),
        "/properties/subnets/0/properties/routeTable",
        json!({"id": TABLE.to_uppercase()}),
    );
    world.set(
        HUB,
        "/properties/virtualNetworkPeerings/0/properties/remoteVirtualNetwork/id",
        json!(vnet("one").to_uppercase()),
    );
    let packet = Packet {
        from: Source {
            subnet: subnet("one").to_uppercase(),
            cluster: None,
            address: None,
        },
        to: named("mcr.microsoft.com"),
        port: 443,
        protocol: Protocol::Tcp,
        server_name: None,
    };
    assert_eq!(seen(&walk(&world, &world.internet, &packet)), EGRESS);
}
