//! Requirements of the packet walk: the way in and its reply.

use crate::documents::Documents;
use serde_json::{Value, json};

use super::GROUP;
use super::world::{
    BASE, EGRESS, FRONTEND, INGRESS, POLICY, TABLE, TWO_OUTBOUND, World, drop, filter, network_rule, seen, subnet, vnet,
};

/// An internal load balancer of the cluster in spoke `one` that listens on 443.
fn internal_frontend(world: &mut World, address: &str) {
    let balancer =
        "/subscriptions/s/resourceGroups/MC_one/providers/Microsoft.Network/loadBalancers/kubernetes-internal";
    let frontend = format!("{balancer}/frontendIPConfigurations/inside");
    let shown = json!({"id": frontend, "name": "inside", "properties": {
        "privateIPAddress": address, "subnet": {"id": subnet("one")},
    }});
    let rule = json!({"properties": {
        "protocol": "Tcp", "frontendPort": 443, "frontendIPConfiguration": {"id": frontend},
    }});
    world.put(
        balancer,
        json!({"frontendIPConfigurations": [shown], "loadBalancingRules": [rule]}),
    );
}

#[test]
fn dnat_to_a_public_frontend_needs_the_return_route() {
    let mut world = World::wired();
    assert_eq!(seen(&world.enter(INGRESS)), EGRESS);
    world.set(
        TABLE,
        "/properties/routes/1/properties/addressPrefix",
        json!(format!("{INGRESS}/32")),
    );
    assert!(drop(&world.enter(INGRESS)).contains("asymmetric"));
}

#[test]
fn a_table_without_dnat_cuts_a_live_frontend() {
    let mut world = World::wired();
    assert!(drop(&world.enter(FRONTEND)).contains("asymmetric"));
    assert_eq!(seen(&world.enter(TWO_OUTBOUND)), "52.77.0.7");
    world.set(&vnet("one"), "/properties/subnets/0/properties/routeTable", Value::Null);
    assert_eq!(seen(&world.enter(FRONTEND)), "52.77.0.7");
}

#[test]
fn dnat_to_an_internal_frontend_needs_no_return_route() {
    let mut world = World::wired();
    let target = "/properties/ruleCollections/2/rules/0/translatedAddress";
    world.set(GROUP, target, json!("10.1.0.200"));
    assert!(drop(&world.enter(INGRESS)).contains("nothing answers at the private address"));
    internal_frontend(&mut world, "10.1.0.200");
    world.set(
        TABLE,
        "/properties/routes/1/properties/addressPrefix",
        json!("9.9.9.9/32"),
    );
    assert_eq!(seen(&world.enter(INGRESS)), "10.0.0.4");
}

#[test]
fn dnat_to_an_address_nobody_owns_is_a_strangers() {
    let mut world = World::wired();
    world.remove("/subscriptions/s/resourceGroups/MC_one/providers/Microsoft.Network/publicIPAddresses/front");
    assert!(drop(&world.enter(INGRESS)).contains("stranger"));
}

#[test]
fn dnat_is_not_inherited_and_yields_to_an_explicit_deny() {
    let mut world = World::wired();
    let deny = network_rule("no", &["52.77.0.0/16"], json!({"destinationAddresses": [FRONTEND]}));
    world.rule_group(POLICY, "deny", 200, json!([filter("deny", 100, "Deny", json!([deny]))]));
    assert!(drop(&world.enter(INGRESS)).contains("network rule no denies"));
    let mut world = World::wired();
    let collections = world.get(GROUP).unwrap()["properties"]["ruleCollections"].clone();
    world.set(GROUP, "/properties/ruleCollections", json!([]));
    world.rule_group(BASE, "parent", 100, collections);
    assert!(drop(&world.enter(INGRESS)).contains("no DNAT rule"));
}

#[test]
fn a_security_group_on_the_nodes_must_take_the_egress_address() {
    let mut world = World::wired();
    let group = "/subscriptions/s/resourceGroups/one/providers/Microsoft.Network/networkSecurityGroups/g";
    world.put(group, json!({"securityRules": []}));
    world.set(
        &vnet("one"),
        "/properties/subnets/0/properties/networkSecurityGroup",
        json!({"id": group}),
    );
    assert!(drop(&world.enter(INGRESS)).contains("DenyAllInBound"));
    let rule = json!({"name": "hub", "properties": {
        "direction": "Inbound", "priority": 100, "access": "Allow", "protocol": "Tcp",
        "sourceAddressPrefixes": [format!("{EGRESS}/32")], "destinationAddressPrefix": "*",
        "destinationPortRanges": ["80", "443"],
    }});
    world.set(group, "/properties/securityRules", json!([rule]));
    assert_eq!(seen(&world.enter(INGRESS)), EGRESS);
}
