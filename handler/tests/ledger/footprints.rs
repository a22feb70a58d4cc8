//! Footprints: they grow, they tell who else is in a network, and they are forgotten as a whole.

use std::collections::BTreeSet;

use hubward_core::blueprint::{Footprint, Place};

use super::*;

fn id(text: &str) -> ResourceId {
    ResourceId::parse(&format!("/subscriptions/s/resourceGroups/g/providers/{text}")).unwrap()
}

fn vnet(name: &str) -> ResourceId {
    id(&format!("Microsoft.Network/virtualNetworks/{name}"))
}

/// The footprint of a cluster with one subnet in the network.
fn footprint(cluster: &str, network: &str, subnet: &str) -> Footprint {
    let vnet = vnet(network);
    let place = Place {
        hub: "west".to_owned(),
        subnets: [vnet.child("subnets", subnet)].into(),
        route_table: id("Microsoft.Network/routeTables/t"),
        table_is_ours: true,
        routes: Vec::new(),
        hub_peering: id("Microsoft.Network/virtualNetworks/hub/virtualNetworkPeerings/p"),
        spoke_peering: vnet.child("virtualNetworkPeerings", "p"),
        vnet,
    };
    Footprint {
        cluster: id(&format!("Microsoft.ContainerService/managedClusters/{cluster}")),
        node_groups: BTreeSet::new(),
        places: vec![place],
        roles: BTreeSet::new(),
        address_group: None,
        application_address: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_footprint_grows_and_equal_content_is_no_change() {
    let bench = Bench::new().await;
    let footprints = &bench.ledger.footprints;
    let (first, second) = (footprint("c", "v", "nodes"), footprint("c", "v", "more"));
    assert!(footprints.grow(&first).await.unwrap());
    assert!(!footprints.grow(&first).await.unwrap());
    assert!(footprints.grow(&second).await.unwrap());
    let kept = footprints.get(&first.cluster.key()).await.unwrap().unwrap();
    assert_eq!(kept.footprint, first.grown(&second));
    assert_eq!(kept.footprint.places[0].subnets.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn others_in_a_network_are_found_while_they_have_a_footprint_there() {
    let bench = Bench::new().await;
    let footprints = &bench.ledger.footprints;
    let (one, two) = (footprint("one", "v", "a"), footprint("two", "v", "b"));
    let elsewhere = footprint("three", "w", "c");
    for footprint in [&one, &two, &elsewhere] {
        footprints.grow(footprint).await.unwrap();
    }
    let others = async || {
        let found = footprints
            .others(&one.cluster.key(), &[vnet("V")].into())
            .await
            .unwrap();
        found
            .into_iter()
            .map(|kept| (kept.cluster, kept.leaving_since))
            .collect::<Vec<_>>()
    };
    assert_eq!(others().await, [(two.cluster.key(), None)]);
    footprints.leave(&two.cluster.key(), START).await.unwrap();
    assert_eq!(others().await, [(two.cluster.key(), Some(START))]);
    assert!(footprints.forget(&two.cluster.key()).await.unwrap());
    assert_eq!(others().await, []);
    assert!(!footprints.forget(&two.cluster.key()).await.unwrap());
    let left = bench.storage().blob_names(CONTAINER);
    let dwellers = left.iter().filter(|name| name.starts_with("dwellers/")).count();
    assert_eq!(dwellers, 2, "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_wired_again_is_no_longer_leaving_and_its_unwiring_is_remembered_until_it_is_mended() {
    let bench = Bench::new().await;
    let footprints = &bench.ledger.footprints;
    let own = footprint("c", "v", "nodes");
    let key = own.cluster.key();
    footprints.grow(&own).await.unwrap();
    footprints.leave(&key, START).await.unwrap();
    footprints.leave(&key, START + Duration::from_secs(60)).await.unwrap();
    let state = async || {
        let kept = footprints.get(&key).await.unwrap().unwrap();
        (kept.leaving_since, kept.unfinished)
    };
    assert_eq!(state().await, (Some(START), true));
    assert!(footprints.grow(&own).await.unwrap());
    assert_eq!(state().await, (None, true));
    footprints.mended(&key).await.unwrap();
    assert_eq!(state().await, (None, false));
}

#[tokio::test(start_paused = true)]
async fn a_key_remembers_a_deletion_and_the_first_look_that_missed_the_cluster_until_one_finds_it() {
    let bench = Bench::new().await;
    let keys = &bench.ledger.keys;
    keys.request_deleted(WorkKind::Offboard, CLUSTER, "event 1", START)
        .await
        .unwrap();
    let message = WorkMessage::fresh(WorkKind::Offboard, CLUSTER, "event 1");
    let Begin::Lease(mut lease) = keys.begin(&message).await.unwrap() else {
        panic!("the key is free")
    };
    assert_eq!((lease.delete_seen_at, lease.absent_since), (Some(START), None));
    let later = |minutes: u64| START + Duration::from_secs(60 * minutes);
    let told = async || {
        let document = keys.get(CLUSTER).await.unwrap().unwrap();
        (document.delete_seen_at, document.absent_since)
    };
    keys.saw(&mut lease, false, later(1)).await.unwrap();
    keys.saw(&mut lease, false, later(5)).await.unwrap();
    assert_eq!(told().await, (Some(START), Some(later(1))));
    keys.saw(&mut lease, true, later(6)).await.unwrap();
    assert_eq!(told().await, (None, None));
    assert_eq!((lease.delete_seen_at, lease.absent_since), (None, None));
    // An event that came while the look went on is not taken back by what it saw before.
    let news = START - Duration::from_secs(60);
    keys.request_deleted(WorkKind::Offboard, CLUSTER, "event 2", news)
        .await
        .unwrap();
    keys.saw(&mut lease, false, later(8)).await.unwrap();
    keys.saw(&mut lease, true, later(8)).await.unwrap();
    assert_eq!(told().await.0, Some(news));
}

#[tokio::test]
async fn an_event_from_times_to_come_counts_as_one_of_now() {
    let bench = Bench::new().await;
    let keys = &bench.ledger.keys;
    let future = START + Duration::from_secs(400 * 24 * 3600);
    keys.request_deleted(WorkKind::Offboard, CLUSTER, "event", future)
        .await
        .unwrap();
    let document = keys.get(CLUSTER).await.unwrap().unwrap();
    let noted = document.delete_seen_at.unwrap();
    assert!(noted < START + Duration::from_secs(60), "{noted}");
}
