//! Builds script roots around the fake handler, runs hosts on them, and looks at what the handler recorded. Waiting is
//! always for an event (a log line, a state), under one generous limit that only a hanging test meets.

use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use host_sim::{Host, HostError, HostOptions, Keys, LogLine, start};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A test that waits longer hangs.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A script root in the making.
pub struct App {
    pub root: tempfile::TempDir,
    pub host_json: Value,
    pub prescription: Value,
    pub env: Vec<(String, String)>,
    pub scale: f64,
}

/// A running app.
pub struct Running {
    pub host: Host,
    pub log: UnboundedReceiver<LogLine>,
    app: App,
}

impl App {
    /// An app without functions.
    pub fn new() -> Self {
        let description = json!({"defaultExecutablePath": env!("CARGO_BIN_EXE_fake-handler")});
        Self {
            root: tempfile::tempdir().unwrap(),
            host_json: json!({
                "version": "2.0",
                "functionTimeout": "-1",
                "customHandler": {"description": description},
            }),
            prescription: json!({}),
            env: Vec::new(),
            scale: 1.0,
        }
    }

    /// Adds a function with these bindings.
    pub fn function(self, name: &str, bindings: Value) -> Self {
        let folder = self.root.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("function.json"), json!({"bindings": bindings}).to_string()).unwrap();
        self
    }

    pub fn event_function(self, name: &str) -> Self {
        self.function(
            name,
            json!([{"type": "eventGridTrigger", "direction": "in", "name": "event"}]),
        )
    }

    /// What the fake handler does: members of its prescription.
    pub fn handler(mut self, prescription: Value) -> Self {
        self.prescription = prescription;
        self
    }

    /// Sets a member of host.json by JSON pointer.
    pub fn host_json(mut self, pointer: &str, value: Value) -> Self {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        self.host_json.pointer_mut(parent).unwrap()[member] = value;
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn scale(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
    }

    pub async fn try_start(self) -> Result<Running, HostError> {
        let root = self.root.path();
        std::fs::write(root.join("host.json"), self.host_json.to_string()).unwrap();
        let (sender, log) = unbounded_channel();
        let mut env = self.env.clone();
        env.push(("FAKE_HANDLER".to_owned(), self.prescription.to_string()));
        env.push(("FAKE_RECORD".to_owned(), record_path(root)));
        let options = HostOptions {
            script_root: root.to_owned(),
            env,
            time_scale: self.scale,
            seed: 7,
            listen: "127.0.0.1:0".parse().unwrap(),
            keys: keys(),
            log: sender,
        };
        let host = start(options).await?;
        Ok(Running { host, log, app: self })
    }

    pub async fn start(self) -> Running {
        self.try_start().await.unwrap()
    }
}

impl Running {
    /// Waits for a log line that contains `text`.
    pub async fn logged(&mut self, text: &str) -> LogLine {
        let search = async {
            while let Some(line) = self.log.recv().await {
                if line.text.contains(text) {
                    return line;
                }
            }
            panic!("the log ended without {text:?}");
        };
        tokio::time::timeout(LIMIT, search)
            .await
            .unwrap_or_else(|_| panic!("never logged: {text:?}"))
    }

    /// The lines the handler recorded: its starts first of all.
    pub fn record(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(record_path(self.app.root.path())).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn starts(&self) -> Vec<Value> {
        self.record()
            .into_iter()
            .filter(|line| line.get("start").is_some())
            .collect()
    }

    /// What the handler got for a path.
    pub fn requests(&self, path: &str) -> Vec<Value> {
        self.record().into_iter().filter(|line| line["path"] == path).collect()
    }

    /// Posts a notification with these events to the webhook of a function.
    pub async fn notify(&self, function: &str, events: Value) -> StatusCode {
        notify(self.host.webhook_url(function), events).await
    }

    pub async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        call(method, &format!("{}{path}", self.host.base_url()), headers, body).await
    }

    pub fn root(&self) -> &Path {
        self.app.root.path()
    }
}

/// An answer, read whole.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

pub async fn notify(url: String, events: Value) -> StatusCode {
    call("POST", &url, &[("aeg-event-type", "Notification")], &events.to_string())
        .await
        .status
}

pub async fn call(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = tokio::time::timeout(LIMIT, client.request(request))
        .await
        .unwrap()
        .unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(Body::new(body), usize::MAX).await.unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

pub fn keys() -> Keys {
    let mut keys = Keys::from_seed(7);
    keys.functions.insert("Page".to_owned(), "page-key".to_owned());
    keys
}

pub fn event(id: &str) -> Value {
    json!({"id": id, "eventType": "Test.Happened", "subject": "s", "data": {"k": id}})
}

fn record_path(root: &Path) -> String {
    root.join("record.jsonl").to_string_lossy().into_owned()
}
