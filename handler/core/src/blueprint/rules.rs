//! From a contribution to firewall rules, and to the destinations that must be reachable. Both come from the same
//! entries, so a destination is never demanded without a rule and a rule never written without a demand.

use ipnet::Ipv4Net;
use serde_json::{Map, Value, json};

use super::{Contribution, Inbound};
use crate::catalogue::Catalogue;
use crate::config::{ApplicationKind, ApplicationProtocol, DestinationKind, Hub, IpProtocol, WorkloadEgress};
use crate::names;

/// Priority of the collections of rules for which nobody asked for another: network before application, with room on
/// both sides (100 to 65000 is Azure's range, Azure Firewall rule-processing.md).
pub const NETWORK_PRIORITY: u32 = 1000;
/// See [`NETWORK_PRIORITY`].
pub const APPLICATION_PRIORITY: u32 = 2000;
/// Priority of the collection of DNAT rules. The firewall asks them before all others whatever their priority (Azure Firewall
/// rule-processing.md), and no two collections of a group may have the same.
pub const DNAT_PRIORITY: u32 = 500;

/// What `workload_egress = "web"` opens.
const WEB: [ApplicationProtocol; 2] = [
    ApplicationProtocol {
        kind: ApplicationKind::Http,
        port: 80,
    },
    ApplicationProtocol {
        kind: ApplicationKind::Https,
        port: 443,
    },
];

/// A destination that must be reachable from a cluster's prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Where to.
    pub destination: Destination,
    /// How: protocol and port as people write them, for example `https:443`, `UDP/123`.
    pub protocol: String,
    /// Who asks for it: a catalogue entry or an operator's rule.
    pub asked_by: String,
}

/// Where a requirement leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A name seen by an application rule, `*.` on the left at most.
    Name {
        /// The name or wildcard.
        name: String,
        /// The protocol and port.
        protocol: ApplicationProtocol,
    },
    /// An FQDN tag, whose names only Microsoft knows.
    Tag {
        /// The tag.
        tag: String,
        /// The protocol and port.
        protocol: ApplicationProtocol,
    },
    /// A name, address, prefix or service tag on one port, seen by a network rule.
    Network {
        /// The name, address, prefix or tag.
        target: String,
        /// The IP protocol.
        protocol: IpProtocol,
        /// The port or range, empty for ICMP.
        port: String,
    },
}

/// One rule of ours with the priority of its collection.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) kind: CollectionKind,
    pub(super) priority: u32,
    pub(super) body: Map<String, Value>,
}

/// What the rules of a collection are; a collection holds one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CollectionKind {
    /// Names that are let out.
    Application,
    /// Addresses and ports that are let out.
    Network,
    /// Addresses of the firewall that lead to a cluster.
    Dnat,
}

/// One application or network rule before it is written as JSON.
enum PlannedRule<'a> {
    Application {
        name: String,
        targets: Vec<String>,
        tags: &'a [String],
        protocols: &'a [ApplicationProtocol],
        priority: u32,
        asked_by: String,
    },
    Network {
        name: String,
        targets: Vec<String>,
        protocols: &'a [IpProtocol],
        ports: &'a [String],
        priority: u32,
        asked_by: String,
    },
}

/// The rules of one cluster, in a fixed order; each name ends with the cluster's hash.
pub(super) fn rules(contribution: &Contribution, hub: &Hub) -> Vec<Rule> {
    let mut rules = egress_rules(contribution, hub);
    rules.extend(dnat_rules(contribution, hub));
    rules
}

/// The rules that let the cluster out.
pub(super) fn egress_rules(contribution: &Contribution, hub: &Hub) -> Vec<Rule> {
    planned_rules(contribution, hub)
        .into_iter()
        .map(|rule| written(rule, contribution))
        .collect()
}

/// The rules that lead from the cluster's address of the firewall to its targets, if it has one and somebody may come in.
pub(super) fn dnat_rules(contribution: &Contribution, hub: &Hub) -> Vec<Rule> {
    let (Some(address), Some(ingress)) = (contribution.ingress, &hub.ingress) else {
        return Vec::new();
    };
    if !ingress.is_open() {
        return Vec::new();
    }
    let hash = names::hash(&contribution.cluster);
    let rule = |inbound: &Inbound| {
        let protocol = inbound.protocol.to_string();
        let body = json!({
            "ruleType": "NatRule",
            "name": format!("in-{}-{}-{hash}", protocol.to_ascii_lowercase(), inbound.port),
            "ipProtocols": [protocol],
            "sourceAddresses": ingress.sources,
            "destinationAddresses": [address.to_string()],
            "destinationPorts": [inbound.port.to_string()],
            "translatedAddress": inbound.target.to_string(),
            "translatedPort": inbound.target_port.to_string(),
        });
        Rule {
            kind: CollectionKind::Dnat,
            priority: DNAT_PRIORITY,
            body: object(body),
        }
    };
    contribution.inbound.iter().map(rule).collect()
}

/// Every destination that must be reachable from the cluster's prefixes, in the order of the rules.
#[must_use]
pub fn requirements(contribution: &Contribution, hub: &Hub) -> Vec<Requirement> {
    planned_rules(contribution, hub).iter().flat_map(required_by).collect()
}

fn planned_rules<'a>(contribution: &Contribution, hub: &'a Hub) -> Vec<PlannedRule<'a>> {
    let catalogue = Catalogue::global();
    let mut planned = Vec::new();
    for need in catalogue
        .network
        .iter()
        .filter(|n| contribution.features.contains(&n.when))
    {
        planned.push(PlannedRule::Network {
            name: need.name.clone(),
            targets: filled(&need.targets, contribution),
            protocols: &need.protocols,
            ports: &need.ports,
            priority: NETWORK_PRIORITY,
            asked_by: format!("AKS ({})", need.name),
        });
    }
    for need in catalogue
        .application
        .iter()
        .filter(|n| contribution.features.contains(&n.when))
    {
        planned.push(PlannedRule::Application {
            name: need.name.clone(),
            targets: filled(&need.targets, contribution),
            tags: &need.fqdn_tags,
            protocols: &need.protocols,
            priority: APPLICATION_PRIORITY,
            asked_by: format!("AKS ({})", need.name),
        });
    }
    planned.extend(operator_rules(hub));
    planned
}

/// The targets with the cluster's own values; a placeholder for a list stands for all of it.
fn filled(targets: &[String], contribution: &Contribution) -> Vec<String> {
    let api = contribution.api_server.as_deref().unwrap_or_default();
    targets
        .iter()
        .flat_map(|target| match target.as_str() {
            "{dns_servers}" => contribution.dns_servers.iter().map(ToString::to_string).collect(),
            other => vec![other.replace("{api_server}", api)],
        })
        .collect()
}

fn operator_rules(hub: &Hub) -> Vec<PlannedRule<'_>> {
    let mut planned: Vec<PlannedRule<'_>> = Vec::new();
    for rule in &hub.rules.network {
        planned.push(PlannedRule::Network {
            name: format!("op-{}", rule.name),
            targets: rule.destinations.clone(),
            protocols: &rule.protocols,
            ports: &rule.ports,
            priority: rule.priority.unwrap_or(NETWORK_PRIORITY),
            asked_by: format!("operator rule {}", rule.name),
        });
    }
    for rule in &hub.rules.application {
        planned.push(PlannedRule::Application {
            name: format!("op-{}", rule.name),
            targets: rule.targets.clone(),
            tags: &[],
            protocols: &rule.protocols,
            priority: rule.priority.unwrap_or(APPLICATION_PRIORITY),
            asked_by: format!("operator rule {}", rule.name),
        });
    }
    if hub.workload_egress == WorkloadEgress::Web {
        planned.push(PlannedRule::Application {
            name: "web".to_owned(),
            targets: vec!["*".to_owned()],
            tags: &[],
            protocols: &WEB,
            priority: APPLICATION_PRIORITY,
            asked_by: "workload_egress = web".to_owned(),
        });
    }
    planned
}

fn written(rule: PlannedRule<'_>, contribution: &Contribution) -> Rule {
    let sources: Vec<String> = contribution.prefixes.iter().map(Ipv4Net::to_string).collect();
    let named = |name: &str| format!("{name}-{}", names::hash(&contribution.cluster));
    let (kind, priority, body) = match rule {
        PlannedRule::Application {
            name,
            targets,
            tags,
            protocols,
            priority,
            ..
        } => {
            let protocols: Vec<Value> = protocols
                .iter()
                .map(|p| json!({"protocolType": protocol_type(p.kind), "port": p.port}))
                .collect();
            let body = json!({
                "ruleType": "ApplicationRule",
                "name": named(&name),
                "protocols": protocols,
                "sourceAddresses": sources,
                "targetFqdns": targets,
                "fqdnTags": tags,
            });
            (CollectionKind::Application, priority, body)
        }
        PlannedRule::Network {
            name,
            targets,
            protocols,
            ports,
            priority,
            ..
        } => {
            let (addresses, fqdns): (Vec<_>, Vec<_>) = targets
                .into_iter()
                .partition(|t| DestinationKind::of(t) != DestinationKind::Fqdn);
            let protocols: Vec<String> = protocols.iter().map(IpProtocol::to_string).collect();
            let body = json!({
                "ruleType": "NetworkRule",
                "name": named(&name),
                "ipProtocols": protocols,
                "sourceAddresses": sources,
                "destinationAddresses": addresses,
                "destinationFqdns": fqdns,
                "destinationPorts": ports,
            });
            (CollectionKind::Network, priority, body)
        }
    };
    let mut body = object(body);
    body.retain(|_, value| value.as_array().is_none_or(|items| !items.is_empty()));
    Rule { kind, priority, body }
}

fn object(body: Value) -> Map<String, Value> {
    match body {
        Value::Object(body) => body,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            unreachable!("json! of braces is an object")
        }
    }
}

/// The protocol as Azure writes it in application rules.
pub(crate) fn protocol_type(kind: ApplicationKind) -> &'static str {
    match kind {
        ApplicationKind::Http => "Http",
        ApplicationKind::Https => "Https",
        ApplicationKind::Mssql => "Mssql",
    }
}

fn required_by(rule: &PlannedRule<'_>) -> Vec<Requirement> {
    match rule {
        PlannedRule::Application {
            targets,
            tags,
            protocols,
            asked_by,
            ..
        } => {
            let each = |make: &dyn Fn(ApplicationProtocol) -> Destination| -> Vec<Requirement> {
                protocols
                    .iter()
                    .map(|p| Requirement {
                        destination: make(*p),
                        protocol: p.to_string(),
                        asked_by: asked_by.clone(),
                    })
                    .collect()
            };
            let names = targets.iter().flat_map(|name| {
                each(&|protocol| Destination::Name {
                    name: name.clone(),
                    protocol,
                })
            });
            let tags = tags.iter().flat_map(|tag| {
                each(&|protocol| Destination::Tag {
                    tag: tag.clone(),
                    protocol,
                })
            });
            names.chain(tags).collect()
        }
        PlannedRule::Network {
            targets,
            protocols,
            ports,
            asked_by,
            ..
        } => {
            let mut all = Vec::new();
            for (target, protocol) in targets.iter().flat_map(|t| protocols.iter().map(move |p| (t, *p))) {
                let portless = [String::new()];
                let ports = if ports.is_empty() { portless.as_slice() } else { ports };
                all.extend(ports.iter().map(|port| Requirement {
                    destination: Destination::Network {
                        target: target.clone(),
                        protocol,
                        port: port.clone(),
                    },
                    protocol: format!("{protocol}/{port}"),
                    asked_by: asked_by.clone(),
                }));
            }
            all
        }
    }
}
