//! Where events go that could not be delivered: five minutes after the last try, as one blob each, with the reason beside
//! the event. If the container is not there Event Grid tries for four hours and then drops the event [azure-domain 7.5].

use super::outbox::{DeliveryOutcome, EventSchema};
use crate::arm::operations::rfc3339;
use crate::azure::Azure;
use bytes::Bytes;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

/// Between the last try and the blob [azure-domain 7.5].
pub(crate) const DELAY: Duration = Duration::minutes(5);
/// How long Event Grid looks for a container that is not there.
const PATIENCE: Duration = Duration::hours(4);

/// One event on its way to the container.
#[derive(Clone, Debug)]
pub(crate) struct DeadLetter {
    pub(crate) due: OffsetDateTime,
    pub(crate) given_up_at: OffsetDateTime,
    pub(crate) container: String,
    /// Tells this letter from every other; the blob's name is drawn from it.
    pub(crate) name: String,
    pub(crate) subscription: String,
    pub(crate) schema: EventSchema,
    pub(crate) body: Bytes,
    pub(crate) attempts: u32,
    pub(crate) last: DeliveryOutcome,
    /// True when a day had passed; false when tries ran out or the answer forbade more.
    pub(crate) expired: bool,
    pub(crate) published: OffsetDateTime,
}

impl Azure {
    /// Writes every letter that is due.
    pub(crate) fn write_dead_letters(&mut self) {
        while let Some(mut letter) = self.outbox.take_dead_letter(self.now) {
            let name = letter.blob_name(&self.world.subscription, self.draws.uuid(&letter.name));
            let content = letter.content();
            let written = self.storage.write_blob(&letter.container, &name, content, self.now);
            if !written && self.now - letter.given_up_at < PATIENCE {
                letter.due = self.now + DELAY;
                self.outbox.keep_dead_letter(letter);
            }
        }
    }
}

impl DeadLetter {
    /// `<topic>/<SUBSCRIPTION NAME>/yyyy/m/d/h/<guid>.json` [azure-domain 7.5; the topic's spelling is from memory].
    fn blob_name(&self, topic: &str, id: uuid::Uuid) -> String {
        let at = self.due;
        format!(
            "{topic}/{}/{}/{}/{}/{}/{id}.json",
            self.subscription.to_uppercase(),
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour()
        )
    }

    /// An array of one event with the reason beside its own fields.
    fn content(&self) -> Bytes {
        let mut parsed: Value = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        let mut event = match parsed.get_mut(0) {
            Some(first) => first.take(),
            None => parsed,
        };
        for (field, value) in [
            ("deadLetterReason", json!(self.reason())),
            ("deliveryAttempts", json!(self.attempts)),
            ("lastDeliveryOutcome", json!(outcome_word(self.last))),
            ("publishTime", json!(rfc3339(self.published))),
            ("lastDeliveryAttemptTime", json!(rfc3339(self.given_up_at))),
        ] {
            let field = match self.schema {
                EventSchema::EventGrid => field.to_owned(),
                EventSchema::CloudEvents => field.to_lowercase(),
            };
            event[field] = value;
        }
        Bytes::from(json!([event]).to_string())
    }

    /// `UndeliverableDueToHttpBadRequest` and `MaxDeliveryAttemptsExceeded` are seen in real letters
    /// [stackoverflow 52173869]; the words of the other cases follow them [?].
    fn reason(&self) -> &'static str {
        match self.last {
            DeliveryOutcome::Status(400) => "UndeliverableDueToHttpBadRequest",
            DeliveryOutcome::Status(401) => "UndeliverableDueToHttpUnauthorized",
            DeliveryOutcome::Status(403) => "UndeliverableDueToHttpForbidden",
            DeliveryOutcome::Status(413) => "UndeliverableDueToHttpRequestEntityTooLarge",
            DeliveryOutcome::Status(_) | DeliveryOutcome::NoAnswer if self.expired => "TimeToLiveExceeded",
            DeliveryOutcome::Status(_) | DeliveryOutcome::NoAnswer => "MaxDeliveryAttemptsExceeded",
        }
    }
}

/// [azure-domain 7.5: delivery outcomes; 429 and 5xx count as busy [?]]
fn outcome_word(outcome: DeliveryOutcome) -> &'static str {
    match outcome {
        DeliveryOutcome::NoAnswer => "SocketError",
        DeliveryOutcome::Status(400) => "BadRequest",
        DeliveryOutcome::Status(401) => "Unauthorized",
        DeliveryOutcome::Status(403) => "Forbidden",
        DeliveryOutcome::Status(404) => "NotFound",
        DeliveryOutcome::Status(408) => "TimedOut",
        DeliveryOutcome::Status(413) => "PayloadTooLarge",
        DeliveryOutcome::Status(_) => "Busy",
    }
}
