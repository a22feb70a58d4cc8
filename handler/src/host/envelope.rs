//! The envelope of an invocation and its encoding: `{"Data":{binding: value},"Metadata":{...}}`.
//!
//! The host encodes every value that is not a JSON object as a string holding JSON, so a queue text arrives encoded twice
//! and a batch of events as a string holding an array [functions-host: encoding algorithm; captures 2.3 to 2.6]. Decoding
//! never fails on a value: text that is not JSON is itself. What is not an envelope is refused with the reason.

use serde_json::{Map, Value};

/// One call of one function, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The host's id of this attempt; a redelivery has another one.
    pub id: String,
    /// The function's name: its folder, case kept.
    pub function: String,
    /// The trigger's and input bindings' values by binding name.
    pub data: Map<String, Value>,
    /// What the host adds. Members of a queue message's own JSON override the host's, so business data is never read here.
    pub metadata: Map<String, Value>,
}

/// Why a request body is not an envelope.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The body is not JSON.
    #[error("the body is not JSON ({0}); only the Functions host calls this address")]
    NotJson(#[source] serde_json::Error),
    /// The body, or one of its two members, is not a JSON object.
    #[error("{0} is not a JSON object; only the Functions host calls this address")]
    NotAnObject(&'static str),
}

/// Why a binding's value cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BindingError {
    /// The envelope has no such binding: function.json names another one.
    #[error("the invocation has no binding {0:?}; function.json and the code name different bindings")]
    Absent(String),
    /// The value is text that is not JSON.
    #[error("binding {name:?} holds text that is not JSON: {source}")]
    NotJson {
        /// The binding's name.
        name: String,
        /// What the parser found.
        source: serde_json::Error,
    },
}

impl Invocation {
    /// The value of a binding that carries JSON: an event as the host inlines it, or a queue text that is itself JSON.
    ///
    /// # Errors
    /// [`BindingError`] if there is no such binding or its text is not JSON.
    pub fn json(&self, binding: &str) -> Result<Value, BindingError> {
        match self.data.get(binding) {
            None => Err(BindingError::Absent(binding.to_owned())),
            Some(Value::String(text)) => serde_json::from_str(text).map_err(|source| BindingError::NotJson {
                name: binding.to_owned(),
                source,
            }),
            Some(value) => Ok(value.clone()),
        }
    }
}

/// Reads an envelope and decodes its values.
///
/// # Errors
/// [`EnvelopeError`] if it is no JSON object, or `Data` or `Metadata` is there and no object.
pub fn open(id: String, function: String, body: &[u8]) -> Result<Invocation, EnvelopeError> {
    let Value::Object(mut envelope) = serde_json::from_slice(body).map_err(EnvelopeError::NotJson)? else {
        return Err(EnvelopeError::NotAnObject("the body"));
    };
    let mut member = |name: &'static str| match envelope.remove(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(values)) => Ok(values.into_iter().map(|(name, value)| (name, decode(value))).collect()),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(EnvelopeError::NotAnObject(name))
        }
    };
    Ok(Invocation {
        id,
        function,
        data: member("Data")?,
        metadata: member("Metadata")?,
    })
}

/// Undoes the host's encoding of one value: a string that holds JSON becomes what it holds, all else stays.
///
/// Only one level is undone: a queue text that looks like JSON stays a text, because only its reader knows what it is.
#[must_use]
pub fn decode(value: Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// The host's own rule: objects inline, everything else as a string of compact JSON.
    fn encode(value: &Value) -> Value {
        match value {
            Value::Object(_) => value.clone(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Value::String(value.to_string())
            }
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn decoding_gives_back_what_the_host_encoded(value in any_json()) {
            prop_assert_eq!(decode(encode(&value)), value);
        }

        #[test]
        fn a_queue_text_comes_back_even_if_it_looks_like_json(
            text in prop_oneof![any::<String>(), any_json().prop_map(|value| value.to_string())],
        ) {
            prop_assert_eq!(decode(encode(&Value::String(text.clone()))), Value::String(text));
        }

        #[test]
        fn no_body_makes_the_decoder_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = open(String::new(), String::new(), &body);
        }
    }

    #[test]
    fn text_that_is_not_json_is_itself() {
        assert_eq!(
            decode(json!("2024-05-10T16:13:45+00:00")),
            json!("2024-05-10T16:13:45+00:00")
        );
        let deep = "[".repeat(100_000);
        assert_eq!(decode(json!(deep.clone())), json!(deep));
    }

    #[test]
    fn what_is_not_an_envelope_is_refused_with_the_reason() {
        let refused = |body: &str| {
            open(String::new(), String::new(), body.as_bytes())
                .unwrap_err()
                .to_string()
        };
        assert!(refused("").starts_with("the body is not JSON"));
        assert!(refused("[]").starts_with("the body is not a JSON object"));
        assert!(refused(r#"{"Data":[]}"#).starts_with("Data is not a JSON object"));
        assert!(refused(r#"{"Data":{},"Metadata":"x"}"#).starts_with("Metadata is not a JSON object"));
    }

    #[test]
    fn a_binding_is_json_whether_inline_or_as_text() {
        let body = br#"{"Data":{"event":{"id":"1"},"msg":"\"{\\\"key\\\":1}\"","plain":"\"hello\""}}"#;
        let invocation = open("i".to_owned(), "Work".to_owned(), body).unwrap();
        assert_eq!(invocation.json("event").unwrap(), json!({"id": "1"}));
        assert_eq!(invocation.json("msg").unwrap(), json!({"key": 1}));
        assert!(matches!(invocation.json("plain"), Err(BindingError::NotJson { .. })));
        assert!(matches!(invocation.json("other"), Err(BindingError::Absent(_))));
    }
}
