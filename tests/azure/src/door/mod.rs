//! Doors: how somebody outside reaches an [`crate::Azure`]. Virtual time needs none: call `handle()` in process.

pub mod clock;
pub mod loopback;
