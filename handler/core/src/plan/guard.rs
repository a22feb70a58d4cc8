//! The guard: no step may lower a judgement of any cluster it can touch, nor stop or make doubtful any flow of one. It judges the estate after each step, so the
//! order of the steps is checked and not trusted.

use super::{Step, Wait, after};
use crate::estate::{Estate, Kind};
use crate::finding::{Code, Finding};
use crate::proof::{FlowVerdict, Judgement};

/// What the guard compares of one cluster. Each flow counts by itself: a promise that is broken already, or unknown, would
/// otherwise hide every further loss.
pub(super) struct Judged {
    pub(super) cluster: String,
    pub(super) egress: Judgement,
    pub(super) flows: Vec<FlowVerdict>,
    /// The frontends whose clients its owner does not want to lose.
    pub(super) inbound: Vec<FlowVerdict>,
}

/// Keeps the steps up to the first that lowers something; that one and what follows are dropped, with a finding.
///
/// `judge` judges every cluster concerned; `assume` brings about what a waiting step waits for.
pub(super) fn guarded(
    estate: &Estate,
    steps: Vec<Step>,
    judge: impl Fn(&Estate) -> Vec<Judged>,
    assume: impl Fn(&Estate, &Step) -> Estate,
) -> (Vec<Step>, Option<Finding>) {
    let mut kept = Vec::new();
    let mut now = estate.clone();
    for step in steps {
        if carries_no_traffic(&step) {
            now = after(&now, &step);
            kept.push(step);
            continue;
        }
        now = assume(&now, &step);
        let before = judge(&now);
        let next = after(&now, &step);
        if let Some(finding) = lowered(&step, &before, &judge(&next)) {
            return (kept, Some(finding));
        }
        now = next;
        kept.push(step);
    }
    (kept, None)
}

/// Rights and groups lie beside the packets' way.
fn carries_no_traffic(step: &Step) -> bool {
    matches!(Kind::of(&step.target), Some(Kind::RoleAssignment | Kind::ResourceGroup))
}

fn lowered(step: &Step, before: &[Judged], next: &[Judged]) -> Option<Finding> {
    let refuse = |cluster: &str, promise: &str, judgement: &Judgement| {
        Finding::blocking(
            Code::PlanRefused,
            format!("step {} would lower {promise} of {cluster}: {judgement}", step.id),
            "Nothing of this step is written; make the counter-example reachable, then the next event or sweep goes on.",
        )
    };
    before.iter().zip(next).find_map(|(old, new)| {
        if new.egress.is_worse_than(&old.egress) {
            return Some(refuse(&new.cluster, "EGRESS", &new.egress));
        }
        let lost = old
            .flows
            .iter()
            .zip(&new.flows)
            .filter(|(old, new)| new.rank() < old.rank());
        // A step that waits for an owner's word on just this cannot be written; the plan that is made after the word has no such
        // wait, and is judged. A frontend is the same by its address: a step may open further ones.
        let held = step.waits.contains(&Wait::Person {
            code: Code::LivePublicInbound,
        });
        let cut = old.inbound.iter().filter(|_| !held).filter_map(|old| {
            let new = new.inbound.iter().find(|new| new.destination() == old.destination())?;
            (new.rank() < old.rank()).then_some((old, new))
        });
        // A flow that certainly stops says more than one that may.
        let (_, worst) = lost.chain(cut).min_by_key(|(_, new)| new.rank())?;
        Some(refuse(&new.cluster, "REACH", &worst.judgement()))
    })
}
