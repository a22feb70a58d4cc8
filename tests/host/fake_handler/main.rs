//! A custom handler whose behaviour the process tests prescribe through `FAKE_HANDLER` (JSON): how each start goes and
//! how each function answers. It records its starts and every request it gets, one JSON line each, in `FAKE_RECORD`.
//! A prescription it does not understand ends it with exit code 64, which every test sees as a failed handler.

use std::io::Write;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Exit code for a prescription that cannot be followed.
const BAD_PRESCRIPTION: i32 = 64;

struct Handler {
    prescription: Value,
    record: String,
    in_flight: AtomicUsize,
    /// Opened once as many requests wait as the prescription `together:<n>` names.
    gate: Semaphore,
    waiting: AtomicUsize,
}

#[tokio::main]
async fn main() {
    let prescription = std::env::var("FAKE_HANDLER")
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok());
    let (Some(prescription), Ok(record)) = (prescription, std::env::var("FAKE_RECORD")) else {
        exit(BAD_PRESCRIPTION)
    };
    let handler = Handler {
        prescription,
        record,
        in_flight: AtomicUsize::new(0),
        gate: Semaphore::new(0),
        waiting: AtomicUsize::new(0),
    };
    let start = handler.starts();
    handler.record_start();
    handler.print();
    tokio::time::sleep(Duration::from_millis(
        handler.prescription["start_delay_ms"].as_u64().unwrap_or(0),
    ))
    .await;
    if let Some(code) = handler.prescription["exit_codes"][start].as_i64() {
        exit(i32::try_from(code).unwrap_or(BAD_PRESCRIPTION));
    }
    serve(handler).await;
    exit(1);
}

async fn serve(handler: Handler) {
    let port = std::env::var("FUNCTIONS_CUSTOMHANDLER_PORT").unwrap_or_default();
    let Ok(listener) = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await else {
        exit(BAD_PRESCRIPTION)
    };
    let app = axum::Router::new().fallback(answer).with_state(Arc::new(handler));
    if axum::serve(listener, app).await.is_err() {
        exit(BAD_PRESCRIPTION);
    }
}

async fn answer(State(handler): State<Arc<Handler>>, request: Request) -> Response {
    if request.uri().path() == "/" {
        return StatusCode::NOT_FOUND.into_response();
    }
    let in_flight = handler.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        exit(BAD_PRESCRIPTION)
    };
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().into()))
        .collect();
    handler.record(&json!({
        "method": parts.method.as_str(),
        "path": parts.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
        "in_flight": in_flight,
    }));
    let name = parts.uri.path().trim_start_matches('/').to_owned();
    let response = handler.behave(&name, &String::from_utf8_lossy(&body)).await;
    handler.in_flight.fetch_sub(1, Ordering::SeqCst);
    response
}

impl Handler {
    async fn behave(&self, function: &str, body: &str) -> Response {
        let behaviour = self.prescription["functions"][function].as_str().unwrap_or("ok");
        let (verb, argument) = behaviour.split_once(':').unwrap_or((behaviour, ""));
        let number = argument.parse::<u64>().unwrap_or(0);
        match verb {
            "ok" => json_answer("{}"),
            "reply" => json_answer(argument),
            "empty" => json_answer(""),
            "null" => json_answer("null"),
            "text" => "{}".into_response(),
            "fail" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            "fail_if" if body.contains(argument) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            "fail_if" => json_answer("{}"),
            "hang" => std::future::pending().await,
            "slow" => {
                tokio::time::sleep(Duration::from_millis(number)).await;
                json_answer("{}")
            }
            "together" => self.together(number).await,
            "exit" => exit(i32::try_from(number).unwrap_or(BAD_PRESCRIPTION)),
            "teapot" => (StatusCode::IM_A_TEAPOT, [("x-from", "handler")], body.to_owned()).into_response(),
            _ => exit(BAD_PRESCRIPTION),
        }
    }

    /// Answers no request before `count` of them are here at once.
    async fn together(&self, count: u64) -> Response {
        if self.waiting.fetch_add(1, Ordering::SeqCst) as u64 + 1 == count {
            self.gate.add_permits(count as usize);
        }
        drop(self.gate.acquire().await);
        json_answer("{}")
    }

    fn starts(&self) -> usize {
        let text = std::fs::read_to_string(&self.record).unwrap_or_default();
        text.lines().filter(|line| line.starts_with("{\"start\"")).count()
    }

    fn record_start(&self) {
        let variable = |name: &str| std::env::var(name).map_or(Value::Null, Value::from);
        self.record(&json!({
            "start": std::env::args().skip(1).collect::<Vec<_>>(),
            "cwd": std::env::current_dir().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default(),
            "port": variable("FUNCTIONS_CUSTOMHANDLER_PORT"),
            "old_port": variable("FUNCTIONS_HTTPWORKER_PORT"),
            "worker_id": variable("FUNCTIONS_CUSTOMHANDLER_WORKER_ID"),
            "old_worker_id": variable("FUNCTIONS_HTTPWORKER_ID"),
            "root": variable("FUNCTIONS_APP_ROOT_PATH"),
        }));
    }

    fn print(&self) {
        let write = |text: &str, out: &mut dyn Write| {
            if writeln!(out, "{text}").is_err() {
                exit(BAD_PRESCRIPTION);
            }
        };
        if let Some(text) = self.prescription["stdout"].as_str() {
            write(text, &mut std::io::stdout());
        }
        if let Some(text) = self.prescription["stderr"].as_str() {
            write(text, &mut std::io::stderr());
        }
    }

    /// One write call per line, so that lines of two processes never mix.
    fn record(&self, line: &Value) {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.record);
        let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        if written.is_err() {
            exit(BAD_PRESCRIPTION);
        }
    }
}

fn json_answer(body: &str) -> Response {
    ([("content-type", "application/json")], Body::from(body.to_owned())).into_response()
}
