//! The functions, one file per function folder, and the app that they share.
//!
//! Everything an invocation needs is in [`App`]; there are no process statics and no detached tasks, so dropping the app is
//! what a crash is.

pub mod cluster_events;
pub mod work;

use std::sync::Arc;

use async_trait::async_trait;
use hubward_core::config::{Config, ConfigError};

use crate::arm::Arm;
use crate::clock::Clock;
use crate::host::{Functions, Invocation, Reply};
use crate::ledger::Ledger;

/// What the functions share.
pub struct App {
    /// The configuration, or the one line that says what is wrong with it: the app runs and waits for a good one.
    pub config: Result<Config, ConfigError>,
    /// Azure.
    pub arm: Arm,
    /// The durable record.
    pub ledger: Ledger,
    /// Azure time.
    pub clock: Arc<dyn Clock>,
}

/// The function names, as their folders are called.
pub const NAMES: [&str; 2] = ["ClusterEvents", "Work"];

#[async_trait]
impl Functions for App {
    async fn invoke(&self, invocation: Invocation) -> Reply {
        match invocation.function.as_str() {
            "ClusterEvents" => cluster_events::run(self, &invocation).await,
            "Work" => work::run(self, &invocation).await,
            other => Reply::Failed {
                reason: format!("there is no function {other}"),
            },
        }
    }

    fn names(&self) -> &[&'static str] {
        &NAMES
    }
}
