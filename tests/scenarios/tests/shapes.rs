//! The shapes of clusters of the first hour, each wired or refused as its shape allows, on the simulated Azure.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use azure_sim::ClusterSpec;
use hubward::stage::reach::{MCR, PARTNER, walks};
use hubward_core::finding::Code;
use hubward_core::plan::State;
use scenarios::{Cluster, Rig};
use serde_json::Value;

const SEED: u64 = 21;

/// Wires a cluster of this shape and gives the rig back.
async fn wired(spec: ClusterSpec) -> (Rig, Cluster) {
    let mut rig = Rig::new(SEED).await;
    let cluster = rig.create(spec);
    rig.settle().await;
    rig.assert_all_wired(std::slice::from_ref(&cluster)).await;
    (rig, cluster)
}

fn routes(rig: &Rig, table: &str) -> Vec<Value> {
    rig.document(table)["properties"]["routes"].as_array().unwrap().clone()
}

fn table_of(rig: &Rig, subnet: &str) -> String {
    let document = rig.document(subnet);
    document["properties"]["routeTable"]["id"]
        .as_str()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

#[tokio::test(start_paused = true)]
async fn kubenet_is_led_by_two_routes_in_the_table_that_aks_made() {
    let (rig, cluster) = wired(ClusterSpec::usual("aks-kube", 3).kubenet()).await;
    let table = rig.route_table_of(&cluster);
    assert!(table.to_ascii_lowercase().contains("/resourcegroups/mc_"), "{table}");
    let names: Vec<String> = routes(&rig, &table).iter().map(|r| r["name"].to_string()).collect();
    assert_eq!(
        names.iter().filter(|name| name.contains("hubward-")).count(),
        2,
        "{names:?}"
    );
    assert_eq!(
        names.iter().filter(|name| name.contains("aks-")).count(),
        3,
        "{names:?}"
    );
    assert_eq!(rig.ids_of("Microsoft.Network/routeTables").len(), 1, "no table of ours");
}

#[tokio::test(start_paused = true)]
async fn kubenet_is_led_by_two_routes_in_the_customers_own_table() {
    let (rig, cluster) = wired(ClusterSpec::usual("aks-kube", 3).kubenet_with_own_table()).await;
    let table = rig.route_table_of(&cluster);
    assert!(!table.to_ascii_lowercase().contains("/resourcegroups/mc_"), "{table}");
    assert_eq!(rig.ids_of("Microsoft.Network/routeTables").len(), 1, "no table of ours");
}

#[tokio::test(start_paused = true)]
async fn a_private_cluster_is_wired_without_a_rule_for_its_api_server() {
    let mut rig = Rig::new(SEED).await;
    let cluster = rig.create(ClusterSpec::usual("aks-priv", 4).private());
    rig.settle().await;
    assert!(rig.report(&cluster.key).await.unwrap().state.is_wired());
    let group = rig.document(&rig.our_group()).to_string();
    assert!(!group.contains("azmk8s.io\"") || group.contains("*.hcp"), "{group}");
    let outcomes = walks(&rig.azure.lock(), &cluster);
    for label in [MCR, PARTNER] {
        let seen_from = rig.egress_address();
        assert_eq!(
            outcomes.get(label),
            Some(&azure_sim::walk::Outcome::Reached { seen_from }),
            "{label}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn overlay_user_assigned_and_several_pools_in_several_subnets_are_wired() {
    let spec = ClusterSpec::usual("aks-many", 5)
        .overlay()
        .user_assigned("aks-many-identity")
        .subnet("users", "10.5.4.0/22")
        .pool("users", "users", 2);
    let (rig, cluster) = wired(spec).await;
    let second = format!("{}/subnets/users", cluster.vnet);
    assert_eq!(table_of(&rig, &cluster.subnet), table_of(&rig, &second));
    assert!(!table_of(&rig, &second).is_empty());
}

#[tokio::test(start_paused = true)]
async fn pod_subnets_carry_the_table_too() {
    let (rig, cluster) = wired(ClusterSpec::usual("aks-pods", 6).pod_subnet("pods", "10.6.4.0/22")).await;
    let pods = format!("{}/subnets/pods", cluster.vnet);
    assert_eq!(table_of(&rig, &cluster.subnet), table_of(&rig, &pods));
}

#[tokio::test(start_paused = true)]
async fn two_clusters_in_one_network_share_one_table_and_one_pair_of_peerings() {
    let mut rig = Rig::new(SEED).await;
    let first = rig.create(ClusterSpec::usual("aks-one", 7));
    rig.settle().await;
    rig.assert_all_wired(std::slice::from_ref(&first)).await;
    let second = rig.create(ClusterSpec::usual("aks-two", 8).beside(&first.spec, "10.7.8.0/22"));
    rig.settle().await;
    rig.assert_all_wired(&[first.clone(), second.clone()]).await;
    assert_eq!(table_of(&rig, &first.subnet), table_of(&rig, &second.subnet));
    assert_eq!(rig.ids_of("Microsoft.Network/routeTables").len(), 1);
    assert_eq!(
        rig.ids_of("Microsoft.Network/virtualNetworks/virtualNetworkPeerings")
            .len(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn a_network_that_aks_manages_is_not_eligible_and_nothing_is_written() {
    let mut rig = Rig::new(SEED).await;
    let cluster = rig.create(ClusterSpec::usual("aks-managed", 9).managed_vnet());
    rig.settle().await;
    let report = rig.report(&cluster.key).await.unwrap();
    assert_eq!(report.state, State::NotEligible, "{report:#?}");
    assert!(report.findings.iter().any(|f| f.code == Code::ManagedVirtualNetwork));
    assert_eq!(rig.accepted_writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_aks_is_still_making_waits_and_is_wired_when_aks_is_done() {
    let mut rig = Rig::new(SEED).await;
    let cluster = rig.create_cluster(1);
    let state = |rig: &hubward::stage::Stage| {
        let document = rig.azure.lock().document(&cluster.id).unwrap_or_default();
        document["properties"]["provisioningState"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    rig.run_until("AKS makes it", |rig| state(rig) == "Creating").await;
    let key = &rig.ledger.keys;
    key.request(
        hubward::ledger::queue::WorkKind::Spoke,
        &cluster.key,
        "asked while it is being made",
    )
    .await
    .unwrap();
    rig.run_until("AKS is done", |rig| state(rig) == "Succeeded").await;
    let switched = |path: &String| path.eq_ignore_ascii_case(&cluster.subnet);
    assert!(!rig.accepted_writes().iter().any(switched), "the switch waits for AKS");
    rig.settle().await;
    rig.assert_all_wired(std::slice::from_ref(&cluster)).await;
}
