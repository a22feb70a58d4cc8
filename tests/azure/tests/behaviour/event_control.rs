//! What a story may do to events, and where events go that nobody took.

use crate::bench::{Bench, START};
use azure_sim::{ClusterSpec, Delivery, DeliveryOutcome, EventSchema, EventSubscription, World};
use serde_json::{Value, json};
use time::Duration;

const CREATED: &str = "Microsoft.ContainerService/managedClusters/write";

/// A bench with one subscription to clusters; the container is made only if named here.
fn bench(schema: EventSchema, container: Option<&str>) -> Bench {
    let mut world = World::one_hub();
    world.events.duplicate_share = 0.0;
    let mut bench = Bench::with(world, 7);
    if let Some(container) = container {
        bench.azure.storage_mut().make_container(container);
    }
    bench.azure.subscribe(EventSubscription {
        name: "hubward".to_owned(),
        endpoint: "http://127.0.0.1:1/events".to_owned(),
        schema,
        operation_names: vec![CREATED.to_owned()],
        dead_letter: Some("dead-letters".to_owned()),
    });
    bench
}

/// Lets time pass until something is delivered or nothing is left to happen.
fn next_deliveries(bench: &mut Bench) -> Vec<Delivery> {
    while let Some(next) = bench.azure.next_event() {
        bench.now = bench.now.max(next);
        let due = bench.azure.advance(bench.now);
        if !due.is_empty() {
            return due;
        }
    }
    Vec::new()
}

fn refuse(bench: &mut Bench, outcome: DeliveryOutcome) {
    let due = next_deliveries(bench);
    bench.azure.delivered(due[0].id, outcome, bench.now);
}

fn letters(bench: &Bench) -> Vec<(String, Value)> {
    let storage = bench.azure.storage();
    storage
        .blob_names("dead-letters")
        .into_iter()
        .map(|name| {
            let content = storage.blob("dead-letters", &name).unwrap();
            (name, serde_json::from_slice(&content).unwrap())
        })
        .collect()
}

#[test]
fn an_event_that_is_refused_for_good_is_a_blob_five_minutes_later() {
    let mut bench = bench(EventSchema::EventGrid, Some("dead-letters"));
    let id = bench.azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
    refuse(&mut bench, DeliveryOutcome::Status(400));
    bench.pass(299);
    assert!(letters(&bench).is_empty());
    bench.pass(1);
    let letters = letters(&bench);
    let (name, content) = &letters[0];
    let parts: Vec<&str> = name.split('/').collect();
    assert_eq!(parts[0], bench.azure.world().subscription);
    assert_eq!(parts[1..6], ["HUBWARD", "2026", "11", "23", "6"]);
    assert!(parts[6].ends_with(".json") && parts.len() == 7, "{name}");
    let event = &content[0];
    assert_eq!(event["subject"], id.replace("/resourceGroups/", "/resourcegroups/"));
    assert_eq!(event["data"]["operationName"], CREATED);
    assert_eq!(
        [
            &event["deadLetterReason"],
            &event["deliveryAttempts"],
            &event["lastDeliveryOutcome"]
        ],
        [
            &json!("UndeliverableDueToHttpBadRequest"),
            &json!(1),
            &json!("BadRequest")
        ]
    );
    assert!(event["publishTime"].as_str().unwrap() < event["lastDeliveryAttemptTime"].as_str().unwrap());
}

#[test]
fn a_day_without_an_answer_ends_in_the_container_in_cloud_events_too() {
    let mut bench = bench(EventSchema::CloudEvents, Some("dead-letters"));
    bench.azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
    for _ in 0..40 {
        let due = next_deliveries(&mut bench);
        let Some(delivery) = due.first() else { break };
        bench.azure.delivered(delivery.id, DeliveryOutcome::NoAnswer, bench.now);
    }
    let letters = letters(&bench);
    let event = &letters[0].1[0];
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(
        [&event["deadletterreason"], &event["lastdeliveryoutcome"]],
        [&json!("TimeToLiveExceeded"), &json!("SocketError")]
    );
    assert!(event["deliveryattempts"].as_u64().unwrap() > 5);
    assert!(bench.now - START < Duration::hours(25));
}

#[test]
fn without_a_container_event_grid_waits_four_hours_and_drops_the_event() {
    let mut early = bench(EventSchema::EventGrid, None);
    early.azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
    refuse(&mut early, DeliveryOutcome::Status(413));
    let mut late = Bench {
        azure: early.azure.clone(),
        now: early.now,
        token: early.token.clone(),
        handed_out: Vec::new(),
    };
    for (bench, hours, found) in [(&mut early, 3, 1), (&mut late, 5, 0)] {
        bench.pass(hours * 3600);
        bench.azure.storage_mut().make_container("dead-letters");
        bench.pass(3600);
        assert_eq!(letters(bench).len(), found, "after {hours} hours");
    }
}

#[test]
fn withheld_events_wait_until_they_are_released() {
    let mut bench = bench(EventSchema::EventGrid, None);
    bench.azure.withhold_events("managedClusters/BLUE");
    let blue = bench.azure.create_cluster(&ClusterSpec::usual("blue", 1), START);
    let green = bench.azure.create_cluster(&ClusterSpec::usual("green", 2), START);
    let delivered = next_deliveries(&mut bench);
    assert_eq!(delivered.len(), 1);
    assert!(String::from_utf8_lossy(&delivered[0].body).contains("/green\""));
    bench
        .azure
        .delivered(delivered[0].id, DeliveryOutcome::Status(200), bench.now);
    assert!(
        next_deliveries(&mut bench).is_empty(),
        "{blue} is withheld, {green} is not"
    );
    bench.pass(30 * 3600);
    bench.azure.release_events();
    assert_eq!(bench.azure.next_event(), Some(bench.now));
    let delivered = next_deliveries(&mut bench);
    assert!(String::from_utf8_lossy(&delivered[0].body).contains("/blue\""));
}

#[test]
fn an_event_can_be_sent_again_with_its_own_id() {
    let mut bench = bench(EventSchema::EventGrid, None);
    let cluster = bench.azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
    let first = next_deliveries(&mut bench);
    bench
        .azure
        .delivered(first[0].id, DeliveryOutcome::Status(200), bench.now);
    let told = bench.azure.emitted_events();
    let created: Vec<_> = told.iter().filter(|event| event.operation_name == CREATED).collect();
    assert_eq!(created.len(), 1);
    assert!(created[0].subject.eq_ignore_ascii_case(&cluster) && created[0].at > START);
    let id = created[0].id;
    assert!(bench.azure.send_again(id));
    let again = next_deliveries(&mut bench);
    assert_eq!(again[0].body, first[0].body);
    assert!(!bench.azure.send_again(uuid::Uuid::nil()));
}
