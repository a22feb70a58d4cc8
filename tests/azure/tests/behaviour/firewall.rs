//! Firewall, policy and rule collection groups.

use crate::bench::Bench;
use http::Method;
use serde_json::{Value, json};

fn group(bench: &Bench, name: &str) -> String {
    format!(
        "{}/ruleCollectionGroups/{name}",
        bench.azure.world().hub.firewall_policy
    )
}

fn rules(fqdn: &str) -> Value {
    json!({"properties": {"priority": 500, "ruleCollections": [{
        "ruleCollectionType": "FirewallPolicyFilterRuleCollection", "name": "c", "priority": 500,
        "action": {"type": "Allow"},
        "rules": [{
            "ruleType": "ApplicationRule", "name": "r", "protocols": [{"protocolType": "Https", "port": 443}],
            "sourceAddresses": ["10.1.0.0/16"], "targetFqdns": [fqdn]
        }]
    }]}})
}

#[test]
fn a_rule_collection_group_takes_minutes_with_a_firewall_attached_and_shows_on_policy_and_firewall() {
    let mut bench = Bench::new();
    let hub = bench.azure.world().hub.clone();
    let id = group(&bench, "ours");
    let answer = bench.put(&id, rules("mcr.microsoft.com"));
    assert_eq!((answer.status, answer.state()), (201, "Updating"));
    assert!(answer.operation().contains("/nfvOperations/"));
    assert_eq!(answer.header("azure-asyncnotification"), None, "NFV does not send it");
    assert_eq!(answer.body["location"], "westeurope");
    assert_eq!(
        answer.body["type"],
        "Microsoft.Network/FirewallPolicies/RuleCollectionGroups"
    );
    for other in [&hub.firewall_policy, &hub.firewall] {
        assert_eq!(bench.get(other).state(), "Updating");
    }
    bench.pass(179);
    assert_eq!(bench.get(&id).state(), "Updating");
    bench.pass(122);
    assert_eq!(bench.get(&id).state(), "Succeeded");
    assert_eq!(bench.get(&hub.firewall).state(), "Succeeded");
    let shown = bench.get(&hub.firewall_policy).body;
    assert_eq!(shown["properties"]["ruleCollectionGroups"].as_array().unwrap().len(), 2);
    assert_eq!(shown["properties"]["firewalls"][0]["id"], hub.firewall);
}

#[test]
fn a_group_keeps_its_bare_etag_from_updating_to_succeeded() {
    let mut bench = Bench::new();
    let id = group(&bench, "ours");
    let answer = bench.put(&id, rules("mcr.microsoft.com"));
    let etag = answer.body["etag"].as_str().unwrap().to_owned();
    assert!(!etag.contains('"'));
    bench.finish(&answer);
    let shown = bench.get(&id);
    assert_eq!(shown.body["etag"], etag);
    assert_eq!(shown.header("etag"), Some(format!("\"{etag}\"").as_str()));
}

#[test]
fn omitted_arrays_come_back_empty_and_an_unchanged_put_answers_null() {
    let mut bench = Bench::new();
    let id = group(&bench, "ours");
    bench.put_done(&id, rules("mcr.microsoft.com"));
    let rule = bench.get(&id).body["properties"]["ruleCollections"][0]["rules"][0].clone();
    for field in [
        "sourceIpGroups",
        "fqdnTags",
        "webCategories",
        "destinationAddresses",
        "targetUrls",
    ] {
        assert_eq!(rule[field], json!([]), "{field}");
    }
    let again = bench.put(&id, rules("mcr.microsoft.com"));
    assert_eq!(
        (again.status, again.response.body().as_ref()),
        (200, b"null".as_slice())
    );
    assert_eq!(again.header("azure-asyncoperation"), None);
    assert_eq!(bench.get(&id).state(), "Succeeded");
    let replaced = bench.put_done(&id, json!({"properties": {"priority": 500}}));
    assert_eq!(
        replaced.body["properties"]["ruleCollections"],
        json!([]),
        "a PUT replaces the collections"
    );
}

#[test]
fn policy_groups_and_firewall_are_one_lane() {
    let mut bench = Bench::new();
    let hub = bench.azure.world().hub.clone();
    let (ours, other) = (group(&bench, "ours"), group(&bench, "other"));
    let first = bench.put(&ours, rules("mcr.microsoft.com"));
    let refused = bench.put(&other, rules("mcr.microsoft.com"));
    assert_eq!(
        (refused.status, refused.code()),
        (409, "FirewallPolicyUpdateNotAllowedWhenUpdatingOrDeleting")
    );
    let firewall = bench.get(&hub.firewall).body;
    let refused = bench.put(&hub.firewall, firewall.clone());
    assert_eq!((refused.status, refused.code()), (409, "AnotherOperationInProgress"));
    bench.finish(&first);
    let mut tagged = firewall;
    tagged["tags"] = json!({"changed": "yes"});
    assert_eq!(bench.put(&hub.firewall, tagged).status, 200);
    assert_eq!(
        bench.put(&other, rules("x.example")).code(),
        "FirewallPolicyUpdateNotAllowedWhenUpdatingOrDeleting"
    );
}

#[test]
fn a_firewall_put_that_changes_nothing_is_succeeded_at_once_with_the_same_etag_and_an_operation_url() {
    let mut bench = Bench::new();
    let id = bench.azure.world().hub.firewall.clone();
    let before = bench.get(&id);
    let answer = bench.put(&id, before.body.clone());
    assert_eq!((answer.status, answer.state()), (200, "Succeeded"));
    assert_eq!(answer.body["etag"], before.body["etag"]);
    let url = answer.operation();
    assert_eq!(bench.poll(&url).body["status"], "InProgress");
    bench.pass(32);
    assert_eq!(bench.poll(&url).body["status"], "Succeeded");
}

#[test]
fn patching_a_firewall_gives_no_operation_url() {
    let mut bench = Bench::new();
    let id = bench.azure.world().hub.firewall.clone();
    let answer = bench.send(
        Method::PATCH,
        &format!("{id}?api-version=2024-05-01"),
        Some(json!({"tags": {"a": "b"}})),
    );
    assert_eq!((answer.status, answer.state()), (200, "Updating"));
    assert_eq!(
        (answer.header("azure-asyncoperation"), answer.header("location")),
        (None, None)
    );
    bench.pass(301);
    assert_eq!(bench.get(&id).state(), "Succeeded");
}

#[test]
fn a_firewall_without_ip_configurations_has_no_private_address_and_gets_it_back_with_them() {
    let mut bench = Bench::new();
    let id = bench.azure.world().hub.firewall.clone();
    let full = bench.get(&id).body;
    assert_eq!(
        full["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"],
        "10.0.0.4"
    );
    let mut stopped = full.clone();
    stopped["properties"]["ipConfigurations"] = json!([]);
    bench.put_done(&id, stopped);
    assert_eq!(bench.get(&id).body["properties"]["ipConfigurations"], json!([]));
    let answer = bench.put(&id, full);
    assert_eq!(
        answer.body["properties"]["ipConfigurations"][0]["properties"].get("privateIPAddress"),
        None
    );
    bench.finish(&answer);
    let back = bench.get(&id).body;
    assert_eq!(
        back["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"],
        "10.0.0.4"
    );
}

#[test]
fn priorities_and_dnat_ports_out_of_range_are_refused() {
    let mut bench = Bench::new();
    let id = group(&bench, "ours");
    for priority in [json!(99), json!(65_001), json!(null)] {
        let mut body = rules("mcr.microsoft.com");
        body["properties"]["priority"] = priority;
        assert_eq!(
            bench.put(&id, body).code(),
            "FirewallPolicyRuleCollectionGroupInvalidPriorityValue"
        );
    }
    let dnat = json!({"properties": {"priority": 500, "ruleCollections": [{
        "ruleCollectionType": "FirewallPolicyNatRuleCollection", "name": "d", "priority": 100, "action": {"type": "DNAT"},
        "rules": [{"ruleType": "NatRule", "name": "r", "destinationPorts": ["64000"]}]
    }]}});
    assert_eq!(
        bench.put(&id, dnat).code(),
        "FirewallPolicyRuleConditionInvalidPortOrRangeFormat"
    );
}

#[test]
fn a_failed_group_leaves_policy_and_firewall_failed() {
    let mut bench = Bench::new();
    let hub = bench.azure.world().hub.clone();
    bench.azure.inject(azure_sim::Fault {
        method: Some(Method::PUT),
        path_contains: "/ruleCollectionGroups/".to_owned(),
        nth: 1,
        effect: azure_sim::FaultEffect::FailOperation {
            code: "FirewallPolicyUpdateFailed".to_owned(),
            message: "Put on Firewall Policy hub-policy Failed with 1 faulted referenced firewalls".to_owned(),
        },
    });
    let id = group(&bench, "ours");
    let answer = bench.put(&id, rules("mcr.microsoft.com"));
    bench.finish(&answer);
    for other in [&id, &hub.firewall_policy, &hub.firewall] {
        assert_eq!(bench.get(other).state(), "Failed", "{other}");
    }
}

#[test]
fn firewall_updates_are_counted_for_the_principal_who_caused_them() {
    let mut bench = Bench::new();
    let handler = bench.azure.world().handler.clone();
    let id = group(&bench, "ours");
    bench.put_done(&id, rules("mcr.microsoft.com"));
    bench.put(&id, rules("mcr.microsoft.com"));
    let counters = bench.azure.counters(&handler);
    assert_eq!(
        (counters.writes, counters.firewall_updates),
        (2, 1),
        "the null PUT is a write but no firewall update"
    );
    assert!(counters.polls > 50 && counters.reads == 0);
}
