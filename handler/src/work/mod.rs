//! One look at one key: the single path that event, timer, replay and command line share.
//!
//! ```text
//! resume operations -> observe -> plan (blueprint, gates, guard) -> apply what can start -> ledger -> what next
//! ```
//!
//! A look never waits for Azure. It ends with [`Next`]: settled, look again after a pause, or try again after a failure.

mod addresses;
mod course;
mod drift;
mod failure;
mod hub;
mod offboard;
mod outcome;
mod spoke;
pub mod sweep;

use std::time::Duration;

use crate::app::App;
use crate::ledger::keys::{FIRST_RETRY, KeyLease};
use crate::ledger::queue::WorkKind;

pub(crate) use course::{Sighted, Sources, Surveyed};
pub use drift::Drift;
pub(crate) use failure::Failure;
pub(crate) use hub::asked_of;
pub use outcome::{Capacity, Held, HubReport, HubState, Place, Report};

/// For how long a look begins further steps; then it leaves the rest to the next one. The host would end an invocation that
/// lasts for minutes, and everything it holds with it.
const LOOK: Duration = Duration::from_secs(45);

/// What the log says of a look that only the first sweep wished.
const LOOKED: &str = "looked at only, because the first sweep writes nothing";

/// What comes after a look. Durations are Azure seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing is left to do until somebody asks again.
    Settled {
        /// One line for the log.
        line: String,
    },
    /// Azure or another worker is at it.
    Wait {
        /// When to look again.
        after: Duration,
        /// One line for the log.
        line: String,
    },
    /// It failed in a way that may pass or that a person may mend.
    Retry {
        /// The delay after a first failure; it doubles with each further one.
        first: Duration,
        /// One line for the log.
        line: String,
    },
}

/// Looks at the key once and does what can be done now. What went wrong is in the ledger and in the answer.
pub async fn look(app: &App, lease: &mut KeyLease) -> Next {
    let config = match &app.config {
        Ok(config) => config,
        Err(error) => {
            return Next::Retry {
                first: FIRST_RETRY,
                line: format!("the configuration cannot be used: {error}"),
            };
        }
    };
    tracing::info!(key = lease.key, cause = lease.cause, "looking");
    let deadline = app.clock.now() + LOOK;
    let looked = match lease.kind {
        WorkKind::Spoke | WorkKind::Offboard => spoke::look(app, config, lease, deadline).await,
        WorkKind::Hub => hub::look(app, config, lease, deadline).await,
        WorkKind::Sweep => sweep::look(app, config, lease, deadline).await,
    };
    match looked {
        Ok(next) => next,
        Err(failure) => failure::record(app, lease, failure).await,
    }
}
