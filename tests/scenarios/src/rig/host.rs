//! The pump: what Event Grid, the queue trigger and the Functions host do around the product. Deliveries and messages become
//! invocations with the host's envelope, their outcomes go back, and when nothing is due time passes to the next event.
//! Invocations are tasks of the test's own runtime, so ending the process is aborting them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use azure_sim::{Delivery, DeliveryId, DeliveryOutcome};
use hubward::app::App;
use hubward::clock::Clock;
use hubward::host::{Functions, Invocation, Reply, open};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::task::JoinSet;

use super::queue::{self, AT_ONCE, BATCH, Message};
use super::{PATIENCE, Rig, TO_CLUSTER_EVENTS, envelope};

/// How long the host takes to start the process again.
const RESTART: Duration = Duration::from_secs(2);
/// How long it takes until another machine runs the app.
const NEW_MACHINE: Duration = Duration::from_secs(30);

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process alone: the host lives, counts its invocations as failed, and starts it again.
    Process,
    /// The machine with the host: nobody reports anything, and messages come again when their lease ends.
    Machine,
}

/// What a function said about one invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When the invocation ended.
    pub at: OffsetDateTime,
    /// The function.
    pub function: &'static str,
    /// True if it answered 200.
    pub done: bool,
    /// A line of its log, or the reason of its failure.
    pub text: String,
}

#[derive(Default)]
pub(super) struct Host {
    tasks: JoinSet<(u64, Vec<Reply>)>,
    flights: BTreeMap<u64, Flight>,
    next: u64,
    /// Every event body that was handed out, by the endpoint it was for.
    delivered: Vec<(String, Value)>,
    /// Every delivery that was handed out.
    handed_out: Arc<Mutex<Vec<DeliveryId>>>,
}

/// What an invocation under way is for.
enum Flight {
    /// A delivery of Event Grid, or one that a test made up.
    Events(Option<DeliveryId>),
    /// A message of the work queue.
    Work(Message),
}

impl Rig {
    /// Runs until nothing is under way or owed.
    pub async fn settle(&mut self) {
        let deadline = self.now() + PATIENCE;
        while !self.is_quiet() {
            if self.now() >= deadline {
                let owed = self.owed().await;
                self.fail(&format!(
                    "no rest after 12 hours; owed: {owed:?}; last lines: {:#?}",
                    self.last_lines()
                ));
            }
            self.step(deadline).await;
        }
        let owed = self.owed().await;
        if !owed.is_empty() {
            self.fail(&format!(
                "nothing is queued, but this is owed: {owed:?}; last lines: {:#?}",
                self.last_lines()
            ));
        }
    }

    /// Lets that much virtual time pass, and everything happen that is due in it.
    pub async fn run_for(&mut self, span: Duration) {
        let end = self.now() + span;
        while self.now() < end {
            self.step(end).await;
        }
    }

    /// Runs until `there` holds, looked at after every single event.
    pub async fn run_until(&mut self, what: &str, mut there: impl FnMut(&Self) -> bool) {
        let deadline = self.now() + PATIENCE;
        while !there(self) {
            if self.now() >= deadline || self.is_quiet() {
                self.fail(&format!(
                    "it never came to this: {what}; last lines: {:#?}",
                    self.last_lines()
                ));
            }
            self.step(deadline).await;
        }
    }

    /// Ends the process or the machine now, and starts it again after the time that takes.
    pub async fn crash(&mut self, how: Crash) {
        self.stop_app(how).await;
        let down = match how {
            Crash::Process => RESTART,
            Crash::Machine => NEW_MACHINE,
        };
        self.clock.sleep(down).await;
        self.start_app().await;
    }

    /// Ends the process or the machine; nothing is started.
    pub async fn stop_app(&mut self, how: Crash) {
        self.host.tasks.shutdown().await;
        self.app = None;
        let now = self.now();
        let flights = std::mem::take(&mut self.host.flights);
        let mut azure = self.azure.lock();
        for flight in flights.into_values() {
            match (flight, how) {
                (Flight::Events(Some(id)), Crash::Process) => azure.delivered(id, DeliveryOutcome::Status(500), now),
                (Flight::Events(Some(id)), Crash::Machine) => azure.delivered(id, DeliveryOutcome::NoAnswer, now),
                (Flight::Work(message), Crash::Process) => queue::failed(&mut azure, &message, now),
                (Flight::Events(None), _) | (Flight::Work(_), Crash::Machine) => {}
            }
        }
    }

    /// Sends an event, or an array of events as one batch, to `ClusterEvents`; it is not sent again if it fails.
    pub fn send_event(&mut self, body: &Value) {
        self.invoke_events(vec![body.clone()], None);
    }

    /// Puts a message into the work queue, as somebody with the storage account's key could.
    pub fn put_message(&mut self, body: &Value) {
        let text = azure_core::base64::encode(body.to_string());
        queue::put(&mut self.azure.lock(), queue::WORK, &text, self.clock.now());
    }

    /// One invocation of `Work` with this message, past the queue: what it answered and how long it took, in Azure time.
    pub async fn work_once(&self, message: &Value) -> (Reply, Duration) {
        let Some(app) = &self.app else {
            self.fail("no app is running")
        };
        let invocation = Invocation {
            id: "work-once".to_owned(),
            function: "Work".to_owned(),
            data: [("message".to_owned(), message.clone())].into_iter().collect(),
            metadata: serde_json::Map::new(),
        };
        let began = self.now();
        let reply = app.invoke(invocation).await;
        (reply, span(self.now() - began))
    }

    /// The deliveries that were handed out so far, kept up to date.
    #[must_use]
    pub fn handed_out(&self) -> Arc<Mutex<Vec<DeliveryId>>> {
        Arc::clone(&self.host.handed_out)
    }

    /// Goes on after the machine was lost in the middle of `deliveries`: they get no answer, and another machine starts.
    pub async fn recover(&mut self, deliveries: &[DeliveryId]) {
        let now = self.now();
        for id in deliveries {
            self.azure.lock().delivered(*id, DeliveryOutcome::NoAnswer, now);
        }
        self.clock.sleep(NEW_MACHINE).await;
        self.start_app().await;
    }

    /// Event bodies that Event Grid has handed out for the product, single events in the order of delivery.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.bodies(TO_CLUSTER_EVENTS)
    }

    /// The same events as CloudEvents 1.0, which went to nobody.
    #[must_use]
    pub fn cloud_events(&self) -> Vec<Value> {
        self.bodies(super::TO_NOBODY)
    }

    /// The texts of all lines of a function, in order.
    #[must_use]
    pub fn said(&self, function: &str) -> Vec<&str> {
        let lines = self.lines.iter().filter(|line| line.function == function);
        lines.map(|line| line.text.as_str()).collect()
    }

    /// The keys that want something that is not done.
    pub async fn owed(&self) -> Vec<String> {
        match self.ledger.keys.owed().await {
            Ok(listing) => listing.documents.into_iter().map(|document| document.key).collect(),
            Err(error) => self.fail(&format!("the ledger cannot be listed: {error}")),
        }
    }

    /// One turn: hands out what is due, then waits for whatever comes first, at the latest until `limit`.
    async fn step(&mut self, limit: OffsetDateTime) {
        self.hand_out_deliveries();
        self.hand_out_messages();
        if self.is_quiet() && self.now() < limit {
            self.clock.sleep(span(limit - self.now())).await;
            return;
        }
        let wait = span(self.next_event().map_or(limit, |next| next.min(limit)) - self.now());
        let (wire, clock) = (Arc::clone(&self.wire), Arc::clone(&self.clock));
        tokio::select! {
            biased;
            () = wire.died.notified() => self.crash(Crash::Process).await,
            Some(ended) = self.host.tasks.join_next() => match ended {
                Ok((flight, replies)) => self.land(flight, replies),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(error) => self.fail(&format!("an invocation was aborted: {error}")),
            },
            () = wire.queued.notified() => {}
            () = clock.sleep(wait) => {}
        }
    }

    fn hand_out_deliveries(&mut self) {
        let now = self.now();
        let due = {
            let mut azure = self.azure.lock();
            let foreseen = azure.next_event();
            let due = azure.advance(now);
            if azure.next_event() != foreseen {
                self.wire.show(&azure, "time passed");
            }
            due
        };
        for delivery in due {
            self.take(delivery);
        }
    }

    fn take(&mut self, delivery: Delivery) {
        self.host
            .handed_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(delivery.id);
        let events = match serde_json::from_slice(&delivery.body) {
            Ok(Value::Array(events)) => events,
            Ok(event) => vec![event],
            Err(error) => self.fail(&format!("Event Grid sent no JSON: {error}")),
        };
        let bodies = events.iter().map(|event| (delivery.url.clone(), event.clone()));
        self.host.delivered.extend(bodies);
        let wanted = delivery.url == TO_CLUSTER_EVENTS;
        if wanted && self.app.is_some() {
            self.invoke_events(events, Some(delivery.id));
            return;
        }
        let outcome = if wanted {
            DeliveryOutcome::NoAnswer
        } else {
            DeliveryOutcome::Status(200)
        };
        self.azure.lock().delivered(delivery.id, outcome, self.now());
    }

    /// One invocation per event of a delivery, as `cardinality: one` means [functions-host: 2.3].
    fn invoke_events(&mut self, events: Vec<Value>, delivery: Option<DeliveryId>) {
        let Some(app) = self.app.clone() else {
            self.fail("an event was sent while no app was running")
        };
        let now = self.now();
        let bodies = events.iter().map(|event| envelope::event(event, now)).collect();
        self.launch(app, "ClusterEvents", bodies, Flight::Events(delivery));
    }

    fn hand_out_messages(&mut self) {
        let now = self.now();
        let Some(app) = self.app.clone() else { return };
        loop {
            let working = self
                .host
                .flights
                .values()
                .filter(|f| matches!(f, Flight::Work(_)))
                .count();
            let room = AT_ONCE.saturating_sub(working);
            if room == 0 {
                return;
            }
            let messages = queue::take(&mut self.azure.lock(), room.min(BATCH), now);
            if messages.is_empty() {
                return;
            }
            for message in messages {
                let text = azure_core::base64::decode(&message.text).unwrap_or_default();
                let body = envelope::message(&message, &String::from_utf8_lossy(&text), now);
                self.launch(Arc::clone(&app), "Work", vec![body], Flight::Work(message));
            }
        }
    }

    fn launch(&mut self, app: Arc<App>, function: &'static str, bodies: Vec<Value>, flight: Flight) {
        self.host.next += 1;
        let number = self.host.next;
        self.host.flights.insert(number, flight);
        self.host.tasks.spawn(async move {
            let mut replies = Vec::new();
            for body in bodies {
                let id = format!("00000000-0000-4000-8000-{number:012x}");
                replies.push(match open(id, function.to_owned(), body.to_string().as_bytes()) {
                    Ok(invocation) => app.invoke(invocation).await,
                    Err(error) => Reply::Failed {
                        reason: error.to_string(),
                    },
                });
            }
            (number, replies)
        });
    }

    fn land(&mut self, flight: u64, replies: Vec<Reply>) {
        let now = self.now();
        let Some(flight) = self.host.flights.remove(&flight) else {
            self.fail("an invocation ended that never began")
        };
        let function = match flight {
            Flight::Events(_) => "ClusterEvents",
            Flight::Work(_) => "Work",
        };
        let all_done = replies.iter().all(|reply| matches!(reply, Reply::Done { .. }));
        for reply in replies {
            let (done, texts) = match reply {
                Reply::Done { logs } => (true, logs),
                Reply::Failed { reason } => (false, vec![reason]),
            };
            self.lines.extend(texts.into_iter().map(|text| Line {
                at: now,
                function,
                done,
                text,
            }));
        }
        let mut azure = self.azure.lock();
        match flight {
            Flight::Events(Some(id)) => {
                let status = if all_done { 200 } else { 500 };
                azure.delivered(id, DeliveryOutcome::Status(status), now);
            }
            Flight::Events(None) => {}
            Flight::Work(message) if all_done => queue::delete(&mut azure, &message, now),
            Flight::Work(message) => queue::failed(&mut azure, &message, now),
        }
    }

    fn is_quiet(&self) -> bool {
        let mut azure = self.azure.lock();
        azure.storage_mut().advance(self.clock.now());
        let idle = self.app.is_none() || azure.storage().queue_length(queue::WORK) == 0;
        self.host.flights.is_empty() && azure.next_event().is_none() && idle
    }

    fn next_event(&self) -> Option<OffsetDateTime> {
        let mut azure = self.azure.lock();
        azure.storage_mut().advance(self.clock.now());
        let own = azure.next_event();
        [own, azure.storage().next_event()].into_iter().flatten().min()
    }

    fn bodies(&self, endpoint: &str) -> Vec<Value> {
        let delivered = self.host.delivered.iter();
        delivered
            .filter(|(url, _)| url == endpoint)
            .map(|(_, body)| body.clone())
            .collect()
    }

    fn last_lines(&self) -> Vec<String> {
        let start = self.lines.len().saturating_sub(12);
        let lines = self.lines[start..].iter();
        lines
            .map(|line| format!("{} {}: {}", line.at.time(), line.function, line.text))
            .collect()
    }
}

/// At least a millisecond, which is the grain of tokio's timers: what is due is due then.
fn span(until: time::Duration) -> Duration {
    Duration::try_from(until)
        .unwrap_or_default()
        .max(Duration::from_millis(1))
}
