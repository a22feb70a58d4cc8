//! What is shown while the clusters are being wired: each change of state or of what is waited for, once, with Azure's time.

use std::collections::BTreeMap;

use hubward_core::plan::State;

use super::LocalError;
use super::rig::{Cluster, Rig};
use crate::cli::tell;
use crate::work::Report;

/// The last report of each cluster.
pub(super) struct Progress {
    keys: Vec<(String, String)>,
    reports: BTreeMap<String, Report>,
    said: BTreeMap<String, String>,
}

impl Progress {
    pub(super) fn new(clusters: &[Cluster]) -> Self {
        Self {
            keys: clusters.iter().map(|c| (c.key.clone(), c.name.clone())).collect(),
            reports: BTreeMap::new(),
            said: BTreeMap::new(),
        }
    }

    /// Reads the ledger and says what is news.
    pub(super) async fn look(&mut self, rig: &Rig) -> Result<(), LocalError> {
        for (key, name) in &self.keys {
            let line = match rig.ledger.outcomes.get(key).await? {
                None => "AKS is creating the cluster".to_owned(),
                Some(outcome) => match serde_json::from_value::<Report>(outcome.body) {
                    Ok(report) => {
                        let line = describe(&report);
                        self.reports.insert(key.clone(), report);
                        line
                    }
                    Err(error) => format!("its outcome cannot be read: {error}"),
                },
            };
            if self.said.get(key) != Some(&line) {
                let seconds = rig.azure_elapsed().as_secs();
                tell(&format!("[{:>3}:{:02}] {name}: {line}", seconds / 60, seconds % 60));
                self.said.insert(key.clone(), line);
            }
        }
        Ok(())
    }

    /// True when no cluster will change by itself any more.
    pub(super) fn is_over(&self) -> bool {
        self.keys
            .iter()
            .all(|(key, _)| self.reports.get(key).is_some_and(|report| is_final(report.state)))
    }

    pub(super) fn report(&self, key: &str) -> Option<&Report> {
        self.reports.get(key)
    }
}

fn describe(report: &Report) -> String {
    let mut line = report.state.to_string();
    if report.state != State::Wired && !report.waits.is_empty() {
        line.push_str(", waits for ");
        line.push_str(&report.waits.join("; "));
    }
    for finding in report.findings.iter().filter(|f| f.is_blocking()) {
        line.push_str(&format!("; {}: {}", finding.code.text(), finding.message));
    }
    line
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
