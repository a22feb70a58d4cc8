//! Lanes and keys: who may work, and when a message comes again.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_lane_is_ours_alone_until_it_is_left_or_its_time_is_over() {
    let bench = Bench::new().await;
    let lanes = &bench.ledger.lanes;
    let mut first = lanes.enter("vnet").await.unwrap().unwrap();
    assert_eq!(lanes.enter("vnet").await.unwrap(), None);
    assert!(lanes.enter("other").await.unwrap().is_some());
    bench.pass(40).await;
    assert_eq!(first.remaining(bench.clock.now()), Duration::from_secs(20));
    assert!(lanes.renew(&mut first).await.unwrap());
    bench.pass(59).await;
    assert_eq!(lanes.enter("vnet").await.unwrap(), None);
    bench.pass(2).await;
    assert_eq!(first.remaining(bench.clock.now()), Duration::ZERO);
    let second = lanes.enter("vnet").await.unwrap().unwrap();
    assert!(
        !lanes.renew(&mut first).await.unwrap(),
        "the first holder hears that it lost the lane"
    );
    assert_eq!(first.remaining(bench.clock.now()), Duration::ZERO);
    lanes.leave(first).await.unwrap();
    assert_eq!(
        lanes.enter("vnet").await.unwrap(),
        None,
        "and its leaving does not put the second one out"
    );
    lanes.leave(second).await.unwrap();
    assert!(lanes.enter("vnet").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn ten_duplicates_are_worked_once() {
    let bench = Bench::new().await;
    for _ in 0..10 {
        bench.wish().await;
    }
    let messages = bench.messages();
    assert_eq!(messages, vec![fresh(); 10]);
    let lease = bench.leased(&messages[0]).await;
    assert_eq!(lease.wanted, 10);
    assert_eq!(bench.ledger.keys.finish(lease).await.unwrap(), Finish::Settled);
    for message in &messages[1..] {
        assert_eq!(bench.begin(message).await, Begin::Idle);
    }
    assert_eq!(bench.messages().len(), 10, "no message was added");
}

#[tokio::test(start_paused = true)]
async fn a_wish_during_the_work_gets_its_own_message() {
    let bench = Bench::new().await;
    bench.wish().await;
    let lease = bench.leased(&fresh()).await;
    bench.wish().await;
    assert_eq!(bench.ledger.keys.finish(lease).await.unwrap(), Finish::More);
    assert_eq!(bench.messages().len(), 3);
    assert_eq!(bench.leased(&fresh()).await.wanted, 2);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_meets_a_dead_holder_comes_again_when_the_lease_has_ended() {
    let bench = Bench::new().await;
    bench.wish().await;
    drop(bench.leased(&fresh()).await);
    assert_eq!(bench.begin(&fresh()).await, Begin::Busy);
    assert_eq!(bench.messages().len(), 2, "it was sent again");
    bench.clock.sleep(BUSY_DELAY).await;
    assert_eq!(bench.leased(&fresh()).await.wanted, 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_work_goes_on_by_one_chain_of_messages() {
    let bench = Bench::new().await;
    let keys = &bench.ledger.keys;
    bench.wish().await;
    bench.wish().await;
    let lease = bench.leased(&fresh()).await;
    keys.wait(lease, Duration::from_secs(20), "peering").await.unwrap();
    assert_eq!(
        bench.begin(&fresh()).await,
        Begin::Idle,
        "the duplicate leaves it to the chain"
    );
    let next = bench.messages().pop().unwrap();
    assert_eq!((next.turn, next.cause.as_str()), (Some(1), "peering"));
    let lease = bench.leased(&next).await;
    keys.wait(lease, Duration::from_secs(20), "peering").await.unwrap();
    assert_eq!(bench.begin(&next).await, Begin::Idle, "an older turn is over");
    bench.wish().await;
    let lease = bench.leased(&fresh()).await;
    assert_eq!(
        lease.wanted, 3,
        "a wish that is newer than the chain does not wait for it"
    );
    assert_eq!(keys.finish(lease).await.unwrap(), Finish::Settled);
    let last = WorkMessage {
        turn: Some(2),
        ..fresh()
    };
    assert_eq!(bench.begin(&last).await, Begin::Idle);
}

#[tokio::test(start_paused = true)]
async fn failures_wait_longer_each_time_and_are_counted_in_the_ledger() {
    let bench = Bench::new().await;
    let keys = &bench.ledger.keys;
    bench.wish().await;
    let mut message = fresh();
    let mut minutes = Vec::new();
    for _ in 0..8 {
        let lease = bench.leased(&message).await;
        minutes.push(
            keys.retry(lease, FIRST_RETRY, "ARM unreachable")
                .await
                .unwrap()
                .as_secs()
                / 60,
        );
        message = bench.messages().pop().unwrap();
        bench.pass(3600).await;
    }
    assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60]);
    let document = keys.get(CLUSTER).await.unwrap().unwrap();
    assert_eq!((document.attempts, document.first_failed_at), (8, Some(START)));
    assert_eq!(keys.owed().await.unwrap().documents, [document]);
    let lease = bench.leased(&message).await;
    keys.finish(lease).await.unwrap();
    let document = keys.get(CLUSTER).await.unwrap().unwrap();
    assert_eq!((document.attempts, document.first_failed_at), (0, None));
    assert!(keys.owed().await.unwrap().documents.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_is_hidden_for_azure_seconds_on_the_wire() {
    let bench = Bench::new().await;
    bench.wish().await;
    let lease = bench.leased(&fresh()).await;
    bench
        .ledger
        .keys
        .wait(lease, Duration::from_millis(19_500), "peering")
        .await
        .unwrap();
    bench.storage().advance(bench.clock.now());
    // The lease was given back, so the next thing to happen is the message's time: 20 s, rounded up.
    assert_eq!(bench.storage().next_event(), Some(START + Duration::from_secs(20)));
}

#[tokio::test(start_paused = true)]
async fn a_look_of_the_first_sweep_writes_nothing_until_anybody_else_wishes() {
    let bench = Bench::new().await;
    let keys = &bench.ledger.keys;
    keys.request_look(WorkKind::Spoke, CLUSTER, "drift sweep")
        .await
        .unwrap();
    let lease = bench.leased(&fresh()).await;
    assert!(lease.look_only);
    assert_eq!(lease.cause, "drift sweep");
    bench.wish().await;
    assert_eq!(
        keys.finish(lease).await.unwrap(),
        Finish::More,
        "the event's wish came meanwhile"
    );
    let lease = bench.leased(&fresh()).await;
    assert!(!lease.look_only);
    assert_eq!(keys.finish(lease).await.unwrap(), Finish::Settled);
}

#[tokio::test(start_paused = true)]
async fn a_look_of_the_first_sweep_takes_nothing_from_a_wish_that_is_owed() {
    let bench = Bench::new().await;
    bench.wish().await;
    bench
        .ledger
        .keys
        .request_look(WorkKind::Spoke, CLUSTER, "drift sweep")
        .await
        .unwrap();
    let document = bench.ledger.keys.get(CLUSTER).await.unwrap().unwrap();
    assert_eq!((document.wanted, document.look_only), (1, false));
    assert_eq!(document.cause, "event");
    assert_eq!(bench.messages().len(), 2, "the message is sent: the first may be lost");
    assert!(!bench.leased(&fresh()).await.look_only);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_waits_or_fails_still_writes_nothing_when_it_comes_again() {
    let bench = Bench::new().await;
    let keys = &bench.ledger.keys;
    keys.request_look(WorkKind::Spoke, CLUSTER, "drift sweep")
        .await
        .unwrap();
    let lease = bench.leased(&fresh()).await;
    keys.retry(lease, FIRST_RETRY, "no way to Azure").await.unwrap();
    bench.pass(FIRST_RETRY.as_secs()).await;
    let turn = bench
        .messages()
        .into_iter()
        .find(|message| message.turn.is_some())
        .unwrap();
    assert!(bench.leased(&turn).await.look_only);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_is_noted_from_its_beginning_to_its_end_and_goes_on_where_it_stopped() {
    let bench = Bench::new().await;
    let sweeps = &bench.ledger.sweeps;
    assert_eq!(sweeps.get("sweep").await.unwrap(), None);
    let first = sweeps.begin("sweep", START).await.unwrap();
    assert_eq!((first.finished, first.first_started_at), (0, START));
    sweeps.reached("sweep", "b").await.unwrap();
    bench.pass(60).await;
    let again = sweeps.begin("sweep", bench.clock.now()).await.unwrap();
    assert_eq!(again.reached.as_deref(), Some("b"));
    assert_eq!(again.last_started_at, START, "it goes on, it does not begin anew");
    sweeps
        .finish("sweep", 7, Some("no graph"), bench.clock.now())
        .await
        .unwrap();
    let second = sweeps.begin("sweep", bench.clock.now()).await.unwrap();
    assert_eq!((second.finished, second.clusters, second.reached), (1, 7, None));
    assert_eq!(second.trouble.as_deref(), Some("no graph"));
    assert_eq!(
        (second.first_started_at, second.last_started_at),
        (START, bench.clock.now())
    );
    assert_eq!(sweeps.get("fix").await.unwrap(), None, "each key has its own note");
}
