//! What a hub and its spokes should look like, and how to get there without cutting anyone off.
//!
//! The core is pure: it reads no clock, no environment, no file and no network, and gives the same answer in the same
//! order for the same input. The shell reads Azure into an [`estate`], the core answers with a [`plan`], the shell
//! writes it:
//!
//! ```text
//! estate (as read) + config --> blueprint (should exist) --> plan (ordered steps) --> guard (proof after each step)
//! ```

pub mod blueprint;
pub mod catalogue;
pub mod config;
pub mod estate;
pub mod event;
pub mod explain;
pub mod finding;
pub mod ids;
pub mod names;
pub mod plan;
pub mod proof;
