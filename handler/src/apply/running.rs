//! Operations that Azure has accepted and not finished: polled when they are due, forgotten when they end.

use std::time::Duration;

use hubward_core::finding::{Code, Finding};
use hubward_core::plan::kept;
use time::OffsetDateTime;

use super::ApplyError;
use crate::arm::{Arm, ArmFault, Operation, Progress, Read};
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::ledger::operations::OperationRecord;

/// What became of the running operations of a key.
#[derive(Debug, Default)]
pub struct Running {
    /// When the next one is due; `None` if none runs.
    pub next_due: Option<OffsetDateTime>,
    /// How many are still being written.
    pub count: usize,
    /// Those that ended now.
    pub ended: Vec<Ended>,
}

/// An operation that ended.
#[derive(Debug)]
pub struct Ended {
    /// The step that started it.
    pub step: String,
    /// What Azure said if it ended badly.
    pub fault: Option<ArmFault>,
    /// The keys of the clusters that waited for it.
    pub clusters: Vec<String>,
    /// A change of somebody's that met ours.
    pub finding: Option<Finding>,
}

/// Polls the operations of `key` that are due. After `deadline` no further one is polled than the first.
///
/// # Errors
/// [`ApplyError`] if Azure or the ledger does not answer; nothing is forgotten then.
pub async fn resume(
    arm: &Arm,
    ledger: &Ledger,
    clock: &dyn Clock,
    key: &str,
    deadline: OffsetDateTime,
) -> Result<Running, ApplyError> {
    let mut running = Running::default();
    let mut polled = 0;
    for record in ledger.operations.running(key).await? {
        let due = record.retry_at;
        let now = clock.now();
        if due > now || (polled > 0 && now >= deadline) {
            running.keep(due);
            continue;
        }
        polled += 1;
        let progress = arm.poll(&record.operation).await.map_err(|source| ApplyError::Arm {
            step: record.step.clone(),
            source,
        })?;
        match progress {
            Progress::Running { retry_after } => {
                let due = clock.now() + retry_after.max(Duration::from_secs(1));
                let mut next = record.clone();
                next.retry_at = due;
                ledger.operations.record(key, &next).await?;
                running.keep(due);
            }
            Progress::Done => {
                let finding = lost_update(arm, &record).await?;
                ledger.operations.forget(key, &record.step).await?;
                running.ended.push(ended(&record, None, finding));
            }
            Progress::Failed(fault) => {
                ledger.operations.forget(key, &record.step).await?;
                running.ended.push(ended(&record, Some(fault), None));
            }
        }
    }
    Ok(running)
}

impl Running {
    fn keep(&mut self, due: OffsetDateTime) {
        self.next_due = Some(self.next_due.map_or(due, |other| other.min(due)));
        self.count += 1;
    }
}

fn ended(record: &OperationRecord, fault: Option<ArmFault>, finding: Option<Finding>) -> Ended {
    Ended {
        step: record.step.clone(),
        fault,
        clusters: record.clusters.clone(),
        finding,
    }
}

/// A document that was written whole is read once more: if something we sent is not there, somebody wrote meanwhile.
async fn lost_update(arm: &Arm, record: &OperationRecord) -> Result<Option<Finding>, ApplyError> {
    let Some(written) = &record.written else {
        return Ok(None);
    };
    let Operation { resource, api, .. } = &record.operation;
    let read = arm.read(resource, api).await.map_err(|source| ApplyError::Arm {
        step: record.step.clone(),
        source,
    })?;
    let same = match read {
        Read::Found(body) => kept(written, &body),
        Read::Absent(_) => false,
    };
    Ok((!same).then(|| {
        Finding::warning(
            Code::LostUpdate,
            format!("{resource} was changed by somebody while it was being written"),
            "Look at the resource's activity log for the other writer; Hubward looks again at once.",
        )
    }))
}
