//! What came of a look, as it is kept for people: the state, what is waited for, findings and proofs.
//!
//! It decides nothing about Azure: the next look starts from Azure again. What people may approve is what it shows, and a cluster
//! that it calls offboarded is told so again. A look whose report cannot be written fails and is made again.

use std::net::Ipv4Addr;

use hubward_core::blueprint::{hub_facts, rule_collection_group_id};
use hubward_core::config::Config;
use hubward_core::estate::Estate;
use hubward_core::finding::Finding;
use hubward_core::ids::ResourceId;
use hubward_core::plan::{Acceptance, Known, Plan, State, Step};
use hubward_core::proof::Proof;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::drift::{Drift, Standing};
use crate::app::App;
use crate::ledger::LedgerError;
use crate::ledger::outcomes::Outcome;

/// A cluster's last look. Written to the ledger as the body of its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The cluster's state.
    pub state: State,
    /// What is waited for, in words.
    pub waits: Vec<String>,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// What somebody may accept so that it goes on.
    #[serde(default)]
    pub asks: Vec<Acceptance>,
    /// The steps that wait for somebody to let them go.
    #[serde(default)]
    pub held: Vec<Held>,
    /// Where the cluster belongs; of an earlier look if this one did not come to it.
    #[serde(default)]
    pub place: Option<Place>,
    /// Both judgements, if the estate could be judged.
    pub proof: Option<Proof>,
    /// Steps written over the life of this work.
    pub steps: Vec<String>,
    /// What differed in something that was as it should be before.
    #[serde(default)]
    pub drift: Drift,
    /// The plan as people read it.
    pub plan: String,
    /// What went wrong last, if anything.
    pub trouble: Option<String>,
}

/// A step that waits for somebody to let it go, or what the cluster asks of its hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its id in the plan.
    pub id: String,
    /// What an approval remembers of it.
    pub digest: String,
    /// One sentence: why it would be written.
    pub why: String,
}

/// Where a cluster belongs and by which addresses it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The cluster's id as Azure writes it.
    pub id: ResourceId,
    /// The hub's name in the configuration.
    pub hub: Option<String>,
    /// The hub's address, from which the cluster leaves once it is wired.
    pub egress_ip: Option<Ipv4Addr>,
    /// The firewall's address that is reserved for the cluster.
    pub ingress_ip: Option<Ipv4Addr>,
}

impl Place {
    /// The place of a cluster that was read.
    #[must_use]
    pub fn of(config: &Config, estate: &Estate, id: &ResourceId, known: &Known) -> Option<Self> {
        let cluster = estate.cluster(id)?;
        let hub = config.hub_for_location(cluster.location());
        Some(Self {
            id: cluster.id().unwrap_or_else(|| id.clone()),
            hub: hub.map(|(name, _)| name.to_owned()),
            egress_ip: hub
                .and_then(|(_, hub)| hub_facts(estate, hub).ok())
                .map(|facts| facts.egress_ip),
            ingress_ip: known.reservation.as_ref().map(|reservation| reservation.ip),
        })
    }

    /// The place of a cluster that has left: the hub's address is no longer its own, and another may get the one that let it in.
    fn without_addresses(self) -> Self {
        Self {
            egress_ip: None,
            ingress_ip: None,
            ..self
        }
    }
}

/// A hub's last look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HubReport {
    /// How the hub is.
    pub state: HubState,
    /// What is waited for, in words.
    pub waits: Vec<String>,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// What of the hub is used.
    #[serde(default)]
    pub capacity: Option<Capacity>,
    /// What differed in rules that were as they should be before.
    #[serde(default)]
    pub drift: Drift,
    /// The plan as people read it.
    pub plan: String,
    /// What went wrong last, if anything.
    pub trouble: Option<String>,
}

/// What of a hub is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// The address from which all its clusters leave.
    pub egress_ip: Option<Ipv4Addr>,
    /// Clusters whose rules it carries or is to carry.
    pub clusters: usize,
    /// The size of our rule collection group as Azure shows it, in bytes of JSON.
    pub rule_bytes: usize,
    /// The most that Azure takes.
    pub rule_bytes_limit: usize,
}

/// The most that one rule collection group takes [Azure subscription limits: Azure Firewall].
const RULE_BYTES_LIMIT: usize = 2_000_000;

impl Capacity {
    /// What of the hub is used, as it was read; `clusters` contribute to it.
    pub(super) fn of(config: &Config, estate: &Estate, name: &str, clusters: usize) -> Self {
        let facts = config.hubs.get(name).and_then(|hub| hub_facts(estate, hub).ok());
        let group = facts
            .as_ref()
            .and_then(|facts| estate.get(&rule_collection_group_id(config, &facts.policy)));
        Self {
            egress_ip: facts.as_ref().map(|facts| facts.egress_ip),
            clusters,
            rule_bytes: group.map_or(0, |group| group.to_string().len()),
            rule_bytes_limit: RULE_BYTES_LIMIT,
        }
    }
}

/// How a hub is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HubState {
    /// All clusters' rules are in force.
    InForce,
    /// Rules are being written, or wait to be.
    Waiting,
    /// A person must act; a finding says how.
    Failed,
}

impl HubReport {
    /// The report of a plan.
    #[must_use]
    pub fn of_plan(plan: &Plan) -> Self {
        let state = if plan.findings.iter().any(Finding::is_blocking) {
            HubState::Failed
        } else if plan.steps.is_empty() && plan.waits.is_empty() {
            HubState::InForce
        } else {
            HubState::Waiting
        };
        Self {
            state,
            waits: plan.waits.iter().map(ToString::to_string).collect(),
            findings: plan.findings.clone(),
            capacity: None,
            drift: Drift::of_plan(plan),
            plan: plan.to_string(),
            trouble: None,
        }
    }

    pub(super) fn of_failure(state: HubState, line: &str, finding: Option<Finding>) -> Self {
        Self {
            state,
            waits: vec!["another try".to_owned()],
            findings: finding.into_iter().collect(),
            capacity: None,
            drift: Drift::default(),
            plan: String::new(),
            trouble: Some(line.to_owned()),
        }
    }

    fn word(&self) -> &'static str {
        match self.state {
            HubState::InForce => "in_force",
            HubState::Waiting => "waiting",
            HubState::Failed => "failed",
        }
    }
}

impl Held {
    fn of_plan(plan: &Plan) -> Vec<Self> {
        let of_step = |step: &Step| Self {
            id: step.id.clone(),
            digest: step.digest(),
            why: step.why.clone(),
        };
        let rules = plan.held_rules.iter().map(|digest| Self {
            id: "hub-rules".to_owned(),
            digest: digest.clone(),
            why: "the hub has not the rules that the cluster needs".to_owned(),
        });
        plan.held().map(of_step).chain(rules).collect()
    }
}

impl Report {
    /// The report of a plan.
    #[must_use]
    pub fn of_plan(plan: &Plan) -> Self {
        Self {
            state: plan.state.unwrap_or(State::Waiting),
            waits: plan.waits.iter().map(ToString::to_string).collect(),
            findings: plan.findings.clone(),
            asks: plan.asks.clone(),
            held: Held::of_plan(plan),
            place: None,
            proof: plan.proof.clone(),
            steps: Vec::new(),
            drift: Drift::of_plan(plan),
            plan: plan.to_string(),
            trouble: None,
        }
    }

    pub(super) fn of_failure(state: State, line: &str, finding: Option<Finding>) -> Self {
        Self {
            state,
            waits: vec!["another try".to_owned()],
            findings: finding.into_iter().collect(),
            asks: Vec::new(),
            held: Vec::new(),
            place: None,
            proof: None,
            steps: Vec::new(),
            drift: Drift::default(),
            plan: String::new(),
            trouble: Some(line.to_owned()),
        }
    }
}

/// Keeps the report as the key's outcome; the steps written so far, the place and what drifted before are carried on.
pub(super) async fn write(app: &App, key: &str, report: &Report) -> Result<(), LedgerError> {
    let mut report = report.clone();
    let mut before = Drift::default();
    if let Some(last) = last::<Report>(app, key).await? {
        report.steps.splice(..0, last.steps);
        report.place = report.place.or(last.place);
        before = last.drift;
    }
    if report.state == State::Offboarded {
        report.place = report.place.map(Place::without_addresses);
    }
    let standing = match report.state {
        State::Wired | State::Settling => Standing::Settled,
        State::Offboarded => Standing::Over,
        State::Observed
        | State::NotEligible
        | State::PendingApproval
        | State::Prepared
        | State::Waiting
        | State::Broken
        | State::Failed
        | State::Bypassed
        | State::Offboarding => Standing::Open,
    };
    report.drift = report.drift.after(before, standing, app.clock.now());
    tell_drift(key, &report.drift);
    put(app, key, report.state.to_string(), &report).await
}

/// Keeps a hub's report as its outcome; what drifted before is carried on.
pub(super) async fn write_hub(app: &App, key: &str, report: &HubReport) -> Result<(), LedgerError> {
    let mut report = report.clone();
    let before = last::<HubReport>(app, key)
        .await?
        .map(|last| last.drift)
        .unwrap_or_default();
    let standing = match report.state {
        HubState::InForce => Standing::Settled,
        HubState::Waiting | HubState::Failed => Standing::Open,
    };
    report.drift = report.drift.after(before, standing, app.clock.now());
    tell_drift(key, &report.drift);
    put(app, key, report.word().to_owned(), &report).await
}

/// When the hub's rules were last found in force.
pub(super) async fn last_in_force(app: &App, hub: &str) -> Result<Option<OffsetDateTime>, LedgerError> {
    let last = last::<HubReport>(app, hub).await?;
    Ok(last.and_then(|last| last.drift.settled_at))
}

/// The last report of a key; a damaged one is replaced, since it decides nothing.
async fn last<R: DeserializeOwned>(app: &App, key: &str) -> Result<Option<R>, LedgerError> {
    match app.ledger.outcomes.get(key).await {
        Ok(last) => Ok(last.and_then(|last| serde_json::from_value(last.body).ok())),
        Err(LedgerError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn put(app: &App, key: &str, state: String, report: &impl Serialize) -> Result<(), LedgerError> {
    let outcome = Outcome {
        key: key.to_owned(),
        state,
        at: app.clock.now(),
        body: serde_json::to_value(report).unwrap_or_default(),
    };
    app.ledger.outcomes.put(&outcome).await
}

fn tell_drift(key: &str, drift: &Drift) {
    for change in &drift.now {
        let (resource, field, old, new) = (&change.resource, &change.field, &change.old, &change.new);
        tracing::warn!(key, %resource, field, %old, %new, "this differs from what it should be");
    }
}
