//! The rig of the scenario tests: the product, a simulated Azure and the part of a Functions host in one process, in virtual
//! time. It builds the product's `App` from its public parts and replaces only what is outside of it: transport, token and
//! clock. The same seed gives the same run; a failure prints its seed.

pub mod rig;

pub use rig::{Cluster, Crash, Rig, Setup};
