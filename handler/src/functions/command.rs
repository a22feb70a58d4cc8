//! `Command`: what laptop commands ask the app to write. `POST /api/Command {"command", "args", "reason"}`.
//!
//! It writes nothing to Azure: it keeps the decision and wishes a look, so the one path does the rest. The decision is kept before
//! the wish is made; if the wish fails the answer is 503 and the command can be given again. Whoever holds the function key may
//! give every command, and the reason is kept with each decision.

use std::collections::BTreeSet;

use hubward_core::config::{Config, Mode};
use hubward_core::finding::Code;
use hubward_core::ids::ResourceId;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::host::{Invocation, Reply};
use crate::ledger::LedgerError;
use crate::ledger::decisions::{Approval, Decision};
use crate::ledger::queue::WorkKind;
use crate::status::{ClusterStatus, Status, Unknown};
use crate::work::sweep;

/// The longest reason, in characters: it stands in one line of the log.
const LONGEST_REASON: usize = 300;

/// Why a command is not obeyed.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// The body is wrong.
    #[error("{0}")]
    Wrong(String),
    /// There is no such cluster or hub.
    #[error("{0}")]
    Unknown(String),
    /// There is nothing to do, or not now.
    #[error("{0}")]
    Conflict(String),
    /// The ledger does not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What was done: lines for people, keys that were asked for.
#[derive(Default)]
struct Done {
    lines: Vec<String>,
    keys: Vec<String>,
}

/// A command as it came, its parts checked.
struct Order {
    verb: Verb,
    reason: Option<String>,
    by: String,
}

enum Verb {
    Apply {
        cluster: String,
    },
    Drift {
        cluster: Option<String>,
    },
    Offboard {
        cluster: String,
    },
    Approve {
        cluster: String,
        steps: Option<BTreeSet<String>>,
    },
    Pause {
        hub: String,
    },
    Resume {
        hub: String,
    },
}

/// Handles one invocation, which carries one request.
pub async fn run(app: &App, invocation: &Invocation) -> Reply {
    let config = match &app.config {
        Ok(config) => config,
        Err(error) => return Reply::refusal(503, &format!("the configuration cannot be used: {error}")),
    };
    let order = invocation
        .call()
        .ok_or_else(|| "the invocation carries no request".to_owned())
        .and_then(|call| call.json())
        .and_then(|body| Order::of(&body));
    let order = match order {
        Ok(order) => order,
        Err(line) => return Reply::refusal(400, &line),
    };
    match order.obeyed(app, config).await {
        Ok(done) => {
            for line in &done.lines {
                tracing::info!("command: {line}");
            }
            Reply::http(200, json!({"lines": done.lines, "keys": done.keys}))
        }
        Err(refusal) => {
            let status = match refusal {
                Refusal::Wrong(_) => 400,
                Refusal::Unknown(_) => 404,
                Refusal::Conflict(_) => 409,
                Refusal::Ledger(_) => 503,
            };
            Reply::refusal(status, &refusal.to_string())
        }
    }
}

impl Order {
    /// Reads a body; the error is one line that names the field.
    fn of(body: &Value) -> Result<Self, String> {
        let body = object("the body", body)?;
        only(body, "the body", &["command", "args", "reason", "by"])?;
        let command = text(body, "command")?.ok_or_else(|| format!("command is missing; allowed: {COMMANDS}"))?;
        let none = Map::new();
        let args = body.get("args").map_or(Ok(&none), |args| object("args", args))?;
        let args_of = |allowed: &[&str]| only(args, "args", allowed);
        let cluster = || needed(args, "cluster", "the resource id or the name of a cluster");
        let hub = || needed(args, "hub", "the name of a configured hub");
        let verb = match command.as_str() {
            "apply" => args_of(&["cluster"]).and_then(|()| Ok(Verb::Apply { cluster: cluster()? })),
            "drift" => args_of(&["fix", "cluster"]).and_then(|()| match args.get("fix") {
                Some(Value::Bool(true)) => Ok(Verb::Drift {
                    cluster: text(args, "cluster")?,
                }),
                _ => Err("args.fix is not true; allowed: true, because drift without --fix only reads".to_owned()),
            }),
            "offboard" => args_of(&["cluster"]).and_then(|()| Ok(Verb::Offboard { cluster: cluster()? })),
            "approve" => args_of(&["cluster", "steps"]).and_then(|()| {
                Ok(Verb::Approve {
                    cluster: cluster()?,
                    steps: steps(args)?,
                })
            }),
            "pause" => args_of(&["hub"]).and_then(|()| Ok(Verb::Pause { hub: hub()? })),
            "resume" => args_of(&["hub"]).and_then(|()| Ok(Verb::Resume { hub: hub()? })),
            other => Err(format!("command is {other:?}; allowed: {COMMANDS}")),
        }?;
        let order = Self {
            verb,
            reason: reason(body)?,
            by: text(body, "by")?.unwrap_or_else(|| "somebody with a function key".to_owned()),
        };
        let decides = matches!(
            order.verb,
            Verb::Offboard { .. } | Verb::Approve { .. } | Verb::Pause { .. }
        );
        if decides && order.reason.is_none() {
            return Err(format!(
                "reason is missing; allowed: why you {command}, up to {LONGEST_REASON} characters, which is kept"
            ));
        }
        Ok(order)
    }

    async fn obeyed(&self, app: &App, config: &Config) -> Result<Done, Refusal> {
        match &self.verb {
            Verb::Apply { cluster } => {
                let id = in_scope(app, config, cluster).await?;
                self.wish(app, WorkKind::Spoke, &id).await
            }
            Verb::Drift { cluster: Some(cluster) } => {
                let id = in_scope(app, config, cluster).await?;
                self.wish(app, WorkKind::Spoke, &id).await
            }
            Verb::Drift { cluster: None } => {
                let cause = self.cause();
                app.ledger.keys.request(WorkKind::Sweep, sweep::FIX, &cause).await?;
                Ok(Done {
                    lines: vec![
                        "every cluster in scope is looked at, and what drifted is corrected as its mode allows"
                            .to_owned(),
                    ],
                    keys: vec![sweep::FIX.to_owned()],
                })
            }
            Verb::Offboard { cluster } => {
                let id = in_scope(app, config, cluster).await?;
                app.ledger.decisions.release(&id.key(), &self.decision(app)).await?;
                let mut done = self.wish(app, WorkKind::Offboard, &id).await?;
                done.lines = vec![format!(
                    "{} is taken off its hub and left alone; approve takes that back",
                    id.name()
                )];
                Ok(done)
            }
            Verb::Approve { cluster, steps } => self.approve(app, config, cluster, steps.as_ref()).await,
            Verb::Pause { hub } => self.pause(app, config, hub).await,
            Verb::Resume { hub } => self.resume(app, config, hub).await,
        }
    }

    async fn approve(
        &self,
        app: &App,
        config: &Config,
        text: &str,
        steps: Option<&BTreeSet<String>>,
    ) -> Result<Done, Refusal> {
        let status = Status::of(&app.ledger).await?;
        let cluster = status.cluster(text).map_err(unknown)?;
        let id = ResourceId::parse(&cluster.id).map_err(|error| Refusal::Unknown(error.to_string()))?;
        if !config.scope.covers(&id) {
            return Err(out_of_scope(&id));
        }
        if config.mode == Mode::Observe {
            return Err(Refusal::Conflict(
                "the mode of the configuration is observe, in which nothing is ever written; set mode to approve or correct first".to_owned(),
            ));
        }
        let released = app.ledger.decisions.of_cluster(&id.key()).await?.released.is_some();
        let approval = approval(cluster, steps)?;
        if approval == Approval::default() && !released {
            return Err(Refusal::Conflict(format!(
                "nothing of {} waits for approval: it is {}",
                cluster.name, cluster.state
            )));
        }
        app.ledger
            .decisions
            .approve(&id.key(), &approval, &self.decision(app))
            .await?;
        let mut done = self.wish(app, WorkKind::Spoke, &id).await?;
        done.lines = approved(cluster, &approval, released);
        Ok(done)
    }

    async fn pause(&self, app: &App, config: &Config, hub: &str) -> Result<Done, Refusal> {
        configured(config, hub)?;
        let line = if app.ledger.decisions.pause(hub, &self.decision(app)).await? {
            format!("hub {hub} is paused: nothing is written to it and its spokes until it is resumed")
        } else {
            format!("hub {hub} was paused already")
        };
        // A look at the hub has people see that it is paused; what runs in Azure goes on.
        app.ledger.keys.request(WorkKind::Hub, hub, &self.cause()).await?;
        Ok(Done {
            lines: vec![line],
            keys: vec![hub.to_owned()],
        })
    }

    async fn resume(&self, app: &App, config: &Config, hub: &str) -> Result<Done, Refusal> {
        configured(config, hub)?;
        if !app.ledger.decisions.resume(hub, &self.decision(app)).await? {
            return Err(Refusal::Conflict(format!("hub {hub} is not paused")));
        }
        let status = Status::of(&app.ledger).await?;
        let mut done = Done::default();
        app.ledger.keys.request(WorkKind::Hub, hub, &self.cause()).await?;
        done.keys.push(hub.to_owned());
        for cluster in status.clusters.iter().filter(|c| c.hub.as_deref() == Some(hub)) {
            let key = cluster.id.to_ascii_lowercase();
            app.ledger.keys.request(WorkKind::Spoke, &key, &self.cause()).await?;
            done.keys.push(key);
        }
        done.lines.push(format!(
            "hub {hub} is resumed: it and {} of its clusters are looked at",
            done.keys.len() - 1
        ));
        Ok(done)
    }

    async fn wish(&self, app: &App, kind: WorkKind, id: &ResourceId) -> Result<Done, Refusal> {
        app.ledger.keys.request(kind, &id.key(), &self.cause()).await?;
        Ok(Done {
            lines: vec![format!("{} is looked at and brought to its plan", id.name())],
            keys: vec![id.key()],
        })
    }

    fn cause(&self) -> String {
        let verb = match &self.verb {
            Verb::Apply { .. } => "apply",
            Verb::Drift { .. } => "drift",
            Verb::Offboard { .. } => "offboard",
            Verb::Approve { .. } => "approve",
            Verb::Pause { .. } => "pause",
            Verb::Resume { .. } => "resume",
        };
        match &self.reason {
            Some(reason) => format!("command {verb}: {reason}"),
            None => format!("command {verb}"),
        }
    }

    fn decision(&self, app: &App) -> Decision {
        Decision {
            at: app.clock.now(),
            by: self.by.clone(),
            reason: self.reason.clone().unwrap_or_default(),
        }
    }
}

/// The commands that may be given.
const COMMANDS: &str = "apply, drift, offboard, pause, resume, approve";

/// What an approval of everything, or of some steps, covers now.
fn approval(cluster: &ClusterStatus, steps: Option<&BTreeSet<String>>) -> Result<Approval, Refusal> {
    let held: BTreeSet<String> = cluster.held.iter().map(|held| held.digest.clone()).collect();
    if let Some(steps) = steps {
        if let Some(other) = steps.iter().find(|step| !held.contains(*step)) {
            return Err(Refusal::Conflict(format!(
                "no step {other} of {} waits for approval; those that wait are told by status",
                cluster.name
            )));
        }
        return Ok(Approval {
            steps: steps.clone(),
            ..Approval::default()
        });
    }
    let older = |finding: &hubward_core::finding::Finding| finding.code == Code::OlderThanInstallation;
    Ok(Approval {
        enrolls: cluster.findings.iter().any(older),
        steps: held,
        accepts: cluster.asks.iter().cloned().collect(),
    })
}

/// What an approval means, for people.
fn approved(cluster: &ClusterStatus, approval: &Approval, released: bool) -> Vec<String> {
    let name = &cluster.name;
    let mut lines = Vec::new();
    if released {
        lines.push(format!("{name} is no longer kept off its hub"));
    }
    if approval.enrolls {
        lines.push(format!("{name} is wired although it is older than the installation"));
    }
    let steps = cluster.held.iter().filter(|held| approval.steps.contains(&held.digest));
    lines.extend(steps.map(|held| format!("{name}: {} is approved", held.id)));
    let accepts = approval.accepts.iter();
    lines.extend(accepts.map(|a| format!("{name}: {} is accepted for {}", a.code.text(), a.what)));
    lines
}

/// The cluster that a text names: an id in scope, or the name of one that the ledger knows.
async fn in_scope(app: &App, config: &Config, text: &str) -> Result<ResourceId, Refusal> {
    let id = if text.starts_with('/') {
        text.to_owned()
    } else {
        let status = Status::of(&app.ledger).await?;
        status.cluster(text).map_err(unknown)?.id.clone()
    };
    let id = ResourceId::parse(&id)
        .ok()
        .filter(|id| id.is_type("Microsoft.ContainerService/managedClusters"))
        .ok_or_else(|| {
            Refusal::Wrong(format!(
                "args.cluster is {text:?}; allowed: the resource id or the name of an AKS cluster"
            ))
        })?;
    if config.scope.covers(&id) {
        Ok(id)
    } else {
        Err(out_of_scope(&id))
    }
}

fn out_of_scope(id: &ResourceId) -> Refusal {
    Refusal::Unknown(format!(
        "{id} is not in the configured scope; allowed: clusters of scope.subscriptions that are not excluded"
    ))
}

fn unknown(unknown: Unknown) -> Refusal {
    match unknown {
        nowhere @ Unknown::Nowhere(_) => Refusal::Unknown(nowhere.to_string()),
        several @ Unknown::Several { .. } => Refusal::Wrong(several.to_string()),
    }
}

fn configured(config: &Config, hub: &str) -> Result<(), Refusal> {
    if config.hubs.contains_key(hub) {
        return Ok(());
    }
    let hubs: Vec<&str> = config.hubs.keys().map(String::as_str).collect();
    Err(Refusal::Unknown(format!(
        "hub {hub:?} is not configured; allowed: {}",
        hubs.join(", ")
    )))
}

fn object<'a>(name: &str, value: &'a Value) -> Result<&'a Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| format!("{name} is not a JSON object; allowed: {{\"command\", \"args\", \"reason\"}}"))
}

fn only(members: &Map<String, Value>, name: &str, allowed: &[&str]) -> Result<(), String> {
    match members.keys().find(|member| !allowed.contains(&member.as_str())) {
        None => Ok(()),
        Some(other) => Err(format!(
            "{other:?} is not a field of {name}; allowed: {}",
            allowed.join(", ")
        )),
    }
}

/// A text member that is there and not blank.
fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(format!("{name} is not a text; allowed: a JSON string"))
        }
    }
}

fn needed(args: &Map<String, Value>, name: &str, allowed: &str) -> Result<String, String> {
    text(args, name)?.ok_or_else(|| format!("args.{name} is missing; allowed: {allowed}"))
}

fn steps(args: &Map<String, Value>) -> Result<Option<BTreeSet<String>>, String> {
    let wrong = || "args.steps is no list of step digests; allowed: digests as status tells them".to_owned();
    let Some(steps) = args.get("steps") else {
        return Ok(None);
    };
    let steps = steps.as_array().filter(|steps| !steps.is_empty()).ok_or_else(wrong)?;
    let digests = steps.iter().map(|step| step.as_str().map(str::to_owned));
    digests.collect::<Option<_>>().map(Some).ok_or_else(wrong)
}

/// The reason, on one line and not too long.
fn reason(body: &Map<String, Value>) -> Result<Option<String>, String> {
    let reason = text(body, "reason")?;
    let bad = reason
        .as_ref()
        .is_some_and(|reason| reason.chars().count() > LONGEST_REASON || reason.chars().any(char::is_control));
    if bad {
        return Err(format!(
            "reason is too long or has more than one line; allowed: one line of up to {LONGEST_REASON} characters"
        ));
    }
    Ok(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &Value) -> String {
        match Order::of(body) {
            Ok(order) => format!("cause: {}", order.cause()),
            Err(line) => line,
        }
    }

    #[test]
    fn every_wrong_body_is_told_on_one_line_with_its_field_and_what_is_allowed() {
        let long = "x".repeat(LONGEST_REASON + 1);
        let lines: Vec<String> = [
            json!([]),
            json!({}),
            json!({"command": 7}),
            json!({"command": "destroy"}),
            json!({"command": "apply", "argument": {}}),
            json!({"command": "apply", "args": "shop"}),
            json!({"command": "apply", "args": {}}),
            json!({"command": "apply", "args": {"cluster": " "}}),
            json!({"command": "apply", "args": {"hub": "main"}}),
            json!({"command": "drift", "args": {}}),
            json!({"command": "drift", "args": {"fix": "yes"}}),
            json!({"command": "pause", "args": {"hub": "main"}}),
            json!({"command": "offboard", "args": {"cluster": "shop"}, "reason": " "}),
            json!({"command": "approve", "args": {"cluster": "shop"}, "reason": "a\nb"}),
            json!({"command": "approve", "args": {"cluster": "shop"}, "reason": long}),
            json!({"command": "approve", "args": {"cluster": "shop", "steps": []}, "reason": "x"}),
            json!({"command": "approve", "args": {"cluster": "shop", "steps": [1]}, "reason": "x"}),
        ]
        .iter()
        .map(|body| {
            let line = told(body);
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(line.contains("; allowed: "), "{line}");
            line
        })
        .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn the_cause_of_a_look_names_the_command_and_its_reason() {
        let causes: Vec<String> = [
            json!({"command": "apply", "args": {"cluster": "shop"}}),
            json!({"command": "drift", "args": {"fix": true}, "reason": "after the incident"}),
            json!({"command": "drift", "args": {"fix": true, "cluster": "shop"}}),
            json!({"command": "offboard", "args": {"cluster": "shop"}, "reason": "it moves"}),
            json!({"command": "approve", "args": {"cluster": "shop", "steps": ["a1"]}, "reason": "agreed"}),
            json!({"command": "pause", "args": {"hub": "main"}, "reason": "freeze"}),
            json!({"command": "resume", "args": {"hub": "main"}, "by": "anna"}),
        ]
        .iter()
        .map(told)
        .collect();
        insta::assert_snapshot!(causes.join("\n"), @r"
        cause: command apply
        cause: command drift: after the incident
        cause: command drift
        cause: command offboard: it moves
        cause: command approve: agreed
        cause: command pause: freeze
        cause: command resume
        ");
    }
}
