//! What went wrong in a look, sorted by what helps.

use hubward_core::finding::{Code, Finding};
use hubward_core::plan::State;

use super::Next;
use super::outcome::{Report, write};
use crate::apply::ApplyError;
use crate::arm::{ArmError, ArmFault, Class};
use crate::functions::App;
use crate::ledger::LedgerError;
use crate::ledger::keys::KeyLease;

/// Why a look did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Azure.
    #[error(transparent)]
    Arm(#[from] ArmError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Arm { source, .. } => Self::Arm(source),
            ApplyError::Ledger(source) => Self::Ledger(source),
        }
    }
}

/// Notes the failure where people look, and says when to try again.
pub(super) async fn record(app: &App, lease: &KeyLease, failure: Failure) -> Next {
    let line = failure.to_string();
    let (next, finding) = match &failure {
        Failure::Ledger(_) => (Next::Retry { line: line.clone() }, None),
        Failure::Arm(error) => match error.class() {
            Class::Wait { after, .. } => (
                Next::Wait {
                    after,
                    line: line.clone(),
                },
                None,
            ),
            Class::Retry { .. } => (Next::Retry { line: line.clone() }, None),
            Class::NeedsPerson | Class::Bug => (Next::Retry { line: line.clone() }, Some(finding(error))),
        },
    };
    tracing::warn!(key = lease.key, "{line}");
    let state = if finding.is_some() {
        State::Failed
    } else {
        State::Waiting
    };
    let report = Report::of_failure(state, &line, finding);
    if let Err(error) = write(app, &lease.key, &report).await {
        tracing::warn!(key = lease.key, "the outcome could not be kept: {error}");
    }
    next
}

/// The finding for an error that only a person ends.
fn finding(error: &ArmError) -> Finding {
    match error {
        ArmError::Forbidden { action, scope, .. } => Finding::blocking(
            Code::Forbidden,
            format!("the identity may not do {action} on {scope}"),
            format!("Grant the app's identity a role with {action} on {scope}."),
        ),
        ArmError::Unauthorized { .. }
        | ArmError::NoToken { .. }
        | ArmError::Conflict { .. }
        | ArmError::NotProvisioned { .. }
        | ArmError::Throttled { .. }
        | ArmError::Rejected { .. }
        | ArmError::Unavailable { .. }
        | ArmError::Unreachable { .. }
        | ArmError::WriteFailed { .. }
        | ArmError::Malformed { .. }
        | ArmError::UntrustedPollUrl { .. }
        | ArmError::TooManyPages { .. }
        | ArmError::Unsendable { .. } => Finding::blocking(
            Code::Rejected,
            error.to_string(),
            "Put right what Azure names; Hubward tries again by itself.",
        ),
    }
}

/// The finding for an operation that Azure accepted and then failed; `None` if trying again is all it needs.
pub(super) fn of_fault(step: &str, fault: &ArmFault) -> Option<Finding> {
    let person = matches!(fault.class(), Class::NeedsPerson | Class::Bug);
    person.then(|| {
        Finding::blocking(
            Code::Rejected,
            format!("Azure failed step {step}: {fault}"),
            "Put right what Azure names; Hubward tries again by itself.",
        )
    })
}
