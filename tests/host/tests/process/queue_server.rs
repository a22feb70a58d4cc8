//! A small Queue service for the tests: in memory, with visibility, pop receipts and dequeue counts in scaled time. It
//! answers only what a queue trigger asks and refuses requests without a Shared Key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::watch;

use crate::app::LIMIT;

#[derive(Debug, Clone)]
pub struct Message {
    pub text: String,
    pub dequeue_count: u32,
    id: String,
    receipt: String,
    visible_at: Instant,
}

/// What the service holds and what it was asked.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    pub queues: BTreeMap<String, Vec<Message>>,
    /// `METHOD path` of every request, in order.
    pub calls: Vec<String>,
    next_id: u32,
}

pub struct QueueServer {
    pub connection: String,
    shared: Arc<Shared>,
    serving: tokio::task::JoinHandle<()>,
}

struct Shared {
    contents: Mutex<Contents>,
    changed: watch::Sender<()>,
    scale: f64,
}

impl QueueServer {
    pub async fn start(scale: f64) -> Self {
        let shared = Arc::new(Shared {
            contents: Mutex::default(),
            changed: watch::channel(()).0,
            scale,
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/acc", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(serve).with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let connection = format!(
            "DefaultEndpointsProtocol=http;AccountName=acc;AccountKey={};QueueEndpoint={endpoint}",
            STANDARD.encode("secret")
        );
        Self {
            connection,
            shared,
            serving,
        }
    }

    /// Puts a message with this wire text.
    pub fn put(&self, queue: &str, wire_text: &str) {
        self.shared.contents.lock().unwrap().put(queue, wire_text.to_owned());
    }

    pub fn put_base64(&self, queue: &str, text: &str) {
        self.put(queue, &STANDARD.encode(text));
    }

    pub fn contents(&self) -> Contents {
        self.shared.contents.lock().unwrap().clone()
    }

    /// Waits until the contents satisfy `wanted`.
    pub async fn until(&self, wanted: impl Fn(&Contents) -> bool) -> Contents {
        let mut changes = self.shared.changed.subscribe();
        let search = async {
            while !wanted(&self.contents()) {
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(LIMIT, search)
            .await
            .unwrap_or_else(|_| panic!("never reached: {:?}", self.contents()));
        self.contents()
    }
}

impl Drop for QueueServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    let signed = parts
        .headers
        .get("authorization")
        .is_some_and(|value| value.as_bytes().starts_with(b"SharedKey acc:"));
    if !signed
        || parts
            .headers
            .get("x-ms-version")
            .is_none_or(|version| version != "2025-11-05")
    {
        return StatusCode::FORBIDDEN.into_response();
    }
    let query: BTreeMap<String, String> = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let path = parts.uri.path().strip_prefix("/acc/").unwrap().to_owned();
    let response = {
        let mut contents = shared.contents.lock().unwrap();
        contents.calls.push(format!("{} {path}", parts.method));
        contents.answer(&parts.method, &path, &query, &body, shared.scale)
    };
    shared.changed.send_replace(());
    response
}

impl Contents {
    fn put(&mut self, queue: &str, text: String) {
        self.next_id += 1;
        let id = format!("message-{}", self.next_id);
        let message = Message {
            text,
            dequeue_count: 0,
            id,
            receipt: String::new(),
            visible_at: Instant::now(),
        };
        self.queues.entry(queue.to_owned()).or_default().push(message);
    }

    fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: &BTreeMap<String, String>,
        body: &str,
        scale: f64,
    ) -> Response {
        let segments: Vec<&str> = path.split('/').collect();
        let queue = segments[0].to_owned();
        if let (&Method::PUT, [_]) = (method, segments.as_slice()) {
            let is_there = self.queues.contains_key(&queue);
            self.queues.entry(queue).or_default();
            return if is_there {
                StatusCode::NO_CONTENT
            } else {
                StatusCode::CREATED
            }
            .into_response();
        }
        if !self.queues.contains_key(&queue) {
            return error(StatusCode::NOT_FOUND, "QueueNotFound");
        }
        let visibility = || Duration::from_secs_f64(query["visibilitytimeout"].parse::<f64>().unwrap() / scale);
        match (method, segments.as_slice()) {
            (&Method::GET, [_, "messages"]) => {
                self.hand_out(&queue, query["numofmessages"].parse().unwrap(), visibility())
            }
            (&Method::POST, [_, "messages"]) => {
                let text = body
                    .split_once("<MessageText>")
                    .unwrap()
                    .1
                    .split_once("</MessageText>")
                    .unwrap()
                    .0;
                self.put(&queue, text.to_owned());
                StatusCode::CREATED.into_response()
            }
            (&Method::PUT | &Method::DELETE, [_, "messages", id]) => {
                self.next_id += 1;
                let receipt = format!("receipt/{}+=", self.next_id);
                let messages = self.queues.get_mut(&queue).unwrap();
                let Some(index) = messages.iter().position(|message| message.id == *id) else {
                    return error(StatusCode::NOT_FOUND, "MessageNotFound");
                };
                if messages[index].receipt != query["popreceipt"] {
                    return error(StatusCode::BAD_REQUEST, "PopReceiptMismatch");
                }
                if method == Method::DELETE {
                    messages.remove(index);
                    return StatusCode::NO_CONTENT.into_response();
                }
                messages[index].visible_at = Instant::now() + visibility();
                messages[index].receipt = receipt.clone();
                (StatusCode::NO_CONTENT, [("x-ms-popreceipt", receipt)]).into_response()
            }
            other => panic!("unexpected {other:?}"),
        }
    }

    fn hand_out(&mut self, queue: &str, count: usize, visibility: Duration) -> Response {
        let now = Instant::now();
        let mut list = String::new();
        let messages = self.queues.get_mut(queue).unwrap();
        for message in messages
            .iter_mut()
            .filter(|message| message.visible_at <= now)
            .take(count)
        {
            self.next_id += 1;
            message.receipt = format!("receipt/{}+=", self.next_id);
            message.dequeue_count += 1;
            message.visible_at = now + visibility;
            let date = "Fri, 10 May 2024 16:13:45 GMT";
            list += &format!(
                "<QueueMessage><MessageId>{}</MessageId><InsertionTime>{date}</InsertionTime><ExpirationTime>{date}</ExpirationTime><PopReceipt>{}</PopReceipt><TimeNextVisible>{date}</TimeNextVisible><DequeueCount>{}</DequeueCount><MessageText>{}</MessageText></QueueMessage>",
                message.id, message.receipt, message.dequeue_count, message.text
            );
        }
        let xml = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessagesList>{list}</QueueMessagesList>");
        ([("content-type", "application/xml")], Body::from(xml)).into_response()
    }
}

fn error(status: StatusCode, code: &'static str) -> Response {
    (status, [("x-ms-error-code", code)]).into_response()
}
