//! Forged, foreign and broken events and messages: answered as handled, with the reason in the log, and without one call to
//! ARM.

use scenarios::{Cluster, Rig};
use serde_json::{Value, json};

const SEEDS: [u64; 2] = [1, 2];

#[tokio::test(start_paused = true)]
async fn a_forged_or_foreign_event_is_answered_with_its_reason_and_without_an_arm_call() {
    for seed in SEEDS {
        let (mut rig, cluster) = wired(seed).await;
        for (event, reason) in strange(&rig.creation_of(&cluster), &cluster) {
            let (calls, lines) = (rig.wire.arm_calls(), rig.lines.len());
            rig.send_event(&event);
            rig.settle().await;
            let said = &rig.lines[lines..];
            assert_eq!(said.len(), 1, "seed {seed}: {event} -> {said:#?}");
            assert!(said[0].done, "seed {seed}: {event} -> {said:#?}");
            assert!(
                said[0].text.contains(reason),
                "seed {seed}: {:?} lacks {reason:?}",
                said[0].text
            );
            assert_eq!(rig.wire.arm_calls(), calls, "seed {seed}: {event}");
        }
    }
}

/// What is sent, and words of the reason that the log must give.
fn strange(genuine: &Value, cluster: &Cluster) -> Vec<(Value, &'static str)> {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut event = genuine.clone();
        change(&mut event);
        event
    };
    let about = |id: &str, operation: &str| {
        let subscription = id.split('/').nth(2).unwrap_or_default().to_owned();
        with(&|event| {
            event["subject"] = json!(id);
            event["data"]["resourceUri"] = json!(id);
            event["data"]["operationName"] = json!(operation);
            event["data"]["subscriptionId"] = json!(subscription);
        })
    };
    let elsewhere = cluster.id.replace("5b1f6471", "00000000");
    let vault = cluster.id.replace(
        "Microsoft.ContainerService/managedClusters",
        "Microsoft.KeyVault/vaults",
    );
    let write = "Microsoft.ContainerService/managedClusters/write";
    vec![
        (
            about(&elsewhere, write),
            "lies in no subscription of scope.subscriptions",
        ),
        (
            about(&vault, "Microsoft.KeyVault/vaults/write"),
            "is nothing that we look after",
        ),
        (about(&vault, write), "is not one on"),
        (about("/subscriptions/../x", write), "names no Azure resource"),
        (
            with(&|event| event["data"]["subscriptionId"] = json!("00000000-0000-0000-0000-000000000000")),
            "it is not believed",
        ),
        (
            with(&|event| event["data"]["status"] = json!("Failed")),
            "only Succeeded is acted on",
        ),
        (
            with(&|event| event["eventType"] = json!("Microsoft.Resources.ResourceWriteFailure")),
            "neither a successful write, delete nor action",
        ),
        (
            with(&|event| event["data"]["operationName"] = json!("Microsoft.ContainerService/managedClusters/delete")),
            "is not a write, as its type says",
        ),
        (
            about(
                &cluster.id,
                "Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action",
            ),
            "is not a write",
        ),
        (with(&|event| event["data"] = json!("gone")), "dropped: "),
        (with(&|event| event["eventType"] = Value::Null), "dropped: "),
        (json!({}), "neither eventType nor specversion"),
        (json!("{\"eventType\": broken"), "text that is not JSON"),
        (json!(17), "a number, not an object"),
        (Value::Null, "null, not an object"),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_five_thousand_foreign_events_is_answered_without_an_arm_call() {
    let (mut rig, cluster) = wired(1).await;
    let mut foreign = rig.creation_of(&cluster);
    let id = cluster.id.replace("5b1f6471", "00000000");
    foreign["subject"] = json!(id);
    foreign["data"]["resourceUri"] = json!(id);
    foreign["data"]["subscriptionId"] = json!(id.split('/').nth(2));
    let (calls, lines) = (rig.wire.calls(), rig.lines.len());
    rig.send_event(&Value::Array(vec![foreign.clone(); 5000]));
    rig.settle().await;
    let said = &rig.lines[lines..];
    assert_eq!(said.len(), 5000, "seed 1");
    assert!(
        said.iter().all(|line| line.done && line.text.contains("not ours")),
        "seed 1"
    );
    assert_eq!(rig.wire.calls(), calls, "seed 1: neither ARM nor storage is called");

    let lines = rig.lines.len();
    rig.send_event(&Value::Array(vec![foreign; 5001]));
    rig.settle().await;
    let said = &rig.lines[lines..];
    assert!(said.len() == 1 && said[0].done, "seed 1: {} lines", said.len());
    assert!(said[0].text.contains("holds 5001 events"), "seed 1: {}", said[0].text);
}

#[tokio::test(start_paused = true)]
async fn one_broken_event_of_a_batch_does_not_take_its_neighbours_with_it() {
    for seed in SEEDS {
        let (mut rig, cluster) = wired(seed).await;
        let genuine = rig.creation_of(&cluster);
        let lines = rig.lines.len();
        rig.send_event(&json!([{"eventType": 7}, genuine, "{"]));
        rig.settle().await;
        let said: Vec<&str> = rig.lines[lines..].iter().map(|line| line.text.as_str()).collect();
        let asked = said.iter().filter(|text| text.contains("work is asked for")).count();
        let dropped = said.iter().filter(|text| text.starts_with("dropped: ")).count();
        assert_eq!((asked, dropped), (1, 2), "seed {seed}: {said:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_forged_message_is_dropped_with_its_reason_and_without_an_arm_call() {
    for seed in SEEDS {
        let (mut rig, cluster) = wired(seed).await;
        let elsewhere = cluster.key.replace("5b1f6471", "00000000");
        rig.ledger
            .keys
            .request(hubward::ledger::queue::WorkKind::Spoke, &elsewhere, "forged")
            .await
            .unwrap();
        let (calls, lines) = (rig.wire.arm_calls(), rig.lines.len());
        for body in [
            json!("{"),
            json!({"version": 9}),
            json!({"version": 1, "kind": "spoke"}),
            json!([]),
        ] {
            rig.put_message(&body);
        }
        rig.settle().await;
        let said: Vec<&str> = rig.lines[lines..].iter().map(|line| line.text.as_str()).collect();
        assert_eq!(said.len(), 5, "seed {seed}: {said:#?}");
        assert!(
            said.iter().any(|text| text.contains("not in the configured scope")),
            "seed {seed}: {said:#?}"
        );
        assert_eq!(
            said.iter().filter(|text| text.starts_with("dropped: ")).count(),
            4,
            "seed {seed}: {said:#?}"
        );
        assert_eq!(rig.wire.arm_calls(), calls, "seed {seed}");
    }
}

async fn wired(seed: u64) -> (Rig, Cluster) {
    let mut rig = Rig::new(seed).await;
    let mut clusters = rig.wire_clusters(1).await;
    rig.assert_all_wired(&clusters).await;
    (rig, clusters.remove(0))
}
