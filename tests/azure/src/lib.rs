//! A simulated Azure: a passive state machine with the habits of the real one.
//!
//! ```text
//!   your test, virtual time                     the product, scaled wall clock
//!        |  handle(service, request, now)            |  http on 127.0.0.1
//!        v                                           v
//!   +---------+   next_event()   +-----------------------------+
//!   |  Azure  | <--------------- | door::loopback (axum, task) |
//!   |         | advance(to) ---> |   POSTs deliveries          |
//!   +---------+   delivered()    +-----------------------------+
//!     | arm/     tokens, quota, lanes, operations, errors
//!     | kinds/   what each ARM kind makes of a write
//!     | services/  Kubernetes services as load balancer frontends
//!     | events/  Event Grid: both schemas, retries, dead letters
//!     | world/   what exists at the start
//! ```
//!
//! A test in virtual time:
//! ```
//! use azure_sim::{Azure, ClusterSpec, OffsetDateTime, World};
//! let mut azure = Azure::new(World::one_hub(), 7, OffsetDateTime::UNIX_EPOCH);
//! let id = azure.create_cluster(&ClusterSpec::usual("shop", 1), OffsetDateTime::UNIX_EPOCH);
//! while let Some(next) = azure.next_event() {
//!     azure.advance(next);
//! }
//! assert_eq!(azure.document(&id).unwrap()["properties"]["provisioningState"], "Succeeded");
//! ```
//!
//! Every behaviour names its evidence in a comment; `[?]` marks what no capture shows. It depends on no hubward
//! crate, so simulator and product cannot share a mistake.

mod arm;
mod azure;
mod directory;
pub mod documents;
pub mod door;
mod draws;
pub mod events;
pub mod faults;
mod identity;
pub mod ids;
pub mod internet;
mod kinds;
mod person;
mod render;
mod services;
pub mod storage;
mod store;
mod trace;
pub mod walk;
pub mod world;

pub use arm::throttle::{BucketSize, ThrottleLimits};
pub use azure::{Azure, Service};
pub use documents::Documents;
pub use events::{Delivery, DeliveryId, DeliveryOutcome, EmittedEvent, EventSchema, EventSubscription, Undelivered};
pub use faults::{Fault, FaultEffect, NoAnswer};
pub use internet::Internet;
pub use services::{Exposure, Frontend, PendingService};
pub use time::OffsetDateTime;
pub use trace::{Call, CallKind, Counters, Principal};
pub use world::{
    ClusterIdentity, ClusterPlace, ClusterSpec, EventHabits, Grant, HubIds, NetworkPlugin, NodePool, NodeSubnet,
    OutboundType, OwnTable, World,
};
