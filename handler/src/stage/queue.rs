//! The host's side of the work queue: takes messages, deletes them, hides them after a failure, and moves them to the poison
//! queue, by the same REST calls as the real one. It is outside of the product and therefore never lost on the wire.

use azure_sim::{Azure, Service};
use bytes::Bytes;
use http::{Method, Request};
use time::OffsetDateTime;

use super::StageError;

/// The queue of `Work`.
pub const WORK: &str = "hubward-work";
/// Where the host puts what failed too often.
pub const POISON: &str = "hubward-work-poison";

/// Messages fetched together (host.json: `batchSize`).
pub(super) const BATCH: usize = 8;
/// Invocations of `Work` at once: `batchSize` + `newBatchThreshold` of host.json.
pub(super) const AT_ONCE: usize = 12;
/// How often a message is tried before it is poison (host.json: `maxDequeueCount`).
const MOST_TRIES: u64 = 5;
/// For how long a failed message is hidden, in seconds (host.json: `visibilityTimeout`).
const AFTER_FAILURE: u32 = 30;
/// For how long the host holds a message that it works on, in seconds [functions-host: 4.2].
const HOLD: u32 = 600;
/// What the simulated account lets the host in with.
const TOKEN: &str = "the-host";

/// A message taken from the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) receipt: String,
    pub(super) dequeue_count: u64,
    /// As on the wire: base64.
    pub(super) text: String,
}

/// Takes up to `most` messages; none if the queue does not exist yet.
pub(super) fn take(azure: &mut Azure, most: usize, now: OffsetDateTime) -> Result<Vec<Message>, StageError> {
    let target = format!(
        "{WORK}/messages?numofmessages={}&visibilitytimeout={HOLD}",
        most.min(BATCH)
    );
    let (status, body) = call(azure, Method::GET, &target, "", now)?;
    if status != 200 {
        return Ok(Vec::new());
    }
    let messages = body.split("<QueueMessage>").skip(1).map(|element| Message {
        id: leaf(element, "MessageId"),
        receipt: leaf(element, "PopReceipt"),
        dequeue_count: leaf(element, "DequeueCount").parse().unwrap_or_default(),
        text: leaf(element, "MessageText"),
    });
    Ok(messages.collect())
}

/// The work is done.
pub(super) fn delete(azure: &mut Azure, message: &Message, now: OffsetDateTime) -> Result<(), StageError> {
    call(azure, Method::DELETE, &one(message, ""), "", now).map(|_| ())
}

/// The invocation failed: the message comes again later, or is poison.
pub(super) fn failed(azure: &mut Azure, message: &Message, now: OffsetDateTime) -> Result<(), StageError> {
    if message.dequeue_count < MOST_TRIES {
        let target = one(message, &format!("&visibilitytimeout={AFTER_FAILURE}"));
        return call(azure, Method::PUT, &target, "", now).map(|_| ());
    }
    call(azure, Method::PUT, POISON, "", now)?;
    put(azure, POISON, &message.text, now)?;
    delete(azure, message, now)
}

/// Puts a text into a queue as it is.
pub(super) fn put(azure: &mut Azure, queue: &str, text: &str, now: OffsetDateTime) -> Result<(), StageError> {
    let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
    call(azure, Method::POST, &format!("{queue}/messages"), &body, now).map(|_| ())
}

fn one(message: &Message, more: &str) -> String {
    // The only characters of base64 that a query would read otherwise.
    let receipt = message
        .receipt
        .replace('+', "%2B")
        .replace('=', "%3D")
        .replace('/', "%2F");
    format!("{WORK}/messages/{}?popreceipt={receipt}{more}", message.id)
}

fn call(
    azure: &mut Azure,
    method: Method,
    target: &str,
    body: &str,
    now: OffsetDateTime,
) -> Result<(u16, String), StageError> {
    azure.storage_mut().trust_token(TOKEN);
    let account = azure.world().storage_account.clone();
    let request = Request::builder()
        .method(method)
        .uri(format!("http://127.0.0.1/{account}/{target}"))
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("x-ms-version", "2024-11-04")
        .body(Bytes::copy_from_slice(body.as_bytes()));
    let answer = azure.handle(Service::Queue, request?, now);
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    Ok((answer.status().as_u16(), text))
}

fn leaf(element: &str, name: &str) -> String {
    let text = element
        .split_once(&format!("<{name}>"))
        .and_then(|(_, rest)| rest.split_once('<'));
    text.map_or_else(String::new, |(text, _)| text.to_owned())
}
