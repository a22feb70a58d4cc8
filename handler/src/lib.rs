//! Hubward: wires every AKS cluster to a hub network, so that a whole company leaves from one IP address.
//!
//! The decisions are in `hubward-core`; this crate reads Azure, keeps the ledger, writes what the plan says, and speaks
//! with the Functions host and with people.

pub mod app;
pub mod apply;
pub mod arm;
pub mod cli;
pub mod clock;
pub mod environment;
pub mod functions;
pub mod host;
pub mod identity;
pub mod ledger;
pub mod logging;
pub mod observe;
pub mod package;
pub mod replay;
#[cfg(feature = "local")]
pub mod stage;
pub mod status;
pub mod transport;
pub mod wishes;
pub mod work;
