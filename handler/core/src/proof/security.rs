//! Network security groups: whether they may stop traffic of a subnet.
//!
//! The default rules let all outbound traffic through (virtual-network network-security-groups-overview.md,
//! AllowInternetOutBound); only rules of the group's own can deny it. Those are found and named, and not judged. Inbound the
//! defaults let private networks in and the internet not, so there the rules are asked one by one: those of the subnet's group
//! and of the group that AKS puts on the nodes' interfaces, which has the source ranges of services.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::Verdict;
use super::matching::address_range;
use super::routes::is_private_range;
use crate::estate::{ClusterView, Estate, FrontendPort, SubnetView, strings, text};
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

/// A packet that comes in through a load balancer.
pub(super) struct Arrival<'a> {
    /// Who sends it.
    pub(super) source: Ipv4Addr,
    /// True if that is outside the network and its peers.
    pub(super) from_internet: bool,
    /// The load balancer's address, which AKS leaves in the packet (floating IP).
    pub(super) target: Ipv4Addr,
    /// The port.
    pub(super) port: &'a FrontendPort,
}

/// What the security group of a subnet does with packets from a load balancer. By its defaults it lets in what comes from the
/// network and its peers, and denies what comes from the internet.
pub(super) fn inbound_verdict(estate: &Estate, subnet: &ResourceId, packet: &Arrival<'_>) -> Verdict {
    let Some(id) = estate.subnet(subnet).and_then(|s| s.security_group()) else {
        return Verdict::Allowed("no security group".to_owned());
    };
    let Some(group) = estate.get(&id) else {
        return Verdict::Unsure(format!("the security group {id} was not read"));
    };
    group_verdict(group, id.name(), packet)
}

/// What the security groups on the interfaces of the cluster's nodes do with the packet.
pub(super) fn interface_verdict(estate: &Estate, cluster: &ClusterView<'_>, packet: &Arrival<'_>) -> Verdict {
    let Some(groups) = estate.interface_groups(cluster) else {
        return Verdict::Unsure("the security groups of the nodes' interfaces were not read".to_owned());
    };
    groups
        .iter()
        .map(|group| group_verdict(group, text(group, "/name").unwrap_or("(without name)"), packet))
        .min_by_key(Verdict::rank)
        .unwrap_or_else(|| Verdict::Allowed("no security group".to_owned()))
}

/// The senders that the groups on the nodes' interfaces may let in to a port of a frontend, at most; `None` if those are not
/// listed, and so may be everybody.
pub(super) fn admitted(
    estate: &Estate,
    cluster: &ClusterView<'_>,
    target: Ipv4Addr,
    port: &FrontendPort,
) -> Option<Vec<(Ipv4Addr, Ipv4Addr)>> {
    let inside = |text: &&str| {
        ["VirtualNetwork", "AzureLoadBalancer"]
            .iter()
            .any(|tag| tag.eq_ignore_ascii_case(text))
    };
    let mut ranges = Vec::new();
    for rule in estate.interface_groups(cluster)?.iter().flat_map(inbound_rules) {
        if is(rule, "/properties/access", "Allow") && aimed(rule, target, port) != Some(false) {
            let senders = both(rule, "sourceAddressPrefix", "sourceAddressPrefixes");
            for sender in senders.iter().filter(|text| !inside(text)) {
                ranges.push(address_range(sender)?);
            }
        }
    }
    (!ranges.is_empty()).then_some(ranges)
}

fn inbound_rules(group: &Value) -> Vec<&Value> {
    let rules = group.pointer("/properties/securityRules").and_then(Value::as_array);
    let inbound = |rule: &&Value| is(rule, "/properties/direction", "Inbound");
    rules.into_iter().flatten().filter(inbound).collect()
}

fn group_verdict(group: &Value, group_name: &str, packet: &Arrival<'_>) -> Verdict {
    let source = packet.source;
    let mut inbound = inbound_rules(group);
    inbound.sort_by_key(|rule| rule.pointer("/properties/priority").and_then(Value::as_u64));
    for rule in inbound {
        let name = text(rule, "/name").unwrap_or("(without name)");
        let label = format!("rule {name} of the security group {group_name}");
        let allows = is(rule, "/properties/access", "Allow");
        match (met(rule, packet), allows) {
            (Some(false), _) => {}
            (Some(true), true) => return Verdict::Allowed(label),
            (Some(true), false) => return Verdict::Stopped(format!("{label} denies {source}")),
            (None, _) => return Verdict::Unsure(format!("{label} may or may not concern {source}")),
        }
    }
    if packet.from_internet {
        return Verdict::Stopped(format!(
            "the security group {group_name} lets nobody on the internet in, and {source} is there"
        ));
    }
    Verdict::Allowed("AllowVnetInBound".to_owned())
}

/// Whether an inbound rule takes the packet; `None` if that cannot be said.
fn met(rule: &Value, packet: &Arrival<'_>) -> Option<bool> {
    let senders = both(rule, "sourceAddressPrefix", "sourceAddressPrefixes");
    let from = any(&senders, |text| from_sender(text, packet));
    match (from, aimed(rule, packet.target, packet.port)) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// Whether an inbound rule is about this port of this address, whoever sends; `None` if that cannot be said.
fn aimed(rule: &Value, target: Ipv4Addr, port: &FrontendPort) -> Option<bool> {
    let protocol = text(rule, "/properties/protocol").unwrap_or("*");
    let all = port.protocol == "ALL";
    if protocol != "*" && !all && !protocol.eq_ignore_ascii_case(&port.protocol) {
        return Some(false);
    }
    let ports = both(rule, "destinationPortRange", "destinationPortRanges");
    let targets = both(rule, "destinationAddressPrefix", "destinationAddressPrefixes");
    let to = any(&ports, |text| to_port(text, port.port));
    let at = any(&targets, |text| at_target(text, target));
    match (to, at) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) if protocol == "*" || !all => Some(true),
        _ => None,
    }
}

fn from_sender(text: &str, packet: &Arrival<'_>) -> Option<bool> {
    if text == "*" {
        return Some(true);
    }
    if text.eq_ignore_ascii_case("Internet") {
        return Some(packet.from_internet);
    }
    if text.eq_ignore_ascii_case("VirtualNetwork") {
        return Some(!packet.from_internet);
    }
    if text.eq_ignore_ascii_case("AzureLoadBalancer") {
        return Some(false);
    }
    let (low, high) = address_range(text)?;
    Some(low <= packet.source && packet.source <= high)
}

/// The packet has the load balancer's address; a node's own, if somebody has turned floating IP off.
fn at_target(text: &str, target: Ipv4Addr) -> Option<bool> {
    if text == "*" {
        return Some(true);
    }
    let (low, high) = address_range(text)?;
    if low <= target && target <= high {
        return Some(true);
    }
    (!is_private_range(low, high)).then_some(false)
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    const EGRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);

    /// The verdict on TCP 443 from the egress address, and the same from the firewall's own.
    fn verdicts(rules: &Value) -> (Verdict, Verdict) {
        let read = datetime!(2026-11-23 12:00 UTC);
        let parse = |tail: &str| {
            let front = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network";
            ResourceId::parse(&format!("{front}/{tail}")).unwrap()
        };
        let (subnet, group) = (parse("virtualNetworks/v/subnets/n"), parse("networkSecurityGroups/n"));
        let mut estate = Estate::default();
        let body = json!({"name": "n", "properties": {"networkSecurityGroup": {"id": group.as_str()}}});
        estate.insert(subnet.clone(), Some(body), read);
        estate.insert(group, Some(json!({"properties": {"securityRules": rules}})), read);
        let port = FrontendPort {
            port: 443,
            protocol: "TCP".to_owned(),
        };
        let verdict = |source, from_internet| {
            let packet = Arrival {
                source,
                from_internet,
                target: Ipv4Addr::new(198, 51, 100, 9),
                port: &port,
            };
            inbound_verdict(&estate, &subnet, &packet)
        };
        (verdict(EGRESS, true), verdict(Ipv4Addr::new(10, 0, 0, 4), false))
    }

    fn rule(priority: u32, access: &str, protocol: &str, source: &str, ports: &str, target: &str) -> Value {
        json!({"name": format!("r{priority}"), "properties": {
            "direction": "Inbound", "access": access, "priority": priority, "protocol": protocol,
            "sourceAddressPrefix": source, "destinationPortRange": ports, "destinationAddressPrefix": target,
        }})
    }

    #[test]
    fn inbound_rules_are_asked_by_priority_and_the_defaults_let_private_networks_in_alone() {
        let allowed = |rules: Value| {
            let (public, private) = verdicts(&rules);
            (public.rank(), private.rank())
        };
        assert_eq!(allowed(json!([])), (0, 2), "the defaults");
        assert_eq!(
            allowed(json!([rule(200, "Allow", "Tcp", "Internet", "443", "*")])),
            (2, 2)
        );
        assert_eq!(
            allowed(json!([rule(200, "Allow", "Tcp", "203.0.113.10", "400-500", "*")])),
            (2, 2)
        );
        assert_eq!(
            allowed(json!([rule(200, "Allow", "Tcp", "192.0.2.0/24", "443", "*")])),
            (0, 2)
        );
        assert_eq!(allowed(json!([rule(200, "Allow", "Udp", "*", "443", "*")])), (0, 2));
        assert_eq!(allowed(json!([rule(200, "Allow", "*", "*", "80", "*")])), (0, 2));
        let both = json!([
            rule(300, "Allow", "*", "*", "*", "*"),
            rule(200, "Deny", "*", "VirtualNetwork", "*", "*"),
        ]);
        assert_eq!(allowed(both), (2, 0), "the lower number is asked first");
        assert_eq!(
            allowed(json!([rule(200, "Deny", "*", "AzureCloud", "*", "*")])),
            (1, 1),
            "a tag nobody can list"
        );
        assert_eq!(
            allowed(json!([rule(200, "Allow", "*", "*", "443", "10.1.0.0/24")])),
            (1, 1),
            "a target that may be meant"
        );
    }
}
