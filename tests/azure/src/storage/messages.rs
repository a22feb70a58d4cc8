//! Messages of one queue: put, get, peek, update, delete, clear. A received message is hidden until its visibility
//! timeout ends and answers only to the latest pop receipt; an expired message no longer exists.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::Stamps;
use super::call::Call;
use super::queues::Queue;
use super::reply::{Refusal, Reply, rfc1123};
use super::xml::{self, escaped};

const SEVEN_DAYS: i64 = 7 * 24 * 60 * 60;
/// Hidden for this many seconds if Get Messages does not say (REST reference).
const DEFAULT_VISIBILITY: i64 = 30;
/// Most messages one Get or Peek returns.
const MOST_AT_ONCE: i64 = 32;
/// Largest message text, in bytes, since version 2011-08-18.
const LARGEST_TEXT: usize = 64 * 1024;
/// What the service writes for a message that never expires.
const NEVER: OffsetDateTime = datetime!(9999-12-31 23:59:59 UTC);

/// A message in a queue.
#[derive(Clone, Debug)]
pub(super) struct Message {
    id: String,
    text: String,
    receipt: String,
    inserted: OffsetDateTime,
    expires: OffsetDateTime,
    visible_from: OffsetDateTime,
    dequeues: u64,
}

impl Message {
    pub(super) fn expired(&self, now: OffsetDateTime) -> bool {
        self.expires <= now
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// When the message turns visible and when it vanishes.
    pub(super) fn changes(&self) -> impl Iterator<Item = OffsetDateTime> {
        [self.visible_from, self.expires].into_iter()
    }

    fn hide(&mut self, seconds: i64, stamps: &mut Stamps, now: OffsetDateTime) {
        self.receipt = STANDARD.encode(stamps.id().as_bytes());
        self.visible_from = now + Duration::seconds(seconds);
    }

    fn element(&self, parts: &[Part]) -> String {
        let fields: String = parts.iter().map(|part| part.element(self)).collect();
        format!(
            "<QueueMessage><MessageId>{}</MessageId><InsertionTime>{}</InsertionTime><ExpirationTime>{}</ExpirationTime>\
             {fields}</QueueMessage>",
            self.id,
            rfc1123(self.inserted),
            rfc1123(self.expires),
        )
    }
}

/// What an answer shows of a message besides its id and lifetime.
#[derive(Clone, Copy)]
enum Part {
    Receipt,
    Count,
    Text,
}

impl Part {
    fn element(self, message: &Message) -> String {
        match self {
            Self::Receipt => format!(
                "<PopReceipt>{}</PopReceipt><TimeNextVisible>{}</TimeNextVisible>",
                message.receipt,
                rfc1123(message.visible_from)
            ),
            Self::Count => format!("<DequeueCount>{}</DequeueCount>", message.dequeues),
            Self::Text => format!("<MessageText>{}</MessageText>", escaped(&message.text)),
        }
    }
}

/// Answers a request below `/queue/`.
pub(super) fn answer(
    queue: &mut Queue,
    stamps: &mut Stamps,
    call: &Call<'_>,
    rest: &str,
    now: OffsetDateTime,
) -> Result<Reply, Refusal> {
    queue.messages.retain(|message| !message.expired(now));
    match (call.method(), rest.split_once('/')) {
        (&Method::POST, None) if rest == "messages" => put(queue, stamps, call, now),
        (&Method::GET, None) if rest == "messages" => match call.query("peekonly") {
            Some("true") => peek(queue, call, now),
            Some(_) | None => get(queue, stamps, call, now),
        },
        (&Method::DELETE, None) if rest == "messages" => {
            queue.messages.clear();
            Ok(Reply::new(204))
        }
        (&Method::PUT, Some(("messages", id))) => update(queue, stamps, call, id, now),
        (&Method::DELETE, Some(("messages", id))) => {
            let place = received(queue, call, id)?;
            queue.messages.remove(place);
            Ok(Reply::new(204))
        }
        _ => Err(call.not_simulated()),
    }
}

fn put(queue: &mut Queue, stamps: &mut Stamps, call: &Call<'_>, now: OffsetDateTime) -> Result<Reply, Refusal> {
    let text = message_text(call)?.ok_or_else(Refusal::invalid_xml)?;
    let lifetime = match call.number("messagettl", SEVEN_DAYS, -1..=i64::from(u32::MAX))? {
        -1 => None,
        0 => return Err(out_of_range("messagettl")),
        seconds => Some(seconds),
    };
    let hidden = call.number("visibilitytimeout", 0, 0..=SEVEN_DAYS)?;
    if lifetime.is_some_and(|lifetime| hidden >= lifetime) {
        return Err(out_of_range("visibilitytimeout"));
    }
    let mut message = Message {
        id: stamps.id().to_string(),
        text,
        receipt: String::new(),
        inserted: now,
        expires: lifetime.map_or(NEVER, |seconds| now + Duration::seconds(seconds)),
        visible_from: now,
        dequeues: 0,
    };
    message.hide(hidden, stamps, now);
    let body = message_list([message.element(&[Part::Receipt])]);
    queue.messages.push(message);
    Ok(Reply::new(201).xml(body))
}

fn get(queue: &mut Queue, stamps: &mut Stamps, call: &Call<'_>, now: OffsetDateTime) -> Result<Reply, Refusal> {
    let most = call.number("numofmessages", 1, 1..=MOST_AT_ONCE)?;
    let seconds = call.number("visibilitytimeout", DEFAULT_VISIBILITY, 1..=SEVEN_DAYS)?;
    let mut elements = Vec::new();
    for place in visible(queue, most, now) {
        let message = &mut queue.messages[place];
        message.dequeues += 1;
        message.hide(seconds, stamps, now);
        elements.push(message.element(&[Part::Receipt, Part::Count, Part::Text]));
    }
    Ok(Reply::new(200).xml(message_list(elements)))
}

fn peek(queue: &Queue, call: &Call<'_>, now: OffsetDateTime) -> Result<Reply, Refusal> {
    let most = call.number("numofmessages", 1, 1..=MOST_AT_ONCE)?;
    let elements = visible(queue, most, now)
        .into_iter()
        .map(|place| queue.messages[place].element(&[Part::Count, Part::Text]));
    Ok(Reply::new(200).xml(message_list(elements)))
}

fn update(
    queue: &mut Queue,
    stamps: &mut Stamps,
    call: &Call<'_>,
    id: &str,
    now: OffsetDateTime,
) -> Result<Reply, Refusal> {
    if call.query("visibilitytimeout").is_none() {
        return Err(missing_query("visibilitytimeout"));
    }
    let seconds = call.number("visibilitytimeout", 0, 0..=SEVEN_DAYS)?;
    let text = message_text(call)?;
    let place = received(queue, call, id)?;
    let message = &mut queue.messages[place];
    if now + Duration::seconds(seconds) > message.expires {
        return Err(out_of_range("visibilitytimeout"));
    }
    if let Some(text) = text {
        message.text = text;
    }
    message.hide(seconds, stamps, now);
    Ok(Reply::new(204)
        .header("x-ms-popreceipt", &message.receipt)
        .header("x-ms-time-next-visible", rfc1123(message.visible_from)))
}

/// Places of the messages that can be seen, those that became visible first in front.
fn visible(queue: &Queue, most: i64, now: OffsetDateTime) -> Vec<usize> {
    let mut places: Vec<usize> = (0..queue.messages.len())
        .filter(|place| queue.messages[*place].visible_from <= now)
        .collect();
    places.sort_by_key(|place| queue.messages[*place].visible_from);
    places.truncate(usize::try_from(most).unwrap_or_default());
    places
}

/// The place of the message that answers to this id and pop receipt.
fn received(queue: &Queue, call: &Call<'_>, id: &str) -> Result<usize, Refusal> {
    let receipt = call.query("popreceipt").ok_or_else(|| missing_query("popreceipt"))?;
    let place = queue
        .messages
        .iter()
        .position(|message| message.id == id)
        .ok_or_else(|| Refusal::new(404, "MessageNotFound", "The specified message does not exist."))?;
    if queue.messages[place].receipt == receipt {
        Ok(place)
    } else {
        Err(Refusal::new(
            400,
            "PopReceiptMismatch",
            "The specified pop receipt did not match the pop receipt for a dequeued message.",
        ))
    }
}

/// The text of `<QueueMessage><MessageText>`; `None` for a request without a body.
fn message_text(call: &Call<'_>) -> Result<Option<String>, Refusal> {
    if call.body().is_empty() {
        return Ok(None);
    }
    let text = xml::leaves(call.body())
        .and_then(|leaves| {
            leaves
                .into_iter()
                .find_map(|(name, text)| (name == "MessageText").then_some(text))
        })
        .ok_or_else(Refusal::invalid_xml)?;
    if text.len() > LARGEST_TEXT {
        return Err(Refusal::new(
            413,
            "RequestBodyTooLarge",
            "The request body is too large and exceeds the maximum permissible limit.",
        ));
    }
    Ok(Some(text))
}

fn message_list(elements: impl IntoIterator<Item = String>) -> String {
    let elements: String = elements.into_iter().collect();
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessagesList>{elements}</QueueMessagesList>")
}

fn out_of_range(name: &str) -> Refusal {
    Refusal::new(
        400,
        "OutOfRangeQueryParameterValue",
        format!("One of the query parameters specified in the request URI is outside the permissible range: {name}."),
    )
}

fn missing_query(name: &str) -> Refusal {
    Refusal::new(
        400,
        "MissingRequiredQueryParameter",
        format!("A query parameter that's mandatory for this request is not specified: {name}."),
    )
}
