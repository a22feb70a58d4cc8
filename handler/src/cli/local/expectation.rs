//! What packets out of a wired cluster should meet, read from the configuration that the run uses.
//!
//! It knows what the operator wrote and nothing of what Hubward makes of it, so that a packet can contradict Hubward.

use std::net::Ipv4Addr;

use hubward_core::config::{
    ApplicationKind, ApplicationRule, DestinationKind, Hub, IpProtocol, NetworkRule, WorkloadEgress,
};

/// What AKS pulls its own images from; no cluster works without it.
const IMAGES: &str = "mcr.microsoft.com";
/// A destination that is nobody's: whether it is reached is the operator's word alone.
const NOT_ALLOWED: &str = "not-allowed.example";
/// The port of https.
const HTTPS: u16 = 443;

/// Where a packet goes, and what should become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) fate: Fate,
}

/// What should become of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrives, and is seen from the egress address.
    Reached,
    /// The firewall drops it.
    Dropped,
}

/// Every packet that is worth sending from a node of a cluster whose API server has the name `api_server`. `resolve` gives
/// the address of a name. Without a hub for the region only what AKS needs is expected.
pub(super) fn expected(
    hub: Option<&Hub>,
    api_server: Option<String>,
    resolve: impl Fn(&str) -> Option<Ipv4Addr>,
) -> Vec<Expected> {
    let reached = |(name, port)| Expected {
        name,
        port,
        fate: Fate::Reached,
    };
    let mut all = vec![reached((IMAGES.to_owned(), HTTPS))];
    all.extend(hub.map(names).unwrap_or_default().into_iter().map(reached));
    all.extend(api_server.map(|name| reached((name, HTTPS))));
    let allowed = hub.is_some_and(|hub| allows(hub, NOT_ALLOWED, resolve(NOT_ALLOWED)));
    all.push(Expected {
        name: NOT_ALLOWED.to_owned(),
        port: HTTPS,
        fate: if allowed { Fate::Reached } else { Fate::Dropped },
    });
    let mut once: Vec<Expected> = Vec::new();
    for packet in all {
        if !once.contains(&packet) {
            once.push(packet);
        }
    }
    once
}

/// The plain names of the operator's application rules over https, each with its port, in the order of writing.
pub(super) fn names(hub: &Hub) -> Vec<(String, u16)> {
    let of_rule = |rule: &ApplicationRule| -> Vec<(String, u16)> {
        let plain = rule.targets.iter().filter(|target| !target.contains('*'));
        plain
            .flat_map(|target| https_ports(rule).map(move |port| (target.clone(), port)))
            .collect()
    };
    hub.rules.application.iter().flat_map(of_rule).collect()
}

/// True if the operator allows https to `name`, which has `address`.
fn allows(hub: &Hub, name: &str, address: Option<Ipv4Addr>) -> bool {
    // A wildcard cannot hold a name of two labels: the configuration wants two labels after the star.
    let by_name = names(hub).iter().any(|(target, port)| target == name && *port == HTTPS);
    let by_address = hub.rules.network.iter().any(|rule| passes(rule, name, address));
    hub.workload_egress == WorkloadEgress::Web || by_name || by_address
}

fn https_ports(rule: &ApplicationRule) -> impl Iterator<Item = u16> {
    let https = rule.protocols.iter().filter(|p| p.kind == ApplicationKind::Https);
    https.map(|protocol| protocol.port)
}

/// True if the network rule lets TCP on the port of https through. What service tags hold is made up in the simulated
/// Azure, and none holds an address of documentation's networks, where the names of this run lie.
fn passes(rule: &NetworkRule, name: &str, address: Option<Ipv4Addr>) -> bool {
    let tcp = rule
        .protocols
        .iter()
        .any(|p| matches!(p, IpProtocol::Tcp | IpProtocol::Any));
    let port = rule.ports.iter().any(|ports| {
        let (low, high) = ports.split_once('-').unwrap_or((ports, ports));
        ports == "*"
            || matches!((low.parse::<u16>(), high.parse::<u16>()), (Ok(low), Ok(high)) if (low..=high).contains(&HTTPS))
    });
    let named = rule.destinations_of(DestinationKind::Fqdn).any(|d| d == name);
    let covered = rule
        .destinations_of(DestinationKind::Address)
        .any(|d| address.is_some_and(|address| covers(d, address)));
    tcp && port && (named || covered)
}

/// True if an address, network or range holds the address. The configuration refuses what holds every address.
fn covers(destination: &str, address: Ipv4Addr) -> bool {
    let read = |text: &str| text.trim().parse::<Ipv4Addr>().ok();
    if let Some((low, high)) = destination.split_once('-') {
        return matches!((read(low), read(high)), (Some(low), Some(high)) if (low..=high).contains(&address));
    }
    let (network, length) = destination.split_once('/').unwrap_or((destination, "32"));
    let (Some(network), Ok(length @ 0..=32)) = (read(network), length.parse::<u32>()) else {
        return false;
    };
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    u32::from(network) & mask == u32::from(address) & mask
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hubward_core::config::Config;

    use super::*;

    const EXAMPLE: &str = include_str!("../../../../infra/hubward.example.toml");
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 116);

    fn packets(toml: &str) -> Vec<String> {
        let config = Config::load(toml, &BTreeMap::new()).unwrap();
        let all = expected(Some(&config.hubs["main"]), Some("api".to_owned()), |_| Some(ADDRESS));
        all.iter()
            .map(|p| format!("{}:{} {:?}", p.name, p.port, p.fate))
            .collect()
    }

    #[test]
    fn with_the_example_three_are_reached_and_one_is_dropped() {
        assert_eq!(
            packets(EXAMPLE),
            [
                "mcr.microsoft.com:443 Reached",
                "api.partner.example:443 Reached",
                "api:443 Reached",
                "not-allowed.example:443 Dropped"
            ]
        );
    }

    #[test]
    fn each_plain_https_name_is_expected_once_on_its_own_port() {
        let toml = EXAMPLE
            .replace(
                "[\"api.partner.example\"]",
                "[\"a.example\", \"*.b.example\", \"A.example\"]",
            )
            .replace("[\"https:443\"]", "[\"https:8443\", \"http:80\"]");
        assert_eq!(packets(&toml)[1..3], ["a.example:8443 Reached", "api:443 Reached"]);
    }

    #[test]
    fn what_the_operator_allows_is_expected_to_be_reached() {
        let fates = |toml: &str| -> Vec<String> {
            let all = packets(toml).into_iter();
            all.filter(|packet| packet.starts_with(NOT_ALLOWED)).collect()
        };
        let name = |target: &str| EXAMPLE.replace("api.partner.example", target);
        let network = |destination: &str, port: &str| {
            format!(
                "{EXAMPLE}\n[[hubs.main.rules.network]]\nname = \"n\"\nprotocols = [\"TCP\"]\ndestinations = [\"{destination}\"]\nports = [\"{port}\"]\n"
            )
        };
        let allowing = [
            EXAMPLE.replace("workload_egress = \"rules\"", "workload_egress = \"web\""),
            name("not-allowed.example"),
            network("192.0.2.0/25", "443"),
            network("192.0.2.100-192.0.2.116", "400-500"),
            network("192.0.2.116", "443"),
            network("not-allowed.example", "*"),
        ];
        for toml in allowing {
            assert_eq!(fates(&toml), ["not-allowed.example:443 Reached"], "{toml}");
        }
        let denying = [
            name("*.partner.example"),
            network("192.0.2.0/28", "443"),
            network("192.0.2.116", "8443"),
            network("AzureCloud", "443"),
        ];
        for toml in denying {
            assert_eq!(fates(&toml), ["not-allowed.example:443 Dropped"], "{toml}");
        }
    }
}
