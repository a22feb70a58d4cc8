//! Documents: kept to the byte, set aside when damaged.

use super::*;

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
    let by_id = async |id: &str| bench.ledger.archive.by_id(id).await.unwrap();
    assert_eq!(
        by_id("a").await,
        [event("a", 90)].map(|kept| ArchivedEvent {
            received_at: START,
            ..kept
        })
    );
    assert_eq!(by_id("c").await, []);
    let elsewhere = ArchivedEvent {
        source: "/subscriptions/other".to_owned(),
        ..event("a", 10)
    };
    bench.ledger.archive.keep(&elsewhere).await.unwrap();
    let sources: Vec<String> = by_id("a").await.into_iter().map(|event| event.source).collect();
    assert_eq!(
        sources,
        ["/subscriptions/other", "/subscriptions/s"],
        "one id, two sources"
    );
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

#[tokio::test(start_paused = true)]
async fn events_around_midnight_are_found_in_the_days_and_hours_that_are_asked_for() {
    let bench = Bench::new().await;
    for hours in [10, 11, 12, 13, 36] {
        let event = ArchivedEvent {
            id: format!("after-{hours}"),
            source: "/subscriptions/s".to_owned(),
            happened_at: START + Duration::from_secs(3600 * hours + 1800),
            received_at: START,
            body: json!({}),
        };
        bench.ledger.archive.keep(&event).await.unwrap();
    }
    let ids = async |from: u64, to: u64| {
        let [from, to] = [from, to].map(|hours| START + Duration::from_secs(3600 * hours));
        let found = bench.ledger.archive.between(from, to).await.unwrap();
        found.documents.into_iter().map(|event| event.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(11, 13).await, ["after-11", "after-12"], "from 23:00 to 01:00");
    assert_eq!(ids(12, 13).await, ["after-12"]);
    assert_eq!(
        ids(0, 48).await,
        ["after-10", "after-11", "after-12", "after-13", "after-36"]
    );
    assert_eq!(ids(14, 36).await, Vec::<String>::new());
}
