//! ARM's error body, kept whole: code, message, details and policy violations.
//!
//! Reads every shape that has been seen (`{"error":{..}}`, the bare form, HTML from a gateway, nothing at all) and never
//! fails: a body that cannot be read becomes a fault without a code whose message is the text. Length is bounded because
//! faults are written to the ledger.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest message kept, in characters. Deployment errors nest whole JSON documents in a message.
const MAX_MESSAGE: usize = 4000;
/// Most details kept on one level.
const MAX_DETAILS: usize = 50;
/// Deepest level of nested details kept.
const MAX_DEPTH: usize = 5;
/// Codes that only wrap the one that matters, which is the first detail's
/// [issue: terraform-provider-azurerm 7986, "A retryable error occured." around ReferencedResourceNotProvisioned].
const WRAPPERS: [&str; 1] = ["RetryableError"];

/// What Azure said when it refused a request or when an operation failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmFault {
    /// The resource or path that was asked for.
    pub target: String,
    /// Namespace of the provider asked, for example `Microsoft.Network`; empty for groups and subscriptions. The same code
    /// means different things to different providers.
    pub provider: String,
    /// HTTP status; `None` for an operation that failed in its poll, where the status is 200.
    pub status: Option<u16>,
    /// ARM's code; empty if the body had none.
    pub code: String,
    /// ARM's message, or the body's text.
    pub message: String,
    /// Nested details.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<FaultDetail>,
    /// `additionalInfo` as it came; for `RequestDisallowedByPolicy` it names the policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_info: Vec<Value>,
    /// Our `x-ms-correlation-request-id`: what Azure support and the activity log search by.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub correlation: String,
}

/// One nested detail of a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultDetail {
    /// The detail's code.
    pub code: String,
    /// The detail's message.
    pub message: String,
    /// Details of the detail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<FaultDetail>,
}

impl ArmFault {
    /// Reads an error body of any shape.
    #[must_use]
    pub fn read(target: &str, provider: &str, status: Option<u16>, body: &[u8]) -> Self {
        let mut fault = Self {
            target: target.to_owned(),
            provider: provider.to_owned(),
            status,
            code: String::new(),
            message: String::new(),
            details: Vec::new(),
            additional_info: Vec::new(),
            correlation: String::new(),
        };
        match serde_json::from_slice::<Value>(body) {
            Ok(document) => fault.fill(document.get("error").unwrap_or(&document)),
            Err(_) => fault.message = bounded(String::from_utf8_lossy(body).trim()),
        }
        fault
    }

    /// The code that decides: ARM's own, or the first detail's if ARM's is only a wrapper.
    #[must_use]
    pub fn cause(&self) -> &str {
        match self.details.first() {
            Some(detail) if is_wrapper(&self.code) => &detail.code,
            _ => &self.code,
        }
    }

    /// The message that goes with [`ArmFault::cause`].
    #[must_use]
    pub fn cause_message(&self) -> &str {
        match self.details.first() {
            Some(detail) if is_wrapper(&self.code) => &detail.message,
            _ => &self.message,
        }
    }

    /// Names of the policy assignments (or definitions) that disallowed the request, in ARM's order.
    #[must_use]
    pub fn policies(&self) -> Vec<String> {
        let named = |info: &Value| {
            [
                "policyAssignmentDisplayName",
                "policyAssignmentName",
                "policyDefinitionDisplayName",
                "policyDefinitionName",
            ]
            .iter()
            .find_map(|key| info.get(*key).and_then(Value::as_str).filter(|name| !name.is_empty()))
            .map(str::to_owned)
        };
        self.additional_info
            .iter()
            .filter(|entry| entry.get("type").and_then(Value::as_str) == Some("PolicyViolation"))
            .filter_map(|entry| entry.get("info").and_then(named))
            .collect()
    }

    fn fill(&mut self, error: &Value) {
        match error {
            Value::Object(_) => {
                self.code = text(error, "code");
                self.message = text(error, "message");
                self.details = details(error, 0);
                self.additional_info = error
                    .get("additionalInfo")
                    .and_then(Value::as_array)
                    .map_or_else(Vec::new, |list| list.iter().take(MAX_DETAILS).cloned().collect());
            }
            Value::Null => {}
            Value::String(message) => self.message = bounded(message),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => self.message = bounded(&error.to_string()),
        }
    }
}

impl std::fmt::Display for ArmFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            Some(status) => write!(f, "HTTP {status}")?,
            None => write!(f, "operation failed")?,
        }
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.message.is_empty() {
            // Our messages go on after ARM's, so its full stop would stand in the middle.
            write!(f, ": {}", self.message.trim_end_matches('.'))?;
        }
        if self.cause() != self.code {
            write!(f, " ({}: {})", self.cause(), self.cause_message().trim_end_matches('.'))?;
        }
        Ok(())
    }
}

fn is_wrapper(code: &str) -> bool {
    WRAPPERS.iter().any(|wrapper| wrapper.eq_ignore_ascii_case(code))
}

fn details(error: &Value, depth: usize) -> Vec<FaultDetail> {
    let Some(list) = error
        .get("details")
        .and_then(Value::as_array)
        .filter(|_| depth < MAX_DEPTH)
    else {
        return Vec::new();
    };
    list.iter()
        .take(MAX_DETAILS)
        .filter(|detail| detail.is_object())
        .map(|detail| FaultDetail {
            code: text(detail, "code"),
            message: text(detail, "message"),
            details: details(detail, depth + 1),
        })
        .collect()
}

/// Codes and messages are strings, but some gateways send numbers.
fn text(object: &Value, key: &str) -> String {
    match object.get(key) {
        Some(Value::String(text)) => bounded(text),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
