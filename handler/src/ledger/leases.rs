//! Leases: who may work on something, for 60 Azure seconds at a time.
//!
//! A lease lies on a small blob of its own under `leases/`, never on a document, because a leased blob refuses the writes
//! of everyone else and requesters must always get through. It cannot fence Azure Resource Manager: the holder checks
//! [`Lease::remaining`] before each write. A holder that dies keeps others out until the lease ends, and no longer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;

use super::documents::digest;
use super::error::LedgerError;
use super::store::{Acquire, Condition, Store};
use crate::clock::Clock;

/// How long a lease lasts; storage takes 15 to 60 s.
pub const DURATION: Duration = Duration::from_secs(60);

/// A lease we hold, until its time is over or someone broke it.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    name: String,
    id: String,
    /// When it ends at the earliest, in Azure's time: counted from before it was asked for.
    ends_at: OffsetDateTime,
}

impl Lease {
    /// How long it certainly lasts from `now`; zero if it may have ended.
    #[must_use]
    pub fn remaining(&self, now: OffsetDateTime) -> Duration {
        Duration::try_from(self.ends_at - now).unwrap_or(Duration::ZERO)
    }
}

/// Takes leases by the kind and name of what they guard.
#[derive(Debug, Clone)]
pub struct Leases {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Leases {
    /// Leases in a store, timed by a clock.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// The lease of `subject` among its kind (`keys`, `lanes`), or `None` while someone holds it.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    pub async fn acquire(&self, kind: &str, subject: &str) -> Result<Option<Lease>, LedgerError> {
        let name = format!("leases/{kind}/{}", digest(subject));
        if let Some(answer) = self.try_acquire(&name).await? {
            return Ok(answer);
        }
        // The first lease of this subject: make its blob. If another one was faster, that blob serves as well.
        self.store
            .put(&name, Bytes::copy_from_slice(subject.as_bytes()), Condition::IfAbsent)
            .await?;
        Ok(self.try_acquire(&name).await?.flatten())
    }

    /// Starts the lease's time anew; false if it was lost, and then it must not be used any more.
    ///
    /// # Errors
    /// [`LedgerError::Storage`]; the lease keeps its old end then.
    pub async fn renew(&self, lease: &mut Lease) -> Result<bool, LedgerError> {
        let asked_at = self.clock.now();
        let renewed = self.store.renew(&lease.name, &lease.id).await?;
        lease.ends_at = if renewed { asked_at + DURATION } else { asked_at };
        Ok(renewed)
    }

    /// Gives a lease back; false if it was already lost.
    ///
    /// # Errors
    /// [`LedgerError::Storage`]; the lease then ends by its time.
    pub async fn release(&self, lease: Lease) -> Result<bool, LedgerError> {
        self.store.release(&lease.name, &lease.id).await
    }

    /// Outer `None`: there is no blob to lease. Inner `None`: someone holds it.
    async fn try_acquire(&self, name: &str) -> Result<Option<Option<Lease>>, LedgerError> {
        let asked_at = self.clock.now();
        Ok(match self.store.acquire(name, DURATION).await? {
            Acquire::Acquired(id) => Some(Some(Lease {
                name: name.to_owned(),
                id,
                ends_at: asked_at + DURATION,
            })),
            Acquire::Held => Some(None),
            Acquire::Absent => None,
        })
    }
}
