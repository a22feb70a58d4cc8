//! Refuses a configuration whose parts contradict each other or that Azure would refuse later.
//!
//! Each check names the first field at fault; hubs are looked at in the order of their names. Nothing is changed here.

use std::collections::BTreeMap;

use super::address::{self, Wrong};
use super::drift;
use super::events;
use super::hub::region;
use super::rules::{IpProtocol, NetworkRule, OperatorRules};
use super::{Config, ConfigError, Credential, Hub, ingress, roles};
use crate::blueprint::{APPLICATION_PRIORITY, DNAT_PRIORITY, NETWORK_PRIORITY};
use crate::ids::ResourceId;
use crate::names;

/// Priorities of rule collections and their groups [Azure: 100 to 65000].
const PRIORITIES: std::ops::RangeInclusive<u32> = 100..=65_000;

/// The longest name of an operator's rule: Azure takes 80 characters, and `op-`, a dash and ten digits go around it.
const RULE_NAME: usize = names::MAX_LENGTH - "op-".len() - "-0123456789".len();

type Checked = Result<(), ConfigError>;

/// Checks the whole configuration.
///
/// # Errors
/// The first field at fault.
pub(super) fn check(config: &Config) -> Checked {
    check_prefix(&config.naming.prefix)?;
    if config.hubs.is_empty() {
        return refuse("hubs", "there is no hub", "at least one table [hubs.NAME]");
    }
    for (name, hub) in &config.hubs {
        check_hub_name(name)?;
        check_hub(&format!("hubs.{name}"), hub)?;
    }
    check_hubs_apart(&config.hubs)?;
    check_scope(config)?;
    check_credential(&config.credential)?;
    roles::check(config)?;
    check_drift_and_events(config)
}

fn check_drift_and_events(config: &Config) -> Checked {
    if let Some(problem) = drift::wrong(&config.drift.schedule) {
        return refuse("drift.schedule", problem, drift::ALLOWED);
    }
    let container = &config.events.dead_letter_container;
    if events::is_container(container) {
        return Ok(());
    }
    refuse(
        "events.dead_letter_container",
        format!("{container:?} is no name for a container"),
        "3 to 63 lower-case letters, digits and single dashes, beginning and ending with a letter or digit",
    )
}

/// Names are made of the prefix, a dash, a kind, a dash and ten digits, and Azure takes 80 characters at most.
fn check_prefix(prefix: &str) -> Checked {
    let plain = |c: char| c.is_ascii_alphanumeric();
    let legal = (1..=30).contains(&prefix.len())
        && prefix.chars().all(|c| plain(c) || c == '-')
        && prefix.starts_with(plain)
        && prefix.ends_with(plain);
    if legal {
        return Ok(());
    }
    refuse(
        "naming.prefix",
        format!("{prefix:?} makes names that Azure refuses"),
        "1 to 30 letters, digits and dashes, beginning and ending with a letter or digit",
    )
}

/// The name is part of the overlay's variables, which know no dots, and is folded there.
fn check_hub_name(name: &str) -> Checked {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    // The keys of the sweeps, beside which the hubs' own lie in the ledger.
    if ["sweep", "fix"].contains(&name) {
        return refuse(
            format!("hubs.{name}"),
            format!("{name:?} is no name for a hub, because the sweep has it"),
            "another name",
        );
    }
    if (1..=30).contains(&name.len()) && name.chars().all(legal) {
        return Ok(());
    }
    refuse(
        format!("hubs.{name}"),
        format!("{name:?} is no name for a hub"),
        "1 to 30 lower-case letters, digits and dashes",
    )
}

fn check_hub(path: &str, hub: &Hub) -> Checked {
    let location = region(&hub.location);
    if location.is_empty() || !location.chars().all(|c| c.is_ascii_alphanumeric()) {
        return refuse(
            format!("{path}.location"),
            format!("{:?} is no Azure region", hub.location),
            "a region's name, for example westeurope",
        );
    }
    check_type(
        path,
        "virtual_network",
        &hub.virtual_network,
        "Microsoft.Network/virtualNetworks",
    )?;
    check_type(path, "firewall", &hub.firewall, "Microsoft.Network/azureFirewalls")?;
    check_type(path, "nat_gateway", &hub.nat_gateway, "Microsoft.Network/natGateways")?;
    let (network, firewall) = (hub.virtual_network.subscription(), hub.firewall.subscription());
    if !network.eq_ignore_ascii_case(firewall) {
        return refuse(
            format!("{path}.virtual_network"),
            format!("lies in subscription {network} but the firewall in {firewall}"),
            "a firewall and its virtual network in one subscription",
        );
    }
    check_priority(
        &format!("{path}.rule_collection_group_priority"),
        hub.rule_collection_group_priority,
    )?;
    check_rules(&format!("{path}.rules"), &hub.rules)?;
    hub.ingress
        .as_ref()
        .map_or(Ok(()), |ingress| ingress::check(&format!("{path}.ingress"), ingress))
}

fn check_type(path: &str, field: &str, id: &ResourceId, wanted: &str) -> Checked {
    if !id.is_type(wanted) || id.resource_group().is_none() {
        let found = match id.resource_type() {
            none if none.is_empty() => "a subscription or resource group".to_owned(),
            found => found,
        };
        return refuse(
            format!("{path}.{field}"),
            format!("is the id of {found}"),
            format!("the id of a {wanted}"),
        );
    }
    if !is_guid(id.subscription()) {
        return refuse(
            format!("{path}.{field}"),
            format!("{:?} is no subscription id", id.subscription()),
            "an id whose subscription is a GUID",
        );
    }
    Ok(())
}

fn check_hubs_apart(hubs: &BTreeMap<String, Hub>) -> Checked {
    let (mut locations, mut parts) = (BTreeMap::new(), BTreeMap::new());
    for (name, hub) in hubs {
        if let Some(other) = locations.insert(region(&hub.location), name) {
            return refuse(
                format!("hubs.{name}.location"),
                format!("{:?} has a hub already, hubs.{other}", hub.location),
                "one hub per region",
            );
        }
        let ids = [
            ("virtual_network", &hub.virtual_network),
            ("firewall", &hub.firewall),
            ("nat_gateway", &hub.nat_gateway),
        ];
        for (field, id) in ids {
            if let Some(other) = parts.insert(id, name) {
                return refuse(
                    format!("hubs.{name}.{field}"),
                    format!("{id} is part of hubs.{other} already"),
                    "a resource of its own for each hub",
                );
            }
        }
    }
    Ok(())
}

fn check_scope(config: &Config) -> Checked {
    for (index, subscription) in config.scope.subscriptions.iter().enumerate() {
        if !is_guid(subscription) {
            return refuse(
                format!("scope.subscriptions[{index}]"),
                format!("{subscription:?} is no subscription id"),
                "a GUID, for example 11111111-2222-3333-4444-555555555555",
            );
        }
    }
    for (index, id) in config.scope.exclude.iter().enumerate() {
        if !config.scope.has_subscription(id.subscription()) {
            return refuse(
                format!("scope.exclude[{index}]"),
                format!("{id} lies in no subscription in scope, so it excludes nothing"),
                format!("ids under {}", config.scope.subscriptions.join(", ")),
            );
        }
    }
    Ok(())
}

fn check_credential(credential: &Credential) -> Checked {
    match credential {
        Credential::ManagedIdentity { client_id: Some(id) } if !is_guid(id) => refuse(
            "credential.client_id",
            format!("{id:?} is no client id"),
            "the GUID of a user-assigned identity, or leave it out",
        ),
        Credential::ManagedIdentity { .. } | Credential::WorkloadIdentity | Credential::DeveloperTools => Ok(()),
    }
}

fn check_rules(path: &str, rules: &OperatorRules) -> Checked {
    let mut names = BTreeMap::new();
    for (index, rule) in rules.application.iter().enumerate() {
        let path = format!("{path}.application[{index}]");
        check_rule_name(&path, &rule.name, &mut names)?;
        check_list(&format!("{path}.targets"), &rule.targets, "names", |t| {
            address::check_target(t)
        })?;
        check_list(
            &format!("{path}.protocols"),
            &rule.protocols,
            "protocols with ports",
            |_| Ok(()),
        )?;
        rule.priority
            .map_or(Ok(()), |priority| check_priority(&format!("{path}.priority"), priority))?;
    }
    for (index, rule) in rules.network.iter().enumerate() {
        let path = format!("{path}.network[{index}]");
        check_rule_name(&path, &rule.name, &mut names)?;
        check_list(
            &format!("{path}.protocols"),
            &rule.protocols,
            "TCP, UDP, ICMP, Any",
            |_| Ok(()),
        )?;
        let kinds = "networks, addresses, names or service tags";
        check_list(&format!("{path}.destinations"), &rule.destinations, kinds, |d| {
            address::check_destination(d)
        })?;
        check_ports(&format!("{path}.ports"), rule)?;
        rule.priority
            .map_or(Ok(()), |priority| check_priority(&format!("{path}.priority"), priority))?;
        check_not_shadowing(&format!("{path}.destinations"), rule, rules)?;
    }
    check_priorities_apart(path, rules)
}

fn check_rule_name(path: &str, name: &str, seen: &mut BTreeMap<String, String>) -> Checked {
    let path = format!("{path}.name");
    let legal = (1..=RULE_NAME).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if !legal {
        return refuse(
            path,
            format!("{name:?} is no name for a rule"),
            format!(
                "1 to {RULE_NAME} letters, digits, dots, dashes and underscores, beginning with a letter or digit, ending with one or _"
            ),
        );
    }
    match seen.insert(name.to_ascii_lowercase(), path.clone()) {
        Some(other) => refuse(
            path,
            format!("{name:?} is taken by {other}"),
            "a name of its own for each rule of a hub",
        ),
        None => Ok(()),
    }
}

fn check_list<T>(path: &str, list: &[T], of: &str, each: impl Fn(&T) -> Result<(), Wrong>) -> Checked {
    if list.is_empty() {
        return refuse(path, "is empty", format!("a list of {of}"));
    }
    for (index, item) in list.iter().enumerate() {
        each(item).or_else(|(problem, allowed)| refuse(format!("{path}[{index}]"), problem, allowed))?;
    }
    Ok(())
}

fn check_ports(path: &str, rule: &NetworkRule) -> Checked {
    if rule.ports.is_empty() {
        return refuse(
            path,
            "is empty",
            "ports such as \"443\", ranges such as \"1000-2000\", or \"*\"",
        );
    }
    if rule.is_icmp_only() && rule.ports.iter().any(|port| port != "*") {
        return refuse(path, "ICMP has no ports", "leave the field out");
    }
    for (index, port) in rule.ports.iter().enumerate() {
        if address::port_range(port).is_none() {
            return refuse(
                format!("{path}[{index}]"),
                format!("{port:?} is no port or range of ports"),
                "a port from 1 to 65535, a range such as \"1000-2000\", or \"*\"",
            );
        }
    }
    Ok(())
}

/// Azure Firewall asks network rules before application rules, so one that lets everything through on a web port hides every
/// application rule there: AKS's own on 80 and 443, which are always present, and the operator's on theirs.
fn check_not_shadowing(path: &str, rule: &NetworkRule, rules: &OperatorRules) -> Checked {
    let one = rule.destinations.iter().position(|d| address::is_broad(d));
    if one.is_none() && !address::are_broad(&rule.destinations) {
        return Ok(());
    }
    if !rule
        .protocols
        .iter()
        .any(|p| matches!(p, IpProtocol::Tcp | IpProtocol::Any))
    {
        return Ok(());
    }
    let covers = |port: u16| {
        rule.ports
            .iter()
            .filter_map(|p| address::port_range(p))
            .any(|(first, last)| (first..=last).contains(&port))
    };
    let field = one.map_or_else(|| path.to_owned(), |index| format!("{path}[{index}]"));
    for other in &rules.application {
        if let Some(protocol) = other.protocols.iter().find(|protocol| covers(protocol.port)) {
            return refuse(
                field,
                format!(
                    "{:?} allows every address on port {}, so the application rule {:?} would never be asked",
                    rule.name, protocol.port, other.name
                ),
                "narrower destinations, or other ports",
            );
        }
    }
    match [80, 443].into_iter().find(|port| covers(*port)) {
        Some(port) => refuse(
            field,
            format!(
                "{:?} allows every address on port {port}, so no application rule there would ever be asked",
                rule.name
            ),
            "narrower destinations, or workload_egress = \"web\"",
        ),
        None => Ok(()),
    }
}

fn check_priority(path: &str, priority: u32) -> Checked {
    if PRIORITIES.contains(&priority) {
        return Ok(());
    }
    refuse(path, format!("{priority} is out of range"), "100 to 65000")
}

/// Rules of one priority share a collection, and a collection holds one kind of rule. Rules without a priority take that of the
/// rules AKS needs, which are always there.
fn check_priorities_apart(path: &str, rules: &OperatorRules) -> Checked {
    let allowed = "priorities that application and network rules do not share";
    let application = rules.application.iter().map(|rule| rule.priority).enumerate();
    let network = rules.network.iter().map(|rule| rule.priority).enumerate();
    let all = application
        .map(|at| ("application", at))
        .chain(network.map(|at| ("network", at)));
    for (kind, (index, priority)) in all {
        if priority == Some(DNAT_PRIORITY) {
            return refuse(
                format!("{path}.{kind}[{index}].priority"),
                format!("{DNAT_PRIORITY} is the priority of the DNAT rules, and a collection holds one kind of rule"),
                "another priority",
            );
        }
    }
    for (index, rule) in rules.application.iter().enumerate() {
        if rule.priority == Some(NETWORK_PRIORITY) {
            return refuse(
                format!("{path}.application[{index}].priority"),
                format!(
                    "{NETWORK_PRIORITY} is the priority of the network rules that AKS needs, and a collection holds one kind of rule"
                ),
                allowed,
            );
        }
    }
    for (index, rule) in rules.network.iter().enumerate() {
        let field = format!("{path}.network[{index}].priority");
        let Some(priority) = rule.priority else { continue };
        if priority == APPLICATION_PRIORITY {
            return refuse(
                field,
                format!(
                    "{APPLICATION_PRIORITY} is the priority of the application rules that AKS needs, and a collection holds one kind of rule"
                ),
                allowed,
            );
        }
        if let Some(other) = rules.application.iter().find(|other| other.priority == Some(priority)) {
            return refuse(
                field,
                format!(
                    "is the priority of the application rule {:?} too, and a collection holds one kind of rule",
                    other.name
                ),
                allowed,
            );
        }
    }
    Ok(())
}

fn is_guid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

fn refuse(field: impl Into<String>, problem: impl AsRef<str>, allowed: impl AsRef<str>) -> Checked {
    Err(ConfigError::of(field, problem, allowed))
}
