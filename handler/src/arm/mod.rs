//! Azure Resource Manager as this product needs it: read, list, write and poll documents that stay `serde_json::Value`.
//!
//! A call lasts one request and a few short retries; nothing in here waits for a long-running operation or for a throttled
//! subscription. Such waits come back as an [`Operation`] or an [`ArmError`] with a duration, and the caller puts them on the
//! queue. Under failure every error keeps ARM's own words and says, by [`ArmError::class`], what helps.

mod client;
mod codes;
mod errors;
mod fault;
mod graph;
mod loopback;
mod operation;
mod send;
#[cfg(test)]
mod tests;
mod throttle;
mod trust;

pub use client::{Arm, ArmDeps, MAX_PAGES, Read};
pub use errors::{ArmError, Class};
pub use fault::{ArmFault, FaultDetail};
pub use graph::MAX_ROWS;
pub use hubward_core::estate::Absence;
pub use loopback::{Loopback, LoopbackError};
pub use operation::{Operation, PollStyle, Progress, WriteMethod, Written};
