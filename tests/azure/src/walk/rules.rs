//! Firewall policy rules in the order Azure processes them: network before application, within a type parents before
//! children, then groups by priority, collections by priority, rules top down; the first match ends it; what matches
//! nothing is denied. Threat intelligence, IDPS, web categories and TLS inspection are not simulated.

use serde_json::Value;

use super::addresses::covers_port;
use super::firewall::Firewall;
use super::tags::{fqdn_matches, fqdn_tag_holds};
use super::view::{flag, id, is_below, items, name, number, text, texts};
use super::{Flow, Lost, Protocol, Walker};

/// Names the firewall lets through unless a rule denies them: disk status of the platform's own storage
/// ("infrastructure FQDNs" of Azure Firewall).
const INFRASTRUCTURE: [&str; 1] = ["*.blob.storage.azure.net"];

/// Which kind of rule let a packet through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A network rule: the packet goes on to its destination address.
    Network,
    /// An application rule: the firewall connects by itself to the name.
    Application {
        /// The server name the rule matched.
        name: String,
    },
}

/// A rule collection in its place.
pub(super) struct Collection {
    document: Value,
    group: String,
}

impl Collection {
    /// `collection C of group G`.
    fn text(&self) -> String {
        format!("collection {} of group {}", name(&self.document), self.group)
    }

    fn allows(&self) -> bool {
        text(&self.document, "/action/type").is_some_and(|action| action.eq_ignore_ascii_case("Allow"))
    }

    fn rules(&self, kind: &str) -> impl Iterator<Item = &Value> {
        items(&self.document, "/rules")
            .iter()
            .filter(move |rule| text(rule, "/ruleType") == Some(kind))
    }
}

/// A DNAT rule that matched.
#[derive(Clone, Debug)]
pub(super) struct Translation {
    pub(super) rule: String,
    pub(super) address: Option<String>,
    pub(super) name: Option<String>,
    pub(super) port: Option<u16>,
}

impl Walker<'_> {
    /// Judges a packet by the firewall's policy.
    pub(super) fn judge(&mut self, firewall: &Firewall, flow: &Flow) -> Result<Verdict, Lost> {
        let collections = self.collections(&firewall.policies(self.documents));
        if let Some((allowed, what)) = self.network_match(firewall, &collections, flow) {
            return self.decide(firewall, flow, allowed, &what, Verdict::Network);
        }
        if flow.protocol == Protocol::Tcp {
            if let Some(server) = flow.server_name.as_deref() {
                let verdict = Verdict::Application {
                    name: server.to_owned(),
                };
                if let Some((allowed, what)) = self.application_match(&collections, flow, server) {
                    return self.decide(firewall, flow, allowed, &what, verdict);
                }
                if INFRASTRUCTURE.iter().any(|pattern| fqdn_matches(pattern, server)) {
                    let what = "the infrastructure collection";
                    return self.decide(firewall, flow, true, what, verdict);
                }
            } else {
                self.note("no server name: application rules cannot match");
            }
        }
        let target = flow.server_name.as_deref().unwrap_or("no server name");
        Err(Lost::new(
            name(&firewall.document),
            format!("no rule allows {} ({target})", flow.text()),
        ))
    }

    /// Whether an explicit network rule denies a packet; DNAT's implicit allow yields to it.
    pub(super) fn denied_by_network_rule(&self, firewall: &Firewall, flow: &Flow) -> Option<String> {
        let collections = self.collections(&firewall.policies(self.documents));
        self.network_match(firewall, &collections, flow)
            .filter(|(allowed, _)| !allowed)
            .map(|(_, what)| what)
    }

    /// The first DNAT rule that matches. Only the policy bound to the firewall counts: NAT collections are not inherited.
    pub(super) fn translation(&self, firewall: &Firewall, flow: &Flow) -> Option<Translation> {
        let policy = firewall.policy(self.documents)?;
        self.collections(&[policy]).iter().find_map(|collection| {
            let rule = collection.rules("NatRule").find(|rule| {
                protocol_matches(rule, flow)
                    && self.lists(rule, "source", flow.from)
                    && self.lists(rule, "destination", flow.to)
                    && ports_match(rule, flow)
            })?;
            Some(Translation {
                rule: format!("{}, DNAT rule {}", collection.text(), name(rule)),
                address: text(rule, "/translatedAddress").map(str::to_owned),
                name: text(rule, "/translatedFqdn").map(str::to_owned),
                port: text(rule, "/translatedPort").and_then(|port| port.parse().ok()),
            })
        })
    }

    fn decide(
        &mut self,
        firewall: &Firewall,
        flow: &Flow,
        allowed: bool,
        what: &str,
        verdict: Verdict,
    ) -> Result<Verdict, Lost> {
        let target = flow.server_name.clone().unwrap_or_else(|| flow.to.to_string());
        let verb = if allowed { "allows" } else { "denies" };
        self.note(format!("{what} {verb} {target}"));
        if allowed {
            Ok(verdict)
        } else {
            Err(Lost::new(
                name(&firewall.document),
                format!("{what} denies {} ({target})", flow.text()),
            ))
        }
    }

    /// All collections in force, in processing order within each type. A group whose update still runs counts with the
    /// rules it had before.
    fn collections(&self, policies: &[Value]) -> Vec<Collection> {
        let listed = self
            .documents
            .list("Microsoft.Network/firewallPolicies/ruleCollectionGroups");
        let mut found = Vec::new();
        for policy in policies {
            let mut groups: Vec<Value> = listed
                .iter()
                .filter(|group| is_below(id(group), id(policy)))
                .filter_map(|group| self.documents.get_live(id(group)))
                .collect();
            groups.sort_by_key(|group| number(group, "/properties/priority"));
            for group in groups {
                let mut collections: Vec<&Value> = items(&group, "/properties/ruleCollections").iter().collect();
                collections.sort_by_key(|collection| number(collection, "/priority"));
                found.extend(collections.into_iter().map(|collection| Collection {
                    document: collection.clone(),
                    group: name(&group).to_owned(),
                }));
            }
        }
        found
    }

    fn network_match(&self, firewall: &Firewall, collections: &[Collection], flow: &Flow) -> Option<(bool, String)> {
        // Names in network rules need the DNS proxy of the policy bound to the firewall; a parent's setting is not
        // inherited (azure-domain 3.4).
        let proxy = firewall
            .policy(self.documents)
            .is_some_and(|policy| flag(&policy, "/properties/dnsSettings/enableProxy", false));
        collections.iter().find_map(|collection| {
            let rule = collection.rules("NetworkRule").find(|rule| {
                let named = || proxy && texts(rule, "/destinationFqdns").any(|fqdn| self.lookup(fqdn) == Some(flow.to));
                protocol_matches(rule, flow)
                    && self.lists(rule, "source", flow.from)
                    && (self.lists(rule, "destination", flow.to) || named())
                    && ports_match(rule, flow)
            })?;
            Some((
                collection.allows(),
                format!("{}, network rule {}", collection.text(), name(rule)),
            ))
        })
    }

    fn application_match(&self, collections: &[Collection], flow: &Flow, server: &str) -> Option<(bool, String)> {
        collections.iter().find_map(|collection| {
            let rule = collection.rules("ApplicationRule").find(|rule| {
                let port = items(rule, "/protocols")
                    .iter()
                    .any(|protocol| number(protocol, "/port") == Some(i64::from(flow.port)));
                let target = texts(rule, "/targetFqdns").any(|fqdn| fqdn_matches(fqdn, server))
                    || texts(rule, "/fqdnTags").any(|tag| fqdn_tag_holds(tag, server));
                port && target && self.lists(rule, "source", flow.from)
            })?;
            Some((
                collection.allows(),
                format!("{}, application rule {}", collection.text(), name(rule)),
            ))
        })
    }

    /// Whether `sourceAddresses`/`sourceIpGroups` (or `destination...`) of a rule hold an address. An empty IP group
    /// holds nothing.
    fn lists(&self, rule: &Value, side: &str, address: std::net::Ipv4Addr) -> bool {
        texts(rule, &format!("/{side}Addresses")).any(|entry| self.tags.covers(entry, address))
            || texts(rule, &format!("/{side}IpGroups")).any(|group| {
                self.documents.get_live(group).is_some_and(|group| {
                    texts(&group, "/properties/ipAddresses").any(|entry| super::addresses::covers(entry, address))
                })
            })
    }
}

fn protocol_matches(rule: &Value, flow: &Flow) -> bool {
    texts(rule, "/ipProtocols")
        .any(|protocol| protocol.eq_ignore_ascii_case("Any") || protocol.eq_ignore_ascii_case(flow.protocol.word()))
}

fn ports_match(rule: &Value, flow: &Flow) -> bool {
    flow.protocol == Protocol::Icmp || texts(rule, "/destinationPorts").any(|port| covers_port(port, flow.port))
}
