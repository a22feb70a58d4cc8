//! DNAT rules of a rule collection group: what Azure refuses in one. Whether the destination belongs to a firewall is not
//! asked, because a policy may have no firewall yet, and neither are two rules for one destination refused: the first wins.

use crate::arm::errors::ArmError;
use crate::ids::ArmPath;
use crate::store::{array, text};
use serde_json::Value;
use std::net::Ipv4Addr;

/// Refuses what Azure refuses.
pub(crate) fn judge(path: &ArmPath, collection: &str, rule: &Value) -> Result<(), ArmError> {
    refuse_ports(collection, rule)?;
    refuse_protocols(path, collection, rule)?;
    refuse_destinations(path, collection, rule)?;
    refuse_translation(path, collection, rule)
}

/// DNAT ports end at 63999 [azure-domain 3.3]; code and text from azure-rest-api-specs#11831. More than one port is refused
/// in the words of terraform-provider-azurerm#18766.
fn refuse_ports(collection: &str, rule: &Value) -> Result<(), ArmError> {
    let name = text(rule, &["name"]).unwrap_or_default();
    let ports = array(rule, &["destinationPorts"]);
    for port in ports.iter().filter_map(Value::as_str) {
        let mut ends = port.split('-').map(str::parse::<u32>);
        if !ends.all(|end| matches!(end, Ok(1..=63_999))) {
            return Err(ArmError::service(
                400,
                "FirewallPolicyRuleConditionInvalidPortOrRangeFormat",
                format!(
                    "Firewall Policy Rule Condition {collection}_{name}: Invalid port value or range. User ports must be in [1, 63999]"
                ),
            ));
        }
    }
    if ports.len() > 1 {
        return Err(ArmError::service(
            400,
            "FirewallPolicyNatRuleInvalidDnatMultipleDestinationPortsExists",
            format!(
                "Firewall Policy Nat Rule Collection: {collection} Rule: {name} has Multiple Destination Ports on a DNAT \
                 Rule. This is not supported, please set only 1 destination port on this rule."
            ),
        ));
    }
    Ok(())
}

/// TCP and UDP only [azure-domain 3.3].
fn refuse_protocols(path: &ArmPath, collection: &str, rule: &Value) -> Result<(), ArmError> {
    let protocols = array(rule, &["ipProtocols"]);
    let known = |word: &Value| matches!(word.as_str(), Some("TCP" | "UDP"));
    if !protocols.is_empty() && protocols.iter().all(known) {
        return Ok(());
    }
    Err(invalid(path, collection, rule, "ipProtocols must be TCP or UDP"))
}

/// One destination, an address [azure-domain 3.3].
fn refuse_destinations(path: &ArmPath, collection: &str, rule: &Value) -> Result<(), ArmError> {
    match array(rule, &["destinationAddresses"]) {
        [one] if is_address(one) => Ok(()),
        _ => Err(invalid(
            path,
            collection,
            rule,
            "destinationAddresses must hold exactly one IPv4 address",
        )),
    }
}

/// A target, by address or by name, and its port [azure-domain 3.3].
fn refuse_translation(path: &ArmPath, collection: &str, rule: &Value) -> Result<(), ArmError> {
    let given = |field: &str| {
        rule.get(field)
            .filter(|value| value.as_str().is_some_and(|text| !text.is_empty()))
    };
    match (given("translatedAddress"), given("translatedFqdn")) {
        (Some(address), None) if is_address(address) => {}
        (None, Some(_)) => {}
        (Some(_), None | Some(_)) | (None, None) => {
            let what = "either translatedAddress, an IPv4 address, or translatedFqdn must be set";
            return Err(invalid(path, collection, rule, what));
        }
    }
    let port = given("translatedPort").and_then(Value::as_str).map(str::parse::<u16>);
    match port {
        Some(Ok(1..)) => Ok(()),
        Some(_) | None => Err(invalid(path, collection, rule, "translatedPort must be a port")),
    }
}

fn is_address(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<Ipv4Addr>().is_ok())
}

/// Neither code nor text was captured [?].
fn invalid(path: &ArmPath, collection: &str, rule: &Value, what: &str) -> ArmError {
    let name = text(rule, &["name"]).unwrap_or_default();
    ArmError::service(
        400,
        "FirewallPolicyNatRuleInvalid",
        format!("Firewall Policy Nat Rule Collection: {collection} Rule: {name} of {path} is invalid: {what}."),
    )
}
