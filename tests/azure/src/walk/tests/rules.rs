//! Requirements of the packet walk: firewall rules.

use serde_json::json;

use super::super::tags;
use super::world::{BASE, EGRESS, POLICY, World, application_rule, drop, filter, network_rule, seen, vnet};
use super::{GROUP, lines};

#[test]
fn what_no_rule_allows_is_denied() {
    assert!(drop(&World::wired().call("blocked.example")).contains("no rule allows"));
}

#[test]
fn without_a_server_name_no_application_rule_matches() {
    let world = World::wired();
    let walk = world.call_address("20.50.0.1");
    assert!(drop(&walk).contains("no rule allows"));
    assert!(lines(&walk).contains("application rules cannot match"));
}

#[test]
fn pods_call_the_api_server_by_address_only_through_a_network_rule() {
    let mut world = World::wired();
    assert_eq!(seen(&world.call_address("20.50.7.7")), EGRESS);
    world.set(GROUP, "/properties/ruleCollections/1/rules", json!([]));
    assert!(drop(&world.call_address("20.50.7.7")).contains("no rule allows"));
    assert_eq!(seen(&world.call("one.hcp.westeurope.azmk8s.io")), EGRESS);
}

#[test]
fn names_in_network_rules_need_the_proxy_on_the_bound_policy() {
    let mut world = World::wired();
    world.set(&vnet("one"), "/properties/dhcpOptions/dnsServers", json!([]));
    world.set(POLICY, "/properties/dnsSettings/enableProxy", json!(false));
    world.set(BASE, "/properties/dnsSettings", json!({"enableProxy": true}));
    assert!(drop(&world.call_address("20.50.7.7")).contains("no rule allows"));
}

#[test]
fn network_rules_come_before_application_rules() {
    let mut world = World::wired();
    let rule = network_rule("all", &["*"], json!({"destinationAddresses": ["52.99.0.0/16"]}));
    world.rule_group(
        POLICY,
        "late",
        60000,
        json!([filter("late", 60000, "Deny", json!([rule]))]),
    );
    assert!(drop(&world.call("partner.example")).contains("network rule all"));
}

#[test]
fn a_parents_rules_come_before_its_childs() {
    let mut world = World::wired();
    let rule = application_rule("no", &["*"], json!({"targetFqdns": ["*"]}));
    world.rule_group(
        BASE,
        "parent",
        65000,
        json!([filter("no", 65000, "Deny", json!([rule]))]),
    );
    assert!(drop(&world.call("partner.example")).contains("group parent"));
}

#[test]
fn group_priority_then_collection_priority_then_rule_order() {
    let allow = |name: &str| network_rule(name, &["*"], json!({"destinationAddresses": ["*"]}));
    let mut world = World::wired();
    world.rule_group(
        POLICY,
        "second",
        500,
        json!([filter("b", 100, "Deny", json!([allow("b")]))]),
    );
    world.rule_group(
        POLICY,
        "first",
        400,
        json!([
            filter("y", 300, "Deny", json!([allow("y")])),
            filter("x", 200, "Allow", json!([allow("x1"), allow("x2")])),
        ]),
    );
    let walk = world.call("blocked.example");
    assert_eq!(seen(&walk), EGRESS);
    assert!(lines(&walk).contains("collection x of group first, network rule x1 allows"));
}

#[test]
fn a_wildcard_does_not_match_its_own_suffix() {
    let mut world = World::wired();
    let rules = json!([application_rule("star", &["*"], json!({"targetFqdns": ["*.example"]}))]);
    world.set(GROUP, "/properties/ruleCollections/0/rules", rules);
    assert_eq!(seen(&world.call("blocked.example")), EGRESS);
    let rules = json!([application_rule(
        "star",
        &["*"],
        json!({"targetFqdns": ["*.blocked.example"]})
    )]);
    world.set(GROUP, "/properties/ruleCollections/0/rules", rules);
    assert!(drop(&world.call("blocked.example")).contains("no rule allows"));
}

#[test]
fn the_aks_tag_holds_api_servers_and_lacks_what_users_miss() {
    for name in [
        "mcr.microsoft.com",
        "weu.data.mcr.microsoft.com",
        "a.hcp.westeurope.azmk8s.io",
    ] {
        assert!(tags::fqdn_tag_holds("azurekubernetesservice", name), "{name}");
    }
    for name in [
        "mcrprod.azurecr.io",
        "hcp.westeurope.azmk8s.io",
        "data.mcr.microsoft.com",
    ] {
        assert!(!tags::fqdn_tag_holds("AzureKubernetesService", name), "{name}");
    }
}

#[test]
fn a_source_outside_the_rules_prefixes_is_denied() {
    let mut world = World::wired();
    let group = "/subscriptions/s/resourceGroups/hub/providers/Microsoft.Network/ipGroups/nodes";
    world.put(group, json!({"ipAddresses": ["10.9.0.0/16"]}));
    let mut rule = application_rule("p", &[], json!({"targetFqdns": ["partner.example"]}));
    rule["sourceIpGroups"] = json!([group]);
    world.set(GROUP, "/properties/ruleCollections/0/rules", json!([rule]));
    assert!(drop(&world.call("partner.example")).contains("no rule allows"));
    world.put(group, json!({"ipAddresses": ["10.9.0.0/16", "10.1.0.1-10.1.0.9"]}));
    assert_eq!(seen(&world.call("partner.example")), EGRESS);
}

#[test]
fn service_tags_match_their_prefixes() {
    let mut world = World::wired();
    let rule = network_rule(
        "cloud",
        &["*"],
        json!({"destinationAddresses": ["AzureCloud.westeurope"]}),
    );
    world.set(GROUP, "/properties/ruleCollections/1/rules", json!([rule]));
    assert_eq!(seen(&world.call_address("20.50.3.3")), EGRESS);
    assert!(drop(&world.call_address("20.51.3.3")).contains("no rule allows"));
}

#[test]
fn while_a_group_updates_its_old_rules_apply() {
    let mut world = World::wired();
    world.set_live(GROUP, Some(json!({"priority": 1000, "ruleCollections": []})));
    assert!(drop(&world.call("mcr.microsoft.com")).contains("no rule allows"));
    world.set_live(GROUP, None);
    assert!(drop(&world.call("mcr.microsoft.com")).contains("no rule allows"));
}
