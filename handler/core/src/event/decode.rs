//! Reads one event, or a delivery of several, out of JSON.
//!
//! The Functions host hands events over as objects, as arrays and as texts that hold JSON, sometimes twice encoded; all of
//! them are unwrapped here, with bounds on depth, count and length so that hostile input stays cheap.

use std::borrow::Cow;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Event, EventKind, Malformed, Schema};
use crate::ids::ResourceId;

/// Most events in one delivery [Event Grid batches 1 to 5,000].
pub const MAX_EVENTS: usize = 5_000;

/// Longest text that is read as JSON, in bytes [Event Grid sends 1 MB at most; encoding twice can make it some times longer].
pub const MAX_TEXT: usize = 4 * 1024 * 1024;

/// How many times a text may be wrapped in a text.
const MAX_WRAPPINGS: usize = 3;

/// Longest value of a field that is kept, in bytes.
const MAX_FIELD: usize = crate::ids::MAX_LENGTH;

/// The claim that holds the caller's object id, in its long and its short name.
pub(super) const OBJECT_ID_CLAIMS: [&str; 2] = ["http://schemas.microsoft.com/identity/claims/objectidentifier", "oid"];

/// Reads one event in the Event Grid schema or CloudEvents 1.0, as an object or as text that holds one.
///
/// # Errors
/// [`Malformed`] tells what it lacks.
pub fn decode(value: &Value) -> Result<Event, Malformed> {
    let value = unwrapped(value)?;
    let Value::Object(envelope) = value.as_ref() else {
        return Err(Malformed::NotAnObject(type_name(&value)));
    };
    let (schema, kind_field, time_field) = schema_of(envelope)?;
    let Some(data) = envelope.get("data").map(object_of).transpose()?.flatten() else {
        return Err(Malformed::Missing("data"));
    };
    let kind = kind(required(envelope, kind_field)?);
    let resource = resource(envelope, &data)?;
    Ok(Event {
        id: required(envelope, "id")?.to_owned(),
        source_schema: schema,
        operation: required(&data, "operationName")?.to_owned(),
        status: required(&data, "status")?.to_owned(),
        subscription: resource.subscription().to_owned(),
        tenant: optional(&data, "tenantId"),
        time: optional(envelope, time_field).and_then(|text| time(&text)),
        caller_object_id: caller(&data),
        correlation: optional(&data, "correlationId"),
        created: kind == EventKind::WriteSuccess && data.get("httpRequest").is_none_or(Value::is_null),
        kind,
        resource,
    })
}

/// Reads a delivery: an array of events, one event, or text that holds either. Each event is read on its own, so that a
/// malformed one does not take its neighbours with it.
///
/// # Errors
/// [`Malformed`] if the delivery as a whole cannot be read.
pub fn decode_all(value: &Value) -> Result<Vec<Result<Event, Malformed>>, Malformed> {
    let value = unwrapped(value)?;
    let Value::Array(events) = value.as_ref() else {
        return Ok(vec![decode(&value)]);
    };
    if events.len() > MAX_EVENTS {
        return Err(Malformed::TooMany(events.len()));
    }
    Ok(events.iter().map(decode).collect())
}

/// The value itself, or what is in it if it is a text that holds JSON.
pub(super) fn unwrapped(value: &Value) -> Result<Cow<'_, Value>, Malformed> {
    let mut value = Cow::Borrowed(value);
    for _ in 0..MAX_WRAPPINGS {
        let Value::String(text) = value.as_ref() else {
            return Ok(value);
        };
        if text.len() > MAX_TEXT {
            return Err(Malformed::TooLong {
                field: "text",
                length: text.len(),
                most: MAX_TEXT,
            });
        }
        value = Cow::Owned(serde_json::from_str(text).map_err(|e| Malformed::NotJson(e.to_string()))?);
    }
    Ok(value)
}

fn schema_of(envelope: &Map<String, Value>) -> Result<(Schema, &'static str, &'static str), Malformed> {
    match envelope.get("specversion") {
        Some(Value::String(version)) if version.starts_with("1.") => Ok((Schema::CloudEvents, "type", "time")),
        None if envelope.contains_key("eventType") => Ok((Schema::EventGrid, "eventType", "eventTime")),
        Some(_) | None => Err(Malformed::UnknownSchema),
    }
}

fn kind(written: &str) -> EventKind {
    match written.to_ascii_lowercase().as_str() {
        "microsoft.resources.resourcewritesuccess" => EventKind::WriteSuccess,
        "microsoft.resources.resourcedeletesuccess" => EventKind::DeleteSuccess,
        "microsoft.resources.resourceactionsuccess" => EventKind::ActionSuccess,
        _ => EventKind::Other(written.to_owned()),
    }
}

/// The resource's id is `data.resourceUri`, and `subject` says the same in another casing.
fn resource(envelope: &Map<String, Value>, data: &Map<String, Value>) -> Result<ResourceId, Malformed> {
    let text = match text(data, "resourceUri")? {
        Some(uri) => uri,
        None => required(envelope, "subject")?,
    };
    let resource = ResourceId::parse(text)?;
    match text_of(data, "subscriptionId") {
        Some(said) if !said.eq_ignore_ascii_case(resource.subscription()) => Err(Malformed::Contradiction {
            said: said.to_owned(),
            resource,
        }),
        Some(_) | None => Ok(resource),
    }
}

fn caller(data: &Map<String, Value>) -> Option<String> {
    let claims = data.get("claims").map(object_of)?.ok()??;
    OBJECT_ID_CLAIMS.iter().find_map(|claim| optional(&claims, claim))
}

/// RFC 3339, and forgivingly what Azure's tools make of it: a blank for the `T`, no zone for UTC. A year that no event of Azure's
/// can have counts as none: at the edges of time, adding to it is an overflow.
fn time(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim().replacen(' ', "T", 1);
    let parse = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    parse(&text)
        .or_else(|| parse(&format!("{text}Z")))
        .filter(|time| (2000..=2200).contains(&time.year()))
}

/// An object, or the object in a text; none if the value is of another type.
fn object_of(value: &Value) -> Result<Option<Cow<'_, Map<String, Value>>>, Malformed> {
    Ok(match unwrapped(value)? {
        Cow::Borrowed(Value::Object(map)) => Some(Cow::Borrowed(map)),
        Cow::Owned(Value::Object(map)) => Some(Cow::Owned(map)),
        Cow::Borrowed(_) | Cow::Owned(_) => None,
    })
}

fn required<'a>(map: &'a Map<String, Value>, field: &'static str) -> Result<&'a str, Malformed> {
    text(map, field)?.ok_or(Malformed::Missing(field))
}

/// A field that is text, within bounds; none if it is absent, null or empty.
fn text<'a>(map: &'a Map<String, Value>, field: &'static str) -> Result<Option<&'a str>, Malformed> {
    match map.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() > MAX_FIELD => Err(Malformed::TooLong {
            field,
            length: text.len(),
            most: MAX_FIELD,
        }),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(other) => Err(Malformed::NotText {
            field,
            found: type_name(other),
        }),
    }
}

/// A field that nothing hangs on: whatever is not text within bounds counts as absent.
fn optional(map: &Map<String, Value>, field: &str) -> Option<String> {
    text_of(map, field).map(str::to_owned)
}

fn text_of<'a>(map: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    map.get(field)?
        .as_str()
        .filter(|text| (1..=MAX_FIELD).contains(&text.len()))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
