//! Reads the small texts of rules: ports, names, networks. Each function answers with what is wrong, and what is allowed.
//!
//! Azure would refuse most of these too, but with the whole rule collection group and after minutes.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::rules::DestinationKind;

/// What is wrong with a text, and what is allowed.
pub(super) type Wrong = (String, String);

/// A port from 1 to 65535, in digits alone.
pub(super) fn port(text: &str) -> Option<u16> {
    digits(text)?.parse().ok().filter(|port| *port > 0)
}

/// The first and last port of `443`, `1000-2000` or `*`.
pub(super) fn port_range(text: &str) -> Option<(u16, u16)> {
    if text == "*" {
        return Some((1, u16::MAX));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some((first, last))
}

/// True if the text is made of what IPv4 networks and ranges are made of and can therefore be no name.
pub(super) fn looks_like_address(text: &str) -> bool {
    text.contains([':', '/']) || text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'))
}

/// Checks a target of an application rule.
pub(super) fn check_target(text: &str) -> Result<(), Wrong> {
    if text == "*" {
        return Err((
            "\"*\" would allow every name".to_owned(),
            "names, or workload_egress = \"web\" for the whole web".to_owned(),
        ));
    }
    if looks_like_address(text) {
        return Err((
            format!("{text:?} is not a name; application rules know names only"),
            "a name such as api.partner.example; an address belongs in a network rule".to_owned(),
        ));
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    if name.contains('*') {
        return Err((
            format!("{text:?} has a wildcard that Azure does not know"),
            "one wildcard as the whole left-most label, for example *.partner.example".to_owned(),
        ));
    }
    check_fqdn(text, name)
}

/// Checks a destination of a network rule.
pub(super) fn check_destination(text: &str) -> Result<(), Wrong> {
    match DestinationKind::of(text) {
        DestinationKind::Address => check_network(text),
        DestinationKind::ServiceTag => check_service_tag(text),
        DestinationKind::Fqdn if text.contains('*') => Err((
            format!("{text:?} has a wildcard, which network rules do not know"),
            "whole names; a wildcard belongs in an application rule".to_owned(),
        )),
        DestinationKind::Fqdn if text.chars().any(|c| c.is_ascii_uppercase()) => Err((
            format!("{text:?} mixes the spelling of names and of service tags"),
            "names in lower case (sftp.partner.example), service tags with their capitals (Storage.WestEurope)"
                .to_owned(),
        )),
        DestinationKind::Fqdn => check_fqdn(text, text),
    }
}

/// Checks a source of inbound traffic. A DNAT rule from everywhere also changes the source of traffic between networks (Azure
/// Firewall known issues), so everywhere has to be said in networks.
pub(super) fn check_source(text: &str) -> Result<(), Wrong> {
    let allowed = "IPv4 networks such as 203.0.113.0/24, addresses, or ranges such as 203.0.113.1-203.0.113.9";
    let everywhere = text.parse::<Ipv4Net>().is_ok_and(|net| net.prefix_len() == 0);
    if text == "*" || everywhere {
        return Err((
            format!("{text:?} would let everybody in, and change the source of traffic between networks too"),
            allowed.to_owned(),
        ));
    }
    check_network(text).map_err(|(problem, _)| (problem, allowed.to_owned()))
}

/// True if the destination is the whole internet or half of it.
pub(super) fn is_broad(destination: &str) -> bool {
    let broad_network = || destination.parse::<Ipv4Net>().is_ok_and(|net| net.prefix_len() <= 1);
    let broad_range = || range(destination).is_some_and(|(first, last)| u32::from(last) - u32::from(first) >= 1 << 31);
    destination == "*" || destination == "Internet" || broad_network() || broad_range()
}

/// True if the addresses of all destinations together are half of the internet or more.
pub(super) fn are_broad(destinations: &[String]) -> bool {
    let mut ranges: Vec<(u64, u64)> = destinations.iter().filter_map(|d| numbers(d)).collect();
    ranges.sort_unstable();
    let (mut covered, mut next) = (0, 0);
    for (first, last) in ranges {
        let first = first.max(next);
        if first <= last {
            covered += last - first + 1;
            next = last + 1;
        }
    }
    covered >= 1 << 31
}

/// The first and last address of a network, range or address, as numbers.
fn numbers(destination: &str) -> Option<(u64, u64)> {
    let network = |net: Ipv4Net| (net.network(), net.broadcast());
    let (first, last) = range(destination)
        .or_else(|| destination.parse().ok().map(network))
        .or_else(|| destination.parse().ok().map(|address| (address, address)))?;
    Some((u32::from(first).into(), u32::from(last).into()))
}

fn check_network(text: &str) -> Result<(), Wrong> {
    let allowed = "an IPv4 network such as 203.0.113.0/24, an address, a range such as 203.0.113.1-203.0.113.9, or *";
    if text == "*" || text.parse::<Ipv4Addr>().is_ok() || range(text).is_some() {
        return Ok(());
    }
    match text.parse::<Ipv4Net>() {
        Ok(net) if net == net.trunc() => Ok(()),
        Ok(net) => Err((
            format!("{text:?} has bits set behind its prefix length"),
            format!("{} for the network, {} for the address", net.trunc(), net.addr()),
        )),
        Err(_) => Err((format!("{text:?} is no IPv4 network or address"), allowed.to_owned())),
    }
}

fn range(text: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

/// A tag is letters and digits, with a region behind a dot if wanted: `AzureMonitor`, `Storage.WestEurope`.
fn check_service_tag(text: &str) -> Result<(), Wrong> {
    let parts: Vec<&str> = text.split('.').collect();
    let plain = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric());
    if parts.len() <= 2 && parts.iter().all(plain) && text.len() <= 80 {
        return Ok(());
    }
    Err((
        format!("{text:?} begins as a service tag but is none"),
        "service tags such as Storage.WestEurope; names in lower case".to_owned(),
    ))
}

fn check_fqdn(text: &str, name: &str) -> Result<(), Wrong> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() <= 253 && name.contains('.') && name.split('.').all(label) {
        return Ok(());
    }
    Err((
        format!("{text:?} is not a fully qualified name"),
        "labels of letters, digits and dashes with dots between, for example api.partner.example".to_owned(),
    ))
}

fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}
