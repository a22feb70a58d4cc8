//! Resource Graph: rows of resources, some seconds behind ARM as the real graph is, in pages, under a quota of its own.
//! It answers what `kql` understands; anything else is refused with the graph's own 400 shape.

use crate::arm::errors::ArmError;
use crate::arm::headers::Reply;
use crate::arm::kql::Query;
use crate::arm::request::ArmCall;
use crate::azure::Azure;
use crate::ids::ArmPath;
use crate::kinds::{Backend, Kind};
use crate::store::{Resource, array, text};
use crate::trace::Principal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Queries of one principal in one window [learn: Resource Graph, guidance for throttled requests].
const QUOTA: u32 = 15;
const WINDOW: Duration = Duration::seconds(5);
/// Rows of one answer, at most and unless told otherwise [learn: Resource Graph, work with large data].
const PAGE: usize = 1000;

/// What the graph knows beside the store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    /// When each principal's window began, and its queries since.
    windows: BTreeMap<Uuid, (OffsetDateTime, u32)>,
    /// Rows of resources that are gone, until the graph notices.
    ghosts: Vec<(OffsetDateTime, Value)>,
}

impl Azure {
    /// POST to Resource Graph, or a `list*` action, of which none is served.
    pub(crate) fn query(&mut self, call: &ArmCall, principal: &Principal) -> Result<Reply, ArmError> {
        if !call
            .raw_path
            .eq_ignore_ascii_case("/providers/Microsoft.ResourceGraph/resources")
        {
            return Err(ArmError::gateway(
                404,
                "NotFound",
                format!("No action is served at '{}'.", call.raw_path),
            ));
        }
        let (remaining, resets_after) = self.take_graph_quota(principal);
        let quota = |reply: Reply| {
            reply
                .with("x-ms-user-quota-remaining", remaining.unwrap_or(0).to_string())
                .with("x-ms-user-quota-resets-after", format!("00:00:{resets_after:02}"))
        };
        if remaining.is_none() {
            return Ok(quota(Reply::refusal(&rate_limited())));
        }
        let body = call.json_object()?;
        self.require_a_subscription(&body)?;
        let query = Query::read(text(&body, &["query"]).unwrap_or_default()).map_err(|what| not_understood(&what))?;
        let found = query.run(self.rows(principal));
        Ok(quota(Reply::new(
            200,
            Backend::Resources,
            Some(page(&body, found, query.keeps_ids())?),
        )))
    }

    /// The graph goes on showing a resource that is gone for 5 to 60 s [arm-behaviour 4: Resource Graph staleness].
    pub(crate) fn leave_ghost(&mut self, gone: &ArmPath) {
        let Some(found) = self.store.find(gone.key()) else {
            return;
        };
        if !in_graph(found) {
            return;
        }
        let until = self.now + self.lag("ghost", found);
        let row = row(&self.store.render(found), &found.path);
        self.graph.ghosts.push((until, row));
    }

    /// Rows a principal may see: neither the youngest resources nor their last changes are sure to be there.
    fn rows(&mut self, principal: &Principal) -> Vec<Value> {
        let now = self.now;
        self.graph.ghosts.retain(|(until, _)| *until > now);
        let mut seen: BTreeMap<String, Value> = BTreeMap::new();
        for (_, row) in &self.graph.ghosts {
            let id = text(row, &["id"]).unwrap_or_default();
            seen.insert(id.to_lowercase(), row.clone());
        }
        for found in self.store.resources().filter(|found| in_graph(found)) {
            // Rows appear 5 to 60 s after the resource [arm-behaviour 4: Resource Graph staleness].
            if found.created_at + self.lag("graph", found) <= now {
                seen.insert(found.path.key().to_owned(), row(&self.store.render(found), &found.path));
            }
        }
        let readable = |id: &str| {
            let kind = ArmPath::parse(id).and_then(|path| Kind::of(&path));
            kind.is_some_and(|kind| self.may(principal, &format!("{}/read", kind.facts().action_name), id))
        };
        seen.into_iter()
            .filter(|(id, _)| readable(id))
            .map(|(_, row)| row)
            .collect()
    }

    fn lag(&self, purpose: &str, resource: &Resource) -> Duration {
        let fraction = self.draws.fraction(&format!("{purpose}|{}", resource.path.key()));
        Duration::seconds_f64(5.0 + 55.0 * fraction)
    }

    /// Queries left in the principal's window, and the seconds until the next; `None` when none is left.
    fn take_graph_quota(&mut self, principal: &Principal) -> (Option<u32>, i64) {
        let now = self.now;
        let window = self.graph.windows.entry(principal.object_id).or_insert((now, 0));
        if now - window.0 >= WINDOW {
            *window = (now, 0);
        }
        let resets_after = (WINDOW - (now - window.0)).whole_seconds().max(1);
        if window.1 >= QUOTA {
            return (None, resets_after);
        }
        window.1 += 1;
        (Some(QUOTA - window.1), resets_after)
    }

    /// At least one of the subscriptions named must be there; none named means all.
    fn require_a_subscription(&self, body: &Value) -> Result<(), ArmError> {
        let named = array(body, &["subscriptions"]);
        let ours = |id: &Value| {
            id.as_str()
                .is_some_and(|id| id.eq_ignore_ascii_case(&self.world.subscription))
        };
        if named.is_empty() || named.iter().any(ours) {
            return Ok(());
        }
        Err(ArmError::gateway(
            400,
            "BadRequest",
            "NoValidSubscriptionsInQueryRequest: There must be at least one subscription that is eligible to contain \
             resources.",
        ))
    }
}

/// One page. `totalRecords` counts all rows, `count` the page's; a token leads on if the rows have ids, else the answer is
/// called truncated, in a string and not a truth value [examples: ResourcesFirstPageQuery; api-examples 6].
fn page(body: &Value, rows: Vec<Value>, followable: bool) -> Result<Value, ArmError> {
    let number = |name: &str| {
        body.pointer(&format!("/options/{name}"))
            .and_then(Value::as_u64)
            .and_then(|number| usize::try_from(number).ok())
    };
    let top = number("$top").unwrap_or(PAGE);
    if !(1..=PAGE).contains(&top) {
        return Err(ArmError::gateway(
            400,
            "BadRequest",
            format!("The value of $top must lie between 1 and {PAGE}."),
        ));
    }
    let start = match text(body, &["options", "$skipToken"]) {
        Some(token) => read_token(token)?,
        None => number("$skip").unwrap_or(0),
    };
    let total = rows.len();
    let data: Vec<Value> = rows.into_iter().skip(start).take(top).collect();
    let next = start + data.len();
    let more = next < total;
    let mut answer = json!({
        "totalRecords": total, "count": data.len(), "data": data, "facets": [],
        "resultTruncated": if more && !followable { "true" } else { "false" }
    });
    if more && followable {
        answer["$skipToken"] = json!(STANDARD.encode(json!({"start": next}).to_string()));
    }
    Ok(answer)
}

fn read_token(token: &str) -> Result<usize, ArmError> {
    let decoded = STANDARD.decode(token).unwrap_or_default();
    let start = serde_json::from_slice::<Value>(&decoded)
        .ok()
        .and_then(|token| token["start"].as_u64());
    start.and_then(|start| usize::try_from(start).ok()).ok_or_else(|| {
        ArmError::gateway(
            400,
            "BadRequest",
            "The $skipToken is invalid: send it back exactly as it was received.",
        )
    })
}

/// Resource groups, children and role assignments live in other tables.
fn in_graph(resource: &Resource) -> bool {
    !resource.kind.is_child() && !matches!(resource.kind, Kind::ResourceGroup | Kind::RoleAssignment)
}

/// A row has its type in lower case and the scope's parts as columns [api-examples 6].
fn row(document: &Value, path: &ArmPath) -> Value {
    let mut row = document.clone();
    row["type"] = json!(path.type_key());
    row["resourceGroup"] = json!(path.resource_group.as_deref().unwrap_or_default().to_lowercase());
    row["subscriptionId"] = json!(path.subscription);
    row
}

fn not_understood(what: &str) -> ArmError {
    ArmError::gateway(
        400,
        "BadRequest",
        format!("Please provide below info when asking for support: {what} is not understood here."),
    )
}

/// [learn: Resource Graph, guidance for throttled requests; the text is from memory [?]]
fn rate_limited() -> ArmError {
    ArmError::gateway(
        429,
        "RateLimiting",
        "Client application has been throttled and should not attempt to repeat the request until an amount of time has \
         elapsed. Please see https://aka.ms/resourcegraph-throttling for help.",
    )
}
