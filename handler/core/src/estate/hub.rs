//! Views of the hub's firewall, its policy and its NAT gateway.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::access::{at_rest, flag, has_failed, id, ids, list, strings, succeeded, text};
use crate::ids::ResourceId;

/// Typed reading of a firewall.
#[derive(Clone, Copy, Debug)]
pub struct FirewallView<'a> {
    body: &'a Value,
}

/// Typed reading of a firewall policy.
#[derive(Clone, Copy, Debug)]
pub struct PolicyView<'a> {
    body: &'a Value,
}

/// Typed reading of a NAT gateway.
#[derive(Clone, Copy, Debug)]
pub struct NatGatewayView<'a> {
    body: &'a Value,
}

impl<'a> FirewallView<'a> {
    /// A view on `body`.
    #[must_use]
    pub fn new(body: &'a Value) -> Self {
        Self { body }
    }

    /// The private address to which spokes route. A deallocated firewall has none, and it may change when the firewall
    /// comes back (Azure Firewall known issues), so it is read at every observation.
    #[must_use]
    pub fn private_ip(&self) -> Option<Ipv4Addr> {
        list(self.body, "/properties/ipConfigurations")
            .iter()
            .find_map(|c| text(c, "/properties/privateIPAddress"))
            .and_then(|t| t.parse().ok())
    }

    /// The policy that holds the rules.
    #[must_use]
    pub fn policy(&self) -> Option<ResourceId> {
        id(self.body, "/properties/firewallPolicy/id")
    }

    /// The subnet in which the firewall lives.
    #[must_use]
    pub fn subnet(&self) -> Option<ResourceId> {
        list(self.body, "/properties/ipConfigurations")
            .iter()
            .find_map(|c| id(c, "/properties/subnet/id"))
    }

    /// The region.
    #[must_use]
    pub fn location(&self) -> &'a str {
        text(self.body, "/location").unwrap_or_default()
    }

    /// All public addresses that are attached, in Azure's order.
    #[must_use]
    pub fn public_ips(&self) -> Vec<ResourceId> {
        self.attached(|_, _| true)
    }

    /// The public addresses beyond the firewall's own. The first configuration, the one with the subnet, is what the firewall
    /// itself stands on and cannot be taken away (Azure Firewall deploy-multi-public-ip).
    #[must_use]
    pub fn further_public_ips(&self) -> Vec<ResourceId> {
        self.attached(|at, configuration| at > 0 && id(configuration, "/properties/subnet/id").is_none())
    }

    fn attached(&self, which: impl Fn(usize, &Value) -> bool) -> Vec<ResourceId> {
        list(self.body, "/properties/ipConfigurations")
            .iter()
            .enumerate()
            .filter(|(at, configuration)| which(*at, configuration))
            .filter_map(|(_, configuration)| id(configuration, "/properties/publicIPAddress/id"))
            .collect()
    }

    /// True if no write is under way on the firewall.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        at_rest(self.body)
    }

    /// True if the last write failed: the firewall's instances may hold a mixture of configurations (Azure Firewall FAQ).
    #[must_use]
    pub fn has_failed(&self) -> bool {
        has_failed(self.body)
    }
}

impl<'a> PolicyView<'a> {
    /// A view on `body`.
    #[must_use]
    pub fn new(body: &'a Value) -> Self {
        Self { body }
    }

    /// The parent policy, whose collections are evaluated before this one's.
    #[must_use]
    pub fn base(&self) -> Option<ResourceId> {
        id(self.body, "/properties/basePolicy/id")
    }

    /// The rule collection groups, as the policy lists them.
    #[must_use]
    pub fn rule_collection_groups(&self) -> Vec<ResourceId> {
        ids(self.body, "/properties/ruleCollectionGroups")
    }

    /// True if the firewall answers DNS for its clients, the condition for names in network rules. The setting is not
    /// inherited from a parent policy (Azure Firewall known issues).
    #[must_use]
    pub fn dns_proxy(&self) -> bool {
        flag(self.body, "/properties/dnsSettings/enableProxy").unwrap_or(false)
    }

    /// The resolvers the firewall asks; empty means Azure's own.
    #[must_use]
    pub fn dns_servers(&self) -> Vec<&'a str> {
        strings(self.body, "/properties/dnsSettings/servers")
    }

    /// True if no write is under way on the policy.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        at_rest(self.body)
    }

    /// The addresses to which network rules send with the sender's own address instead of the firewall's; what they say in
    /// place of `IANAPrivateRanges` is as Azure has it. Empty means the private ranges of IANA (Azure Firewall snat-private-range.md).
    #[must_use]
    pub fn untranslated_ranges(&self) -> Vec<&'a str> {
        strings(self.body, "/properties/snat/privateRanges")
    }

    /// True if Microsoft's list of malicious addresses and names stops traffic before any rule (Azure Firewall threat-intel.md).
    #[must_use]
    pub fn threat_intelligence_denies(&self) -> bool {
        text(self.body, "/properties/threatIntelMode").is_some_and(|mode| mode.eq_ignore_ascii_case("Deny"))
    }

    /// True if intrusion detection stops traffic that looks like an attack (Azure Firewall premium-features.md).
    #[must_use]
    pub fn intrusion_detection_denies(&self) -> bool {
        text(self.body, "/properties/intrusionDetection/mode").is_some_and(|mode| mode.eq_ignore_ascii_case("Deny"))
    }

    /// True if the last write on the policy ended badly.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        has_failed(self.body)
    }

    /// True if the last write on the policy ended well.
    #[must_use]
    pub fn is_succeeded(&self) -> bool {
        succeeded(self.body)
    }
}

impl<'a> NatGatewayView<'a> {
    /// A view on `body`.
    #[must_use]
    pub fn new(body: &'a Value) -> Self {
        Self { body }
    }

    /// The public IP addresses (IPv4). `publicIpAddresses` has a small `p` here (natGateway.json).
    #[must_use]
    pub fn public_ips(&self) -> Vec<ResourceId> {
        ids(self.body, "/properties/publicIpAddresses")
    }

    /// The public IP prefixes; any of them makes more than one egress address possible.
    #[must_use]
    pub fn public_ip_prefixes(&self) -> Vec<ResourceId> {
        ids(self.body, "/properties/publicIpPrefixes")
    }
}
