//! Unwiring whatever the cluster's shape is, whatever the mode, and of a cluster that lives on.
#![allow(clippy::unwrap_used, reason = "a run that cannot be set up has failed")]

use std::time::Duration;

use azure_sim::{ClusterSpec, Documents, World};
use http::Method;
use hubward::ledger::decisions::{Approval, Decision};
use hubward::ledger::queue::WorkKind;
use scenarios::{Cluster, Crash, Rig, Setup};
use serde_json::Value;

const MINUTES: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn clusters_of_every_shape_leave_nothing_of_ours_behind() {
    let kubenet = ClusterSpec::usual("aks-01", 1).kubenet();
    let own_table = ClusterSpec::usual("aks-01", 1).kubenet_with_own_table();
    let several = ClusterSpec::usual("aks-01", 1)
        .subnet("more", "10.1.8.0/22")
        .pool("work", "more", 2);
    let named = ClusterSpec::usual("aks-01", 1).user_assigned("shop");
    let private = ClusterSpec::usual("aks-01", 1).private();
    for (shape, spec) in [
        ("kubenet", kubenet),
        ("kubenet with a table of its own", own_table),
        ("two pools in two subnets", several),
        ("user-assigned identity", named),
        ("private", private),
    ] {
        let mut rig = Rig::new(1).await;
        rig.story = shape.to_owned();
        let cluster = rig.create(spec.clone());
        rig.settle().await;
        let state = rig.state(&cluster).await;
        assert!(["wired", "settling"].contains(&state.as_str()), "{shape}: {state}");
        delete(&rig, &cluster);
        rig.settle().await;
        assert_eq!(rig.state(&cluster).await, "offboarded", "{shape}");
        let found = documents(&rig);

        let mut without = Rig::without_app(Setup::seeded(1)).await;
        let cluster = without.create(spec);
        without.run_for(60 * MINUTES).await;
        delete(&without, &cluster);
        without.run_for(60 * MINUTES).await;
        assert_eq!(found, documents(&without), "{shape}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mode_that_only_observes_takes_nothing_away() {
    let mut rig = Rig::new(1).await;
    let cluster = rig.wire_clusters(1).await.remove(0);
    restart_in(&mut rig, "observe").await;
    let writes = rig.counters().writes;
    delete(&rig, &cluster);
    rig.settle().await;
    rig.run_for(60 * MINUTES).await;
    assert_eq!(rig.counters().writes, writes);
    let report = rig.report(&cluster.key).await.unwrap();
    assert_eq!(report.state.to_string(), "offboarding", "{report:#?}");
    assert!(report.plan.contains("detach-nodes"), "{}", report.plan);
    assert!(
        rig.ledger
            .contributions
            .get("main", &cluster.key)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_mode_holds_back_goes_once_it_is_approved() {
    let mut rig = Rig::new(1).await;
    let cluster = rig.wire_clusters(1).await.remove(0);
    restart_in(&mut rig, "approve").await;
    let writes = rig.counters().writes;
    delete(&rig, &cluster);
    rig.settle().await;
    assert_eq!(rig.counters().writes, writes);
    let report = rig.report(&cluster.key).await.unwrap();
    assert_eq!(report.state.to_string(), "offboarding", "{report:#?}");
    let approval = Approval {
        steps: report.held.iter().map(|held| held.digest.clone()).collect(),
        ..Approval::default()
    };
    let ids = report
        .held
        .iter()
        .map(|held| held.id.split('-').next().unwrap_or_default());
    let ids: Vec<&str> = ids.collect();
    assert_eq!(ids, ["detach", "remove", "remove", "remove", "revoke", "revoke"]);
    let decided = decision(&rig);
    rig.ledger
        .decisions
        .approve(&cluster.key, &approval, &decided)
        .await
        .unwrap();
    wish(&rig, &cluster).await;
    rig.settle().await;
    assert_eq!(rig.state(&cluster).await, "offboarded");
}

#[tokio::test(start_paused = true)]
async fn of_a_cluster_that_lives_on_the_way_in_is_closed_before_the_way_out_changes() {
    let setup = Setup {
        world: World::one_hub().with_ingress_addresses(1),
        ..Setup::seeded(1)
    };
    let mut rig = Rig::with(setup.setting("HUBWARD__hubs__main__ingress__sources", "[\"192.0.2.0/24\"]")).await;
    let cluster = rig.wire_clusters(1).await.remove(0);
    let subnet = cluster.subnet.clone();
    rig.wire.watch(move |azure, what| {
        let leaves_alone = azure.document(&subnet).unwrap()["properties"]
            .get("routeTable")
            .is_none();
        let rules = azure
            .documents()
            .list("Microsoft.Network/firewallPolicies/ruleCollectionGroups");
        let inbound = rules.iter().any(|group| group.to_string().contains("hubward-dnat-"));
        assert!(
            !(leaves_alone && inbound),
            "after {what}: clients are let in, and replies leave elsewhere"
        );
    });
    let decided = decision(&rig);
    rig.ledger.decisions.release(&cluster.key, &decided).await.unwrap();
    wish(&rig, &cluster).await;
    rig.settle().await;
    assert_eq!(rig.state(&cluster).await, "offboarded");
    let subnet = rig.document(&cluster.subnet);
    assert_eq!(subnet["properties"].get("routeTable"), None);
    // An event of the cluster wires nothing again.
    let writes = rig.counters().writes;
    let creation = rig.creation_of(&cluster);
    rig.send_event(&creation);
    rig.settle().await;
    assert_eq!(
        (rig.state(&cluster).await.as_str(), rig.counters().writes),
        ("offboarded", writes)
    );
    delete(&rig, &cluster);
    rig.settle().await;
    assert_eq!(rig.state(&cluster).await, "offboarded");
    for (id, document) in documents(&rig) {
        assert!(!document.to_string().contains("hubward-"), "{id}: {document:#}");
    }
}

async fn restart_in(rig: &mut Rig, mode: &str) {
    rig.set("HUBWARD__mode", mode);
    rig.crash(Crash::Process).await;
    rig.settle().await;
}

fn decision(rig: &Rig) -> Decision {
    Decision {
        at: rig.now(),
        by: "ada".to_owned(),
        reason: "the team moves".to_owned(),
    }
}

async fn wish(rig: &Rig, cluster: &Cluster) {
    let keys = &rig.ledger.keys;
    keys.request(WorkKind::Spoke, &cluster.key, "a person's word")
        .await
        .unwrap();
}

fn delete(rig: &Rig, cluster: &Cluster) {
    let now = rig.now();
    let path = format!("{}?api-version=2025-05-01", cluster.id);
    let answer = rig.azure.lock().person_request(Method::DELETE, &path, None, now);
    assert_eq!(answer.status(), 202, "{:?}", answer.body());
}

/// Every document, without what Azure draws anew for each write.
fn documents(rig: &Rig) -> Vec<(String, Value)> {
    hubward::stage::documents(&rig.azure.lock()).into_iter().collect()
}
