//! Event Grid: what is said when an operation ends, and how it is delivered.

use crate::bench::{Bench, START, vnet};
use azure_sim::{ClusterSpec, Delivery, DeliveryOutcome, EventSchema, EventSubscription, World};
use serde_json::Value;
use time::Duration;

fn subscribe(bench: &mut Bench, schema: EventSchema, operation: &str) {
    bench.azure.subscribe(EventSubscription {
        name: "hubward".to_owned(),
        endpoint: "http://127.0.0.1:1/events".to_owned(),
        schema,
        operation_names: if operation.is_empty() {
            vec![]
        } else {
            vec![operation.to_owned()]
        },
        dead_letter: Some("dead-letters".to_owned()),
    });
}

fn quiet_world() -> World {
    let mut world = World::one_hub();
    world.events.duplicate_share = 0.0;
    world
}

/// Lets time pass until something is delivered.
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

fn json(delivery: &Delivery) -> Value {
    serde_json::from_slice(&delivery.body).unwrap()
}

#[test]
fn a_cluster_s_creation_is_told_after_it_ended_and_says_who_did_it() {
    let mut bench = Bench::with(quiet_world(), 7);
    subscribe(
        &mut bench,
        EventSchema::EventGrid,
        "Microsoft.ContainerService/managedClusters/write",
    );
    let id = bench.azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
    let due = next_deliveries(&mut bench);
    assert_eq!(due.len(), 1);
    assert_eq!(
        bench.azure.document(&id).unwrap()["properties"]["provisioningState"],
        "Succeeded"
    );
    let event = &json(&due[0])[0];
    assert_eq!(event["eventType"], "Microsoft.Resources.ResourceWriteSuccess");
    assert_eq!(event["subject"], id.replace("/resourceGroups/", "/resourcegroups/"));
    assert_eq!(
        (event["dataVersion"].as_str(), event["metadataVersion"].as_str()),
        (Some("2"), Some("1"))
    );
    let data = &event["data"];
    assert_eq!(
        data["operationName"],
        "Microsoft.ContainerService/managedClusters/write"
    );
    assert_eq!(data.get("httpRequest"), None, "a create has none");
    let object = &data["claims"]["http://schemas.microsoft.com/identity/claims/objectidentifier"];
    assert_eq!(*object, bench.azure.world().person.object_id.to_string());
    let header = |name: &str| {
        due[0]
            .headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(header("aeg-event-type"), Some("Notification"));
    assert_eq!(header("aeg-subscription-name"), Some("HUBWARD"));
    assert_eq!(header("aeg-delivery-count"), Some("0"));
    let told = bench.now - START;
    assert!(told > Duration::seconds(151));
}

#[test]
fn cloud_events_are_single_objects_with_their_own_names() {
    let mut bench = Bench::with(quiet_world(), 7);
    subscribe(
        &mut bench,
        EventSchema::CloudEvents,
        "Microsoft.ContainerService/managedClusters/write",
    );
    bench.azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
    let due = next_deliveries(&mut bench);
    let event = json(&due[0]);
    assert_eq!(
        (event["specversion"].as_str(), event["type"].as_str()),
        (Some("1.0"), Some("Microsoft.Resources.ResourceWriteSuccess"))
    );
    assert!(event.get("dataVersion").is_none() && event.get("topic").is_none());
    assert!(due[0].headers.contains(&(
        "content-type".to_owned(),
        "application/cloudevents+json; charset=utf-8".to_owned()
    )));
}

#[test]
fn the_handler_s_own_writes_and_deletes_raise_events_too() {
    let mut bench = Bench::with(quiet_world(), 7);
    subscribe(&mut bench, EventSchema::EventGrid, "Microsoft.Network/virtualNetworks/");
    let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let updated = bench.put(&spoke, vnet("10.1.0.0/16", &[]));
    bench.finish(&updated);
    let deleted = bench.delete(&spoke);
    bench.finish(&deleted);
    bench.pass(60);
    let mut seen: Vec<(String, String)> = bench
        .handed_out
        .iter()
        .map(|delivery| {
            let event = json(delivery)[0].clone();
            let method = event["data"]["httpRequest"]["method"]
                .as_str()
                .unwrap_or("none")
                .to_owned();
            (event["eventType"].as_str().unwrap().to_owned(), method)
        })
        .collect();
    seen.sort();
    let wanted = [
        ("ResourceDeleteSuccess", "DELETE"),
        ("ResourceWriteSuccess", "PUT"),
        ("ResourceWriteSuccess", "none"),
    ];
    let wanted = wanted.map(|(name, method)| (format!("Microsoft.Resources.{name}"), method.to_owned()));
    assert_eq!(seen, wanted, "order is not promised, so they are compared sorted");
}

#[test]
fn what_is_not_acknowledged_comes_again_on_event_grid_s_schedule() {
    let mut bench = Bench::with(quiet_world(), 7);
    subscribe(
        &mut bench,
        EventSchema::EventGrid,
        "Microsoft.ContainerService/managedClusters/write",
    );
    bench.azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
    let mut due = next_deliveries(&mut bench);
    let mut waits = Vec::new();
    for outcome in [
        DeliveryOutcome::Status(500),
        DeliveryOutcome::NoAnswer,
        DeliveryOutcome::Status(404),
    ] {
        let before = bench.now;
        bench.azure.delivered(due[0].id, outcome, bench.now);
        due = next_deliveries(&mut bench);
        waits.push((bench.now - before).whole_seconds());
    }
    assert!(
        (10..=11).contains(&waits[0]) && (30..=33).contains(&waits[1]) && (300..=330).contains(&waits[2]),
        "{waits:?}"
    );
    assert!(
        due[0]
            .headers
            .contains(&("aeg-delivery-count".to_owned(), "3".to_owned()))
    );
    bench
        .azure
        .delivered(due[0].id, DeliveryOutcome::Status(200), bench.now);
    assert!(next_deliveries(&mut bench).is_empty());
    assert!(bench.azure.undelivered().is_empty());
}

#[test]
fn a_webhook_s_400_ends_the_delivery_and_a_day_of_failures_too() {
    let mut bench = Bench::with(quiet_world(), 7);
    subscribe(
        &mut bench,
        EventSchema::EventGrid,
        "Microsoft.ContainerService/managedClusters/write",
    );
    bench.azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
    let due = next_deliveries(&mut bench);
    let mut other_day = bench.azure.clone();
    bench
        .azure
        .delivered(due[0].id, DeliveryOutcome::Status(400), bench.now);
    assert_eq!(
        (bench.azure.undelivered().len(), bench.azure.undelivered()[0].attempts),
        (1, 1)
    );
    let mut now = bench.now;
    let mut id = due[0].id;
    for _ in 0..100 {
        other_day.delivered(id, DeliveryOutcome::NoAnswer, now);
        let Some(next) = other_day.next_event() else { break };
        now = next;
        if let Some(delivery) = other_day.advance(now).first() {
            id = delivery.id;
        }
    }
    assert_eq!(other_day.undelivered().len(), 1);
    assert!(now - bench.now < Duration::hours(25));
}

#[test]
fn now_and_then_an_event_comes_twice_with_the_same_id() {
    let mut world = World::one_hub();
    world.events.duplicate_share = 1.0;
    let mut bench = Bench::with(world, 7);
    subscribe(
        &mut bench,
        EventSchema::EventGrid,
        "Microsoft.ContainerService/managedClusters/write",
    );
    bench.azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
    let mut ids = Vec::new();
    while ids.len() < 2 {
        for delivery in next_deliveries(&mut bench) {
            ids.push(json(&delivery)[0]["id"].clone());
            bench
                .azure
                .delivered(delivery.id, DeliveryOutcome::Status(200), bench.now);
        }
    }
    assert_eq!(ids[0], ids[1]);
}
