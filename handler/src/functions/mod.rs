//! The functions, one file per function folder. Each decodes what the host sends and hands it on; what the work is, is
//! elsewhere.

pub mod cluster_events;
pub mod command;
pub mod drift_timer;
pub mod replay;
pub mod status;
pub mod work;

use async_trait::async_trait;

use crate::app::App;
use crate::host::{Functions, Invocation, Reply};

/// The function names, as their folders are called.
pub const NAMES: [&str; 6] = ["ClusterEvents", "Command", "DriftTimer", "Replay", "Status", "Work"];

/// Those that a client calls over HTTP, with a function key.
pub const HTTP_NAMES: [&str; 3] = ["Command", "Replay", "Status"];

#[async_trait]
impl Functions for App {
    async fn invoke(&self, invocation: Invocation) -> Reply {
        match invocation.function.as_str() {
            "ClusterEvents" => cluster_events::run(self, &invocation).await,
            "Command" => command::run(self, &invocation).await,
            "DriftTimer" => drift_timer::run(self).await,
            "Replay" => replay::run(self, &invocation).await,
            "Status" => status::run(self, &invocation).await,
            "Work" => work::run(self, &invocation).await,
            other => Reply::Failed {
                reason: format!("there is no function {other}"),
            },
        }
    }

    fn names(&self) -> &[&'static str] {
        &NAMES
    }

    fn http_names(&self) -> &[&'static str] {
        &HTTP_NAMES
    }
}
