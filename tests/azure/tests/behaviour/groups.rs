//! Resource groups, and what goes with them.

use crate::bench::{Answer, Bench, START, table};
use azure_sim::{ClusterSpec, World};
use http::Method;
use serde_json::{Value, json};

const GROUPS: &str = "2021-04-01";
const AKS: &str = "2025-05-01";

fn send(bench: &mut Bench, method: Method, id: &str, body: Option<Value>) -> Answer {
    bench.send(method, &format!("{id}?api-version={GROUPS}"), body)
}

/// No event is delivered twice, and every member of a deleted group tells of its end.
fn telling_world() -> World {
    let mut world = World::one_hub();
    world.events.duplicate_share = 0.0;
    world.events.member_delete_share = 1.0;
    world
}

fn names(listed: &Answer) -> Vec<&str> {
    let values = listed.body["value"].as_array().unwrap();
    values.iter().map(|value| value["name"].as_str().unwrap()).collect()
}

#[test]
fn a_group_is_written_at_once_and_asked_for_with_head() {
    let mut bench = Bench::new();
    let group = bench.group("apps");
    assert_eq!(send(&mut bench, Method::HEAD, &group, None).status, 404);
    let body = json!({"location": "West Europe", "tags": {"a": "b"}});
    let made = send(&mut bench, Method::PUT, &group, Some(body.clone()));
    assert_eq!((made.status, made.state()), (201, "Succeeded"));
    assert_eq!(
        (&made.body["location"], &made.body["tags"]),
        (&json!("westeurope"), &json!({"a": "b"}))
    );
    assert_eq!(send(&mut bench, Method::PUT, &group, Some(body)).status, 200);
    let there = send(
        &mut bench,
        Method::HEAD,
        &group.to_uppercase().replace("/SUBSCRIPTIONS/", "/subscriptions/"),
        None,
    );
    assert_eq!((there.status, there.response.body().len()), (204, 0));
    let nowhere = bench.group("nowhere");
    let gone = send(&mut bench, Method::DELETE, &nowhere, None);
    assert_eq!((gone.status, gone.code()), (404, "ResourceGroupNotFound"));
}

#[test]
fn a_group_lists_its_top_level_resources_as_arm_does() {
    let mut bench = Bench::new();
    let hub = bench.azure.world().hub.resource_group.clone();
    let listed = send(&mut bench, Method::GET, &format!("{hub}/resources"), None);
    assert_eq!(
        names(&listed),
        [
            "hub-egress-ip",
            "hub-firewall-ip",
            "hub-nat",
            "hub-vnet",
            "hub-policy",
            "hub-firewall"
        ]
    );
    let vnet = &listed.body["value"][3];
    assert_eq!(vnet["type"], "Microsoft.Network/virtualNetworks");
    assert_eq!(vnet["tags"], json!({"owner": "network-team"}));
    assert_eq!(vnet.get("properties"), None, "what it is, not how it is set");
    let nowhere = bench.group("nowhere");
    let refused = send(&mut bench, Method::GET, &format!("{nowhere}/resources"), None);
    assert_eq!((refused.status, refused.code()), (404, "ResourceGroupNotFound"));
    bench.make_group("apps");
    let empty = bench.group("apps");
    assert!(names(&send(&mut bench, Method::GET, &format!("{empty}/resources"), None)).is_empty());
    bench.azure.set_handler_rights(Some(vec![]));
    let forbidden = send(&mut bench, Method::GET, &format!("{hub}/resources"), None);
    assert_eq!((forbidden.status, forbidden.code()), (403, "AuthorizationFailed"));
}

#[test]
fn nothing_can_be_written_into_a_group_that_is_being_deleted() {
    let mut bench = Bench::new();
    bench.make_group("apps");
    let group = bench.group("apps");
    let first = send(&mut bench, Method::DELETE, &group, None);
    let second = send(&mut bench, Method::DELETE, &group, None);
    assert_eq!((first.status, second.status), (202, 202));
    assert_eq!(first.header("location"), second.header("location"));
    assert_eq!(first.header("azure-asyncoperation"), None);
    let read = send(&mut bench, Method::GET, &group, None);
    assert_eq!((read.status, read.state()), (200, "Deleting"));
    let routes = bench.network("apps", "routeTables/rt");
    let refused = bench.put(&routes, table(&[]));
    assert_eq!((refused.status, refused.code()), (409, "ResourceGroupBeingDeleted"));
    let again = send(&mut bench, Method::PUT, &group, Some(json!({"location": "westeurope"})));
    assert_eq!((again.status, again.code()), (409, "ResourceGroupBeingDeleted"));
    bench.pass(181);
    let location = first.header("location").unwrap().to_owned();
    assert!(matches!(bench.poll(&location).status, 200 | 204));
    assert_eq!(send(&mut bench, Method::HEAD, &group, None).status, 404);
    bench.make_group("apps");
}

#[test]
fn a_deleted_group_tells_of_itself_and_of_what_was_in_it() {
    let mut bench = Bench::with(telling_world(), 7);
    let cluster = bench.azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
    bench.settle();
    bench.listen();
    let group = bench.group("rg-shop");
    send(&mut bench, Method::DELETE, &group, None);
    bench.settle();
    let mut told = bench.told();
    told.sort();
    let cluster = cluster.replace("/resourceGroups/", "/resourcegroups/");
    let network = format!("{group}/providers/Microsoft.Network");
    let gone = |operation: &str, subject: &str| {
        format!("Microsoft.Resources.ResourceDeleteSuccess {operation}/delete {subject}")
    };
    let mut expected = [
        gone("Microsoft.ContainerService/managedClusters", &cluster),
        gone(
            "Microsoft.Network/networkSecurityGroups",
            &format!("{network}/networkSecurityGroups/shop-nsg"),
        ),
        gone(
            "Microsoft.Network/virtualNetworks",
            &format!("{network}/virtualNetworks/shop-vnet"),
        ),
        gone(
            "Microsoft.Resources/subscriptions/resourceGroups",
            &bench.group("MC_rg-shop_shop_westeurope"),
        ),
        gone("Microsoft.Resources/subscriptions/resourceGroups", &group),
    ];
    expected.sort();
    assert_eq!(told, expected);
    let subscription = format!("/subscriptions/{}", bench.azure.world().subscription);
    let left = send(&mut bench, Method::GET, &format!("{subscription}/resources"), None);
    assert_eq!(names(&left).len(), 6, "the hub alone: {:?}", names(&left));
}

#[test]
fn what_is_used_from_outside_keeps_its_group() {
    let mut bench = Bench::with(telling_world(), 7);
    let hub = bench.azure.world().hub.clone();
    bench.make_group("apps");
    let (group, address) = (bench.group("apps"), bench.network("apps", "publicIPAddresses/app-ip"));
    let routes = bench.network("apps", "routeTables/rt");
    bench.put_done(&routes, table(&[]));
    bench.put_done(
        &address,
        json!({"location": "westeurope", "sku": {"name": "Standard"}, "properties": {"publicIPAllocationMethod": "Static"}}),
    );
    let used = address.clone();
    bench.azure.edit(&hub.firewall, move |firewall| {
        let configurations = firewall["properties"]["ipConfigurations"].as_array_mut().unwrap();
        configurations.push(json!({"name": "app", "properties": {"publicIPAddress": {"id": used}}}));
    });
    bench.listen();
    let deleted = send(&mut bench, Method::DELETE, &group, None);
    bench.settle();
    let location = deleted.header("location").unwrap().to_owned();
    let failed = bench.poll(&location);
    assert_eq!((failed.status, failed.code()), (409, "ResourceGroupDeletionBlocked"));
    assert!(
        failed
            .message()
            .contains("'Microsoft.Network/publicIPAddresses/app-ip' could not be deleted")
    );
    assert_eq!(bench.get(&routes).status, 404, "the rest went");
    assert_eq!(bench.get(&address).status, 200);
    assert_eq!(send(&mut bench, Method::GET, &group, None).state(), "Succeeded");
    let told = bench.told();
    assert!(
        told.iter()
            .any(|told| told.starts_with("Microsoft.Resources.ResourceDeleteFailure"))
    );
    bench.azure.edit(&hub.firewall, |firewall| {
        firewall["properties"]["ipConfigurations"].as_array_mut().unwrap().pop();
    });
    send(&mut bench, Method::DELETE, &group, None);
    bench.settle();
    assert_eq!(send(&mut bench, Method::HEAD, &group, None).status, 404);
}

#[test]
fn a_deleted_cluster_takes_its_node_group_its_name_and_its_table_off_the_subnets() {
    let mut bench = Bench::with(telling_world(), 7);
    let spec = ClusterSpec::usual("shop", 1).kubenet();
    let cluster = bench.azure.create_cluster(&spec, START);
    bench.settle();
    let subscription = bench.azure.world().subscription.clone();
    let node_group = bench.group("MC_rg-shop_shop_westeurope");
    let subnet = spec.subnet_id(&subscription, "nodes");
    let before = bench.azure.document(&subnet).unwrap()["properties"].clone();
    let routes = before["routeTable"]["id"].as_str().unwrap().to_owned();
    assert!(routes.starts_with(&node_group), "{routes}");
    let resources = send(&mut bench, Method::GET, &format!("{node_group}/resources"), None);
    assert!(names(&resources).contains(&"kubernetes"), "{:?}", names(&resources));
    bench.listen();
    bench.send(Method::DELETE, &format!("{cluster}?api-version={AKS}"), None);
    bench.settle();
    assert_eq!(send(&mut bench, Method::HEAD, &node_group, None).status, 404);
    assert_eq!(bench.get(&routes).code(), "ResourceGroupNotFound");
    let after = bench.azure.document(&subnet).unwrap()["properties"].clone();
    assert_eq!(after.get("routeTable"), None);
    assert_eq!(
        after["networkSecurityGroup"], before["networkSecurityGroup"],
        "the owner's own stays"
    );
    let told = bench.told();
    assert!(
        told.iter().any(|told| told.contains("managedClusters/delete")),
        "{told:?}"
    );
    assert!(told.iter().any(|told| told.ends_with(&node_group)), "{told:?}");
}

#[test]
fn a_cluster_whose_group_goes_while_it_is_made_ends_without_a_word() {
    let mut bench = Bench::with(telling_world(), 7);
    let cluster = bench.azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
    while bench.azure.document(&cluster).is_none() {
        bench.pass(1);
    }
    bench.listen();
    bench.azure.erase(&bench.group("rg-shop"));
    bench.settle();
    assert!(
        bench.told().iter().all(|told| !told.contains("managedClusters")),
        "{:?}",
        bench.told()
    );
    assert!(
        bench
            .azure
            .document(&bench.group("MC_rg-shop_shop_westeurope"))
            .is_none()
    );
}
