//! Event subscriptions and deliveries under way: at least once, unordered, retried as Event Grid does.
//! It keeps what is due; a door posts it and reports back. A delivery that is never reported stays under way.

use super::control::{EmittedEvent, Withheld};
use super::dead_letter::DeadLetter;
use super::schema::EventDraft;
use crate::draws::{Draws, fraction};
use crate::world::EventHabits;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
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
    /// Container of the storage account for events that could not be delivered; `None` drops them, as Event Grid does
    /// unless told otherwise [azure-domain 7.5].
    pub dead_letter: Option<String>,
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
    dead: Vec<DeadLetter>,
    emitted: Vec<Arc<Emitted>>,
    withheld: Withheld,
    next: u64,
    draws: Draws,
    habits: EventHabits,
}

/// One event that was told, to be told again on demand.
#[derive(Clone, Debug)]
struct Emitted {
    facts: EmittedEvent,
    draft: EventDraft,
}

#[derive(Clone, Debug)]
struct Pending {
    subscription: EventSubscription,
    event: Arc<Emitted>,
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
            dead: Vec::new(),
            emitted: Vec::new(),
            withheld: Withheld::default(),
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
    pub(crate) fn emit(&mut self, draft: EventDraft, id: Uuid, account: &str, tenant: Uuid) {
        let event = Arc::new(Emitted {
            facts: EmittedEvent {
                id,
                event_type: draft.event_type.to_owned(),
                operation_name: draft.operation_name.clone(),
                subject: draft.subject.clone(),
                at: draft.at,
            },
            draft,
        });
        self.emitted.push(event.clone());
        for (subscription, body) in self.bodies(&event, account, tenant) {
            let mut rng = self.draws.rng(&format!("event|{id}|{}", subscription.name));
            let copies = if fraction(&mut rng) < self.habits.duplicate_share {
                2
            } else {
                1
            };
            for _ in 0..copies {
                let spread = self.habits.max_delay_seconds - self.habits.min_delay_seconds;
                let delay = self.habits.min_delay_seconds + spread * fraction(&mut rng);
                let due = event.facts.at + Duration::milliseconds((delay * 1000.0) as i64);
                self.queue(subscription.clone(), event.clone(), body.clone(), due);
            }
        }
    }

    /// Queues one more delivery of an event that was told before, at once. False if there is no such event.
    pub(crate) fn send_again(&mut self, id: Uuid, account: &str, tenant: Uuid, now: OffsetDateTime) -> bool {
        let Some(event) = self.emitted.iter().find(|event| event.facts.id == id).cloned() else {
            return false;
        };
        for (subscription, body) in self.bodies(&event, account, tenant) {
            self.queue(subscription, event.clone(), body, now);
        }
        true
    }

    /// Every event so far, in order.
    pub(crate) fn emitted(&self) -> impl Iterator<Item = &EmittedEvent> {
        self.emitted.iter().map(|event| &event.facts)
    }

    /// Holds back what matches, from now on.
    pub(crate) fn withhold(&mut self, what: &str) {
        self.withheld.add(what);
    }

    /// Lets go of everything held back: it is due at once.
    pub(crate) fn release(&mut self, now: OffsetDateTime) {
        let withheld = std::mem::take(&mut self.withheld);
        for pending in self.pending.values_mut() {
            if withheld.holds(&pending.event.facts) {
                pending.due = pending.due.map(|due| due.max(now));
                pending.first_due = pending.first_due.max(now);
            }
        }
    }

    /// When the next event is written where undeliverable events go.
    pub(crate) fn next_dead_letter(&self) -> Option<OffsetDateTime> {
        self.dead.iter().map(|letter| letter.due).min()
    }

    /// Takes one event that is due to be written there.
    pub(crate) fn take_dead_letter(&mut self, now: OffsetDateTime) -> Option<DeadLetter> {
        let index = self.dead.iter().position(|letter| letter.due <= now)?;
        Some(self.dead.remove(index))
    }

    /// Puts one back that could not be written.
    pub(crate) fn keep_dead_letter(&mut self, letter: DeadLetter) {
        self.dead.push(letter);
    }

    /// When the next delivery is due.
    pub(crate) fn next_due(&self) -> Option<OffsetDateTime> {
        let free = self
            .pending
            .values()
            .filter(|pending| !self.withheld.holds(&pending.event.facts));
        free.filter_map(|pending| pending.due).min()
    }

    /// Hands out what is due, earliest first.
    pub(crate) fn take_due(&mut self, now: OffsetDateTime) -> Vec<Delivery> {
        let mut due: Vec<(OffsetDateTime, DeliveryId)> = self
            .pending
            .iter()
            .filter(|(_, pending)| !self.withheld.holds(&pending.event.facts))
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
                if let Some(container) = pending.subscription.dead_letter.clone() {
                    self.dead.push(DeadLetter {
                        due: now + super::dead_letter::DELAY,
                        given_up_at: now,
                        container,
                        name: format!("{}|{}", id.0, pending.event.facts.id),
                        subscription: pending.subscription.name.clone(),
                        schema: pending.subscription.schema,
                        body: pending.body.clone(),
                        attempts: pending.attempts,
                        last: outcome,
                        expired,
                        published: pending.event.facts.at,
                    });
                }
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

    /// Who wants an event, and in which words.
    fn bodies(&self, event: &Emitted, account: &str, tenant: Uuid) -> Vec<(EventSubscription, Bytes)> {
        let id = event.facts.id;
        self.subscriptions
            .iter()
            .filter(|subscription| wants(subscription, &event.facts.operation_name))
            .map(|subscription| {
                let body = match subscription.schema {
                    EventSchema::EventGrid => event.draft.event_grid(id, account, tenant),
                    EventSchema::CloudEvents => event.draft.cloud_event(id, account, tenant),
                };
                (subscription.clone(), Bytes::from(body.to_string()))
            })
            .collect()
    }

    fn queue(&mut self, subscription: EventSubscription, event: Arc<Emitted>, body: Bytes, due: OffsetDateTime) {
        let id = DeliveryId(self.next);
        self.next += 1;
        self.pending.insert(
            id,
            Pending {
                subscription,
                event,
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
