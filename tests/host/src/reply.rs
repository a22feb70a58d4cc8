//! Judges the handler's answer to one invocation, by the host's own rules.
//!
//! A status outside 200-299 fails without its body being read; a 200 that is not JSON fails; a 200 with nothing in it
//! never completes. It does not repair or guess: an answer that Azure would lose is lost here too.

use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

/// What an answer means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    Success(Reply),
    /// The text of the exception.
    Failure(String),
    /// The completion source is never set: the invocation runs into `functionTimeout`.
    Never,
}

/// The members of a good answer; unknown ones are ignored.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reply {
    /// Output values by binding name.
    pub(crate) outputs: Map<String, Value>,
    pub(crate) logs: Vec<String>,
    pub(crate) return_value: Value,
}

/// Judges an answer to a Data/Metadata invocation.
pub(crate) fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Verdict {
    if !status.is_success() {
        // EnsureSuccessStatusCode runs before the body is read: Logs of a failed invocation are lost.
        let reason = status.canonical_reason().unwrap_or_default();
        return Verdict::Failure(format!(
            "Response status code does not indicate success: {} ({reason}).",
            status.as_u16()
        ));
    }
    let declared_empty = headers
        .get(CONTENT_LENGTH)
        .is_some_and(|length| length.as_bytes() == b"0");
    if declared_empty || status == StatusCode::NO_CONTENT {
        return Verdict::Never;
    }
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !is_json(media_type) {
        return Verdict::Failure(format!(
            "Invalid HttpResponseMessage: no reader for media type '{media_type}', application/json is required."
        ));
    }
    let text = String::from_utf8_lossy(body);
    if text.trim().is_empty() {
        return Verdict::Never;
    }
    match serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) {
        Ok(Value::Null) => Verdict::Never,
        Ok(Value::Object(members)) => read(members),
        Ok(_) => Verdict::Failure("Invalid HttpResponseMessage: the JSON body is not an object.".to_owned()),
        Err(error) => Verdict::Failure(format!("Invalid HttpResponseMessage: {error}.")),
    }
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.eq_ignore_ascii_case("text/json")
}

fn read(members: Map<String, Value>) -> Verdict {
    let mut reply = Reply::default();
    for (name, value) in members {
        match (name.to_ascii_lowercase().as_str(), value) {
            ("outputs" | "logs", Value::Null) => {}
            ("outputs", Value::Object(outputs)) => reply.outputs = outputs,
            ("logs", Value::Array(lines)) => {
                let Some(lines) = lines.into_iter().map(log_line).collect() else {
                    return Verdict::Failure("Invalid HttpResponseMessage: Logs holds an object or array.".to_owned());
                };
                reply.logs = lines;
            }
            ("outputs", _) => return Verdict::Failure("Invalid HttpResponseMessage: Outputs is no object.".to_owned()),
            ("logs", _) => return Verdict::Failure("Invalid HttpResponseMessage: Logs is no array.".to_owned()),
            ("returnvalue", value) => reply.return_value = value,
            _ => {}
        }
    }
    Verdict::Success(reply)
}

/// Newtonsoft turns any scalar into a string of the list, but no container.
fn log_line(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Null => Some(String::new()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, content_type: Option<&str>, body: &str) -> Verdict {
        let mut headers = HeaderMap::new();
        if let Some(value) = content_type {
            headers.insert(CONTENT_TYPE, value.parse().unwrap());
        }
        headers.insert(CONTENT_LENGTH, body.len().into());
        judge(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
    }

    #[test]
    fn a_2xx_with_a_json_object_succeeds_whatever_the_case_of_its_members() {
        let body = r#"{"outputs":{"res":1},"LOGS":["a",2],"returnValue":"r","other":true}"#;
        for content_type in ["application/json", "application/json; charset=utf-8", "text/json"] {
            let Verdict::Success(reply) = answer(201, Some(content_type), body) else {
                panic!("{content_type}")
            };
            assert_eq!(reply.logs, ["a", "2"]);
            assert_eq!(reply.outputs["res"], 1);
            assert_eq!(reply.return_value, "r");
        }
        assert_eq!(
            answer(200, Some("application/json"), "{}"),
            Verdict::Success(Reply::default())
        );
    }

    #[test]
    fn a_200_with_nothing_in_it_never_completes() {
        assert_eq!(answer(200, Some("application/json"), ""), Verdict::Never);
        assert_eq!(answer(200, None, ""), Verdict::Never);
        assert_eq!(answer(200, Some("application/json"), " null "), Verdict::Never);
    }

    #[test]
    fn everything_else_fails() {
        for (status, content_type, body) in [
            (200, Some("text/plain"), "{}"),
            (200, None, "{}"),
            (200, Some("application/json"), "{"),
            (200, Some("application/json"), "[]"),
            (200, Some("application/json"), r#"{"Logs":"one"}"#),
            (200, Some("application/json"), r#"{"Logs":[{}]}"#),
            (400, Some("application/json"), r#"{"Logs":["lost"]}"#),
            (500, Some("application/json"), ""),
            (304, Some("application/json"), "{}"),
        ] {
            let verdict = answer(status, content_type, body);
            assert!(
                matches!(verdict, Verdict::Failure(_)),
                "{status} {content_type:?} {body}: {verdict:?}"
            );
        }
    }
}
