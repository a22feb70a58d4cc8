//! What is shown while the clusters are being wired: each change of state, and each thing waited for, once, with Azure's time.
//!
//! It reads the ledger and decides nothing. A line is said when it is news: what a cluster still waits for is not said again.

use std::collections::BTreeSet;

use hubward_core::plan::State;

use super::LocalError;
use super::rig::{Cluster, Rig};
use crate::cli::tell;
use crate::work::Report;

/// The last report of each cluster, and what was said of it.
pub(super) struct Progress {
    clusters: Vec<Watched>,
}

/// One cluster as it was last seen.
struct Watched {
    key: String,
    name: String,
    report: Option<Report>,
    said: BTreeSet<String>,
    state: String,
}

impl Progress {
    pub(super) fn new(clusters: &[Cluster]) -> Self {
        let clusters = clusters
            .iter()
            .map(|cluster| Watched {
                key: cluster.key.clone(),
                name: cluster.name.clone(),
                report: None,
                said: BTreeSet::new(),
                state: String::new(),
            })
            .collect();
        Self { clusters }
    }

    /// Reads the ledger and says what is news.
    pub(super) async fn look(&mut self, rig: &Rig) -> Result<(), LocalError> {
        for cluster in &mut self.clusters {
            let line = match rig.ledger.outcomes.get(&cluster.key).await? {
                None => cluster.news("creating", vec!["AKS to create the cluster".to_owned()]),
                Some(outcome) => match serde_json::from_value::<Report>(outcome.body) {
                    Ok(report) => {
                        let line = cluster.news(&report.state.to_string(), things(&report));
                        cluster.report = Some(report);
                        line
                    }
                    Err(error) => cluster.news("unreadable", vec![format!("a readable outcome ({error})")]),
                },
            };
            if let Some(line) = line {
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
    pub(super) fn is_over(&self) -> bool {
        self.clusters
            .iter()
            .all(|cluster| cluster.report.as_ref().is_some_and(|report| is_final(report.state)))
    }

    /// The last report of the cluster with this key.
    pub(super) fn report(&self, key: &str) -> Option<&Report> {
        self.clusters.iter().find(|c| c.key == key)?.report.as_ref()
    }

    /// The clusters that are not done, each with its state.
    pub(super) fn unfinished(&self) -> Vec<String> {
        self.clusters
            .iter()
            .filter(|c| !c.report.as_ref().is_some_and(|report| is_final(report.state)))
            .map(|c| match &c.report {
                None => format!("{} (nothing heard of it)", c.name),
                Some(report) => format!("{} ({})", c.name, report.state),
            })
            .collect()
    }
}

impl Watched {
    /// The line for a look, if it has anything that was not said yet.
    fn news(&mut self, state: &str, things: Vec<String>) -> Option<String> {
        let fresh: Vec<String> = things.into_iter().filter(|t| self.said.insert(t.clone())).collect();
        let changed = self.state != state;
        state.clone_into(&mut self.state);
        let waits = matches!(state, "creating" | "waiting" | "settling" | "unreadable");
        match (waits, fresh.is_empty()) {
            (true, true) => None,
            (true, false) => Some(format!("waits for {}", fresh.join("; "))),
            (false, true) => changed.then(|| state.to_owned()),
            (false, false) => Some(format!("{state}; {}", fresh.join("; "))),
        }
    }
}

/// What is waited for, and why a person is needed, in words.
fn things(report: &Report) -> Vec<String> {
    let mut things = Vec::new();
    if report.state != State::Wired {
        let (running, others): (Vec<&String>, Vec<&String>) =
            report.waits.iter().partition(|wait| wait.starts_with(FINISH));
        things.extend(others.into_iter().map(|wait| in_words(wait)));
        if !running.is_empty() {
            let steps: Vec<String> = running
                .iter()
                .map(|wait| step(wait.trim_start_matches(FINISH)))
                .collect();
            things.push(format!("{FINISH}{}", steps.join(" and ")));
        }
    }
    let blocking = report.findings.iter().filter(|f| f.is_blocking());
    things.extend(blocking.map(|f| f.message.clone()));
    things.extend(report.trouble.clone());
    things
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
        _ => match (id.strip_prefix("switch-"), id.strip_prefix("route-")) {
            (Some(subnet), _) => format!("the switch of subnet {subnet}"),
            (None, Some(route)) => format!("the route {route}"),
            (None, None) => id.to_owned(),
        },
    }
}

fn is_final(state: State) -> bool {
    match state {
        State::Wired
        | State::Observed
        | State::NotEligible
        | State::PendingApproval
        | State::Prepared
        | State::Failed
        | State::Broken
        | State::Bypassed
        | State::Offboarded => true,
        State::Waiting | State::Settling | State::Offboarding => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched() -> Watched {
        Watched {
            key: String::new(),
            name: String::new(),
            report: None,
            said: BTreeSet::new(),
            state: String::new(),
        }
    }

    fn report(state: State, waits: &[&str]) -> Report {
        Report {
            state,
            waits: waits.iter().map(|w| (*w).to_owned()).collect(),
            findings: Vec::new(),
            proof: None,
            steps: Vec::new(),
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
            said.push(cluster.news("waiting", things(&report(State::Waiting, waits))));
        }
        said.push(cluster.news("wired", things(&report(State::Wired, &["left over"]))));
        said.push(cluster.news("wired", things(&report(State::Wired, &[]))));
        insta::assert_debug_snapshot!(said);
    }
}
