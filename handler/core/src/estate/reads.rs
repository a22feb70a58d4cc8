//! What to read next. The shell asks again after each round until nothing more is wanted; the choice of what matters
//! stays here, where it can be tested without Azure. A read that found nothing is not asked for twice.

use std::collections::BTreeSet;

use super::Estate;
use crate::blueprint;
use crate::config::{Config, Hub};
use crate::ids::ResourceId;

/// What a piece of work is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A cluster and the spoke it lives in.
    Spoke {
        /// The cluster.
        cluster: ResourceId,
    },
    /// A hub, by its name in the configuration.
    Hub {
        /// The name in the configuration.
        name: String,
    },
}

/// The ids that should be read before the estate can be judged; empty when the estate is complete for `subject`.
#[must_use]
pub fn wanted_reads(estate: &Estate, config: &Config, subject: &Subject) -> BTreeSet<ResourceId> {
    let mut wanted = BTreeSet::new();
    match subject {
        Subject::Spoke { cluster } => spoke_reads(estate, config, cluster, &mut wanted),
        Subject::Hub { name } => {
            if let Some(hub) = config.hubs.get(name) {
                hub_reads(estate, config, hub, &mut wanted);
            }
        }
    }
    wanted.retain(|id| !estate.knows(id));
    wanted
}

/// The firewall's policy and its parents, child first. Bounded, because a policy has at most one parent level in Azure
/// and a document could still name itself.
#[must_use]
pub fn policy_chain(estate: &Estate, hub: &Hub) -> Vec<ResourceId> {
    const LEVELS: usize = 4;
    let mut chain: Vec<ResourceId> = Vec::new();
    let mut next = estate.firewall(&hub.firewall).and_then(|f| f.policy());
    while let Some(id) = next {
        if chain.len() == LEVELS || chain.contains(&id) {
            break;
        }
        next = estate.policy(&id).and_then(|p| p.base());
        chain.push(id);
    }
    chain
}

/// All rule collection groups that the firewall evaluates, with our own even if it does not exist yet.
#[must_use]
pub fn rule_collection_groups(estate: &Estate, config: &Config, hub: &Hub) -> BTreeSet<ResourceId> {
    let chain = policy_chain(estate, hub);
    let mut groups: BTreeSet<ResourceId> = chain
        .iter()
        .filter_map(|id| estate.policy(id))
        .flat_map(|policy| policy.rule_collection_groups())
        .collect();
    groups.extend(
        chain
            .first()
            .map(|policy| blueprint::rule_collection_group_id(config, policy)),
    );
    groups
}

fn spoke_reads(estate: &Estate, config: &Config, id: &ResourceId, wanted: &mut BTreeSet<ResourceId>) {
    wanted.insert(id.clone());
    let Some(cluster) = estate.cluster(id) else { return };
    let Some((_, hub)) = config.hub_for_location(cluster.location()) else {
        return;
    };
    hub_reads(estate, config, hub, wanted);
    if let Some(group) = cluster.node_resource_group() {
        // AKS names its load balancer `kubernetes` (AKS load-balancer-standard.md).
        wanted.insert(ResourceId::in_group(
            id.subscription(),
            group,
            "Microsoft.Network/loadBalancers",
            "kubernetes",
        ));
    }
    for vnet_id in cluster.subnets().iter().filter_map(ResourceId::parent) {
        if let Some(vnet) = estate.vnet(&vnet_id) {
            // All subnets, not only the cluster's: two clusters may share the network.
            wanted.extend(vnet.subnets().iter().filter_map(|s| s.route_table()));
            wanted.insert(blueprint::route_table_id(config, &vnet_id));
        }
        wanted.insert(vnet_id);
    }
}

fn hub_reads(estate: &Estate, config: &Config, hub: &Hub, wanted: &mut BTreeSet<ResourceId>) {
    wanted.extend([
        hub.virtual_network.clone(),
        hub.firewall.clone(),
        hub.nat_gateway.clone(),
    ]);
    wanted.extend(policy_chain(estate, hub));
    wanted.extend(rule_collection_groups(estate, config, hub));
    if let Some(nat) = estate.nat_gateway(&hub.nat_gateway) {
        wanted.extend(nat.public_ips());
    }
    let firewall_subnet = estate.firewall(&hub.firewall).and_then(|f| f.subnet());
    if let Some(table) = firewall_subnet
        .and_then(|id| estate.subnet(&id))
        .and_then(|subnet| subnet.route_table())
    {
        wanted.insert(table);
    }
}
