//! The queue trigger: connection, REST client, listener and what becomes of each message.

mod backoff;
mod connection;
mod listener;
mod message;
mod signature;
mod storage;

use std::time::Duration;

pub(crate) use connection::Connection;
pub(crate) use listener::Listener;
pub(crate) use storage::QueueClient;

/// `QueuePollingIntervals.Minimum`, Azure time.
pub(crate) const MIN_POLLING_INTERVAL: Duration = Duration::from_millis(100);
