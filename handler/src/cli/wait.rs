//! `hubward wait CLUSTER --for prepared|wired`: ends when the cluster is there, when only a person can get it there, or when the
//! time is over. It reads the ledger with the caller's rights and wishes nothing.

use std::time::Duration;

use hubward_core::ids::ResourceId;
use serde_json::json;

use super::desk::{Desk, Stop};
use super::plan::cluster_id;
use super::{Exit, Output};
use crate::ledger::LedgerError;
use crate::status::{Goal, Status, Way, way_of_unseen};

/// How long to wait before the ledger is read again.
const AGAIN: Duration = Duration::from_secs(5);

/// What `hubward wait --help` ends with.
const AFTER_HELP: &str = "\
Example, in a pipeline after the cluster was created:
  hubward wait $CLUSTER_ID --for wired --timeout 30m

A cluster that is settling counts as wired. AzureWebJobsStorage says where the ledger is.

Exit codes: 0 it is there, 1 the time is over or a person is needed, 2 wrong usage, 3 storage unreachable";

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The cluster's resource id, or its name if Hubward knows only one of that name.
    #[arg(value_name = "CLUSTER")]
    cluster: String,
    /// What to wait for.
    #[arg(long = "for", value_name = "GOAL", value_parser = goal)]
    goal: Goal,
    /// How long, as 90s, 30m or 2h.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = span)]
    timeout: Duration,
    /// Print the end as one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(desk: &Desk, arguments: &Arguments, out: &mut Output) -> Result<Exit, Stop> {
    let ledger = desk.ledger()?;
    let id = meant(&Status::of(ledger).await?, &arguments.cluster)?;
    let clock = desk.clock();
    let deadline = clock.now() + arguments.timeout;
    let mut told = String::new();
    loop {
        let status = match Status::of(ledger).await {
            Ok(status) => status,
            // Storage that is away for a moment ends no pipeline.
            Err(error @ LedgerError::Storage { .. }) if clock.now() < deadline => {
                say(out, &mut told, &error.to_string());
                clock.sleep(AGAIN).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let cluster = status.cluster(id.as_str()).ok();
        let way = cluster.map_or_else(|| way_of_unseen(&id), |cluster| cluster.way_to(arguments.goal));
        let (exit, line) = match way {
            Way::Reached(line) => (Exit::Fine, line),
            Way::Never(line) => (Exit::Broken, line),
            Way::NotYet(line) if clock.now() >= deadline => {
                let line = format!("the time of {} s is over: {line}", arguments.timeout.as_secs());
                (Exit::Broken, line)
            }
            Way::NotYet(line) => {
                say(out, &mut told, &line);
                let left = Duration::try_from(deadline - clock.now()).unwrap_or_default();
                clock.sleep(left.min(AGAIN)).await;
                continue;
            }
        };
        if arguments.json {
            let reached = exit == Exit::Fine;
            out.json(&json!({"for": arguments.goal, "reached": reached, "line": line, "cluster": cluster}));
        } else {
            out.line(&line);
        }
        return Ok(exit);
    }
}

/// The cluster that a person means. One that Hubward does not know yet can be named by its id only.
fn meant(status: &Status, text: &str) -> Result<ResourceId, Stop> {
    if text.starts_with('/') {
        return cluster_id("CLUSTER", text);
    }
    let cluster = status
        .cluster(text)
        .map_err(|unknown| Stop::usage(unknown.to_string()))?;
    cluster_id("CLUSTER", &cluster.id)
}

/// Progress, once while it stays the same.
fn say(out: &mut Output, told: &mut String, line: &str) {
    if told != line {
        out.progress(line);
        line.clone_into(told);
    }
}

fn goal(text: &str) -> Result<Goal, String> {
    match text {
        "prepared" => Ok(Goal::Prepared),
        "wired" => Ok(Goal::Wired),
        _ => Err("prepared, wired".to_owned()),
    }
}

/// A time as `90s`, `30m` or `2h`, up to a day.
fn span(text: &str) -> Result<Duration, String> {
    let allowed = || "a whole number with s, m or h, up to 24h".to_owned();
    let unit = text.chars().last().ok_or_else(allowed)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(allowed()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| allowed())?;
    let all = number.checked_mul(seconds).filter(|all| *all <= 24 * 3600);
    all.map(Duration::from_secs).ok_or_else(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_is_at_most_a_day() {
        let seconds = |text: &str| span(text).map(|span| span.as_secs());
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("30m"), Ok(1800));
        assert_eq!(seconds("24h"), Ok(86400));
        assert_eq!(seconds("0s"), Ok(0));
        for wrong in ["", "30", "m", "1d", "25h", "-1m", "1.5h", "99999999999999999999s", "3é"] {
            assert!(seconds(wrong).unwrap_err().contains("s, m or h"), "{wrong}");
        }
    }
}
