//! Answers to the host: always `application/json`, never empty.
//!
//! A 200 with an empty body or `null` would keep the invocation open until the host's timeout kills the whole process, and
//! one with another content type counts as a failure [functions-host: outcome table]. Only a 2xx keeps its log lines.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

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
}

/// The HTTP answer for a reply: 200 with its log lines, or 500.
pub(super) fn of(reply: Reply) -> Response {
    match reply {
        Reply::Done { logs } => Json(json!({"Outputs": {}, "Logs": short(logs), "ReturnValue": null})).into_response(),
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

    #[test]
    fn logs_are_short_lines() {
        let logs = short(vec!["a\nb".to_owned(), "x".repeat(1000)]);
        assert_eq!(logs, ["a b".to_owned(), "x".repeat(400)]);
        let many = short(vec![String::new(); 60]);
        assert_eq!(many.len(), 51);
        assert_eq!(many[50], "and 10 more lines");
    }
}
