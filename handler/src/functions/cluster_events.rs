//! `ClusterEvents`: takes what Event Grid tells, keeps it, asks for the work, and answers.
//!
//! It makes no ARM call, so it answers in milliseconds. What it cannot read or what is not ours is answered like a handled
//! event, with the reason in the log, because sending it again would not mend it; only a failure of the ledger is answered
//! with an error, so that Event Grid brings the event again.

use hubward_core::config::Config;
use hubward_core::event::{Event, MAX_EVENTS, Malformed, Relevance, Schema, classify, decode_all, redacted};
use hubward_core::ids::ResourceId;
use serde_json::Value;

use crate::app::App;
use crate::host::{Invocation, Reply};
use crate::ledger::LedgerError;
use crate::ledger::archive::ArchivedEvent;
use crate::ledger::queue::WorkKind;

/// Handles one invocation, which carries one event or several.
pub async fn run(app: &App, invocation: &Invocation) -> Reply {
    let config = match &app.config {
        Ok(config) => config,
        Err(error) => {
            return Reply::Failed {
                reason: format!("the configuration cannot be used: {error}"),
            };
        }
    };
    let payload = match invocation.json("event") {
        Ok(payload) => payload,
        Err(error) => return noted(format!("dropped: {error}")),
    };
    let bodies = match payload {
        Value::Array(bodies) if bodies.len() > MAX_EVENTS => return noted(dropped(&Malformed::TooMany(bodies.len()))),
        Value::Array(bodies) => bodies,
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => vec![other],
    };
    let mut logs = Vec::new();
    for body in &bodies {
        match decode_all(body) {
            Ok(events) => {
                for event in events {
                    match take(app, config, event, body).await {
                        Ok(line) => logs.push(line),
                        Err(error) => {
                            return Reply::Failed {
                                reason: format!("the event could not be kept, it must come again: {error}"),
                            };
                        }
                    }
                }
            }
            Err(malformed) => logs.push(dropped(&malformed)),
        }
    }
    for line in &logs {
        tracing::info!("{line}");
    }
    Reply::Done { logs }
}

/// Keeps one event and asks for its work; answers with the line for the log.
async fn take(
    app: &App,
    config: &Config,
    event: Result<Event, Malformed>,
    body: &Value,
) -> Result<String, LedgerError> {
    let event = match event {
        Ok(event) => event,
        Err(malformed) => return Ok(dropped(&malformed)),
    };
    let name = event.resource.name().to_owned();
    match classify(&event, config) {
        Relevance::Spoke { cluster, why } => {
            keep(app, &event, body).await?;
            request(app, &cluster, &event).await?;
            Ok(format!("{name}: {why}; work is asked for"))
        }
        // Whether the cluster is gone is found out by looking, as for every other event.
        Relevance::Offboard { cluster } => {
            keep(app, &event, body).await?;
            request_deleted(app, WorkKind::Offboard, &cluster, &event).await?;
            Ok(format!("{name}: said to be deleted; it is looked at"))
        }
        Relevance::Group { group } => {
            keep(app, &event, body).await?;
            request_deleted(app, WorkKind::Sweep, &group, &event).await?;
            Ok(format!(
                "{name}: a resource group said to be deleted; its clusters are looked at"
            ))
        }
        Relevance::Network { resource } => Ok(format!("{name}: a change of {resource} needs no work by itself")),
        Relevance::Foreign { reason } => Ok(format!("{name}: not ours: {reason}")),
    }
}

async fn keep(app: &App, event: &Event, body: &Value) -> Result<(), LedgerError> {
    let now = app.clock.now();
    let source = match event.source_schema {
        Schema::EventGrid => body.get("topic"),
        Schema::CloudEvents => body.get("source"),
    };
    let archived = ArchivedEvent {
        id: event.id.clone(),
        source: source.and_then(Value::as_str).unwrap_or_default().to_owned(),
        happened_at: event.time.unwrap_or(now),
        received_at: now,
        body: redacted(body),
    };
    app.ledger.archive.keep(&archived).await.map(|_| ())
}

async fn request(app: &App, cluster: &ResourceId, event: &Event) -> Result<(), LedgerError> {
    let cause = format!("event {}", event.id);
    let (keys, key) = (&app.ledger.keys, cluster.key());
    match event.time {
        Some(at) if event.created && event.resource == *cluster => {
            keys.request_created(WorkKind::Spoke, &key, &cause, at).await
        }
        Some(_) | None => keys.request(WorkKind::Spoke, &key, &cause).await,
    }
}

/// The time goes with the wish: with it, one answer that there is no such cluster is proof.
async fn request_deleted(app: &App, kind: WorkKind, id: &ResourceId, event: &Event) -> Result<(), LedgerError> {
    let cause = format!("event {}", event.id);
    let (keys, key) = (&app.ledger.keys, id.key());
    match event.time {
        Some(at) => keys.request_deleted(kind, &key, &cause, at).await,
        None => keys.request(kind, &key, &cause).await,
    }
}

fn dropped(malformed: &Malformed) -> String {
    format!("dropped: {malformed}")
}

fn noted(line: String) -> Reply {
    tracing::warn!("{line}");
    Reply::Done { logs: vec![line] }
}
