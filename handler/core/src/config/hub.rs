//! One region's hub as the operator describes it: what exists already and what its spokes may reach.

use serde::{Deserialize, Serialize};

use super::ingress::Ingress;
use super::rules::OperatorRules;
use crate::ids::ResourceId;

/// One region's hub. Its network, firewall and NAT gateway exist already; Hubward never makes or deletes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hub {
    /// The Azure region, for example `westeurope` or `West Europe`.
    pub location: String,
    /// The hub's virtual network, the one with `AzureFirewallSubnet`.
    pub virtual_network: ResourceId,
    /// The Azure Firewall that every spoke's traffic passes.
    pub firewall: ResourceId,
    /// The NAT gateway whose one public address is the egress IP.
    pub nat_gateway: ResourceId,
    /// What workloads may reach besides what AKS itself needs. Without default, because Azure Firewall denies what no rule
    /// allows and a wrong guess would cut every application off at the switch.
    pub workload_egress: WorkloadEgress,
    /// The priority of our rule collection group in the firewall policy, 100 to 65000, lower is asked first.
    #[serde(default = "default_priority")]
    pub rule_collection_group_priority: u32,
    /// What the operator allows besides what AKS itself needs.
    #[serde(default)]
    pub rules: OperatorRules,
    /// How clients on the internet reach the clusters; without it Hubward leaves inbound traffic alone.
    #[serde(default)]
    pub ingress: Option<Ingress>,
}

/// What workloads may reach besides what AKS itself needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadEgress {
    /// The operator's rules, without the statement that they suffice: running clusters wait for their owner's acceptance.
    RequiredOnly,
    /// Also HTTP and HTTPS on ports 80 and 443 to everywhere.
    Web,
    /// The operator's rules, and the operator states that the workloads need nothing else.
    Rules,
}

/// True if two texts name the same Azure region; Azure writes both `West Europe` and `westeurope`.
#[must_use]
pub fn same_location(a: &str, b: &str) -> bool {
    region(a) == region(b)
}

/// The region's short name.
pub(super) fn region(location: &str) -> String {
    location
        .chars()
        .filter(|c| *c != ' ')
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

fn default_priority() -> u32 {
    500
}
