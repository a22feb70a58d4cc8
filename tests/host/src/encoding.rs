//! How the host writes one value into the body of an invocation (`GetHttpScriptInvocationContextValue`).
//!
//! Only values that are JSON objects arrive as JSON; everything else arrives as a string that holds compact JSON, so a
//! text is encoded twice. Keys that end in "trigger" and null values never arrive. Encoding cannot fail.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::clock::offset_text;

/// A trigger value or a piece of binding data before it is encoded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Binding {
    /// .NET `byte[]`.
    Bytes(Vec<u8>),
    /// .NET `DateTimeOffset`.
    Date(OffsetDateTime),
    /// Anything that has a JSON form: string, number, bool, object, array, null.
    Json(Value),
}

impl Binding {
    /// A .NET string.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Json(Value::String(text.into()))
    }
}

/// The body of one invocation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Envelope(Value);

impl Envelope {
    /// Encodes the trigger value under its binding name and the binding data under their keys, in the given order.
    pub(crate) fn new(name: &str, value: &Binding, binding_data: &[(String, Binding)]) -> Self {
        let mut data = Map::new();
        data.insert(name.to_owned(), encode(value));
        let mut metadata = Map::new();
        for (key, value) in binding_data {
            let dropped = *value == Binding::Json(Value::Null) || key.to_ascii_lowercase().ends_with("trigger");
            if !dropped {
                metadata.insert(key.clone(), encode(value));
            }
        }
        Self(serde_json::json!({"Data": data, "Metadata": metadata}))
    }

    /// The bytes on the wire.
    pub(crate) fn to_json(&self) -> String {
        compact(&self.0)
    }
}

fn encode(value: &Binding) -> Value {
    match value {
        Binding::Bytes(bytes) => Value::String(STANDARD.encode(bytes)),
        Binding::Date(at) => Value::String(offset_text(*at)),
        Binding::Json(object @ Value::Object(_)) => object.clone(),
        Binding::Json(other) => Value::String(compact(other)),
    }
}

/// Compact JSON as Newtonsoft writes it: serde's, except that it escapes three line ends which serde leaves alone.
fn compact(value: &Value) -> String {
    // Such a character can only stand inside a string, so a replacement in the text is a replacement in the string.
    value
        .to_string()
        .replace('\u{85}', "\\u0085")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn every_string_is_encoded_twice_and_only_objects_stay_objects() {
        let cases = [
            (Binding::text("hello"), json!("\"hello\"")),
            (Binding::text(r#"{"a":1}"#), json!(r#""{\"a\":1}""#)),
            (Binding::Json(json!(5)), json!("5")),
            (Binding::Json(json!(true)), json!("true")),
            (Binding::Json(json!(null)), json!("null")),
            (Binding::Json(json!([1, {"a": 2}])), json!("[1,{\"a\":2}]")),
            (Binding::Json(json!({"a": [1]})), json!({"a": [1]})),
            (Binding::Bytes(vec![1, 2, 255]), json!("AQL/")),
            (
                Binding::Date(datetime!(2024-05-10 16:13:45 UTC)),
                json!("2024-05-10T16:13:45+00:00"),
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(encode(&value), expected, "{value:?}");
        }
    }

    #[test]
    fn line_ends_that_newtonsoft_escapes_are_escaped_at_both_levels() {
        let body = Envelope::new("m", &Binding::text("a\u{2028}b"), &[]).to_json();
        assert_eq!(body, "{\"Data\":{\"m\":\"\\\"a\\\\u2028b\\\"\"},\"Metadata\":{}}");
    }

    #[test]
    fn trigger_keys_and_nulls_never_reach_the_handler() {
        let data = [
            ("QueueTrigger".to_owned(), Binding::text("x")),
            ("none".to_owned(), Binding::Json(Value::Null)),
            ("kept".to_owned(), Binding::text("x")),
        ];
        let body = Envelope::new("m", &Binding::Json(json!({})), &data).to_json();
        assert_eq!(body, r#"{"Data":{"m":{}},"Metadata":{"kept":"\"x\""}}"#);
    }
}
