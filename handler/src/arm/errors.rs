//! Everything that can go wrong with an ARM call, one variant per cause, and what helps.
//!
//! A refusal keeps ARM's own words in an [`ArmFault`]; [`ArmError::class`] sorts it into retry, wait, needs a person or bug, so
//! that no caller looks at codes. Absence of a resource is not an error (see [`super::Read`]), and no error means absence.

use std::time::Duration;

use super::codes;
use super::fault::ArmFault;

/// Why an ARM call did not do what was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArmError {
    /// The identity lacks a right (403 `AuthorizationFailed`, `LinkedAuthorizationFailed`).
    #[error(
        "the identity may not do {action} on {scope}; grant a role with this action there, it takes effect within minutes"
    )]
    Forbidden {
        /// The missing action, for example `Microsoft.Network/routeTables/write`.
        action: String,
        /// The scope it is missing on.
        scope: String,
        /// ARM's own words.
        fault: Box<ArmFault>,
    },
    /// The token was not accepted (401).
    #[error("ARM did not accept the token for {}: {fault}; check tenant and audience of the identity", fault.target)]
    Unauthorized {
        /// ARM's own words.
        fault: Box<ArmFault>,
    },
    /// No token could be had.
    #[error("no token for ARM: {reason}; check that the identity exists and is assigned to this app")]
    NoToken {
        /// What the identity library said.
        reason: String,
    },
    /// Somebody else writes here, or what is there differs from what was expected (409, 412).
    #[error("{} is in conflict: {fault}; it is looked at again", fault.target)]
    Conflict {
        /// ARM's own words.
        fault: Box<ArmFault>,
    },
    /// A resource that this one refers to is still being updated (400 `ReferencedResourceNotProvisioned`).
    #[error("{} refers to a resource that is being updated: {fault}; it is tried again when that is done", fault.target)]
    NotProvisioned {
        /// ARM's own words.
        fault: Box<ArmFault>,
    },
    /// Azure asks to wait (429, or 503 with `Retry-After`). The wait is never slept inside a call.
    #[error("Azure asks to wait {} s before {} is asked for again ({fault})", retry_after.as_secs(), fault.target)]
    Throttled {
        /// How long, in Azure seconds.
        retry_after: Duration,
        /// ARM's own words.
        fault: Box<ArmFault>,
    },
    /// ARM refused the request for good (any other 4xx).
    #[error("ARM refuses {}: {fault}{}; put right what it names, then replay the event", fault.target, policy_note(fault))]
    Rejected {
        /// HTTP status.
        status: u16,
        /// ARM's own words.
        fault: Box<ArmFault>,
    },
    /// ARM answered with an error of its own (408, 5xx), also after the short retries.
    #[error("ARM is in trouble over {}: {fault}; it is tried again", fault.target)]
    Unavailable {
        /// HTTP status.
        status: u16,
        /// ARM's own words.
        fault: Box<ArmFault>,
    },
    /// No answer came: connection, TLS, time-out.
    #[error("no answer from ARM for {target}: {reason}{}; check the network way to ARM", unsure_note(*outcome_unknown))]
    Unreachable {
        /// What was asked for.
        target: String,
        /// What the transport said.
        reason: String,
        /// True if a write may have reached Azure nevertheless: read before writing again.
        outcome_unknown: bool,
    },
    /// A write was answered at once with the state `Failed` or `Canceled`.
    #[error("the write of {} failed: {fault}; it is looked at again", fault.target)]
    WriteFailed {
        /// ARM's own words.
        fault: Box<ArmFault>,
    },
    /// The answer is none that ARM's contract knows.
    #[error(
        "the answer of ARM for {target} makes no sense: {reason}; if it stays so, report it with the correlation id {correlation}"
    )]
    Malformed {
        /// What was asked for.
        target: String,
        /// What is wrong with it.
        reason: String,
        /// Our `x-ms-correlation-request-id`.
        correlation: String,
    },
    /// A poll URL or next link that must not be followed, because the token would go along. If a write was answered so, it was
    /// accepted all the same.
    #[error("a URL that came with {target} is not followed: {reason}; read the resource again instead")]
    UntrustedPollUrl {
        /// What was asked for.
        target: String,
        /// Why it is not trusted; never the query, which may be signed.
        reason: String,
    },
    /// A list did not end.
    #[error("the list {target} has more than {pages} pages; narrow its scope")]
    TooManyPages {
        /// The list.
        target: String,
        /// The bound.
        pages: usize,
    },
    /// The request cannot be made from what was given.
    #[error("no request can be made for {target}: {reason}; this is a bug or an id from a hostile source")]
    Unsendable {
        /// What was asked for.
        target: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What helps against an error. Durations are Azure seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// Look again and try again; the same request may well succeed.
    Retry {
        /// The pause before that.
        after: Duration,
    },
    /// Something else must end first.
    Wait {
        /// When to look again.
        after: Duration,
        /// What is waited for, in words.
        reason: &'static str,
    },
    /// No repetition helps: a right, a lock, a policy, a quota, a choice.
    NeedsPerson,
    /// We asked for something that can never be right.
    Bug,
}

impl ArmError {
    /// Sorts the error by what helps, from the table of codes and else by status.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Forbidden { .. } => Class::NeedsPerson,
            Self::Throttled { retry_after, .. } => Class::Wait {
                after: *retry_after,
                reason: "Azure is throttling this subscription",
            },
            Self::Unauthorized { fault }
            | Self::Conflict { fault }
            | Self::NotProvisioned { fault }
            | Self::Rejected { fault, .. }
            | Self::Unavailable { fault, .. }
            | Self::WriteFailed { fault } => fault.class(),
            Self::NoToken { .. } | Self::Unreachable { .. } => retry(60),
            Self::UntrustedPollUrl { .. } | Self::Malformed { .. } => retry(60),
            Self::TooManyPages { .. } => Class::NeedsPerson,
            Self::Unsendable { .. } => Class::Bug,
        }
    }

    /// ARM's own words, if it said any.
    #[must_use]
    pub fn fault(&self) -> Option<&ArmFault> {
        match self {
            Self::Forbidden { fault, .. }
            | Self::Unauthorized { fault }
            | Self::Conflict { fault }
            | Self::NotProvisioned { fault }
            | Self::Throttled { fault, .. }
            | Self::Rejected { fault, .. }
            | Self::Unavailable { fault, .. }
            | Self::WriteFailed { fault } => Some(fault),
            Self::NoToken { .. }
            | Self::Unreachable { .. }
            | Self::Malformed { .. }
            | Self::UntrustedPollUrl { .. }
            | Self::TooManyPages { .. }
            | Self::Unsendable { .. } => None,
        }
    }

    /// True if Azure could not be reached at all: the case in which a command ends with exit code 3.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::NoToken { .. } | Self::Unavailable { .. }
        )
    }

    /// The error that a refusing answer means.
    ///
    /// `attempted` is the action that was tried, for a 403 whose text names none. `retry_after` is what the headers ask for;
    /// with 503 it makes the difference between trouble and throttling.
    pub(super) fn from_refusal(fault: ArmFault, attempted: &str, retry_after: Option<Duration>) -> Self {
        let status = fault.status.unwrap_or_default();
        let fault = Box::new(fault);
        if fault.cause().eq_ignore_ascii_case("ReferencedResourceNotProvisioned") {
            return Self::NotProvisioned { fault };
        }
        match (status, retry_after) {
            (401, _) => Self::Unauthorized { fault },
            (403, _) if is_authorization(fault.cause()) => {
                let (action, scope) = missing_right(fault.cause_message()).unwrap_or((attempted, &fault.target));
                Self::Forbidden {
                    action: action.to_owned(),
                    scope: scope.to_owned(),
                    fault,
                }
            }
            (429, asked) => Self::Throttled {
                retry_after: asked.unwrap_or(super::throttle::DEFAULT_PAUSE),
                fault,
            },
            (503, Some(retry_after)) => Self::Throttled { retry_after, fault },
            (409 | 412, _) => Self::Conflict { fault },
            (408 | 500..=599, _) => Self::Unavailable { status, fault },
            _ => Self::Rejected { status, fault },
        }
    }
}

impl ArmFault {
    /// Sorts a fault by what helps, from the table of codes and else by status.
    #[must_use]
    pub fn class(&self) -> Class {
        codes::judge(self)
    }
}

fn retry(seconds: u64) -> Class {
    Class::Retry {
        after: Duration::from_secs(seconds),
    }
}

/// `AuthorizationFailed`, `LinkedAuthorizationFailed`, and a 403 without a body.
fn is_authorization(code: &str) -> bool {
    code.is_empty() || code.to_ascii_lowercase().ends_with("authorizationfailed")
}

/// Action and scope out of ARM's text.
///
/// `... does not have authorization to perform action 'A' over scope 'S' ...` [recorded: fluent-net Monitor];
/// `... has permission to perform action 'X' on scope 'Y'; however, it does not have permission to perform action(s) 'A' on the
/// linked scope(s) 'S' ...` [documented]: what follows "does not have" is what is missing.
fn missing_right(message: &str) -> Option<(&str, &str)> {
    let (_, missing) = message.split_once("does not have")?;
    let (_, from_action) = missing.split_once("action")?;
    let (action, rest) = quoted(from_action)?;
    let (_, from_scope) = rest.split_once("scope")?;
    let (scope, _) = quoted(from_scope)?;
    Some((action, scope))
}

/// The first text in single quotes, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let (_, opened) = text.split_once('\'')?;
    opened.split_once('\'').filter(|(inner, _)| !inner.is_empty())
}

fn policy_note(fault: &ArmFault) -> String {
    let policies = fault.policies();
    if policies.is_empty() {
        return String::new();
    }
    format!("; the policies are: {}", policies.join(", "))
}

fn unsure_note(outcome_unknown: bool) -> &'static str {
    if outcome_unknown {
        " (it may have been carried out all the same)"
    } else {
        ""
    }
}
