//! Judges what a story expects. What holds is said in a line, and so is what does not; what the app says of a cluster comes from
//! its last report.

use azure_sim::Azure;
use hubward_core::finding::Finding;

use super::by_hand::field;
use super::scene::Scene;
use super::snapshot::Snapshot;
use super::statements::{Compare, Counter, Expectation, Judged};
use super::things;
use crate::stage::StageError;
use crate::work::Report;

/// Judges one expectation: what there is, or what there is instead.
pub(super) async fn judge(scene: &Scene, expected: &Expectation) -> Result<Result<String, String>, StageError> {
    let holds = match expected {
        Expectation::State(name, state) => {
            let found = scene.stage.state(&scene.key(name)?).await?;
            hold(found == state.to_string(), || format!("{name} is {found}"))
        }
        Expectation::Proof(name, judged, word) => {
            let report = report(scene, name).await?;
            let proof = report.as_ref().and_then(|report| report.proof.as_ref());
            let found = proof.map_or("unknown", |proof| match judged {
                Judged::Egress => proof.egress.word(),
                Judged::Reach => proof.reach.word(),
            });
            hold(found == word, || format!("the app says {found}"))
        }
        Expectation::Finding(name, code) => {
            let findings = findings(scene, name).await?;
            match findings.iter().find(|finding| finding.code == *code) {
                Some(finding) => Ok(finding_text(finding)),
                None => Err(format!("{name} has {}", codes(&findings))),
            }
        }
        Expectation::NoFinding(name, code) => {
            let findings = findings(scene, name).await?;
            let found = findings.iter().find(|finding| finding.code == *code);
            found.map_or_else(|| Ok(String::new()), |finding| Err(finding_text(finding)))
        }
        Expectation::NoFindings(name) => {
            let findings = findings(scene, name).await?;
            let texts: Vec<String> = findings.iter().map(finding_text).collect();
            hold(findings.is_empty(), || texts.join("\n"))
        }
        Expectation::Exit(code) => match &scene.said {
            Some(said) => hold(said.exit == *code, || format!("it ended with {}", said.exit)),
            None => Err("no command has run yet".to_owned()),
        },
        Expectation::Output(text) => hold(scene.output().contains(text), || format!("it does not have {text:?}")),
        Expectation::NoOutput(text) => hold(!scene.output().contains(text), || format!("it has {text:?}")),
        Expectation::Count {
            what,
            since_mark,
            compare,
            number,
        } => count(scene, *what, *since_mark, *compare, *number),
        Expectation::Field(thing, path, value) => {
            let azure = scene.stage.azure.lock();
            match scene.find(&azure, thing) {
                Ok(id) => {
                    let document = azure.document(&id).unwrap_or_default();
                    let found = field(&document, path);
                    hold(found == value, || format!("it is {found}"))
                }
                Err(line) => Err(line),
            }
        }
        Expectation::There(thing) => {
            let azure = scene.stage.azure.lock();
            let there = scene.find(&azure, thing).is_ok_and(|id| azure.document(&id).is_some());
            hold(there, || format!("{} does not exist", things::name(thing)))
        }
        Expectation::Gone(thing) => {
            let azure = scene.stage.azure.lock();
            let there = scene.find(&azure, thing).is_ok_and(|id| azure.document(&id).is_some());
            hold(!there, || format!("{} exists", things::name(thing)))
        }
        Expectation::Unchanged => match &scene.mark {
            Some(mark) => {
                let lines = mark.differences(&Snapshot::of(&scene.stage.azure.lock()));
                hold(lines.is_empty(), || lines.join("\n"))
            }
            None => Err("nothing is marked yet".to_owned()),
        },
        Expectation::NothingCut => {
            let (losses, _) = scene.continuity.losses();
            hold(losses.is_empty(), || losses.join("\n"))
        }
    };
    Ok(holds)
}

/// What people would want to know where a story ends early.
pub(super) async fn explain(scene: &Scene) -> Result<String, StageError> {
    let mut lines = Vec::new();
    for (name, cluster) in &scene.clusters {
        match scene.stage.report(&cluster.key).await? {
            None => lines.push(format!("{name} is unknown to the app")),
            Some(report) => {
                lines.push(format!("{name} is {}", report.state));
                lines.extend(report.waits.iter().map(|wait| format!("  waits for {wait}")));
                lines.extend(report.trouble.iter().map(|trouble| format!("  trouble: {trouble}")));
                lines.extend(
                    report
                        .findings
                        .iter()
                        .map(|finding| format!("  {}", finding_text(finding))),
                );
            }
        }
    }
    lines.push("what the functions said last:".to_owned());
    lines.extend(scene.stage.last_lines().iter().map(|line| format!("  {line}")));
    Ok(lines.join("\n"))
}

/// A finding on one line.
pub(super) fn finding_text(finding: &Finding) -> String {
    format!("{}: {}", finding.code.text(), finding.message)
}

async fn report(scene: &Scene, name: &str) -> Result<Option<Report>, StageError> {
    scene.stage.report(&scene.key(name)?).await
}

async fn findings(scene: &Scene, name: &str) -> Result<Vec<Finding>, StageError> {
    Ok(report(scene, name)
        .await?
        .map(|report| report.findings)
        .unwrap_or_default())
}

fn count(scene: &Scene, what: Counter, since_mark: bool, compare: Compare, number: u64) -> Result<String, String> {
    let now = scene.stage.counters();
    let before = match (&scene.mark, since_mark) {
        (Some(mark), true) => mark.counters,
        (None, true) => return Err("nothing is marked yet".to_owned()),
        (_, false) => azure_sim::Counters::default(),
    };
    let of = |counters: &azure_sim::Counters| match what {
        Counter::Reads => counters.reads,
        Counter::Writes => counters.writes,
        Counter::FirewallUpdates => counters.firewall_updates,
        Counter::Throttled => counters.throttled,
    };
    let found = of(&now) - of(&before);
    let holds = match compare {
        Compare::Is => found == number,
        Compare::AtMost => found <= number,
        Compare::AtLeast => found >= number,
    };
    match (holds, compare) {
        (false, _) => Err(format!("it is {found}")),
        // A number that is expected exactly says itself.
        (true, Compare::Is) => Ok(String::new()),
        (true, Compare::AtMost | Compare::AtLeast) => Ok(format!("it is {found}")),
    }
}

/// Nothing is said of what holds, because the line says it.
fn hold(holds: bool, otherwise: impl FnOnce() -> String) -> Result<String, String> {
    if holds { Ok(String::new()) } else { Err(otherwise()) }
}

fn codes(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "no findings".to_owned();
    }
    let codes: Vec<String> = findings.iter().map(|finding| finding.code.text()).collect();
    format!("only {}", codes.join(", "))
}

/// True if Azure has the resource and has finished it.
pub(super) fn is_finished(azure: &Azure, id: &str) -> bool {
    azure.document(id).is_some_and(|document| {
        let state = document["properties"]["provisioningState"].as_str();
        state.is_none_or(|state| state == "Succeeded")
    })
}
