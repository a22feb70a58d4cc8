//! Deletes that are refused, and those that go through.

use crate::bench::{Bench, table};
use http::Method;
use serde_json::json;

#[test]
fn what_is_in_use_cannot_be_deleted() {
    let mut bench = Bench::new();
    let hub = bench.azure.world().hub.clone();
    let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let routes = bench.network("spoke", "routeTables/rt");
    bench.put_done(&routes, table(&[]));
    let subnet = format!("{spoke}/subnets/nodes");
    bench.put_done(
        &subnet,
        json!({"properties": {"addressPrefix": "10.1.0.0/24", "routeTable": {"id": routes}}}),
    );
    for (id, code, word) in [
        (&routes, "InUseRouteTableCannotBeDeleted", "rt"),
        (
            &hub.firewall_subnet,
            "InUseSubnetCannotBeDeleted",
            "AzureFirewallSubnet",
        ),
        (
            &hub.virtual_network,
            "InUseSubnetCannotBeDeleted",
            "AzureFirewallSubnet",
        ),
        (
            &hub.egress_public_ip,
            "PublicIPAddressCannotBeDeleted",
            "natGateways/hub-nat",
        ),
        (
            &hub.firewall_public_ip,
            "PublicIPAddressCannotBeDeleted",
            "azureFirewalls/hub-firewall",
        ),
        (
            &hub.nat_gateway,
            "InUseNatGatewayCannotBeDeleted",
            "AzureFirewallSubnet",
        ),
    ] {
        let refused = bench.delete(id);
        assert_eq!((refused.status, refused.code()), (400, code), "{id}");
        assert!(refused.message().contains(word), "{}", refused.message());
    }
    bench.put_done(&subnet, json!({"properties": {"addressPrefix": "10.1.0.0/24"}}));
    let deleted = bench.delete(&routes);
    assert_eq!(deleted.status, 202);
    bench.finish(&deleted);
    assert_eq!(bench.get(&routes).status, 404);
}

#[test]
fn a_rule_collection_group_delete_has_a_body_and_a_policy_delete_is_synchronous() {
    let mut bench = Bench::new();
    bench.make_group("other");
    let policy = bench.network("other", "firewallPolicies/p");
    bench.put_done(&policy, json!({"location": "westeurope", "properties": {}}));
    let group = format!("{policy}/ruleCollectionGroups/g");
    bench.put_done(&group, json!({"properties": {"priority": 100}}));
    let deleted = bench.delete(&group);
    assert_eq!((deleted.status, deleted.state()), (202, "Deleting"));
    assert!(deleted.header("location").unwrap().contains("/nfvOperationResults/"));
    bench.finish(&deleted);
    assert_eq!(bench.delete(&policy).status, 200);
    assert_eq!(bench.get(&policy).status, 404);
}

#[test]
fn deleting_a_group_takes_everything_in_it() {
    let mut bench = Bench::new();
    let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let group = bench.group("spoke");
    let deleted = bench.send(Method::DELETE, &format!("{group}?api-version=2024-11-01"), None);
    assert_eq!(deleted.status, 202);
    let location = deleted.header("location").unwrap().to_owned();
    assert_eq!(bench.poll(&location).status, 202);
    bench.pass(181);
    assert!(matches!(bench.poll(&location).status, 200 | 204));
    assert_eq!(bench.get(&spoke).code(), "ResourceGroupNotFound");
}
