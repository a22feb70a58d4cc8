//! One ARM request, read once: path, query by lower-case name, host, body and the ids that answers echo.
//! It judges nothing; what is malformed is left for the router to refuse.

use crate::arm::errors::{ArmError, invalid_request_content};
use crate::ids::ArmPath;
use crate::trace::CallKind;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A request as ARM sees it.
pub(crate) struct ArmCall {
    pub(crate) method: Method,
    pub(crate) raw_path: String,
    pub(crate) raw_query: String,
    pub(crate) path: Option<ArmPath>,
    pub(crate) query: BTreeMap<String, String>,
    /// What the caller sent as `Host`: URLs in answers are built with it.
    pub(crate) host: String,
    pub(crate) client_request_id: Option<String>,
    pub(crate) wants_request_id_back: bool,
    pub(crate) correlation: Uuid,
    pub(crate) request_id: Uuid,
    pub(crate) body: Bytes,
}

impl ArmCall {
    pub(crate) fn read(request: &Request<Bytes>, request_id: Uuid) -> Self {
        let raw_path = request.uri().path().to_owned();
        let raw_query = request.uri().query().unwrap_or_default().to_owned();
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let query = url::form_urlencoded::parse(raw_query.as_bytes())
            .map(|(name, value)| (name.to_lowercase(), value.into_owned()))
            .collect();
        let host = header("host").or_else(|| request.uri().authority().map(ToString::to_string));
        Self {
            method: request.method().clone(),
            path: ArmPath::parse(&raw_path),
            raw_path,
            raw_query,
            query,
            host: host.unwrap_or_else(|| "management.azure.com".to_owned()),
            client_request_id: header("x-ms-client-request-id"),
            wants_request_id_back: header("x-ms-return-client-request-id").is_some_and(|value| value == "true"),
            correlation: header("x-ms-correlation-request-id")
                .and_then(|id| id.parse().ok())
                .unwrap_or(request_id),
            request_id,
            body: request.body().clone(),
        }
    }

    /// The body as a JSON object.
    pub(crate) fn json_object(&self) -> Result<Value, ArmError> {
        let value: Value =
            serde_json::from_slice(&self.body).map_err(|error| invalid_request_content(&error.to_string()))?;
        if value.is_object() {
            Ok(value)
        } else {
            Err(invalid_request_content("the request body is not a JSON object"))
        }
    }

    /// The operation id if this asks after one: `.../operations/{id}`, `/operationresults/{id}` and their cousins.
    pub(crate) fn operation_poll(&self) -> Option<(Uuid, PollForm)> {
        let mut segments = self.raw_path.rsplit('/');
        let (id, word) = (segments.next()?, segments.next()?.to_lowercase());
        let form = match word.as_str() {
            "operations" | "nfvoperations" => PollForm::Status,
            "operationresults" | "nfvoperationresults" => PollForm::Result,
            _ => return None,
        };
        Some((id.parse().ok()?, form))
    }

    /// How the call counts.
    pub(crate) fn kind(&self) -> CallKind {
        let last = self.raw_path.rsplit('/').next().unwrap_or_default().to_lowercase();
        let graph = self
            .raw_path
            .to_lowercase()
            .starts_with("/providers/microsoft.resourcegraph/");
        if self.method == Method::GET || self.method == Method::HEAD {
            if self.operation_poll().is_some() {
                CallKind::Poll
            } else {
                CallKind::Read
            }
        } else if self.method == Method::POST && (graph || last.starts_with("list")) {
            CallKind::Query
        } else {
            CallKind::Write
        }
    }
}

/// Which of an operation's two URLs is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollForm {
    /// `Azure-AsyncOperation`.
    Status,
    /// `Location`.
    Result,
}
