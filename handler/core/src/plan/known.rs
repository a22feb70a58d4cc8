//! What a plan is told beside the estate and the configuration: the time, and what the ledger knows. It is data that the shell
//! gathers before planning, so the core asks nobody; what is missing here counts against writing.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::finding::Code;
use crate::ids::ResourceId;

/// What the clock and the ledger tell a plan.
#[derive(Clone, Debug)]
pub struct Known {
    /// Azure time of the look.
    pub now: OffsetDateTime,
    /// What is known about the age of the cluster and of the installation.
    pub age: Age,
    /// What people decided about the cluster.
    pub word: Word,
    /// The address of the firewall that is reserved for the cluster, if any.
    pub reservation: Option<Reservation>,
    /// True if the hub has looked for one and none was free.
    pub no_address: bool,
    /// True if the cluster is there again before its unwiring had ended: what is left of our peerings is a remnant of ours.
    pub returning: bool,
}

/// What is known about the age of a cluster and of the installation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Age {
    /// When Hubward was installed; `None` if the ledger has lost it.
    pub installed_at: Option<OffsetDateTime>,
    /// True if a create event of the cluster was seen after the installation.
    pub create_seen: bool,
}

/// What people decided about a cluster and its hub.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// A cluster that is older than the installation may be written all the same.
    pub enrolled: bool,
    /// The steps that were approved, see [`super::Step::digest`].
    pub approved: BTreeSet<String>,
    /// What its owner accepts.
    pub accepted: BTreeSet<Acceptance>,
    /// The cluster is to be taken off the hub and left alone.
    pub released: bool,
    /// Its hub is paused: nothing is written.
    pub paused: bool,
}

/// One thing that an owner accepts, or is asked to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Acceptance {
    /// The finding that goes away.
    pub code: Code,
    /// What exactly is accepted, for example `198.51.100.7:443/TCP`; another of the same kind is asked for anew.
    pub what: String,
}

/// A firewall address that is reserved for a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The public IP resource.
    pub address: ResourceId,
    /// Its address.
    pub ip: Ipv4Addr,
}

impl Known {
    /// Nothing but the time and the age: nobody decided anything, no address is reserved.
    #[must_use]
    pub fn at(now: OffsetDateTime, age: Age) -> Self {
        Self {
            now,
            age,
            word: Word::default(),
            reservation: None,
            no_address: false,
            returning: false,
        }
    }
}
