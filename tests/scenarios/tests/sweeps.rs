//! Sweeps: what no event told is found all the same, the first sweep never writes, and looking costs only reads.

use std::time::Duration;

use azure_sim::{Azure, Service, World};
use hubward::work::sweep;
use hubward_core::finding::Code;
use scenarios::rig::START;
use scenarios::rig::wire::{Fate, Moment};
use scenarios::{Cluster, Crash, Rig, Setup};
use time::macros::datetime;

const SEEDS: [u64; 2] = [1, 2];
const MINUTES: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn the_first_sweep_writes_nothing_and_the_second_corrects() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let clusters = rig.wire_clusters(2).await;
        let route = bend_route(&rig, &clusters[0]);
        let before = rig.counters().writes;

        sweep(&mut rig).await;
        assert_eq!(
            rig.counters().writes,
            before,
            "seed {seed}: the first sweep writes nothing"
        );
        assert_eq!(rig.document(&route)["properties"]["nextHopIpAddress"], "10.9.9.9");
        let report = rig.report(&clusters[0].key).await.unwrap();
        assert!(report.plan.contains("leads elsewhere"), "seed {seed}: {}", report.plan);
        let note = rig.ledger.sweeps.get(sweep::ALL).await.unwrap().unwrap();
        assert_eq!((note.finished, note.clusters), (1, 2), "seed {seed}: {note:?}");

        sweep(&mut rig).await;
        rig.assert_all_wired(&clusters).await;
        assert_eq!(
            rig.counters().writes,
            before + 1,
            "seed {seed}: the one route and nothing else"
        );
        let note = rig.ledger.sweeps.get(sweep::ALL).await.unwrap().unwrap();
        assert_eq!((note.finished, note.trouble), (2, None), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_after_the_first_sweep_may_write_at_once() {
    let mut rig = Rig::new(1).await;
    let cluster = rig.create_cluster(1);
    rig.settle().await;
    bend_route(&rig, &cluster);
    sweep(&mut rig).await;
    let creation = rig.creation_of(&cluster);
    rig.send_event(&creation);
    rig.settle().await;
    rig.assert_all_wired(&[cluster]).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_sweep_does_not_stop_work_that_an_event_has_begun() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let cluster = rig.create_cluster(1);
        rig.run_until("the wiring has begun", |rig| rig.counters().writes >= 2)
            .await;
        sweep(&mut rig).await;
        rig.assert_all_wired(&[cluster]).await;
        assert_eq!(rig.accepted_writes().len(), 7, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_whose_events_were_all_lost_is_found_and_only_observed_because_nobody_tells_its_age() {
    for seed in SEEDS {
        let mut rig = without_events(seed).await;
        let cluster = rig.create_cluster(1);
        rig.run_for(30 * MINUTES).await;
        assert_eq!(rig.state(&cluster).await, "unknown", "seed {seed}: nobody has told");
        for _ in 0..2 {
            sweep(&mut rig).await;
            let report = rig.report(&cluster.key).await.unwrap();
            assert_eq!(report.state.to_string(), "observed", "seed {seed}: {report:#?}");
            let codes: Vec<Code> = report.findings.iter().map(|finding| finding.code).collect();
            assert!(codes.contains(&Code::OlderThanInstallation), "seed {seed}: {codes:?}");
        }
        assert_eq!(rig.counters().writes, 0, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wish_whose_message_was_lost_is_found_by_the_sweep() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let clusters = rig.wire_clusters(1).await;
        sweep(&mut rig).await;
        bend_route(&rig, &clusters[0]);
        // The process dies when the wish is counted and its message not sent, and the event does not come again.
        rig.wire.hook(|_, call| {
            let sends = call.service == Service::Queue && call.method == "POST" && call.moment == Moment::Before;
            if sends { Fate::Dies } else { Fate::Goes }
        });
        let creation = rig.creation_of(&clusters[0]);
        rig.send_event(&creation);
        rig.run_for(10 * MINUTES).await;
        rig.wire.unhook();
        rig.run_for(24 * 60 * MINUTES).await;
        assert_eq!(rig.owed().await, [clusters[0].key.clone()], "seed {seed}");
        sweep(&mut rig).await;
        rig.assert_all_wired(&clusters).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_over_what_is_as_it_should_be_makes_one_look_each_and_no_write() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let clusters = rig.wire_clusters(5).await;
        sweep(&mut rig).await;
        for _ in 0..4 {
            let (before, looks) = (rig.counters(), rig.said("Work").len());
            sweep(&mut rig).await;
            assert_eq!(rig.counters().writes, before.writes, "seed {seed}");
            let looks = rig.said("Work").len() - looks;
            assert_eq!(looks, 5 + 1 + 1, "seed {seed}: the clusters, the hub, the sweep itself");
            let reads = rig.counters().reads - before.reads;
            assert!(reads <= 6 * 25, "seed {seed}: {reads} reads");
        }
        rig.assert_all_wired(&clusters).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_dies_at_any_of_its_calls_goes_on_and_reaches_everybody() {
    for after in [1_u64, 2, 5, 13, 34] {
        let mut rig = Rig::new(after).await;
        let clusters = rig.wire_clusters(3).await;
        sweep(&mut rig).await;
        let bent: Vec<String> = clusters.iter().map(|cluster| bend_route(&rig, cluster)).collect();
        rig.tick();
        let calls = rig.wire.calls();
        rig.run_until("the sweep is under way", |rig| rig.wire.calls() >= calls + after)
            .await;
        rig.crash(Crash::Process).await;
        rig.settle().await;
        if rig.ledger.sweeps.get(sweep::ALL).await.unwrap().unwrap().finished < 2 {
            // It died before the wish was kept: the host does not repeat a timer, the next tick does.
            sweep(&mut rig).await;
        }
        rig.assert_all_wired(&clusters).await;
        for route in bent {
            assert_ne!(rig.document(&route)["properties"]["nextHopIpAddress"], "10.9.9.9");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_resource_graph_the_clusters_of_the_ledger_are_swept_all_the_same() {
    let mut rig = Rig::new(1).await;
    let cluster = rig.create_cluster(1);
    rig.settle().await;
    sweep(&mut rig).await;
    bend_route(&rig, &cluster);
    rig.wire.hook(|_, call| {
        if call.is_arm("POST", "/resources") {
            Fate::Lost
        } else {
            Fate::Goes
        }
    });
    sweep(&mut rig).await;
    rig.assert_all_wired(&[cluster]).await;
    let note = rig.ledger.sweeps.get(sweep::ALL).await.unwrap().unwrap();
    assert!(
        note.trouble
            .unwrap()
            .contains("only the clusters that the ledger knows")
    );
}

/// One tick of the timer and everything that comes of it.
async fn sweep(rig: &mut Rig) {
    rig.tick();
    rig.settle().await;
}

/// Somebody leads the default route of the cluster to an address of his own; its id.
fn bend_route(rig: &Rig, cluster: &Cluster) -> String {
    let table = rig.route_table_of(cluster);
    let routes = rig.document(&table)["properties"]["routes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let default = routes
        .iter()
        .find(|route| route["properties"]["addressPrefix"] == "0.0.0.0/0");
    let id = default
        .and_then(|route| route["id"].as_str())
        .unwrap_or_default()
        .to_owned();
    rig.azure
        .lock()
        .edit(&id, |route| route["properties"]["nextHopIpAddress"] = "10.9.9.9".into());
    id
}

/// An Azure without any event subscription.
async fn without_events(seed: u64) -> Rig {
    let mut azure = Azure::new(World::one_hub(), seed, START);
    azure.set_wall_clock(datetime!(2100-01-01 00:00 UTC));
    let mut rig = Rig::over(azure, seed, Setup::seeded(seed).settings).await;
    rig.start_app().await;
    rig
}
