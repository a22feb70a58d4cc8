use std::sync::Arc;

use hubward_core::finding::Code;
use time::macros::datetime;

use super::*;
use crate::ledger::memory::Memory;
use crate::ledger::store::{Condition, Store};

const CLUSTER: &str = "/subscriptions/s/resourcegroups/g/providers/microsoft.containerservice/managedclusters/shop";

fn decisions() -> Decisions {
    Decisions::new(Documents::new(Arc::new(Memory::new())))
}

fn because(reason: &str) -> Decision {
    Decision {
        at: datetime!(2026-01-05 08:00 UTC),
        by: "anna".to_owned(),
        reason: reason.to_owned(),
    }
}

async fn word(decisions: &Decisions) -> Word {
    decisions.of_cluster(CLUSTER).await.unwrap().word()
}

#[tokio::test]
async fn a_document_that_cannot_be_read_counts_as_a_pause_nobody_may_overlook() {
    let store = Arc::new(Memory::new());
    let broken = bytes::Bytes::from_static(b"{");
    let name = name_of::<HubDecisions>("main");
    store.put(&name, broken, Condition::Any).await.unwrap();
    let decisions = Decisions::new(Documents::new(store));
    assert!(matches!(decisions.paused_hubs().await, Err(LedgerError::Damaged(_))));
}

fn one_of_each() -> Approval {
    let accepted = Acceptance {
        code: Code::LivePublicInbound,
        what: "198.51.100.7:443/TCP".to_owned(),
    };
    Approval {
        enrolls: true,
        steps: BTreeSet::from(["a1".to_owned()]),
        accepts: BTreeSet::from([accepted]),
    }
}

#[tokio::test]
async fn an_undecided_cluster_of_a_running_hub_has_an_empty_word() {
    assert_eq!(word(&decisions()).await, Word::default());
    assert!(decisions().paused_hubs().await.unwrap().is_empty());
}

#[tokio::test]
async fn approvals_add_up_and_take_a_release_back() {
    let decisions = decisions();
    decisions.release(CLUSTER, &because("moves")).await.unwrap();
    assert!(word(&decisions).await.released);
    decisions
        .approve(CLUSTER, &one_of_each(), &because("agreed"))
        .await
        .unwrap();
    let more = Approval {
        steps: BTreeSet::from(["b2".to_owned()]),
        ..Approval::default()
    };
    decisions.approve(CLUSTER, &more, &because("too")).await.unwrap();
    let word = word(&decisions).await;
    assert!(word.enrolled && !word.released);
    assert_eq!(word.approved, BTreeSet::from(["a1".to_owned(), "b2".to_owned()]));
    assert_eq!(word.accepted, one_of_each().accepts);
    let history = decisions.of_cluster(CLUSTER).await.unwrap().history;
    let told: Vec<String> = history
        .iter()
        .map(|p| format!("{} {}", p.what, p.decision.reason))
        .collect();
    assert_eq!(told, ["offboard moves", "approve agreed", "approve too"]);
}

#[tokio::test]
async fn nothing_is_left_of_what_was_decided_about_a_cluster_that_is_gone() {
    let decisions = decisions();
    decisions
        .approve(CLUSTER, &one_of_each(), &because("agreed"))
        .await
        .unwrap();
    decisions.release(CLUSTER, &because("moves")).await.unwrap();
    decisions
        .forget(CLUSTER, datetime!(2026-01-06 08:00 UTC))
        .await
        .unwrap();
    assert_eq!(word(&decisions).await, Word::default());
    let history = decisions.of_cluster(CLUSTER).await.unwrap().history;
    assert_eq!(history.last().unwrap().what, "forget");
}

#[tokio::test]
async fn what_was_said_before_a_deletion_counts_no_more_but_that_a_cluster_is_left_alone() {
    let decisions = decisions();
    decisions.release(CLUSTER, &because("moves")).await.unwrap();
    let before = decisions.of_cluster(CLUSTER).await.unwrap();
    assert!(before.since(Some(datetime!(2026-01-05 09:00 UTC))).word().released);
    decisions
        .approve(CLUSTER, &one_of_each(), &because("agreed"))
        .await
        .unwrap();
    let approved = decisions.of_cluster(CLUSTER).await.unwrap();
    let earlier = Some(datetime!(2026-01-05 07:00 UTC));
    assert_eq!(approved.clone().since(earlier), approved);
    assert_eq!(approved.clone().since(None), approved);
    let later = Some(datetime!(2026-01-05 09:00 UTC));
    assert_eq!(approved.since(later).word(), Word::default());
}

#[tokio::test]
async fn an_approval_ends_with_what_it_was_for() {
    let decisions = decisions();
    decisions
        .approve(CLUSTER, &one_of_each(), &because("agreed"))
        .await
        .unwrap();
    let steps = BTreeSet::from(["a1".to_owned()]);
    decisions
        .use_up(CLUSTER, &steps, datetime!(2026-01-06 08:00 UTC))
        .await
        .unwrap();
    let left = word(&decisions).await;
    assert!(left.approved.is_empty() && left.enrolled && !left.accepted.is_empty());
}

#[tokio::test]
async fn after_a_release_earlier_approvals_count_for_nothing() {
    let decisions = decisions();
    decisions
        .approve(CLUSTER, &one_of_each(), &because("agreed"))
        .await
        .unwrap();
    decisions.release(CLUSTER, &because("moves")).await.unwrap();
    let word = word(&decisions).await;
    assert!(word.released && word.approved.is_empty() && word.accepted.is_empty());
}

#[tokio::test]
async fn a_pause_holds_every_cluster_of_its_hub_until_it_is_ended() {
    let decisions = decisions();
    assert!(decisions.pause("main", &because("freeze")).await.unwrap());
    assert!(!decisions.pause("main", &because("again")).await.unwrap());
    let paused = decisions.of_hub("main").await.unwrap().paused.unwrap();
    assert_eq!(paused.reason, "freeze");
    assert_eq!(
        decisions.paused_hubs().await.unwrap(),
        BTreeSet::from(["main".to_owned()])
    );
    assert!(decisions.resume("main", &because("over")).await.unwrap());
    assert!(!decisions.resume("main", &because("over")).await.unwrap());
    assert!(decisions.paused_hubs().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_history_keeps_the_last_twenty() {
    let decisions = decisions();
    for round in 0..25 {
        let reason = format!("round {round}");
        decisions
            .approve(CLUSTER, &Approval::default(), &because(&reason))
            .await
            .unwrap();
    }
    let history = decisions.of_cluster(CLUSTER).await.unwrap().history;
    assert_eq!((history.len(), history[0].decision.reason.as_str()), (20, "round 5"));
}
