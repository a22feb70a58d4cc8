//! The process dies at any call of an unwiring, before or after the call was carried out, and the run still ends with the same
//! Azure and the same ledger.
//!
//! One cluster is wired once; every run takes up Azure, with the ledger in it, from there and deletes the cluster.
#![allow(clippy::unwrap_used, reason = "a run that cannot be set up has failed")]

use std::collections::BTreeMap;

use azure_sim::Azure;
use http::Method;
use scenarios::rig::queue::POISON;
use scenarios::rig::wire::{Fate, Moment};
use scenarios::{Cluster, Rig};
use serde_json::Value;

const SEED: u64 = 5;
/// Every how many calls the process dies: a prime, so that it falls on other calls in every invocation. A debug build takes
/// fewer, because each call costs a whole run.
const STRIDE: u64 = if cfg!(debug_assertions) { 17 } else { 7 };
#[tokio::test(start_paused = true)]
async fn a_process_that_dies_before_a_call_leaves_the_unwiring_to_the_next() {
    dies_at_every_stride(Moment::Before).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_after_a_call_leaves_the_unwiring_to_the_next() {
    dies_at_every_stride(Moment::After).await;
}

async fn dies_at_every_stride(moment: Moment) {
    let (wired, cluster) = wired().await;
    let (whole, calls) = unwire(&wired, &cluster, None).await;
    assert!(calls > 100, "seed {SEED}: an unwiring has only {calls} calls");
    let first = calls % STRIDE;
    for at in (first..calls)
        .step_by(usize::try_from(STRIDE).unwrap())
        .filter(|at| *at > 0)
    {
        let (found, _) = unwire(&wired, &cluster, Some((moment, at))).await;
        let how = format!("seed {SEED}, process, {moment:?} call {at}");
        for (expected, found) in whole.iter().zip(&found) {
            assert_eq!(found, expected, "{how}");
        }
        assert_eq!(found.len(), whole.len(), "{how}");
    }
}

/// Azure with one wired cluster and nothing under way.
async fn wired() -> (Azure, Cluster) {
    let mut rig = Rig::new(SEED).await;
    let clusters = rig.wire_clusters(1).await;
    rig.assert_all_wired(&clusters).await;
    let azure = rig.azure.lock().clone();
    (azure, clusters[0].clone())
}

/// Deletes the cluster and lets everything happen, with a death of the process at a call if asked for; what is there in the end,
/// and how many calls it took.
async fn unwire(wired: &Azure, cluster: &Cluster, death: Option<(Moment, u64)>) -> (Vec<(String, Value)>, u64) {
    let mut rig = Rig::over(wired.clone(), SEED, BTreeMap::new()).await;
    rig.story = format!("{death:?}");
    rig.start_app().await;
    let first = rig.wire.calls();
    if let Some((moment, at)) = death {
        let mut fired = false;
        rig.wire.hook(move |_, call| {
            if call.moment == moment && call.index == first + at && !fired {
                fired = true;
                return Fate::Dies;
            }
            Fate::Goes
        });
    }
    let path = format!("{}?api-version=2025-05-01", cluster.id);
    let now = rig.now();
    let answer = rig.azure.lock().person_request(Method::DELETE, &path, None, now);
    assert_eq!(answer.status(), 202);
    rig.settle().await;
    let report = rig.report(&cluster.key).await.unwrap();
    assert_eq!(report.state.to_string(), "offboarded", "{}: {report:#?}", rig.story);
    assert_eq!(
        rig.ledger.footprints.get(&cluster.key).await.unwrap(),
        None,
        "{}",
        rig.story
    );
    let kept = rig.ledger.contributions.of_hub("main").await.unwrap();
    assert_eq!(kept.documents, [], "{}", rig.story);
    assert_eq!(rig.azure.lock().storage().queue_length(POISON), 0, "{}", rig.story);
    let documents = documents(&rig);
    (documents, rig.wire.calls() - first)
}

/// Every document, without what Azure draws anew for each write.
fn documents(rig: &Rig) -> Vec<(String, Value)> {
    hubward::stage::documents(&rig.azure.lock()).into_iter().collect()
}
