//! Replay: what was archived or given up has its effect once more, down the one path, and only if Azure still agrees.

use std::time::Duration;

use azure_sim::{Azure, Service, World};
use http::{Method, Request};
use hubward::clock::Clock;
use hubward::replay::{Replay, ReplayError, Replayed, What};
use hubward_core::ids::ResourceId;
use scenarios::rig::START;
use scenarios::{Cluster, Rig, Setup};
use serde_json::{Value, json};
use time::macros::datetime;

const SEEDS: [u64; 2] = [1, 2];
const MINUTES: Duration = Duration::from_secs(60);
const CONTAINER: &str = "hubward-dead-letters";

#[tokio::test(start_paused = true)]
async fn an_archived_event_is_found_by_its_id_and_wishes_again_with_the_replay_as_cause() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let clusters = rig.wire_clusters(2).await;
        bend_route(&rig, &clusters[0]);
        let event = id_of(&rig.creation_of(&clusters[0]));
        let writes = rig.counters().writes;

        let dry = replay(&rig, &What::Event(event.clone()), true).await.unwrap();
        rig.settle().await;
        assert_eq!(rig.counters().writes, writes, "seed {seed}: a dry run requests nothing");

        let replayed = replay(&rig, &What::Event(event.clone()), false).await.unwrap();
        assert_eq!(replayed, dry, "seed {seed}: and says the same");
        assert_eq!(replayed.events.len(), 1, "seed {seed}: {replayed:#?}");
        assert_eq!(replayed.events[0].key.as_ref(), Some(&clusters[0].key));
        assert!(replayed.events[0].verdict.contains("the cluster was made"));
        let key = rig.ledger.keys.get(&clusters[0].key).await.unwrap().unwrap();
        assert_eq!(key.cause, format!("replay of event {event}"));
        rig.settle().await;
        rig.assert_all_wired(&clusters).await;
        assert_eq!(rig.counters().writes, writes + 1, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_nobody_knows_is_not_found() {
    let rig = Rig::new(1).await;
    let unknown = What::Event("no-such-event".to_owned());
    let error = replay(&rig, &unknown, false).await.unwrap_err();
    assert!(
        matches!(&error, ReplayError::NotFound(line) if line.contains("no-such-event")),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn everything_since_a_time_is_replayed_and_ten_events_of_one_cluster_make_one_wish() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let first = rig.wire_clusters(1).await;
        let between = rig.now();
        let second = rig.create_cluster(2);
        rig.settle().await;
        let mut change = rig.creation_of(&second);
        change["data"]["httpRequest"] = json!({"method": "PUT"});
        for n in 0..10 {
            change["id"] = json!(format!("change-{n}"));
            rig.send_event(&change);
        }
        rig.settle().await;
        let wanted = rig.ledger.keys.get(&second.key).await.unwrap().unwrap().wanted;

        let since = replay(&rig, &What::Since(between), false).await.unwrap();
        assert!(since.events.len() >= 11, "seed {seed}: {since:#?}");
        assert!(since.events.is_sorted_by_key(|event| event.happened_at), "seed {seed}");
        assert!(
            !since.requested.contains(&first[0].key),
            "seed {seed}: it happened before"
        );
        let now = rig.ledger.keys.get(&second.key).await.unwrap().unwrap().wanted;
        assert_eq!(
            now - wanted,
            2,
            "seed {seed}: one for the creation, one for all the changes"
        );
        let all = replay(&rig, &What::Since(START), true).await.unwrap();
        assert!(all.requested.contains(&first[0].key), "seed {seed}");
        rig.settle().await;
        assert_eq!((all.damaged.len(), all.more), (0, false));
        rig.assert_all_wired(&[first[0].clone(), second]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_that_is_too_long_ago_or_to_come_is_refused() {
    let mut rig = Rig::new(1).await;
    rig.run_for(40 * 24 * 60 * MINUTES).await;
    for (time, says) in [
        (START, "31 days"),
        (rig.now() + Duration::from_secs(60), "has not come yet"),
    ] {
        let error = replay(&rig, &What::Since(time), false).await.unwrap_err();
        assert!(
            matches!(&error, ReplayError::Refused(line) if line.contains(says)),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_which_no_event_came_is_looked_at_by_its_id() {
    let mut rig = without_events(1).await;
    let cluster = rig.create_cluster(1);
    rig.run_for(30 * MINUTES).await;
    let id = ResourceId::parse(&cluster.id).unwrap();
    let replayed = replay(&rig, &What::Cluster(id), false).await.unwrap();
    assert_eq!((replayed.events.len(), replayed.requested.len()), (0, 1));
    rig.settle().await;
    // Nobody has told when it was made, so it is only looked at.
    assert_eq!(rig.state(&cluster).await, "observed");

    let foreign = cluster.id.replace(
        &rig.azure.lock().world().subscription.clone(),
        "99999999-9999-4999-8999-999999999999",
    );
    let foreign = ResourceId::parse(&foreign).unwrap();
    let error = replay(&rig, &What::Cluster(foreign), false).await.unwrap_err();
    assert!(matches!(error, ReplayError::Refused(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_events_of_a_cluster_are_replayed_with_it() {
    let mut rig = Rig::new(1).await;
    let clusters = rig.wire_clusters(2).await;
    let id = ResourceId::parse(&clusters[1].id).unwrap();
    let replayed = replay(&rig, &What::Cluster(id), true).await.unwrap();
    let creation = id_of(&rig.creation_of(&clusters[1]));
    assert!(
        replayed.events.iter().any(|event| event.id == creation),
        "{replayed:#?}"
    );
    assert_eq!(replayed.requested.iter().collect::<Vec<_>>(), [&clusters[1].key]);
}

#[tokio::test(start_paused = true)]
async fn an_old_creation_of_a_deleted_cluster_writes_nothing() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let clusters = rig.wire_clusters(1).await;
        let creation = rig.creation_of(&clusters[0]);
        rig.azure.lock().erase(&clusters[0].id);
        rig.send_event(&deletion(&creation));
        rig.settle().await;
        let writes = rig.counters().writes;
        replay(&rig, &What::Event(id_of(&creation)), false).await.unwrap();
        rig.settle().await;
        assert_eq!(rig.counters().writes, writes, "seed {seed}");
        assert_ne!(rig.state(&clusters[0]).await, "wired", "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_of_a_living_cluster_writes_nothing() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let clusters = rig.wire_clusters(1).await;
        let deletion = deletion(&rig.creation_of(&clusters[0]));
        rig.send_event(&deletion);
        rig.settle().await;
        let writes = rig.counters().writes;
        let replayed = replay(&rig, &What::Event(id_of(&deletion)), false).await.unwrap();
        assert!(
            replayed.events[0].verdict.contains("said to be deleted"),
            "{replayed:#?}"
        );
        rig.settle().await;
        assert_eq!(rig.counters().writes, writes, "seed {seed}");
        rig.assert_all_wired(&clusters).await;
    }
}

#[tokio::test(start_paused = true)]
async fn dead_letters_of_both_schemas_are_replayed_once_and_a_damaged_one_is_told() {
    for seed in SEEDS {
        // The same clusters in an Azure whose events arrive, to have their bodies.
        let mut told = Rig::new(seed).await;
        let clusters = told.wire_clusters(2).await;
        let first = dead(
            &told.creation_of(&clusters[0]),
            "deadLetterReason",
            "MaxDeliveryAttemptsExceeded",
        );
        let second = dead(
            &told.cloud_creation_of(&clusters[1]),
            "deadletterreason",
            "TimeToLiveExceeded",
        );

        let mut rig = without_events(seed).await;
        let error = replay(&rig, &What::DeadLetters, false).await.unwrap_err();
        assert!(
            matches!(&error, ReplayError::NotFound(line) if line.contains(CONTAINER)),
            "{error}"
        );
        let clusters: Vec<Cluster> = (1..=2).map(|index| rig.create_cluster(index)).collect();
        rig.run_for(30 * MINUTES).await;
        put_blob(&rig, "", "", &[("restype", "container")]);
        put_blob(&rig, "topic/SUB/2026/1/5/8/one.json", &json!([first]).to_string(), &[]);
        put_blob(&rig, "topic/SUB/2026/1/5/8/two.json", &json!([second]).to_string(), &[]);
        put_blob(&rig, "topic/SUB/2026/1/5/9/torn.json", "[{\"id\":", &[]);
        put_blob(
            &rig,
            "topic/SUB/2026/1/5/9/other.json",
            r#"[{"id":"1","eventType":"x"}]"#,
            &[],
        );

        let dry = replay(&rig, &What::DeadLetters, true).await.unwrap();
        let replayed = replay(&rig, &What::DeadLetters, false).await.unwrap();
        assert_eq!(replayed, dry, "seed {seed}: a dry run says the same and notes nothing");
        assert_eq!(
            (replayed.events.len(), replayed.damaged.len()),
            (2, 2),
            "seed {seed}: {replayed:#?}"
        );
        assert!(
            replayed
                .damaged
                .iter()
                .any(|damaged| damaged.name.ends_with("torn.json"))
        );
        let key = rig.ledger.keys.get(&clusters[0].key).await.unwrap().unwrap();
        let event = id_of(&told.creation_of(&clusters[0]));
        assert_eq!(key.cause, format!("replay of dead letter {event}"));
        rig.settle().await;
        rig.assert_all_wired(&clusters).await;

        let (writes, again) = (
            rig.counters().writes,
            replay(&rig, &What::DeadLetters, false).await.unwrap(),
        );
        assert_eq!(
            (again.events.len(), again.damaged.len()),
            (0, 2),
            "seed {seed}: {again:#?}"
        );
        rig.settle().await;
        assert_eq!(rig.counters().writes, writes, "seed {seed}");
        // Taken into the archive, as if they had come.
        let archived = replay(&rig, &What::Event(event), true).await.unwrap();
        assert_eq!(archived.events.len(), 1, "seed {seed}");
    }
}

async fn replay(rig: &Rig, what: &What, dry_run: bool) -> Result<Replayed, ReplayError> {
    let config = rig.config();
    let config = config.unwrap_or_else(|error| panic!("the configuration is refused: {error}"));
    let replay = Replay {
        ledger: &rig.ledger,
        config: &config,
        clock: rig.clock.as_ref() as &dyn Clock,
        dry_run,
    };
    replay.run(what).await
}

fn id_of(event: &Value) -> String {
    event["id"].as_str().unwrap_or_default().to_owned()
}

/// The event of the deletion of what `creation` tells of.
fn deletion(creation: &Value) -> Value {
    let mut deletion = creation.clone();
    deletion["id"] = json!(format!("{}-gone", id_of(creation)));
    deletion["eventType"] = json!("Microsoft.Resources.ResourceDeleteSuccess");
    deletion["data"]["operationName"] = json!("Microsoft.ContainerService/managedClusters/delete");
    deletion["data"]["httpRequest"] = json!({"method": "DELETE"});
    deletion
}

/// The event as Event Grid leaves it in the dead-letter container.
fn dead(event: &Value, field: &str, reason: &str) -> Value {
    let mut dead = event.clone();
    dead[field] = json!(reason);
    dead
}

/// Somebody leads the default route of the cluster to an address of his own.
fn bend_route(rig: &Rig, cluster: &Cluster) {
    let table = rig.route_table_of(cluster);
    let routes = rig.document(&table)["properties"]["routes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let default = routes
        .iter()
        .find(|route| route["properties"]["addressPrefix"] == "0.0.0.0/0");
    let id = default
        .and_then(|route| route["id"].as_str())
        .unwrap_or_default()
        .to_owned();
    rig.azure
        .lock()
        .edit(&id, |route| route["properties"]["nextHopIpAddress"] = "10.9.9.9".into());
}

/// Event Grid writes into the container; without a name, the container is made.
fn put_blob(rig: &Rig, name: &str, content: &str, query: &[(&str, &str)]) {
    let now = rig.now();
    let mut azure = rig.azure.lock();
    azure.storage_mut().trust_token("event-grid");
    let account = azure.world().storage_account.clone();
    let path = [account.as_str(), CONTAINER, name].join("/");
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = Request::builder()
        .method(Method::PUT)
        .uri(format!(
            "http://127.0.0.1/{}?{}",
            path.trim_end_matches('/'),
            query.join("&")
        ))
        .header("authorization", "Bearer event-grid")
        .header("x-ms-version", "2024-11-04")
        .header("x-ms-blob-type", "BlockBlob")
        .body(content.to_owned().into());
    let request = request.unwrap_or_else(|error| panic!("no request can be made of {name}: {error}"));
    let answer = azure.handle(Service::Blob, request, now);
    assert_eq!(answer.status(), 201, "{}", String::from_utf8_lossy(answer.body()));
}

/// An Azure without any event subscription.
async fn without_events(seed: u64) -> Rig {
    let mut azure = Azure::new(World::one_hub(), seed, START);
    azure.set_wall_clock(datetime!(2100-01-01 00:00 UTC));
    let mut rig = Rig::over(azure, seed, Setup::seeded(seed).settings).await;
    rig.start_app().await;
    rig
}
