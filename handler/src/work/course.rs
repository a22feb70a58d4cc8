//! The course of a cluster: it is wired, it leaves its hub, or it has left; and the plan of that.
//!
//! This is the only way from a cluster's id to its plan. A look of the app does what it says, and the commands show it. It only
//! reads, and what cannot be read ends it, because half an estate would look like a whole one.

use std::collections::BTreeSet;

use hubward_core::blueprint::Footprint;
use hubward_core::config::Config;
use hubward_core::estate::{Estate, Subject, text};
use hubward_core::finding::{Code, Finding};
use hubward_core::ids::ResourceId;
use hubward_core::plan::{
    Age, Cause, Departure, Farewell, Gone, Known, Plan, Sightings, State, Unwiring, Wait, Word, gone, plan_offboard,
    plan_spoke,
};
use time::OffsetDateTime;

use super::addresses::tell_plan;
use super::failure::Failure;
use crate::arm::{Arm, ArmError};
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::ledger::footprints::Kept;
use crate::observe::observe;

/// `Microsoft.Resources`: the version with which the resources of a group are listed.
const RESOURCES: &str = "2024-11-01";

/// Where it is read from.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) config: &'a Config,
    pub(crate) arm: &'a Arm,
    /// `None` if nobody says where it is: then nothing is known of the cluster but what Azure shows.
    pub(crate) ledger: Option<&'a Ledger>,
    pub(crate) clock: &'a dyn Clock,
}

/// What the ledger keeps under the cluster's key, and about the installation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sighted {
    /// When Hubward was installed; `None` if the ledger has lost it.
    pub(crate) installed_at: Option<OffsetDateTime>,
    /// When the cluster was created, by the last event that said so.
    pub(crate) created: Option<OffsetDateTime>,
    /// When it, or its resource group, was deleted, by the last event that said so.
    pub(crate) deleted: Option<OffsetDateTime>,
    /// Since when no look has found it.
    pub(crate) absent_since: Option<OffsetDateTime>,
}

/// A cluster as it was read, and what that comes to.
pub(crate) struct Surveyed {
    pub(crate) estate: Estate,
    pub(crate) known: Known,
    /// It is proven to be gone.
    pub(crate) gone: bool,
    pub(crate) course: Course,
}

/// What a cluster is heading for.
pub(crate) enum Course {
    /// Its place on the hub.
    Wired,
    /// The way off it.
    Leaving(Box<Leaving>),
    /// It is off the hub, and nothing of it is left.
    Left,
}

/// Why and from where a cluster leaves.
pub(crate) struct Leaving {
    pub(crate) footprint: Footprint,
    pub(crate) cause: Cause,
    /// What keeps everything back until it is certain that the cluster is gone.
    pub(crate) doubt: Option<Doubt>,
}

/// One look is not enough to say that the cluster is gone.
pub(crate) struct Doubt {
    pub(crate) wait: Wait,
    finding: Option<Finding>,
}

/// The plan of leaving, and what it was made with.
pub(crate) struct Unwired {
    pub(crate) unwiring: Unwiring,
    pub(crate) departure: Departure,
    /// A hub still has to see that its rules are gone, before the cluster is off it.
    pub(crate) unserved: bool,
}

impl Sighted {
    fn age(&self) -> Age {
        Age {
            installed_at: self.installed_at,
            // An old create event that is replayed makes no cluster young.
            create_seen: self
                .installed_at
                .zip(self.created)
                .is_some_and(|(installed, created)| created >= installed),
        }
    }
}

impl Sources<'_> {
    /// Reads a cluster with everything around it, and says what it is heading for.
    pub(crate) async fn survey(&self, id: &ResourceId, sighted: &Sighted) -> Result<Surveyed, Failure> {
        let key = &id.key();
        let now = self.clock.now();
        let subject = Subject::Spoke { cluster: id.clone() };
        let observed = observe(self.arm, self.clock, self.config, &subject);
        let Some(ledger) = self.ledger else {
            return Ok(Surveyed {
                estate: observed.await?,
                known: Known::at(now, sighted.age()),
                gone: false,
                course: Course::Wired,
            });
        };
        // At the same time: what was read a while ago is more often overtaken by others' writes.
        let (estate, decided, paused, kept) = tokio::join!(
            observed,
            ledger.decisions.of_cluster(key),
            ledger.decisions.paused_hubs(),
            ledger.footprints.get(key),
        );
        let (estate, decided, paused, kept) = (estate?, decided?, paused?, kept?);
        let mut known = Known {
            word: Word {
                paused: !hubs_of(self.config, &estate, id, kept.as_ref()).is_disjoint(&paused),
                ..decided.since(sighted.deleted).word()
            },
            returning: kept.as_ref().is_some_and(|kept| kept.unfinished),
            ..Known::at(now, sighted.age())
        };
        tell_plan(ledger, self.config, &estate, id, &mut known).await?;
        let absent = estate.is_absent(id).then(|| absent(&estate, id, sighted, now));
        let gone = absent.as_ref().is_some_and(|(_, doubt)| doubt.is_none());
        let released = known.word.released && estate.cluster(id).is_some();
        let course = match (absent, kept) {
            (Some(why), Some(kept)) => Course::leaving(kept, why),
            (Some(_), None) if was_offboarded(ledger, key).await => Course::Left,
            (None, Some(kept)) if released => Course::leaving(kept, (Cause::Released, None)),
            (None, None) if released => Course::Left,
            (_, _) => Course::Wired,
        };
        Ok(Surveyed {
            estate,
            known,
            gone,
            course,
        })
    }

    /// The plan of leaving; `None` if a cluster that was not found is there again.
    pub(crate) async fn unwire(&self, leaving: &Leaving, known: &Known) -> Result<Option<Unwired>, Failure> {
        // Nobody leaves of whom no ledger has told.
        let Some(ledger) = self.ledger else { return Ok(None) };
        let (footprint, key) = (&leaving.footprint, leaving.footprint.cluster.key());
        let subject = Subject::Offboard {
            footprint: Box::new(footprint.clone()),
        };
        let estate = observe(self.arm, self.clock, self.config, &subject).await?;
        if leaving.cause != Cause::Released && estate.cluster(&footprint.cluster).is_some() {
            return Ok(None);
        }
        let in_group = self.in_group(&estate, footprint).await?;
        let others = ledger.footprints.others(&key, &footprint.vnets()).await?;
        let staying = others.into_iter().filter(|other| other.leaving_since.is_none());
        let departure = Departure {
            cause: leaving.cause.clone(),
            others: staying.map(|other| other.footprint).collect(),
            in_group,
        };
        let mut unwiring = plan_offboard(&estate, self.config, footprint, &departure, known);
        if let Some(doubt) = &leaving.doubt {
            unwiring = unwiring.doubted(doubt.wait.clone(), doubt.finding.clone());
        }
        let mut unserved = false;
        for (hub, farewell) in &unwiring.rules {
            if *farewell == Farewell::Buried {
                // Rules without a contribution are the remains of a lost ledger.
                let left = unwiring.plan.waits.contains(&Wait::RulesGone);
                unserved |= left || ledger.contributions.get(hub, &key).await?.is_some();
            }
        }
        if unwiring.done && unserved {
            unwiring.plan = unwiring.plan.behind(Wait::RulesGone);
            unwiring.plan.state = Some(State::Offboarding);
        }
        Ok(Some(Unwired {
            unwiring,
            departure,
            unserved,
        }))
    }

    /// The plan of a cluster that was read, whatever it is heading for; `None` if one that was not found is there again.
    pub(crate) async fn plan(&self, id: &ResourceId, surveyed: &Surveyed) -> Result<Option<Plan>, Failure> {
        let Surveyed {
            estate, known, course, ..
        } = surveyed;
        Ok(match course {
            Course::Wired => Some(plan_spoke(estate, self.config, id, known)),
            Course::Leaving(leaving) => self.unwire(leaving, known).await?.map(|unwired| unwired.unwiring.plan),
            Course::Left => Some(Plan::of_offboarded(estate, id)),
        })
    }

    /// What the resource group of the application address holds, if it is there.
    async fn in_group(&self, estate: &Estate, footprint: &Footprint) -> Result<Option<BTreeSet<ResourceId>>, ArmError> {
        let group = footprint
            .address_group
            .as_ref()
            .filter(|group| estate.get(group).is_some());
        let Some(group) = group else { return Ok(None) };
        let listed = self.arm.list(&format!("{group}/resources"), RESOURCES).await?;
        let mut inside = BTreeSet::new();
        for resource in &listed {
            // What cannot be named is there all the same, so the group is not empty.
            let id = text(resource, "/id").and_then(|id| ResourceId::parse(id).ok());
            inside.insert(id.unwrap_or_else(|| group.clone()));
        }
        Ok(Some(inside))
    }
}

impl Course {
    fn leaving(kept: Kept, (cause, doubt): (Cause, Option<Doubt>)) -> Self {
        Self::Leaving(Box::new(Leaving {
            footprint: kept.footprint,
            cause,
            doubt,
        }))
    }
}

/// Why a cluster that was not found leaves, and what is still uncertain of that.
fn absent(estate: &Estate, id: &ResourceId, sighted: &Sighted, now: OffsetDateTime) -> (Cause, Option<Doubt>) {
    let seen = Sightings {
        now,
        created: sighted.created,
        deleted: sighted.deleted,
        absent_since: sighted.absent_since,
    };
    let (wait, finding) = match gone(estate.absence(id), &seen) {
        Gone::Proven { evidence } => return (Cause::Gone { evidence }, None),
        Gone::Doubtful { until } => (Wait::Absence { until }, None),
        Gone::Unsaid => {
            let finding = Finding::warning(
                Code::NotRead,
                format!("Azure's answer does not say whether the cluster {} exists", id.name()),
                "Nothing is taken away until it does; the next event or sweep looks again.",
            );
            (Wait::Person { code: finding.code }, Some(finding))
        }
    };
    let cause = Cause::Gone {
        evidence: String::new(),
    };
    (cause, Some(Doubt { wait, finding }))
}

/// True if the last look says that the cluster is off its hub. A damaged outcome says nothing.
async fn was_offboarded(ledger: &Ledger, key: &str) -> bool {
    let last = ledger.outcomes.get(key).await;
    last.is_ok_and(|last| last.is_some_and(|last| last.state == State::Offboarded.to_string()))
}

/// The hub that serves the cluster's region, by its name in the configuration; of a cluster that was not found, the hubs in its
/// footprint.
fn hubs_of(config: &Config, estate: &Estate, id: &ResourceId, kept: Option<&Kept>) -> BTreeSet<String> {
    if let Some(cluster) = estate.cluster(id) {
        let hub = config.hub_for_location(cluster.location());
        return hub.map(|(name, _)| name.to_owned()).into_iter().collect();
    }
    kept.map(|kept| kept.footprint.hubs()).unwrap_or_default()
}
