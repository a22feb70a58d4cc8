//! Azure Firewall's answer to a flow, from the rule collection groups as read.
//!
//! Order (Azure Firewall rule-processing.md, policy-rule-sets.md): all network rules before all application rules; within a
//! type the parent policy's collections first, then group priority, collection priority, rule order; the first match ends.
//! A rule that may or may not match makes the answer [`Verdict::Unsure`] rather than a guess.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::Value;

use crate::blueprint::{Destination, protocol_type};
use crate::config::{ApplicationProtocol, Hub, IpProtocol};
use crate::estate::{Estate, policy_chain, strings, text};

/// The firewall's rules in the order of evaluation.
#[derive(Clone, Debug)]
pub struct Firewall {
    network: Vec<Collection>,
    application: Vec<Collection>,
    dns_proxy: bool,
    /// Why no answer is sure: groups that the policy names and that were not read, or that are being updated. Azure shows
    /// the wanted rules of a group before they are in force, and no longer shows those that still are.
    doubts: Vec<String>,
}

/// Where a flow comes from and goes to.
#[derive(Clone, Debug)]
pub struct Flow<'a> {
    /// The senders; the answer is for all of them.
    pub source: Ipv4Net,
    /// Where to.
    pub destination: &'a Destination,
}

/// The firewall's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let through by this rule.
    Allowed(String),
    /// It cannot be said, and why.
    Unsure(String),
    /// Stopped by this rule, or by the lack of one.
    Stopped(String),
}

#[derive(Clone, Debug)]
struct Collection {
    order: (usize, u64, u64),
    group: String,
    name: String,
    deny: bool,
    /// False if the action is neither `Allow` nor `Deny`.
    readable: bool,
    rules: Vec<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    No,
    Maybe,
    Yes,
}

impl Verdict {
    /// 0 stopped, 1 unsure, 2 allowed: a change must not lower it.
    #[must_use]
    pub fn rank(&self) -> u8 {
        match self {
            Self::Stopped(_) => 0,
            Self::Unsure(_) => 1,
            Self::Allowed(_) => 2,
        }
    }
}

impl Firewall {
    /// Reads the rules of the hub's policy and its parents.
    #[must_use]
    pub fn read(estate: &Estate, hub: &Hub) -> Self {
        let chain = policy_chain(estate, hub);
        let mut firewall = Self {
            network: Vec::new(),
            application: Vec::new(),
            dns_proxy: chain
                .first()
                .and_then(|id| estate.policy(id))
                .is_some_and(|p| p.dns_proxy()),
            doubts: Vec::new(),
        };
        // The chain starts with the child; the root's collections are evaluated first.
        for (level, policy_id) in chain.iter().rev().enumerate() {
            let Some(policy) = estate.policy(policy_id) else {
                firewall.doubts.push(format!("{policy_id} was not read"));
                continue;
            };
            let mut groups = policy.rule_collection_groups();
            // A group that a hypothetical step makes is not yet in the policy's list.
            groups.extend(
                estate
                    .iter()
                    .map(|(id, _)| id)
                    .filter(|id| id.parent().as_ref() == Some(policy_id))
                    .cloned(),
            );
            groups.sort();
            groups.dedup();
            for id in groups {
                match estate.get(&id) {
                    Some(group) => firewall.add_group(level, id.name(), group),
                    None if estate.is_absent(&id) => {}
                    None => firewall.doubts.push(format!("{id} was not read")),
                }
            }
        }
        firewall.network.sort_by_key(|c| c.order);
        firewall.application.sort_by_key(|c| c.order);
        firewall
    }

    /// What the firewall does with a flow.
    #[must_use]
    pub fn answer(&self, flow: &Flow<'_>) -> Verdict {
        if let Some(doubt) = self.doubts.first() {
            return Verdict::Unsure(doubt.clone());
        }
        // A rule that may match spoils only the opposite answer.
        let (mut may_allow, mut may_deny) = (None, None);
        let network = self.network.iter().map(|c| (c, true));
        let application = self.application.iter().map(|c| (c, false));
        for (collection, is_network) in network.chain(application) {
            for rule in &collection.rules {
                let mut matched = if is_network {
                    self.network_match(rule, flow)
                } else {
                    application_match(rule, flow)
                };
                if !collection.readable && matched == Match::Yes {
                    matched = Match::Maybe;
                }
                let label = || {
                    format!(
                        "rule {} of {}/{}",
                        text(rule, "/name").unwrap_or("(without name)"),
                        collection.group,
                        collection.name
                    )
                };
                match (matched, collection.deny) {
                    (Match::No, _) => {}
                    (Match::Maybe, false) => may_allow = may_allow.or_else(|| Some(format!("{} may allow", label()))),
                    (Match::Maybe, true) => may_deny = may_deny.or_else(|| Some(format!("{} may deny", label()))),
                    (Match::Yes, false) => return may_deny.map_or_else(|| Verdict::Allowed(label()), Verdict::Unsure),
                    (Match::Yes, true) => return may_allow.map_or_else(|| Verdict::Stopped(label()), Verdict::Unsure),
                }
            }
        }
        may_allow.map_or_else(
            || Verdict::Stopped("no rule allows it, and the firewall denies what no rule allows".to_owned()),
            Verdict::Unsure,
        )
    }

    fn add_group(&mut self, level: usize, group_name: &str, group: &Value) {
        let group_priority = number(group, "/properties/priority");
        let state = text(group, "/properties/provisioningState").unwrap_or("unknown");
        if !state.eq_ignore_ascii_case("Succeeded") {
            self.doubts.push(format!(
                "the rules of {group_name} are not known to be in force (state {state})"
            ));
        }
        let collections = group.pointer("/properties/ruleCollections").and_then(Value::as_array);
        for body in collections.into_iter().flatten() {
            let rules = body.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
            let action = text(body, "/action/type").unwrap_or_default().to_ascii_lowercase();
            let collection = |kind: &str| Collection {
                // A missing priority sorts first, as the lowest number would.
                order: (level, group_priority, number(body, "/priority")),
                group: group_name.to_owned(),
                name: text(body, "/name").unwrap_or_default().to_owned(),
                deny: action == "deny",
                readable: action == "deny" || action == "allow",
                rules: rules
                    .iter()
                    .filter(|r| text(r, "/ruleType").is_some_and(|t| t.eq_ignore_ascii_case(kind)))
                    .cloned()
                    .collect(),
            };
            self.network.push(collection("NetworkRule"));
            self.application.push(collection("ApplicationRule"));
        }
    }

    fn network_match(&self, rule: &Value, flow: &Flow<'_>) -> Match {
        let (target, protocol, port) = match flow.destination {
            Destination::Network { target, protocol, port } => (target.as_str(), *protocol, port.clone()),
            Destination::Name { name, protocol } => (name.as_str(), IpProtocol::Tcp, protocol.port.to_string()),
            Destination::Tag { tag, protocol } => (tag.as_str(), IpProtocol::Tcp, protocol.port.to_string()),
        };
        source_match(rule, flow.source)
            .min(protocol_match(rule, protocol))
            .min(port_match(rule, &port))
            .min(self.target_match(rule, target, matches!(flow.destination, Destination::Tag { .. })))
    }

    fn target_match(&self, rule: &Value, target: &str, is_tag: bool) -> Match {
        let names = strings(rule, "/destinationFqdns");
        let by_name = if names.iter().any(|n| n.eq_ignore_ascii_case(target)) {
            // Without the proxy the firewall does not evaluate names in network rules.
            if self.dns_proxy { Match::Yes } else { Match::No }
        } else if self.dns_proxy && names.iter().any(|name| is_under(name, target)) {
            Match::Maybe
        } else if names.is_empty() || is_name(target) || is_tag || !self.dns_proxy {
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
}

fn application_match(rule: &Value, flow: &Flow<'_>) -> Match {
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

fn is_name(text: &str) -> bool {
    address_range(text).is_none() && text.contains('.')
}

/// True if the wildcard `wanted` covers `name`.
fn is_under(name: &str, wanted: &str) -> bool {
    wanted.strip_prefix('*').is_some_and(|suffix| {
        name.to_ascii_lowercase().ends_with(&suffix.to_ascii_lowercase()) && name.len() > suffix.len()
    })
}

fn number(body: &Value, pointer: &str) -> u64 {
    body.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}
