//! The proof: two judgements per cluster, EGRESS (all public traffic leaves from the one address) and REACH (what must be
//! reachable is). A judgement never says `Holds` from missing data: what could not be read is `Unknown` and named.

mod clients;
mod egress;
mod firewall;
mod inbound;
mod matching;
mod path;
mod reach;
mod routes;
mod security;
mod translation;

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use egress::egress;
pub use firewall::{Firewall, Flow, Verdict};
pub(crate) use inbound::{inbound_flows, leads_everybody, stopped_at_interfaces};
pub(crate) use matching::covers;
pub(crate) use path::obstacle;
pub use reach::reach;
pub(crate) use reach::{FlowVerdict, flows};
pub use routes::{Interval, NextHop, intervals};
pub(crate) use security::denies_outbound;

/// How many unknowns a person is shown; the data has them all.
const SHOWN: usize = 3;

/// What was found out about a promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "judgement", rename_all = "lowercase")]
pub enum Judgement {
    /// It is kept.
    Holds {
        /// Why, in one sentence.
        witness: String,
        /// The oldest read it rests on.
        #[serde(with = "time::serde::rfc3339")]
        oldest_read: OffsetDateTime,
    },
    /// It cannot be said.
    Unknown {
        /// What could not be read or decided.
        missing: Vec<String>,
    },
    /// It is not kept.
    Broken {
        /// The smallest counter-example.
        counter: CounterExample,
    },
}

/// A destination and the way a packet takes, hop by hop, until it leaks or stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterExample {
    /// Where the packet wanted to go.
    pub destination: String,
    /// The hops, the last one saying what goes wrong.
    pub hops: Vec<String>,
}

/// Both judgements of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// All public traffic leaves from the one address.
    pub egress: Judgement,
    /// Everything required or allowed is reachable.
    pub reach: Judgement,
}

impl Judgement {
    /// `holds`, `unknown` or `broken`: what people and scripts read.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Holds { .. } => "holds",
            Self::Unknown { .. } => "unknown",
            Self::Broken { .. } => "broken",
        }
    }

    /// True if the promise is kept.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(self, Self::Holds { .. })
    }

    /// True if `self` is a worse judgement than `before` (Holds > Unknown > Broken).
    #[must_use]
    pub fn is_worse_than(&self, before: &Self) -> bool {
        self.rank() < before.rank()
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Broken { .. } => 0,
            Self::Unknown { .. } => 1,
            Self::Holds { .. } => 2,
        }
    }

    pub(crate) fn broken(destination: impl Into<String>, hops: Vec<String>) -> Self {
        Self::Broken {
            counter: CounterExample {
                destination: destination.into(),
                hops,
            },
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds { witness, .. } => write!(f, "holds: {witness}"),
            Self::Unknown { missing } => {
                let shown = missing.len().min(SHOWN);
                write!(f, "unknown: {}", missing[..shown].join("; "))?;
                match missing.len() - shown {
                    0 => Ok(()),
                    more => write!(f, "; and {more} more"),
                }
            }
            Self::Broken { counter } => write!(f, "broken: {} ({})", counter.destination, counter.hops.join(" -> ")),
        }
    }
}
