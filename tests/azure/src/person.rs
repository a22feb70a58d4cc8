//! People who work in Azure beside the product: they make clusters by ordinary ARM calls, one after the other.
//! They obey the same locks and quotas as everybody and come back when refused for the moment.

use crate::azure::{Azure, Service};
use crate::world::ClusterSpec;
use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::Value;
use std::collections::VecDeque;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A row of calls, each of which waits for the end of the one before.
#[derive(Clone, Debug)]
pub(crate) struct Intent {
    calls: VecDeque<(String, &'static str, Value)>,
    waits_for: Option<Uuid>,
    due: Option<OffsetDateTime>,
}

/// How long a person waits after a refusal that names no time.
const PATIENCE: Duration = Duration::seconds(10);

impl Azure {
    /// A person creates a cluster with its group, security group and VNet by ARM calls. The first is made at once,
    /// the others as Azure time passes. Returns the cluster's id.
    pub fn create_cluster(&mut self, spec: &ClusterSpec, now: OffsetDateTime) -> String {
        self.run_until(now);
        let calls = spec.calls(&self.world.subscription, &self.world.location).into();
        self.intents.push(Intent {
            calls,
            waits_for: None,
            due: Some(self.now),
        });
        self.run_until(now);
        spec.cluster_id(&self.world.subscription)
    }

    /// Any ARM call as the person. `path_and_query` includes the api-version.
    pub fn person_request(
        &mut self,
        method: Method,
        path_and_query: &str,
        body: Option<Value>,
        now: OffsetDateTime,
    ) -> Response<Bytes> {
        self.run_until(now);
        let person = self.world.person.clone();
        let token = self.token_for(&person, "https://management.azure.com/");
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let request = Request::builder()
            .method(method)
            .uri(format!("https://management.azure.com{path_and_query}"))
            .header("host", "management.azure.com")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(body);
        match request {
            Ok(request) => self.handle(Service::Arm, request, now),
            Err(error) => {
                let response = Response::builder().status(400).body(Bytes::from(error.to_string()));
                response.unwrap_or_else(|_| Response::new(Bytes::new()))
            }
        }
    }

    /// When the next person acts.
    pub(crate) fn next_intent(&self) -> Option<OffsetDateTime> {
        self.intents.iter().filter_map(|intent| intent.due).min()
    }

    /// Lets every person act whose time has come.
    pub(crate) fn run_intents(&mut self) {
        let mut intents = std::mem::take(&mut self.intents);
        for intent in &mut intents {
            if intent.due.is_some_and(|due| due <= self.now) {
                self.act(intent);
            }
        }
        intents.retain(|intent| intent.due.is_some() || intent.waits_for.is_some());
        self.intents = intents;
    }

    /// An operation has ended: whoever waited for it goes on, or gives up if it failed.
    pub(crate) fn operation_ended(&mut self, id: Uuid, succeeded: bool) {
        for intent in &mut self.intents {
            if intent.waits_for == Some(id) {
                intent.waits_for = None;
                intent.due = (succeeded && !intent.calls.is_empty()).then_some(self.now);
            }
        }
        self.intents
            .retain(|intent| intent.due.is_some() || intent.waits_for.is_some());
    }

    fn act(&mut self, intent: &mut Intent) {
        intent.due = None;
        let Some((path, version, body)) = intent.calls.front().cloned() else {
            return;
        };
        let response = self.person_request(
            Method::PUT,
            &format!("{path}?api-version={version}"),
            Some(body),
            self.now,
        );
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        match response.status().as_u16() {
            200..=299 => {
                intent.calls.pop_front();
                let operation = header("azure-asyncoperation").and_then(operation_id);
                intent.waits_for = operation;
                intent.due = (operation.is_none() && !intent.calls.is_empty()).then_some(self.now);
            }
            409 | 429 | 500..=599 => {
                let seconds = header("retry-after").and_then(|value| value.parse().ok());
                intent.due = Some(self.now + seconds.map_or(PATIENCE, Duration::seconds));
            }
            status => tracing::warn!(status, path, "a person gave up after a refusal"),
        }
    }
}

fn operation_id(url: &str) -> Option<Uuid> {
    url.split('?').next()?.rsplit('/').next()?.parse().ok()
}
