//! Outages, refusals and forgeries that no one run of a wiring meets by itself: storage that is away or silent, polls that
//! are refused for ever, slow days, messages and events that lie. After each the clusters end up wired, and nothing leaks.
#![allow(clippy::unwrap_used, reason = "a run that cannot be set up has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::{Method, Request, Url};
use azure_sim::{Documents, Fault, FaultEffect, Service};
use hubward::arm::{Arm, ArmDeps, Operation, PollStyle, WriteMethod};
use hubward::clock::Clock;
use hubward::host::Reply;
use hubward::ledger::LedgerError;
use hubward::ledger::queue::WorkKind;
use scenarios::rig::queue::POISON;
use scenarios::rig::wire::{Call, Fate, Moment};
use scenarios::{Cluster, Rig, Setup};
use serde_json::json;
use time::OffsetDateTime;
use time::macros::datetime;

const SEED: u64 = 1;
const HOUR: Duration = Duration::from_secs(3600);
const OUTAGE: Duration = Duration::from_secs(240);

#[tokio::test(start_paused = true)]
async fn a_blob_outage_of_four_minutes_puts_messages_off_and_wears_none_out() {
    let (mut rig, cluster) = with_a_parked_hub().await;
    away(&rig, |call| call.service == Service::Blob);
    rig.settle().await;
    assert_eq!(poisoned(&rig), 0, "seed {SEED}");
    rig.assert_all_wired(&[cluster]).await;
}

#[tokio::test(start_paused = true)]
async fn a_hubs_message_that_was_lost_is_asked_for_again_once_it_is_overdue() {
    let (mut rig, cluster) = with_a_parked_hub().await;
    // The queue takes nothing either, so that the messages cannot be put off and end in the poison queue.
    away(&rig, |call| {
        call.service == Service::Blob || (call.service == Service::Queue && call.method == "POST")
    });
    rig.run_for(HOUR).await;
    assert!(poisoned(&rig) > 0, "seed {SEED}: the story needs a lost message");
    let hub = rig.ledger.keys.get("main").await.unwrap().unwrap();
    assert!(hub.is_owed() && hub.parked >= hub.wanted, "seed {SEED}: {hub:?}");
    let event = rig.creation_of(&cluster);
    rig.send_event(&event);
    rig.settle().await;
    rig.assert_all_wired(&[cluster]).await;
}

#[tokio::test(start_paused = true)]
async fn a_hub_whose_record_of_a_write_was_lost_is_not_called_in_force_before_azure_is_done() {
    let mut rig = Rig::new(SEED).await;
    let lost = Arc::new(Mutex::new((false, false)));
    let story = Arc::clone(&lost);
    rig.wire.hook(move |_, call| {
        let mut story = story.lock().unwrap();
        let (written, lost) = &mut *story;
        *written |= call.moment == Moment::After && call.method == "PUT" && call.path.contains("ruleCollectionGroups/");
        let record = call.service == Service::Blob && call.method == "PUT" && call.path.contains("operations");
        if *written && !*lost && record && call.moment == Moment::Before {
            *lost = true;
            return Fate::Lost;
        }
        Fate::Goes
    });
    let cluster = rig.create_cluster(1);
    let mut looks_while_updating = 0;
    for _ in 0..120 {
        rig.run_for(Duration::from_secs(10)).await;
        let updating = rig
            .azure
            .lock()
            .documents()
            .list("Microsoft.Network/firewallPolicies/ruleCollectionGroups")
            .iter()
            .any(|group| group["properties"]["provisioningState"] == "Updating");
        let hub = rig.ledger.outcomes.get("main").await.unwrap();
        if let (true, Some(hub)) = (updating, hub) {
            looks_while_updating += 1;
            assert_ne!(hub.state, "in_force", "seed {SEED}: Azure is still at it");
        }
    }
    assert!(lost.lock().unwrap().1, "seed {SEED}: the story needs a lost record");
    assert!(looks_while_updating > 3, "seed {SEED}: {looks_while_updating}");
    rig.settle().await;
    let hub = rig.ledger.outcomes.get("main").await.unwrap().unwrap();
    assert_eq!(hub.state, "in_force", "seed {SEED}: nobody looked again");
    rig.assert_all_wired(&[cluster]).await;
}

#[tokio::test(start_paused = true)]
async fn polls_that_are_refused_for_ever_hold_no_cluster() {
    let refused = |status, code: &str| FaultEffect::Answer {
        status,
        code: code.to_owned(),
        message: "the signature of the poll URL has expired".to_owned(),
        retry_after: None,
    };
    let page = FaultEffect::Raw {
        status: 200,
        body: "<html>gateway</html>".to_owned(),
    };
    for effect in [refused(401, "AuthenticationFailed"), refused(400, "BadRequest"), page] {
        let mut rig = Rig::new(SEED).await;
        rig.story = format!("every poll is answered with {effect:?}");
        rig.wire.hook(move |azure, call| {
            if call.moment == Moment::Before && call.method == "GET" && call.path.contains("perations/") {
                azure.inject(Fault {
                    method: Some(http::Method::GET),
                    path_contains: "perations/".to_owned(),
                    nth: 1,
                    effect: effect.clone(),
                });
            }
            Fate::Goes
        });
        let clusters = rig.wire_clusters(2).await;
        rig.assert_all_wired(&clusters).await;
    }
}

#[tokio::test(start_paused = true)]
async fn storage_that_never_answers_ends_every_invocation_in_time() {
    let mut rig = Rig::new(SEED).await;
    let cluster = rig.create_cluster(1);
    rig.run_until("the first write", |rig| rig.counters().writes > 0).await;
    rig.wire.hook(|_, call| match call.service {
        Service::Blob => Fate::Hangs,
        Service::Arm | Service::Identity | Service::Queue => Fate::Goes,
    });
    let before = rig.lines.len();
    let event = rig.creation_of(&cluster);
    rig.send_event(&event);
    rig.run_for(Duration::from_secs(25)).await;
    let gave_up = |line: &&scenarios::rig::Line| {
        line.function == "ClusterEvents" && !line.done && line.text.contains("no answer within 20 s")
    };
    let heard = rig.lines[before..].iter().filter(gave_up).count();
    assert!(heard > 0, "seed {SEED}: {:#?}", &rig.lines[before..]);
    rig.run_for(OUTAGE).await;
    rig.wire.unhook();
    rig.settle().await;
    assert_eq!(poisoned(&rig), 0);
    rig.assert_all_wired(&[cluster]).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_from_the_edge_of_time_is_kept_like_any_other() {
    let mut rig = Rig::new(SEED).await;
    let clusters = rig.wire_clusters(1).await;
    let mut event = rig.creation_of(&clusters[0]);
    for (n, time) in ["0000-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"]
        .iter()
        .enumerate()
    {
        event["id"] = json!(format!("edge-{n}"));
        event["eventTime"] = json!(time);
        let before = rig.lines.len();
        rig.send_event(&event);
        rig.settle().await;
        let said = &rig.lines[before];
        assert!(said.done && said.text.contains("work is asked for"), "{time}: {said:?}");
    }
    rig.assert_all_wired(&clusters).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_with_a_turn_that_nobody_gave_out_ends_no_chain() {
    for turn in [1_000_000, u64::MAX - 2, u64::MAX] {
        let mut rig = Rig::new(SEED).await;
        rig.story = format!("forged turn {turn}");
        let cluster = rig.create_cluster(1);
        rig.run_until("the first write", |rig| rig.counters().writes > 0).await;
        rig.run_for(Duration::from_secs(20)).await;
        rig.put_message(&json!({"version": 1, "kind": "spoke", "key": cluster.key, "cause": "forged", "turn": turn}));
        rig.settle().await;
        let document = rig.ledger.keys.get(&cluster.key).await.unwrap().unwrap();
        assert!(document.turn < 1000, "{document:?}");
        rig.assert_all_wired(&[cluster]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_of_anybody_between_the_last_read_of_a_subnet_and_its_switch() {
    let mut rig = Rig::new(SEED).await;
    let calls: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&calls);
    rig.wire.hook(move |_, call| {
        if call.moment == Moment::Before {
            let path = call.path.to_ascii_lowercase();
            seen.lock().unwrap().push(format!("{} {path}", call.method));
        }
        Fate::Goes
    });
    let cluster = rig.create_cluster(1);
    rig.settle().await;
    rig.assert_all_wired(std::slice::from_ref(&cluster)).await;
    let calls = calls.lock().unwrap();
    let subnet = cluster.subnet.to_ascii_lowercase();
    let switch = calls.iter().position(|call| *call == format!("PUT {subnet}")).unwrap();
    assert_eq!(
        calls[switch - 1],
        format!("GET {subnet}"),
        "{:#?}",
        &calls[switch - 6..=switch]
    );
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_person_is_looked_at_less_and_less() {
    let mut rig = Rig::new(SEED).await;
    let clusters = rig.wire_clusters(1).await;
    for id in rig.ids_of("Microsoft.Network/virtualNetworks/virtualNetworkPeerings") {
        rig.azure.lock().edit(&id, |peering| {
            peering["properties"]["peeringState"] = json!("Disconnected")
        });
    }
    let event = rig.creation_of(&clusters[0]);
    rig.send_event(&event);
    assert_grows(&mut rig, "a peering that somebody disconnected").await;

    let mut rig = Rig::new(SEED).await;
    let cluster = rig.create_cluster(1);
    rig.run_until("the cluster is there", |rig| {
        let azure = rig.azure.lock();
        azure
            .document(&cluster.id)
            .is_some_and(|c| c["properties"]["provisioningState"] == "Succeeded")
    })
    .await;
    rig.azure.lock().edit(&cluster.id, |c| {
        c["properties"]["provisioningState"] = json!("Updating")
    });
    assert_grows(&mut rig, "a cluster whose update never ends").await;
    rig.azure.lock().edit(&cluster.id, |c| {
        c["properties"]["provisioningState"] = json!("Succeeded")
    });
    rig.settle().await;
    rig.assert_all_wired(&[cluster]).await;
}

/// One look costs some 15 calls: many in the first hour, at most one or two looks an hour in the end.
async fn assert_grows(rig: &mut Rig, what: &str) {
    let mut hourly = Vec::new();
    for _ in 0..8 {
        let before = rig.wire.arm_calls();
        rig.run_for(HOUR).await;
        hourly.push(rig.wire.arm_calls() - before);
    }
    assert!(
        hourly[0] < 400 && hourly[7] <= 40,
        "{what}: ARM calls per hour {hourly:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_look_on_a_slow_day_begins_no_further_step_after_its_time() {
    // Three steps could start at once; from 6 s on, reading the estate and the first of them take all the time there is.
    for (seconds, steps) in [(1, 3), (4, 2), (6, 1), (18, 1)] {
        let mut rig = Rig::without_app(Setup::seeded(SEED)).await;
        rig.story = format!("ARM answers after {seconds} s");
        rig.ledger.installed.at(rig.now()).await.unwrap();
        let cluster = rig.create_cluster(1);
        rig.run_for(Duration::from_secs(900)).await;
        rig.start_app().await;
        let slow = Duration::from_secs(seconds);
        rig.wire.hook(move |_, call| match (call.service, call.moment) {
            (Service::Arm, Moment::Before) => Fate::Slow(slow),
            _ => Fate::Goes,
        });
        let keys = &rig.ledger.keys;
        keys.request_created(WorkKind::Spoke, &cluster.key, "slow", rig.now())
            .await
            .unwrap();
        let message = json!({"version": 1, "kind": "spoke", "key": cluster.key, "cause": "slow"});
        let (reply, took) = rig.work_once(&message).await;
        assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
        let written = rig.counters().writes;
        assert_eq!(
            written, steps,
            "ARM answers after {seconds} s: one look took {took:?}; {reply:?}"
        );
        rig.wire.unhook();
        rig.settle().await;
        rig.assert_all_wired(&[cluster]).await;
    }
}

#[tokio::test]
async fn a_signed_poll_url_is_in_no_error() {
    let endpoint = closed_endpoint();
    let http = hubward::identity::http_client().unwrap();
    let arm = Arm::new(ArmDeps {
        endpoint: endpoint.clone(),
        credential: Arc::new(OneToken),
        transport: Arc::clone(&http),
        clock: Arc::new(Impatient),
        seed: SEED,
    });
    let signed = format!("{endpoint}subscriptions/s/operations/1?api-version=1&t=638&c=CERT&s=SIGNATURE&h=HASH");
    let resource = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/routeTables/t";
    let error = arm
        .poll(&Operation {
            resource: hubward_core::ids::ResourceId::parse(resource).unwrap(),
            api: "2025-05-01".to_owned(),
            method: WriteMethod::Put,
            poll_url: signed.clone(),
            style: PollStyle::AsyncOperation,
            started_at: Impatient.now(),
            retry_after: Duration::from_secs(1),
        })
        .await
        .unwrap_err();
    let request = Request::new(Url::parse(&signed).unwrap(), Method::Get);
    let raw = http.execute_request(&request).await.unwrap_err();
    assert!(every_word(&raw).contains("SIGNATURE"), "nothing to strip: {raw:?}");
    let storage = LedgerError::storage("get", "x", raw);
    for text in [every_word(&error), every_word(&storage)] {
        for secret in ["SIGNATURE", "CERT", "HASH", "638", "TOKEN"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains("subscriptions/s/operations/1"), "{text}");
        assert!(
            text.to_ascii_lowercase().contains("refused"),
            "the cause is told: {text}"
        );
    }
}

/// Everything that an error can be made to say.
fn every_word(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text} {cause} {cause:?}");
        source = cause.source();
    }
    text
}

/// An address on this machine where nothing listens: the port was just given back.
fn closed_endpoint() -> Url {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    Url::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap()
}

/// A clock on which short pauses take no time and long ones never end.
#[derive(Debug)]
struct Impatient;

#[async_trait]
impl Clock for Impatient {
    fn now(&self) -> OffsetDateTime {
        datetime!(2026-01-05 08:00 UTC)
    }

    async fn sleep(&self, azure: Duration) {
        if azure >= hubward::transport::REQUEST_TIMEOUT {
            std::future::pending::<()>().await;
        }
    }
}

#[derive(Debug)]
struct OneToken;

#[async_trait]
impl TokenCredential for OneToken {
    async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new("TOKEN".to_owned(), datetime!(2100-01-01 00:00 UTC)))
    }
}

/// A cluster is being wired, and the hub's next message is the only one that covers its wish.
async fn with_a_parked_hub() -> (Rig, Cluster) {
    let mut rig = Rig::new(SEED).await;
    let cluster = rig.create_cluster(1);
    for _ in 0..3600 {
        rig.run_for(Duration::from_secs(1)).await;
        let hub = rig.ledger.keys.get("main").await.unwrap();
        if hub.is_some_and(|hub| hub.parked == 1) {
            return (rig, cluster);
        }
    }
    rig.fail("the hub never waits")
}

/// From here on for four minutes these calls are refused.
fn away(rig: &Rig, is_away: impl Fn(&Call<'_>) -> bool + Send + 'static) {
    let until = rig.now() + OUTAGE;
    let clock = Arc::clone(&rig.clock);
    rig.wire.hook(move |_, call| {
        if call.moment == Moment::Before && clock.now() < until && is_away(call) {
            return Fate::Lost;
        }
        Fate::Goes
    });
}

fn poisoned(rig: &Rig) -> usize {
    rig.azure.lock().storage().queue_length(POISON)
}
