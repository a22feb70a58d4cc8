//! What is shown while the clusters are being wired: each change of state, and each thing waited for, once, with Azure's time.
//!
//! It reads the ledger and decides nothing. A line is said when it is news: what a cluster still waits for is not said again.
//! A cluster that only a person can help, or that the app does not think its own, is given up after a while.

use std::collections::BTreeSet;

use hubward_core::finding::Finding;
use hubward_core::plan::State;
use time::{Duration, OffsetDateTime};

use super::LocalError;
use super::rig::{Cluster, Rig};
use crate::cli::tell;
use crate::work::Report;

/// How long, in Azure's time, a cluster may need a person or be nobody's before nothing more is expected of it. Longer than
/// the app's own pauses between two looks, so that what mends itself has had its chance.
const STUCK: Duration = Duration::minutes(6);

/// The last report of each cluster, and what was said of it.
pub(super) struct Progress {
    clusters: Vec<Watched>,
    explained: bool,
}

/// One cluster as it was last seen.
struct Watched {
    id: String,
    key: String,
    name: String,
    report: Option<Report>,
    not_ours: Option<String>,
    stuck_since: Option<OffsetDateTime>,
    said: BTreeSet<String>,
    state: String,
}

impl Progress {
    pub(super) fn new(clusters: &[Cluster]) -> Self {
        let clusters = clusters
            .iter()
            .map(|cluster| Watched {
                id: cluster.id.clone(),
                key: cluster.key.clone(),
                name: cluster.name.clone(),
                report: None,
                not_ours: None,
                stuck_since: None,
                said: BTreeSet::new(),
                state: String::new(),
            })
            .collect();
        Self {
            clusters,
            explained: false,
        }
    }

    /// Reads the ledger and says what is news.
    pub(super) async fn look(&mut self, rig: &Rig) -> Result<(), LocalError> {
        for cluster in &mut self.clusters {
            let outcome = rig.ledger.outcomes.get(&cluster.key).await?;
            let line = match outcome.map(|outcome| serde_json::from_value::<Report>(outcome.body)) {
                None => {
                    cluster.not_ours = rig.logs.not_ours(&cluster.name);
                    cluster.news("creating", vec!["AKS to create the cluster".to_owned()], Vec::new())
                }
                Some(Ok(report)) => {
                    let line = cluster.news(&report.state.to_string(), waits(&report), reasons(&report));
                    cluster.report = Some(report);
                    line
                }
                Some(Err(error)) => {
                    cluster.news("unreadable", vec![format!("a readable outcome ({error})")], Vec::new())
                }
            };
            cluster.note_if_stuck(rig);
            if let Some(line) = line {
                if !self.explained {
                    tell("times are Azure's minutes:seconds");
                    self.explained = true;
                }
                let seconds = rig.azure_elapsed().as_secs();
                tell(&format!(
                    "[{:>3}:{:02}] {}: {line}",
                    seconds / 60,
                    seconds % 60,
                    cluster.name
                ));
            }
        }
        Ok(())
    }

    /// True when no cluster will change by itself any more.
    pub(super) fn is_over(&self, now: OffsetDateTime) -> bool {
        self.clusters
            .iter()
            .all(|cluster| cluster.is_done() || cluster.is_stuck(now))
    }

    /// The last report of the cluster with this key.
    pub(super) fn report(&self, key: &str) -> Option<&Report> {
        self.clusters.iter().find(|c| c.key == key)?.report.as_ref()
    }

    /// The clusters that are not done, each with its state.
    pub(super) fn unfinished(&self) -> Vec<String> {
        self.clusters
            .iter()
            .filter(|c| !c.is_done())
            .map(|c| match (&c.report, &c.not_ours) {
                (Some(report), _) => format!("{} ({})", c.name, report.state),
                (None, Some(reason)) => format!("{} (nothing heard of it; the app says: not ours: {reason})", c.name),
                (None, None) => format!("{} (nothing heard of it)", c.name),
            })
            .collect()
    }
}

impl Watched {
    /// The line for a look, if it has anything that was not said yet.
    fn news(&mut self, state: &str, waits: Vec<String>, reasons: Vec<String>) -> Option<String> {
        let changed = self.state != state;
        state.clone_into(&mut self.state);
        let reasons = self.fresh(reasons);
        let waits = self.fresh(waits);
        let goes_without_saying = matches!(state, "creating" | "waiting" | "settling" | "unreadable");
        let mut parts = Vec::new();
        if !goes_without_saying && (changed || !reasons.is_empty() || !waits.is_empty()) {
            parts.push(state.to_owned());
        }
        parts.extend(reasons);
        if !waits.is_empty() {
            parts.push(format!("waits for {}", waits.join("; ")));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// What was not said yet.
    fn fresh(&mut self, things: Vec<String>) -> Vec<String> {
        things.into_iter().filter(|t| self.said.insert(t.clone())).collect()
    }

    /// Notes since when only a person can help.
    fn note_if_stuck(&mut self, rig: &Rig) {
        let stuck = match &self.report {
            Some(report) => needs_person(report),
            None => self.not_ours.is_some() && rig.is_created(&self.id),
        };
        self.stuck_since = stuck.then(|| self.stuck_since.unwrap_or_else(|| rig.azure_now()));
    }

    fn is_done(&self) -> bool {
        self.report.as_ref().is_some_and(|report| is_final(report.state))
    }

    fn is_stuck(&self, now: OffsetDateTime) -> bool {
        self.stuck_since.is_some_and(|since| now - since >= STUCK)
    }
}

/// True if a finding blocks the work and Azure is at work on nothing of it.
fn needs_person(report: &Report) -> bool {
    let under_way = |wait: &String| wait.starts_with(FINISH) || wait.starts_with(LANE);
    report.findings.iter().any(Finding::is_blocking) && !report.waits.iter().any(under_way)
}

/// What is waited for, in words.
fn waits(report: &Report) -> Vec<String> {
    if report.state == State::Wired {
        return Vec::new();
    }
    let (running, others): (Vec<&String>, Vec<&String>) =
        report.waits.iter().partition(|wait| wait.starts_with(FINISH));
    let mut waits: Vec<String> = others.into_iter().map(|wait| in_words(wait)).collect();
    if !running.is_empty() {
        let steps: Vec<String> = running
            .iter()
            .map(|wait| step(wait.trim_start_matches(FINISH)))
            .collect();
        waits.push(format!("{FINISH}{}", steps.join(" and ")));
    }
    waits
}

/// Why a person is needed, and what went wrong.
fn reasons(report: &Report) -> Vec<String> {
    let blocking = report.findings.iter().filter(|f| f.is_blocking());
    blocking
        .map(|f| f.message.clone())
        .chain(report.trouble.clone())
        .collect()
}

/// How a report begins what Azure is at work on; the step's id follows.
const FINISH: &str = "Azure to finish ";
/// How a report begins what its lane keeps back; the step's id follows.
const LANE: &str = "another write to end before ";

fn in_words(wait: &str) -> String {
    match wait.strip_prefix(LANE) {
        Some(id) => format!("its turn to write {}", step(id)),
        None => wait.to_owned(),
    }
}

/// A step's id in words.
fn step(id: &str) -> String {
    match id {
        "peer-hub-to-spoke" => "the peering from hub to spoke".to_owned(),
        "peer-spoke-to-hub" => "the peering from spoke to hub".to_owned(),
        "route-table" => "the route table".to_owned(),
        "role-route-table" => "the rights on the route table".to_owned(),
        "role-address-group" => "the rights on the application address".to_owned(),
        _ => match id.split_once('-') {
            Some(("switch", subnet)) => format!("the switch of subnet {subnet}"),
            Some(("route", route)) => format!("the route {route}"),
            Some(("role", subnet)) => format!("the rights on subnet {subnet}"),
            Some(_) | None => id.to_owned(),
        },
    }
}

fn is_final(state: State) -> bool {
    match state {
        State::Wired
        | State::Settling
        | State::Observed
        | State::NotEligible
        | State::PendingApproval
        | State::Prepared
        | State::Failed
        | State::Broken
        | State::Bypassed
        | State::Offboarded => true,
        State::Waiting | State::Offboarding => false,
    }
}

#[cfg(test)]
mod tests {
    use hubward_core::finding::Code;

    use super::*;

    fn watched() -> Watched {
        Watched {
            id: String::new(),
            key: String::new(),
            name: String::new(),
            report: None,
            not_ours: None,
            stuck_since: None,
            said: BTreeSet::new(),
            state: String::new(),
        }
    }

    fn report(state: State, waits: &[&str]) -> Report {
        Report {
            state,
            waits: waits.iter().map(|w| (*w).to_owned()).collect(),
            findings: Vec::new(),
            asks: Vec::new(),
            held: Vec::new(),
            place: None,
            proof: None,
            steps: Vec::new(),
            drift: crate::work::Drift::default(),
            plan: String::new(),
            trouble: None,
        }
    }

    #[test]
    fn nothing_is_said_twice() {
        let mut cluster = watched();
        let mut said = Vec::new();
        for waits in [
            &[
                "the peering",
                "Azure to finish route-table",
                "Azure to finish peer-hub-to-spoke",
            ][..],
            &[
                "the peering",
                "Azure to finish route-table",
                "Azure to finish peer-hub-to-spoke",
            ],
            &["the peering"],
            &["the peering", "another write to end before peer-spoke-to-hub"],
            &["Azure to finish switch-nodes"],
        ] {
            let report = report(State::Waiting, waits);
            said.push(cluster.news("waiting", super::waits(&report), reasons(&report)));
        }
        for left_over in [&["left over"][..], &[]] {
            let report = report(State::Wired, left_over);
            said.push(cluster.news("wired", waits(&report), reasons(&report)));
        }
        insta::assert_debug_snapshot!(said);
    }

    #[test]
    fn what_is_waited_for_is_called_so_in_every_state() {
        let mut cluster = watched();
        let mut broken = report(State::Broken, &["the peering"]);
        broken.trouble = Some("Azure failed it".to_owned());
        let line = cluster.news("broken", waits(&broken), reasons(&broken));
        assert_eq!(line.as_deref(), Some("broken; Azure failed it; waits for the peering"));
    }

    #[test]
    fn a_blocking_finding_needs_a_person_unless_azure_is_at_work() {
        let mut report = report(State::Waiting, &["a person"]);
        assert!(!needs_person(&report));
        report
            .findings
            .push(Finding::blocking(Code::HubDown, "the hub is down", ""));
        assert!(needs_person(&report));
        report.waits.push(format!("{FINISH}route-table"));
        assert!(!needs_person(&report));
    }
}
