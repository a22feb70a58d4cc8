//! Resource Graph: finds resources by a query, across subscriptions.
//!
//! The query is a POST that only reads. What it finds is a hint: rows come late by seconds to minutes and without a promise, so a
//! missing row proves nothing. It never gives a part of the rows as if they were all of them; a quota that is used up is waited
//! for if it takes seconds, and is [`ArmError::Throttled`] otherwise.

use std::collections::BTreeSet;
use std::time::Duration;

use azure_core::http::Method;
use azure_core::http::headers::{HeaderName, Headers};
use bytes::Bytes;
use serde_json::{Value, json};

use super::client::{Arm, MAX_PAGES, list_malformed};
use super::errors::ArmError;
use super::fault::ArmFault;
use super::send::Answer;
use super::throttle;

/// The most rows that a query may find: far more clusters than any company has.
pub const MAX_ROWS: usize = 20_000;

const PATH: &str = "/providers/Microsoft.ResourceGraph/resources";
const API: &str = "2022-10-01";
/// Rows of a page; Resource Graph gives no more [api: `$top`, 1 to 1000].
const PAGE: usize = 1000;
/// Subscriptions of one query; more are asked for in several.
const SUBSCRIPTIONS: usize = 200;
/// The longest that a quota is waited for between two pages. The quota is 15 queries in five seconds [recorded: resourcegraph 8].
const LONGEST_QUOTA_PAUSE: Duration = Duration::from_secs(10);

const QUOTA_LEFT: HeaderName = HeaderName::from_static("x-ms-user-quota-remaining");
const QUOTA_RESETS: HeaderName = HeaderName::from_static("x-ms-user-quota-resets-after");

impl Arm {
    /// The rows that a query finds in these subscriptions, all pages. The query must keep `id` and order the rows, or Azure
    /// cannot page them.
    ///
    /// # Errors
    /// [`ArmError`]; [`ArmError::TooManyPages`] beyond [`MAX_ROWS`].
    pub async fn query(&self, subscriptions: &[String], query: &str) -> Result<Vec<Value>, ArmError> {
        let mut rows = Vec::new();
        let mut quota = None;
        for subscriptions in subscriptions.chunks(SUBSCRIPTIONS) {
            let mut token: Option<String> = None;
            let mut seen = BTreeSet::new();
            loop {
                self.wait_for_quota(quota.take()).await;
                let answer = self.ask(subscriptions, query, token.as_deref()).await?;
                let (page, next) = page(&answer, self.sender().now())?;
                rows.extend(page);
                if rows.len() > MAX_ROWS || seen.len() >= MAX_PAGES {
                    return Err(ArmError::TooManyPages {
                        target: PATH.to_owned(),
                        pages: seen.len() + 1,
                    });
                }
                quota = quota_pause(&answer.headers);
                let Some(next) = next else { break };
                if !seen.insert(next.clone()) {
                    return Err(list_malformed(
                        PATH,
                        &answer,
                        "its skip token leads back to a page already read",
                    ));
                }
                token = Some(next);
            }
        }
        Ok(rows)
    }

    async fn ask(&self, subscriptions: &[String], query: &str, token: Option<&str>) -> Result<Answer, ArmError> {
        let mut options = json!({"resultFormat": "objectArray", "$top": PAGE});
        if let Some(token) = token {
            options["$skipToken"] = token.into();
        }
        let body = json!({"subscriptions": subscriptions, "query": query, "options": options});
        let url = self.url(PATH, API)?;
        self.sender()
            .exchange(Method::Post, &url, Some(Bytes::from(body.to_string())))
            .await
    }

    async fn wait_for_quota(&self, pause: Option<Duration>) {
        if let Some(pause) = pause {
            self.sender().pause(pause).await;
        }
    }
}

/// The rows of a page and the token of the next one.
fn page(answer: &Answer, now: time::OffsetDateTime) -> Result<(Vec<Value>, Option<String>), ArmError> {
    if answer.status != 200 {
        let mut fault = ArmFault::read(PATH, "Microsoft.ResourceGraph", Some(answer.status), &answer.body);
        fault.correlation.clone_from(&answer.correlation);
        // The quota's own header counts if there is no Retry-After.
        let asked = throttle::requested_pause(&answer.headers, now).or_else(|| resets_after(&answer.headers));
        return Err(ArmError::from_refusal(fault, "a query (read)", asked));
    }
    let malformed = |reason: &str| list_malformed(PATH, answer, reason);
    let mut document: Value =
        serde_json::from_slice(&answer.body).map_err(|error| malformed(&format!("its body is not JSON ({error})")))?;
    let Some(Value::Array(rows)) = document.get_mut("data").map(Value::take) else {
        return Err(malformed("it has no array `data`"));
    };
    let token = document.get("$skipToken").and_then(Value::as_str);
    let token = token.filter(|token| !token.is_empty()).map(str::to_owned);
    // A text, not a truth value [api example ResourcesBasicQuery].
    let truncated = document.get("resultTruncated").and_then(Value::as_str);
    if token.is_none() && truncated.is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Err(malformed("it leaves rows out and names no next page"));
    }
    Ok((rows, token))
}

/// How long to wait before the next query, if the answer says that none is left.
fn quota_pause(headers: &Headers) -> Option<Duration> {
    let left: u64 = headers.get_optional_str(&QUOTA_LEFT)?.trim().parse().ok()?;
    if left > 0 {
        return None;
    }
    Some(resets_after(headers)?.min(LONGEST_QUOTA_PAUSE))
}

/// `x-ms-user-quota-resets-after: 00:00:05`.
fn resets_after(headers: &Headers) -> Option<Duration> {
    let text = headers.get_optional_str(&QUOTA_RESETS)?.trim();
    let mut seconds = 0_u64;
    for part in text.splitn(3, ':') {
        let value: u64 = part.split('.').next()?.parse().ok()?;
        seconds = seconds.checked_mul(60)?.checked_add(value)?;
    }
    (text.matches(':').count() == 2)
        .then(|| Duration::from_secs(seconds).clamp(throttle::SHORTEST_PAUSE, throttle::LONGEST_PAUSE))
}
