//! Agent pools written alone.

use crate::bench::{Answer, Bench, START};
use azure_sim::{ClusterSpec, World};
use http::Method;
use serde_json::{Value, json};

const AKS: &str = "2025-05-01";

/// A finished cluster whose VNet has a second subnet, `more`.
fn cluster_with_two_subnets() -> (Bench, String, String) {
    let mut world = World::one_hub();
    world.events.duplicate_share = 0.0;
    let mut bench = Bench::with(world, 7);
    let spec = ClusterSpec::usual("shop", 1);
    let cluster = bench.azure.create_cluster(&spec, START);
    bench.settle();
    let vnet = spec.vnet_id(&bench.azure.world().subscription);
    let subnet = format!("{vnet}/subnets/more");
    bench.put_done(&subnet, json!({"properties": {"addressPrefix": "10.1.8.0/24"}}));
    (bench, cluster, subnet)
}

fn send(bench: &mut Bench, method: Method, id: &str, body: Option<Value>) -> Answer {
    bench.send(method, &format!("{id}?api-version={AKS}"), body)
}

fn pool(subnet: &str, count: u32) -> Value {
    json!({"properties": {"count": count, "vmSize": "Standard_D4s_v5", "mode": "User", "vnetSubnetID": subnet}})
}

#[test]
fn a_pool_is_added_in_another_subnet_and_taken_away_again() {
    let (mut bench, cluster, subnet) = cluster_with_two_subnets();
    bench.listen();
    let id = format!("{cluster}/agentPools/batch");
    let made = send(&mut bench, Method::PUT, &id, Some(pool(&subnet, 2)));
    assert_eq!((made.status, made.state()), (201, "Creating"), "{}", made.body);
    assert_eq!(
        made.body["type"],
        "Microsoft.ContainerService/managedClusters/agentPools"
    );
    let during = send(&mut bench, Method::GET, &cluster, None);
    assert_eq!(during.state(), "Updating");
    assert_eq!(
        during.body["properties"]["agentPoolProfiles"][1]["provisioningState"],
        "Creating"
    );
    bench.finish(&made);
    let after = send(&mut bench, Method::GET, &cluster, None);
    assert_eq!(after.state(), "Succeeded");
    let profile = &after.body["properties"]["agentPoolProfiles"][1];
    assert_eq!(
        (
            &profile["name"],
            &profile["vnetSubnetID"],
            &profile["provisioningState"],
            &profile["maxPods"]
        ),
        (&json!("batch"), &json!(subnet), &json!("Succeeded"), &json!(30))
    );
    let nodes = bench.azure.document(&subnet).unwrap()["properties"]["ipConfigurations"].clone();
    assert_eq!(nodes.as_array().unwrap().len(), 2);
    let listed = send(&mut bench, Method::GET, &format!("{cluster}/agentPools"), None);
    assert_eq!(listed.body["value"][1]["name"], "batch");
    let scaled = send(&mut bench, Method::PUT, &id, Some(pool(&subnet, 5)));
    assert_eq!((scaled.status, scaled.state()), (200, "Updating"));
    bench.finish(&scaled);
    let deleted = send(&mut bench, Method::DELETE, &id, None);
    assert_eq!(deleted.status, 202);
    assert!(deleted.header("location").is_some());
    let going = send(&mut bench, Method::GET, &id, None);
    assert_eq!(
        (going.state(), &going.body["properties"]["count"]),
        ("Deleting", &json!(5))
    );
    bench.finish(&deleted);
    assert_eq!(send(&mut bench, Method::GET, &id, None).status, 404);
    assert_eq!(send(&mut bench, Method::DELETE, &id, None).status, 204);
    let left = send(&mut bench, Method::GET, &cluster, None);
    assert_eq!(
        left.body["properties"]["agentPoolProfiles"].as_array().unwrap().len(),
        1
    );
    assert_eq!(left.state(), "Succeeded");
    assert_eq!(
        bench.azure.document(&subnet).unwrap()["properties"].get("ipConfigurations"),
        None
    );
    bench.settle();
    let mut told = bench.told();
    told.retain(|told| told.contains("agentPools"));
    told.sort();
    let subject = id.replace("/resourceGroups/", "/resourcegroups/");
    let pools = "Microsoft.ContainerService/managedClusters/agentPools";
    assert_eq!(
        told,
        [
            format!("Microsoft.Resources.ResourceDeleteSuccess {pools}/delete {subject}"),
            format!("Microsoft.Resources.ResourceWriteSuccess {pools}/write {subject}"),
            format!("Microsoft.Resources.ResourceWriteSuccess {pools}/write {subject}"),
        ]
    );
}

#[test]
fn a_cluster_and_its_pools_take_one_operation_at_a_time() {
    let (mut bench, cluster, subnet) = cluster_with_two_subnets();
    let body = send(&mut bench, Method::GET, &cluster, None).body;
    let id = format!("{cluster}/agentPools/batch");
    let made = send(&mut bench, Method::PUT, &id, Some(pool(&subnet, 2)));
    let other = format!("{cluster}/agentPools/other");
    for refused in [
        send(&mut bench, Method::PUT, &other, Some(pool(&subnet, 1))),
        send(&mut bench, Method::DELETE, &id, None),
        send(&mut bench, Method::PUT, &cluster, Some(body)),
    ] {
        assert_eq!((refused.status, refused.code()), (409, "OperationNotAllowed"));
        assert!(
            refused
                .message()
                .contains("Another operation (batch - Updating) is in progress"),
            "{}",
            refused.message()
        );
    }
    bench.finish(&made);
    assert_eq!(
        send(&mut bench, Method::PUT, &other, Some(pool(&subnet, 1))).status,
        201
    );
}

#[test]
fn a_pool_neither_moves_nor_leaves_its_cluster_without_a_system_pool() {
    let (mut bench, cluster, subnet) = cluster_with_two_subnets();
    let system = format!("{cluster}/agentPools/system");
    let moved = send(&mut bench, Method::PUT, &system, Some(pool(&subnet, 3)));
    assert_eq!((moved.status, moved.code()), (400, "PropertyChangeNotAllowed"));
    let last = send(&mut bench, Method::DELETE, &system, None);
    assert_eq!((last.status, last.code()), (400, "OperationNotAllowed"));
    let nowhere = pool(&format!("{subnet}-x"), 1);
    let id = format!("{cluster}/agentPools/batch");
    assert_eq!(
        send(&mut bench, Method::PUT, &id, Some(nowhere)).code(),
        "InvalidResourceReference"
    );
    let orphan = format!("{cluster}-x/agentPools/batch");
    assert_eq!(
        send(&mut bench, Method::PUT, &orphan, Some(pool(&subnet, 1))).code(),
        "ParentResourceNotFound"
    );
    assert_eq!(send(&mut bench, Method::DELETE, &orphan, None).status, 404);
}

#[test]
fn a_kubenet_pool_brings_a_route_per_node_and_takes_them_away() {
    let mut bench = Bench::new();
    let spec = ClusterSpec::usual("shop", 1).kubenet();
    let cluster = bench.azure.create_cluster(&spec, START);
    bench.settle();
    let subnet = spec.subnet_id(&bench.azure.world().subscription, "nodes");
    let table = bench.azure.document(&subnet).unwrap()["properties"]["routeTable"]["id"].clone();
    let routes = |bench: &Bench| {
        let table = bench.azure.document(table.as_str().unwrap()).unwrap();
        table["properties"]["routes"].as_array().unwrap().len()
    };
    let before = routes(&bench);
    let id = format!("{cluster}/agentPools/batch");
    let made = send(&mut bench, Method::PUT, &id, Some(pool(&subnet, 2)));
    assert_eq!(made.body["properties"]["maxPods"], 110);
    bench.finish(&made);
    assert_eq!(routes(&bench), before + 2);
    let deleted = send(&mut bench, Method::DELETE, &id, None);
    bench.finish(&deleted);
    assert_eq!(routes(&bench), before);
}
