//! What the ledger asks of storage, and what it says when storage refuses.

use super::*;

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
