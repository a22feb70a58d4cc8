//! `Replay`: lets events have their effect again, on request of somebody who holds a key of the app.
//!
//! It takes `{"event": ID}`, `{"cluster": ID}`, `{"since": TIME}` or `{"dead_letter": true}`, each with `"dry_run": true` if wanted,
//! and answers with every event, what it is to us, and which keys were wished. A request that cannot be understood is refused
//! with one line and requests nothing.

use hubward_core::ids::ResourceId;
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::app::App;
use crate::host::{Invocation, Reply};
use crate::replay::{Replay, ReplayError, What};

const ALLOWED: &str = "one of \"event\": ID, \"cluster\": ID, \"since\": RFC 3339 time, \"dead_letter\": true";

/// The body of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    event: Option<String>,
    cluster: Option<String>,
    since: Option<String>,
    #[serde(default)]
    dead_letter: bool,
    #[serde(default)]
    dry_run: bool,
}

/// Handles one request.
pub async fn run(app: &App, invocation: &Invocation) -> Reply {
    let config = match &app.config {
        Ok(config) => config,
        Err(error) => return Reply::refusal(500, &format!("the configuration cannot be used: {error}")),
    };
    let body = invocation.call().unwrap_or_default().json();
    let asked = body
        .and_then(|body| serde_json::from_value::<Asked>(body).map_err(|error| format!("{error}; allowed: {ALLOWED}")));
    let (what, dry_run) = match asked.and_then(|asked| Ok((what(&asked)?, asked.dry_run))) {
        Ok(understood) => understood,
        Err(line) => return Reply::refusal(400, &line),
    };
    let replay = Replay {
        ledger: &app.ledger,
        config,
        clock: app.clock.as_ref(),
        dry_run,
    };
    match replay.run(&what).await {
        Ok(replayed) => {
            let (events, keys) = (replayed.events.len(), replayed.requested.len());
            tracing::info!(?what, dry_run, events, keys, "replayed");
            Reply::http(200, json!(replayed))
        }
        Err(ReplayError::Refused(line)) => Reply::refusal(400, &line),
        Err(ReplayError::NotFound(line)) => Reply::refusal(404, &line),
        Err(ReplayError::Ledger(error)) => {
            tracing::error!("replay: {error}");
            Reply::refusal(503, &error.to_string())
        }
    }
}

fn what(asked: &Asked) -> Result<What, String> {
    match (&asked.event, &asked.cluster, &asked.since, asked.dead_letter) {
        (Some(id), None, None, false) => Ok(What::Event(id.clone())),
        (None, Some(id), None, false) => {
            let id = ResourceId::parse(id).map_err(|error| format!("cluster: {error}"))?;
            if id.is_type("Microsoft.ContainerService/managedClusters") {
                return Ok(What::Cluster(id));
            }
            Err(format!("cluster: {id} is not an AKS cluster"))
        }
        (None, None, Some(time), false) => OffsetDateTime::parse(time, &Rfc3339)
            .map(What::Since)
            .map_err(|_| format!("since: {time:?} is no time; allowed: RFC 3339, for example 2026-01-05T08:00:00Z")),
        (None, None, None, true) => Ok(What::DeadLetters),
        _ => Err(format!("not exactly one thing is to be replayed; allowed: {ALLOWED}")),
    }
}
