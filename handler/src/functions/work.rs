//! `Work`: takes one message of the work queue and does what can be done now.
//!
//! Everything that waits is a new message with a delay, so an invocation ends in seconds and waiting is the same code as
//! recovering from a crash. A failure that may pass is tried again after a growing delay; its count is in the ledger. If the
//! ledger itself does not answer, the message is put off through the queue, so that an outage wears no message out; only a
//! message that can never be used, or a queue that is away too, fails the invocation.

use std::time::Duration;

use crate::app::App;
use crate::host::{Invocation, Reply};
use crate::ledger::LedgerError;
use crate::ledger::keys::Begin;
use crate::ledger::queue::WorkMessage;
use crate::work::{Next, look};

/// When to try again after the ledger did not answer.
const OUTAGE: Duration = Duration::from_secs(60);

/// Handles one invocation, which carries one message.
pub async fn run(app: &App, invocation: &Invocation) -> Reply {
    let message = match invocation.json("message").map(|value| WorkMessage::from_json(&value)) {
        Ok(Ok(message)) => message,
        Ok(Err(error)) => return noted(format!("dropped: {error}")),
        Err(error) => return noted(format!("dropped: {error}")),
    };
    match handle(app, &message).await {
        Ok(line) => noted(line),
        Err(error) => put_off(app, &message, &error).await,
    }
}

/// Storage that is away comes back: the message waits in the queue, whose count of tries would else end in the poison queue.
async fn put_off(app: &App, message: &WorkMessage, error: &LedgerError) -> Reply {
    let failed = |more: &str| Reply::Failed {
        reason: format!("{}: {error}{more}", message.key),
    };
    if !error.may_pass() {
        return failed("");
    }
    match app.ledger.keys.postpone(message, OUTAGE).await {
        Ok(()) => noted(format!(
            "{}: {error}; tries again in {} s",
            message.key,
            OUTAGE.as_secs()
        )),
        Err(queue) => failed(&format!(", and {queue}")),
    }
}

async fn handle(app: &App, message: &WorkMessage) -> Result<String, LedgerError> {
    let name = message.key.rsplit('/').next().unwrap_or_default().to_owned();
    let mut lease = match app.ledger.keys.begin(message).await? {
        Begin::Idle => return Ok(format!("{name}: nothing is owed")),
        Begin::Busy => return Ok(format!("{name}: somebody else is at work")),
        Begin::Lease(lease) => *lease,
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
