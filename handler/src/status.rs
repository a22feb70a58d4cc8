//! The picture of the estate as the ledger has it: every cluster and hub with its state, its proofs and what it waits for.
//!
//! It asks Azure nothing, so it is cheap, needs only the right to read the ledger, and is as old as the last looks say. A
//! document that cannot be read is named and left out. It also judges how far a cluster is on its way to what somebody waits
//! for.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use hubward_core::finding::{Code, Finding};
use hubward_core::ids::ResourceId;
use hubward_core::plan::{Acceptance, FieldChange, State};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ledger::decisions::{Decision, Past};
use crate::ledger::keys::KeyDocument;
use crate::ledger::{Ledger, LedgerError};
use crate::work::{Capacity, Held, HubReport, HubState, Report};

/// All that the ledger knows of clusters and hubs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// The clusters, by name and id.
    pub clusters: Vec<ClusterStatus>,
    /// The hubs, by name.
    pub hubs: Vec<HubStatus>,
    /// Documents that could not be read, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
}

/// A cluster as its last look left it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterStatus {
    /// Its resource id, as Azure writes it if it was read.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its hub, by the name in the configuration.
    pub hub: Option<String>,
    /// Its state.
    pub state: State,
    /// The firewall's address that is reserved for it.
    pub ingress_ip: Option<Ipv4Addr>,
    /// The one address from which it leaves; absent until that is proven.
    pub egress_ip: Option<Ipv4Addr>,
    /// `holds`, `unknown` or `broken`.
    pub egress_proof: &'static str,
    /// `holds`, `unknown` or `broken`.
    pub reach_proof: &'static str,
    /// What is waited for, in words.
    pub waits: Vec<String>,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// What somebody may accept so that it goes on.
    pub asks: Vec<Acceptance>,
    /// The steps that wait for somebody to let them go.
    pub held: Vec<Held>,
    /// Its hub is paused.
    pub paused: bool,
    /// What people decided about it, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Past>,
    /// What differed at the last look from what was as it should be before.
    pub drift: Vec<FieldChange>,
    /// When it was last looked at.
    #[serde(with = "time::serde::rfc3339")]
    pub looked_at: OffsetDateTime,
    /// Why it was last asked for.
    pub cause: Option<String>,
    /// True if it was asked for since the last look.
    pub due: bool,
    /// What went wrong last.
    pub trouble: Option<String>,
}

/// A hub as its last look left it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HubStatus {
    /// Its name in the configuration.
    pub name: String,
    /// How its rules are; absent before its first look.
    pub state: Option<HubState>,
    /// Who paused it, when and why.
    pub paused: Option<Decision>,
    /// The address from which all its clusters leave.
    pub egress_ip: Option<Ipv4Addr>,
    /// How many of its clusters are in each state.
    pub clusters: BTreeMap<String, usize>,
    /// What of it is used.
    pub capacity: Option<Capacity>,
    /// What is waited for, in words.
    pub waits: Vec<String>,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// When it was last looked at.
    #[serde(with = "time::serde::rfc3339::option")]
    pub looked_at: Option<OffsetDateTime>,
    /// What went wrong last.
    pub trouble: Option<String>,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// Everything but the switch is done.
    Prepared,
    /// Switched and proven; `settling` counts.
    Wired,
}

/// How far a cluster is on its way to a [`Goal`], in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is there.
    Reached(String),
    /// It is on its way.
    NotYet(String),
    /// It will not get there before a person acts.
    Never(String),
}

/// Why a text names no cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Nobody has heard of it.
    #[error("{0:?} is not a cluster that Hubward knows; allowed: the resource id or the name of one")]
    Nowhere(String),
    /// Several have this name.
    #[error("{name:?} is the name of several clusters ({ids}); allowed: the resource id of one")]
    Several {
        /// The name.
        name: String,
        /// Their ids.
        ids: String,
    },
}

impl Status {
    /// Reads the ledger.
    ///
    /// # Errors
    /// [`LedgerError`] if it cannot be listed.
    pub async fn of(ledger: &Ledger) -> Result<Self, LedgerError> {
        let outcomes = ledger.outcomes.all().await?;
        let keys = ledger.keys.all().await?;
        let decisions = ledger.decisions.of_hubs().await?;
        let decided = ledger.decisions.of_clusters().await?;
        let mut status = Self::default();
        let damaged = [&outcomes.damaged, &keys.damaged, &decisions.damaged, &decided.damaged];
        status
            .damaged
            .extend(damaged.into_iter().flatten().map(ToString::to_string));
        let wishes: BTreeMap<&str, &KeyDocument> = keys.documents.iter().map(|k| (k.key.as_str(), k)).collect();
        let mut hubs: BTreeMap<String, HubStatus> = BTreeMap::new();
        for document in &decisions.documents {
            hub(&mut hubs, &document.hub).paused.clone_from(&document.paused);
        }
        for outcome in outcomes.documents {
            let unreadable = |error| format!("the outcome of {} cannot be read: {error}", outcome.key);
            if outcome.key.starts_with('/') {
                match serde_json::from_value::<Report>(outcome.body.clone()) {
                    Ok(report) => {
                        let wish = wishes.get(outcome.key.as_str()).copied();
                        status
                            .clusters
                            .push(ClusterStatus::of(&outcome.key, report, outcome.at, wish));
                    }
                    Err(error) => status.damaged.push(unreadable(error)),
                }
            } else {
                match serde_json::from_value::<HubReport>(outcome.body.clone()) {
                    Ok(report) => hub(&mut hubs, &outcome.key).reported(report, outcome.at),
                    Err(error) => status.damaged.push(unreadable(error)),
                }
            }
        }
        let mut histories: BTreeMap<String, Vec<Past>> = BTreeMap::new();
        for document in decided.documents {
            histories.insert(document.cluster, document.history);
        }
        for cluster in &mut status.clusters {
            cluster.decisions = histories.remove(&cluster.id.to_ascii_lowercase()).unwrap_or_default();
            if let Some(name) = &cluster.hub {
                let hub = hub(&mut hubs, name);
                *hub.clusters.entry(cluster.state.to_string()).or_default() += 1;
                cluster.paused = hub.paused.is_some();
            }
        }
        status.clusters.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        status.hubs = hubs.into_values().collect();
        Ok(status)
    }

    /// The cluster that a person means by a resource id or a name.
    ///
    /// # Errors
    /// [`Unknown`].
    pub fn cluster(&self, text: &str) -> Result<&ClusterStatus, Unknown> {
        let by_id = |c: &&ClusterStatus| c.id.eq_ignore_ascii_case(text.trim_end_matches('/'));
        if text.starts_with('/') {
            let found = self.clusters.iter().find(by_id);
            return found.ok_or_else(|| Unknown::Nowhere(text.to_owned()));
        }
        let named: Vec<&ClusterStatus> = self
            .clusters
            .iter()
            .filter(|c| c.name.eq_ignore_ascii_case(text))
            .collect();
        match named.as_slice() {
            [] => Err(Unknown::Nowhere(text.to_owned())),
            [one] => Ok(one),
            several => Err(Unknown::Several {
                name: text.to_owned(),
                ids: several.iter().map(|c| c.id.as_str()).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// The same picture with one cluster and its hub only.
    #[must_use]
    pub fn only(&self, cluster: &ClusterStatus) -> Self {
        let hubs = self.hubs.iter().filter(|hub| Some(&hub.name) == cluster.hub.as_ref());
        Self {
            clusters: vec![cluster.clone()],
            hubs: hubs.cloned().collect(),
            damaged: Vec::new(),
        }
    }
}

fn hub<'a>(hubs: &'a mut BTreeMap<String, HubStatus>, name: &str) -> &'a mut HubStatus {
    hubs.entry(name.to_owned()).or_insert_with(|| HubStatus {
        name: name.to_owned(),
        state: None,
        paused: None,
        egress_ip: None,
        clusters: BTreeMap::new(),
        capacity: None,
        waits: Vec::new(),
        findings: Vec::new(),
        looked_at: None,
        trouble: None,
    })
}

impl HubStatus {
    fn reported(&mut self, report: HubReport, at: OffsetDateTime) {
        self.state = Some(report.state);
        self.egress_ip = report.capacity.as_ref().and_then(|capacity| capacity.egress_ip);
        self.capacity = report.capacity;
        self.waits = report.waits;
        self.findings = report.findings;
        self.looked_at = Some(at);
        self.trouble = report.trouble;
    }
}

impl ClusterStatus {
    fn of(key: &str, report: Report, at: OffsetDateTime, wish: Option<&KeyDocument>) -> Self {
        let id = report
            .place
            .as_ref()
            .map_or_else(|| key.to_owned(), |p| p.id.to_string());
        let proof = report.proof.as_ref();
        let leaves_by_hub = proof.is_some_and(|proof| proof.egress.holds());
        Self {
            name: id.rsplit('/').next().unwrap_or_default().to_owned(),
            hub: report.place.as_ref().and_then(|place| place.hub.clone()),
            ingress_ip: report.place.as_ref().and_then(|place| place.ingress_ip),
            egress_ip: report
                .place
                .as_ref()
                .and_then(|place| place.egress_ip)
                .filter(|_| leaves_by_hub),
            egress_proof: proof.map_or("unknown", |proof| proof.egress.word()),
            reach_proof: proof.map_or("unknown", |proof| proof.reach.word()),
            id,
            state: report.state,
            waits: report.waits,
            findings: report.findings,
            asks: report.asks,
            held: report.held,
            drift: report.drift.now,
            paused: false,
            decisions: Vec::new(),
            looked_at: at,
            cause: wish.map(|wish| wish.cause.clone()),
            due: wish.is_some_and(|wish| wish.is_owed() && wish.requested_at > at),
            trouble: report.trouble,
        }
    }

    /// How far the cluster is.
    ///
    /// What only a person ends is told as such once the cluster was looked at after the last event or command.
    #[must_use]
    pub fn way_to(&self, goal: Goal) -> Way {
        let name = &self.name;
        let reached = match (goal, self.state) {
            (_, State::Wired | State::Settling) | (Goal::Prepared, State::Prepared) => true,
            (
                _,
                State::Observed
                | State::NotEligible
                | State::PendingApproval
                | State::Prepared
                | State::Waiting
                | State::Broken
                | State::Failed
                | State::Bypassed
                | State::Offboarding
                | State::Offboarded,
            ) => false,
        };
        if reached {
            return Way::Reached(format!("{name} is {}", self.state));
        }
        if self.due {
            return Way::NotYet(format!("{name} is {} and about to be looked at", self.state));
        }
        match self.needs_person(goal) {
            Some(why) => Way::Never(format!("{name} is {} and needs a person: {why}", self.state)),
            None if self.waits.is_empty() => Way::NotYet(format!("{name} is {}", self.state)),
            None => Way::NotYet(format!("{name} is {}, waits for {}", self.state, self.waits.join(", "))),
        }
    }

    /// What a person has to do, if nothing goes on without one. What only holds the switch back does not keep a cluster from
    /// being prepared.
    fn needs_person(&self, goal: Goal) -> Option<String> {
        if self.paused {
            let hub = self.hub.as_deref().unwrap_or_default();
            return Some(format!("hub {hub} is paused; hubward resume {hub}"));
        }
        let told = |finding: &Finding| {
            let help = if finding.help.is_empty() { "" } else { "; " };
            format!("{}: {}{help}{}", finding.code.text(), finding.message, finding.help)
        };
        if goal == Goal::Prepared && self.state == State::Waiting {
            return None;
        }
        if let Some(finding) = self.findings.iter().find(|finding| finding.is_blocking()) {
            return Some(told(finding));
        }
        match self.state {
            State::PendingApproval => Some(format!(
                "{} wait for approval; hubward approve {}",
                counted(self.held.len(), "step"),
                self.id
            )),
            State::Observed => {
                let older = self.findings.iter().find(|f| f.code == Code::OlderThanInstallation);
                Some(older.map_or_else(
                    || "the mode only observes; set mode to approve or correct".to_owned(),
                    told,
                ))
            }
            State::NotEligible => Some(self.findings.first().map_or_else(
                || "its shape does not allow to lead it through the hub".to_owned(),
                told,
            )),
            State::Bypassed | State::Offboarding | State::Offboarded => {
                let asked_for = self.decisions.last().is_some_and(|past| past.what == "offboard");
                Some(if asked_for {
                    format!("it was taken off the hub; hubward approve {} takes that back", self.id)
                } else {
                    "the cluster is gone".to_owned()
                })
            }
            State::Failed => Some(self.trouble.clone().unwrap_or_else(|| "see its findings".to_owned())),
            State::Prepared | State::Waiting | State::Wired | State::Settling | State::Broken => None,
        }
    }
}

/// How far a cluster is of which the ledger has no outcome yet.
#[must_use]
pub fn way_of_unseen(id: &ResourceId) -> Way {
    Way::NotYet(format!("{} was not looked at yet", id.name()))
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn cluster(state: State) -> ClusterStatus {
        ClusterStatus {
            id: "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/shop"
                .to_owned(),
            name: "shop".to_owned(),
            hub: Some("main".to_owned()),
            state,
            ingress_ip: None,
            egress_ip: None,
            egress_proof: "unknown",
            reach_proof: "unknown",
            waits: Vec::new(),
            findings: Vec::new(),
            asks: Vec::new(),
            held: Vec::new(),
            paused: false,
            decisions: Vec::new(),
            drift: Vec::new(),
            looked_at: datetime!(2026-01-05 08:00 UTC),
            cause: None,
            due: false,
            trouble: None,
        }
    }

    const STATES: [State; 12] = [
        State::Observed,
        State::NotEligible,
        State::PendingApproval,
        State::Prepared,
        State::Waiting,
        State::Wired,
        State::Settling,
        State::Broken,
        State::Failed,
        State::Bypassed,
        State::Offboarding,
        State::Offboarded,
    ];

    #[test]
    fn every_state_is_there_on_its_way_or_needs_a_person() {
        let lines: Vec<String> = STATES
            .iter()
            .flat_map(|state| [Goal::Prepared, Goal::Wired].map(|goal| (state, goal)))
            .map(|(state, goal)| {
                let (word, line) = match cluster(*state).way_to(goal) {
                    Way::Reached(line) => ("reached", line),
                    Way::NotYet(line) => ("not yet", line),
                    Way::Never(line) => ("never  ", line),
                };
                format!("{goal:?}: {word} {line}")
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_blocking_finding_is_named_and_a_look_that_is_due_comes_first() {
        let mut shop = cluster(State::Prepared);
        shop.findings.push(Finding::blocking(
            Code::LivePublicInbound,
            "198.51.100.7:443 answers",
            "Accept it.",
        ));
        assert_eq!(
            shop.way_to(Goal::Wired),
            Way::Never(
                "shop is prepared and needs a person: live_public_inbound: 198.51.100.7:443 answers; Accept it."
                    .to_owned()
            )
        );
        assert!(matches!(shop.way_to(Goal::Prepared), Way::Reached(_)));
        // While it is being prepared the finding only concerns those who wait for the switch.
        shop.state = State::Waiting;
        assert!(matches!(shop.way_to(Goal::Prepared), Way::NotYet(_)));
        assert!(matches!(shop.way_to(Goal::Wired), Way::Never(_)));
        shop.due = true;
        assert!(matches!(shop.way_to(Goal::Wired), Way::NotYet(_)));
    }

    #[test]
    fn a_wired_cluster_of_a_paused_hub_is_there_and_a_waiting_one_needs_a_person() {
        let paused = |state| ClusterStatus {
            paused: true,
            ..cluster(state)
        };
        assert!(matches!(paused(State::Wired).way_to(Goal::Wired), Way::Reached(_)));
        let Way::Never(line) = paused(State::Waiting).way_to(Goal::Wired) else {
            panic!("a paused hub wires nobody")
        };
        assert_eq!(
            line,
            "shop is waiting and needs a person: hub main is paused; hubward resume main"
        );
    }

    #[test]
    fn a_cluster_is_found_by_its_id_in_any_case_and_by_a_name_that_only_one_has() {
        let mut status = Status {
            clusters: vec![cluster(State::Wired)],
            ..Status::default()
        };
        let id = status.clusters[0].id.to_ascii_uppercase();
        for text in [id.as_str(), "shop", "SHOP"] {
            assert!(status.cluster(text).is_ok(), "{text}");
        }
        assert!(matches!(status.cluster("other"), Err(Unknown::Nowhere(_))));
        status.clusters.push(ClusterStatus {
            id: status.clusters[0].id.replace("/g/", "/h/"),
            ..cluster(State::Wired)
        });
        assert!(matches!(status.cluster("shop"), Err(Unknown::Several { .. })));
        assert!(status.cluster(&id).is_ok());
    }
}
