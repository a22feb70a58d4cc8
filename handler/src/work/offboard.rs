//! A look at a cluster that leaves its hub: because it is gone, or because somebody asked for it.
//!
//! It goes on where the survey found the cluster absent or released, and starts from the footprint in the ledger. Nothing
//! is taken away before absence is proven, and nothing that another cluster's footprint names. The hub takes the rules away
//! and forgets the tombstone; only then is the cluster `offboarded`, and only after that is its footprint forgotten.

use std::time::Duration;

use hubward_core::plan::{Cause, Farewell, Plan, State, Unwiring, Wait};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Next;
use super::course::{Leaving, Sources, Surveyed, Unwired};
use super::failure::Failure;
use super::outcome::{Report, write};
use super::spoke::{next, report};
use crate::app::App;
use crate::apply::{Applied, Running, apply};
use crate::ledger::keys::KeyLease;
use crate::ledger::queue::WorkKind;

/// When to look again for a tombstone of which nothing is left in the rules: the hub's look forgets it.
const SERVED: Duration = Duration::from_secs(30);

/// What a look found out before it came to this.
pub(super) struct Found<'a> {
    /// The operations that ended.
    pub(super) running: &'a Running,
    /// The cluster as it was read.
    pub(super) surveyed: &'a Surveyed,
    /// When the look begins no further step.
    pub(super) deadline: OffsetDateTime,
}

/// A cluster that leaves its hub.
pub(super) async fn look(
    app: &App,
    sources: Sources<'_>,
    lease: &mut KeyLease,
    leaving: &Leaving,
    found: Found<'_>,
) -> Result<Next, Failure> {
    let key = &lease.key.clone();
    let known = &found.surveyed.known;
    if leaving.doubt.is_none() {
        // Before the others are asked for: of two clusters that leave at once, the one that says so last sees the other leave.
        app.ledger.footprints.leave(key, known.now).await?;
    }
    let Some(unwired) = sources.unwire(leaving, known).await? else {
        return Ok(Next::Wait {
            after: Duration::from_secs(1),
            line: "the cluster is there again".to_owned(),
        });
    };
    let Unwired {
        unwiring,
        departure,
        unserved,
    } = unwired;
    if let Some(doubt) = &leaving.doubt {
        write(app, key, &Report::of_plan(&unwiring.plan)).await?;
        return Ok(doubted(&doubt.wait, known.now));
    }
    bury(app, key, &unwiring, &departure.cause).await?;
    let clock = app.clock.as_ref();
    let applied = apply(&app.arm, &app.ledger, clock, lease, &unwiring.plan, &[], found.deadline).await?;
    let outcome = report(&unwiring.plan, &applied, found.running);
    write(app, key, &outcome).await?;
    if unwiring.done && unserved {
        return Ok(Next::Wait {
            after: SERVED,
            line: State::Offboarding.to_string(),
        });
    }
    if unwiring.done {
        if matches!(departure.cause, Cause::Gone { .. }) {
            app.ledger.decisions.forget(key, app.clock.now()).await?;
        }
        for neighbour in &departure.others {
            // Its rules may still serve subnets that only the cluster was led from.
            let (key, cause) = (neighbour.cluster.key(), format!("{key} has left the network"));
            app.ledger.keys.request(WorkKind::Spoke, &key, &cause).await?;
        }
        if !unwiring.remains {
            app.ledger.footprints.forget(key).await?;
        }
    }
    let unchanged = leaves(lease, &unwiring.plan, &applied);
    Ok(next(
        &unwiring.plan,
        &applied,
        found.running,
        &outcome,
        unchanged,
        app.clock.now(),
    ))
}

/// One look is not enough to say that the cluster is gone.
fn doubted(wait: &Wait, now: OffsetDateTime) -> Next {
    let line = format!("{}, waits for {wait}", State::Offboarding);
    let Wait::Absence { until } = wait else {
        return Next::Settled { line };
    };
    let after = Duration::try_from(*until - now).unwrap_or_default();
    Next::Wait {
        after: after.max(Duration::from_secs(1)),
        line,
    }
}

fn leaves(lease: &mut KeyLease, plan: &Plan, applied: &Applied) -> u32 {
    if applied.written.is_empty() {
        return lease.leaves(&plan.id);
    }
    lease.wrote();
    0
}

/// Does with the cluster's contributions what the plan says, and asks the hubs for their work.
async fn bury(app: &App, key: &str, unwiring: &Unwiring, cause: &Cause) -> Result<(), Failure> {
    let contributions = &app.ledger.contributions;
    for (hub, farewell) in &unwiring.rules {
        let present = contributions.get(hub, key).await?;
        let now = app.clock.now();
        let mut waits = unwiring.plan.waits.contains(&Wait::RulesGone);
        let news = match farewell {
            Farewell::Stays => false,
            Farewell::NoInbound => match present.filter(|present| present.tombstone.is_none()) {
                Some(present) => contributions.put(hub, key, &without_inbound(present.body), now).await?,
                None => false,
            },
            Farewell::Buried => {
                // Rules without a contribution are the remains of a lost ledger: a tombstone takes them away too.
                let buried = present.as_ref().is_some_and(|present| present.tombstone.is_some());
                waits |= present.is_some();
                match (waits, buried) {
                    (true, false) => contributions.bury(hub, key, &evidence(cause), now).await?,
                    (_, _) => false,
                }
            }
        };
        if *farewell == Farewell::Stays {
            continue;
        }
        let document = app.ledger.keys.get(hub).await?;
        let under_way = document.is_some_and(|document| document.is_under_way(now));
        if news || waits && !under_way {
            let cause = format!("the rules of {key}");
            app.ledger.keys.request(WorkKind::Hub, hub, &cause).await?;
        }
    }
    Ok(())
}

fn evidence(cause: &Cause) -> Value {
    match cause {
        Cause::Gone { evidence } => json!(evidence),
        Cause::Released => json!("somebody asked to take it off the hub"),
    }
}

fn without_inbound(mut body: Value) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.shift_remove("inbound");
    }
    body
}
