//! The process dies at any call of a wiring, before or after the call was carried out, and the run still ends with the same
//! documents, no duplicates and the same walks.
//!
//! Two ways to die. *Process*: the app is dropped in the middle of a call, the host lives and starts it again. *Machine*: Azure
//! as it was at that instant is taken up by a fresh rig that knows nothing else; whoever was answered is not asked again, and
//! messages come when their lease ends. A read changes nothing, so the second covers every call with the states between writes.
#![allow(clippy::unwrap_used, reason = "a run that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use azure_sim::{Azure, DeliveryId};
use scenarios::rig::queue::POISON;
use scenarios::rig::wire::{Fate, Moment};
use scenarios::{Cluster, Rig};
use serde_json::Value;

const SEED: u64 = 5;
/// Every how many calls the process dies: a prime, so that it falls on other calls in every invocation. A debug build takes
/// fewer, because each call costs a whole run; the instants between changes are taken all, always.
const STRIDE: u64 = if cfg!(debug_assertions) { 17 } else { 3 };

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_before_a_call_leaves_the_wiring_to_the_next() {
    dies_at_every_stride(Moment::Before).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_after_a_call_leaves_the_wiring_to_the_next() {
    dies_at_every_stride(Moment::After).await;
}

async fn dies_at_every_stride(moment: Moment) {
    let (whole, _) = undisturbed().await;
    let start = whole.calls % STRIDE;
    for at in (start..whole.calls)
        .step_by(usize::try_from(STRIDE).unwrap())
        .filter(|at| *at > 0)
    {
        let mut rig = Rig::new(SEED).await;
        let how = format!("process, {moment:?} call {at}");
        rig.story.clone_from(&how);
        let mut fired = false;
        let first = rig.wire.calls();
        rig.wire.hook(move |_, call| {
            if call.moment == moment && call.index == first + at && !fired {
                fired = true;
                return Fate::Dies;
            }
            Fate::Goes
        });
        let cluster = rig.create_cluster(1);
        rig.settle().await;
        assert_same_end(&rig, &cluster, &whole, &how).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_lost_between_any_two_changes_of_the_first_half_leaves_the_wiring_to_the_next() {
    lost_at_instants(|index, all| index < all / 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_lost_between_any_two_changes_of_the_second_half_leaves_the_wiring_to_the_next() {
    lost_at_instants(|index, all| index >= all / 2).await;
}

async fn lost_at_instants(chosen: impl Fn(usize, usize) -> bool) {
    let (whole, instants) = undisturbed().await;
    assert!(
        instants.len() > 100,
        "seed {SEED}: a wiring has only {} changes",
        instants.len()
    );
    let all = instants.len();
    for (index, instant) in instants
        .into_iter()
        .enumerate()
        .filter(|(index, _)| chosen(*index, all))
    {
        let mut rig = Rig::over(instant.azure, SEED + 1, BTreeMap::new()).await;
        let how = format!("machine, after change {index}, {}", instant.what);
        rig.story.clone_from(&how);
        rig.recover(&instant.deliveries).await;
        rig.settle().await;
        assert_same_end(&rig, &whole.cluster, &whole, &how).await;
    }
}

/// How a run ends that nothing disturbs.
struct Whole {
    cluster: Cluster,
    calls: u64,
    documents: Vec<(String, Value)>,
}

/// Azure right after something changed it.
struct Instant {
    azure: Azure,
    deliveries: Vec<DeliveryId>,
    what: String,
}

async fn undisturbed() -> (Whole, Vec<Instant>) {
    let mut rig = Rig::new(SEED).await;
    let first = rig.wire.calls();
    let instants = Arc::new(Mutex::new(Vec::new()));
    let (kept, handed_out) = (Arc::clone(&instants), rig.handed_out());
    rig.wire.hook(move |azure, call| {
        if call.moment == Moment::After && call.method != "GET" {
            kept.lock().unwrap().push(Instant {
                azure: azure.clone(),
                deliveries: handed_out.lock().unwrap().clone(),
                what: format!("{} {} ({})", call.method, call.path, call.status),
            });
        }
        Fate::Goes
    });
    let cluster = rig.create_cluster(1);
    rig.settle().await;
    rig.wire.unhook();
    rig.assert_all_wired(std::slice::from_ref(&cluster)).await;
    let whole = Whole {
        calls: rig.wire.calls() - first,
        documents: documents(&rig),
        cluster,
    };
    let instants = std::mem::take(&mut *instants.lock().unwrap());
    (whole, instants)
}

async fn assert_same_end(rig: &Rig, cluster: &Cluster, whole: &Whole, how: &str) {
    let state = rig.state(cluster).await;
    assert_eq!(state, "wired", "seed {SEED}, {how}");
    rig.assert_wired(cluster);
    let found = documents(rig);
    for (expected, found) in whole.documents.iter().zip(&found) {
        assert_eq!(found, expected, "seed {SEED}, {how}");
    }
    assert_eq!(
        found.len(),
        whole.documents.len(),
        "seed {SEED}, {how}: something is there twice"
    );
    assert_eq!(rig.azure.lock().storage().queue_length(POISON), 0, "seed {SEED}, {how}");
    let writes = rig.accepted_writes();
    // The write under which the process died may be sent again; nothing else may.
    assert!((7..=8).contains(&writes.len()), "seed {SEED}, {how}: {writes:#?}");
}

/// Every document, without what Azure draws anew for each write.
fn documents(rig: &Rig) -> Vec<(String, Value)> {
    hubward::stage::documents(&rig.azure.lock()).into_iter().collect()
}
