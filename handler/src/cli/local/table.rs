//! The end of a run on standard output: a table for people, or exactly one JSON object for machines.
//!
//! It prints what the verdict holds and judges nothing. A reader that closes the pipe ends the printing, not the command.

use std::io::Write;

use comfy_table::{CellAlignment, Table};
use hubward_core::finding::{Finding, Severity};
use serde_json::json;

use super::verdict::{Verdict, Walked};

/// Writes the verdict as people read it: clusters, findings, packets, numbers.
pub(super) fn print(verdict: &Verdict) {
    put(&text(verdict));
}

/// Writes the verdict as one JSON object on one line.
pub(super) fn print_json(verdict: &Verdict) {
    let clusters: Vec<_> = verdict
        .clusters
        .iter()
        .map(|c| {
            json!({
                "id": c.id,
                "name": c.name,
                "state": c.state,
                "egress_ip": c.egress_ip,
                "ingress_ip": c.ingress_ip,
                "app_ip": c.app_ip,
                "egress_proof": c.egress_proof,
                "reach_proof": c.reach_proof,
                "findings": c.findings,
            })
        })
        .collect();
    let object = json!({
        "egress_ip": verdict.egress_ip,
        "clusters": clusters,
        "arm": {
            "reads": verdict.reads,
            "writes": verdict.writes,
            "firewall_updates": verdict.firewall_updates,
            "throttled": verdict.throttled,
        },
        "azure_seconds": verdict.azure_seconds,
        "wall_seconds": verdict.wall_seconds,
    });
    put(&format!("{object}\n"));
}

fn text(verdict: &Verdict) -> String {
    let mut lines = vec![clusters(verdict), String::new()];
    let findings = findings(verdict);
    if !findings.is_empty() {
        lines.push("Findings".to_owned());
        lines.extend(findings);
        lines.push(String::new());
    }
    lines.push("Packets that were sent through the simulated Azure".to_owned());
    let walks = || {
        verdict
            .clusters
            .iter()
            .flat_map(|c| c.walks.iter().map(move |w| (&c.name, w)))
    };
    let width = walks().map(|(_, walked)| mark(walked).len()).max().unwrap_or(0).max(4);
    lines.extend(walks().map(|(name, walked)| format!("  {:width$}  {name}: {}", mark(walked), walked.line())));
    lines.push(String::new());
    lines.push(format!(
        "Azure calls: {}, {}, {} throttled. Time: {:.0} Azure seconds in {:.1} s.",
        counted(verdict.reads, "read"),
        writes(verdict),
        verdict.throttled,
        verdict.azure_seconds,
        verdict.wall_seconds
    ));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn clusters(verdict: &Verdict) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["cluster", "state", "egress IP", "ingress IP", "steps", "proof"]);
    for cluster in &verdict.clusters {
        table.add_row([
            cluster.name.clone(),
            cluster.state.clone(),
            cluster.egress_ip.clone().unwrap_or_else(|| "-".to_owned()),
            cluster.ingress_ip.clone().unwrap_or_else(|| "-".to_owned()),
            cluster.steps.to_string(),
            format!("egress {}, reach {}", cluster.egress_proof, cluster.reach_proof),
        ]);
    }
    if let Some(steps) = table.column_mut(4) {
        steps.set_cell_alignment(CellAlignment::Right);
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// All writes, and whose they were: rules of all clusters go to the hub together.
fn writes(verdict: &Verdict) -> String {
    let all = counted(verdict.writes, "write");
    if verdict.writes == 0 {
        return all;
    }
    let whose = if verdict.clusters.len() == 1 {
        "cluster"
    } else {
        "clusters"
    };
    let others = verdict.writes.saturating_sub(verdict.firewall_updates);
    format!(
        "{all} ({others} for the {whose}, {} for the hub's rules)",
        verdict.firewall_updates
    )
}

fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Each finding with its help, worst first. What is only worth knowing comes last, and once for all clusters that share it.
fn findings(verdict: &Verdict) -> Vec<String> {
    let mut to_act_on: Vec<(&Finding, &str)> = Vec::new();
    let mut to_know: Vec<(Finding, Vec<&str>)> = Vec::new();
    for cluster in &verdict.clusters {
        for finding in &cluster.findings {
            if finding.severity != Severity::Info {
                to_act_on.push((finding, &cluster.name));
                continue;
            }
            let nameless = nameless(finding, &cluster.name);
            match to_know.iter_mut().find(|(known, _)| *known == nameless) {
                Some((_, names)) => names.push(&cluster.name),
                None => to_know.push((nameless, vec![&cluster.name])),
            }
        }
    }
    to_act_on.sort_by_key(|(finding, _)| std::cmp::Reverse(finding.severity));
    let mut lines: Vec<String> = to_act_on
        .into_iter()
        .flat_map(|(finding, name)| two_lines(finding, name, ""))
        .collect();
    for (finding, names) in to_know {
        let (who, name) = match names.as_slice() {
            [only] => ((*only).to_owned(), *only),
            several => (format!("{} clusters", several.len()), "NAME"),
        };
        lines.extend(two_lines(&named(&finding, name), &who, "; nothing to do now"));
    }
    lines
}

fn two_lines(finding: &Finding, who: &str, remark: &str) -> Vec<String> {
    let severity = format!("{:?}", finding.severity).to_lowercase();
    let code = finding.code.text();
    let mut lines = vec![format!("  {severity:<8}  {who}: {} ({code}){remark}", finding.message)];
    if !finding.help.is_empty() {
        lines.push(format!("            {}", finding.help));
    }
    lines
}

/// Stands for a cluster's name where findings of several clusters are compared; no name in Azure holds it.
const NAMELESS: &str = "\u{0}";

fn nameless(finding: &Finding, name: &str) -> Finding {
    replaced(finding, name, NAMELESS)
}

fn named(finding: &Finding, name: &str) -> Finding {
    replaced(finding, NAMELESS, name)
}

fn replaced(finding: &Finding, from: &str, to: &str) -> Finding {
    Finding {
        message: finding.message.replace(from, to),
        help: finding.help.replace(from, to),
        ..finding.clone()
    }
}

/// The mark that scripts and people look for.
fn mark(walked: &Walked) -> &'static str {
    match (walked.as_it_should_be, walked.before_switch) {
        (true, _) => "ok",
        (false, true) => "before the switch",
        (false, false) => "FAIL",
    }
}

fn put(text: &str) {
    // A closed pipe is the reader's choice.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
