//! Azure Firewall's answer to a flow, from the rule collection groups as read.
//!
//! Order (Azure Firewall rule-processing.md, policy-rule-sets.md): all network rules before all application rules; within a
//! type the parent policy's collections first, then group priority, collection priority, rule order; the first match ends.
//! A rule that may or may not match makes the answer [`Verdict::Unsure`] rather than a guess.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::Value;

use super::matching::{Match, application_match, may_come_from, network_match, sender_ranges};
use super::translation::Untranslated;
use crate::blueprint::Destination;
use crate::config::{Hub, IpProtocol};
use crate::estate::{Estate, FrontendPort, policy_chain, strings, text};

/// The firewall's rules in the order of evaluation.
#[derive(Clone, Debug)]
pub struct Firewall {
    network: Vec<Collection>,
    application: Vec<Collection>,
    dns_proxy: bool,
    untranslated: Untranslated,
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
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    body: Value,
    /// Read once: of the thousands of rules of a large hub all but one cluster's are passed over by their senders alone.
    senders: Option<Vec<(Ipv4Addr, Ipv4Addr)>>,
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
        // The proxy is not inherited from a parent policy (Azure Firewall known issues).
        let own = chain.first().and_then(|id| estate.policy(id));
        let mut firewall = Self {
            network: Vec::new(),
            application: Vec::new(),
            dns_proxy: own.is_some_and(|p| p.dns_proxy()),
            untranslated: own.map_or_else(Untranslated::default, |p| Untranslated::of(&p.untranslated_ranges())),
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
            let concerned = |rule: &&Rule| may_come_from(rule.senders.as_deref(), flow.source);
            for rule in collection.rules.iter().filter(concerned).map(|rule| &rule.body) {
                let mut matched = if is_network {
                    network_match(self.dns_proxy, rule, flow)
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
                    (Match::Yes, false) => {
                        let untranslated = is_network.then(|| self.untranslated.answer(flow.destination)).flatten();
                        let answer = untranslated.unwrap_or_else(|| Verdict::Allowed(label()));
                        return may_deny.map_or(answer, Verdict::Unsure);
                    }
                    (Match::Yes, true) => return may_allow.map_or_else(|| Verdict::Stopped(label()), Verdict::Unsure),
                }
            }
        }
        may_allow.map_or_else(
            || Verdict::Stopped("no rule allows it, and the firewall denies what no rule allows".to_owned()),
            Verdict::Unsure,
        )
    }

    /// Why a network rule stops what a DNAT rule lets through. DNAT brings its own permission, which only an explicit denial
    /// takes back (Azure Firewall FAQ).
    pub(super) fn denies_translated(&self, rule: &Value, target: Ipv4Addr, port: &FrontendPort) -> Option<Verdict> {
        let protocol = match port.protocol.as_str() {
            "TCP" => IpProtocol::Tcp,
            "UDP" => IpProtocol::Udp,
            _ => IpProtocol::Any,
        };
        let destination = Destination::Network {
            target: target.to_string(),
            protocol,
            port: port.port.to_string(),
        };
        let clients = strings(rule, "/sourceAddresses");
        let networks = clients.iter().filter_map(|text| {
            let address = || text.parse::<Ipv4Addr>().map(Ipv4Net::from);
            text.parse::<Ipv4Net>().or_else(|_| address()).ok()
        });
        let denied = networks.filter_map(|source| {
            let flow = Flow {
                source,
                destination: &destination,
            };
            self.denied_by_network_rule(&flow)
        });
        denied.min_by_key(Verdict::rank)
    }

    /// The answer of the network rules alone, if it is a denial.
    fn denied_by_network_rule(&self, flow: &Flow<'_>) -> Option<Verdict> {
        for collection in &self.network {
            for rule in &collection.rules {
                let named = || {
                    format!(
                        "rule {} of {}",
                        text(&rule.body, "/name").unwrap_or_default(),
                        collection.name
                    )
                };
                match (network_match(self.dns_proxy, &rule.body, flow), collection.deny) {
                    (Match::No, _) | (Match::Maybe, false) => {}
                    (Match::Yes, false) => return None,
                    (Match::Yes, true) => return Some(Verdict::Stopped(format!("{} denies it", named()))),
                    (Match::Maybe, true) => return Some(Verdict::Unsure(format!("{} may deny it", named()))),
                }
            }
        }
        None
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
                    .map(|body| Rule {
                        body: body.clone(),
                        senders: sender_ranges(body),
                    })
                    .collect(),
            };
            self.network.push(collection("NetworkRule"));
            self.application.push(collection("ApplicationRule"));
        }
    }
}

fn number(body: &Value, pointer: &str) -> u64 {
    body.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}
