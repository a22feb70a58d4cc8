//! Unwiring: a deleted cluster leaves Azure as if it had never been wired, others keep what they share with it, and nothing is
//! taken away before the cluster is proven to be gone.
#![allow(clippy::unwrap_used, reason = "a run that cannot be set up has failed")]

use std::time::Duration;

use azure_sim::{ClusterSpec, Fault, FaultEffect};
use http::Method;
use hubward::stage::reach::Continuity;
use hubward_core::finding::Code;
use scenarios::rig::START;
use scenarios::{Cluster, Rig, Setup};
use serde_json::{Value, json};

const SEEDS: [u64; 3] = [1, 2, 1007];
const MINUTES: Duration = Duration::from_secs(60);
const AKS: &str = "2025-05-01";
const RESOURCES: &str = "2024-11-01";
/// Everything that a wiring, a cluster or a person of these stories can touch.
#[tokio::test(start_paused = true)]
async fn a_deleted_cluster_leaves_azure_as_if_it_had_never_been_wired() {
    for seed in SEEDS {
        let mut without = Rig::without_app(Setup::seeded(seed)).await;
        let cluster = without.create_cluster(1);
        without.run_for(60 * MINUTES).await;
        delete(&without, &cluster.id, AKS);
        without.run_for(60 * MINUTES).await;

        let mut rig = Rig::new(seed).await;
        let cluster = rig.create_cluster(1);
        rig.settle().await;
        rig.assert_all_wired(std::slice::from_ref(&cluster)).await;
        delete(&rig, &cluster.id, AKS);
        rig.settle().await;
        assert_unwired(&rig, &cluster).await;
        assert_eq!(documents(&rig), documents(&without), "seed {seed}");
        let counters = rig.counters();
        assert_eq!(counters.firewall_updates, 2, "seed {seed}: {counters:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_cluster_and_group_are_deleted_azure_is_as_it_was_at_the_beginning() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let beginning = documents(&rig);
        let cluster = rig.create_cluster(1);
        rig.settle().await;
        delete(&rig, &cluster.id, AKS);
        rig.settle().await;
        delete(&rig, &group_of(&rig, &cluster), RESOURCES);
        rig.settle().await;
        assert_unwired(&rig, &cluster).await;
        assert_eq!(documents(&rig), beginning, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_resource_group_that_is_deleted_with_everything_in_it_is_unwired_too() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let beginning = documents(&rig);
        let clusters = rig.wire_clusters(2).await;
        delete(&rig, &group_of(&rig, &clusters[0]), RESOURCES);
        rig.settle().await;
        assert_unwired(&rig, &clusters[0]).await;
        rig.assert_all_wired(&clusters[1..]).await;
        delete(&rig, &group_of(&rig, &clusters[1]), RESOURCES);
        rig.settle().await;
        assert_unwired(&rig, &clusters[1]).await;
        assert_eq!(documents(&rig), beginning, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_last_cluster_our_rule_group_goes_and_not_before() {
    let mut rig = Rig::new(1).await;
    let clusters = rig.wire_clusters(2).await;
    let group = rig.our_group();
    delete(&rig, &clusters[0].id, AKS);
    rig.settle().await;
    rig.assert_all_wired(&clusters[1..]).await;
    assert!(rig.document(&group).is_object());
    delete(&rig, &clusters[1].id, AKS);
    rig.settle().await;
    let foreign = rig.azure.lock().world().hub.foreign_rule_collection_group.clone();
    let left = rig.ids_of("Microsoft.Network/firewallPolicies/ruleCollectionGroups");
    assert_eq!(left, [foreign]);
}

#[tokio::test(start_paused = true)]
async fn of_two_clusters_in_one_network_the_first_goes_and_the_second_keeps_every_walk() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let clusters = two_in_one_network(&mut rig).await;
        let watched = Continuity::of(&rig, &clusters[1..]);
        delete(&rig, &clusters[0].id, AKS);
        rig.settle().await;
        assert_unwired(&rig, &clusters[0]).await;
        rig.assert_all_wired(&clusters[1..]).await;
        let (losses, walks) = watched.losses();
        assert!(
            losses.is_empty() && walks > 10,
            "seed {seed}: {walks} walks, {losses:#?}"
        );
        let first = rig.document(&clusters[0].subnet);
        assert_eq!(first["properties"].get("routeTable"), None, "seed {seed}");

        delete(&rig, &clusters[1].id, AKS);
        rig.settle().await;
        assert_unwired(&rig, &clusters[1]).await;
        assert_nothing_of_ours(&rig);
    }
}

#[tokio::test(start_paused = true)]
async fn two_clusters_of_one_network_that_go_at_once_leave_nothing_behind() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let clusters = two_in_one_network(&mut rig).await;
        for cluster in &clusters {
            delete(&rig, &cluster.id, AKS);
        }
        rig.settle().await;
        for cluster in &clusters {
            assert_unwired(&rig, cluster).await;
        }
        assert_nothing_of_ours(&rig);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_event_of_a_living_cluster_does_nothing() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let clusters = rig.wire_clusters(1).await;
        let before = documents(&rig);
        let writes = rig.counters().writes;
        for _ in 0..3 {
            let said = deletion_of(&rig, &clusters[0]);
            rig.send_event(&said);
            rig.settle().await;
            rig.run_for(30 * MINUTES).await;
        }
        rig.assert_all_wired(&clusters).await;
        assert_eq!(
            (rig.counters().writes, documents(&rig)),
            (writes, before),
            "seed {seed}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_right_or_an_unknown_subscription_never_unwires() {
    for (status, code) in [
        (403, "AuthorizationFailed"),
        (404, "SubscriptionNotFound"),
        (404, "NotFound"),
    ] {
        let mut rig = Rig::new(1).await;
        let clusters = rig.wire_clusters(1).await;
        let before = documents(&rig);
        let refusal = FaultEffect::Answer {
            status,
            code: code.to_owned(),
            message: format!("{code}: somebody has changed something."),
            retry_after: None,
        };
        for _ in 0..200 {
            rig.azure.lock().inject(Fault {
                method: Some(Method::GET),
                path_contains: format!("/managedClusters/{}", clusters[0].spec.name),
                nth: 1,
                effect: refusal.clone(),
            });
        }
        for _ in 0..2 {
            let said = deletion_of(&rig, &clusters[0]);
            rig.send_event(&said);
            rig.run_for(90 * MINUTES).await;
            rig.tick();
            rig.run_for(90 * MINUTES).await;
        }
        assert_eq!(documents(&rig), before, "{code}");
        let state = rig.state(&clusters[0]).await;
        assert!(state != "offboarded", "{code}: {state}");
        assert!(
            rig.ledger.footprints.get(&clusters[0].key).await.unwrap().is_some(),
            "{code}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_delete_event_two_looks_ten_minutes_apart_prove_that_a_cluster_is_gone() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let cluster = rig.create_cluster(1);
        rig.settle().await;
        let creation = rig.creation_of(&cluster);
        rig.azure.lock().withhold_events("all");
        delete(&rig, &cluster.id, AKS);
        rig.run_for(20 * MINUTES).await;
        let writes = rig.counters().writes;

        rig.send_event(&creation);
        rig.run_for(9 * MINUTES).await;
        assert_eq!(rig.counters().writes, writes, "seed {seed}: one look proves nothing");
        assert_eq!(rig.state(&cluster).await, "offboarding", "seed {seed}");
        rig.settle().await;
        assert_unwired(&rig, &cluster).await;
        assert_nothing_of_ours(&rig);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_there_again_between_the_looks_stays_wired() {
    let mut rig = Rig::new(1).await;
    let clusters = rig.wire_clusters(1).await;
    let before = documents(&rig);
    // Both reads of one look miss it.
    for nth in [1, 2] {
        rig.azure.lock().inject(Fault {
            method: Some(Method::GET),
            path_contains: format!("/managedClusters/{}", clusters[0].spec.name),
            nth,
            effect: FaultEffect::Answer {
                status: 404,
                code: "ResourceNotFound".to_owned(),
                message: "The Resource was not found, for a moment.".to_owned(),
                retry_after: None,
            },
        });
    }
    let creation = rig.creation_of(&clusters[0]);
    rig.send_event(&creation);
    rig.run_for(MINUTES).await;
    assert_eq!(rig.state(&clusters[0]).await, "offboarding");
    rig.settle().await;
    rig.assert_all_wired(&clusters).await;
    assert_eq!(documents(&rig), before);
    let document = rig.ledger.keys.get(&clusters[0].key).await.unwrap().unwrap();
    assert_eq!((document.absent_since, document.delete_seen_at), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_made_again_under_the_same_name_is_wired_again() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let cluster = rig.create_cluster(1);
        rig.settle().await;
        delete(&rig, &cluster.id, AKS);
        rig.settle().await;
        assert_unwired(&rig, &cluster).await;
        let again = rig.create_cluster(1);
        rig.settle().await;
        assert_eq!(again.id, cluster.id);
        rig.assert_all_wired(&[again]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_made_again_while_it_is_being_unwired_is_wired_in_the_end() {
    for seed in SEEDS {
        for minutes in [6, 8, 10, 12] {
            let mut rig = Rig::new(seed).await;
            let cluster = rig.create_cluster(1);
            rig.settle().await;
            delete(&rig, &cluster.id, AKS);
            rig.run_for(minutes * MINUTES).await;
            let again = rig.create_cluster(1);
            rig.settle().await;
            rig.story = format!("made again after {minutes} minutes");
            rig.assert_all_wired(&[again]).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_delete_event_of_an_earlier_cluster_says_nothing_about_the_one_that_lives() {
    let mut rig = Rig::new(1).await;
    let cluster = rig.create_cluster(1);
    rig.settle().await;
    delete(&rig, &cluster.id, AKS);
    rig.settle().await;
    let old = rig
        .events()
        .into_iter()
        .find(|event| event["eventType"] == "Microsoft.Resources.ResourceDeleteSuccess" && is_about(event, &cluster.id))
        .unwrap();
    let again = rig.create_cluster(1);
    rig.settle().await;
    let (before, writes) = (documents(&rig), rig.counters().writes);
    rig.send_event(&old);
    rig.settle().await;
    rig.assert_all_wired(&[again]).await;
    assert_eq!((rig.counters().writes, documents(&rig)), (writes, before));
}

#[tokio::test(start_paused = true)]
async fn what_was_unwired_stays_unwired_whatever_is_told_of_it_again() {
    let mut rig = Rig::new(1).await;
    let cluster = rig.create_cluster(1);
    rig.settle().await;
    let creation = rig.creation_of(&cluster);
    delete(&rig, &cluster.id, AKS);
    rig.settle().await;
    let writes = rig.counters().writes;
    rig.send_event(&creation);
    rig.settle().await;
    let said = deletion_of(&rig, &cluster);
    rig.send_event(&said);
    rig.settle().await;
    rig.run_for(30 * MINUTES).await;
    rig.settle().await;
    assert_unwired(&rig, &cluster).await;
    assert_eq!(rig.counters().writes, writes);
}

#[tokio::test(start_paused = true)]
async fn a_subnet_in_which_somebody_else_lives_keeps_the_table_until_it_has_another_way_out() {
    let mut rig = Rig::new(1).await;
    let cluster = rig.create_cluster(1);
    rig.settle().await;
    let interface = format!(
        "{}/providers/Microsoft.Network/networkInterfaces/vm-1/ipConfigurations/first",
        group_of(&rig, &cluster)
    );
    rig.azure.lock().edit(&cluster.subnet, |subnet| {
        subnet["properties"]["ipConfigurations"] = json!([{"id": interface}]);
    });
    let writes = rig.counters().writes;
    delete(&rig, &cluster.id, AKS);
    rig.settle().await;
    let report = rig.report(&cluster.key).await.unwrap();
    let codes: Vec<Code> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(
        (report.state.to_string().as_str(), codes),
        ("offboarding", vec![Code::NoOtherEgress])
    );
    assert_eq!(rig.counters().writes, writes);
    rig.azure.lock().edit(&cluster.subnet, |subnet| {
        subnet["properties"]
            .as_object_mut()
            .unwrap()
            .shift_remove("ipConfigurations");
    });
    let creation = rig.creation_of(&cluster);
    rig.send_event(&creation);
    rig.settle().await;
    assert_unwired(&rig, &cluster).await;
    assert_nothing_of_ours(&rig);
}

/// A person deletes a resource.
fn delete(rig: &Rig, id: &str, version: &str) {
    let now = rig.now();
    let path = format!("{id}?api-version={version}");
    let answer = rig.azure.lock().person_request(Method::DELETE, &path, None, now);
    assert_eq!(answer.status(), 202, "seed {}: {:?}", rig.seed, answer.body());
}

fn group_of(rig: &Rig, cluster: &Cluster) -> String {
    let azure = rig.azure.lock();
    cluster.spec.group_id(&azure.world().subscription)
}

async fn two_in_one_network(rig: &mut Rig) -> Vec<Cluster> {
    let first = rig.create_cluster(1);
    rig.settle().await;
    let spec = ClusterSpec::usual("aks-02", 2).beside(&first.spec, "10.1.64.0/20");
    let second = rig.create(spec);
    rig.settle().await;
    let clusters = vec![first, second];
    rig.assert_all_wired(&clusters).await;
    clusters
}

/// The event that the cluster was deleted just now, whether or not it was.
fn deletion_of(rig: &Rig, cluster: &Cluster) -> Value {
    let mut event = rig.creation_of(cluster);
    let at = (rig.now() - START).whole_seconds();
    event["id"] = json!(format!("00000000-0000-4000-8000-{at:012}"));
    event["eventType"] = json!("Microsoft.Resources.ResourceDeleteSuccess");
    event["eventTime"] = json!(
        rig.now()
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap()
    );
    event["data"]["operationName"] = json!("Microsoft.ContainerService/managedClusters/delete");
    event
}

fn is_about(event: &Value, id: &str) -> bool {
    event["subject"]
        .as_str()
        .is_some_and(|subject| subject.eq_ignore_ascii_case(id))
}

async fn assert_unwired(rig: &Rig, cluster: &Cluster) {
    let report = rig.report(&cluster.key).await.unwrap();
    assert_eq!(report.state.to_string(), "offboarded", "seed {}: {report:#?}", rig.seed);
    let kept = rig.ledger.footprints.get(&cluster.key).await.unwrap();
    assert_eq!(kept, None, "seed {}", rig.seed);
    let contribution = rig.ledger.contributions.get("main", &cluster.key).await.unwrap();
    assert_eq!(contribution, None, "seed {}", rig.seed);
}

/// Nothing in Azure has a name of ours.
fn assert_nothing_of_ours(rig: &Rig) {
    for (id, document) in documents(rig) {
        assert!(
            !document.to_string().contains("hubward-"),
            "seed {}: {id}: {document:#}",
            rig.seed
        );
    }
}

/// Every document, without what Azure draws anew for each write.
fn documents(rig: &Rig) -> Vec<(String, Value)> {
    hubward::stage::documents(&rig.azure.lock()).into_iter().collect()
}
