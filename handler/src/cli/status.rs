//! `hubward status [CLUSTER]`: what the ledger knows of clusters and hubs. It asks Azure nothing but the ledger's storage, with
//! the caller's rights.

use std::collections::BTreeSet;
use std::fmt::Write;

use comfy_table::Table;
use hubward_core::plan::State;
use time::{OffsetDateTime, UtcOffset};

use super::desk::{Desk, Stop};
use super::{Exit, Output};
use crate::status::{ClusterStatus, HubStatus, Status};
use crate::work::HubState;

/// What `hubward status --help` ends with.
const AFTER_HELP: &str = "\
AzureWebJobsStorage says where the ledger is: a connection string of this machine, or AzureWebJobsStorage__accountName.

Exit codes: 0 nothing is broken, 1 something shown is broken or failed, 2 wrong usage or unknown name, 3 storage unreachable";

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// A cluster's resource id or name; without it all are shown.
    #[arg(value_name = "CLUSTER")]
    cluster: Option<String>,
    /// Print everything that is known as one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(desk: &Desk, arguments: &Arguments, out: &mut Output) -> Result<Exit, Stop> {
    let mut status = Status::of(desk.ledger()?).await?;
    if let Some(text) = &arguments.cluster {
        let cluster = status
            .cluster(text)
            .map_err(|unknown| Stop::usage(unknown.to_string()))?;
        status = status.only(cluster);
    }
    for damaged in &status.damaged {
        out.progress(damaged);
    }
    match (&arguments.cluster, status.clusters.as_slice()) {
        _ if arguments.json => out.json(&status),
        (Some(_), [cluster]) => out.text(&one(cluster)),
        _ => out.text(&all(&status)),
    }
    Ok(if is_broken(&status) { Exit::Broken } else { Exit::Fine })
}

fn is_broken(status: &Status) -> bool {
    let clusters = status.clusters.iter();
    let hubs = status.hubs.iter();
    !status.damaged.is_empty()
        || clusters
            .clone()
            .any(|c| matches!(c.state, State::Broken | State::Failed))
        || hubs.clone().any(|h| h.state == Some(HubState::Failed))
}

/// Everything, one line each.
fn all(status: &Status) -> String {
    let mut text = String::new();
    for hub in &status.hubs {
        let _ = writeln!(text, "{}", of_hub(hub));
    }
    if status.clusters.is_empty() {
        text.push_str("Hubward has looked at no cluster yet.\n");
        return text;
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "cluster",
        "hub",
        "state",
        "egress IP",
        "ingress IP",
        "proof",
        "waits for",
    ]);
    for cluster in &status.clusters {
        table.add_row([
            cluster.name.clone(),
            cluster.hub.clone().unwrap_or_else(none),
            cluster.state.to_string(),
            cluster.egress_ip.map_or_else(none, |ip| ip.to_string()),
            cluster.ingress_ip.map_or_else(none, |ip| ip.to_string()),
            format!("egress {}, reach {}", cluster.egress_proof, cluster.reach_proof),
            waits(cluster),
        ]);
    }
    for line in table.to_string().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn none() -> String {
    "-".to_owned()
}

/// The first wait and how many there are beside it.
fn waits(cluster: &ClusterStatus) -> String {
    match cluster.waits.as_slice() {
        [] => none(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

fn of_hub(hub: &HubStatus) -> String {
    let mut text = format!("hub {}", hub.name);
    match (&hub.paused, hub.state) {
        (Some(paused), _) => {
            let _ = write!(text, " is paused by {}: {}", paused.by, paused.reason);
        }
        (None, Some(HubState::InForce)) => text.push_str(": its rules are in force"),
        (None, Some(HubState::Waiting)) => {
            let _ = write!(text, " waits for {}", listed(&hub.waits, "its rules to be written"));
        }
        (None, Some(HubState::Failed)) => text.push_str(" needs a person"),
        (None, None) => text.push_str(" was not looked at yet"),
    }
    if let Some(ip) = hub.egress_ip {
        let _ = write!(text, "; everybody leaves from {ip}");
    }
    let clusters: Vec<String> = hub.clusters.iter().map(|(state, n)| format!("{n} {state}")).collect();
    if !clusters.is_empty() {
        let _ = write!(text, "; clusters: {}", clusters.join(", "));
    }
    if let Some(capacity) = &hub.capacity {
        let percent = capacity.rule_bytes.saturating_mul(100) / capacity.rule_bytes_limit.max(1);
        let _ = write!(text, "; {percent} % of the rules' space is used");
    }
    for finding in &hub.findings {
        let _ = write!(text, "\n  finding {}: {}", finding.code.text(), finding.message);
    }
    text
}

fn listed(waits: &[String], otherwise: &str) -> String {
    if waits.is_empty() {
        otherwise.to_owned()
    } else {
        waits.join(", ")
    }
}

/// One cluster with all that is known.
fn one(cluster: &ClusterStatus) -> String {
    let mut text = format!("{}: {}\n", cluster.name, cluster.state);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:12}{value}");
    };
    line("id", &cluster.id);
    line("hub", cluster.hub.as_deref().unwrap_or("-"));
    if let Some(ip) = cluster.egress_ip {
        line("leaves from", &ip.to_string());
    }
    if let Some(ip) = cluster.ingress_ip {
        line("reached at", &ip.to_string());
    }
    line(
        "proof",
        &format!("egress {}, reach {}", cluster.egress_proof, cluster.reach_proof),
    );
    if cluster.paused {
        line("paused", "its hub is paused");
    }
    for wait in &cluster.waits {
        line("waits for", wait);
    }
    for held in &cluster.held {
        line("held", &format!("{} ({}): {}", held.id, held.digest, held.why));
    }
    for ask in &cluster.asks {
        line("asks", &format!("to accept {} for {}", ask.code.text(), ask.what));
    }
    if !cluster.drift.is_empty() {
        let resources: BTreeSet<&str> = cluster.drift.iter().map(|change| change.resource.name()).collect();
        let resources: Vec<&str> = resources.into_iter().collect();
        line(
            "drift",
            &format!("{} (hubward drift --cluster ID tells each field)", resources.join(", ")),
        );
    }
    for past in &cluster.decisions {
        let decision = &past.decision;
        line(
            "decided",
            &format!(
                "{} at {} by {}: {}",
                past.what,
                at(decision.at),
                decision.by,
                decision.reason
            ),
        );
    }
    line("looked at", &at(cluster.looked_at));
    if let Some(cause) = &cluster.cause {
        line("last cause", cause);
    }
    if let Some(trouble) = &cluster.trouble {
        line("trouble", trouble);
    }
    for finding in &cluster.findings {
        let _ = writeln!(text, "  finding {}: {}", finding.code.text(), finding.message);
        if !finding.help.is_empty() {
            let _ = writeln!(text, "    {}", finding.help);
        }
    }
    text
}

/// A moment to the minute, in UTC.
fn at(moment: OffsetDateTime) -> String {
    let moment = moment.to_offset(UtcOffset::UTC);
    format!("{} {:02}:{:02}", moment.date(), moment.hour(), moment.minute())
}
