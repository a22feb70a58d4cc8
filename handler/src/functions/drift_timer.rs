//! `DriftTimer`: wishes a sweep when its time has come.
//!
//! It looks at nothing itself: the sweep is work on a key like any other. A wish that cannot be kept fails the invocation; the
//! host does not repeat a timer [functions-host: Timer], so the next one makes up for it, and for every one that was missed.

use crate::app::App;
use crate::host::Reply;
use crate::ledger::queue::WorkKind;
use crate::work::sweep;

/// Handles one tick.
pub async fn run(app: &App) -> Reply {
    match app.ledger.keys.request(WorkKind::Sweep, sweep::ALL, "the timer").await {
        Ok(()) => {
            let line = "a sweep is asked for".to_owned();
            tracing::info!("{line}");
            Reply::Done { logs: vec![line] }
        }
        Err(error) => Reply::Failed {
            reason: format!("the sweep could not be asked for, the next tick does it: {error}"),
        },
    }
}
