//! Addresses and ports as rules write them: `*`, one address, a prefix, a range `a-b`. Everything else (service tags,
//! malformed text) covers nothing here.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// Whether an entry of a rule or IP group covers an address.
pub(super) fn covers(entry: &str, address: Ipv4Addr) -> bool {
    let entry = entry.trim();
    if entry == "*" || entry.eq_ignore_ascii_case("any") {
        return true;
    }
    if let Ok(prefix) = entry.parse::<Ipv4Net>() {
        return prefix.contains(&address);
    }
    if let Ok(one) = entry.parse::<Ipv4Addr>() {
        return one == address;
    }
    match entry.split_once('-') {
        Some((first, last)) => match (first.trim().parse::<Ipv4Addr>(), last.trim().parse::<Ipv4Addr>()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&address),
            _ => false,
        },
        None => false,
    }
}

/// Whether an entry such as `443`, `80-90` or `*` covers a port.
pub(super) fn covers_port(entry: &str, port: u16) -> bool {
    let entry = entry.trim();
    if entry == "*" {
        return true;
    }
    let (first, last) = entry.split_once('-').unwrap_or((entry, entry));
    match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
        (Ok(first), Ok(last)) => (first..=last).contains(&port),
        _ => false,
    }
}

/// Whether an address lies in the ranges Azure treats as private by default: RFC 1918 and RFC 6598.
pub(super) fn is_private(address: Ipv4Addr) -> bool {
    PRIVATE.iter().any(|range| covers(range, address))
}

/// The ranges without a way to the internet: system routes to `None`, and no source translation by the firewall
/// (azure-domain 3.4, "SNAT private ranges").
pub(super) const PRIVATE: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"];
