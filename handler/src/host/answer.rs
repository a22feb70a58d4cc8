//! Answers to the host: always `application/json`, never empty.
//!
//! A 200 with an empty body or `null` would keep the invocation open until the host's timeout kills the whole process, and
//! one with another content type counts as a failure [functions-host: outcome table]. Only a 2xx keeps its log lines.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::http::RESPONSE;

/// The most log lines that go into one answer; more are counted in a last line.
const MAX_LOGS: usize = 50;

/// The most characters of one log line.
const MAX_LINE: usize = 400;

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The work is done or durably owed elsewhere: the trigger's message or event is finished with.
    Done {
        /// Short lines for the function's own log, which the host correlates with the invocation.
        logs: Vec<String>,
    },
    /// Nothing durable happened: the host must bring the same trigger again (all its failures look alike to it).
    Failed {
        /// Why, for our own log; the host drops the body of a failure.
        reason: String,
    },
    /// The answer of an HTTP function to its caller: the invocation is finished with, whatever the status.
    Http {
        /// The HTTP status.
        status: u16,
        /// Headers beside the content type, for example `Retry-After`.
        headers: BTreeMap<&'static str, String>,
        /// The body, sent as JSON.
        body: Value,
    },
}

impl Reply {
    /// An answer to the caller of an HTTP function, without further headers.
    #[must_use]
    pub fn http(status: u16, body: Value) -> Self {
        Self::Http {
            status,
            headers: BTreeMap::new(),
            body,
        }
    }

    /// A refusal to the caller of an HTTP function: `{"error": line}`.
    #[must_use]
    pub fn refusal(status: u16, line: &str) -> Self {
        Self::http(status, json!({ "error": line }))
    }
}

/// The HTTP answer for a reply: 200 with its log lines, or 500.
pub(super) fn of(reply: Reply) -> Response {
    match reply {
        Reply::Done { logs } => Json(json!({"Outputs": {}, "Logs": short(logs), "ReturnValue": null})).into_response(),
        Reply::Failed { reason } => error(StatusCode::INTERNAL_SERVER_ERROR, &reason),
        // Not forwarded: the answer goes into the http output, whose status is `statusCode` [functions-host: http out].
        Reply::Http { status, headers, body } => {
            let mut headers: BTreeMap<&str, String> = headers;
            headers.insert("content-type", "application/json".to_owned());
            let response = json!({"statusCode": status, "headers": headers, "body": body.to_string()});
            Json(json!({"Outputs": {RESPONSE: response}, "Logs": [], "ReturnValue": null})).into_response()
        }
    }
}

/// The HTTP answer to a forwarded request, which the host passes through as it is.
pub(super) fn passed_through(reply: Reply) -> Response {
    match reply {
        Reply::Http { status, headers, body } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, Json(body)).into_response();
            for (name, value) in headers {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    response.headers_mut().insert(HeaderName::from_static(name), value);
                }
            }
            response
        }
        Reply::Done { logs } => Json(json!({ "lines": short(logs) })).into_response(),
        Reply::Failed { reason } => error(StatusCode::INTERNAL_SERVER_ERROR, &reason),
    }
}

/// An error as JSON.
pub(super) fn error(status: StatusCode, reason: &str) -> Response {
    (status, Json(json!({ "error": reason }))).into_response()
}

fn short(mut logs: Vec<String>) -> Vec<String> {
    let surplus = logs.len().saturating_sub(MAX_LOGS);
    logs.truncate(MAX_LOGS);
    if surplus > 0 {
        logs.push(format!("and {surplus} more lines"));
    }
    logs.iter().map(|line| one_line(line)).collect()
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_LINE)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body_of(response: Response) -> Value {
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn an_http_answer_reaches_its_caller_forwarded_or_not() {
        let reply = || Reply::Http {
            status: 202,
            headers: BTreeMap::from([("retry-after", "30".to_owned())]),
            body: json!({"state": "waiting"}),
        };
        let forwarded = passed_through(reply());
        assert_eq!(forwarded.status(), StatusCode::ACCEPTED);
        assert_eq!(forwarded.headers()["retry-after"], "30");
        assert_eq!(body_of(forwarded).await, json!({"state": "waiting"}));
        let enveloped = of(reply());
        assert_eq!(enveloped.status(), StatusCode::OK);
        let output = body_of(enveloped).await["Outputs"]["res"].clone();
        assert_eq!(output["statusCode"], 202);
        assert_eq!(output["headers"]["retry-after"], "30");
        assert_eq!(output["body"], r#"{"state":"waiting"}"#);
    }

    #[test]
    fn logs_are_short_lines() {
        let logs = short(vec!["a\nb".to_owned(), "x".repeat(1000)]);
        assert_eq!(logs, ["a b".to_owned(), "x".repeat(400)]);
        let many = short(vec![String::new(); 60]);
        assert_eq!(many.len(), 51);
        assert_eq!(many[50], "and 10 more lines");
    }
}
