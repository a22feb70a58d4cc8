//! What Event Grid tells: decoded from both of its schemas, and judged as to what it is to us.
//!
//! An event is a hint and can be forged, late, doubled or out of order, so nothing of it is acted on but the resource's id
//! and the kind of change; the resource is read again before anything happens. Whatever cannot be read is [`Malformed`] with
//! the reason, never a panic, and whatever is not ours is [`Relevance::Foreign`] with the reason.

mod classify;
mod decode;
mod redact;

use serde::Serialize;
use time::OffsetDateTime;

use crate::ids::{IdError, ResourceId};

pub use classify::{Relevance, classify};
pub use decode::{MAX_EVENTS, MAX_TEXT, decode, decode_all};
pub use redact::redacted;

/// One event of a subscription or resource group, whichever schema it came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The event's own id; a repeated delivery has the same one.
    pub id: String,
    /// The schema it came in.
    pub source_schema: Schema,
    /// What happened.
    pub kind: EventKind,
    /// The ARM operation, for example `Microsoft.ContainerService/managedClusters/write`, in the casing it came in.
    pub operation: String,
    /// How the operation ended; only `Succeeded` is acted on.
    pub status: String,
    /// The resource that was written, deleted or acted on.
    pub resource: ResourceId,
    /// The resource's subscription.
    pub subscription: String,
    /// The tenant, if told.
    pub tenant: Option<String>,
    /// When Azure says it happened; none if it cannot be read. Decides nothing, because order is not kept.
    #[serde(with = "time::serde::rfc3339::option")]
    pub time: Option<OffsetDateTime>,
    /// The object id of whoever asked for the change, if told; the other claims are never kept.
    pub caller_object_id: Option<String>,
    /// What binds the events of one deployment together, if told.
    pub correlation: Option<String>,
    /// True if a write probably made the resource: Azure sends `httpRequest` for updates and deletions only.
    pub created: bool,
}

/// The schema an event came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Schema {
    /// Event Grid's own.
    EventGrid,
    /// CloudEvents 1.0.
    CloudEvents,
}

/// What happened to the resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// `Microsoft.Resources.ResourceWriteSuccess`: made or changed, after the whole long operation.
    WriteSuccess,
    /// `Microsoft.Resources.ResourceDeleteSuccess`: deleted.
    DeleteSuccess,
    /// `Microsoft.Resources.ResourceActionSuccess`: acted on, for example started.
    ActionSuccess,
    /// Any other event type, as it was written.
    Other(String),
}

/// Why something is not an event. It is answered like a handled one, since sending it again would not mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A text that should hold JSON does not.
    #[error("the event is a text that is not JSON ({0}); Event Grid sends JSON objects")]
    NotJson(String),
    /// JSON of another type than an object.
    #[error("the event is {0}, not an object; Event Grid sends JSON objects")]
    NotAnObject(&'static str),
    /// Neither of the two schemas.
    #[error(
        "the event has neither eventType nor specversion 1.x; subscribe with the Event Grid schema or CloudEvents 1.0"
    )]
    UnknownSchema,
    /// A field that is needed is not there.
    #[error("the event has no {0}; it is not from Azure Resource Manager")]
    Missing(&'static str),
    /// A field that should be text is something else.
    #[error("the event's {field} is {found}, not a text; it is not from Azure Resource Manager")]
    NotText {
        /// The field.
        field: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A field, or the whole, is longer than any real one.
    #[error("the event's {field} has {length} characters, more than {most}; it is dropped unread")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The longest that is read.
        most: usize,
    },
    /// More events in one delivery than Event Grid ever sends.
    #[error("the delivery holds {0} events, more than {MAX_EVENTS}; set a smaller batch on the event subscription")]
    TooMany(usize),
    /// The resource is not an ARM id.
    #[error("the event names no Azure resource: {0}")]
    Resource(#[from] IdError),
    /// The parts of the event contradict each other, as those of a forged one may.
    #[error("the event says subscription {said:?} but its resource is {resource}; it is not believed")]
    Contradiction {
        /// The subscription that it says.
        said: String,
        /// The resource that it names.
        resource: ResourceId,
    },
}

#[cfg(test)]
mod tests;
