//! How clients on the internet reach the clusters of a hub: which of the firewall's addresses are given out, which ports are
//! translated, and for whom.
//!
//! Without the section `[hubs.NAME.ingress]` Hubward leaves inbound traffic alone. Without `sources` addresses are reserved and
//! nothing is opened: nothing of ours is exposed to the internet by default.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::address;
use crate::ids::ResourceId;

/// Ports that a DNAT rule takes; Azure Firewall does not support the ones above (Azure Firewall known issues).
const PORTS: RangeInclusive<u16> = 1..=63_999;

/// The longest quarantine, in hours: a year.
const LONGEST_QUARANTINE: u32 = 8_760;

/// The most addresses a firewall takes (Azure Firewall limits).
const MOST_ADDRESSES: u32 = 249;

/// How clients on the internet reach the clusters of a hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ingress {
    /// Who attaches public addresses to the firewall.
    pub addresses: AddressSource,
    /// TCP ports that are translated to the same port of each cluster's target.
    pub ports: Vec<u16>,
    /// Who may come in: IPv4 networks, addresses or ranges. Empty: addresses are reserved and nothing opens.
    pub sources: Vec<String>,
    /// `managed`: how many attached addresses are kept free for the next clusters.
    pub spare: u32,
    /// For how many hours an address that a deleted cluster had goes to nobody else.
    pub quarantine_hours: u32,
    /// Clusters whose target is not their application address.
    pub targets: Vec<IngressTarget>,
}

/// Who attaches public addresses to the firewall.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressSource {
    /// The hub's owner; Hubward reserves those beyond the first.
    #[default]
    Provided,
    /// Hubward makes them and attaches them, which is a full update of the firewall.
    Managed,
}

/// Where one cluster's inbound traffic goes instead of its application address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngressTarget {
    /// The cluster.
    pub cluster: ResourceId,
    /// An address of its internal load balancer, or of a public frontend that it has already.
    pub address: Ipv4Addr,
}

impl Default for Ingress {
    fn default() -> Self {
        Self {
            addresses: AddressSource::Provided,
            ports: vec![80, 443],
            sources: Vec::new(),
            spare: 1,
            quarantine_hours: 168,
            targets: Vec::new(),
        }
    }
}

impl Ingress {
    /// True if somebody may come in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.sources.is_empty()
    }

    /// The address that the configuration names for a cluster.
    #[must_use]
    pub fn target_of(&self, cluster: &ResourceId) -> Option<Ipv4Addr> {
        self.targets.iter().find(|t| t.cluster == *cluster).map(|t| t.address)
    }
}

/// Checks the section at `path`.
///
/// # Errors
/// The first field at fault.
pub(super) fn check(path: &str, ingress: &Ingress) -> Result<(), ConfigError> {
    if ingress.ports.is_empty() {
        return refuse(
            format!("{path}.ports"),
            "is empty",
            "ports such as [80, 443]; leave sources empty to open nothing",
        );
    }
    for (index, port) in ingress.ports.iter().enumerate() {
        let field = format!("{path}.ports[{index}]");
        if !PORTS.contains(port) {
            return refuse(field, format!("{port} is out of range"), "1 to 63999");
        }
        if ingress.ports[..index].contains(port) {
            return refuse(field, format!("{port} is there twice"), "each port once");
        }
    }
    for (index, source) in ingress.sources.iter().enumerate() {
        address::check_source(source)
            .or_else(|(problem, allowed)| refuse(format!("{path}.sources[{index}]"), problem, allowed))?;
    }
    if ingress.spare > MOST_ADDRESSES {
        let problem = format!("{} is out of range", ingress.spare);
        return refuse(
            format!("{path}.spare"),
            problem,
            format!("0 to {MOST_ADDRESSES}, the addresses that a firewall takes beside its own"),
        );
    }
    if ingress.quarantine_hours > LONGEST_QUARANTINE {
        let problem = format!("{} is out of range", ingress.quarantine_hours);
        return refuse(
            format!("{path}.quarantine_hours"),
            problem,
            format!("0 to {LONGEST_QUARANTINE} hours, a year"),
        );
    }
    check_targets(path, &ingress.targets)
}

fn check_targets(path: &str, targets: &[IngressTarget]) -> Result<(), ConfigError> {
    const CLUSTER: &str = "Microsoft.ContainerService/managedClusters";
    for (index, target) in targets.iter().enumerate() {
        let field = format!("{path}.targets[{index}].cluster");
        if !target.cluster.is_type(CLUSTER) {
            return refuse(
                field,
                format!("{} is no cluster", target.cluster),
                format!("the id of a {CLUSTER}"),
            );
        }
        if targets[..index].iter().any(|other| other.cluster == target.cluster) {
            return refuse(
                field,
                format!("{} has a target already", target.cluster.name()),
                "one target for each cluster",
            );
        }
    }
    Ok(())
}

fn refuse(field: String, problem: impl AsRef<str>, allowed: impl AsRef<str>) -> Result<(), ConfigError> {
    Err(ConfigError::of(field, problem, allowed))
}
