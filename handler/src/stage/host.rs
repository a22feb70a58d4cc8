//! What the Functions host does around the product: messages become invocations with the host's envelope, their outcomes go
//! back, and a process that ends is started again. Invocations are tasks of the stage's own runtime, so ending the process is
//! aborting them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use azure_sim::{DeliveryId, DeliveryOutcome};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};

use super::deliveries::Delivered;
use super::pump::span;
use super::queue::{self, AT_ONCE, BATCH, Message};
use super::{Stage, StageError, envelope};
use crate::app::App;
use crate::clock::Clock;
use crate::host::{Call, Functions, Invocation, Reply, open};

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

/// The number of an invocation and what the function answered.
type Ended = Result<(u64, Vec<Reply>), JoinError>;

pub(super) struct Host {
    tasks: JoinSet<(u64, Vec<Reply>)>,
    flights: BTreeMap<u64, Flight>,
    next: u64,
    pub(super) delivered: Delivered,
    /// Clients put their requests in here.
    pub(super) front: mpsc::UnboundedSender<Request>,
    requests: mpsc::UnboundedReceiver<Request>,
}

/// A client's request to an HTTP function.
pub(super) struct Request {
    pub(super) function: &'static str,
    pub(super) call: Call,
    /// Takes the answer; it is dropped if the process ends before.
    pub(super) answer: oneshot::Sender<Reply>,
}

/// What an invocation under way is for.
pub(super) enum Flight {
    /// A delivery of Event Grid, or one that somebody made up.
    Events(Option<DeliveryId>),
    /// A message of the work queue.
    Work(Message),
    /// A tick of the timer; nobody waits for its outcome.
    Timer,
    /// A client's request, and who waits for its answer.
    Http(&'static str, oneshot::Sender<Reply>),
}

impl Default for Host {
    fn default() -> Self {
        let (front, requests) = mpsc::unbounded_channel();
        Self {
            tasks: JoinSet::new(),
            flights: BTreeMap::new(),
            next: 0,
            delivered: Delivered::default(),
            front,
            requests,
        }
    }
}

impl Host {
    pub(super) fn is_idle(&self) -> bool {
        self.flights.is_empty()
    }

    /// The next invocation that ends, or the next request of a client.
    pub(super) async fn turn(&mut self) -> Turn {
        tokio::select! {
            biased;
            Some(ended) = self.tasks.join_next() => Turn::Ended(ended),
            Some(request) = self.requests.recv() => Turn::Asked(request),
        }
    }

    /// Starts one invocation per body, one after the other.
    pub(super) fn launch(&mut self, app: Arc<App>, function: &'static str, bodies: Vec<Value>, flight: Flight) {
        let id = self.next_id();
        let opened = bodies.into_iter().map(|body| {
            open(id.clone(), function.to_owned(), body.to_string().as_bytes()).map_err(|error| error.to_string())
        });
        let invocations = opened.collect();
        self.spawn(app, invocations, flight);
    }

    fn spawn(&mut self, app: Arc<App>, invocations: Vec<Result<Invocation, String>>, flight: Flight) {
        let number = self.next;
        self.flights.insert(number, flight);
        self.tasks.spawn(async move {
            let mut replies = Vec::new();
            for invocation in invocations {
                replies.push(match invocation {
                    Ok(invocation) => app.invoke(invocation).await,
                    Err(reason) => Reply::Failed { reason },
                });
            }
            (number, replies)
        });
    }

    fn next_id(&mut self) -> String {
        self.next += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.next)
    }
}

/// What the host hears of next.
pub(super) enum Turn {
    Ended(Ended),
    Asked(Request),
}

impl Stage {
    /// Ends the process or the machine now, and starts it again after the time that takes.
    ///
    /// # Errors
    /// [`StageError`] if the app cannot be started again.
    pub async fn crash(&mut self, how: Crash) -> Result<(), StageError> {
        self.stop_app(how).await?;
        let down = match how {
            Crash::Process => RESTART,
            Crash::Machine => NEW_MACHINE,
        };
        self.clock.sleep(down).await;
        self.start_app().await
    }

    /// Ends the process or the machine; nothing is started.
    ///
    /// # Errors
    /// [`StageError`] if the host cannot say so to the queue.
    pub async fn stop_app(&mut self, how: Crash) -> Result<(), StageError> {
        self.host.tasks.shutdown().await;
        self.app = None;
        self.timer.stop();
        let now = self.now();
        let flights = std::mem::take(&mut self.host.flights);
        let mut azure = self.azure.lock();
        for flight in flights.into_values() {
            match (flight, how) {
                (Flight::Events(Some(id)), Crash::Process) => azure.delivered(id, DeliveryOutcome::Status(500), now),
                (Flight::Events(Some(id)), Crash::Machine) => azure.delivered(id, DeliveryOutcome::NoAnswer, now),
                (Flight::Work(message), Crash::Process) => queue::failed(&mut azure, &message, now)?,
                // Whoever asked over HTTP notices that the connection broke.
                (Flight::Events(None) | Flight::Timer | Flight::Http(..), _) | (Flight::Work(_), Crash::Machine) => {}
            }
        }
        Ok(())
    }

    /// Goes on after the machine was lost in the middle of `deliveries`: they get no answer, and another machine starts.
    ///
    /// # Errors
    /// [`StageError`] if the app cannot be started.
    pub async fn recover(&mut self, deliveries: &[DeliveryId]) -> Result<(), StageError> {
        let now = self.now();
        for id in deliveries {
            self.azure.lock().delivered(*id, DeliveryOutcome::NoAnswer, now);
        }
        self.clock.sleep(NEW_MACHINE).await;
        self.start_app().await
    }

    /// The timer's time has come, whatever its schedule says.
    ///
    /// # Errors
    /// [`StageError::NoApp`] while no app is running.
    pub fn tick(&mut self) -> Result<(), StageError> {
        let app = self.app.clone().ok_or(StageError::NoApp("the timer ticked"))?;
        let body = envelope::timer(self.now());
        self.host.launch(app, "DriftTimer", vec![body], Flight::Timer);
        Ok(())
    }

    /// Puts a message into the work queue, as somebody with the storage account's key could.
    ///
    /// # Errors
    /// [`StageError::Request`] if there is no such message.
    pub fn put_message(&mut self, body: &Value) -> Result<(), StageError> {
        let text = azure_core::base64::encode(body.to_string());
        queue::put(&mut self.azure.lock(), queue::WORK, &text, self.clock.now())
    }

    /// One invocation of `Work` with this message, past the queue: what it answered and how long it took, in Azure time.
    ///
    /// # Errors
    /// [`StageError::NoApp`] while no app is running.
    pub async fn work_once(&self, message: &Value) -> Result<(Reply, Duration), StageError> {
        let app = self.app.as_ref().ok_or(StageError::NoApp("a message was worked on"))?;
        let invocation = Invocation {
            id: "work-once".to_owned(),
            function: "Work".to_owned(),
            data: [("message".to_owned(), message.clone())].into_iter().collect(),
            metadata: serde_json::Map::new(),
        };
        let began = self.now();
        let reply = app.invoke(invocation).await;
        Ok((reply, span(self.now() - began)))
    }

    /// The texts of all lines of a function, in order.
    #[must_use]
    pub fn said(&self, function: &str) -> Vec<&str> {
        let lines = self.lines.iter().filter(|line| line.function == function);
        lines.map(|line| line.text.as_str()).collect()
    }

    pub(super) fn hand_out_messages(&mut self) -> Result<(), StageError> {
        let now = self.now();
        let Some(app) = self.app.clone() else { return Ok(()) };
        loop {
            let working = self.host.flights.values();
            let working = working.filter(|flight| matches!(flight, Flight::Work(_))).count();
            let room = AT_ONCE.saturating_sub(working);
            if room == 0 {
                return Ok(());
            }
            let messages = queue::take(&mut self.azure.lock(), room.min(BATCH), now)?;
            if messages.is_empty() {
                return Ok(());
            }
            for message in messages {
                let text = azure_core::base64::decode(&message.text).unwrap_or_default();
                let body = envelope::message(&message, &String::from_utf8_lossy(&text), now);
                self.host
                    .launch(Arc::clone(&app), "Work", vec![body], Flight::Work(message));
            }
        }
    }

    /// What the host does with what it hears of.
    pub(super) fn take_turn(&mut self, turn: Turn) -> Result<(), StageError> {
        match turn {
            Turn::Ended(ended) => self.land(ended),
            Turn::Asked(request) => {
                // Without a process the request is dropped, and the client's connection breaks.
                if let Some(app) = self.app.clone() {
                    let id = self.host.next_id();
                    let invocation = request.call.invocation(id, request.function);
                    let flight = Flight::Http(request.function, request.answer);
                    self.host.spawn(app, vec![Ok(invocation)], flight);
                }
                Ok(())
            }
        }
    }

    fn land(&mut self, ended: Ended) -> Result<(), StageError> {
        let (number, replies) = ended.map_err(not_answered)?;
        // Its process has ended meanwhile, and its trigger has been told.
        let Some(flight) = self.host.flights.remove(&number) else {
            return Ok(());
        };
        let now = self.now();
        let function = match flight {
            Flight::Events(_) => "ClusterEvents",
            Flight::Work(_) => "Work",
            Flight::Timer => "DriftTimer",
            Flight::Http(function, _) => function,
        };
        let all_done = replies.iter().all(|reply| matches!(reply, Reply::Done { .. }));
        for reply in replies.clone() {
            let (done, texts) = match reply {
                Reply::Done { logs } => (true, logs),
                Reply::Failed { reason } => (false, vec![reason]),
                Reply::Http { status, body, .. } => (status < 500, vec![body.to_string()]),
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
                Ok(())
            }
            Flight::Events(None) | Flight::Timer => Ok(()),
            Flight::Http(_, answer) => {
                // A client that has gone away takes no answer.
                let _ = replies.into_iter().next().map(|reply| answer.send(reply));
                Ok(())
            }
            Flight::Work(message) if all_done => queue::delete(&mut azure, &message, now),
            Flight::Work(message) => queue::failed(&mut azure, &message, now),
        }
    }
}

fn not_answered(error: JoinError) -> StageError {
    let text = error.to_string();
    if !error.is_panic() {
        return StageError::Aborted(text);
    }
    let panic = error.into_panic();
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    StageError::Panicked(said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or(text))
}
