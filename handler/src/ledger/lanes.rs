//! Lanes: what takes one write at a time, a firewall policy with its firewalls, or a VNet.
//!
//! A lane's lease keeps our own invocations from writing side by side; it does not stop other writers, whose traces Azure
//! Resource Manager's own answers show. A held lane is an answer, not an error: the caller waits by a delayed message.

use std::time::Duration;

use time::OffsetDateTime;

use super::error::LedgerError;
use super::leases::{Lease, Leases};

/// A lane we may write to while [`LaneLease::remaining`] is long enough.
#[derive(Debug, PartialEq, Eq)]
pub struct LaneLease {
    lane: String,
    lease: Lease,
}

impl LaneLease {
    /// The lane's key.
    #[must_use]
    pub fn lane(&self) -> &str {
        &self.lane
    }

    /// How long the lane is certainly ours from `now`, in Azure seconds.
    #[must_use]
    pub fn remaining(&self, now: OffsetDateTime) -> Duration {
        self.lease.remaining(now)
    }
}

/// Hands out lanes.
#[derive(Debug, Clone)]
pub struct Lanes {
    leases: Leases,
}

impl Lanes {
    /// Lanes guarded by leases.
    #[must_use]
    pub fn new(leases: Leases) -> Self {
        Self { leases }
    }

    /// The lane of a key (a lower-cased resource id), or `None` while someone writes there.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    pub async fn enter(&self, lane: &str) -> Result<Option<LaneLease>, LedgerError> {
        let lease = self.leases.acquire("lanes", lane).await?;
        Ok(lease.map(|lease| LaneLease {
            lane: lane.to_owned(),
            lease,
        }))
    }

    /// Stays in the lane for another 60 Azure seconds; false if it was lost.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    pub async fn renew(&self, lane: &mut LaneLease) -> Result<bool, LedgerError> {
        self.leases.renew(&mut lane.lease).await
    }

    /// Leaves the lane to others.
    ///
    /// # Errors
    /// [`LedgerError::Storage`]; the lane is then free when the lease's time is over.
    pub async fn leave(&self, lane: LaneLease) -> Result<(), LedgerError> {
        self.leases.release(lane.lease).await.map(|_| ())
    }
}
