//! Queues: create, delete, list, metadata with the approximate message count. The messages below are `messages`.

use std::collections::BTreeMap;

use http::Method;
use time::OffsetDateTime;

use super::Stamps;
use super::call::Call;
use super::containers::is_resource_name;
use super::messages::{self, Message};
use super::reply::{Refusal, Reply};
use super::xml::escaped;

/// Most queues on one page of a list (List Queues, REST reference).
const PAGE: i64 = 5000;

/// A queue with its messages, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    metadata: BTreeMap<String, String>,
    pub(super) messages: Vec<Message>,
}

impl Queue {
    pub(super) fn changes(&self) -> impl Iterator<Item = OffsetDateTime> + '_ {
        self.messages.iter().flat_map(Message::changes)
    }

    pub(super) fn length(&self, now: OffsetDateTime) -> usize {
        self.alive(now).count()
    }

    pub(super) fn texts(&self, now: OffsetDateTime) -> Vec<String> {
        self.alive(now).map(|message| message.text().to_owned()).collect()
    }

    fn alive(&self, now: OffsetDateTime) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(move |message| !message.expired(now))
    }
}

/// Answers a request to the Queue service.
pub(super) fn answer(
    queues: &mut BTreeMap<String, Queue>,
    stamps: &mut Stamps,
    call: &Call<'_>,
    now: OffsetDateTime,
) -> Result<Reply, Refusal> {
    let Some(name) = call.resource.as_deref() else {
        return match (call.method(), call.comp()) {
            (&Method::GET, "list") => list(queues, call),
            _ => Err(call.not_simulated()),
        };
    };
    if let Some(rest) = call.rest.as_deref() {
        let queue = queues.get_mut(name).ok_or_else(not_found)?;
        return messages::answer(queue, stamps, call, rest, now);
    }
    match (call.method(), call.comp()) {
        (&Method::PUT, "") => create(queues, call, name),
        (&Method::DELETE, "") => {
            queues.remove(name).ok_or_else(not_found)?;
            Ok(Reply::new(204))
        }
        (&Method::GET | &Method::HEAD, "metadata") => {
            let queue = queues.get(name).ok_or_else(not_found)?;
            Ok(Reply::new(200)
                .metadata(&queue.metadata)
                .header("x-ms-approximate-messages-count", queue.length(now).to_string()))
        }
        (&Method::PUT, "metadata") => {
            let queue = queues.get_mut(name).ok_or_else(not_found)?;
            queue.metadata = call.metadata();
            Ok(Reply::new(204))
        }
        _ => Err(call.not_simulated()),
    }
}

fn create(queues: &mut BTreeMap<String, Queue>, call: &Call<'_>, name: &str) -> Result<Reply, Refusal> {
    if !is_resource_name(name) {
        return Err(Refusal::invalid_name());
    }
    match queues.get(name) {
        // A second creation with the same metadata is a success, but another status (Create Queue, REST reference).
        Some(queue) if queue.metadata == call.metadata() => Ok(Reply::new(204)),
        Some(_) => Err(Refusal::new(
            409,
            "QueueAlreadyExists",
            "The specified queue already exists.",
        )),
        None => {
            queues.insert(
                name.to_owned(),
                Queue {
                    metadata: call.metadata(),
                    messages: Vec::new(),
                },
            );
            Ok(Reply::new(201))
        }
    }
}

fn list(queues: &BTreeMap<String, Queue>, call: &Call<'_>) -> Result<Reply, Refusal> {
    let prefix = call.query("prefix").unwrap_or_default();
    let marker = call.query("marker").unwrap_or_default();
    let size = usize::try_from(call.number("maxresults", PAGE, 1..=i64::MAX)?.min(PAGE)).unwrap_or_default();
    let mut rest = queues
        .range(marker.to_owned()..)
        .map(|(name, _)| name)
        .filter(|name| name.starts_with(prefix));
    let entries: String = rest
        .by_ref()
        .take(size)
        .map(|name| format!("<Queue><Name>{}</Name></Queue>", escaped(name)))
        .collect();
    let next = rest.next().map_or("", String::as_str);
    Ok(Reply::new(200).xml(format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Prefix>{}</Prefix><Queues>{entries}</Queues>\
         <NextMarker>{}</NextMarker></EnumerationResults>",
        escaped(prefix),
        escaped(next)
    )))
}

fn not_found() -> Refusal {
    Refusal::new(404, "QueueNotFound", "The specified queue does not exist.")
}
