//! Who a frontend answers, and whether DNAT lets all of them in: a way in that is open to some replaces no way that was open to
//! more.
//!
//! Whatever cannot be listed counts against the replacement: a frontend whose clients are not known answers everybody, and a
//! rule's senders that nobody can list let nobody in.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::matching::address_range;
use crate::estate::strings;

/// Addresses from which nobody on the internet calls (RFC 6890, RFC 5771).
const NO_CLIENT: [(Ipv4Addr, Ipv4Addr); 8] = [
    (Ipv4Addr::new(0, 0, 0, 0), Ipv4Addr::new(0, 255, 255, 255)),
    (Ipv4Addr::new(10, 0, 0, 0), Ipv4Addr::new(10, 255, 255, 255)),
    (Ipv4Addr::new(100, 64, 0, 0), Ipv4Addr::new(100, 127, 255, 255)),
    (Ipv4Addr::new(127, 0, 0, 0), Ipv4Addr::new(127, 255, 255, 255)),
    (Ipv4Addr::new(169, 254, 0, 0), Ipv4Addr::new(169, 254, 255, 255)),
    (Ipv4Addr::new(172, 16, 0, 0), Ipv4Addr::new(172, 31, 255, 255)),
    (Ipv4Addr::new(192, 168, 0, 0), Ipv4Addr::new(192, 168, 255, 255)),
    (Ipv4Addr::new(224, 0, 0, 0), Ipv4Addr::BROADCAST),
];

/// A set of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    /// First and last addresses, in order, neither meeting nor touching.
    ranges: Vec<(u32, u32)>,
}

impl Addresses {
    /// All addresses.
    pub(super) fn all() -> Self {
        Self {
            ranges: vec![(0, u32::MAX)],
        }
    }

    /// The addresses of all `ranges`.
    pub(super) fn of(ranges: impl IntoIterator<Item = (Ipv4Addr, Ipv4Addr)>) -> Self {
        let mut all: Vec<(u32, u32)> = ranges
            .into_iter()
            .map(|(first, last)| (u32::from(first), u32::from(last)))
            .filter(|(first, last)| first <= last)
            .collect();
        all.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::new();
        for (first, last) in all {
            match merged.last_mut() {
                Some(open) if first <= open.1.saturating_add(1) => open.1 = open.1.max(last),
                Some(_) | None => merged.push((first, last)),
            }
        }
        Self { ranges: merged }
    }

    /// True if every address of `other` is one of these.
    pub(super) fn hold(&self, other: &Self) -> bool {
        let inside = |(first, last): &(u32, u32)| self.ranges.iter().any(|(low, high)| low <= first && last <= high);
        other.ranges.iter().all(inside)
    }
}

/// The clients that a DNAT rule lets in, and beside them every address that no client on the internet has.
pub(super) fn let_in_by<'a>(rules: impl IntoIterator<Item = &'a Value>) -> Addresses {
    let senders = rules.into_iter().flat_map(|rule| strings(rule, "/sourceAddresses"));
    let ranges = senders.filter_map(|text| match text {
        "*" => Some((Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST)),
        other => address_range(other),
    });
    Addresses::of(ranges.chain(NO_CLIENT))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds_everybody(senders: &[&str]) -> bool {
        let rule = json!({"sourceAddresses": senders});
        let_in_by([&rule]).hold(&Addresses::all())
    }

    #[test]
    fn only_senders_that_are_every_public_address_are_everybody() {
        for everybody in [
            vec!["*"],
            vec!["0.0.0.0/0"],
            vec!["0.0.0.0/1", "128.0.0.0/1"],
            vec!["1.0.0.0-223.255.255.255"],
        ] {
            assert!(holds_everybody(&everybody), "{everybody:?}");
        }
        for some in [
            vec![],
            vec!["192.0.2.0/24"],
            vec!["0.0.0.0/1"],
            vec!["1.0.0.0-198.51.100.6", "198.51.100.8-223.255.255.255"],
            vec!["AzureCloud"],
        ] {
            assert!(!holds_everybody(&some), "{some:?}");
        }
        let groups = json!({"sourceIpGroups": ["/subscriptions/s/ipGroups/g"]});
        assert!(
            !let_in_by([&groups]).hold(&Addresses::all()),
            "nobody lists an IP group"
        );
    }

    #[test]
    fn several_rules_let_in_together_what_none_does_alone() {
        let halves = [
            json!({"sourceAddresses": ["192.0.2.0/25"]}),
            json!({"sourceAddresses": ["192.0.2.128/25"]}),
        ];
        let wanted = Addresses::of(address_range("192.0.2.0/24"));
        assert!(let_in_by(&halves).hold(&wanted));
        assert!(!let_in_by(&halves[..1]).hold(&wanted));
    }
}
