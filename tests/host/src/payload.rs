//! Builds the body of an invocation for each trigger: which value goes into `Data`, which binding data into `Metadata`.
//!
//! The builders take what the trigger saw and a [`System`] stamp; they neither read a clock nor draw ids, so the public
//! captures can be reproduced byte for byte.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;
use uuid::Uuid;

use crate::clock::{offset_text, utc_text};
use crate::encoding::{Binding, Envelope};

/// The `sys` object of every invocation.
#[derive(Debug, Clone)]
pub(crate) struct System {
    pub(crate) function: String,
    pub(crate) now: OffsetDateTime,
    pub(crate) guid: Uuid,
}

/// What the queue service says of a message it handed out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueueMessage {
    pub(crate) id: String,
    pub(crate) pop_receipt: String,
    pub(crate) dequeue_count: i64,
    pub(crate) inserted: OffsetDateTime,
    pub(crate) expires: OffsetDateTime,
    pub(crate) next_visible: OffsetDateTime,
    /// The message text as on the wire.
    pub(crate) wire_text: String,
}

/// Last and next run of a timer, kept when `useMonitor` is on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScheduleStatus {
    /// `None` before the first run: .NET's default date.
    pub(crate) last: Option<OffsetDateTime>,
    pub(crate) next: OffsetDateTime,
    pub(crate) updated: OffsetDateTime,
}

/// One event, or for `cardinality: many` the array of a whole delivery.
pub(crate) fn event_grid(binding: &str, event: &Value, system: &System) -> Envelope {
    let data = match event.as_array() {
        Some(events) => events.iter().map(|event| event["data"].clone()).collect(),
        None => event["data"].clone(),
    };
    let metadata = [("data".to_owned(), Binding::Json(data)), system.entry("sys")];
    Envelope::new(binding, &Binding::Json(event.clone()), &metadata)
}

/// A queue message whose wire text has been decoded to `body`; a manual run has no `message`.
pub(crate) fn queue(
    binding: &str,
    body: &[u8],
    binary: bool,
    message: Option<&QueueMessage>,
    system: &System,
) -> Envelope {
    let text = String::from_utf8_lossy(body).into_owned();
    let value = if binary {
        Binding::Bytes(body.to_vec())
    } else {
        Binding::text(text.clone())
    };
    let mut metadata = vec![("QueueTrigger".to_owned(), Binding::text(text.clone()))];
    match message {
        Some(message) => metadata.extend(message.binding_data()),
        None => metadata.push(("DequeueCount".to_owned(), Binding::Json(0.into()))),
    }
    let properties = match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(properties)) => properties,
        _ => Map::new(),
    };
    // Binding data is one case-insensitive dictionary: a message's own `sys` pushes the host's aside.
    let own_sys = properties.keys().any(|key| key.eq_ignore_ascii_case("sys"));
    metadata.push(system.entry(if own_sys { "$sys" } else { "sys" }));
    for (key, value) in properties {
        let Some(value) = copied_property(value) else { continue };
        match metadata
            .iter_mut()
            .find(|(present, _)| present.eq_ignore_ascii_case(&key))
        {
            Some(slot) => slot.1 = value,
            None => metadata.push((key, value)),
        }
    }
    Envelope::new(binding, &value, &metadata)
}

/// A timer tick; `status` is null when monitoring is off.
pub(crate) fn timer(binding: &str, status: Option<&ScheduleStatus>, system: &System) -> Envelope {
    let status = status.map_or(Value::Null, |status| {
        json!({
            "Last": status.last.map_or_else(|| "0001-01-01T00:00:00".to_owned(), offset_text),
            "Next": offset_text(status.next),
            "LastUpdated": offset_text(status.updated),
        })
    });
    let info = json!({"Schedule": {"AdjustForDST": true}, "ScheduleStatus": status, "IsPastDue": false});
    Envelope::new(binding, &Binding::Json(info), &[system.entry("sys")])
}

/// An http request that is not forwarded: `request` is the object of `GetRequestAsJObject`, `route` its parameters.
pub(crate) fn http(binding: &str, request: &Value, route: &Map<String, Value>, system: &System) -> Envelope {
    let single: Map<String, Value> = request["Headers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, values)| (name.clone(), values[0].clone()))
        .collect();
    let mut metadata = vec![
        ("Query".to_owned(), Binding::Json(request["Query"].clone())),
        ("Headers".to_owned(), Binding::Json(Value::Object(single))),
    ];
    metadata.extend(
        route
            .iter()
            .map(|(name, value)| (name.clone(), Binding::Json(value.clone()))),
    );
    metadata.push(system.entry("sys"));
    Envelope::new(binding, &Binding::Json(request.clone()), &metadata)
}

impl QueueMessage {
    fn binding_data(&self) -> [(String, Binding); 6] {
        [
            ("DequeueCount".to_owned(), Binding::Json(self.dequeue_count.into())),
            ("ExpirationTime".to_owned(), Binding::Date(self.expires)),
            ("InsertionTime".to_owned(), Binding::Date(self.inserted)),
            ("NextVisibleTime".to_owned(), Binding::Date(self.next_visible)),
            ("Id".to_owned(), Binding::text(self.id.clone())),
            ("PopReceipt".to_owned(), Binding::text(self.pop_receipt.clone())),
        ]
    }
}

impl System {
    fn entry(&self, key: &str) -> (String, Binding) {
        let value = json!({
            "MethodName": self.function,
            "UtcNow": utc_text(self.now),
            "RandGuid": self.guid.hyphenated().to_string(),
        });
        (key.to_owned(), Binding::Json(value))
    }
}

/// How `Utility.ConvertPropertyValue` copies a top-level property of the message: objects as they are, arrays and nulls
/// not at all, the rest as text in .NET's invariant culture.
fn copied_property(value: Value) -> Option<Binding> {
    match value {
        Value::Null | Value::Array(_) => None,
        Value::Object(_) => Some(Binding::Json(value)),
        Value::Bool(flag) => Some(Binding::text(if flag { "True" } else { "False" })),
        Value::Number(number) => Some(Binding::text(number.to_string())),
        Value::String(text) => Some(Binding::text(culture_date(&text).unwrap_or(text))),
    }
}

/// A text that Newtonsoft takes for a date, in the invariant culture's general format.
fn culture_date(text: &str) -> Option<String> {
    let format = format_description!("[month]/[day]/[year] [hour]:[minute]:[second]");
    let at = OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    // `DateTimeZoneHandling.RoundtripKind` turns an offset into local time, UTC on Azure's machines.
    at.to_offset(time::UtcOffset::UTC).format(&format).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn system(function: &str, now: OffsetDateTime, guid: &str) -> System {
        System {
            function: function.to_owned(),
            now,
            guid: guid.parse().unwrap(),
        }
    }

    fn message() -> QueueMessage {
        QueueMessage {
            id: "4434c659-815f-434e-a851-f1df7b701f27".to_owned(),
            pop_receipt: "AgAAAAMAAAAAAAAAVqQNb/ai2gE=".to_owned(),
            dequeue_count: 5,
            inserted: datetime!(2024-05-10 16:13:45 UTC),
            expires: datetime!(2024-05-17 16:13:45 UTC),
            next_visible: datetime!(2024-05-10 16:23:46 UTC),
            wire_text: String::new(),
        }
    }

    fn queue_system() -> System {
        system(
            "scraperResultTrigger",
            datetime!(2024-05-10 16:13:47.1756352 UTC),
            "828f9d97-f30d-46ff-a609-024f97f376d8",
        )
    }

    /// The public capture of a queue trigger (a Go test, queue + Cosmos app), shortened as published.
    #[test]
    fn a_queue_message_is_encoded_as_captured() {
        let text = r#"{"scraperId":"vienna002","timestamp":"2024-04-06T15:30:00Z","listings":[]}"#;
        let captured = concat!(
            r#"{"Data":{"msg":"\"{\\\"scraperId\\\":\\\"vienna002\\\",\\\"timestamp\\\":\\\"2024-04-06T15:30:00Z\\\",\\\"listings\\\":[]}\""},"#,
            r#""Metadata":{"DequeueCount":"5","#,
            r#""ExpirationTime":"2024-05-17T16:13:45+00:00","InsertionTime":"2024-05-10T16:13:45+00:00","NextVisibleTime":"2024-05-10T16:23:46+00:00","#,
            r#""Id":"\"4434c659-815f-434e-a851-f1df7b701f27\"","PopReceipt":"\"AgAAAAMAAAAAAAAAVqQNb/ai2gE=\"","#,
            r#""sys":{"MethodName":"scraperResultTrigger","UtcNow":"2024-05-10T16:13:47.1756352Z","RandGuid":"828f9d97-f30d-46ff-a609-024f97f376d8"},"#,
            r#""scraperId":"\"vienna002\"","timestamp":"\"04/06/2024 15:30:00\""}}"#
        );
        assert_eq!(
            queue("msg", text.as_bytes(), false, Some(&message()), &queue_system()).to_json(),
            captured
        );
    }

    /// The public capture of a timer trigger (a Rust handler on host 4.24.4.4).
    #[test]
    fn a_timer_tick_is_encoded_as_captured() {
        let captured = concat!(
            r#"{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}},"#,
            r#""Metadata":{"sys":{"MethodName":"azure","UtcNow":"2023-09-07T11:40:45.004275Z","RandGuid":"35e6e68c-5583-436c-a277-5aec2b416ba8"}}}"#
        );
        let system = system(
            "azure",
            datetime!(2023-09-07 11:40:45.004275 UTC),
            "35e6e68c-5583-436c-a277-5aec2b416ba8",
        );
        assert_eq!(timer("timer", None, &system).to_json(), captured);
    }

    #[test]
    fn a_monitored_timer_tells_its_last_and_next_run() {
        let status = ScheduleStatus {
            last: None,
            next: datetime!(2024-05-10 16:15 UTC),
            updated: datetime!(2024-05-10 16:13:47.5 UTC),
        };
        insta::assert_snapshot!(timer("t", Some(&status), &queue_system()).to_json(), @r#"{"Data":{"t":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":{"Last":"0001-01-01T00:00:00","Next":"2024-05-10T16:15:00+00:00","LastUpdated":"2024-05-10T16:13:47.5+00:00"},"IsPastDue":false}},"Metadata":{"sys":{"MethodName":"scraperResultTrigger","UtcNow":"2024-05-10T16:13:47.1756352Z","RandGuid":"828f9d97-f30d-46ff-a609-024f97f376d8"}}}"#);
    }

    #[test]
    fn a_property_of_the_message_overrides_what_the_host_says_of_it() {
        let text =
            r#"{"id":"mine","sys":"own","flag":true,"count":7,"nothing":null,"nested":{"a":[1]},"myTrigger":"x"}"#;
        let body: Value =
            serde_json::from_str(&queue("m", text.as_bytes(), false, Some(&message()), &queue_system()).to_json())
                .unwrap();
        let metadata = &body["Metadata"];
        assert_eq!(metadata["Id"], "\"mine\"");
        assert_eq!(metadata["sys"], "\"own\"");
        assert_eq!(metadata["$sys"]["MethodName"], "scraperResultTrigger");
        assert_eq!(
            (&metadata["flag"], &metadata["count"]),
            (&json!("\"True\""), &json!("\"7\""))
        );
        assert_eq!(metadata["nested"], json!({"a": [1]}));
        for absent in ["id", "nothing", "myTrigger", "QueueTrigger"] {
            assert!(metadata.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn a_binary_queue_message_is_base64_once() {
        let body: Value =
            serde_json::from_str(&queue("m", &[0, 159, 255], true, Some(&message()), &queue_system()).to_json())
                .unwrap();
        assert_eq!(body["Data"]["m"], "AJ//");
    }

    #[test]
    fn one_event_is_an_object_and_a_batch_is_a_string() {
        let event = json!({"id": "1", "eventType": "A", "data": {"k": 1}});
        insta::assert_snapshot!(event_grid("event", &event, &queue_system()).to_json(), @r#"{"Data":{"event":{"id":"1","eventType":"A","data":{"k":1}}},"Metadata":{"data":{"k":1},"sys":{"MethodName":"scraperResultTrigger","UtcNow":"2024-05-10T16:13:47.1756352Z","RandGuid":"828f9d97-f30d-46ff-a609-024f97f376d8"}}}"#);
        let batch = json!([event, {"id": "2", "eventType": "B", "data": {"k": 2}}]);
        insta::assert_snapshot!(event_grid("events", &batch, &queue_system()).to_json(), @r#"{"Data":{"events":"[{\"id\":\"1\",\"eventType\":\"A\",\"data\":{\"k\":1}},{\"id\":\"2\",\"eventType\":\"B\",\"data\":{\"k\":2}}]"},"Metadata":{"data":"[{\"k\":1},{\"k\":2}]","sys":{"MethodName":"scraperResultTrigger","UtcNow":"2024-05-10T16:13:47.1756352Z","RandGuid":"828f9d97-f30d-46ff-a609-024f97f376d8"}}}"#);
    }

    #[test]
    fn event_data_that_is_no_object_is_encoded_and_absent_data_is_absent() {
        let text = event_grid("e", &json!({"id": "1", "data": "plain"}), &queue_system()).to_json();
        assert!(
            text.contains(r#""data":"plain"}}"#) && text.contains(r#""Metadata":{"data":"\"plain\"","#),
            "{text}"
        );
        let none = event_grid("e", &json!({"id": "1"}), &queue_system()).to_json();
        assert!(none.contains(r#""Metadata":{"sys""#), "{none}");
    }
}
