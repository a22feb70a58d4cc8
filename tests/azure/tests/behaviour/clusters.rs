//! Clusters: made by a person's calls, with everything AKS adds, and gone with all of it.

use crate::bench::{Bench, START};
use azure_sim::{Azure, ClusterSpec, Documents};
use http::Method;
use serde_json::{Value, json};
use time::Duration;

const AKS: &str = "2025-05-01";

fn settle(bench: &mut Bench) {
    while let Some(next) = bench.azure.next_event() {
        bench.now = bench.now.max(next);
        bench.azure.advance(bench.now);
    }
}

fn get(bench: &mut Bench, id: &str) -> Value {
    let answer = bench.send(Method::GET, &format!("{id}?api-version={AKS}"), None);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

#[test]
fn a_person_s_cluster_comes_after_its_vnet_and_takes_minutes() {
    let mut bench = Bench::new();
    let spec = ClusterSpec::usual("shop", 1);
    let id = bench.azure.create_cluster(&spec, START);
    assert!(bench.azure.document(&id).is_none(), "the VNet comes first");
    bench.pass(150);
    assert_eq!(get(&mut bench, &id)["properties"]["provisioningState"], "Creating");
    settle(&mut bench);
    let taken = bench.azure.now() - START;
    assert!(
        taken > Duration::seconds(150) && taken < Duration::seconds(560),
        "{taken}"
    );
    let writes: Vec<&str> = bench
        .azure
        .trace()
        .iter()
        .filter(|call| call.principal.as_ref().is_some_and(|who| who.name == "person") && call.status == 201)
        .map(|call| call.path.rsplit('/').nth(1).unwrap())
        .collect();
    assert_eq!(
        writes,
        [
            "resourceGroups",
            "networkSecurityGroups",
            "virtualNetworks",
            "managedClusters"
        ]
    );
}

#[test]
fn a_finished_cluster_has_what_aks_adds() {
    let mut bench = Bench::new();
    let id = bench.azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
    settle(&mut bench);
    let cluster = get(&mut bench, &id);
    assert_eq!(cluster["id"], id.replace("/resourceGroups/", "/resourcegroups/"));
    assert_eq!(cluster["type"], "Microsoft.ContainerService/ManagedClusters");
    assert_eq!(cluster["properties"]["provisioningState"], "Succeeded");
    assert_eq!(
        cluster.get("systemData"),
        None,
        "AKS does not tell when a cluster was made"
    );
    assert_eq!(cluster["identity"]["type"], "SystemAssigned");
    assert!(cluster["identity"]["principalId"].is_string());
    let pool = &cluster["properties"]["agentPoolProfiles"][0];
    assert_eq!(
        (&pool["osDiskSizeGB"], &pool["maxPods"], &pool["provisioningState"]),
        (&json!(128), &json!(30), &json!("Succeeded"))
    );
    let fqdn = cluster["properties"]["fqdn"].as_str().unwrap().to_owned();
    assert!(fqdn.starts_with("shop-dns-") && fqdn.ends_with(".hcp.westeurope.azmk8s.io"));
    assert!(bench.azure.internet().resolve(&fqdn).is_some());
    let address = cluster["properties"]["networkProfile"]["loadBalancerProfile"]["effectiveOutboundIPs"][0]["id"]
        .as_str()
        .unwrap();
    let address = bench.azure.document(address).unwrap();
    assert!(
        address["properties"]["ipConfiguration"]["id"]
            .as_str()
            .unwrap()
            .contains("/loadBalancers/kubernetes/")
    );
    let group = bench.group("MC_rg-shop_shop_westeurope");
    assert!(bench.azure.document(&group).is_some());
    let pools = get(&mut bench, &format!("{id}/agentPools"));
    assert_eq!(pools["value"][0]["properties"]["vnetSubnetID"], pool["vnetSubnetID"]);
    let subnet = bench.azure.document(pool["vnetSubnetID"].as_str().unwrap()).unwrap();
    assert_eq!(subnet["properties"]["ipConfigurations"].as_array().unwrap().len(), 3);
    assert!(
        subnet["properties"]["networkSecurityGroup"]["id"]
            .as_str()
            .unwrap()
            .ends_with("/shop-nsg")
    );
}

#[test]
fn the_aks_operation_has_name_and_times_and_its_own_api_version() {
    let mut bench = Bench::new();
    let id = bench.azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
    settle(&mut bench);
    let mut body = get(&mut bench, &id);
    body["tags"] = json!({"changed": "yes"});
    let path = format!("{id}?api-version={AKS}");
    let answer = bench.send(Method::PUT, &path, Some(body.clone()));
    assert_eq!(
        (answer.status, answer.state(), answer.header("retry-after")),
        (200, "Updating", None)
    );
    let url = answer.operation();
    assert!(
        url.contains("/Microsoft.ContainerService/locations/westeurope/operations/")
            && url.contains("api-version=2017-08-31")
    );
    let refused = bench.send(Method::PUT, &path, Some(body));
    assert_eq!((refused.status, refused.code()), (409, "OperationNotAllowed"));
    let running = bench.poll(&url).body;
    assert_eq!(
        (&running["status"], running.get("endTime")),
        (&json!("InProgress"), None)
    );
    bench.finish(&answer);
    let done = bench.poll(&url).body;
    assert!(done["endTime"].as_str().unwrap() > done["startTime"].as_str().unwrap());
}

#[test]
fn nodes_hold_their_subnet_until_the_cluster_is_deleted() {
    let mut bench = Bench::new();
    let spec = ClusterSpec::usual("shop", 1);
    let id = bench.azure.create_cluster(&spec, START);
    settle(&mut bench);
    let subscription = bench.azure.world().subscription.clone();
    let vnet = spec.vnet_id(&subscription);
    let fqdn = get(&mut bench, &id)["properties"]["fqdn"].as_str().unwrap().to_owned();
    assert_eq!(bench.delete(&vnet).code(), "InUseSubnetCannotBeDeleted");
    let deleted = bench.send(Method::DELETE, &format!("{id}?api-version={AKS}"), None);
    assert_eq!(deleted.status, 202);
    bench.finish(&deleted);
    assert!(bench.azure.document(&id).is_none());
    assert!(
        bench
            .azure
            .document(&bench.group("MC_rg-shop_shop_westeurope"))
            .is_none()
    );
    assert_eq!(bench.azure.internet().resolve(&fqdn), None);
    assert_eq!(bench.delete(&vnet).status, 202);
}

#[test]
fn clusters_are_listed_by_subscription_and_group_and_appear_late_in_resource_graph() {
    let mut bench = Bench::new();
    let id = bench.azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
    while bench.azure.document(&id).is_none() {
        bench.pass(1);
    }
    let subscription = bench.azure.world().subscription.clone();
    let query = json!({"query": "resources | where type =~ 'microsoft.containerservice/managedclusters'", "subscriptions": [subscription]});
    let path = "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01";
    let stale = bench.send(Method::POST, path, Some(query.clone())).body;
    assert_eq!(
        (&stale["count"], &stale["resultTruncated"]),
        (&json!(0), &json!("false"))
    );
    bench.pass(61);
    let fresh = bench.send(Method::POST, path, Some(query)).body;
    assert_eq!(fresh["data"][0]["type"], "microsoft.containerservice/managedclusters");
    for scope in [format!("/subscriptions/{subscription}"), bench.group("RG-SHOP")] {
        let listed = get(
            &mut bench,
            &format!("{scope}/providers/Microsoft.ContainerService/managedClusters"),
        );
        assert_eq!(listed["value"].as_array().unwrap().len(), 1);
    }
    let person = bench.azure.world().handler.clone();
    assert_eq!(bench.azure.counters(&person).writes, 0, "queries are no writes");
}

#[test]
fn many_clusters_get_addresses_of_their_own() {
    let mut azure = Azure::new(azure_sim::World::one_hub(), 3, START);
    for index in 1..=40_u8 {
        azure.create_cluster(&ClusterSpec::usual(&format!("c{index}"), index), START);
    }
    while let Some(next) = azure.next_event() {
        azure.advance(next);
    }
    let clusters = azure.documents().list("microsoft.containerservice/managedclusters");
    assert_eq!(clusters.len(), 40);
    assert!(
        clusters
            .iter()
            .all(|cluster| cluster["properties"]["provisioningState"] == "Succeeded")
    );
    let addresses: std::collections::BTreeSet<_> = azure.internet().names.values().collect();
    assert_eq!(addresses.len(), azure.internet().names.len());
}

#[test]
fn a_hand_s_edit_shows_at_once_without_an_event_or_a_call() {
    let mut bench = Bench::new();
    let hub = bench.azure.world().hub.virtual_network.clone();
    let calls = bench.azure.trace().len();
    bench.azure.edit(&hub, |body| {
        body["properties"]["dhcpOptions"]["dnsServers"] = json!(["10.0.0.4"])
    });
    assert_eq!(
        bench.azure.document(&hub).unwrap()["properties"]["dhcpOptions"]["dnsServers"],
        json!(["10.0.0.4"])
    );
    assert_eq!((bench.azure.trace().len(), bench.azure.next_event()), (calls, None));
}
