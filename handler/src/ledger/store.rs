//! What the ledger needs from a blob container: conditional writes, listings and leases.
//!
//! The seam between the ledger's rules and the wire: [`super::blobs::Blobs`] is the one implementation in production, and
//! tests put an in-memory one under the same rules to drive every interleaving. A conflict is an answer, not an error.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::Etag;
use bytes::Bytes;

use super::error::LedgerError;

/// When a write may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    Any,
    /// Only over this version.
    IfMatch(Etag),
    /// Only if there is nothing.
    IfAbsent,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It is stored, under this version.
    Stored(Etag),
    /// The condition did not hold; nothing changed.
    Conflict,
}

/// What became of asking for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquire {
    /// It is ours, under this id.
    Acquired(String),
    /// Someone holds it.
    Held,
    /// There is no blob of that name to lease.
    Absent,
}

/// A container of named blobs.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// The content and version, or `None`.
    async fn get(&self, name: &str) -> Result<Option<(Bytes, Etag)>, LedgerError>;

    /// Writes the whole content under a condition.
    async fn put(&self, name: &str, content: Bytes, condition: Condition) -> Result<Put, LedgerError>;

    /// Deletes; false if there was nothing.
    async fn delete(&self, name: &str) -> Result<bool, LedgerError>;

    /// All names that begin with `prefix`, in order.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, LedgerError>;

    /// Asks for the lease of an existing blob; `duration` is 15 to 60 Azure seconds, whole.
    async fn acquire(&self, name: &str, duration: Duration) -> Result<Acquire, LedgerError>;

    /// Starts the lease's duration anew; false if it is no longer ours.
    async fn renew(&self, name: &str, lease: &str) -> Result<bool, LedgerError>;

    /// Gives the lease back; false if it was no longer ours.
    async fn release(&self, name: &str, lease: &str) -> Result<bool, LedgerError>;
}
