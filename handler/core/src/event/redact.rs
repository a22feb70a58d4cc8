//! Takes out of an event what the archive must not keep: the caller's claims, the evidence of his rights, his address.
//!
//! It looks at every depth and into texts that hold JSON, because malformed events are archived too. What cannot be looked
//! into is replaced by its length.

use serde_json::{Map, Value, json};

use super::decode::{MAX_TEXT, OBJECT_ID_CLAIMS, unwrapped};

/// How deep an event is looked into; real ones have five levels.
const MAX_DEPTH: usize = 64;

/// The event as the archive keeps it: of the claims only the caller's object id, no evidence of rights, no client address.
/// A text that holds JSON is unwrapped; one that does not is replaced by its length.
#[must_use]
pub fn redacted(value: &Value) -> Value {
    match unwrapped(value) {
        Ok(value) => redact(&value, MAX_DEPTH),
        Err(_) => unreadable(value.as_str().map_or(0, str::len)),
    }
}

fn redact(value: &Value, depth: usize) -> Value {
    if depth == 0 {
        return unreadable(0);
    }
    match value {
        Value::Object(map) => Value::Object(redact_object(map, depth)),
        Value::Array(items) => items.iter().map(|item| redact(item, depth - 1)).collect(),
        Value::String(text) => redact_text(text, depth),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn redact_object(map: &Map<String, Value>, depth: usize) -> Map<String, Value> {
    let mut kept = Map::new();
    for (key, value) in map {
        match key.to_ascii_lowercase().as_str() {
            "claims" => {
                kept.insert(key.clone(), Value::Object(object_id(value)));
            }
            // An object tells scope and action; a text under this name is a header with a token.
            "authorization" if !value.is_object() => {}
            "evidence" | "clientipaddress" => {}
            _ => {
                kept.insert(key.clone(), redact(value, depth - 1));
            }
        }
    }
    kept
}

fn object_id(claims: &Value) -> Map<String, Value> {
    let claims = unwrapped(claims).ok();
    let claims = claims.as_deref().and_then(Value::as_object);
    let wanted = |(key, value): &(&String, &Value)| OBJECT_ID_CLAIMS.contains(&key.as_str()) && value.is_string();
    claims
        .into_iter()
        .flatten()
        .filter(wanted)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// A text inside an event stays a text, with what it holds redacted.
fn redact_text(text: &str, depth: usize) -> Value {
    if !text.trim_start().starts_with(['{', '[', '"']) {
        return Value::String(text.to_owned());
    }
    if text.len() > MAX_TEXT {
        return unreadable(text.len());
    }
    match serde_json::from_str::<Value>(text) {
        Ok(inner) => Value::String(redact(&inner, depth - 1).to_string()),
        Err(_) => unreadable(text.len()),
    }
}

fn unreadable(length: usize) -> Value {
    json!({ "unreadable_characters": length })
}
