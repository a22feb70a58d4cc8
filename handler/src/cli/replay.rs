//! `hubward replay`: lets archived events, or those that Event Grid gave up, have their effect again. The app does it; this asks.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::desk::{Desk, Stop};
use super::door::Ask;
use super::plan::cluster_id;
use super::{Exit, Output};

/// What `hubward replay --help` ends with: calls that are complete.
const AFTER_HELP: &str = "\
Examples, with HUBWARD_APP=https://NAME.azurewebsites.net and a function key in HUBWARD_APP_KEY:
  hubward replay --event 93902694-cd5e-4a3b-9f0c-2b8a2c0d6f11
  hubward replay --since 2026-01-05T08:00:00Z --dry-run
  hubward replay --dead-letter --json

Exit codes: 0 replayed, 1 something could not be replayed, 2 wrong usage or configuration, 3 the app is unreachable";

/// The most calls of one command: each lasts a minute at most.
const CALLS: usize = 100;

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    what: What,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// The id of an event in the archive.
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// A cluster's resource id: its events of the last 31 days, and a look in any case.
    #[arg(long, value_name = "ID")]
    cluster: Option<String>,
    /// Everything that happened since this time (RFC 3339), at most 31 days ago.
    #[arg(long, value_name = "T")]
    since: Option<String>,
    /// What Event Grid could not deliver and nobody has replayed yet.
    #[arg(long)]
    dead_letter: bool,
}

pub(super) async fn run(desk: &Desk, arguments: &Arguments, out: &mut Output) -> Result<Exit, Stop> {
    let mut body = body(&arguments.what)?;
    body["dry_run"] = arguments.dry_run.into();
    let mut whole = json!({"events": [], "requested": [], "damaged": []});
    for _ in 0..CALLS {
        let answer = desk.ask(Ask::Post, "Replay", &[], Some(body.clone())).await?;
        if answer.status != 200 {
            return Err(refused(answer.status, answer.error()));
        }
        for part in ["events", "requested", "damaged"] {
            let items = answer
                .body
                .get(part)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            if let Some(all) = whole[part].as_array_mut() {
                all.extend(
                    items
                        .into_iter()
                        .filter(|item| part != "requested" || !all.contains(item))
                        .collect::<Vec<_>>(),
                );
            }
        }
        if answer.body["more"] != true {
            break;
        }
        if let Some(from) = answer.body.get("from").filter(|from| from.is_string()) {
            body["since"] = from.clone();
        }
        out.progress("there is more, going on");
    }
    if arguments.json {
        out.json(&whole);
    } else {
        show(&whole, arguments.dry_run, out);
    }
    let damaged = whole["damaged"].as_array().is_some_and(|damaged| !damaged.is_empty());
    Ok(if damaged { Exit::Broken } else { Exit::Fine })
}

fn body(what: &What) -> Result<Value, Stop> {
    if let Some(id) = &what.event {
        return Ok(json!({"event": id}));
    }
    if let Some(id) = &what.cluster {
        return Ok(json!({"cluster": cluster_id("--cluster", id)?.as_str()}));
    }
    if let Some(time) = &what.since {
        OffsetDateTime::parse(time, &Rfc3339).map_err(|_| {
            Stop::usage(format!(
                "--since: {time:?} is no time; allowed: RFC 3339, for example 2026-01-05T08:00:00Z"
            ))
        })?;
        return Ok(json!({"since": time}));
    }
    Ok(json!({"dead_letter": true}))
}

fn refused(status: u16, line: String) -> Stop {
    match status {
        400 => Stop::usage(line),
        _ => Stop {
            exit: Exit::Broken,
            line,
        },
    }
}

fn show(whole: &Value, dry_run: bool, out: &mut Output) {
    let list = |part: &str| whole[part].as_array().cloned().unwrap_or_default();
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    for event in list("events") {
        out.line(&format!(
            "{}  {}  {}: {}",
            text(&event, "happened_at"),
            text(&event, "id"),
            text(&event, "resource").rsplit('/').next().unwrap_or_default(),
            text(&event, "verdict"),
        ));
    }
    for damaged in list("damaged") {
        out.line(&format!(
            "{}: cannot be read: {}",
            text(&damaged, "name"),
            text(&damaged, "reason")
        ));
    }
    let (events, keys) = (list("events").len(), list("requested"));
    let asked = if dry_run { "would be asked for" } else { "are asked for" };
    out.line(&format!("{events} events, {} looks {asked}", keys.len()));
    for key in keys {
        out.line(&format!("  {}", key.as_str().unwrap_or_default()));
    }
}
