//! The ARM client: five calls on documents that stay `serde_json::Value`.
//!
//! It knows ARM's contract and no resource kind. It refuses ids and URLs that would lead elsewhere than they say, and follows
//! none that leaves the endpoint's host. Under failure it gives an [`ArmError`] with ARM's own words; it never waits longer than
//! a few Azure seconds inside a call.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::http::{HttpClient, Method};
use bytes::Bytes;
use hubward_core::estate::Absence;
use hubward_core::ids::ResourceId;
use serde_json::Value;
use url::Url;

use super::errors::ArmError;
use super::fault::ArmFault;
use super::operation::{self, Asked, Operation, PollStyle, Progress, WriteMethod, Written};
use super::send::{Answer, Sender};
use super::throttle;
use super::trust;
use crate::clock::Clock;

/// Most pages a list may have. ARM's pages hold 100 to 1000 entries; an estate has hundreds of clusters.
pub const MAX_PAGES: usize = 200;

/// How long the operation itself is asked, since its start: far longer than any that Hubward starts takes (a firewall's update
/// minutes). After that only the resource's own state counts.
pub const OLDEST_POLL: Duration = Duration::from_secs(3600);

/// What the client is made of.
#[derive(Debug)]
pub struct ArmDeps {
    /// `https://management.azure.com`, or that of a sovereign cloud. Must be https: the bearer policy refuses anything else.
    pub endpoint: Url,
    /// Gives tokens for the endpoint.
    pub credential: Arc<dyn TokenCredential>,
    /// Carries requests; in `local` a [`super::Loopback`].
    pub transport: Arc<dyn HttpClient>,
    /// Time and pauses.
    pub clock: Arc<dyn Clock>,
    /// Decides correlation ids and jitter. Two processes that talk to the same Azure need different seeds.
    pub seed: u64,
}

/// The ARM client. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Arm {
    endpoint: Url,
    sender: Sender,
}

/// What a read found.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    /// The document, with the order of its keys.
    Found(Value),
    /// Azure says that there is none.
    Absent(Absence),
}

impl Arm {
    /// Makes a client; sends nothing.
    #[must_use]
    pub fn new(deps: ArmDeps) -> Self {
        Self {
            sender: Sender::new(&deps),
            endpoint: deps.endpoint,
        }
    }

    /// Reads one resource.
    ///
    /// # Errors
    /// [`ArmError`]; 403 and `SubscriptionNotFound` are errors, never absence, because that is also what a lost right looks like.
    pub async fn read(&self, id: &ResourceId, api: &str) -> Result<Read, ArmError> {
        let url = self.url(id.as_str(), api)?;
        let answer = self.sender.exchange(Method::Get, &url, None).await?;
        match answer.status {
            200 => match operation::body(id, &answer)? {
                Some(document @ Value::Object(_)) => Ok(Read::Found(document)),
                Some(_) | None => Err(operation::malformed(id, &answer, "its body is not a JSON object")),
            },
            404 => match absence(id, &answer) {
                Some(absence) => Ok(Read::Absent(absence)),
                None => Err(self.refusal(id, "read", &answer)),
            },
            201..=399 => Err(operation::malformed(
                id,
                &answer,
                &format!("a read is answered with HTTP {}", answer.status),
            )),
            _ => Err(self.refusal(id, "read", &answer)),
        }
    }

    /// Lists what is under a path such as `/subscriptions/S/providers/Microsoft.ContainerService/managedClusters`, all pages.
    ///
    /// # Errors
    /// [`ArmError`]; a list that does not end within [`MAX_PAGES`] or whose next link leads elsewhere is an error, never a part
    /// of the list.
    pub async fn list(&self, path: &str, api: &str) -> Result<Vec<Value>, ArmError> {
        let url = self.url(path, api)?;
        self.pages(path, url).await
    }

    /// Lists as [`Arm::list`] what an OData filter such as `principalId eq 'GUID'` lets through.
    ///
    /// # Errors
    /// As [`Arm::list`].
    pub async fn list_where(&self, path: &str, api: &str, filter: &str) -> Result<Vec<Value>, ArmError> {
        let mut url = self.url(path, api)?;
        url.query_pairs_mut().append_pair("$filter", filter);
        // Azure's own clients write spaces so; a plus of the filter itself is `%2B` by now.
        let query = url.query().unwrap_or_default().replace('+', "%20");
        url.set_query(Some(&query));
        self.pages(path, url).await
    }

    async fn pages(&self, path: &str, mut url: Url) -> Result<Vec<Value>, ArmError> {
        let mut items = Vec::new();
        let mut seen = BTreeSet::new();
        for _ in 0..MAX_PAGES {
            seen.insert(url.to_string());
            let answer = self.sender.exchange(Method::Get, &url, None).await?;
            let (page, next) = self.page(path, &answer)?;
            items.extend(page);
            let Some(next) = next else { return Ok(items) };
            url = self.trusted(path, &next)?;
            if seen.contains(url.as_str()) {
                return Err(list_malformed(
                    path,
                    &answer,
                    "its next link leads back to a page already read",
                ));
            }
        }
        Err(ArmError::TooManyPages {
            target: path.to_owned(),
            pages: MAX_PAGES,
        })
    }

    /// Creates or replaces a resource. Azure replaces children that the body leaves out.
    ///
    /// # Errors
    /// [`ArmError`]; after [`ArmError::Unreachable`] with `outcome_unknown` the write may have happened.
    pub async fn put(&self, id: &ResourceId, api: &str, body: &Value) -> Result<Written, ArmError> {
        self.write(WriteMethod::Put, id, api, Some(body)).await
    }

    /// Changes the tags of a resource (Network takes nothing else by PATCH).
    ///
    /// # Errors
    /// As [`Arm::put`].
    pub async fn patch(&self, id: &ResourceId, api: &str, body: &Value) -> Result<Written, ArmError> {
        self.write(WriteMethod::Patch, id, api, Some(body)).await
    }

    /// Deletes a resource. Deleting what is absent is [`Written::Done`].
    ///
    /// # Errors
    /// As [`Arm::put`].
    pub async fn delete(&self, id: &ResourceId, api: &str) -> Result<Written, ArmError> {
        self.write(WriteMethod::Delete, id, api, None).await
    }

    /// Asks once how an operation stands; it may have been started by another process.
    ///
    /// The resource itself is asked if Azure's answer says nothing about the operation (it has forgotten it, does not show
    /// it, does not take the signature any more), and always once the operation is older than [`OLDEST_POLL`].
    ///
    /// # Errors
    /// [`ArmError`] if nothing can be said about the operation; it may still be running.
    pub async fn poll(&self, operation: &Operation) -> Result<Progress, ArmError> {
        let now = self.sender.now();
        let by_resource = operation.style == PollStyle::Resource || now - operation.started_at > OLDEST_POLL;
        let url = match self.trusted(operation.resource.as_str(), &operation.poll_url) {
            Ok(url) if !by_resource => url,
            Ok(_) | Err(_) => return self.poll_resource(operation).await,
        };
        let answer = self.sender.exchange(Method::Get, &url, None).await?;
        match operation::progress(operation, &answer, self.sender.now()) {
            Ok(progress) => Ok(progress),
            // Azure is in trouble or asks for time; the operation can be asked about later.
            Err(error @ (ArmError::Throttled { .. } | ArmError::Unavailable { .. })) => Err(error),
            // 401: the signature of the URL has ended, for the sender has tried a fresh token. 403: the right to read
            // operations is granted apart from the right to read the resource. 404, 410: forgotten. The rest says nothing.
            Err(_) => self.poll_resource(operation).await,
        }
    }

    async fn poll_resource(&self, operation: &Operation) -> Result<Progress, ArmError> {
        let read = self.read(&operation.resource, &operation.api).await?;
        Ok(match read {
            Read::Found(document) => operation::progress_by_resource(operation, Some(&document)),
            Read::Absent(_) => operation::progress_by_resource(operation, None),
        })
    }

    async fn write(
        &self,
        method: WriteMethod,
        id: &ResourceId,
        api: &str,
        body: Option<&Value>,
    ) -> Result<Written, ArmError> {
        let url = self.url(id.as_str(), api)?;
        let verb = match method {
            WriteMethod::Put => Method::Put,
            WriteMethod::Patch => Method::Patch,
            WriteMethod::Delete => Method::Delete,
        };
        let answer = self
            .sender
            .exchange(verb, &url, body.map(|body| Bytes::from(body.to_string())))
            .await?;
        if method == WriteMethod::Delete && answer.status == 404 && absence(id, &answer).is_some() {
            return Ok(Written::Done(None));
        }
        if !(200..=399).contains(&answer.status) {
            return Err(self.refusal(id, method.verb(), &answer));
        }
        let asked = Asked {
            endpoint: &self.endpoint,
            url: &url,
            resource: id,
            api,
            method,
        };
        operation::written(&asked, &answer, self.sender.now())
    }

    fn page(&self, path: &str, answer: &Answer) -> Result<(Vec<Value>, Option<String>), ArmError> {
        if answer.status != 200 {
            let mut fault = ArmFault::read(path, provider_of(path), Some(answer.status), &answer.body);
            fault.correlation.clone_from(&answer.correlation);
            let asked = throttle::requested_pause(&answer.headers, self.sender.now());
            return Err(ArmError::from_refusal(fault, "a list (read)", asked));
        }
        let mut document: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| list_malformed(path, answer, &format!("its body is not JSON ({error})")))?;
        let Some(Value::Array(items)) = document.get_mut("value").map(Value::take) else {
            return Err(list_malformed(path, answer, "it has no array `value`"));
        };
        // The last page has no nextLink, or an empty one, or null.
        let next = document
            .get("nextLink")
            .and_then(Value::as_str)
            .filter(|link| !link.is_empty());
        Ok((items, next.map(str::to_owned)))
    }

    fn refusal(&self, id: &ResourceId, verb: &str, answer: &Answer) -> ArmError {
        operation::refusal(id, verb, answer, self.sender.now())
    }

    fn trusted(&self, target: &str, url: &str) -> Result<Url, ArmError> {
        trust::follow(&self.endpoint, url).map_err(|reason| ArmError::UntrustedPollUrl {
            target: target.to_owned(),
            reason,
        })
    }

    /// What carries the requests.
    pub(super) fn sender(&self) -> &Sender {
        &self.sender
    }

    /// The URL of a path on the endpoint.
    pub(super) fn url(&self, path: &str, api: &str) -> Result<Url, ArmError> {
        let unsendable = |reason: &str| ArmError::Unsendable {
            target: path.to_owned(),
            reason: reason.to_owned(),
        };
        if !path.starts_with('/') || path.contains(['?', '#', '%', '\\']) {
            return Err(unsendable("it is not a plain path that starts with /"));
        }
        // A URL parser would resolve these and ask for another resource than the id says.
        if path[1..].split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(unsendable("it has an empty, `.` or `..` segment"));
        }
        let mut url = self.endpoint.clone();
        url.set_path(path);
        url.query_pairs_mut().clear().append_pair("api-version", api);
        Ok(url)
    }
}

/// How a 404 says that the resource is absent; `None` if it says something else, or nothing.
pub(super) fn absence(id: &ResourceId, answer: &Answer) -> Option<Absence> {
    let fault = ArmFault::read(id.as_str(), "", Some(answer.status), &answer.body);
    match fault.code.as_str() {
        "ResourceNotFound" => Some(Absence::ResourceNotFound),
        "ResourceGroupNotFound" => Some(Absence::ResourceGroupNotFound),
        "ParentResourceNotFound" => Some(Absence::ParentNotFound),
        "NotFound" | "RoleAssignmentNotFound" => Some(Absence::ChildNotFound),
        "SubscriptionNotFound" | "TenantNotFound" => None,
        // Providers name a missing child in their own ways; that of a top-level resource is always one of the above.
        other if id.parent().is_some() && other.ends_with("NotFound") => Some(Absence::ChildNotFound),
        _ => None,
    }
}

/// The namespace after the last `providers` segment of a path.
fn provider_of(path: &str) -> &str {
    let mut segments = path.split('/').rev().peekable();
    while let Some(segment) = segments.next() {
        if segments
            .peek()
            .is_some_and(|before| before.eq_ignore_ascii_case("providers"))
        {
            return segment;
        }
    }
    ""
}

pub(super) fn list_malformed(path: &str, answer: &Answer, reason: &str) -> ArmError {
    ArmError::Malformed {
        target: path.to_owned(),
        reason: reason.to_owned(),
        correlation: answer.correlation.clone(),
    }
}
