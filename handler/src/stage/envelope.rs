//! The body of an invocation as the Functions host writes it: JSON objects inline, everything else as a text that holds
//! compact JSON, so that a queue text arrives encoded twice [functions-host: encoding algorithm].

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::queue::Message;

/// One event, or the array of a batch, for an `eventGridTrigger` named `event`.
pub(super) fn event(event: &Value, now: OffsetDateTime) -> Value {
    let mut metadata = Map::from_iter([("sys".to_owned(), system("ClusterEvents", now))]);
    if let Some(data) = event.get("data").filter(|data| !data.is_null()) {
        metadata.insert("data".to_owned(), encoded(data));
    }
    json!({"Data": {"event": encoded(event)}, "Metadata": metadata})
}

/// A message whose base64 has been undone to `text`, for a `queueTrigger` named `message`.
pub(super) fn message(message: &Message, text: &str, now: OffsetDateTime) -> Value {
    let mut metadata = Map::from_iter([
        ("DequeueCount".to_owned(), encoded(&json!(message.dequeue_count))),
        ("Id".to_owned(), encoded(&json!(message.id))),
        ("PopReceipt".to_owned(), encoded(&json!(message.receipt))),
        ("sys".to_owned(), system("Work", now)),
    ]);
    // The host copies the members of a JSON message over its own [functions-host: 2.5].
    if let Ok(Value::Object(members)) = serde_json::from_str(text) {
        for (name, value) in members
            .iter()
            .filter(|(_, value)| !value.is_array() && !value.is_null())
        {
            let copied = match value {
                Value::Object(_) => value.clone(),
                Value::String(text) => json!(text),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => json!(value.to_string()),
            };
            metadata.insert(name.clone(), encoded(&copied));
        }
    }
    json!({"Data": {"message": encoded(&json!(text))}, "Metadata": metadata})
}

/// A tick, for a `timerTrigger` named `timer`.
pub(super) fn timer(now: OffsetDateTime) -> Value {
    json!({
        "Data": {"timer": {"Schedule": {"AdjustForDST": true}, "ScheduleStatus": null, "IsPastDue": false}},
        "Metadata": {"sys": system("DriftTimer", now)},
    })
}

fn encoded(value: &Value) -> Value {
    match value {
        Value::Object(_) => value.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Value::String(value.to_string())
        }
    }
}

fn system(function: &str, now: OffsetDateTime) -> Value {
    json!({
        "MethodName": function,
        "UtcNow": now.format(&Rfc3339).unwrap_or_default(),
        "RandGuid": "828f9d97-f30d-46ff-a609-024f97f376d8",
    })
}
