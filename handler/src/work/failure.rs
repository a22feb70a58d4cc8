//! What went wrong in a look, sorted by what helps.

use std::time::Duration;

use hubward_core::finding::{Code, Finding, Severity};
use hubward_core::plan::State;

use super::Next;
use super::outcome::{HubReport, HubState, Report, write, write_hub};
use crate::app::App;
use crate::apply::{ApplyError, Refused};
use crate::arm::{ArmError, ArmFault, Class};
use crate::ledger::LedgerError;
use crate::ledger::keys::{FIRST_RETRY, KeyLease};
use crate::ledger::queue::WorkKind;

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
    let retry = |first| Next::Retry {
        first,
        line: line.clone(),
    };
    let (next, finding) = match &failure {
        Failure::Ledger(_) => (retry(FIRST_RETRY), None),
        Failure::Arm(error) => match error.class() {
            Class::Wait { after, reason } => {
                let line = format!("{reason}: {line}");
                (Next::Wait { after, line }, None)
            }
            Class::Retry { after } => (retry(after), None),
            Class::NeedsPerson | Class::Bug => (retry(FIRST_RETRY), Some(finding(error))),
        },
    };
    tracing::warn!(key = lease.key, "{line}");
    if let Err(error) = keep(app, lease, &line, finding).await {
        tracing::warn!(key = lease.key, "the outcome could not be kept: {error}");
    }
    next
}

async fn keep(app: &App, lease: &KeyLease, line: &str, finding: Option<Finding>) -> Result<(), LedgerError> {
    let person = finding.is_some();
    match lease.kind {
        WorkKind::Hub => {
            let state = if person { HubState::Failed } else { HubState::Waiting };
            write_hub(app, &lease.key, &HubReport::of_failure(state, line, finding)).await
        }
        WorkKind::Spoke | WorkKind::Offboard => {
            let state = if person { State::Failed } else { State::Waiting };
            write(app, &lease.key, &Report::of_failure(state, line, finding)).await
        }
        // It tells about no resource; its own note says what it could not do once it has come to its end.
        WorkKind::Sweep => Ok(()),
    }
}

/// The finding for a refused step that only leads clients in. It is a reservation: everything else goes on.
pub(super) fn of_refusal(refused: &Refused) -> Finding {
    let cause = finding(&refused.error);
    Finding {
        severity: Severity::Warning,
        message: format!(
            "no client can be led in, because Azure refused step {}: {}",
            refused.step, cause.message
        ),
        ..cause
    }
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

/// The delay after operations that Azure accepted and then failed: the longest that any of the faults asks for.
pub(super) fn pause_after<'a>(faults: impl Iterator<Item = &'a ArmFault>) -> Option<Duration> {
    faults
        .map(|fault| match fault.class() {
            Class::Wait { after, .. } | Class::Retry { after } => after,
            Class::NeedsPerson | Class::Bug => FIRST_RETRY,
        })
        .max()
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
