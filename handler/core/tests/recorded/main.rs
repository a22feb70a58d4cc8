//! What Azure really sent, read by the core: ids and events, managed clusters, documents of the network.
//!
//! The recordings lie where `HUBWARD_SHARED` points; without it the tests have nothing to judge and say so in the evidence.
//! With it, a test that found nothing to judge fails.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod clusters;
mod files;
mod ids;
mod network;
mod rules;
#[path = "../world/mod.rs"]
mod world;
