//! Azure Resource Manager: what every kind has in common. Routing, operations, errors, headers, throttling.
//! What one kind means by a write is in `kinds`.

pub(crate) mod auth;
pub(crate) mod completion;
pub(crate) mod deletes;
pub(crate) mod errors;
mod groups;
pub(crate) mod headers;
pub(crate) mod kql;
pub(crate) mod lanes;
pub(crate) mod latency;
pub(crate) mod operations;
pub(crate) mod queries;
pub(crate) mod reads;
pub(crate) mod request;
pub(crate) mod router;
pub(crate) mod throttle;
pub(crate) mod writes;
