//! How long Azure takes, in Azure seconds, per kind and verb: ranges from real traffic, drawn by the seed.
//! Every figure names its source in `arm-behaviour` section 6; a kind without a measurement takes its nearest sibling's.

use crate::draws::{Draws, fraction};
use crate::kinds::Kind;
use time::Duration;

/// Minimum, median and maximum of one operation, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

const fn range(min: f64, median: f64, max: f64) -> Range {
    Range { min, median, max }
}

/// What a write does, as far as its duration is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Update,
    Delete,
}

/// The range for one write; `firewall_attached` says that a firewall has to take the change over.
pub(crate) fn range_for(kind: Kind, verb: Verb, firewall_attached: bool) -> Range {
    match (kind, verb) {
        (Kind::ManagedCluster | Kind::AgentPool, Verb::Create) => range(150.0, 290.0, 420.0),
        (Kind::ManagedCluster | Kind::AgentPool, Verb::Update) => range(170.0, 180.0, 240.0),
        (Kind::ManagedCluster | Kind::AgentPool, Verb::Delete) => range(180.0, 290.0, 420.0),
        (Kind::AzureFirewall, Verb::Create) => range(781.0, 900.0, 1152.0),
        (Kind::AzureFirewall, Verb::Delete) => range(300.0, 381.0, 480.0),
        (Kind::AzureFirewall, Verb::Update) => range(180.0, 235.0, 300.0),
        (Kind::FirewallPolicy | Kind::RuleCollectionGroup, _) if firewall_attached => range(180.0, 235.0, 300.0),
        (Kind::FirewallPolicy | Kind::RuleCollectionGroup, _) => range(3.0, 9.0, 14.0),
        (Kind::VirtualNetwork | Kind::NetworkSecurityGroup, Verb::Create) => range(2.0, 4.0, 56.0),
        (Kind::VirtualNetwork | Kind::NetworkSecurityGroup, Verb::Update) => range(2.0, 3.0, 20.0),
        (Kind::Subnet, Verb::Create | Verb::Update) => range(1.0, 3.0, 4.0),
        (Kind::Peering, _) => range(8.0, 10.0, 11.0),
        (Kind::RouteTable, Verb::Create | Verb::Update) => range(5.0, 11.0, 21.0),
        (Kind::Route, Verb::Create | Verb::Update) => range(3.0, 8.0, 10.0),
        (Kind::PublicIp, Verb::Create | Verb::Update) => range(0.5, 2.0, 31.0),
        (Kind::PublicIp, Verb::Delete) => range(3.0, 10.0, 102.0),
        (Kind::NatGateway | Kind::LoadBalancer, Verb::Create | Verb::Update) => range(3.0, 8.0, 10.0),
        (Kind::ResourceGroup, _) => range(20.0, 45.0, 180.0),
        // Synchronous: less than 2 s.
        (Kind::UserAssignedIdentity | Kind::RoleAssignment, _) => range(0.5, 1.0, 2.0),
        (_, Verb::Delete) => range(3.0, 10.0, 11.0),
    }
}

/// One draw. Half lies below the median, most of the rest close above it, and about one in thirty far out in the
/// tail, as in the measured samples.
pub(crate) fn draw(draws: Draws, purpose: &str, range: Range) -> Duration {
    let mut rng = draws.rng(purpose);
    let (which, place) = (fraction(&mut rng), fraction(&mut rng));
    let near = range.median + (range.max - range.median) * 0.25;
    let seconds = if which < 0.5 {
        range.min + (range.median - range.min) * place
    } else if which < 0.97 {
        range.median + (near - range.median) * place
    } else {
        near + (range.max - near) * place
    };
    Duration::milliseconds((seconds * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_in_their_range_and_half_lie_below_the_median() {
        let range = range_for(Kind::RuleCollectionGroup, Verb::Update, true);
        let drawn: Vec<f64> = (0..400)
            .map(|n| draw(Draws::new(3), &n.to_string(), range).as_seconds_f64())
            .collect();
        assert!(drawn.iter().all(|s| (range.min..=range.max).contains(s)));
        let below = drawn.iter().filter(|s| **s <= range.median).count();
        assert!((160..240).contains(&below), "{below} of 400 below the median");
    }

    #[test]
    fn a_rule_collection_group_is_slow_only_with_a_firewall_attached() {
        assert_eq!(range_for(Kind::RuleCollectionGroup, Verb::Create, false).max, 14.0);
        assert_eq!(range_for(Kind::RuleCollectionGroup, Verb::Create, true).min, 180.0);
    }
}
