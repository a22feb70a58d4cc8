//! The end of a run on standard output: a table for people, or exactly one JSON object for machines.

#![expect(clippy::print_stdout, reason = "results of a command go to standard output")]

use comfy_table::Table;
use serde_json::json;

use super::verdict::{Verdict, Walked};

pub(super) fn print(verdict: &Verdict) {
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
    println!("{table}");
    for cluster in &verdict.clusters {
        for walked in &cluster.walks {
            println!("{} {}: {}", mark(walked), cluster.name, walked.line());
        }
    }
    println!(
        "{} reads, {} writes, {} firewall updates, {} throttled; {:.0} Azure seconds in {:.1} s",
        verdict.reads,
        verdict.writes,
        verdict.firewall_updates,
        verdict.throttled,
        verdict.azure_seconds,
        verdict.wall_seconds
    );
}

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
    println!("{object}");
}

fn mark(walked: &Walked) -> &'static str {
    if walked.as_it_should_be { "ok  " } else { "FAIL" }
}
