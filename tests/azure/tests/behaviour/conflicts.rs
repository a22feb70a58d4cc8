//! Lanes: what excludes what, and in which words.

use crate::bench::{Bench, peering_to, table};
use serde_json::json;

#[test]
fn a_vnet_takes_one_write_at_a_time() {
    let mut bench = Bench::new();
    let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let first = bench.put(
        &format!("{spoke}/subnets/x"),
        json!({"properties": {"addressPrefix": "10.1.1.0/24"}}),
    );
    assert_eq!(first.status, 201);
    let second = bench.put(
        &format!("{spoke}/subnets/y"),
        json!({"properties": {"addressPrefix": "10.1.2.0/24"}}),
    );
    assert_eq!((second.status, second.code()), (409, "AnotherOperationInProgress"));
    assert_eq!(
        bench.get(&spoke).state(),
        "Updating",
        "a subnet write shows on the VNet"
    );
    bench.finish(&first);
    let again = bench.put(
        &format!("{spoke}/subnets/y"),
        json!({"properties": {"addressPrefix": "10.1.2.0/24"}}),
    );
    assert_eq!(again.status, 201);
}

#[test]
fn a_peering_is_refused_while_the_remote_vnet_is_updating_and_the_text_names_the_operation() {
    let mut bench = Bench::new();
    let hub = bench.azure.world().hub.virtual_network.clone();
    let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    bench.put(
        &format!("{spoke}/subnets/x"),
        json!({"properties": {"addressPrefix": "10.1.1.0/24"}}),
    );
    let refused = bench.put(&format!("{hub}/virtualNetworkPeerings/to-a"), peering_to(&spoke));
    assert_eq!(
        (refused.status, refused.code()),
        (400, "ReferencedResourceNotProvisioned")
    );
    assert!(refused.message().contains("is in Updating state") && refused.message().contains("PutSubnetOperation"));
    assert_eq!(
        bench.get(&hub).state(),
        "Succeeded",
        "a refused write leaves the lane free"
    );
}

#[test]
fn two_peering_writes_on_the_hub_exclude_each_other() {
    let mut bench = Bench::new();
    let hub = bench.azure.world().hub.virtual_network.clone();
    let a = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let b = bench.make_spoke("b", "10.2.0.0/16", "10.2.0.0/24");
    assert_eq!(
        bench
            .put(&format!("{hub}/virtualNetworkPeerings/to-a"), peering_to(&a))
            .status,
        201
    );
    assert_eq!(
        bench
            .put(&format!("{hub}/virtualNetworkPeerings/to-b"), peering_to(&b))
            .code(),
        "AnotherOperationInProgress"
    );
    let spoke_side = bench.put(&format!("{b}/virtualNetworkPeerings/to-hub"), peering_to(&hub));
    assert_eq!(
        spoke_side.code(),
        "ReferencedResourceNotProvisioned",
        "the spoke side needs the hub at rest"
    );
}

#[test]
fn a_subnet_cannot_take_a_route_table_that_is_being_written() {
    let mut bench = Bench::new();
    let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let routes = bench.network("spoke", "routeTables/rt");
    let made = bench.put(&routes, table(&[]));
    let body = json!({"properties": {"addressPrefix": "10.1.0.0/24", "routeTable": {"id": routes}}});
    let refused = bench.put(&format!("{spoke}/subnets/nodes"), body.clone());
    assert_eq!(
        (refused.status, refused.code()),
        (400, "ReferencedResourceNotProvisioned")
    );
    bench.finish(&made);
    assert_eq!(bench.put(&format!("{spoke}/subnets/nodes"), body).status, 200);
}

#[test]
fn the_conflict_text_names_the_operation_by_url_by_id_or_not_at_all() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let mut bench = Bench::with(azure_sim::World::one_hub(), seed);
        let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
        bench.put(
            &format!("{spoke}/subnets/x"),
            json!({"properties": {"addressPrefix": "10.1.1.0/24"}}),
        );
        let refused = bench.delete(&format!("{spoke}/subnets/nodes"));
        let uri = refused.message().rsplit("use uri: ").next().unwrap().to_owned();
        seen.insert(if uri.starts_with("https://") {
            "url"
        } else if uri == "." {
            "empty"
        } else {
            "id"
        });
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["empty", "id", "url"]);
}
