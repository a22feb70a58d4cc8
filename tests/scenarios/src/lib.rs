//! The scenario tests' front of the stage: the same product, simulated Azure and host in one process and in virtual time, with
//! methods that fail the test. A failure prints the seed, the virtual time and what the run is about.

pub mod rig;

pub use hubward::stage::{Cluster, Crash, Setup};
pub use rig::Rig;
