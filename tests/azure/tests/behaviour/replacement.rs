//! Full-replace PUTs, normalisation, unknown properties, back references.

use crate::bench::{Bench, table, vnet};
use http::Method;
use serde_json::json;

#[test]
fn a_subnet_put_without_route_table_and_security_group_clears_both() {
    let mut bench = Bench::new();
    let vnet = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let routes = bench.network("spoke", "routeTables/rt");
    bench.put_done(
        &routes,
        table(&[("default", "0.0.0.0/0", "VirtualAppliance", "10.0.0.4")]),
    );
    let guard = bench.network("spoke", "networkSecurityGroups/nsg");
    bench.put_done(&guard, json!({"location": "westeurope"}));
    let subnet = format!("{vnet}/subnets/nodes");
    bench.put_done(
        &subnet,
        json!({"properties": {
            "addressPrefix": "10.1.0.0/24", "routeTable": {"id": routes}, "networkSecurityGroup": {"id": guard},
            "somethingAzureAddedLater": {"keep": true}
        }}),
    );
    let shown = bench.get(&subnet).body;
    assert_eq!(shown["properties"]["routeTable"]["id"], routes);
    assert_eq!(
        shown["properties"]["somethingAzureAddedLater"]["keep"], true,
        "unknown properties are kept"
    );
    assert_eq!(bench.get(&routes).body["properties"]["subnets"][0]["id"], subnet);
    bench.put_done(&subnet, json!({"properties": {"addressPrefix": "10.1.0.0/24"}}));
    let cleared = bench.get(&subnet).body;
    assert_eq!(cleared["properties"].get("routeTable"), None);
    assert_eq!(cleared["properties"].get("networkSecurityGroup"), None);
    assert_eq!(bench.get(&routes).body["properties"].get("subnets"), None);
}

#[test]
fn a_body_read_and_sent_back_changes_nothing() {
    let mut bench = Bench::new();
    let vnet = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let before = bench.get(&vnet).body;
    bench.put_done(&vnet, before.clone());
    let mut after = bench.get(&vnet).body;
    let mut before = before;
    for document in [&mut before, &mut after] {
        document["etag"] = json!("");
        document["properties"]["subnets"][0]["etag"] = json!("");
    }
    assert_eq!(before, after);
}

#[test]
fn a_vnet_put_replaces_subnets_and_refuses_to_drop_one_in_use() {
    let mut bench = Bench::new();
    let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    bench.put_done(&spoke, vnet("10.1.0.0/16", &[("other", "10.1.1.0/24")]));
    assert_eq!(bench.get(&format!("{spoke}/subnets/nodes")).code(), "NotFound");
    let hub = bench.azure.world().hub.virtual_network.clone();
    let refused = bench.put(&hub, vnet("10.0.0.0/16", &[]));
    assert_eq!((refused.status, refused.code()), (400, "InUseSubnetCannotBeDeleted"));
    assert!(refused.message().contains("azureFirewalls/hub-firewall"));
}

#[test]
fn a_route_table_put_replaces_its_routes() {
    let mut bench = Bench::new();
    bench.make_group("spoke");
    let id = bench.network("spoke", "routeTables/rt");
    bench.put_done(
        &id,
        table(&[
            ("a", "0.0.0.0/0", "VirtualAppliance", "10.0.0.4"),
            ("b", "203.0.113.10/32", "Internet", ""),
        ]),
    );
    let made = bench.get(&id).body;
    assert_eq!(made["properties"]["routes"][0]["properties"]["hasBgpOverride"], false);
    assert_eq!(made["properties"]["disableBgpRoutePropagation"], false);
    let answer = bench.put_done(&id, json!({"location": "westeurope", "properties": {}}));
    assert_eq!(answer.body["properties"]["routes"], json!([]));
}

#[test]
fn a_single_route_can_be_written_beside_others() {
    let mut bench = Bench::new();
    bench.make_group("spoke");
    let id = bench.network("spoke", "routeTables/rt");
    bench.put_done(&id, table(&[("theirs", "192.168.0.0/16", "None", "")]));
    let route = format!("{id}/routes/ours");
    let hop = json!({"properties": {"addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.0.4"}});
    assert_eq!(bench.put_done(&route, hop).status, 201);
    assert_eq!(bench.get(&id).body["properties"]["routes"].as_array().unwrap().len(), 2);
}

#[test]
fn bad_next_hops_and_prefixes_are_refused() {
    let mut bench = Bench::new();
    bench.make_group("spoke");
    let id = bench.network("spoke", "routeTables/rt");
    for (route, code) in [
        (("r", "0.0.0.0/0", "VirtualAppliance", ""), "MissingNextHopIpAddress"),
        (
            ("r", "0.0.0.0/0", "VirtualAppliance", "firewall"),
            "InvalidNextHopIpAddress",
        ),
        (("r", "0.0.0.0/0", "Internet", "10.0.0.4"), "InvalidNextHopIpAddress"),
        (("r", "0.0.0.0/0", "VnetPeering", ""), "InvalidRequestFormat"),
        (("r", "10.0.0.1/24", "None", ""), "InvalidAddressPrefixFormat"),
    ] {
        let answer = bench.put(&id, table(&[route]));
        assert_eq!((answer.status, answer.code()), (400, code), "{route:?}");
    }
    assert_eq!(
        bench.get(&id).code(),
        "ResourceNotFound",
        "a refused write changes nothing"
    );
}

#[test]
fn subnets_must_lie_in_the_vnet_and_not_overlap() {
    let mut bench = Bench::new();
    let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let outside = bench.put(
        &format!("{spoke}/subnets/x"),
        json!({"properties": {"addressPrefix": "10.2.0.0/24"}}),
    );
    assert_eq!(outside.code(), "NetcfgSubnetRangeOutsideVnet");
    let twice = bench.put(
        &format!("{spoke}/subnets/x"),
        json!({"properties": {"addressPrefix": "10.1.0.0/25"}}),
    );
    assert_eq!(twice.code(), "NetcfgSubnetRangesOverlap");
}

#[test]
fn a_reference_to_what_is_not_there_is_an_invalid_reference() {
    let mut bench = Bench::new();
    let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let missing = bench.network("spoke", "routeTables/none");
    let body = json!({"properties": {"addressPrefix": "10.1.0.0/24", "routeTable": {"id": missing}}});
    let answer = bench.put(&format!("{spoke}/subnets/nodes"), body);
    assert_eq!((answer.status, answer.code()), (400, "InvalidResourceReference"));
    assert!(answer.message().contains(&missing));
}

#[test]
fn tags_are_patched_synchronously_on_a_vnet() {
    let mut bench = Bench::new();
    let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let answer = bench.send(
        Method::PATCH,
        &format!("{spoke}?api-version=2024-05-01"),
        Some(json!({"tags": {"a": "b"}})),
    );
    assert_eq!((answer.status, answer.state()), (200, "Succeeded"));
    assert_eq!(answer.header("azure-asyncoperation"), None);
    assert_eq!(bench.get(&spoke).body["tags"]["a"], "b");
}

#[test]
fn ids_are_compared_without_case_and_keep_their_case() {
    let mut bench = Bench::new();
    let spoke = bench.make_spoke("MixedCase", "10.1.0.0/16", "10.1.0.0/24");
    let shown = bench.get(&spoke.to_lowercase());
    assert_eq!((shown.status, shown.body["id"].as_str()), (200, Some(spoke.as_str())));
}

#[test]
fn a_public_ip_gets_its_address_when_the_operation_ends_and_keeps_it() {
    let mut bench = Bench::new();
    bench.make_group("spoke");
    let id = bench.network("spoke", "publicIPAddresses/ip");
    let body = json!({"location": "westeurope", "sku": {"name": "Standard"}, "properties": {"publicIPAllocationMethod": "Static"}});
    let answer = bench.put_done(&id, body.clone());
    assert_eq!(answer.body["properties"].get("ipAddress"), None);
    assert_eq!(answer.header("retry-after"), Some("1"));
    let address = bench.get(&id).body["properties"]["ipAddress"].clone();
    assert!(address.as_str().unwrap().starts_with("198.51.100."));
    bench.put_done(&id, body);
    assert_eq!(bench.get(&id).body["properties"]["ipAddress"], address);
}
