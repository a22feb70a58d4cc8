//! The end of a run on standard output: a table for people, or exactly one JSON object for machines.
//!
//! It prints what the verdict holds and judges nothing. A reader that closes the pipe ends the printing, not the command.

use std::io::Write;

use comfy_table::{CellAlignment, Table};
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
                "ingress_ip": null,
                "app_ip": null,
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
    for cluster in &verdict.clusters {
        lines.extend(
            cluster
                .walks
                .iter()
                .map(|walked| format!("  {}  {}: {}", mark(walked), cluster.name, walked.line())),
        );
    }
    lines.push(String::new());
    lines.push(format!(
        "Azure calls: {} reads, {} writes, {} of them firewall updates, {} throttled. Time: {:.0} Azure seconds in {:.1} s.",
        verdict.reads,
        verdict.writes,
        verdict.firewall_updates,
        verdict.throttled,
        verdict.azure_seconds,
        verdict.wall_seconds
    ));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn clusters(verdict: &Verdict) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["cluster", "state", "egress IP", "steps", "proof"]);
    for cluster in &verdict.clusters {
        table.add_row([
            cluster.name.clone(),
            cluster.state.clone(),
            cluster.egress_ip.clone().unwrap_or_else(|| "-".to_owned()),
            cluster.steps.to_string(),
            format!("egress {}, reach {}", cluster.egress_proof, cluster.reach_proof),
        ]);
    }
    if let Some(steps) = table.column_mut(3) {
        steps.set_cell_alignment(CellAlignment::Right);
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Each finding with its help, worst first.
fn findings(verdict: &Verdict) -> Vec<String> {
    let mut found: Vec<_> = verdict
        .clusters
        .iter()
        .flat_map(|cluster| cluster.findings.iter().map(move |finding| (finding, &cluster.name)))
        .collect();
    found.sort_by_key(|(finding, _)| std::cmp::Reverse(finding.severity));
    found
        .into_iter()
        .flat_map(|(finding, cluster)| {
            let severity = format!("{:?}", finding.severity).to_lowercase();
            let first = format!(
                "  {severity:<8}  {cluster}: {} ({})",
                finding.message,
                finding.code.text()
            );
            let help = (!finding.help.is_empty()).then(|| format!("            {}", finding.help));
            [Some(first), help].into_iter().flatten()
        })
        .collect()
}

/// The mark that scripts and people look for.
fn mark(walked: &Walked) -> &'static str {
    if walked.as_it_should_be { "ok  " } else { "FAIL" }
}

fn put(text: &str) {
    // A closed pipe is the reader's choice.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
