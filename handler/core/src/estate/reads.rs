//! What to read next. The shell asks again after each round until nothing more is wanted; the choice of what matters
//! stays here, where it can be tested without Azure. A read that found nothing is not asked for twice.

use std::collections::BTreeSet;

use super::{ClusterView, Estate, Kind, Listing};
use crate::blueprint::{self, Footprint};
use crate::config::{AddressSource, Config, Hub};
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
    /// A cluster that is taken off its hubs, by what its wiring touched.
    Offboard {
        /// What it touched.
        footprint: Box<Footprint>,
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
                ingress_reads(estate, config, hub, &mut wanted);
            }
        }
        Subject::Offboard { footprint } => offboard_reads(estate, config, footprint, &mut wanted),
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
    balancer_reads(estate, &cluster, wanted);
    for (_, other) in clusters(estate).filter(|(other_id, _)| *other_id != id) {
        if shares_network(&cluster, &other) {
            balancer_reads(estate, &other, wanted);
        }
    }
    if hub.ingress.is_some() {
        wanted.insert(blueprint::application_group_id(config, id));
        wanted.insert(blueprint::application_address_id(config, id));
        if blueprint::named_target(hub, id, &cluster).is_some() {
            wanted.extend(cluster.internal_balancer_id());
        }
    }
    // On their own, beside their network: a switch starts from the subnet and is compared with it, and Azure may show a
    // subnet within its network with fewer fields or in another form.
    for subnet in cluster.subnets() {
        wanted.extend(estate.subnet(&subnet).and_then(|s| s.route_table()));
        wanted.extend(estate.subnet(&subnet).and_then(|s| s.security_group()));
        wanted.insert(subnet);
    }
    for vnet_id in cluster.subnets().iter().filter_map(ResourceId::parent) {
        if let Some(vnet) = estate.vnet(&vnet_id) {
            // All subnets, not only the cluster's: two clusters may share the network.
            wanted.extend(vnet.subnets().iter().filter_map(|s| s.route_table()));
            wanted.extend(blueprint::spoke_table(estate, config, &cluster).map(|table| table.id));
        }
        wanted.insert(vnet_id);
    }
    wanted.extend(unlisted_grants(estate, config, id, &cluster, hub));
}

/// The role assignments that the list lacks, by their names: a list may lag behind a write, and what it lacks is written.
fn unlisted_grants(
    estate: &Estate,
    config: &Config,
    id: &ResourceId,
    cluster: &ClusterView<'_>,
    hub: &Hub,
) -> Vec<ResourceId> {
    let facts = blueprint::hub_facts(estate, hub).ok();
    let blueprint = facts.and_then(|facts| blueprint::spoke_blueprint(estate, config, hub, &facts, cluster));
    let grants = blueprint.map(|blueprint| blueprint::grants(config, hub, id, cluster, &blueprint));
    let mut grants = grants.unwrap_or_default();
    grants.retain(|grant| {
        let listed = estate.role_assignments(grant.scope.subscription(), &grant.principal);
        listed.is_some_and(|all| {
            !all.iter()
                .any(|one| one.covers(&grant.scope) && one.gives(&grant.principal, &grant.definition))
        })
    });
    grants.into_iter().map(|grant| grant.id).collect()
}

/// The public load balancer, and the addresses that it serves somebody at.
fn balancer_reads(estate: &Estate, cluster: &ClusterView<'_>, wanted: &mut BTreeSet<ResourceId>) {
    let Some(id) = cluster.load_balancer_id() else { return };
    let frontends = estate.balancer(&id).map(|b| b.frontends()).unwrap_or_default();
    let serving = frontends.into_iter().filter(|frontend| !frontend.ports.is_empty());
    wanted.extend(serving.filter_map(|frontend| frontend.public_ip));
    wanted.insert(id);
}

/// The addresses of the firewall that clusters may have, and those that Hubward would make next.
fn ingress_reads(estate: &Estate, config: &Config, hub: &Hub, wanted: &mut BTreeSet<ResourceId>) {
    let (Some(ingress), Some(firewall)) = (&hub.ingress, estate.firewall(&hub.firewall)) else {
        return;
    };
    wanted.extend(firewall.further_public_ips());
    if ingress.addresses == AddressSource::Managed {
        let ahead = ingress_addresses_ahead(&firewall.public_ips(), config, hub);
        wanted.extend(ahead.into_iter().map(|number| ingress_address_id(config, hub, number)));
    }
}

/// The id of the public IP of this number that Hubward makes for the firewall, beside it.
#[must_use]
pub(crate) fn ingress_address_id(config: &Config, hub: &Hub, number: usize) -> ResourceId {
    ResourceId::in_group(
        hub.firewall.subscription(),
        hub.firewall.resource_group().unwrap_or_default(),
        "Microsoft.Network/publicIPAddresses",
        &format!("{}-ingress-{number:02}", config.naming.prefix),
    )
}

/// The numbers of addresses that are not attached and may be made or attached next. Bounded, so that a look at the hub reads
/// few; the next look finds further ones.
#[must_use]
pub(crate) fn ingress_addresses_ahead(attached: &[ResourceId], config: &Config, hub: &Hub) -> Vec<usize> {
    const AHEAD: usize = 8;
    (1..=attached.len() + AHEAD)
        .filter(|number| !attached.contains(&ingress_address_id(config, hub, *number)))
        .take(AHEAD)
        .collect()
}

/// The lists without which the subject cannot be judged: who else lives in the subnets of a switch, unless they are led to the
/// firewall already, or of an unwiring; and what a cluster's identity may do.
#[must_use]
pub fn wanted_lists(estate: &Estate, config: &Config, subject: &Subject) -> BTreeSet<Listing> {
    let mut wanted = BTreeSet::new();
    let all_of = |subscription: &str| Listing::Clusters {
        subscription: subscription.to_owned(),
    };
    match subject {
        Subject::Spoke { cluster: id } => {
            if let Some(cluster) = estate.cluster(id) {
                let known = cluster.subnets().iter().any(|subnet| estate.subnet(subnet).is_some());
                if known && !blueprint::is_led(estate, config, &cluster) {
                    wanted.insert(all_of(id.subscription()));
                }
                wanted.extend(blueprint::lists_of_rights(config, id, &cluster));
                let nearby = clusters(estate).map(|(_, other)| other);
                let serving = nearby.filter(|other| shares_network(&cluster, other) && serves(estate, other));
                wanted.extend(serving.filter_map(|other| Listing::of_interfaces(&other)));
            }
        }
        // AKS takes only networks of the cluster's own subscription.
        Subject::Offboard { footprint } => {
            if footprint.vnets().iter().any(|vnet| estate.vnet(vnet).is_some()) {
                wanted.insert(all_of(footprint.cluster.subscription()));
            }
        }
        Subject::Hub { .. } => {}
    }
    wanted.retain(|listing| !estate.has_listed(listing));
    wanted
}

/// True if a load balancer of the cluster that was read serves somebody.
fn serves(estate: &Estate, cluster: &ClusterView<'_>) -> bool {
    let balancers = [cluster.load_balancer_id(), cluster.internal_balancer_id()];
    let mut read = balancers.into_iter().flatten().filter_map(|id| estate.balancer(&id));
    read.any(|balancer| balancer.frontends().iter().any(|frontend| !frontend.ports.is_empty()))
}

/// True if a listed cluster lives in the network of the subject's cluster and belongs into the estate.
pub(super) fn is_neighbour(estate: &Estate, subject: &Subject, listed: &ClusterView<'_>) -> bool {
    match subject {
        Subject::Spoke { cluster: id } => {
            listed.id().as_ref() != Some(id) && estate.cluster(id).is_some_and(|own| shares_network(&own, listed))
        }
        Subject::Offboard { footprint } => {
            let vnets = footprint.vnets();
            let mut networks = listed.subnets().into_iter().filter_map(|subnet| subnet.parent());
            listed.id().as_ref() != Some(&footprint.cluster) && networks.any(|vnet| vnets.contains(&vnet))
        }
        Subject::Hub { .. } => false,
    }
}

fn offboard_reads(estate: &Estate, config: &Config, footprint: &Footprint, wanted: &mut BTreeSet<ResourceId>) {
    wanted.insert(footprint.cluster.clone());
    wanted.extend(footprint.roles.iter().cloned());
    wanted.extend(footprint.address_group.clone());
    wanted.extend(footprint.application_address.clone());
    for place in &footprint.places {
        if let Some(hub) = config.hubs.get(&place.hub) {
            hub_reads(estate, config, hub, wanted);
        }
        wanted.extend([place.vnet.clone(), place.route_table.clone()]);
        if let Some(vnet) = estate.vnet(&place.vnet) {
            wanted.extend(vnet.subnets().iter().filter_map(|s| s.route_table()));
            wanted.extend(place.subnets.iter().cloned());
        }
    }
}

fn clusters(estate: &Estate) -> impl Iterator<Item = (&ResourceId, ClusterView<'_>)> {
    estate
        .iter()
        .filter(|(id, _)| Kind::of(id) == Some(Kind::ManagedCluster))
        .filter_map(|(id, _)| Some((id, estate.cluster(id)?)))
}

fn shares_network(one: &ClusterView<'_>, other: &ClusterView<'_>) -> bool {
    let networks =
        |c: &ClusterView<'_>| -> BTreeSet<ResourceId> { c.subnets().iter().filter_map(ResourceId::parent).collect() };
    !networks(one).is_disjoint(&networks(other))
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
