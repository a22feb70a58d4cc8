//! Event Grid: what an ended operation tells the world, and how it gets there at least once.

mod outbox;
mod schema;

pub(crate) use outbox::Outbox;
pub use outbox::{Delivery, DeliveryId, DeliveryOutcome, EventSchema, EventSubscription, Undelivered};
pub(crate) use schema::{EventDraft, EventSource};
