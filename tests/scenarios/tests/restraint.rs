//! What Hubward leaves alone: everything in mode `observe`, and clusters that are older than its installation.

use hubward_core::finding::Code;
use scenarios::{Rig, Setup};

const SEEDS: [u64; 3] = [1, 2, 3];

#[tokio::test(start_paused = true)]
async fn mode_observe_plans_and_never_writes() {
    for seed in SEEDS {
        let mut rig = Rig::with(Setup::seeded(seed).setting("HUBWARD__mode", "observe")).await;
        let clusters = rig.wire_clusters(2).await;
        for cluster in &clusters {
            let report = rig.report(&cluster.key).await.unwrap();
            assert_eq!(report.state.to_string(), "observed", "seed {seed}: {report:#?}");
            for step in ["peer-spoke-to-hub", "peer-hub-to-spoke", "route-table", "switch-nodes"] {
                assert!(report.plan.contains(step), "seed {seed}: no {step} in\n{}", report.plan);
            }
            assert!(report.steps.is_empty(), "seed {seed}: {report:#?}");
        }
        assert_eq!(rig.counters().writes, 0, "seed {seed}");
        assert!(rig.counters().reads > 0, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_older_than_the_installation_is_only_observed() {
    for seed in SEEDS {
        let mut rig = Rig::without_app(Setup::seeded(seed)).await;
        let old = rig.create_cluster(1);
        rig.run_until("the old cluster is there", |rig| {
            let document = rig.azure.lock().document(&old.id).unwrap_or_default();
            document["properties"]["provisioningState"] == "Succeeded"
        })
        .await;
        rig.start_app().await;
        // Event Grid still brings the event of its creation.
        rig.settle().await;
        let report = rig.report(&old.key).await.unwrap();
        assert_eq!(report.state.to_string(), "observed", "seed {seed}: {report:#?}");
        let codes: Vec<Code> = report.findings.iter().map(|finding| finding.code).collect();
        assert!(codes.contains(&Code::OlderThanInstallation), "seed {seed}: {codes:?}");
        assert_eq!(rig.counters().writes, 0, "seed {seed}");

        let young = rig.create_cluster(2);
        rig.settle().await;
        rig.assert_all_wired(&[young]).await;
        assert_eq!(rig.state(&old).await, "observed", "seed {seed}");
        assert_eq!(rig.accepted_writes().len(), 7, "seed {seed}");
    }
}
