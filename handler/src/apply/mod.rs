//! Applying a plan: writes what can start and records what runs. It takes no decision; what it may write, in which order
//! and over what, is in the plan.
//!
//! Right before each write the target is read again: if it no longer looks as the plan saw it, the write is refused and the
//! work looks again. A crash after the write and before its record is harmless: the next look finds the resource being
//! updated and waits for it.

mod running;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use hubward_core::estate::{Kind, api_version, at_rest};
use hubward_core::ids::ResourceId;
use hubward_core::plan::{Method, Plan, Step, comparable, differs};
use time::OffsetDateTime;

use crate::arm::{Arm, ArmError, Class, Operation, Read, Written};
use crate::clock::Clock;
use crate::ledger::keys::KeyLease;
use crate::ledger::lanes::LaneLease;
use crate::ledger::operations::OperationRecord;
use crate::ledger::{Ledger, LedgerError};
use crate::transport::REQUEST_TIMEOUT;

pub use running::{Ended, Running, resume};

/// A write must be answered well before the lease that protects it runs out: a lease cannot stop a request that is under way.
const LEASE_MARGIN: Duration = Duration::from_secs(30);
/// What a lease must have left before the target is read, so that the margin is still there afterwards.
const LEASE_BEFORE_READ: Duration = LEASE_MARGIN.saturating_add(REQUEST_TIMEOUT);

/// Why a plan could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Azure refused or was not reached.
    #[error("step {step}: {source}")]
    Arm {
        /// The step.
        step: String,
        /// What Azure said.
        source: ArmError,
    },
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What came of the startable steps.
#[derive(Debug, Default)]
pub struct Applied {
    /// Steps that were written, in order.
    pub written: Vec<String>,
    /// Steps that wait because somebody else holds a lane.
    pub busy: Vec<String>,
    /// Steps refused because their target changed since the plan was made, each with what changed.
    pub changed: Vec<String>,
    /// Steps that Azure will take later, with what it waits for and for how long to leave it alone.
    pub deferred: Vec<Deferred>,
    /// Steps that only lead clients in and that Azure refused: nothing of the way out waits for them.
    pub refused: Vec<Refused>,
    /// Steps that were not begun because the look had lasted too long.
    pub late: Vec<String>,
    /// True if Azure finished a write at once, so that no operation will tell of its end.
    pub finished: bool,
}

/// A step that Azure will take later.
#[derive(Debug)]
pub struct Deferred {
    /// The step.
    pub step: String,
    /// When to try again.
    pub after: Duration,
    /// What has to happen first, in words.
    pub reason: &'static str,
}

/// A step that Azure refused.
#[derive(Debug)]
pub struct Refused {
    /// The step.
    pub step: String,
    /// What Azure said.
    pub error: ArmError,
}

/// Writes the steps of `plan` that wait for nothing, at most one per lane. The first one is written whenever it comes to it;
/// after `deadline` no other is begun. A refusal that only a person ends keeps no other step from being written, because what
/// depends on the refused one waits for it in the plan.
///
/// # Errors
/// [`ApplyError`] at the first step of the way out that Azure refuses, after the others if a person has to act; and as soon as the
/// ledger fails. What was written is recorded.
pub async fn apply(
    arm: &Arm,
    ledger: &Ledger,
    clock: &dyn Clock,
    lease: &mut KeyLease,
    plan: &Plan,
    clusters: &[String],
    deadline: OffsetDateTime,
) -> Result<Applied, ApplyError> {
    let mut applied = Applied::default();
    let mut used: BTreeSet<ResourceId> = BTreeSet::new();
    let mut stopped = None;
    for step in plan.startable() {
        if step.lanes.iter().any(|lane| used.contains(lane)) {
            continue;
        }
        if !applied.is_untouched() && clock.now() >= deadline {
            applied.late.push(step.id.clone());
            continue;
        }
        match enter(ledger, step).await? {
            None => applied.busy.push(step.id.clone()),
            Some(mut leases) => {
                let outcome = write(arm, ledger, clock, lease, step, &mut leases, clusters).await;
                leave(ledger, leases).await?;
                let outcome = match outcome {
                    Err(error) if goes_on(step, &error) => {
                        used.extend(step.lanes.iter().cloned());
                        match error {
                            ApplyError::Arm { step: id, source } if step.only_leads_in() => {
                                tracing::warn!(step = id, "{source}");
                                applied.refused.push(Refused {
                                    step: id,
                                    error: source,
                                });
                            }
                            error @ (ApplyError::Arm { .. } | ApplyError::Ledger(_)) => {
                                stopped = stopped.or(Some(error))
                            }
                        }
                        continue;
                    }
                    other => other?,
                };
                match outcome {
                    Outcome::Refused(what) => applied.changed.push(format!("{} ({what})", step.id)),
                    Outcome::Busy => applied.busy.push(step.id.clone()),
                    Outcome::Deferred { after, reason } => applied.deferred.push(Deferred {
                        step: step.id.clone(),
                        after,
                        reason,
                    }),
                    Outcome::Running => applied.written.push(step.id.clone()),
                    Outcome::Finished => {
                        applied.written.push(step.id.clone());
                        applied.finished = true;
                    }
                }
                used.extend(step.lanes.iter().cloned());
            }
        }
    }
    stopped.map_or(Ok(applied), Err)
}

/// True if the other steps are written although Azure refused this one: what nothing waits for stops nothing, whatever Azure says of
/// it; of the rest, what a person has to mend. What only time mends concerns the others too.
fn goes_on(step: &Step, error: &ApplyError) -> bool {
    match error {
        ApplyError::Ledger(_) => false,
        ApplyError::Arm { source, .. } => match source.class() {
            Class::NeedsPerson | Class::Bug => true,
            Class::Retry { .. } => step.only_leads_in(),
            Class::Wait { .. } => false,
        },
    }
}

impl Applied {
    /// True if no step was begun yet.
    fn is_untouched(&self) -> bool {
        self.written.is_empty()
            && self.busy.is_empty()
            && self.changed.is_empty()
            && self.deferred.is_empty()
            && self.refused.is_empty()
    }
}

/// Takes all lanes of a step in the order of their ids, so that two workers cannot hold one each; `None` if one is taken.
async fn enter(ledger: &Ledger, step: &Step) -> Result<Option<Vec<LaneLease>>, LedgerError> {
    let mut leases = Vec::new();
    for lane in &step.lanes {
        match ledger.lanes.enter(&lane.key()).await? {
            Some(lease) => leases.push(lease),
            None => {
                leave(ledger, leases).await?;
                return Ok(None);
            }
        }
    }
    Ok(Some(leases))
}

async fn leave(ledger: &Ledger, leases: Vec<LaneLease>) -> Result<(), LedgerError> {
    for lease in leases {
        ledger.lanes.leave(lease).await?;
    }
    Ok(())
}

/// What became of one step.
enum Outcome {
    /// Its target is no longer what the plan saw, or a lease is lost; in words.
    Refused(String),
    /// Azure is writing something that takes one write at a time.
    Busy,
    /// Azure will take it later, and everything else now.
    Deferred { after: Duration, reason: &'static str },
    /// Azure accepted it.
    Running,
    /// Azure finished it at once.
    Finished,
}

/// Writes one step.
async fn write(
    arm: &Arm,
    ledger: &Ledger,
    clock: &dyn Clock,
    lease: &mut KeyLease,
    step: &Step,
    leases: &mut [LaneLease],
    clusters: &[String],
) -> Result<Outcome, ApplyError> {
    let failed = |source| ApplyError::Arm {
        step: step.id.clone(),
        source,
    };
    let taken_over = || {
        tracing::info!(step = step.id, "a lease was lost to another worker");
        Ok(Outcome::Refused("another worker took over".to_owned()))
    };
    if let Some(lane) = moving(arm, step).await? {
        tracing::info!(
            step = step.id,
            lane,
            "a write that began since the plan was made is still running"
        );
        return Ok(Outcome::Busy);
    }
    if !renewed(ledger, clock, lease, leases).await? {
        return taken_over();
    }
    // Nothing is asked of anybody between this read and the write, so that a foreign change has the least time to slip in.
    let found = arm.read(&step.target, &step.api_version).await.map_err(failed)?;
    if let (Method::Delete, Read::Absent(_)) = (step.method, &found) {
        return Ok(Outcome::Finished);
    }
    if let Some(what) = change(step, &found) {
        tracing::info!(step = step.id, target = %step.target, what, "the target changed since the plan was made");
        return Ok(Outcome::Refused(what));
    }
    if !still_ours(clock, lease, leases) {
        return taken_over();
    }
    tracing::info!(step = step.id, method = %step.method, target = %step.target, why = step.why, "writing");
    let written = match step.method {
        Method::Put => arm.put(&step.target, &step.api_version, &step.body).await,
        Method::Delete => arm.delete(&step.target, &step.api_version).await,
    };
    let written = match written {
        Ok(written) => written,
        Err(error) => match of_a_right(step, &error) {
            Some(outcome) => return Ok(outcome),
            None => return Err(failed(error)),
        },
    };
    match written {
        Written::Done(_) => Ok(Outcome::Finished),
        Written::Running(operation) => {
            let record = record(step, operation, clusters);
            ledger.operations.record(&lease.key, &record).await?;
            Ok(Outcome::Running)
        }
    }
}

/// The first of the step's networks or policies that Azure is writing: another worker may have begun since this one looked, and
/// Azure would refuse. A read is cheaper than a refused write, which counts against the same limit as one that succeeds.
async fn moving<'a>(arm: &Arm, step: &'a Step) -> Result<Option<&'a str>, ApplyError> {
    let reads = step.lanes.iter().filter_map(|lane| Some((lane, api_version(lane)?)));
    let answers = join_all(reads.map(|(lane, api)| async move { (lane, arm.read(lane, api).await) })).await;
    for (lane, answer) in answers {
        let read = answer.map_err(|source| ApplyError::Arm {
            step: step.id.clone(),
            source,
        })?;
        if matches!(&read, Read::Found(body) if !at_rest(body)) {
            return Ok(Some(lane.name()));
        }
    }
    Ok(None)
}

/// What a refused right means: that somebody gave it meanwhile, or that the directory does not know the identity yet. Neither
/// is a reason to leave the other steps undone.
fn of_a_right(step: &Step, error: &ArmError) -> Option<Outcome> {
    if Kind::of(&step.target) != Some(Kind::RoleAssignment) {
        return None;
    }
    let code = error.fault()?.cause();
    if code.eq_ignore_ascii_case("RoleAssignmentExists") {
        return Some(Outcome::Refused("the same right exists under another name".to_owned()));
    }
    match error.class() {
        Class::Wait { after, reason } if code.eq_ignore_ascii_case("PrincipalNotFound") => {
            Some(Outcome::Deferred { after, reason })
        }
        Class::Wait { .. } | Class::Retry { .. } | Class::NeedsPerson | Class::Bug => None,
    }
}

/// Renews key and lanes where they would run short during a read and a write; false if one was lost.
async fn renewed(
    ledger: &Ledger,
    clock: &dyn Clock,
    lease: &mut KeyLease,
    lanes: &mut [LaneLease],
) -> Result<bool, LedgerError> {
    if lease.remaining(clock.now()) < LEASE_BEFORE_READ && !ledger.keys.renew(lease).await? {
        return Ok(false);
    }
    for lane in lanes {
        if lane.remaining(clock.now()) < LEASE_BEFORE_READ && !ledger.lanes.renew(lane).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// True if key and lanes are ours for longer than a request can take, by the clock alone.
fn still_ours(clock: &dyn Clock, lease: &KeyLease, lanes: &[LaneLease]) -> bool {
    let now = clock.now();
    lease.remaining(now) >= LEASE_MARGIN && lanes.iter().all(|lane| lane.remaining(now) >= LEASE_MARGIN)
}

/// What about the target is no longer as the plan saw it.
fn change(step: &Step, found: &Read) -> Option<String> {
    match (found, &step.precondition) {
        (Read::Absent(_), None) => None,
        (Read::Found(body), Some(expected)) => {
            differs(expected, &comparable(body)).map(|field| format!("{field} was changed"))
        }
        (Read::Absent(_), Some(_)) => Some("it was deleted".to_owned()),
        (Read::Found(_), None) => Some("it was made meanwhile".to_owned()),
    }
}

fn record(step: &Step, operation: Operation, clusters: &[String]) -> OperationRecord {
    // Only documents that were written whole over somebody's fields are compared afterwards; a child of our own needs none.
    let foreign = matches!(Kind::of(&step.target), Some(Kind::Subnet | Kind::Firewall));
    let over_foreign = step.precondition.is_some() && foreign;
    OperationRecord {
        step: step.id.clone(),
        retry_at: operation.started_at + operation.retry_after,
        operation,
        written: over_foreign.then(|| step.body.clone()),
        clusters: clusters.to_vec(),
    }
}
