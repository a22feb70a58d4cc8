//! The way of an ARM request: token, faults, quota, shape, subscription, kind, version, rights, and then the verb.
//! Every call is traced, refused ones with their code. Nothing behind this file looks at HTTP.

use crate::arm::auth::action_of;
use crate::arm::errors::{self, ArmError};
use crate::arm::headers::Reply;
use crate::arm::request::ArmCall;
use crate::arm::throttle::{Operation, Verdict};
use crate::azure::Azure;
use crate::faults::{FaultEffect, NoAnswer};
use crate::ids::ArmPath;
use crate::kinds::{Backend, Kind, api_versions};
use crate::trace::{Call, CallKind, Principal};
use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::json;

impl Azure {
    /// Answers one ARM request at the present Azure time.
    pub(crate) fn arm(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        self.serial += 1;
        let call = ArmCall::read(request, self.draws.uuid(&format!("request|{}", self.serial)));
        let principal = match self.authenticate(request) {
            Ok(principal) => principal,
            Err(error) => {
                let reply = Reply::refusal(&error).with("www-authenticate", self.challenge());
                return self.finish(&call, None, reply, Some(error.code), None);
            }
        };
        let fault = self.faults.strike(&call.method, &call.raw_path);
        if let Some(response) = fault
            .as_ref()
            .and_then(|fault| self.answer_by_fault(&call, &principal, fault))
        {
            return response;
        }
        let quota = match self.take_quota(&call, &principal) {
            Ok(quota) => quota,
            Err(error) => {
                return self.finish(&call, Some(principal), Reply::refusal(&error), Some(error.code), None);
            }
        };
        if let Some(FaultEffect::FailOperation { code, message }) = &fault {
            self.fail_next_operation = Some((code.clone(), message.clone()));
        }
        let outcome = self.dispatch(&call, &principal);
        self.fail_next_operation = None;
        let (reply, code) = match outcome {
            Ok(reply) => (reply, None),
            Err(error) => (Reply::refusal(&error), Some(error.code)),
        };
        let mut response = self.finish(&call, Some(principal), reply, code, quota);
        if fault == Some(FaultEffect::LoseAnswer) {
            response.extensions_mut().insert(NoAnswer);
        }
        response
    }

    fn dispatch(&mut self, call: &ArmCall, principal: &Principal) -> Result<Reply, ArmError> {
        let version = call.query.get("api-version").map(String::as_str).unwrap_or_default();
        if version.is_empty() {
            return Err(ArmError::gateway(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            ));
        }
        if let Some((id, form)) = call.operation_poll() {
            return self.poll(call, id, form);
        }
        if call.kind() == CallKind::Query {
            return self.query(call, principal);
        }
        let Some(path) = call.path.clone() else {
            return Err(ArmError::gateway(
                404,
                "MissingSubscription",
                "The request did not have a subscription or a valid tenant level resource provider.",
            ));
        };
        let subscription = path.subscription.as_deref().unwrap_or_default();
        if !subscription.eq_ignore_ascii_case(&self.world.subscription) {
            return Err(errors::subscription_not_found(subscription));
        }
        if path.provider.is_none() && path.types == ["resources"] {
            return self.list_resources(principal, &path, version);
        }
        let Some(kind) = Kind::of(&path) else {
            return self.kindless(&path, version);
        };
        check_version(&path, kind, version, &self.world.location)?;
        self.authorize(principal, &action_of(kind, &call.method), path.as_str())?;
        if kind == Kind::RoleAssignment {
            return self.role_assignment(call, principal, &path);
        }
        match (call.method.as_str(), path.is_collection()) {
            ("GET", false) => self.get(&path, kind),
            ("GET", true) => self.list(&path, kind),
            ("HEAD", false) if kind == Kind::ResourceGroup => Ok(self.head_group(&path)),
            ("PUT", false) => self.put(call, principal, &path, kind),
            ("PATCH", false) => self.patch(call, principal, &path, kind),
            ("DELETE", false) => self.delete(call, principal, &path, kind),
            _ => Err(ArmError::gateway(
                405,
                "MethodNotAllowed",
                format!("The HTTP method '{}' is not supported at scope '{path}'.", call.method),
            )),
        }
    }

    /// The subscription itself, or a type that does not exist here.
    fn kindless(&self, path: &ArmPath, version: &str) -> Result<Reply, ArmError> {
        let Some(provider) = &path.provider else {
            let id = &self.world.subscription;
            let body = json!({
                "id": format!("/subscriptions/{id}"), "subscriptionId": id, "tenantId": self.world.tenant,
                "displayName": "simulated", "state": "Enabled"
            });
            return Ok(Reply::new(200, Backend::Resources, Some(body)));
        };
        const PROVIDERS: [&str; 4] = [
            "microsoft.network",
            "microsoft.containerservice",
            "microsoft.authorization",
            "microsoft.managedidentity",
        ];
        if !PROVIDERS.contains(&provider.to_lowercase().as_str()) {
            return Err(ArmError::gateway(
                404,
                "InvalidResourceNamespace",
                format!("The resource namespace '{provider}' is invalid."),
            ));
        }
        Err(ArmError::gateway(
            404,
            "InvalidResourceType",
            format!(
                "The resource type '{}' could not be found in the namespace '{provider}' for api version '{version}'.",
                path.types.join("/")
            ),
        ))
    }

    fn answer_by_fault(
        &mut self,
        call: &ArmCall,
        principal: &Principal,
        fault: &FaultEffect,
    ) -> Option<Response<Bytes>> {
        let error = match fault {
            FaultEffect::Answer {
                status,
                code,
                message,
                retry_after,
            } => ArmError {
                retry_after: *retry_after,
                ..ArmError::service(*status, code, message)
            },
            FaultEffect::Throttle { retry_after } => {
                let error = throttled(call, &self.world.subscription, retry_after.unwrap_or(6));
                ArmError {
                    retry_after: *retry_after,
                    ..error
                }
            }
            FaultEffect::Raw { status, body } => {
                let reply = Reply::new(*status, Backend::Resources, None);
                let mut response = self.finish(call, Some(principal.clone()), reply, None, None);
                response.headers_mut().remove("content-length");
                response
                    .headers_mut()
                    .insert("content-type", http::HeaderValue::from_static("text/html"));
                *response.body_mut() = Bytes::from(body.clone());
                return Some(response);
            }
            FaultEffect::Drop => {
                let reply = Reply::new(503, Backend::Resources, None);
                let mut response = self.finish(call, Some(principal.clone()), reply, Some("NoAnswer".to_owned()), None);
                response.extensions_mut().insert(NoAnswer);
                return Some(response);
            }
            FaultEffect::FailOperation { .. } | FaultEffect::LoseAnswer => return None,
        };
        Some(self.finish(
            call,
            Some(principal.clone()),
            Reply::refusal(&error),
            Some(error.code),
            None,
        ))
    }

    fn take_quota(&mut self, call: &ArmCall, principal: &Principal) -> Result<Option<(Operation, Verdict)>, ArmError> {
        let Some(subscription) = call.path.as_ref().and_then(|path| path.subscription.clone()) else {
            return Ok(None);
        };
        let operation = match call.method {
            Method::DELETE => Operation::Deletes,
            Method::GET | Method::HEAD => Operation::Reads,
            _ => Operation::Writes,
        };
        let verdict = self.throttle.take(
            &subscription.to_lowercase(),
            &principal.object_id.to_string(),
            operation,
            self.now,
        );
        match verdict {
            Verdict::Allowed { .. } => Ok(Some((operation, verdict))),
            Verdict::Refused { retry_after } => Err(throttled(call, &self.world.subscription, retry_after)),
        }
    }

    fn finish(
        &mut self,
        call: &ArmCall,
        principal: Option<Principal>,
        reply: Reply,
        error_code: Option<String>,
        quota: Option<(Operation, Verdict)>,
    ) -> Response<Bytes> {
        self.trace.record(Call {
            at: self.now,
            principal,
            method: call.method.clone(),
            path: call.raw_path.clone(),
            status: reply.status,
            error_code,
            kind: call.kind(),
            firewall_update: reply.firewall_update,
        });
        reply.into_response(call, quota, &self.world.location, self.now)
    }
}

pub(crate) fn check_version(path: &ArmPath, kind: Kind, version: &str, location: &str) -> Result<(), ArmError> {
    let supported = api_versions(kind);
    if supported.contains(&version) {
        return Ok(());
    }
    let listed = supported.join(", ");
    let date = version.get(..10).unwrap_or_default();
    let dated = date.len() == 10 && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if !dated || kind == Kind::ResourceGroup {
        return Err(ArmError::gateway(
            400,
            "InvalidApiVersionParameter",
            format!("The api-version '{version}' is invalid. The supported versions are '{listed}'."),
        ));
    }
    Err(ArmError::gateway(
        400,
        "NoRegisteredProviderFound",
        format!(
            "No registered resource provider found for location '{location}' and API version '{version}' for type '{}'. \
             The supported api-versions are '{listed}'. The supported locations are '{location}'.",
            path.types.join("/")
        ),
    ))
}

/// [arm-behaviour 4: SubscriptionRequestsThrottled]
fn throttled(call: &ArmCall, subscription: &str, seconds: u32) -> ArmError {
    let operation = call.path.as_ref().map_or_else(String::new, |path| {
        let provider = path.provider.clone().unwrap_or_default();
        format!(
            "{}/SUBSCRIPTIONS/RESOURCEGROUPS/PROVIDERS/{provider}/{}",
            call.method,
            path.types.join("/")
        )
        .to_uppercase()
    });
    let mut error = ArmError::gateway(
        429,
        "SubscriptionRequestsThrottled",
        format!(
            "Number of requests for subscription '{subscription}' and operation '{operation}' exceeded the backend \
             storage limit. Please try again after '{seconds}' seconds."
        ),
    );
    error.retry_after = Some(seconds);
    error
}
