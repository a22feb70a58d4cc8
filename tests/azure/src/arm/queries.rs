//! Resource Graph: rows of managed clusters, late by seconds as the real graph is.
//! Only queries for one type are understood; anything else is refused with the graph's own 400 shape.

use crate::arm::errors::ArmError;
use crate::arm::headers::Reply;
use crate::arm::request::ArmCall;
use crate::azure::Azure;
use crate::ids::ArmPath;
use crate::kinds::{Backend, Kind};
use crate::store::text;
use serde_json::{Value, json};
use time::Duration;

impl Azure {
    /// POST to Resource Graph, or a `list*` action, of which none is served.
    pub(crate) fn query(&self, call: &ArmCall) -> Result<Reply, ArmError> {
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
        let body = call.json_object()?;
        let query = text(&body, &["query"]).unwrap_or_default().to_lowercase();
        let kind = wanted_type(&query).and_then(|wanted| Kind::of_type(&wanted)).ok_or_else(|| {
            ArmError::gateway(
                400,
                "BadRequest",
                "Please provide below info when asking for support: the query is not understood here; use resources | \
                 where type =~ 'namespace/type'.",
            )
        })?;
        let rows: Vec<Value> = self
            .store
            .of_kind(kind)
            // Rows appear 5 to 60 s after the resource [arm-behaviour 4: Resource Graph staleness].
            .filter(|found| {
                let lag = 5.0 + 55.0 * self.draws.fraction(&format!("graph|{}", found.path.key()));
                found.created_at + Duration::seconds_f64(lag) <= self.now
            })
            .map(|found| row(&self.store.render(found), &found.path))
            .collect();
        let count = rows.len();
        let answer = json!({
            "totalRecords": count, "count": count, "data": rows, "facets": [],
            // A string, not a truth value [api-examples 6].
            "resultTruncated": "false"
        });
        Ok(Reply::new(200, Backend::Resources, Some(answer))
            .with("x-ms-user-quota-remaining", "14")
            .with("x-ms-user-quota-resets-after", "00:00:05"))
    }
}

/// The quoted type in `type =~ '...'` or `type == '...'`.
fn wanted_type(query: &str) -> Option<String> {
    let after = query.split_once("type")?.1.trim_start();
    let after = after
        .strip_prefix("=~")
        .or_else(|| after.strip_prefix("=="))?
        .trim_start();
    let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    after[1..].split(quote).next().map(str::to_owned)
}

/// A row has its type in lower case and the scope's parts as columns [api-examples 6].
fn row(document: &Value, path: &ArmPath) -> Value {
    let mut row = document.clone();
    row["type"] = json!(path.type_key());
    row["resourceGroup"] = json!(path.resource_group.as_deref().unwrap_or_default().to_lowercase());
    row["subscriptionId"] = json!(path.subscription);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_found_in_a_query_however_it_is_quoted() {
        let query = "resources | where type =~ 'microsoft.containerservice/managedclusters' | project id";
        assert_eq!(
            wanted_type(query).as_deref(),
            Some("microsoft.containerservice/managedclusters")
        );
        assert_eq!(wanted_type("resources | where type == \"a/b\"").as_deref(), Some("a/b"));
        assert_eq!(wanted_type("resources | take 5"), None);
    }
}
