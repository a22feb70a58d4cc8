//! Event subscriptions and deliveries under way: at least once, unordered, retried as Event Grid does.
//! It keeps what is due; a door posts it and reports back. A delivery that is never reported stays under way.

use super::schema::EventDraft;
use crate::draws::{Draws, fraction};
use crate::world::EventHabits;
use bytes::Bytes;
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Names one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryId(u64);

/// Which schema a subscription wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventSchema {
    /// An array of one event in Event Grid's own schema.
    EventGrid,
    /// One CloudEvents 1.0 object.
    CloudEvents,
}

/// One webhook subscription to the subscription's resource events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSubscription {
    /// Name; it comes in upper case in `aeg-subscription-name`.
    pub name: String,
    /// Where to POST.
    pub endpoint: String,
    /// In which schema.
    pub schema: EventSchema,
    /// `operationName` beginnings to deliver, compared without case; empty delivers all.
    pub operation_names: Vec<String>,
}

/// One HTTP POST that is due now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// To report the outcome by.
    pub id: DeliveryId,
    /// Where to POST.
    pub url: String,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub body: Bytes,
}

/// How a delivery went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The endpoint answered with this HTTP status within 30 s.
    Status(u16),
    /// Refused, broken off or timed out.
    NoAnswer,
}

/// An event that Event Grid gave up on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// Subscription name.
    pub subscription: String,
    /// The body that could not be delivered.
    pub body: Bytes,
    /// How often it was tried.
    pub attempts: u32,
    /// The last outcome.
    pub last: DeliveryOutcome,
}

/// Everything on its way.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    subscriptions: Vec<EventSubscription>,
    pending: BTreeMap<DeliveryId, Pending>,
    undelivered: Vec<Undelivered>,
    next: u64,
    draws: Draws,
    habits: EventHabits,
}

#[derive(Clone, Debug)]
struct Pending {
    subscription: EventSubscription,
    body: Bytes,
    first_due: OffsetDateTime,
    /// `None` while a door is posting it.
    due: Option<OffsetDateTime>,
    attempts: u32,
}

/// Waits between tries in seconds; the last repeats [azure-domain 7.5].
const RETRY_SECONDS: &[i64] = &[10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200];
const MAX_ATTEMPTS: u32 = 30;
const TIME_TO_LIVE: Duration = Duration::minutes(1440);

impl Outbox {
    pub(crate) fn new(draws: Draws, habits: EventHabits) -> Self {
        Self {
            subscriptions: Vec::new(),
            pending: BTreeMap::new(),
            undelivered: Vec::new(),
            next: 0,
            draws,
            habits,
        }
    }

    pub(crate) fn subscribe(&mut self, subscription: EventSubscription) {
        self.subscriptions.push(subscription);
    }

    pub(crate) fn undelivered(&self) -> &[Undelivered] {
        &self.undelivered
    }

    /// Queues an event for every subscription that wants it, each after its own delay and now and then twice.
    pub(crate) fn emit(&mut self, draft: &EventDraft, id: Uuid, account: &str, tenant: Uuid) {
        for subscription in self.subscriptions.clone() {
            if !wants(&subscription, &draft.operation_name) {
                continue;
            }
            let body = match subscription.schema {
                EventSchema::EventGrid => draft.event_grid(id, account, tenant),
                EventSchema::CloudEvents => draft.cloud_event(id, account, tenant),
            };
            let body = Bytes::from(body.to_string());
            let mut rng = self.draws.rng(&format!("event|{id}|{}", subscription.name));
            let copies = if fraction(&mut rng) < self.habits.duplicate_share {
                2
            } else {
                1
            };
            for _ in 0..copies {
                let spread = self.habits.max_delay_seconds - self.habits.min_delay_seconds;
                let delay = self.habits.min_delay_seconds + spread * fraction(&mut rng);
                let due = draft.at + Duration::milliseconds((delay * 1000.0) as i64);
                self.queue(subscription.clone(), body.clone(), due);
            }
        }
    }

    /// When the next delivery is due.
    pub(crate) fn next_due(&self) -> Option<OffsetDateTime> {
        self.pending.values().filter_map(|pending| pending.due).min()
    }

    /// Hands out what is due, earliest first.
    pub(crate) fn take_due(&mut self, now: OffsetDateTime) -> Vec<Delivery> {
        let mut due: Vec<(OffsetDateTime, DeliveryId)> = self
            .pending
            .iter()
            .filter_map(|(id, pending)| pending.due.filter(|due| *due <= now).map(|due| (due, *id)))
            .collect();
        due.sort_unstable();
        due.into_iter().filter_map(|(_, id)| self.hand_out(id)).collect()
    }

    /// Takes note of an outcome: done, tried again later, or given up.
    pub(crate) fn delivered(&mut self, id: DeliveryId, outcome: DeliveryOutcome, now: OffsetDateTime) {
        let Some(pending) = self.pending.get_mut(&id) else {
            return;
        };
        if matches!(outcome, DeliveryOutcome::Status(200..=204)) {
            self.pending.remove(&id);
            return;
        }
        let next = now + retry_wait(pending.attempts, outcome, self.draws, id);
        let expired = next - pending.first_due > TIME_TO_LIVE;
        if never_retried(outcome) || expired || pending.attempts >= MAX_ATTEMPTS {
            if let Some(pending) = self.pending.remove(&id) {
                self.undelivered.push(Undelivered {
                    subscription: pending.subscription.name,
                    body: pending.body,
                    attempts: pending.attempts,
                    last: outcome,
                });
            }
            return;
        }
        pending.due = Some(next);
    }

    fn queue(&mut self, subscription: EventSubscription, body: Bytes, due: OffsetDateTime) {
        let id = DeliveryId(self.next);
        self.next += 1;
        self.pending.insert(
            id,
            Pending {
                subscription,
                body,
                first_due: due,
                due: Some(due),
                attempts: 0,
            },
        );
    }

    fn hand_out(&mut self, id: DeliveryId) -> Option<Delivery> {
        let pending = self.pending.get_mut(&id)?;
        pending.due = None;
        pending.attempts += 1;
        let content = match pending.subscription.schema {
            EventSchema::EventGrid => "application/json; charset=utf-8",
            EventSchema::CloudEvents => "application/cloudevents+json; charset=utf-8",
        };
        let mut headers = vec![
            ("content-type".to_owned(), content.to_owned()),
            ("aeg-event-type".to_owned(), "Notification".to_owned()),
            (
                "aeg-subscription-name".to_owned(),
                pending.subscription.name.to_uppercase(),
            ),
            ("aeg-delivery-count".to_owned(), (pending.attempts - 1).to_string()),
        ];
        if pending.subscription.schema == EventSchema::EventGrid {
            headers.push(("aeg-data-version".to_owned(), "2".to_owned()));
            headers.push(("aeg-metadata-version".to_owned(), "1".to_owned()));
        }
        Some(Delivery {
            id,
            url: pending.subscription.endpoint.clone(),
            headers,
            body: pending.body.clone(),
        })
    }
}

fn wants(subscription: &EventSubscription, operation_name: &str) -> bool {
    let name = operation_name.to_lowercase();
    let wanted = &subscription.operation_names;
    wanted.is_empty()
        || wanted
            .iter()
            .any(|beginning| name.starts_with(&beginning.to_lowercase()))
}

/// A webhook's 400, 401, 403 and 413 end the delivery at once [azure-domain 7.5].
fn never_retried(outcome: DeliveryOutcome) -> bool {
    matches!(outcome, DeliveryOutcome::Status(400 | 401 | 403 | 413))
}

fn retry_wait(attempts: u32, outcome: DeliveryOutcome, draws: Draws, id: DeliveryId) -> Duration {
    let step = usize::try_from(attempts.saturating_sub(1))
        .unwrap_or(usize::MAX)
        .min(RETRY_SECONDS.len() - 1);
    let least = match outcome {
        DeliveryOutcome::Status(404) => 300,
        DeliveryOutcome::Status(408) => 120,
        DeliveryOutcome::Status(503) => 30,
        DeliveryOutcome::Status(_) | DeliveryOutcome::NoAnswer => 10,
    };
    let seconds = RETRY_SECONDS[step].max(least);
    let jitter = draws.fraction(&format!("retry|{}|{attempts}", id.0)) * 0.1;
    Duration::milliseconds((seconds as f64 * 1000.0 * (1.0 + jitter)) as i64)
}
