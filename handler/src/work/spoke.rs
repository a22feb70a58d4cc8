//! A look at a cluster and its spoke.

use std::time::Duration;

use hubward_core::blueprint::Footprint;
use hubward_core::config::Config;
use hubward_core::ids::ResourceId;
use hubward_core::plan::{Plan, State, Wait, plan_spoke};
use serde_json::json;
use time::OffsetDateTime;

use super::course::{Course, Sighted, Sources, Surveyed};
use super::failure::{Failure, of_fault, of_refusal, pause_after};
use super::offboard::{self, Found};
use super::outcome::{Place, Report, write};
use super::{LOOKED, Next};
use crate::app::App;
use crate::apply::{Applied, Ended, Running, apply, resume};
use crate::ledger::keys::{FIRST_RETRY, KeyLease, retry_delay};
use crate::ledger::queue::WorkKind;
use crate::transport::REQUEST_TIMEOUT;

/// When to look again at something that Azure ends in seconds: a peering, a network at rest.
const SOON: Duration = Duration::from_secs(10);
/// When to look again at a target that somebody changed.
const AGAIN: Duration = Duration::from_secs(5);
/// When to look again at rules: the hub's commit asks for this cluster itself, so this is only the safety net.
const RULES: Duration = Duration::from_secs(300);
/// When a look that might take away what is shared has ended: it begins no step after [`super::LOOK`].
const LEFT: Duration = super::LOOK.saturating_add(REQUEST_TIMEOUT);
/// When to look again at a hub that is down or a cluster that AKS works on.
const LATER: Duration = Duration::from_secs(120);

pub(super) async fn look(
    app: &App,
    config: &Config,
    lease: &mut KeyLease,
    deadline: OffsetDateTime,
) -> Result<Next, Failure> {
    let key = &lease.key.clone();
    let Ok(id) = ResourceId::parse(key) else {
        return Ok(Next::Settled {
            line: "dropped: the key is not a resource id".to_owned(),
        });
    };
    // The scope is checked again here, because a message can be put into the queue by others than ClusterEvents.
    if !config.scope.covers(&id) {
        return Ok(Next::Settled {
            line: "dropped: the cluster is not in the configured scope".to_owned(),
        });
    }
    let running = resume(&app.arm, &app.ledger, app.clock.as_ref(), key, deadline).await?;
    if running.ended.is_empty() && running.next_due.is_some() {
        return Ok(pause(app, &running));
    }
    let sighted = Sighted {
        installed_at: Some(app.ledger.installed.at(app.clock.now()).await?),
        created: lease.create_seen_at,
        deleted: lease.delete_seen_at,
        absent_since: lease.absent_since,
    };
    let sources = Sources {
        config,
        arm: &app.arm,
        ledger: Some(&app.ledger),
        clock: app.clock.as_ref(),
    };
    let surveyed = sources.survey(&id, &sighted).await?;
    let Surveyed {
        estate, known, course, ..
    } = &surveyed;
    let place = Place::of(config, estate, &id, known);
    if lease.look_only {
        if let Some(plan) = sources.plan(&id, &surveyed).await? {
            let report = Report {
                place,
                ..Report::of_plan(&plan)
            };
            write(app, key, &report).await?;
        }
        return Ok(Next::Settled {
            line: LOOKED.to_owned(),
        });
    }
    match estate.cluster(&id) {
        None if estate.is_absent(&id) => app.ledger.keys.saw(lease, false, known.now).await?,
        // One that is being deleted takes nothing back.
        Some(cluster) if !cluster.provisioning_state().eq_ignore_ascii_case("Deleting") => {
            app.ledger.keys.saw(lease, true, known.now).await?;
        }
        Some(_) | None => {}
    }
    if surveyed.gone && !matches!(course, Course::Leaving(_)) {
        app.ledger.decisions.forget(key, known.now).await?;
    }
    match course {
        Course::Wired => {}
        Course::Leaving(leaving) => {
            let found = Found {
                running: &running,
                surveyed: &surveyed,
                deadline,
            };
            return offboard::look(app, sources, lease, leaving, found).await;
        }
        Course::Left => {
            let report = Report::of_plan(&Plan::of_offboarded(estate, &id));
            write(app, key, &report).await?;
            return Ok(Next::Settled {
                line: State::Offboarded.to_string(),
            });
        }
    }
    let plan = plan_spoke(estate, config, &id, known);
    if let Some(footprint) = &plan.footprint
        && app.ledger.footprints.grow(footprint).await?
        && is_being_left(app, key, footprint).await?
    {
        return Ok(Next::Wait {
            after: LEFT,
            line: "another cluster is leaving the network".to_owned(),
        });
    }
    if known.returning && plan.state == Some(State::Wired) {
        app.ledger.footprints.mended(key).await?;
    }
    contribute(app, &plan).await?;
    let carried_out = plan.steps.is_empty() && plan.held_rules.is_none();
    if carried_out && plan.state.is_some_and(State::is_wired) {
        let word = &known.word;
        app.ledger.decisions.use_up(key, &word.approved, known.now).await?;
    }
    let applied = apply(&app.arm, &app.ledger, app.clock.as_ref(), lease, &plan, &[], deadline).await?;
    let mut report = report(&plan, &applied, &running);
    report.place = place;
    write(app, key, &report).await?;
    let unchanged = if applied.written.is_empty() {
        lease.leaves(&plan.id)
    } else {
        lease.wrote();
        0
    };
    Ok(next(&plan, &applied, &running, &report, unchanged, app.clock.now()))
}

/// True if another cluster is being taken off one of the networks. Its look may have begun before this footprint was kept, and
/// would take away what both share.
async fn is_being_left(app: &App, key: &str, footprint: &Footprint) -> Result<bool, Failure> {
    let others = app.ledger.footprints.others(key, &footprint.vnets()).await?;
    Ok(others.iter().any(|other| other.leaving_since.is_some()))
}

/// Keeps what the cluster needs, and asks for the hub's work if that is news or still not in force.
async fn contribute(app: &App, plan: &Plan) -> Result<(), Failure> {
    let Some(contribution) = &plan.contribution else {
        return Ok(());
    };
    let (hub, key) = (&contribution.hub, &plan.subject);
    let news = app
        .ledger
        .contributions
        .put(hub, key, &json!(contribution), app.clock.now())
        .await?;
    // A paused hub writes nothing; whoever resumes it asks for its work.
    if !plan.needs_hub() || plan.waits.contains(&Wait::Paused) {
        return Ok(());
    }
    // A wish that is owed is not yet one that will be worked on: whoever made it may have died before its message was sent.
    // Only a hub that waits for Azure is known to have its next message under way, until that is overdue; asking once more
    // costs one idle look.
    let under_way = app
        .ledger
        .keys
        .get(hub)
        .await?
        .is_some_and(|document| document.is_under_way(app.clock.now()));
    if news || !under_way {
        app.ledger
            .keys
            .request(WorkKind::Hub, hub, &format!("the rules of {key}"))
            .await?;
    }
    Ok(())
}

pub(super) fn report(plan: &Plan, applied: &Applied, running: &Running) -> Report {
    let mut report = Report::of_plan(plan);
    report.steps.clone_from(&applied.written);
    report
        .waits
        .extend(applied.written.iter().map(|step| format!("Azure to finish {step}")));
    report.waits.extend(
        applied
            .busy
            .iter()
            .map(|step| format!("another write to end before {step}")),
    );
    report.waits.extend(
        applied
            .changed
            .iter()
            .map(|step| format!("a plan made anew for {step}")),
    );
    report.waits.extend(
        applied
            .deferred
            .iter()
            .map(|d| format!("step {} ({})", d.step, d.reason)),
    );
    report.findings.extend(applied.refused.iter().map(of_refusal));
    for ended in &running.ended {
        report.findings.extend(ended.finding.clone());
        if let Some(fault) = &ended.fault {
            report.findings.extend(of_fault(&ended.step, fault));
            report.trouble = Some(format!("Azure failed step {}: {fault}", ended.step));
        }
    }
    report
}

/// What comes next. A failed operation is tried again with a growing delay, or a fault of Azure's would be hammered.
///
/// `unchanged` looks before this one left the same plan.
pub(super) fn next(
    plan: &Plan,
    applied: &Applied,
    running: &Running,
    report: &Report,
    unchanged: u32,
    now: OffsetDateTime,
) -> Next {
    let line = line(plan, report);
    let only_leads_in = |id: &str| plan.steps.iter().any(|step| step.id == id && step.only_leads_in());
    let (leading_in, leading_out): (Vec<&Ended>, Vec<&Ended>) =
        running.ended.iter().partition(|ended| only_leads_in(&ended.step));
    if let Some(first) = pause_after(leading_out.iter().filter_map(|e| e.fault.as_ref())) {
        return Next::Retry { first, line };
    }
    let begun = [&applied.written, &applied.busy, &applied.late];
    if begun.iter().any(|steps| !steps.is_empty()) {
        return Next::Wait { after: SOON, line };
    }
    // Whoever resumes the hub asks for its clusters.
    if plan.waits.contains(&Wait::Paused) {
        return Next::Settled { line };
    }
    if !applied.changed.is_empty() {
        // Somebody else is at work on it; with a growing pause, or two writers would chase each other.
        return Next::Retry { first: AGAIN, line };
    }
    // All that is startable was tried, and only time helps what Azure put off.
    if let Some(after) = applied.deferred.iter().map(|d| d.after).min() {
        return Next::Wait { after, line };
    }
    let pause = plan
        .waits
        .iter()
        .filter_map(|wait| pause_for(wait, unchanged, now))
        .min();
    match (plan.state, pause) {
        // Whoever mends what Azure refused tells nobody.
        _ if !applied.refused.is_empty() || leading_in.iter().any(|e| e.fault.is_some()) => Next::Retry {
            first: FIRST_RETRY,
            line,
        },
        (
            Some(State::Waiting | State::Settling | State::Broken | State::Prepared | State::Offboarding),
            Some(after),
        ) => Next::Wait { after, line },
        // A startable step that was not written shares its lane with one that was; it is next.
        (Some(State::Waiting | State::Offboarding), None) if plan.startable().next().is_some() => {
            Next::Wait { after: SOON, line }
        }
        _ => Next::Settled { line },
    }
}

/// When to look again at what is waited for. What stays as it is for long waits for a person, whether it says so or not (a
/// peering that nobody connects again, a cluster that failed), so each look at the same plan doubles the pause.
fn pause_for(wait: &Wait, unchanged: u32, now: OffsetDateTime) -> Option<Duration> {
    let first = match wait {
        Wait::Peering | Wait::AtRest { .. } => SOON,
        Wait::Cluster { .. } | Wait::Hub => LATER,
        Wait::Rules | Wait::RulesGone => return Some(RULES),
        Wait::Rights { until } | Wait::Absence { until } => {
            let left = Duration::try_from(*until - now).unwrap_or_default();
            return Some(left.max(Duration::from_secs(1)));
        }
        // A person's word comes as an event or a command.
        Wait::Person { .. } | Wait::Approval | Wait::Observing | Wait::Paused | Wait::Step { .. } => {
            return None;
        }
    };
    Some(retry_delay(first, unchanged.saturating_add(1)))
}

fn pause(app: &App, running: &Running) -> Next {
    let now = app.clock.now();
    let due = running.next_due.unwrap_or(now);
    let after = Duration::try_from(due - now).unwrap_or(Duration::from_secs(1));
    Next::Wait {
        after: after.max(Duration::from_secs(1)),
        line: format!("Azure is writing {} resources", running.count),
    }
}

fn line(plan: &Plan, report: &Report) -> String {
    let state = plan.state.map_or_else(String::new, |s| s.to_string());
    if report.waits.is_empty() {
        state
    } else {
        format!("{state}, waits for {}", report.waits.join(", "))
    }
}
