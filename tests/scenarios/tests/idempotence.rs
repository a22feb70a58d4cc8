//! The same again: a repeated event, in either schema, in a burst, late or of our own making, writes nothing; nor does an app
//! that has lost its ledger.

use azure_sim::storage::Storage;
use scenarios::{Cluster, Crash, Rig};
use serde_json::Value;

const SEEDS: [u64; 3] = [1, 2, 3];

#[tokio::test(start_paused = true)]
async fn the_same_event_again_makes_no_further_write() {
    for seed in SEEDS {
        let (mut rig, cluster) = wired(seed).await;
        let event = rig.creation_of(&cluster);
        assert_no_write_by(&mut rig, &[event], &cluster).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_event_as_a_cloud_event_makes_no_further_write() {
    for seed in SEEDS {
        let (mut rig, cluster) = wired(seed).await;
        let event = rig.cloud_creation_of(&cluster);
        assert_eq!(event["specversion"], "1.0", "seed {seed}");
        assert_no_write_by(&mut rig, &[event], &cluster).await;
    }
}

#[tokio::test(start_paused = true)]
async fn ten_duplicates_at_once_make_no_further_write() {
    for seed in SEEDS {
        let (mut rig, cluster) = wired(seed).await;
        let event = rig.creation_of(&cluster);
        assert_no_write_by(&mut rig, &vec![event; 10], &cluster).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_events_of_our_own_writes_make_no_further_write() {
    for seed in SEEDS {
        let (mut rig, cluster) = wired(seed).await;
        let handler = rig.azure.lock().world().handler.client_id.to_string();
        let own = |event: &Value| event["data"]["claims"]["appid"] == handler;
        let events: Vec<Value> = rig.events().into_iter().filter(own).collect();
        let operations: Vec<&str> = events
            .iter()
            .filter_map(|e| e["data"]["operationName"].as_str())
            .collect();
        assert!(
            events.len() >= 5,
            "seed {seed}: seven writes, but these events: {operations:?}"
        );
        assert_no_write_by(&mut rig, &events, &cluster).await;
    }
}

#[tokio::test(start_paused = true)]
async fn ten_duplicates_of_the_first_event_cost_the_same_writes_as_one() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let cluster = rig.create_cluster(1);
        let id = cluster.id.clone();
        let about = move |event: &Value| {
            event["data"]["resourceUri"]
                .as_str()
                .is_some_and(|u| u.eq_ignore_ascii_case(&id))
        };
        rig.run_until("the creation is told", |rig| rig.events().iter().any(&about))
            .await;
        let event = rig.creation_of(&cluster);
        for _ in 0..9 {
            rig.send_event(&event);
        }
        rig.settle().await;
        rig.assert_all_wired(&[cluster]).await;
        let counters = rig.counters();
        assert_eq!(
            (rig.accepted_writes().len(), counters.firewall_updates),
            (7, 1),
            "seed {seed}: {counters:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn duplicates_that_keep_coming_during_the_wiring_cost_no_further_write() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let cluster = rig.create_cluster(1);
        rig.run_until("the first write", |rig| rig.counters().writes > 0).await;
        let event = rig.creation_of(&cluster);
        for _ in 0..40 {
            rig.send_event(&event);
            rig.run_for(std::time::Duration::from_secs(11)).await;
        }
        rig.settle().await;
        rig.assert_all_wired(&[cluster]).await;
        let counters = rig.counters();
        assert_eq!(
            (rig.accepted_writes().len(), counters.firewall_updates),
            (7, 1),
            "seed {seed}: {counters:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_ledger_makes_no_write_to_a_wired_cluster() {
    for seed in SEEDS {
        let (mut rig, cluster) = wired(seed).await;
        rig.stop_app(Crash::Process).await;
        let (account, key) = {
            let azure = rig.azure.lock();
            (azure.world().storage_account.clone(), azure.world().storage_key.clone())
        };
        *rig.azure.lock().storage_mut() = Storage::new(&account, &key);
        rig.start_app().await;
        let event = rig.creation_of(&cluster);
        assert_no_write_by(&mut rig, &[event], &cluster).await;
    }
}

async fn wired(seed: u64) -> (Rig, Cluster) {
    let mut rig = Rig::new(seed).await;
    let mut clusters = rig.wire_clusters(1).await;
    rig.assert_all_wired(&clusters).await;
    (rig, clusters.remove(0))
}

async fn assert_no_write_by(rig: &mut Rig, events: &[Value], cluster: &Cluster) {
    let (before, lines) = (rig.counters(), rig.lines.len());
    for event in events {
        rig.send_event(event);
    }
    rig.settle().await;
    let after = rig.counters();
    assert_eq!(after.writes, before.writes, "seed {}", rig.seed);
    assert_eq!(after.firewall_updates, before.firewall_updates, "seed {}", rig.seed);
    let new = &rig.lines[lines..];
    let answered = new
        .iter()
        .filter(|line| line.function == "ClusterEvents" && line.done)
        .count();
    assert_eq!(answered, events.len(), "seed {}: {new:#?}", rig.seed);
    rig.assert_wired(cluster);
}
