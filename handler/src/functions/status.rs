//! `Status`: what the ledger knows of clusters and hubs, and how far one cluster is on its way, for pipelines and pages.
//!
//! `GET /api/Status?id=ID&for=prepared|wired`. Without `id` everything is told; with `for` the status code answers the question:
//! 200 reached, 202 not yet (with `Retry-After`), 409 never without a person. It reads the ledger only.

use std::collections::BTreeMap;

use hubward_core::ids::ResourceId;
use serde_json::{Value, json};

use crate::app::App;
use crate::host::{Call, Invocation, Reply};
use crate::status::{Goal, Status, Unknown, Way, way_of_unseen};

/// When somebody who waits should ask again, in seconds.
const AGAIN: &str = "10";

/// Handles one invocation, which carries one request.
pub async fn run(app: &App, invocation: &Invocation) -> Reply {
    let question = match invocation.call().as_ref().map(Question::of) {
        Some(Ok(question)) => question,
        Some(Err(line)) => return Reply::refusal(400, &line),
        None => return Reply::refusal(400, "the invocation carries no request"),
    };
    match Status::of(&app.ledger).await {
        Ok(status) => question.answer(&status),
        Err(error) => Reply::refusal(503, &error.to_string()),
    }
}

/// What is asked.
enum Question {
    Everything,
    One(String),
    Way(ResourceId, Goal),
}

impl Question {
    fn of(call: &Call) -> Result<Self, String> {
        if let Some(other) = call.query.keys().find(|name| !["id", "for"].contains(&name.as_str())) {
            return Err(format!("{other:?} is not a parameter of Status; allowed: id, for"));
        }
        let id = call.query.get("id").filter(|id| !id.is_empty());
        match (id, call.query.get("for")) {
            (None, None) => Ok(Self::Everything),
            (Some(id), None) => Ok(Self::One(id.clone())),
            (None, Some(_)) => Err("id is missing; allowed: the resource id of an AKS cluster".to_owned()),
            (Some(id), Some(goal)) => {
                let id = ResourceId::parse(id)
                    .ok()
                    .filter(|id| id.is_type("Microsoft.ContainerService/managedClusters"))
                    .ok_or_else(|| format!("id is {id:?}; allowed: the resource id of an AKS cluster"))?;
                let goal = match goal.as_str() {
                    "prepared" => Goal::Prepared,
                    "wired" => Goal::Wired,
                    other => return Err(format!("for is {other:?}; allowed: prepared, wired")),
                };
                Ok(Self::Way(id, goal))
            }
        }
    }

    fn answer(&self, status: &Status) -> Reply {
        match self {
            Self::Everything => Reply::http(200, json!(status)),
            Self::One(id) => match status.cluster(id) {
                Ok(cluster) => Reply::http(200, json!(status.only(cluster))),
                Err(unknown @ Unknown::Nowhere(_)) => Reply::refusal(404, &unknown.to_string()),
                Err(unknown @ Unknown::Several { .. }) => Reply::refusal(400, &unknown.to_string()),
            },
            Self::Way(id, goal) => {
                let cluster = status.cluster(id.as_str()).ok();
                let way = cluster.map_or_else(|| way_of_unseen(id), |cluster| cluster.way_to(*goal));
                let picture = cluster.map(|cluster| status.only(cluster)).unwrap_or_default();
                way_answer(&way, &picture)
            }
        }
    }
}

fn way_answer(way: &Way, picture: &Status) -> Reply {
    let (status, line) = match way {
        Way::Reached(line) => (200, line),
        Way::NotYet(line) => (202, line),
        Way::Never(line) => (409, line),
    };
    let mut body = json!(picture);
    // A refusal is read like every other one.
    let member = if status == 409 { "error" } else { "line" };
    body[member] = Value::from(line.as_str());
    let headers = if status == 202 {
        BTreeMap::from([("retry-after", AGAIN.to_owned())])
    } else {
        BTreeMap::new()
    };
    Reply::Http { status, headers, body }
}
