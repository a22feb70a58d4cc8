//! Network security groups: whether they may stop traffic of a subnet.
//!
//! The default rules let all outbound traffic through (virtual-network network-security-groups-overview.md,
//! AllowInternetOutBound); only rules of the group's own can deny it. Those are found and named, and not judged. Inbound the
//! defaults let private networks in and the internet not, so there the rules are asked one by one.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::Verdict;
use super::matching::address_range;
use crate::estate::{Estate, FrontendPort, SubnetView, strings, text};
use crate::ids::ResourceId;

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
    let rules = group.pointer("/properties/securityRules").and_then(Value::as_array);
    rules
        .into_iter()
        .flatten()
        .any(|rule| is(rule, "/properties/direction", "Outbound") && is(rule, "/properties/access", "Deny"))
}

/// What the security group of a subnet does with packets from `source` to a port of a load balancer. By its defaults it lets in
/// what comes from the network and its peers, and denies what comes from the internet.
pub(super) fn inbound_verdict(
    estate: &Estate,
    subnet: &ResourceId,
    source: Ipv4Addr,
    from_internet: bool,
    port: &FrontendPort,
) -> Verdict {
    let Some(id) = estate.subnet(subnet).and_then(|s| s.security_group()) else {
        return Verdict::Allowed("no security group".to_owned());
    };
    let Some(group) = estate.get(&id) else {
        return Verdict::Unsure(format!("the security group {id} was not read"));
    };
    let rules = group.pointer("/properties/securityRules").and_then(Value::as_array);
    let mut inbound: Vec<&Value> = rules
        .into_iter()
        .flatten()
        .filter(|rule| is(rule, "/properties/direction", "Inbound"))
        .collect();
    inbound.sort_by_key(|rule| rule.pointer("/properties/priority").and_then(Value::as_u64));
    for rule in inbound {
        let name = text(rule, "/name").unwrap_or("(without name)");
        let label = format!("rule {name} of the security group {}", id.name());
        let allows = is(rule, "/properties/access", "Allow");
        match (met(rule, source, from_internet, port), allows) {
            (Some(false), _) => {}
            (Some(true), true) => return Verdict::Allowed(label),
            (Some(true), false) => return Verdict::Stopped(format!("{label} denies {source}")),
            (None, _) => return Verdict::Unsure(format!("{label} may or may not concern {source}")),
        }
    }
    if from_internet {
        return Verdict::Stopped(format!(
            "the security group {} lets nobody on the internet in, and {source} is there",
            id.name()
        ));
    }
    Verdict::Allowed("AllowVnetInBound".to_owned())
}

/// Whether an inbound rule takes the packet; `None` if that cannot be said.
fn met(rule: &Value, source: Ipv4Addr, from_internet: bool, port: &FrontendPort) -> Option<bool> {
    let protocol = text(rule, "/properties/protocol").unwrap_or("*");
    let all = port.protocol == "ALL";
    if protocol != "*" && !all && !protocol.eq_ignore_ascii_case(&port.protocol) {
        return Some(false);
    }
    let senders = both(rule, "sourceAddressPrefix", "sourceAddressPrefixes");
    let ports = both(rule, "destinationPortRange", "destinationPortRanges");
    let targets = both(rule, "destinationAddressPrefix", "destinationAddressPrefixes");
    let from = any(&senders, |text| from_sender(text, source, from_internet));
    let to = any(&ports, |text| to_port(text, port.port));
    // What the load balancer's address has become by then is not known.
    let at = any(&targets, |text| (text == "*" || text == "0.0.0.0/0").then_some(true));
    match (from, to, at) {
        (Some(false), _, _) | (_, Some(false), _) => Some(false),
        (Some(true), Some(true), Some(true)) if protocol == "*" || !all => Some(true),
        _ => None,
    }
}

fn from_sender(text: &str, source: Ipv4Addr, from_internet: bool) -> Option<bool> {
    if text == "*" {
        return Some(true);
    }
    if text.eq_ignore_ascii_case("Internet") {
        return Some(from_internet);
    }
    if text.eq_ignore_ascii_case("VirtualNetwork") {
        return Some(!from_internet);
    }
    if text.eq_ignore_ascii_case("AzureLoadBalancer") {
        return Some(false);
    }
    let (low, high) = address_range(text)?;
    Some(low <= source && source <= high)
}

fn to_port(text: &str, port: u16) -> Option<bool> {
    if text == "*" {
        return Some(true);
    }
    if port == 0 {
        return None;
    }
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high): (u16, u16) = (low.parse().ok()?, high.parse().ok()?);
    Some(low <= port && port <= high)
}

/// True if one of the texts is met for certain, `None` if one may be and none is.
fn any(texts: &[&str], met: impl Fn(&str) -> Option<bool>) -> Option<bool> {
    let answers: Vec<Option<bool>> = texts.iter().map(|text| met(text)).collect();
    if answers.contains(&Some(true)) {
        return Some(true);
    }
    if answers.contains(&None) { None } else { Some(false) }
}

fn both<'a>(rule: &'a Value, one: &str, many: &str) -> Vec<&'a str> {
    let mut all = strings(rule, &format!("/properties/{many}"));
    all.extend(text(rule, &format!("/properties/{one}")));
    all
}

fn is(rule: &Value, field: &str, wanted: &str) -> bool {
    text(rule, field).is_some_and(|t| t.eq_ignore_ascii_case(wanted))
}
