//! Network security groups: whether outbound traffic of a subnet may be stopped before any route is asked.
//!
//! The default rules let all outbound traffic through (virtual-network network-security-groups-overview.md,
//! AllowInternetOutBound); only rules of the group's own can deny it. Those are found and named, and not judged.

use serde_json::Value;

use crate::estate::{Estate, SubnetView, text};

/// Why it cannot be said what the subnet's security group lets out; `None` if it denies nothing.
pub(crate) fn outbound_doubt(estate: &Estate, subnet: &SubnetView<'_>) -> Option<String> {
    let id = subnet.security_group()?;
    let Some(group) = estate.get(&id) else {
        return Some(format!("the security group {id} was not read"));
    };
    denies_outbound(group).then(|| {
        format!(
            "the security group {} has outbound Deny rules, which are not judged",
            id.name()
        )
    })
}

/// True if a rule of the group's own denies outbound traffic.
pub(crate) fn denies_outbound(group: &Value) -> bool {
    let is =
        |rule: &Value, field: &str, wanted: &str| text(rule, field).is_some_and(|t| t.eq_ignore_ascii_case(wanted));
    let rules = group.pointer("/properties/securityRules").and_then(Value::as_array);
    rules
        .into_iter()
        .flatten()
        .any(|rule| is(rule, "/properties/direction", "Outbound") && is(rule, "/properties/access", "Deny"))
}
