//! ARM's error codes as data: what each of them means for the work at hand, and where that is known from.
//!
//! The table decides nothing by message text; a code that is not in it is judged by its HTTP status. A code may be bound to one
//! provider, because `OperationNotAllowed` is a busy cluster for AKS and an exhausted quota for Compute.

use std::time::Duration;

use super::errors::Class;
use super::fault::ArmFault;

/// What the class of a fault is: the table's word, or the status' default.
pub fn judge(fault: &ArmFault) -> Class {
    let code = fault.cause();
    let rule = RULES.iter().find(|rule| {
        rule.code.eq_ignore_ascii_case(code)
            && (rule.provider.is_empty() || rule.provider.eq_ignore_ascii_case(&fault.provider))
    });
    match rule {
        Some(rule) => rule.verdict.class(),
        None => by_status(fault.status),
    }
}

struct Rule {
    /// Empty = any provider. Rules bound to a provider stand before the general one of the same code.
    provider: &'static str,
    code: &'static str,
    verdict: Verdict,
    /// Where the meaning is known from; read by people (and by the test that no row lacks one).
    #[cfg_attr(not(test), allow(dead_code))]
    source: &'static str,
}

enum Verdict {
    Retry(u64),
    Wait(u64, &'static str),
    NeedsPerson,
    Bug,
}

impl Verdict {
    fn class(&self) -> Class {
        match *self {
            Self::Retry(seconds) => Class::Retry {
                after: Duration::from_secs(seconds),
            },
            Self::Wait(seconds, reason) => Class::Wait {
                after: Duration::from_secs(seconds),
                reason,
            },
            Self::NeedsPerson => Class::NeedsPerson,
            Self::Bug => Class::Bug,
        }
    }
}

/// A failed operation has no status: Azure gave it up, and trying it again is the first thing that helps.
fn by_status(status: Option<u16>) -> Class {
    match status {
        None => Verdict::Retry(60),
        Some(408 | 500..=599) => Verdict::Retry(20),
        Some(401) => Verdict::Retry(60),
        Some(409) => Verdict::Retry(60),
        Some(412) => Verdict::Retry(5),
        Some(429) => Verdict::Wait(10, "Azure is throttling this subscription"),
        Some(_) => Verdict::NeedsPerson,
    }
    .class()
}

const NETWORK: &str = "Microsoft.Network";
const AKS: &str = "Microsoft.ContainerService";

/// Every code we know. Waits are Azure seconds, taken from the latencies of what is waited for.
const RULES: &[Rule] = &[
    // Something else is being written; it ends by itself.
    rule(
        "",
        "AnotherOperationInProgress",
        Verdict::Wait(15, "another operation on this or a dependent resource is running"),
        "409 [recorded: azure-mgmt-network 16 firewall]",
    ),
    rule(
        "",
        "ReferencedResourceNotProvisioned",
        Verdict::Wait(10, "a resource this one refers to is being updated"),
        "400 [issue: terraform 7986, azuresandbox 329]",
    ),
    rule(
        NETWORK,
        "FirewallPolicyUpdateNotAllowedWhenUpdatingOrDeleting",
        Verdict::Wait(60, "the firewall policy is being updated"),
        "409 [issue: azurerm 15440]",
    ),
    rule(
        AKS,
        "OperationNotAllowed",
        Verdict::Wait(30, "another operation on this cluster is running"),
        "409 [issue: azure-workload-identity 417]",
    ),
    rule(
        "",
        "PrincipalNotFound",
        Verdict::Wait(30, "the identity is not known to the directory yet"),
        "400 for 6 to 269 s after creation, median 48 [recorded: fluent-net Msi]",
    ),
    rule(
        "",
        "SubscriptionRequestsThrottled",
        Verdict::Wait(10, "Azure is throttling this subscription"),
        "429 [documented: request-limits-and-throttling]",
    ),
    rule(
        "",
        "TooManyRequests",
        Verdict::Wait(10, "Azure is throttling this subscription"),
        "429 [documented: request-limits-and-throttling]",
    ),
    rule(
        NETWORK,
        "InUseRouteTableCannotBeDeleted",
        Verdict::Wait(15, "Azure still lists a subnet of this route table"),
        "400; the list lags behind a detach [issue: azurerm]",
    ),
    // The estate is not what the plan was made from: look again.
    rule(
        "",
        "RoleAssignmentExists",
        Verdict::Retry(5),
        "409; the same right under another name [recorded: fluent-net]",
    ),
    rule("", "ResourceNotFound", Verdict::Retry(5), "404 [recorded]"),
    rule("", "ResourceGroupNotFound", Verdict::Retry(5), "404 [recorded]"),
    rule("", "ParentResourceNotFound", Verdict::Retry(5), "404 [recorded]"),
    rule(
        "",
        "NotFound",
        Verdict::Retry(5),
        "404, child of a Network resource [recorded]",
    ),
    rule(
        "",
        "PreconditionFailed",
        Verdict::Retry(5),
        "412 [recorded: fluent-net PrivateDns]",
    ),
    rule(
        "",
        "InvalidResourceReference",
        Verdict::Retry(15),
        "400; a resource it refers to is missing [documented]",
    ),
    rule(
        "",
        "ExpiredAuthenticationToken",
        Verdict::Retry(5),
        "401 [documented: common deployment errors]",
    ),
    // Azure's own trouble.
    rule(
        NETWORK,
        "GwmOperationTimeOut",
        Verdict::Retry(60),
        "failed poll [recorded: azure-mgmt-network 16 virtual network]",
    ),
    rule(
        NETWORK,
        "FirewallPolicyUpdateFailed",
        Verdict::Retry(120),
        "failed poll; the firewall refused the policy [issue: azurerm 19843]",
    ),
    rule(
        NETWORK,
        "IpGroupsUpdateFailed",
        Verdict::Retry(120),
        "failed poll [issue: azurerm 19843]",
    ),
    rule("", "InternalServerError", Verdict::Retry(20), "500 [documented]"),
    rule("", "ServerTimeout", Verdict::Retry(20), "503 [documented]"),
    rule("", "GatewayTimeout", Verdict::Retry(20), "504 [documented]"),
    rule(
        "",
        "RetryableError",
        Verdict::Retry(10),
        "429 without a detail [issue: azurerm 2605]",
    ),
    // Only a person can change this.
    rule(
        "",
        "AuthorizationFailed",
        Verdict::NeedsPerson,
        "403 [recorded: fluent-net Monitor]",
    ),
    rule(
        "",
        "LinkedAuthorizationFailed",
        Verdict::NeedsPerson,
        "403 [documented: troubleshoot linked authorization]",
    ),
    rule(
        "",
        "RequestDisallowedByPolicy",
        Verdict::NeedsPerson,
        "403 [documented: Azure Policy]",
    ),
    rule("", "ScopeLocked", Verdict::NeedsPerson, "409 [issue: resource locks]"),
    rule(
        "",
        "SubscriptionNotFound",
        Verdict::NeedsPerson,
        "404; also what a missing right looks like [documented]",
    ),
    rule(
        "",
        "InvalidAuthenticationTokenTenant",
        Verdict::NeedsPerson,
        "401; the identity is of another tenant [documented]",
    ),
    rule(
        NETWORK,
        "RemotePeeringIsDisconnected",
        Verdict::NeedsPerson,
        "400; somebody deleted one side [issue: terraform 18091]",
    ),
    rule(
        NETWORK,
        "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet",
        Verdict::NeedsPerson,
        "400 or failed poll [issue: AzureTRE 4641]",
    ),
    rule(
        NETWORK,
        "PublicIPCountLimitReached",
        Verdict::NeedsPerson,
        "400 [documented]",
    ),
    rule(
        NETWORK,
        "InUseSubnetCannotBeDeleted",
        Verdict::Bug,
        "400; we never delete a subnet, a PUT of ours left one out [issue: azurerm 334]",
    ),
    rule(
        NETWORK,
        "PublicIPAddressCannotBeDeleted",
        Verdict::Wait(30, "the address is still attached"),
        "400 [issue: ernest 514]",
    ),
    rule(
        "",
        "RoleAssignmentUpdateNotPermitted",
        Verdict::NeedsPerson,
        "400 or 409; the identity was made anew [issue: Enterprise-Scale 1747]",
    ),
    rule(
        "",
        "RoleDefinitionDoesNotExist",
        Verdict::NeedsPerson,
        "404; the configured role [recorded: azure-mgmt-authorization 2]",
    ),
    // We sent something that no estate could make right.
    rule("", "InvalidRequestContent", Verdict::Bug, "400 [documented]"),
    rule("", "InvalidRequestFormat", Verdict::Bug, "400 [documented]"),
    rule("", "InvalidJson", Verdict::Bug, "400 [documented]"),
    rule("", "InvalidApiVersionParameter", Verdict::Bug, "400 [documented]"),
    rule("", "MissingApiVersionParameter", Verdict::Bug, "400 [documented]"),
    rule("", "NoRegisteredProviderFound", Verdict::Bug, "400 [documented]"),
    rule("", "InvalidResourceType", Verdict::Bug, "404 [documented]"),
];

const fn rule(provider: &'static str, code: &'static str, verdict: Verdict, source: &'static str) -> Rule {
    Rule {
        provider,
        code,
        verdict,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(provider: &str, status: Option<u16>, code: &str) -> ArmFault {
        ArmFault::read(
            "/x",
            provider,
            status,
            format!(r#"{{"error":{{"code":"{code}"}}}}"#).as_bytes(),
        )
    }

    #[test]
    fn every_code_has_a_source_and_stands_once_per_provider() {
        let mut seen = std::collections::BTreeSet::new();
        for rule in RULES {
            assert!(!rule.source.is_empty(), "{} has no source", rule.code);
            assert!(seen.insert((rule.provider, rule.code)), "{} stands twice", rule.code);
        }
    }

    #[test]
    fn the_same_code_of_another_provider_is_judged_differently() {
        let busy = judge(&fault("microsoft.containerservice", Some(409), "OperationNotAllowed"));
        assert!(matches!(busy, Class::Wait { .. }), "{busy:?}");
        let other = judge(&fault("Microsoft.Compute", Some(400), "OperationNotAllowed"));
        assert_eq!(other, Class::NeedsPerson);
    }

    #[test]
    fn a_wrapped_code_decides_instead_of_its_wrapper() {
        let body = br#"{"error":{"code":"RetryableError","message":"A retryable error occured.","details":[
            {"code":"ReferencedResourceNotProvisioned","message":"Cannot proceed"}]}}"#;
        let fault = ArmFault::read("/x", NETWORK, Some(429), body);
        assert!(matches!(judge(&fault), Class::Wait { reason, .. } if reason.contains("refers to")));
    }

    #[test]
    fn an_unknown_code_is_judged_by_its_status() {
        assert!(matches!(judge(&fault(NETWORK, Some(503), "Odd")), Class::Retry { .. }));
        assert!(matches!(judge(&fault(NETWORK, Some(409), "Odd")), Class::Retry { .. }));
        assert_eq!(judge(&fault(NETWORK, Some(400), "Odd")), Class::NeedsPerson);
    }
}
