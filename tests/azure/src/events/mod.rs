//! Event Grid: what an ended operation tells the world, and how it gets there at least once.

mod control;
mod dead_letter;
mod outbox;
mod schema;

pub use control::EmittedEvent;
pub(crate) use outbox::Outbox;
pub use outbox::{Delivery, DeliveryId, DeliveryOutcome, EventSchema, EventSubscription, Undelivered};
pub(crate) use schema::{EventDraft, EventSource};
