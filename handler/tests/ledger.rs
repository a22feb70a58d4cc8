//! The ledger over the official clients against simulated storage, in process and in virtual time.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its bench has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request, StatusCode};
use azure_sim::storage::{Kind, Storage};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hubward::arm::{Operation, PollStyle, WriteMethod};
use hubward::clock::{Clock, TokioClock};
use hubward::ledger::archive::ArchivedEvent;
use hubward::ledger::blobs::Blobs;
use hubward::ledger::keys::{BUSY_DELAY, Begin, FIRST_RETRY, Finish, KeyLease};
use hubward::ledger::operations::OperationRecord;
use hubward::ledger::outcomes::Outcome;
use hubward::ledger::queue::{WorkKind, WorkMessage};
use hubward::ledger::store::{Condition, Put, Store};
use hubward::ledger::{CONTAINER, Ledger, LedgerError, QUEUE, StorageSettings};
use hubward_core::ids::ResourceId;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

const KEY: &str = "aHVid2FyZC1sb2NhbC1rZXktZm9yLXRlc3RzLW9ubHk=";
const CLUSTER: &str = "/subscriptions/s/resourcegroups/g/providers/microsoft.containerservice/managedclusters/c";
const START: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

/// Carries requests to the simulated account without a socket; blob and queue differ by port.
#[derive(Debug)]
struct InProcess {
    storage: Mutex<Storage>,
    clock: Arc<TokioClock>,
}

#[async_trait]
impl HttpClient for InProcess {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut copy = axum::http::Request::builder()
            .method(request.method().as_ref())
            .uri(request.url().as_str());
        for (name, value) in request.headers().iter() {
            copy = copy.header(name.as_str(), value.as_str());
        }
        let Body::Bytes(body) = request.body() else {
            panic!("the ledger sends whole bodies")
        };
        let kind = match request.url().port() {
            Some(1) => Kind::Blob,
            Some(2) => Kind::Queue,
            other => panic!("no service listens on port {other:?}"),
        };
        let request = copy.body(body.clone()).unwrap();
        let answer = self.storage.lock().unwrap().handle(kind, &request, self.clock.now());
        let mut headers = Headers::new();
        for (name, value) in answer.headers() {
            headers.insert(name.as_str().to_owned(), value.to_str().unwrap().to_owned());
        }
        let status = StatusCode::from(answer.status().as_u16());
        Ok(AsyncRawResponse::from_bytes(status, headers, answer.into_body()))
    }
}

/// A transport that reaches nothing.
#[derive(Debug)]
struct Unreachable;

#[async_trait]
impl HttpClient for Unreachable {
    async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
        Err(azure_core::Error::with_message(
            azure_core::error::ErrorKind::Connection,
            "refused",
        ))
    }
}

struct Bench {
    ledger: Ledger,
    blobs: Blobs,
    transport: Arc<InProcess>,
    clock: Arc<TokioClock>,
}

fn settings(key: &str) -> StorageSettings {
    let text = format!(
        "DefaultEndpointsProtocol=http;AccountName=hubwardlocal;AccountKey={key};\
         BlobEndpoint=http://127.0.0.1:1/hubwardlocal;QueueEndpoint=http://127.0.0.1:2/hubwardlocal"
    );
    StorageSettings::from_env(&|name| (name == "AzureWebJobsStorage").then(|| text.clone())).unwrap()
}

impl Bench {
    async fn new() -> Self {
        let clock = Arc::new(TokioClock::new(START));
        let transport = Arc::new(InProcess {
            storage: Mutex::new(Storage::new("hubwardlocal", KEY)),
            clock: clock.clone(),
        });
        let ledger = Ledger::open(settings(KEY), transport.clone(), clock.clone())
            .await
            .unwrap();
        let blobs = Blobs::new(&settings(KEY), transport.clone(), clock.clone()).unwrap();
        Self {
            ledger,
            blobs,
            transport,
            clock,
        }
    }

    fn storage(&self) -> std::sync::MutexGuard<'_, Storage> {
        self.transport.storage.lock().unwrap()
    }

    /// The queued messages, as their reader will see them.
    fn messages(&self) -> Vec<WorkMessage> {
        self.storage().advance(self.clock.now());
        let texts = self.storage().queue_texts(QUEUE);
        texts
            .iter()
            .map(|text| {
                let json: Value = serde_json::from_slice(&BASE64_STANDARD.decode(text).unwrap()).unwrap();
                WorkMessage::from_json(&json).unwrap()
            })
            .collect()
    }

    async fn pass(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    async fn wish(&self) {
        self.ledger
            .keys
            .request(WorkKind::Spoke, CLUSTER, "event")
            .await
            .unwrap();
    }

    async fn begin(&self, message: &WorkMessage) -> Begin {
        self.ledger.keys.begin(message).await.unwrap()
    }

    async fn leased(&self, message: &WorkMessage) -> KeyLease {
        match self.begin(message).await {
            Begin::Lease(lease) => lease,
            other @ (Begin::Idle | Begin::Busy) => panic!("{other:?}"),
        }
    }

    async fn damage(&self, name: &str, content: &'static str) {
        self.blobs
            .put(name, Bytes::from_static(content.as_bytes()), Condition::Any)
            .await
            .unwrap();
    }
}

fn fresh() -> WorkMessage {
    WorkMessage::fresh(WorkKind::Spoke, CLUSTER, "event")
}

#[tokio::test(start_paused = true)]
async fn opening_makes_the_container_and_the_queue_once() {
    let bench = Bench::new().await;
    Ledger::open(settings(KEY), bench.transport.clone(), bench.clock.clone())
        .await
        .unwrap();
    assert_eq!(bench.storage().container_names(), [CONTAINER]);
    assert_eq!(bench.storage().queue_names(), [QUEUE]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key_is_named_by_its_code_and_not_printed() {
    let bench = Bench::new().await;
    let error = Ledger::open(settings("d3Jvbmc="), bench.transport.clone(), bench.clock.clone())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("403 AuthenticationFailed"), "{error}");
    assert!(!format!("{error:?}").contains("d3Jvbmc="));
}

#[tokio::test(start_paused = true)]
async fn storage_out_of_reach_is_an_error_at_once() {
    let clock = Arc::new(TokioClock::new(START));
    let error = Ledger::open(settings(KEY), Arc::new(Unreachable), clock.clone())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, LedgerError::Storage { status, .. } if status == "no answer"),
        "{error}"
    );
    assert_eq!(clock.now(), START, "nothing waited or tried again");
}

#[tokio::test(start_paused = true)]
async fn conditional_writes_conflict_as_azure_does() {
    let store = Bench::new().await.blobs;
    let put =
        |content: &'static str, condition| store.put("keys/a.json", Bytes::from_static(content.as_bytes()), condition);
    let Put::Stored(first) = put("1", Condition::IfAbsent).await.unwrap() else {
        panic!("it was absent")
    };
    assert_eq!(put("2", Condition::IfAbsent).await.unwrap(), Put::Conflict);
    let Put::Stored(second) = put("3", Condition::IfMatch(first.clone())).await.unwrap() else {
        panic!("it matched")
    };
    assert_eq!(put("4", Condition::IfMatch(first)).await.unwrap(), Put::Conflict);
    assert_eq!(
        store.get("keys/a.json").await.unwrap(),
        Some((Bytes::from_static(b"3"), second))
    );
    assert!(store.delete("keys/a.json").await.unwrap());
    assert!(!store.delete("keys/a.json").await.unwrap());
    assert_eq!(store.get("keys/a.json").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_listing_goes_on_over_pages() {
    let store = Bench::new().await.blobs;
    for index in 0..5_003 {
        store
            .put(&format!("many/{index:05}"), Bytes::from_static(b"x"), Condition::Any)
            .await
            .unwrap();
    }
    store
        .put("other/x", Bytes::from_static(b"x"), Condition::Any)
        .await
        .unwrap();
    let names = store.list("many/").await.unwrap();
    assert_eq!((names.len(), names[5_002].as_str()), (5_003, "many/05002"));
}

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
async fn damaged_and_unknown_documents_are_set_aside_and_hide_no_others() {
    let bench = Bench::new().await;
    bench.wish().await;
    bench.damage("keys/broken.json", "{").await;
    bench.damage("keys/future.json", r#"{"version":2}"#).await;
    bench.damage("keys/none.json", "{}").await;
    let listing = bench.ledger.keys.owed().await.unwrap();
    assert_eq!(listing.documents.len(), 1);
    let names: Vec<&str> = listing.damaged.iter().map(|damaged| damaged.name.as_str()).collect();
    assert_eq!(names, ["keys/broken.json", "keys/future.json", "keys/none.json"]);
    assert_eq!(listing.damaged[1].reason, "version 2 is unknown, this app knows 1");
    let name = bench
        .storage()
        .blob_names(CONTAINER)
        .into_iter()
        .find(|name| name.starts_with("keys/") && name.len() > 40);
    bench.damage(&name.unwrap(), r#"{"version":2}"#).await;
    let error = bench
        .ledger
        .keys
        .request(WorkKind::Spoke, CLUSTER, "event")
        .await
        .unwrap_err();
    assert!(matches!(error, LedgerError::Damaged(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_document_under_another_name_is_not_believed() {
    let bench = Bench::new().await;
    let outcome = r#"{"version":1,"key":"a","state":"wired","at":"2026-11-23T12:00:00Z","body":{}}"#;
    bench.damage("outcomes/elsewhere.json", outcome).await;
    let listing = bench.ledger.outcomes.all().await.unwrap();
    assert!(listing.documents.is_empty());
    assert!(
        listing.damaged[0]
            .reason
            .starts_with("by its content it belongs at outcomes/")
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_is_first_seen_once_and_found_by_its_time() {
    let bench = Bench::new().await;
    let event = |id: &str, minutes: u64| ArchivedEvent {
        id: id.to_owned(),
        source: "/subscriptions/s".to_owned(),
        happened_at: START + Duration::from_secs(60 * minutes),
        received_at: bench.clock.now(),
        body: json!({"id": id}),
    };
    assert!(bench.ledger.archive.keep(&event("a", 90)).await.unwrap());
    assert!(bench.ledger.archive.keep(&event("b", 5)).await.unwrap());
    bench.pass(7200).await;
    assert!(
        !bench.ledger.archive.keep(&event("a", 90)).await.unwrap(),
        "a redelivery"
    );
    let ids = async |from: u64, to: u64| {
        let from = START + Duration::from_secs(60 * from);
        let to = START + Duration::from_secs(60 * to);
        let found = bench.ledger.archive.between(from, to).await.unwrap();
        found.documents.into_iter().map(|event| event.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(0, 91).await, ["b", "a"]);
    assert_eq!(ids(6, 90).await, Vec::<String>::new());
    assert_eq!(ids(90, 600).await, ["a"]);
    let names = bench.storage().blob_names(CONTAINER);
    assert!(
        names.iter().any(|name| name.starts_with("events/2026-11-23/13/")),
        "{names:?}"
    );
    let year = bench
        .ledger
        .archive
        .between(START, START + Duration::from_secs(366 * 86_400))
        .await;
    assert!(matches!(year, Err(LedgerError::TooMany { .. })));
}

#[tokio::test(start_paused = true)]
async fn contributions_change_only_by_other_content_and_go_only_by_a_tombstone() {
    let bench = Bench::new().await;
    let contributions = &bench.ledger.contributions;
    let body = json!({"prefixes": ["10.1.0.0/16"]});
    assert!(contributions.put("west", CLUSTER, &body, START).await.unwrap());
    assert!(
        !contributions
            .put("west", CLUSTER, &body, START + Duration::from_secs(9))
            .await
            .unwrap()
    );
    assert!(contributions.put("north", CLUSTER, &body, START).await.unwrap());
    assert_eq!(
        contributions.get("west", CLUSTER).await.unwrap().unwrap().written_at,
        START
    );
    assert!(
        !contributions.forget_tombstone("west", CLUSTER).await.unwrap(),
        "it is none"
    );
    assert!(
        contributions
            .bury("west", CLUSTER, &json!("ResourceNotFound"), START)
            .await
            .unwrap()
    );
    let buried = contributions.of_hub("west").await.unwrap().documents;
    assert_eq!(
        (buried.len(), &buried[0].tombstone, &buried[0].body),
        (1, &Some(json!("ResourceNotFound")), &Value::Null)
    );
    assert_eq!(contributions.of_hub("north").await.unwrap().documents[0].body, body);
    assert!(contributions.forget_tombstone("west", CLUSTER).await.unwrap());
    assert_eq!(contributions.get("west", CLUSTER).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_running_operation_is_kept_to_the_byte_until_its_end_is_known() {
    let bench = Bench::new().await;
    let operations = &bench.ledger.operations;
    let operation = |step: &str, url: &str| OperationRecord {
        step: step.to_owned(),
        operation: Operation {
            resource: ResourceId::parse("/subscriptions/S/resourceGroups/G").unwrap(),
            api: "2025-05-01".to_owned(),
            method: WriteMethod::Put,
            poll_url: url.to_owned(),
            style: PollStyle::AsyncOperation,
            started_at: START,
            retry_after: Duration::from_secs(10),
        },
        retry_at: START + Duration::from_secs(10),
        written: None,
        clusters: Vec::new(),
    };
    let (first, second) = (
        operation("peer", "https://a/?t=1&c=%2F+x"),
        operation("routes", "https://b"),
    );
    operations.record(CLUSTER, &first).await.unwrap();
    operations.record(CLUSTER, &second).await.unwrap();
    assert_eq!(operations.running(CLUSTER).await.unwrap(), [first, second.clone()]);
    let again = operation("peer", "https://c");
    operations.record(CLUSTER, &again).await.unwrap();
    assert_eq!(operations.running(CLUSTER).await.unwrap(), [again, second.clone()]);
    operations.forget(CLUSTER, "peer").await.unwrap();
    operations.forget(CLUSTER, "unknown").await.unwrap();
    assert_eq!(operations.running(CLUSTER).await.unwrap(), [second]);
    assert_eq!(operations.running("other").await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn the_last_outcome_of_each_key_is_told() {
    let bench = Bench::new().await;
    for (key, state) in [("a", "waiting"), ("b", "wired"), ("a", "wired")] {
        let outcome = Outcome {
            key: key.to_owned(),
            state: state.to_owned(),
            at: bench.clock.now(),
            body: json!({"steps": 3}),
        };
        bench.ledger.outcomes.put(&outcome).await.unwrap();
    }
    assert_eq!(bench.ledger.outcomes.get("a").await.unwrap().unwrap().state, "wired");
    assert_eq!(bench.ledger.outcomes.all().await.unwrap().documents.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_installation_is_the_first_one_for_ever() {
    let bench = Bench::new().await;
    assert_eq!(bench.ledger.installed.at(START).await.unwrap(), START);
    assert_eq!(
        bench
            .ledger
            .installed
            .at(START + Duration::from_secs(60))
            .await
            .unwrap(),
        START
    );
}
