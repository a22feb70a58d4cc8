//! Nobody is cut off: what was reached before a write is reached after it, at every instant of a wiring.

use scenarios::Rig;
use scenarios::rig::reach::Continuity;

const SEEDS: [u64; 3] = [1, 2, 3];

#[tokio::test(start_paused = true)]
async fn no_instant_of_a_wiring_loses_a_destination() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let cluster = rig.create_cluster(1);
        let watch = Continuity::of(&rig, std::slice::from_ref(&cluster));
        rig.settle().await;
        assert_nothing_lost(&rig, &watch, 20);
        rig.assert_all_wired(&[cluster]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_instant_of_three_wirings_at_once_loses_a_destination() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let clusters: Vec<_> = (1..=3).map(|index| rig.create_cluster(index)).collect();
        let watch = Continuity::of(&rig, &clusters);
        rig.settle().await;
        assert_nothing_lost(&rig, &watch, 60);
        rig.assert_all_wired(&clusters).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wired_cluster_loses_nothing_while_another_is_wired() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let mut clusters = rig.wire_clusters(1).await;
        clusters.push(rig.create_cluster(2));
        let watch = Continuity::of(&rig, &clusters);
        rig.settle().await;
        assert_nothing_lost(&rig, &watch, 20);
        rig.assert_all_wired(&clusters).await;
    }
}

/// The watch would notice: rules that vanish by hand are a loss.
#[tokio::test(start_paused = true)]
async fn the_watch_notices_a_loss() {
    let mut rig = Rig::new(1).await;
    let clusters = rig.wire_clusters(1).await;
    let watch = Continuity::of(&rig, &clusters);
    let group = rig.our_group();
    rig.azure.lock().erase(&group);
    rig.send_event(&rig.creation_of(&clusters[0]));
    let before = rig.counters().writes;
    rig.run_until("they are written again", |rig| rig.counters().writes > before)
        .await;
    let (losses, _) = watch.losses();
    assert_eq!(losses.len(), 4, "seed 1: {losses:#?}");
}

fn assert_nothing_lost(rig: &Rig, watch: &Continuity, at_least: u64) {
    let (losses, looks) = watch.losses();
    assert!(losses.is_empty(), "seed {}: {losses:#?}", rig.seed);
    assert!(looks >= at_least, "seed {}: only {looks} looks", rig.seed);
}
