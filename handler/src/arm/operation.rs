//! Long-running operations as data: what a write started, where to ask about it, and what the answer means.
//!
//! An [`Operation`] is written to the ledger and resumed by another process, so it holds everything that is needed and its poll
//! URL exactly as Azure wrote it. Nothing in here sends or waits. Under failure ARM's error body is kept: a failed operation
//! answers 200 with `{"status":"Failed","error":{..}}` [recorded].

use std::time::Duration;

use azure_core::http::headers::HeaderName;
use hubward_core::ids::ResourceId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use url::Url;

use super::errors::ArmError;
use super::fault::ArmFault;
use super::send::Answer;
use super::throttle;
use super::trust;

const ASYNC_OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");
const LOCATION: HeaderName = HeaderName::from_static("location");

/// A write that Azure has accepted and not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The resource that is being written.
    pub resource: ResourceId,
    /// The api-version of the write; polling the resource itself uses it. (The poll URL carries one of its own, which differs:
    /// AKS uses 2016-03-30 or 2017-08-31 by region, as recorded.)
    pub api: String,
    /// What was asked for.
    pub method: WriteMethod,
    /// Where to ask. Opaque and signed: replayed byte for byte.
    pub poll_url: String,
    /// How to read what is there.
    pub style: PollStyle,
    /// When the write was accepted, in Azure time.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// How long to wait before the first poll, in whole Azure seconds.
    #[serde(with = "whole_seconds")]
    pub retry_after: Duration,
}

/// The method of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteMethod {
    /// Create or replace.
    Put,
    /// Change of tags.
    Patch,
    /// Removal.
    Delete,
}

/// How an operation is polled. ARM prefers the first one that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PollStyle {
    /// `Azure-AsyncOperation`: 200 with a `status`, also for failures.
    AsyncOperation,
    /// `Location`: 202 while it runs, 200 or 204 when it is done.
    Location,
    /// The resource's own `provisioningState`; for a delete until it is absent. Azure Firewall answers a tag PATCH so: 200
    /// `Updating` and no header [recorded: azure-mgmt-network 19.3 firewall].
    Resource,
}

/// What a write came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// Finished. The body is absent for 204, for an empty answer, and for the `null` that an unchanged rule collection group
    /// is answered with [issue: azure-rest-api-specs 19505].
    Done(Option<Value>),
    /// Accepted; [`super::Arm::poll`] tells when it is finished.
    Running(Operation),
}

/// What a poll came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Not finished.
    Running {
        /// When to ask again, in Azure seconds.
        retry_after: Duration,
    },
    /// Finished well.
    Done,
    /// Finished badly, in ARM's own words.
    Failed(ArmFault),
}

/// A write as it was asked for.
pub struct Asked<'a> {
    /// The only origin whose poll URLs are followed.
    pub endpoint: &'a Url,
    /// The URL that was written to.
    pub url: &'a Url,
    /// The resource behind it.
    pub resource: &'a ResourceId,
    /// The api-version in it.
    pub api: &'a str,
    /// How it was written.
    pub method: WriteMethod,
}

/// What a 2xx answer to a write means.
///
/// # Errors
/// [`ArmError::UntrustedPollUrl`], [`ArmError::Malformed`], [`ArmError::WriteFailed`].
pub fn written(asked: &Asked<'_>, answer: &Answer, now: OffsetDateTime) -> Result<Written, ArmError> {
    if !matches!(answer.status, 200 | 201 | 202 | 204) {
        return Err(malformed(
            asked.resource,
            answer,
            &format!("a write is answered with HTTP {}", answer.status),
        ));
    }
    // The header decides before the body: an unchanged firewall is answered `Succeeded` at once and yet runs for 10 to 31 s,
    // in which nothing else may be written [recorded: azurefirewall no-op PUT].
    let offered = [
        (PollStyle::AsyncOperation, &ASYNC_OPERATION),
        (PollStyle::Location, &LOCATION),
    ]
    .into_iter()
    // A 201 may name the new resource in Location; only that of a 202 is a poll URL [documented].
    .filter(|(style, _)| *style == PollStyle::AsyncOperation || answer.status == 202)
    .find_map(|(style, name)| answer.headers.get_optional_str(name).map(|url| (style, url)));
    if let Some((style, poll_url)) = offered {
        return running(asked, answer, style, poll_url, now);
    }
    let body = body(asked.resource, answer)?;
    match state(body.as_ref()) {
        State::Bad(_) => Err(ArmError::WriteFailed {
            fault: Box::new(fault(asked.resource, None, answer)),
        }),
        State::Busy => running(asked, answer, PollStyle::Resource, asked.url.as_str(), now),
        State::Good | State::Unsaid if answer.status == 202 => {
            running(asked, answer, PollStyle::Resource, asked.url.as_str(), now)
        }
        State::Good | State::Unsaid => Ok(Written::Done(body)),
    }
}

/// What the answer to a poll of `Azure-AsyncOperation` or `Location` means.
///
/// # Errors
/// [`ArmError`] if the answer says nothing about the operation.
pub fn progress(operation: &Operation, answer: &Answer, now: OffsetDateTime) -> Result<Progress, ArmError> {
    let again = Progress::Running {
        retry_after: throttle::pause(&answer.headers, now),
    };
    match answer.status {
        200 | 201 | 202 | 204 => {}
        // The Location of a failed operation answers with the failure itself [documented].
        400 | 405..=407 | 409..=428 if operation.style == PollStyle::Location => {
            return Ok(Progress::Failed(fault(
                &operation.resource,
                Some(answer.status),
                answer,
            )));
        }
        _ => return Err(refusal(&operation.resource, operation.method.verb(), answer, now)),
    }
    if operation.style == PollStyle::Location && answer.status == 202 {
        return Ok(again);
    }
    let body = body(&operation.resource, answer)?;
    // An Azure-AsyncOperation URL may also lead to `operationResults`, which has no `status` [example: AzureFirewallUpdateTags]:
    // then the code tells.
    let said = match body
        .as_ref()
        .and_then(|body| body.get("status"))
        .and_then(Value::as_str)
    {
        Some(status) => State::named(status),
        None => state(body.as_ref()),
    };
    Ok(match said {
        State::Good => Progress::Done,
        State::Bad(word) => Progress::Failed(failed(&operation.resource, answer, &word)),
        State::Busy => again,
        State::Unsaid if answer.status == 202 => again,
        State::Unsaid => Progress::Done,
    })
}

/// What a read of the resource itself says about the operation. `None` = the resource is absent.
pub fn progress_by_resource(operation: &Operation, document: Option<&Value>) -> Progress {
    let again = Progress::Running {
        retry_after: throttle::DEFAULT_PAUSE,
    };
    let Some(document) = document else {
        return match operation.method {
            WriteMethod::Delete => Progress::Done,
            WriteMethod::Put | WriteMethod::Patch => Progress::Failed(vanished(&operation.resource)),
        };
    };
    match (state(Some(document)), operation.method) {
        (State::Bad(word), _) => Progress::Failed(state_fault(&operation.resource, &word)),
        (State::Busy, _) | (State::Good | State::Unsaid, WriteMethod::Delete) => again,
        (State::Good | State::Unsaid, WriteMethod::Put | WriteMethod::Patch) => Progress::Done,
    }
}

/// The error that a refusing answer about a resource means.
pub fn refusal(resource: &ResourceId, verb: &str, answer: &Answer, now: OffsetDateTime) -> ArmError {
    let attempted = format!("{}/{verb}", resource.resource_type());
    let fault = fault(resource, Some(answer.status), answer);
    ArmError::from_refusal(fault, &attempted, throttle::requested_pause(&answer.headers, now))
}

/// The JSON of an answer; `None` if it is empty or `null`.
///
/// # Errors
/// [`ArmError::Malformed`].
pub fn body(resource: &ResourceId, answer: &Answer) -> Result<Option<Value>, ArmError> {
    if answer.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    match serde_json::from_slice(&answer.body) {
        Ok(Value::Null) => Ok(None),
        Ok(document) => Ok(Some(document)),
        Err(error) => Err(malformed(resource, answer, &format!("its body is not JSON ({error})"))),
    }
}

/// The error for an answer outside ARM's contract.
pub fn malformed(resource: &ResourceId, answer: &Answer, reason: &str) -> ArmError {
    ArmError::Malformed {
        target: resource.to_string(),
        reason: reason.to_owned(),
        correlation: answer.correlation.clone(),
    }
}

impl WriteMethod {
    /// The last segment of the action that the method needs a right for.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Put | Self::Patch => "write",
            Self::Delete => "delete",
        }
    }
}

/// A provisioning state or operation status, sorted.
enum State {
    Good,
    /// With Azure's word for it.
    Bad(String),
    Busy,
    Unsaid,
}

impl State {
    /// Everything but the three terminal words is a state in motion [documented: ARM async contract].
    fn named(word: &str) -> Self {
        if word.eq_ignore_ascii_case("Succeeded") {
            Self::Good
        } else if ["Failed", "Canceled", "Cancelled"]
            .iter()
            .any(|bad| word.eq_ignore_ascii_case(bad))
        {
            Self::Bad(word.to_owned())
        } else {
            Self::Busy
        }
    }
}

/// `properties.provisioningState`; without one, a resource is finished [documented: ARM async contract].
fn state(document: Option<&Value>) -> State {
    match document
        .and_then(|body| body.pointer("/properties/provisioningState"))
        .and_then(Value::as_str)
    {
        Some(word) => State::named(word),
        None => State::Unsaid,
    }
}

fn running(
    asked: &Asked<'_>,
    answer: &Answer,
    style: PollStyle,
    poll_url: &str,
    now: OffsetDateTime,
) -> Result<Written, ArmError> {
    let url = trust::follow(asked.endpoint, poll_url).map_err(|reason| ArmError::UntrustedPollUrl {
        target: asked.resource.to_string(),
        reason,
    })?;
    Ok(Written::Running(Operation {
        resource: asked.resource.clone(),
        api: asked.api.to_owned(),
        method: asked.method,
        // A bare path becomes absolute; anything else stays as it was written, host casing included.
        poll_url: if poll_url.starts_with('/') {
            url.to_string()
        } else {
            poll_url.to_owned()
        },
        style,
        started_at: now,
        retry_after: throttle::pause(&answer.headers, now),
    }))
}

fn fault(resource: &ResourceId, status: Option<u16>, answer: &Answer) -> ArmFault {
    let resource_type = resource.resource_type();
    let provider = resource_type.split('/').next().unwrap_or_default();
    let mut fault = ArmFault::read(resource.as_str(), provider, status, &answer.body);
    fault.correlation.clone_from(&answer.correlation);
    fault
}

/// A failed poll; if Azure gives no error, its word for the state must do.
fn failed(resource: &ResourceId, answer: &Answer, word: &str) -> ArmFault {
    let mut fault = fault(resource, None, answer);
    if fault.code.is_empty() {
        word.clone_into(&mut fault.code);
    }
    fault
}

fn state_fault(resource: &ResourceId, word: &str) -> ArmFault {
    let resource_type = resource.resource_type();
    let provider = resource_type.split('/').next().unwrap_or_default();
    let mut fault = ArmFault::read(resource.as_str(), provider, None, b"");
    word.clone_into(&mut fault.code);
    fault.message = format!("the resource is in provisioning state {word}");
    fault
}

fn vanished(resource: &ResourceId) -> ArmFault {
    let mut fault = state_fault(resource, "ResourceNotFound");
    "the resource vanished while it was being written".clone_into(&mut fault.message);
    fault
}

mod whole_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(duration.as_secs())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}
