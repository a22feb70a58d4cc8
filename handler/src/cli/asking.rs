//! The commands that ask the app to write: `apply`, `offboard`, `pause`, `resume`, `approve`.
//!
//! They post to the app's `Command` function and print its lines. Nothing is done on this machine: the app has the rights, keeps
//! the decision with its reason, and looks at what is concerned.

use serde_json::{Value, json};

use super::desk::{Desk, Stop};
use super::door::{Answer, Ask};
use super::{Exit, Output};

/// What the help of each of these commands ends with.
const AFTER_HELP: &str = "\
HUBWARD_APP is the address of the app (https://NAME.azurewebsites.net), HUBWARD_APP_KEY a function key of it.

Exit codes: 0 the app has taken it, 1 there is nothing to do, 2 wrong usage or unknown name, 3 the app does not answer";

/// Options of `apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Apply {
    /// The cluster's resource id, or its name if Hubward knows only one of that name.
    #[arg(value_name = "CLUSTER")]
    cluster: String,
    /// Why; it is kept.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    output: Form,
}

/// Options of `offboard`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Offboard {
    /// The cluster's resource id, or its name if Hubward knows only one of that name.
    #[arg(value_name = "CLUSTER")]
    cluster: String,
    /// Why; it is kept.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    output: Form,
}

/// Options of `approve`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Approve {
    /// The cluster's resource id, or its name if Hubward knows only one of that name.
    #[arg(value_name = "CLUSTER")]
    cluster: String,
    /// Approve only this step, by its digest as `status --json` tells it; may be repeated.
    #[arg(long = "step", value_name = "DIGEST")]
    steps: Vec<String>,
    /// Why; it is kept.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    output: Form,
}

/// Options of `pause`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Pause {
    /// The hub's name in the configuration.
    #[arg(value_name = "HUB")]
    hub: String,
    /// Why; it is kept.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    output: Form,
}

/// Options of `resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Resume {
    /// The hub's name in the configuration.
    #[arg(value_name = "HUB")]
    hub: String,
    /// Why; it is kept.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    output: Form,
}

/// How the answer is printed.
#[derive(Debug, clap::Args)]
struct Form {
    /// Print the app's answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn apply(desk: &Desk, arguments: &Apply, out: &mut Output) -> Result<Exit, Stop> {
    let body = order(
        "apply",
        json!({"cluster": arguments.cluster}),
        arguments.reason.as_deref(),
    );
    post(desk, body, arguments.output.json, out).await
}

pub(super) async fn offboard(desk: &Desk, arguments: &Offboard, out: &mut Output) -> Result<Exit, Stop> {
    let body = order(
        "offboard",
        json!({"cluster": arguments.cluster}),
        Some(&arguments.reason),
    );
    post(desk, body, arguments.output.json, out).await
}

pub(super) async fn approve(desk: &Desk, arguments: &Approve, out: &mut Output) -> Result<Exit, Stop> {
    let mut args = json!({"cluster": arguments.cluster});
    if !arguments.steps.is_empty() {
        args["steps"] = json!(arguments.steps);
    }
    let body = order("approve", args, Some(&arguments.reason));
    post(desk, body, arguments.output.json, out).await
}

pub(super) async fn pause(desk: &Desk, arguments: &Pause, out: &mut Output) -> Result<Exit, Stop> {
    let body = order("pause", json!({"hub": arguments.hub}), Some(&arguments.reason));
    post(desk, body, arguments.output.json, out).await
}

pub(super) async fn resume(desk: &Desk, arguments: &Resume, out: &mut Output) -> Result<Exit, Stop> {
    let body = order("resume", json!({"hub": arguments.hub}), arguments.reason.as_deref());
    post(desk, body, arguments.output.json, out).await
}

/// The body of a command to the app.
pub(super) fn order(command: &str, args: Value, reason: Option<&str>) -> Value {
    let mut body = json!({"command": command, "args": args});
    if let Some(reason) = reason {
        body["reason"] = json!(reason);
    }
    body
}

/// Posts to `Command` and prints what the app did.
///
/// # Errors
/// Exit 1, 2 or 3 with the app's own line.
pub(super) async fn post(desk: &Desk, mut body: Value, json: bool, out: &mut Output) -> Result<Exit, Stop> {
    if let Some(caller) = desk.caller() {
        body["by"] = json!(caller);
    }
    let answer = desk.ask(Ask::Post, "Command", &[], Some(body)).await?;
    done(&answer, json, out)
}

/// Prints the lines of an answer that says that something was done.
///
/// # Errors
/// Exit 1 of a conflict, 2 of everything else that the app refuses.
pub(super) fn done(answer: &Answer, json: bool, out: &mut Output) -> Result<Exit, Stop> {
    match answer.status {
        200..=299 if json => out.json(&answer.body),
        200..=299 => {
            let lines = answer.body.get("lines").and_then(Value::as_array);
            for line in lines.into_iter().flatten().filter_map(Value::as_str) {
                out.line(line);
            }
        }
        409 => {
            return Err(Stop {
                exit: Exit::Broken,
                line: answer.error(),
            });
        }
        _ => return Err(Stop::usage(answer.error())),
    }
    Ok(Exit::Fine)
}
