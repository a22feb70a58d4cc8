//! The guard: no step may lower a judgement of any cluster it can touch. It judges the estate after each step, so the
//! order of the steps is checked and not trusted.

use super::{Step, after};
use crate::estate::Estate;
use crate::finding::{Code, Finding};
use crate::proof::{Judgement, Proof};

/// Keeps the steps up to the first that lowers a judgement; that one and what follows are dropped, with a finding.
///
/// `judge` gives both judgements of every cluster concerned; `assume` brings about what a waiting step waits for.
pub(super) fn guarded(
    estate: &Estate,
    steps: Vec<Step>,
    judge: impl Fn(&Estate) -> Vec<(String, Proof)>,
    assume: impl Fn(&Estate, &Step) -> Estate,
) -> (Vec<Step>, Option<Finding>) {
    let mut kept = Vec::new();
    let mut now = estate.clone();
    for step in steps {
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

fn lowered(step: &Step, before: &[(String, Proof)], next: &[(String, Proof)]) -> Option<Finding> {
    let refuse = |cluster: &str, promise: &str, judgement: &Judgement| {
        Finding::blocking(
            Code::PlanRefused,
            format!("step {} would lower {promise} of {cluster}: {judgement}", step.id),
            "Nothing of this step is written; make the counter-example reachable, then the next event or sweep goes on.",
        )
    };
    before.iter().zip(next).find_map(|((cluster, old), (_, new))| {
        if new.egress.is_worse_than(&old.egress) {
            Some(refuse(cluster, "EGRESS", &new.egress))
        } else if new.reach.is_worse_than(&old.reach) {
            Some(refuse(cluster, "REACH", &new.reach))
        } else {
            None
        }
    })
}
