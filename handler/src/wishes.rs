//! What an event wishes: which keys are looked at because of it. The same for an event that Event Grid brings and for one that is
//! replayed, so a replay does what the event would have done.
//!
//! It asks Azure nothing. What an event says of creation or deletion is noted with the wish and proves nothing by itself: the
//! look reads the resource again.

use hubward_core::config::Config;
use hubward_core::event::{Event, Relevance, classify};
use time::OffsetDateTime;

use crate::ledger::queue::WorkKind;
use crate::ledger::{Ledger, LedgerError};

/// What an event is to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// In words, for the log and for people.
    pub verdict: String,
    /// What is to be looked at; empty if the event is nothing to us.
    pub wishes: Vec<Wish>,
}

/// One look that is wished.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wish {
    /// The key.
    pub key: String,
    /// What is looked at.
    pub kind: WorkKind,
    /// What the event says of it.
    pub says: Says,
}

/// What an event says of the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Says {
    /// Something happened.
    Changed,
    /// It was created then.
    Created(OffsetDateTime),
    /// It, or its resource group, was deleted then.
    Deleted(OffsetDateTime),
}

/// What an event is to us under this configuration.
#[must_use]
pub fn of_event(config: &Config, event: &Event) -> Heard {
    // The time goes with the wish: with it, one answer that there is no such cluster is proof.
    let deleted = event.time.map_or(Says::Changed, Says::Deleted);
    match classify(event, config) {
        Relevance::Spoke { cluster, why } => Heard {
            verdict: format!("{why}; work is asked for"),
            wishes: vec![Wish {
                key: cluster.key(),
                kind: WorkKind::Spoke,
                says: match event.time {
                    Some(at) if event.created && event.resource == cluster => Says::Created(at),
                    Some(_) | None => Says::Changed,
                },
            }],
        },
        // Whether the cluster is gone is found out by looking, as for every other event.
        Relevance::Offboard { cluster } => Heard {
            verdict: "said to be deleted; it is looked at".to_owned(),
            wishes: vec![Wish {
                key: cluster.key(),
                kind: WorkKind::Offboard,
                says: deleted,
            }],
        },
        Relevance::Group { group } => Heard {
            verdict: "a resource group said to be deleted; its clusters are looked at".to_owned(),
            wishes: vec![Wish {
                key: group.key(),
                kind: WorkKind::Sweep,
                says: deleted,
            }],
        },
        // Most such events are echoes of our own writes; what others change is found by the sweep.
        Relevance::Network { resource } => Heard {
            verdict: format!("a change of {resource} needs no work by itself"),
            wishes: Vec::new(),
        },
        Relevance::Foreign { reason } => Heard {
            verdict: format!("not ours: {reason}"),
            wishes: Vec::new(),
        },
    }
}

/// Makes a wish. Durable when it returns.
///
/// # Errors
/// [`LedgerError`]: the wish must be made again.
pub async fn make(ledger: &Ledger, wish: &Wish, cause: &str) -> Result<(), LedgerError> {
    let (keys, kind, key) = (&ledger.keys, wish.kind, &wish.key);
    match wish.says {
        Says::Changed => keys.request(kind, key, cause).await,
        Says::Created(at) => keys.request_created(kind, key, cause, at).await,
        Says::Deleted(at) => keys.request_deleted(kind, key, cause, at).await,
    }
}
