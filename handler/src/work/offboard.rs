//! A look at a cluster that leaves its hub: because it is gone, or because somebody asked for it.
//!
//! It goes on where the spoke's look found the cluster absent or released, and starts from the footprint in the ledger. Nothing
//! is taken away before absence is proven, and nothing that another cluster's footprint names. The hub takes the rules away
//! and forgets the tombstone; only then is the cluster `offboarded`, and only after that is its footprint forgotten.

use std::collections::BTreeSet;
use std::time::Duration;

use hubward_core::blueprint::Footprint;
use hubward_core::config::Config;
use hubward_core::estate::{Estate, Subject, text};
use hubward_core::finding::{Code, Finding};
use hubward_core::ids::ResourceId;
use hubward_core::plan::{
    Cause, Departure, Farewell, Gone, Known, Plan, Sightings, State, Unwiring, Wait, gone, plan_offboard,
};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Next;
use super::failure::Failure;
use super::outcome::{Report, write};
use super::spoke::{next, report};
use crate::app::App;
use crate::apply::{Applied, Running, apply};
use crate::arm::ArmError;
use crate::ledger::footprints::Kept;
use crate::ledger::keys::KeyLease;
use crate::ledger::queue::WorkKind;
use crate::observe::observe;

/// `Microsoft.Resources`: the version with which the resources of a group are listed.
const RESOURCES: &str = "2024-11-01";
/// When to look again for a tombstone of which nothing is left in the rules: the hub's look forgets it.
const SERVED: Duration = Duration::from_secs(30);

/// What a look found out before it came to this.
pub(super) struct Found<'a> {
    /// The operations that ended.
    pub(super) running: &'a Running,
    /// What the ledger knows.
    pub(super) known: &'a Known,
    /// What the cluster's wiring touched, if it was ever wired.
    pub(super) kept: Option<Kept>,
}

/// A cluster that was not found; `None` if nothing of it is known to be left, and nobody unwired it.
pub(super) async fn absent(
    app: &App,
    config: &Config,
    lease: &mut KeyLease,
    estate: &Estate,
    id: &ResourceId,
    mut found: Found<'_>,
    deadline: OffsetDateTime,
) -> Result<Option<Next>, Failure> {
    let key = &lease.key.clone();
    let now = found.known.now;
    let seen = Sightings {
        now,
        created: lease.create_seen_at,
        deleted: lease.delete_seen_at,
        absent_since: lease.absent_since,
    };
    app.ledger.keys.saw(lease, false, now).await?;
    let Some(kept) = found.kept.take() else {
        if matches!(gone(estate.absence(id), &seen), Gone::Proven { .. }) {
            app.ledger.decisions.forget(key, now).await?;
        }
        let last = app.ledger.outcomes.get(key).await;
        let over = last.is_ok_and(|last| last.is_some_and(|last| last.state == State::Offboarded.to_string()));
        let line = "it was unwired before".to_owned();
        return Ok(over.then_some(Next::Settled { line }));
    };
    let cause = match gone(estate.absence(id), &seen) {
        Gone::Proven { evidence } => Cause::Gone { evidence },
        Gone::Doubtful { until } => return doubted(app, key, Wait::Absence { until }, None, &found).await.map(Some),
        Gone::Unsaid => {
            let finding = Finding::warning(
                Code::NotRead,
                format!("Azure's answer does not say whether the cluster {} exists", id.name()),
                "Nothing is taken away until it does; the next event or sweep looks again.",
            );
            let wait = Wait::Person { code: finding.code };
            return doubted(app, key, wait, Some(finding), &found).await.map(Some);
        }
    };
    leave(app, config, lease, kept, cause, found, deadline).await.map(Some)
}

/// A living cluster that somebody asked to take off the hub.
pub(super) async fn released(
    app: &App,
    config: &Config,
    lease: &mut KeyLease,
    mut found: Found<'_>,
    deadline: OffsetDateTime,
) -> Result<Next, Failure> {
    let Some(kept) = found.kept.take() else {
        let report = Report::in_state(State::Offboarded);
        write(app, &lease.key, &report).await?;
        return Ok(Next::Settled {
            line: State::Offboarded.to_string(),
        });
    };
    leave(app, config, lease, kept, Cause::Released, found, deadline).await
}

/// One look is not enough to say that the cluster is gone.
async fn doubted(
    app: &App,
    key: &str,
    wait: Wait,
    finding: Option<Finding>,
    found: &Found<'_>,
) -> Result<Next, Failure> {
    let mut doubt = Report::in_state(State::Offboarding);
    doubt.waits.push(wait.to_string());
    doubt.findings.extend(finding);
    write(app, key, &doubt).await?;
    let line = format!("{}, waits for {wait}", State::Offboarding);
    let Wait::Absence { until } = wait else {
        return Ok(Next::Settled { line });
    };
    let after = Duration::try_from(until - found.known.now).unwrap_or_default();
    Ok(Next::Wait {
        after: after.max(Duration::from_secs(1)),
        line,
    })
}

async fn leave(
    app: &App,
    config: &Config,
    lease: &mut KeyLease,
    kept: Kept,
    cause: Cause,
    found: Found<'_>,
    deadline: OffsetDateTime,
) -> Result<Next, Failure> {
    let key = &lease.key.clone();
    let footprint = kept.footprint;
    // Before the others are asked for: of two clusters that leave at once, the one that says so last sees the other leave.
    app.ledger.footprints.leave(key, found.known.now).await?;
    let subject = Subject::Offboard {
        footprint: Box::new(footprint.clone()),
    };
    let estate = observe(&app.arm, app.clock.as_ref(), config, &subject).await?;
    if matches!(cause, Cause::Gone { .. }) && estate.cluster(&footprint.cluster).is_some() {
        return Ok(Next::Wait {
            after: Duration::from_secs(1),
            line: "the cluster is there again".to_owned(),
        });
    }
    let in_group = in_group(app, &estate, &footprint).await?;
    let others = app.ledger.footprints.others(key, &footprint.vnets()).await?;
    let staying = others.into_iter().filter(|other| other.leaving_since.is_none());
    let departure = Departure {
        cause,
        others: staying.map(|other| other.footprint).collect(),
        in_group,
    };
    let mut unwiring = plan_offboard(&estate, config, &footprint, &departure, found.known);
    let unserved = bury(app, key, &unwiring, &departure.cause).await?;
    let clock = app.clock.as_ref();
    let applied = apply(&app.arm, &app.ledger, clock, lease, &unwiring.plan, &[], deadline).await?;
    if unwiring.done && unserved {
        unwiring.plan.state = Some(State::Offboarding);
    }
    let mut outcome = report(&unwiring.plan, &applied, found.running);
    if unwiring.done && unserved {
        outcome.waits.push("the hub to see that its rules are gone".to_owned());
    }
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

fn leaves(lease: &mut KeyLease, plan: &Plan, applied: &Applied) -> u32 {
    if applied.written.is_empty() {
        return lease.leaves(&plan.id);
    }
    lease.wrote();
    0
}

/// What the resource group of the application address holds, if it is there.
async fn in_group(app: &App, estate: &Estate, footprint: &Footprint) -> Result<Option<BTreeSet<ResourceId>>, ArmError> {
    let group = footprint
        .address_group
        .as_ref()
        .filter(|group| estate.get(group).is_some());
    let Some(group) = group else { return Ok(None) };
    let listed = app.arm.list(&format!("{group}/resources"), RESOURCES).await?;
    let mut inside = BTreeSet::new();
    for resource in &listed {
        // What cannot be named is there all the same, so the group is not empty.
        let id = text(resource, "/id").and_then(|id| ResourceId::parse(id).ok());
        inside.insert(id.unwrap_or_else(|| group.clone()));
    }
    Ok(Some(inside))
}

/// Does with the cluster's contributions what the plan says, and asks the hubs for their work. True while a hub has not yet
/// taken the rules away.
async fn bury(app: &App, key: &str, unwiring: &Unwiring, cause: &Cause) -> Result<bool, Failure> {
    let contributions = &app.ledger.contributions;
    let mut unserved = false;
    for (hub, farewell) in &unwiring.rules {
        let present = contributions.get(hub, key).await?;
        let now = app.clock.now();
        let news = match farewell {
            Farewell::Stays => false,
            Farewell::NoInbound => match present.filter(|present| present.tombstone.is_none()) {
                Some(present) => contributions.put(hub, key, &without_inbound(present.body), now).await?,
                None => false,
            },
            Farewell::Buried => {
                // Rules without a contribution are the remains of a lost ledger: a tombstone takes them away too.
                let left = unwiring.plan.waits.contains(&Wait::RulesGone);
                let buried = present.as_ref().is_some_and(|present| present.tombstone.is_some());
                let news = match (left || present.is_some(), buried) {
                    (true, false) => contributions.bury(hub, key, &evidence(cause), now).await?,
                    (_, _) => false,
                };
                unserved |= news || buried;
                news
            }
        };
        if *farewell == Farewell::Stays {
            continue;
        }
        let waits = unserved || unwiring.plan.waits.contains(&Wait::RulesGone);
        let document = app.ledger.keys.get(hub).await?;
        let under_way = document.is_some_and(|document| document.is_under_way(now));
        if news || waits && !under_way {
            let cause = format!("the rules of {key}");
            app.ledger.keys.request(WorkKind::Hub, hub, &cause).await?;
        }
    }
    Ok(unserved)
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
