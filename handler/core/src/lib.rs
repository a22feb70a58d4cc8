//! What a hub and its spokes should look like, and how to get there without cutting anyone off.
//!
//! The core is pure: it reads no clock, no environment, no file and no network, and gives the same answer in the same
//! order for the same input. The shell reads Azure into an [`estate`], the core answers with a plan, the shell writes it.

pub mod ids;
