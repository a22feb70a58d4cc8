//! `Work`: takes one message of the work queue and does what can be done now.
//!
//! Everything that waits is a new message with a delay, so an invocation ends in seconds and waiting is the same code as
//! recovering from a crash. A failure that may pass is tried again after a growing delay; its count is in the ledger and
//! the message never fails, so nothing drifts into the poison queue.

use crate::app::App;
use crate::host::{Invocation, Reply};
use crate::ledger::LedgerError;
use crate::ledger::keys::Begin;
use crate::ledger::queue::WorkMessage;
use crate::work::{Next, look};

/// Handles one invocation, which carries one message.
pub async fn run(app: &App, invocation: &Invocation) -> Reply {
    let message = match invocation.json("message").map(|value| WorkMessage::from_json(&value)) {
        Ok(Ok(message)) => message,
        Ok(Err(error)) => return noted(format!("dropped: {error}")),
        Err(error) => return noted(format!("dropped: {error}")),
    };
    match handle(app, &message).await {
        Ok(line) => noted(line),
        Err(error) => Reply::Failed {
            reason: format!("{}: {error}", message.key),
        },
    }
}

async fn handle(app: &App, message: &WorkMessage) -> Result<String, LedgerError> {
    let name = message.key.rsplit('/').next().unwrap_or_default().to_owned();
    let mut lease = match app.ledger.keys.begin(message).await? {
        Begin::Idle => return Ok(format!("{name}: nothing is owed")),
        Begin::Busy => return Ok(format!("{name}: somebody else is at work")),
        Begin::Lease(lease) => lease,
    };
    match look(app, &mut lease).await {
        Next::Settled { line } => {
            app.ledger.keys.finish(lease).await?;
            Ok(format!("{name}: {line}"))
        }
        Next::Wait { after, line } => {
            app.ledger.keys.wait(lease, after, &line).await?;
            Ok(format!("{name}: {line}; looks again in {} s", after.as_secs()))
        }
        Next::Retry { first, line } => {
            let after = app.ledger.keys.retry(lease, first, &line).await?;
            Ok(format!("{name}: {line}; tries again in {} s", after.as_secs()))
        }
    }
}

fn noted(line: String) -> Reply {
    tracing::info!("{line}");
    Reply::Done { logs: vec![line] }
}
