//! A look at a hub: all clusters' rules in one write.
//!
//! The firewall takes one update at a time and each takes minutes, so contributions are gathered for a short while and written
//! together; what arrives during a write rides in the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hubward_core::blueprint::{Contribution, Tombstone};
use hubward_core::config::Config;
use hubward_core::estate::Subject;
use hubward_core::finding::{Code, Finding};
use hubward_core::ids::ResourceId;
use hubward_core::names;
use hubward_core::plan::{Plan, Wait, plan_hub};
use time::OffsetDateTime;

use super::addresses::settle;
use super::failure::{Failure, of_fault, of_refusal, pause_after};
use super::outcome::{Capacity, HubReport, HubState, last_in_force, write_hub};
use super::{LOOKED, Next};
use crate::app::App;
use crate::apply::{Running, apply, resume};
use crate::ledger::keys::{FIRST_RETRY, KeyLease};
use crate::ledger::queue::WorkKind;
use crate::ledger::{Ledger, LedgerError};
use crate::observe::observe;

/// How long a contribution waits for others before the write that carries it starts. Short against the minutes of the write.
const LINGER: Duration = Duration::from_secs(15);
/// When to look again at a policy or firewall that somebody else is updating: such updates take three to five minutes.
const BUSY: Duration = Duration::from_secs(30);
/// When to look again after another look was faster.
const AGAIN: Duration = Duration::from_secs(5);
/// When to look again at a hub that is down.
const DOWN: Duration = Duration::from_secs(300);

/// The contributions of a hub, as kept in the ledger.
struct Contributed {
    asked: Asked,
    findings: Vec<Finding>,
}

/// What clusters need, and those that need nothing any more.
pub(crate) struct Asked {
    pub(crate) contributions: BTreeMap<ResourceId, Contribution>,
    pub(crate) tombstones: Vec<Tombstone>,
    /// When each of both was written.
    written_at: BTreeMap<ResourceId, OffsetDateTime>,
}

impl Asked {
    /// What tells the rules of the clusters apart of which something was written after `then`.
    fn since(&self, then: OffsetDateTime) -> BTreeSet<String> {
        let later = self.written_at.iter().filter(|(_, at)| **at >= then);
        later.map(|(cluster, _)| names::hash(cluster)).collect()
    }

    /// The clusters that a write of the rules concerns.
    fn clusters(&self) -> impl Iterator<Item = &ResourceId> {
        self.contributions
            .keys()
            .chain(self.tombstones.iter().map(|stone| &stone.cluster))
    }
}

pub(super) async fn look(
    app: &App,
    config: &Config,
    lease: &mut KeyLease,
    deadline: OffsetDateTime,
) -> Result<Next, Failure> {
    let hub = &lease.key.clone();
    if !config.hubs.contains_key(hub) {
        return Ok(Next::Settled {
            line: "dropped: no hub of this name is configured".to_owned(),
        });
    }
    let running = resume(&app.arm, &app.ledger, app.clock.as_ref(), hub, deadline).await?;
    for ended in running.ended.iter().filter(|e| e.fault.is_none()) {
        wake(app, &ended.clusters).await?;
    }
    if running.ended.is_empty()
        && let Some(due) = running.next_due
    {
        let after = Duration::try_from(due - app.clock.now()).unwrap_or_default();
        return Ok(Next::Wait {
            after: after.max(Duration::from_secs(1)),
            line: "the firewall is taking the rules".to_owned(),
        });
    }
    let subject = Subject::Hub { name: hub.clone() };
    let (estate, decided) = tokio::join!(
        observe(&app.arm, app.clock.as_ref(), config, &subject),
        app.ledger.decisions.of_hub(hub),
    );
    let (estate, decided) = (estate?, decided?);
    let contributed = contributed(&app.ledger, hub).await?;
    let addresses = settle(app, config, lease, &estate, &contributed.asked).await?;
    if addresses.outrun {
        return Ok(Next::Wait {
            after: AGAIN,
            line: "another look has changed the reservations".to_owned(),
        });
    }
    let Asked {
        contributions,
        tombstones,
        ..
    } = &contributed.asked;
    let mut plan = plan_hub(&estate, config, hub, contributions, tombstones, &addresses.reservations);
    if decided.paused.is_some() {
        plan = plan.behind(Wait::Paused);
    }
    let mut report = HubReport::of_plan(&plan);
    if let Some(in_force) = last_in_force(app, hub).await? {
        report.drift.without_news_of(&contributed.asked.since(in_force));
    }
    if lease.look_only {
        write_hub(app, hub, &report).await?;
        return Ok(Next::Settled {
            line: LOOKED.to_owned(),
        });
    }
    if let Some(after) = linger(app.clock.now(), &plan, lease.owed_since) {
        return Ok(Next::Wait {
            after,
            line: "gathering the contributions of other clusters".to_owned(),
        });
    }
    let clusters: Vec<String> = contributed.asked.clusters().map(ResourceId::key).collect();
    let applied = apply(
        &app.arm,
        &app.ledger,
        app.clock.as_ref(),
        lease,
        &plan,
        &clusters,
        deadline,
    )
    .await?;
    if applied.finished {
        wake(app, &clusters).await?;
    }
    report.capacity = Some(Capacity::of(config, &estate, hub, clusters.len()));
    report.findings.extend(contributed.findings);
    report.findings.extend(addresses.findings);
    for refused in &applied.refused {
        report.state = HubState::Failed;
        report.findings.push(of_refusal(refused));
    }
    for ended in &running.ended {
        if let Some(fault) = &ended.fault {
            report.state = HubState::Failed;
            report.findings.extend(of_fault(&ended.step, fault));
            report.trouble = Some(format!("Azure failed step {}: {fault}", ended.step));
        }
    }
    write_hub(app, hub, &report).await?;
    let wrote = !applied.written.is_empty();
    let waits = [&applied.busy, &applied.changed, &applied.late]
        .iter()
        .any(|steps| !steps.is_empty());
    if !wrote && !applied.refused.is_empty() {
        return Ok(Next::Retry {
            first: FIRST_RETRY,
            line: "Azure refused an address of the firewall".to_owned(),
        });
    }
    Ok(next(&plan, &running, wrote, waits))
}

fn next(plan: &Plan, running: &Running, wrote: bool, waits: bool) -> Next {
    if let Some(first) = pause_after(running.ended.iter().filter_map(|e| e.fault.as_ref())) {
        return Next::Retry {
            first,
            line: "the firewall did not take the rules".to_owned(),
        };
    }
    let wait = |after, line: &str| Next::Wait {
        after,
        line: line.to_owned(),
    };
    if wrote {
        return wait(BUSY, "the firewall is taking the rules");
    }
    if plan.waits.contains(&Wait::Paused) {
        return Next::Settled {
            line: "the hub is paused".to_owned(),
        };
    }
    if plan.waits.iter().any(|w| matches!(w, Wait::Approval | Wait::Observing)) {
        return Next::Settled {
            line: "the mode holds the rules back".to_owned(),
        };
    }
    let at_work = plan.waits.iter().any(|w| matches!(w, Wait::AtRest { .. }));
    if waits || at_work || !plan.steps.is_empty() {
        return wait(BUSY, "somebody else is updating the firewall");
    }
    if plan.waits.contains(&Wait::Hub) {
        return wait(DOWN, "the hub is down");
    }
    Next::Settled {
        line: "the rules are as they should be".to_owned(),
    }
}

/// Asks for the clusters whose rules were in a write that ended: they waited for it.
async fn wake(app: &App, clusters: &[String]) -> Result<(), Failure> {
    for key in clusters {
        let waits = app
            .ledger
            .keys
            .get(key)
            .await?
            .is_some_and(|document| document.is_owed());
        if waits {
            let cause = "the hub's rules are in force";
            app.ledger.keys.request(WorkKind::Spoke, key, cause).await?;
        }
    }
    Ok(())
}

/// What the clusters of a hub need, as the ledger keeps it.
pub(crate) async fn asked_of(ledger: &Ledger, hub: &str) -> Result<Asked, LedgerError> {
    contributed(ledger, hub).await.map(|contributed| contributed.asked)
}

async fn contributed(ledger: &Ledger, hub: &str) -> Result<Contributed, LedgerError> {
    let listing = ledger.contributions.of_hub(hub).await?;
    let mut contributed = Contributed {
        asked: Asked {
            contributions: BTreeMap::new(),
            tombstones: Vec::new(),
            written_at: BTreeMap::new(),
        },
        findings: Vec::new(),
    };
    let damaged = |name: &str, reason: &str| {
        Finding::warning(
            Code::DamagedDocument,
            format!("the contribution {name} cannot be read: {reason}"),
            "The cluster's rules stay as they are; replay one of its events to write it again.",
        )
    };
    for document in &listing.documents {
        if let Ok(cluster) = ResourceId::parse(&document.cluster) {
            contributed.asked.written_at.insert(cluster, document.written_at);
        }
        if let Some(evidence) = &document.tombstone {
            match ResourceId::parse(&document.cluster) {
                Ok(cluster) => contributed.asked.tombstones.push(Tombstone {
                    cluster,
                    evidence: evidence.as_str().map_or_else(|| evidence.to_string(), str::to_owned),
                }),
                Err(error) => contributed
                    .findings
                    .push(damaged(&document.cluster, &error.to_string())),
            }
            continue;
        }
        match serde_json::from_value::<Contribution>(document.body.clone()) {
            Ok(contribution) => {
                contributed
                    .asked
                    .contributions
                    .insert(contribution.cluster.clone(), contribution);
            }
            Err(error) => contributed
                .findings
                .push(damaged(&document.cluster, &error.to_string())),
        }
    }
    contributed
        .findings
        .extend(listing.damaged.iter().map(|d| damaged(&d.name, &d.reason)));
    Ok(contributed)
}

/// What is left of the time in which contributions are gathered, counted from the oldest that is not served; `None` when there
/// is nothing to write or it is over.
fn linger(now: OffsetDateTime, plan: &Plan, owed_since: Option<OffsetDateTime>) -> Option<Duration> {
    plan.startable().next()?;
    let until = owed_since? + LINGER;
    Duration::try_from(until - now).ok().filter(|left| !left.is_zero())
}
