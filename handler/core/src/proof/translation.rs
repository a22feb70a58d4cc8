//! Source translation of network rules: the firewall sends what such a rule allows with the sender's own private address where
//! the policy says so, and to a public destination that is a packet without an answer.
//!
//! Application rules always translate (Azure Firewall snat-private-range.md). What a range covers in part, or a name that
//! may resolve into it, is not decided here.

use std::net::Ipv4Addr;

use super::Verdict;
use super::matching::address_range;
use super::routes::is_private_range;
use crate::blueprint::Destination;

/// `255.255.255.255/32` stands for "translate always" (Azure Firewall snat-private-range.md).
const ALWAYS: &str = "255.255.255.255/32";
/// Stands for the private ranges that IANA reserved.
const PRIVATE: &str = "IANAPrivateRanges";

/// The ranges of a policy's `snat.privateRanges` that reach into the internet.
#[derive(Clone, Debug, Default)]
pub(super) struct Untranslated {
    ranges: Vec<(String, Option<(Ipv4Addr, Ipv4Addr)>)>,
}

impl Untranslated {
    pub(super) fn of(ranges: &[&str]) -> Self {
        let reaching = ranges
            .iter()
            .filter(|text| **text != ALWAYS && !text.eq_ignore_ascii_case(PRIVATE))
            .map(|text| ((*text).to_owned(), address_range(text)))
            .filter(|(_, range)| range.is_none_or(|(low, high)| !is_private_range(low, high)));
        Self {
            ranges: reaching.collect(),
        }
    }

    /// What becomes of a flow that a network rule allows, if it is not simply let through.
    pub(super) fn answer(&self, destination: &Destination) -> Option<Verdict> {
        let literal = match destination {
            Destination::Network { target, .. } => address_range(target),
            Destination::Name { .. } | Destination::Tag { .. } => None,
        };
        if literal.is_some_and(|(low, high)| is_private_range(low, high)) {
            return None;
        }
        let met = self.ranges.iter().filter_map(|(text, range)| {
            let covered = match (literal, range) {
                (Some((first, last)), Some((low, high))) if *high < first || last < *low => return None,
                (Some((first, last)), Some((low, high))) => *low <= first && last <= *high,
                (None, Some((low, high))) => *low == Ipv4Addr::UNSPECIFIED && *high == Ipv4Addr::BROADCAST,
                (_, None) => false,
            };
            let reason = format!(
                "the policy's private range {text} takes the firewall's address from it, so no answer comes back"
            );
            Some(if covered {
                Verdict::Stopped(reason)
            } else {
                Verdict::Unsure(reason)
            })
        });
        met.min_by_key(Verdict::rank)
    }
}
