//! A contribution: what one cluster needs from its hub. The ledger keeps one document per cluster, and the hub's rules
//! are built from all of them, so that a hub's work never has to read a cluster.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::catalogue::Feature;
use crate::estate::{ClusterView, Estate};
use crate::ids::ResourceId;

/// What one cluster needs from its hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// The cluster.
    pub cluster: ResourceId,
    /// The hub's name in the configuration.
    pub hub: String,
    /// The prefixes from which the cluster's nodes and pods send, in order.
    pub prefixes: Vec<Ipv4Net>,
    /// The API server's public name, unless it is private.
    pub api_server: Option<String>,
    /// The features that bring needs.
    pub features: BTreeSet<Feature>,
}

/// What `cluster` needs from `hub`, or `None` while one of its subnets is unknown: a contribution with a missing prefix
/// would look complete and leave nodes without rules.
#[must_use]
pub fn contribution(estate: &Estate, id: &ResourceId, cluster: &ClusterView<'_>, hub: &str) -> Option<Contribution> {
    let mut prefixes = Vec::new();
    for subnet in cluster.subnets() {
        prefixes.extend(estate.subnet(&subnet)?.prefixes());
    }
    prefixes.sort();
    prefixes.dedup();
    if prefixes.is_empty() {
        return None;
    }
    let pools = cluster.pools();
    let api_server = cluster
        .api_server()
        .filter(|_| !cluster.api_server_is_private())
        .map(str::to_ascii_lowercase);
    let features = [
        (Feature::Always, true),
        (Feature::Linux, pools.iter().any(|p| !p.windows)),
        (Feature::Windows, pools.iter().any(|p| p.windows)),
        (Feature::PublicApiServer, api_server.is_some()),
    ];
    Some(Contribution {
        cluster: id.clone(),
        hub: hub.to_owned(),
        prefixes,
        api_server,
        features: features.into_iter().filter(|(_, on)| *on).map(|(f, _)| f).collect(),
    })
}
