//! The plan: ordered steps from estate to blueprint, as complete and immutable data.
//!
//! No choice is left to apply time: every step carries its whole body, what must still be true when it is written, how it
//! is undone and why it is made. A step that has to wait says for what. The guard has judged the state after each step;
//! a step that would lower a judgement is not in the plan, its refusal is.

mod absence;
mod address_group;
mod addresses;
mod assumption;
mod drift;
mod effect;
mod eligibility;
mod gates;
mod guard;
mod hub;
mod ingress;
mod known;
mod kubenet;
mod neighbours;
mod offboard;
mod removals;
mod reservations;
mod roles;
mod sharing;
mod spoke;
mod step;
mod text;
mod writes;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt;
use time::OffsetDateTime;

use crate::blueprint::{Contribution, Footprint};
use crate::config::Mode;
use crate::estate::Estate;
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;
use crate::proof::Proof;

pub use absence::{APART, Gone, Sightings, gone};
pub use drift::{FieldChange, changes};
pub use effect::after;
pub use hub::plan_hub;
pub use known::{Acceptance, Age, Known, Reservation, Word};
pub use offboard::{Cause, Departure, Farewell, Unwiring, plan_offboard};
pub use spoke::plan_spoke;
pub use step::{AcceptedLoss, Method, Step, Undo, comparable, differs, kept};

/// The state of a cluster, as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Looked at, never written.
    Observed,
    /// Its shape does not allow wiring; a finding says why.
    NotEligible,
    /// The plan waits for somebody's approval.
    PendingApproval,
    /// Everything but the switch is done; the switch waits for a person's word.
    Prepared,
    /// Work goes on, or waits for Azure.
    Waiting,
    /// Switched and proven.
    Wired,
    /// Switched and walkable, rights not yet assured.
    Settling,
    /// Was switched; a proof does not hold.
    Broken,
    /// Needs a person.
    Failed,
    /// Taken off the hub on purpose.
    Bypassed,
    /// Being unwired.
    Offboarding,
    /// Unwired.
    Offboarded,
}

/// What a step or a cluster waits for. Waiting is not an error.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Wait {
    /// AKS is still at work on the cluster.
    Cluster {
        /// AKS's own word, for example `Creating`.
        state: String,
    },
    /// The rules of this cluster are not yet in force.
    Rules,
    /// The hub still has rules of a cluster that leaves.
    RulesGone,
    /// The peering is not connected on both sides.
    Peering,
    /// A write is under way on this resource.
    AtRest {
        /// The resource.
        id: ResourceId,
    },
    /// An earlier step of the plan comes first.
    Step {
        /// The step's id.
        id: String,
    },
    /// The hub has no next hop or no single egress address.
    Hub,
    /// A person must act; the finding of this code says how.
    Person {
        /// The finding's code.
        code: Code,
    },
    /// Somebody must approve the plan.
    Approval,
    /// The mode to change: the subject is only observed, so this never ends by itself.
    Observing,
    /// Somebody to resume the hub, which is paused.
    Paused,
    /// The time until which rights that were given may not be in force everywhere.
    Rights {
        /// When they can be relied upon.
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
    },
    /// A second look at a cluster that was not found: one answer alone does not prove that it is gone.
    Absence {
        /// When that look counts.
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
    },
}

/// What is to be done about one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Hash of everything below except the times of the reads: the same estate read again gives the same id, so that an
    /// approval of a plan outlives the next look.
    pub id: String,
    /// The cluster's id in lower case, or the hub's name.
    pub subject: String,
    /// Hash of the estate the plan was made from.
    pub made_from: String,
    /// The cluster's state; `None` for a hub.
    pub state: Option<State>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What the subject waits for, without repeats.
    pub waits: Vec<Wait>,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// What somebody may accept so that the plan goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<Acceptance>,
    /// In mode `approve` the digest of what the cluster needs from its hub, while nobody has approved that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_rules: Option<String>,
    /// What the cluster needs from its hub; to be kept in the ledger before the hub's work is asked for.
    pub contribution: Option<Contribution>,
    /// What the plan touches; to be kept in the ledger before anything is written, so that it can be unwired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footprint: Option<Footprint>,
    /// Both judgements of the estate as it is; `None` while it cannot be judged.
    pub proof: Option<Proof>,
}

impl State {
    /// True if the cluster leaves through the hub and both promises are proven, whether or not its rights are assured yet.
    #[must_use]
    pub fn is_wired(self) -> bool {
        matches!(self, Self::Wired | Self::Settling)
    }
}

impl Plan {
    /// The steps that may be written at once: those that wait for nothing.
    pub fn startable(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|s| s.waits.is_empty())
    }

    /// True if the hub's work has to run for this cluster.
    #[must_use]
    pub fn needs_hub(&self) -> bool {
        self.waits.contains(&Wait::Rules)
    }

    /// Holds back what people have not let go: every step in a mode that does not write by itself, apart from those that were
    /// approved, and all of them while the hub is paused. The wait is in the steps, so that no caller can forget it.
    pub(crate) fn hold(&mut self, mode: Mode, word: &Word) {
        for step in &mut self.steps {
            let held = match mode {
                Mode::Correct => None,
                Mode::Approve => (!word.approved.contains(&step.digest())).then_some(Wait::Approval),
                Mode::Observe => Some(Wait::Observing),
            };
            step.waits.extend(held);
            step.waits.extend(word.paused.then_some(Wait::Paused));
        }
    }

    /// The plan of a cluster that is off its hub and of which nothing is left.
    #[must_use]
    pub fn of_offboarded(estate: &Estate, cluster: &ResourceId) -> Self {
        let mut plan = Self::empty(cluster.key());
        plan.state = Some(State::Offboarded);
        plan.seal(estate)
    }

    /// The same steps, none of which may be written before `wait` has ended.
    #[must_use]
    pub fn behind(mut self, wait: Wait) -> Self {
        for step in &mut self.steps {
            step.waits.push(wait.clone());
        }
        self.waits.push(wait);
        self.waits.sort();
        self.waits.dedup();
        self.id = String::new();
        self.id = digest(&self.timeless().to_string());
        self
    }

    /// The steps that wait for somebody to let them go.
    pub fn held(&self) -> impl Iterator<Item = &Step> {
        let holds = |wait: &Wait| matches!(wait, Wait::Approval | Wait::Observing);
        self.steps.iter().filter(move |step| step.waits.iter().any(holds))
    }

    pub(crate) fn seal(mut self, estate: &Estate) -> Self {
        let mut waits: Vec<Wait> = self
            .waits
            .drain(..)
            .chain(self.steps.iter().flat_map(|s| s.waits.iter().cloned()))
            .filter(|w| !matches!(w, Wait::Step { .. }))
            .collect();
        waits.sort();
        waits.dedup();
        self.waits = waits;
        self.made_from = digest(&estate_text(estate));
        self.id = String::new();
        self.id = digest(&self.timeless().to_string());
        self
    }

    fn timeless(&self) -> Value {
        let mut text = json!(self);
        for promise in ["/proof/egress", "/proof/reach"] {
            if let Some(judgement) = text.pointer_mut(promise).and_then(Value::as_object_mut) {
                judgement.remove("oldest_read");
            }
        }
        text
    }

    pub(crate) fn empty(subject: String) -> Self {
        Self {
            id: String::new(),
            subject,
            made_from: String::new(),
            state: None,
            steps: Vec::new(),
            waits: Vec::new(),
            findings: Vec::new(),
            asks: Vec::new(),
            held_rules: None,
            contribution: None,
            footprint: None,
            proof: None,
        }
    }
}

fn estate_text(estate: &Estate) -> String {
    let documents: Vec<_> = estate
        .iter()
        .map(|(id, snapshot)| json!([id.key(), snapshot.body]))
        .collect();
    let lists: Vec<_> = estate
        .lists()
        .map(|(listing, items)| json!([listing.path(), listing.filter(), items]))
        .collect();
    json!([documents, lists]).to_string()
}

fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observed => "observed",
            Self::NotEligible => "not_eligible",
            Self::PendingApproval => "pending_approval",
            Self::Prepared => "prepared",
            Self::Waiting => "waiting",
            Self::Wired => "wired",
            Self::Settling => "settling",
            Self::Broken => "broken",
            Self::Failed => "failed",
            Self::Bypassed => "bypassed",
            Self::Offboarding => "offboarding",
            Self::Offboarded => "offboarded",
        })
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster { state } => write!(f, "AKS to finish (the cluster is {state})"),
            Self::Rules => f.write_str("the cluster's firewall rules to be in force"),
            Self::RulesGone => f.write_str("the hub to take the cluster's rules away"),
            Self::Peering => f.write_str("the peering to be connected on both sides"),
            Self::AtRest { id } => write!(f, "a running write on {} to end", id.name()),
            Self::Step { id } => write!(f, "step {id}"),
            Self::Hub => f.write_str("the hub to have a firewall address and one egress address"),
            Self::Person { code } => write!(f, "a person (finding {})", code.text()),
            Self::Approval => f.write_str("approval of the plan"),
            Self::Observing => f.write_str("the mode to change (only observed)"),
            Self::Paused => f.write_str("the hub to be resumed (it is paused)"),
            Self::Rights { .. } => f.write_str("the cluster's rights to be in force everywhere"),
            Self::Absence { .. } => f.write_str("a second look that shows the cluster gone"),
        }
    }
}
