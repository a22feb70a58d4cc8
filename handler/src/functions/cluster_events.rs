//! `ClusterEvents`: takes what Event Grid tells, keeps it, asks for the work, and answers.
//!
//! It makes no ARM call, so it answers in milliseconds. What it cannot read or what is not ours is answered like a handled
//! event, with the reason in the log, because sending it again would not mend it; only a failure of the ledger is answered
//! with an error, so that Event Grid brings the event again.

use hubward_core::config::Config;
use hubward_core::event::{Event, MAX_EVENTS, Malformed, decode_all};
use serde_json::Value;

use crate::app::App;
use crate::host::{Invocation, Reply};
use crate::ledger::LedgerError;
use crate::ledger::archive::ArchivedEvent;
use crate::wishes;

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
    let heard = wishes::of_event(config, &event);
    if !heard.wishes.is_empty() {
        let archived = ArchivedEvent::of(&event, body, app.clock.now());
        app.ledger.archive.keep(&archived).await?;
    }
    for wish in &heard.wishes {
        wishes::make(&app.ledger, wish, &format!("event {}", event.id)).await?;
    }
    Ok(format!("{}: {}", event.resource.name(), heard.verdict))
}

fn dropped(malformed: &Malformed) -> String {
    format!("dropped: {malformed}")
}

fn noted(line: String) -> Reply {
    tracing::warn!("{line}");
    Reply::Done { logs: vec![line] }
}
