//! Both schemas, texts in texts, deliveries, and what is refused.

use std::fmt::Write;

use serde_json::{Value, json};

use super::*;

#[test]
fn an_event_of_the_event_grid_schema_is_understood() {
    insta::assert_json_snapshot!(decode(&event_grid()).unwrap(), @r#"
    {
      "id": "e0000000-0000-0000-0000-000000000001",
      "source_schema": "event_grid",
      "kind": "write_success",
      "operation": "Microsoft.ContainerService/managedClusters/write",
      "status": "Succeeded",
      "resource": "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/team/providers/Microsoft.ContainerService/managedClusters/shop",
      "subscription": "11111111-2222-3333-4444-555555555555",
      "tenant": "dddddddd-0000-0000-0000-000000000003",
      "time": "2026-11-23T06:48:30.1234567Z",
      "caller_object_id": "aaaaaaaa-0000-0000-0000-000000000001",
      "correlation": "c0000000-0000-0000-0000-000000000001",
      "created": true
    }
    "#);
}

#[test]
fn the_same_event_in_both_schemas_is_the_same_event() {
    let cloud = decode(&as_cloud_event(&event_grid())).unwrap();
    assert_eq!(cloud.source_schema, Schema::CloudEvents);
    let as_event_grid = Event {
        source_schema: Schema::EventGrid,
        ..cloud
    };
    assert_eq!(as_event_grid, decode(&event_grid()).unwrap());
}

#[test]
fn an_event_in_a_text_in_a_text_is_the_same_event() {
    let once = Value::String(event_grid().to_string());
    let twice = Value::String(once.to_string());
    assert_eq!(decode(&once), decode(&event_grid()));
    assert_eq!(decode(&twice), decode(&event_grid()));
    let mut data_as_text = event_grid();
    data_as_text["data"]["claims"] = Value::String(data_as_text["data"]["claims"].to_string());
    data_as_text["data"] = Value::String(data_as_text["data"].to_string());
    assert_eq!(decode(&data_as_text), decode(&event_grid()));
}

#[test]
fn a_delivery_is_an_array_or_one_event_or_a_text_of_either() {
    let expected = vec![decode(&event_grid())];
    let array = json!([event_grid()]);
    for delivery in [
        event_grid(),
        array.clone(),
        Value::String(array.to_string()),
        json!([event_grid().to_string()]),
    ] {
        assert_eq!(decode_all(&delivery).unwrap(), expected);
    }
}

#[test]
fn a_malformed_event_does_not_take_its_neighbours_with_it() {
    let events = decode_all(&json!([event_grid(), 7, {}, as_cloud_event(&event_grid())])).unwrap();
    assert_eq!(
        events.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [true, false, false, true]
    );
}

#[test]
fn deliveries_and_texts_beyond_any_real_size_are_refused() {
    let many = Value::Array(vec![Value::Null; MAX_EVENTS + 1]);
    assert_eq!(decode_all(&many).unwrap_err(), Malformed::TooMany(MAX_EVENTS + 1));
    let long = Value::String("x".repeat(MAX_TEXT + 1));
    assert!(matches!(decode(&long), Err(Malformed::TooLong { .. })));
    let mut event = event_grid();
    event["data"]["operationName"] = json!("x".repeat(5000));
    assert!(matches!(
        decode(&event),
        Err(Malformed::TooLong {
            field: "operationName",
            ..
        })
    ));
}

#[test]
fn a_write_without_http_request_made_the_resource() {
    let mut event = event_grid();
    assert!(decode(&event).unwrap().created);
    event["data"]["httpRequest"] = json!({ "method": "PUT", "clientIpAddress": "198.51.100.9" });
    assert!(!decode(&event).unwrap().created);
}

#[test]
fn a_time_that_cannot_be_read_is_no_reason_to_lose_the_event() {
    let read = |text: Value| {
        let mut event = event_grid();
        event["eventTime"] = text;
        decode(&event).unwrap().time.map(time::OffsetDateTime::unix_timestamp)
    };
    let expected = read(json!("2026-11-23T06:48:30.1234567Z"));
    assert!(expected.is_some());
    for text in [
        "2026-11-23T06:48:30Z",
        "2026-11-23 06:48:30",
        "2026-11-23T08:48:30.5+02:00",
        " 2026-11-23T06:48:30 ",
    ] {
        assert_eq!(read(json!(text)), expected, "{text}");
    }
    assert_eq!(read(json!("yesterday")), None);
    assert_eq!(read(json!(17)), None);
}

#[test]
fn every_malformed_event_is_told_with_its_reason() {
    let mut page = String::new();
    let mut tell = |title: &str, value: Value| {
        writeln!(page, "{title}\n    {}", decode(&value).unwrap_err()).unwrap();
    };
    tell("a number", json!(7));
    tell("an array", json!([]));
    tell("a text", json!("hello"));
    tell(
        "a text wrapped too often",
        json!(json!(json!(json!(event_grid().to_string()).to_string()).to_string()).to_string()),
    );
    tell("an empty object", json!({}));
    tell("an old CloudEvent", json!({ "specversion": "0.3", "type": "a" }));
    for field in ["id", "data", "eventType"] {
        tell(&format!("without {field}"), without(event_grid(), &[field]));
    }
    for field in ["operationName", "status"] {
        tell(
            &format!("without data.{field}"),
            without(event_grid(), &["data", field]),
        );
    }
    tell(
        "without any resource",
        without(without(event_grid(), &["data", "resourceUri"]), &["subject"]),
    );
    tell("id is a number", with(event_grid(), &["id"], json!(1)));
    tell("data is a list", with(event_grid(), &["data"], json!([])));
    tell(
        "resource is a path",
        with(event_grid(), &["data", "resourceUri"], json!("/blobServices/default")),
    );
    tell(
        "resource climbs out",
        with(
            event_grid(),
            &["data", "resourceUri"],
            json!(format!("{CLUSTER}/../../x\n")),
        ),
    );
    tell(
        "another subscription",
        with(event_grid(), &["data", "subscriptionId"], json!("someone-elses")),
    );
    insta::assert_snapshot!(page);
}

#[test]
fn a_time_that_no_event_can_have_counts_as_none() {
    for text in [
        "0000-01-01T00:00:00+01:00",
        "1999-12-31T23:59:59Z",
        "2201-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
    ] {
        let mut event = event_grid();
        event["eventTime"] = json!(text);
        assert_eq!(decode(&event).unwrap().time, None, "{text}");
    }
    let mut event = event_grid();
    event["eventTime"] = json!("2200-12-31T23:59:59Z");
    assert!(decode(&event).unwrap().time.is_some());
}
