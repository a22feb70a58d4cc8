//! Why a run on the stage cannot go on: one kind for each cause, with what was going on where that helps.

use std::time::Duration;

use hubward_core::config::ConfigError;
use time::OffsetDateTime;

use crate::ledger::{LedgerError, SettingsError};

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Work that waits for ever, or retries without end.
    #[error("no rest after {} hours; owed: {owed:?}; last lines: {lines:#?}", .after.as_secs() / 3600)]
    NoRest {
        /// For how long the run was watched, in virtual time.
        after: Duration,
        /// The keys that want something that is not done.
        owed: Vec<String>,
        /// What the functions said last.
        lines: Vec<String>,
    },
    /// A lost wake-up: something is wanted and no message will ever bring it.
    #[error("nothing is queued, but this is owed: {owed:?}; last lines: {lines:#?}")]
    Owed {
        /// The keys that want something that is not done.
        owed: Vec<String>,
        /// What the functions said last.
        lines: Vec<String>,
    },
    /// What was waited for did not come about, and nothing is under way that could bring it.
    #[error("it never came to this: {what}; last lines: {lines:#?}")]
    NeverCame {
        /// What was waited for.
        what: String,
        /// What the functions said last.
        lines: Vec<String>,
    },
    /// The ledger does not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The connection string of the simulated account is refused.
    #[error("the connection string is refused: {0}")]
    Storage(#[from] SettingsError),
    /// The configuration is wrong, and a command needs one.
    #[error("the configuration cannot be used: {0}")]
    Configuration(#[from] ConfigError),
    /// ARM's address is not a URL.
    #[error("ARM's address is wrong: {0}")]
    Endpoint(#[from] url::ParseError),
    /// Something was asked of the app while none was running.
    #[error("{0} while no app was running")]
    NoApp(&'static str),
    /// Event Grid sent something that is no JSON.
    #[error("Event Grid sent no JSON: {0}")]
    Delivery(#[from] serde_json::Error),
    /// The stand-in for the host could not make a request of its own.
    #[error("the host made no request: {0}")]
    Request(#[from] http::Error),
    /// A function panicked.
    #[error("an invocation panicked: {0}")]
    Panicked(String),
    /// An invocation ended without an answer though nobody ended its process.
    #[error("an invocation was aborted: {0}")]
    Aborted(String),
    /// Azure has no such resource.
    #[error("there is no {0}")]
    Absent(String),
    /// A document of Azure's is not as Azure writes it.
    #[error("{id}: {what}")]
    Unreadable {
        /// The resource.
        id: String,
        /// What is wrong with it.
        what: String,
    },
}

/// A line of a function's log with its time of day, for the messages above.
pub(super) fn line(at: OffsetDateTime, function: &str, text: &str) -> String {
    format!("{} {function}: {text}", at.time())
}
