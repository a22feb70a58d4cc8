//! Whether one rule covers a flow: sources, protocol, port and destination, each `Yes`, `No` or `Maybe`; the weakest decides.
//!
//! `Maybe` is the answer whenever a rule covers a part of the flow or names what cannot be listed (IP groups, tags, URLs,
//! categories); it is never turned into one of the others here.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::Value;

use super::firewall::Flow;
use crate::blueprint::{Destination, protocol_type};
use crate::config::{ApplicationProtocol, IpProtocol};
use crate::estate::{strings, text};

/// How far a rule covers a flow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Match {
    No,
    Maybe,
    Yes,
}

pub(super) fn network_match(dns_proxy: bool, rule: &Value, flow: &Flow<'_>) -> Match {
    let (target, protocol, port) = match flow.destination {
        Destination::Network { target, protocol, port } => (target.as_str(), *protocol, port.clone()),
        Destination::Name { name, protocol } => (name.as_str(), IpProtocol::Tcp, protocol.port.to_string()),
        Destination::Tag { tag, protocol } => (tag.as_str(), IpProtocol::Tcp, protocol.port.to_string()),
    };
    source_match(rule, flow.source)
        .min(protocol_match(rule, protocol))
        .min(port_match(rule, &port))
        .min(target_match(
            dns_proxy,
            rule,
            target,
            matches!(flow.destination, Destination::Tag { .. }),
        ))
}

/// The addresses a rule's senders have, read once; `None` if it names senders that cannot be listed or read.
pub(super) fn sender_ranges(rule: &Value) -> Option<Vec<(Ipv4Addr, Ipv4Addr)>> {
    if !strings(rule, "/sourceIpGroups").is_empty() {
        return None;
    }
    strings(rule, "/sourceAddresses")
        .into_iter()
        .map(address_range)
        .collect()
}

/// False only if [`source_match`] is `No`, by the ranges of [`sender_ranges`].
pub(super) fn may_come_from(senders: Option<&[(Ipv4Addr, Ipv4Addr)]>, source: Ipv4Net) -> bool {
    let (first, last) = (source.network(), source.broadcast());
    senders.is_none_or(|ranges| ranges.iter().any(|(low, high)| *low <= last && first <= *high))
}

fn target_match(dns_proxy: bool, rule: &Value, target: &str, is_tag: bool) -> Match {
    let names = strings(rule, "/destinationFqdns");
    let by_name = if names.iter().any(|n| n.eq_ignore_ascii_case(target)) {
        // Without the proxy the firewall does not evaluate names in network rules.
        if dns_proxy { Match::Yes } else { Match::No }
    } else if dns_proxy && names.iter().any(|name| is_under(name, target)) {
        Match::Maybe
    } else if names.is_empty() || is_name(target) || is_tag || !dns_proxy {
        // Two names may share an address, but a rule that relies on that is nobody's intent. The names behind an FQDN
        // tag that a cluster cannot do without are demanded one by one.
        Match::No
    } else {
        Match::Maybe
    };
    let groups = if strings(rule, "/destinationIpGroups").is_empty() {
        Match::No
    } else {
        Match::Maybe
    };
    strings(rule, "/destinationAddresses")
        .into_iter()
        .map(|address| address_match(address, target))
        .chain([by_name, groups])
        .max()
        .unwrap_or(Match::No)
}

pub(super) fn application_match(rule: &Value, flow: &Flow<'_>) -> Match {
    let (target, protocol) = match flow.destination {
        Destination::Name { name, protocol } => (name_match(rule, name), *protocol),
        Destination::Tag { tag, protocol } => {
            let named = strings(rule, "/fqdnTags").iter().any(|t| t.eq_ignore_ascii_case(tag));
            let all = strings(rule, "/targetFqdns").contains(&"*");
            (if named || all { Match::Yes } else { unlistable(rule) }, *protocol)
        }
        // Application rules see HTTP, HTTPS and SQL only.
        Destination::Network { .. } => return Match::No,
    };
    source_match(rule, flow.source)
        .min(application_protocol_match(rule, protocol))
        .min(target)
}

fn name_match(rule: &Value, wanted: &str) -> Match {
    let tag = if strings(rule, "/fqdnTags").is_empty() {
        Match::No
    } else {
        Match::Maybe
    };
    strings(rule, "/targetFqdns")
        .into_iter()
        .map(|pattern| pattern_match(pattern, wanted))
        .chain([unlistable(rule), tag])
        .max()
        .unwrap_or(Match::No)
}

/// Targets whose content we cannot list: URLs and web categories.
fn unlistable(rule: &Value) -> Match {
    let some = !strings(rule, "/targetUrls").is_empty() || !strings(rule, "/webCategories").is_empty();
    if some { Match::Maybe } else { Match::No }
}

/// `*` covers all; `*.x` covers `a.x`, `b.a.x` and `*.a.x`, but not `x` (Azure Firewall FAQ).
fn pattern_match(pattern: &str, wanted: &str) -> Match {
    let (pattern, wanted) = (pattern.to_ascii_lowercase(), wanted.to_ascii_lowercase());
    if pattern == "*" || pattern == wanted {
        return Match::Yes;
    }
    let suffix = |wildcard: &str| wildcard.strip_prefix('*').map(str::to_owned);
    if suffix(&pattern).is_some_and(|s| wanted.ends_with(&s) && wanted.len() > s.len()) {
        return Match::Yes;
    }
    if suffix(&wanted).is_some_and(|s| pattern.ends_with(&s)) {
        return Match::Maybe;
    }
    Match::No
}

fn application_protocol_match(rule: &Value, wanted: ApplicationProtocol) -> Match {
    let protocols = rule.get("protocols").and_then(Value::as_array);
    let found = protocols.into_iter().flatten().any(|p| {
        text(p, "/protocolType").is_some_and(|t| t.eq_ignore_ascii_case(protocol_type(wanted.kind)))
            && p.get("port").and_then(Value::as_u64) == Some(u64::from(wanted.port))
    });
    if found { Match::Yes } else { Match::No }
}

fn source_match(rule: &Value, source: Ipv4Net) -> Match {
    let groups = if strings(rule, "/sourceIpGroups").is_empty() {
        Match::No
    } else {
        Match::Maybe
    };
    let source = source.to_string();
    strings(rule, "/sourceAddresses")
        .into_iter()
        .map(|address| address_match(address, &source))
        .chain([groups])
        .max()
        .unwrap_or(Match::No)
}

fn protocol_match(rule: &Value, wanted: IpProtocol) -> Match {
    let protocols = strings(rule, "/ipProtocols");
    let found = protocols
        .iter()
        .any(|p| p.eq_ignore_ascii_case("Any") || p.eq_ignore_ascii_case(&wanted.to_string()));
    match (found, wanted) {
        (true, _) => Match::Yes,
        // Whoever wants every protocol wants the rule's too, and others beside them.
        (false, IpProtocol::Any) if !protocols.is_empty() => Match::Maybe,
        (false, _) => Match::No,
    }
}

fn port_match(rule: &Value, wanted: &str) -> Match {
    let Some((first, last)) = port_range(wanted) else {
        // ICMP has no port; `*` as a wanted port means all of them.
        let all = strings(rule, "/destinationPorts").contains(&"*");
        return if all || wanted.is_empty() {
            Match::Yes
        } else {
            Match::Maybe
        };
    };
    strings(rule, "/destinationPorts")
        .into_iter()
        .map(|port| match port_range(port) {
            None if port == "*" => Match::Yes,
            None => Match::Maybe,
            Some((low, high)) if low <= first && last <= high => Match::Yes,
            Some((low, high)) if high < first || last < low => Match::No,
            Some(_) => Match::Maybe,
        })
        .max()
        .unwrap_or(Match::No)
}

fn port_range(text: &str) -> Option<(u16, u16)> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    Some((low.trim().parse().ok()?, high.trim().parse().ok()?))
}

/// Does an address expression of a rule cover `wanted` (an address, a prefix, a name or a service tag)?
fn address_match(expression: &str, wanted: &str) -> Match {
    if expression == "*" || expression == "0.0.0.0/0" || expression.eq_ignore_ascii_case(wanted) {
        return Match::Yes;
    }
    match (address_range(expression), address_range(wanted)) {
        (Some((low, high)), Some((first, last))) if low <= first && last <= high => Match::Yes,
        (Some((low, high)), Some((first, last))) if high < first || last < low => Match::No,
        (Some((low, _)), None) if low.is_private() => Match::No,
        _ => Match::Maybe,
    }
}

/// The first and last address of an address, prefix or range; `None` for names and tags.
pub(super) fn address_range(text: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    if let Some((low, high)) = text.split_once('-') {
        return Some((low.trim().parse().ok()?, high.trim().parse().ok()?));
    }
    if let Ok(prefix) = text.parse::<Ipv4Net>() {
        return Some((prefix.network(), prefix.broadcast()));
    }
    text.parse::<Ipv4Addr>().ok().map(|a| (a, a))
}

/// True if an address expression of a rule may cover the address; one that cannot be read may.
pub(crate) fn covers(expression: &str, address: Ipv4Addr) -> bool {
    address_match(expression, &address.to_string()) != Match::No
}

fn is_name(text: &str) -> bool {
    address_range(text).is_none() && text.contains('.')
}

/// True if the wildcard `wanted` covers `name`.
fn is_under(name: &str, wanted: &str) -> bool {
    wanted.strip_prefix('*').is_some_and(|suffix| {
        name.to_ascii_lowercase().ends_with(&suffix.to_ascii_lowercase()) && name.len() > suffix.len()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_that_is_passed_over_by_its_senders_matches_nothing() {
        let lists = [
            json!([]),
            json!(["*"]),
            json!(["10.1.0.0/20", "10.9.0.7"]),
            json!(["10.1.8.0-10.1.40.9"]),
            json!(["VirtualNetwork"]),
            json!(["10.2.0.0/16", "AzureCloud"]),
            json!(["10.1.0.9-10.1.0.1"]),
        ];
        let groups = [json!([]), json!(["/subscriptions/s/ipGroups/g"])];
        let mut passed_over = 0;
        for (list, group) in lists.iter().flat_map(|l| groups.iter().map(move |g| (l, g))) {
            let rule = json!({"sourceAddresses": list, "sourceIpGroups": group});
            let senders = sender_ranges(&rule);
            for source in [
                "10.1.0.0/20",
                "10.1.32.0/20",
                "10.0.0.0/8",
                "10.9.0.7/32",
                "192.0.2.0/24",
            ] {
                let source = source.parse().unwrap();
                if !may_come_from(senders.as_deref(), source) {
                    passed_over += 1;
                    assert!(source_match(&rule, source) == Match::No, "{rule} {source}");
                }
            }
        }
        assert!(passed_over > 5, "{passed_over}");
    }
}
