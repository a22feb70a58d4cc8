//! What came of a look, as it is kept for people: the state, what is waited for, findings and proofs.
//!
//! It decides nothing: the next look starts from Azure again. A report that cannot be written is logged and lost.

use hubward_core::finding::Finding;
use hubward_core::plan::{Plan, State};
use hubward_core::proof::Proof;
use serde::{Deserialize, Serialize};

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
    /// Both judgements, if the estate could be judged.
    pub proof: Option<Proof>,
    /// Steps written over the life of this work.
    pub steps: Vec<String>,
    /// The plan as people read it.
    pub plan: String,
    /// What went wrong last, if anything.
    pub trouble: Option<String>,
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
    /// The plan as people read it.
    pub plan: String,
    /// What went wrong last, if anything.
    pub trouble: Option<String>,
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
            plan: plan.to_string(),
            trouble: None,
        }
    }

    pub(super) fn of_failure(state: HubState, line: &str, finding: Option<Finding>) -> Self {
        Self {
            state,
            waits: vec!["another try".to_owned()],
            findings: finding.into_iter().collect(),
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

impl Report {
    /// The report of a plan.
    #[must_use]
    pub fn of_plan(plan: &Plan) -> Self {
        Self {
            state: plan.state.unwrap_or(State::Waiting),
            waits: plan.waits.iter().map(ToString::to_string).collect(),
            findings: plan.findings.clone(),
            proof: plan.proof.clone(),
            steps: Vec::new(),
            plan: plan.to_string(),
            trouble: None,
        }
    }

    /// A state without a plan behind it.
    pub(super) fn in_state(state: State) -> Self {
        Self {
            state,
            waits: Vec::new(),
            findings: Vec::new(),
            proof: None,
            steps: Vec::new(),
            plan: String::new(),
            trouble: None,
        }
    }

    pub(super) fn of_failure(state: State, line: &str, finding: Option<Finding>) -> Self {
        Self {
            state,
            waits: vec!["another try".to_owned()],
            findings: finding.into_iter().collect(),
            proof: None,
            steps: Vec::new(),
            plan: String::new(),
            trouble: Some(line.to_owned()),
        }
    }
}

/// Keeps the report as the key's outcome; the steps written so far are carried on.
pub(super) async fn write(app: &App, key: &str, report: &Report) -> Result<(), LedgerError> {
    let mut report = report.clone();
    let mut steps = match app.ledger.outcomes.get(key).await {
        Ok(Some(last)) => serde_json::from_value::<Report>(last.body)
            .map(|r| r.steps)
            .unwrap_or_default(),
        // A damaged outcome is replaced: it decides nothing.
        Ok(None) | Err(LedgerError::Damaged { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    steps.append(&mut report.steps);
    report.steps = steps;
    let outcome = Outcome {
        key: key.to_owned(),
        state: report.state.to_string(),
        at: app.clock.now(),
        body: serde_json::to_value(&report).unwrap_or_default(),
    };
    app.ledger.outcomes.put(&outcome).await
}

/// Keeps a hub's report as its outcome.
pub(super) async fn write_hub(app: &App, key: &str, report: &HubReport) -> Result<(), LedgerError> {
    let outcome = Outcome {
        key: key.to_owned(),
        state: report.word().to_owned(),
        at: app.clock.now(),
        body: serde_json::to_value(report).unwrap_or_default(),
    };
    app.ledger.outcomes.put(&outcome).await
}
