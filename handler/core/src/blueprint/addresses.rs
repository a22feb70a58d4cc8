//! Which of the firewall's public addresses belongs to which cluster.
//!
//! A cluster keeps its address for ever; the address of one that is gone waits in quarantine, because clients and other
//! people's allow lists still know it. Nothing is given out that somebody else's DNAT rule takes or that the scope excludes, and
//! a lost record is found again in the rules themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::Contribution;
use super::group::{part_in, part_of};
use super::ingress::{destination, is_our_dnat, our_dnat_rules};
use crate::config::{Config, Hub};
use crate::estate::{Estate, dnat_rules, is_in_force, policy_chain, public_address, rule_collection_groups};
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;
use crate::names;
use crate::proof::covers;

/// Public addresses and different DNAT destinations of one firewall together (Azure Firewall limits).
pub(crate) const MOST_DESTINATIONS: usize = 250;

/// Who has which address of a hub's firewall. What is not in it is free.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservations {
    /// By address.
    pub addresses: BTreeMap<Ipv4Addr, Reserved>,
    /// The clusters for which no address was free when the hub last looked.
    #[serde(default)]
    pub unserved: BTreeSet<ResourceId>,
}

/// An address that is not free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// The public IP resource.
    pub address: ResourceId,
    /// Whose it is, or was.
    pub cluster: ResourceId,
    /// Until when it goes to nobody else; `None` while its cluster exists.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub quarantined_until: Option<OffsetDateTime>,
}

impl Reservations {
    /// The address of a cluster.
    #[must_use]
    pub fn of(&self, cluster: &ResourceId) -> Option<(Ipv4Addr, &Reserved)> {
        self.addresses
            .iter()
            .find(|(_, reserved)| reserved.cluster == *cluster && reserved.quarantined_until.is_none())
            .map(|(address, reserved)| (*address, reserved))
    }

    /// The cluster is gone and so are its rules: its address rests until `until`.
    pub fn retire(&mut self, cluster: &ResourceId, until: OffsetDateTime) {
        self.unserved.remove(cluster);
        let own = self.addresses.values_mut();
        for reserved in own.filter(|r| r.cluster == *cluster && r.quarantined_until.is_none()) {
            reserved.quarantined_until = Some(until);
        }
    }
}

/// When an address that is given up now may go to somebody else.
#[must_use]
pub fn quarantine_end(hub: &Hub, now: OffsetDateTime) -> OffsetDateTime {
    let hours = hub.ingress.as_ref().map_or(0, |ingress| ingress.quarantine_hours);
    now + Duration::hours(hours.into())
}

/// True if Azure has carried out that no rule of ours serves the cluster: then nothing leads to it any more.
#[must_use]
pub fn is_gone_from_rules(estate: &Estate, config: &Config, hub: &Hub, cluster: &ResourceId) -> bool {
    let Some(policy) = policy_chain(estate, hub).first().cloned() else {
        return false;
    };
    let group = super::rule_collection_group_id(config, &policy);
    let at_rest = estate.policy(&policy).is_some_and(|p| p.is_at_rest())
        && estate.firewall(&hub.firewall).is_some_and(|f| f.is_at_rest());
    let empty = match estate.get(&group) {
        Some(body) => is_in_force(body) && !part_in(config, body, &names::hash(cluster)).any,
        None => estate.is_absent(&group),
    };
    at_rest && empty
}

/// The attached addresses that clusters may have, free or not.
#[must_use]
pub(crate) fn pool(estate: &Estate, config: &Config, hub: &Hub) -> BTreeMap<Ipv4Addr, ResourceId> {
    let attached = estate.firewall(&hub.firewall).map(|f| f.further_public_ips());
    let foreign: Vec<&str> = dnat_rules(estate, hub)
        .iter()
        .filter(|rule| !is_our_dnat(rule, config))
        .flat_map(|rule| rule.destinations())
        .collect();
    attached
        .into_iter()
        .flatten()
        .filter(|id| !config.scope.exclude.iter().any(|excluded| id.is_within(excluded)))
        .filter_map(|id| Some((public_address(estate.get(&id)?)?, id)))
        .filter(|(address, _)| !foreign.iter().any(|text| covers(text, *address)))
        .collect()
}

/// The addresses of the pool that nobody has.
#[must_use]
pub(crate) fn free(
    estate: &Estate,
    config: &Config,
    hub: &Hub,
    reservations: &Reservations,
) -> BTreeMap<Ipv4Addr, ResourceId> {
    let mut free = pool(estate, config, hub);
    // A rule whose cluster nobody remembers still leads somewhere.
    let in_rules: BTreeSet<Ipv4Addr> = our_dnat_rules(estate, config, hub)
        .iter()
        .filter_map(destination)
        .collect();
    free.retain(|address, _| !reservations.addresses.contains_key(address) && !in_rules.contains(address));
    free
}

/// Gives each cluster that asks for one an address. What is given stays given; addresses whose quarantine is over are free.
///
/// Nothing is given while a rule collection group was not read: it may hold somebody's DNAT rule.
#[must_use]
pub fn assign(
    estate: &Estate,
    config: &Config,
    hub: &Hub,
    contributions: &BTreeMap<ResourceId, Contribution>,
    reservations: &Reservations,
    now: OffsetDateTime,
) -> (Reservations, Vec<Finding>) {
    let mut next = reservations.clone();
    next.unserved.clear();
    if hub.ingress.is_none() {
        return (next, Vec::new());
    }
    next.addresses
        .retain(|_, reserved| reserved.quarantined_until.is_none_or(|until| now < until));
    recover(estate, config, hub, contributions, &mut next);
    let mut findings = detached(estate, hub, &next);
    let asking: Vec<(&ResourceId, &Contribution)> = contributions
        .iter()
        .filter(|(id, contribution)| !contribution.inbound.is_empty() && next.of(id).is_none())
        .collect();
    let readable = rule_collection_groups(estate, config, hub)
        .iter()
        .all(|id| estate.knows(id));
    let mut room = MOST_DESTINATIONS.saturating_sub(destinations(estate, config, hub, contributions, &next));
    let (mut none_free, mut no_room) = (Vec::new(), Vec::new());
    for (cluster, contribution) in asking {
        let own = next
            .addresses
            .iter()
            .find(|(_, reserved)| reserved.cluster == *cluster)
            .map(|(address, reserved)| (*address, reserved.address.clone()));
        let found = own.or_else(|| free(estate, config, hub, &next).pop_first());
        match found.filter(|_| readable) {
            Some(_) if contribution.inbound.len() > room => {
                next.unserved.insert(cluster.clone());
                no_room.push(cluster.name());
            }
            Some((address, id)) => {
                room -= contribution.inbound.len();
                let reserved = Reserved {
                    address: id,
                    cluster: cluster.clone(),
                    quarantined_until: None,
                };
                next.addresses.insert(address, reserved);
            }
            None => {
                next.unserved.insert(cluster.clone());
                none_free.push(cluster.name());
            }
        }
    }
    findings.extend(no_address(hub, &none_free));
    findings.extend(limit_reached(&no_room));
    (next, findings)
}

/// Reservations that the rules show and the record has lost.
fn recover(
    estate: &Estate,
    config: &Config,
    hub: &Hub,
    contributions: &BTreeMap<ResourceId, Contribution>,
    reservations: &mut Reservations,
) {
    let by_hash: BTreeMap<String, &ResourceId> = contributions.keys().map(|id| (names::hash(id), id)).collect();
    let pool = pool(estate, config, hub);
    for rule in our_dnat_rules(estate, config, hub) {
        let found = part_of(rule.body)
            .and_then(|hash| by_hash.get(hash))
            .zip(destination(&rule))
            .and_then(|(cluster, address)| Some((*cluster, address, pool.get(&address)?)));
        let Some((cluster, address, id)) = found else { continue };
        if reservations.of(cluster).is_none() && !reservations.addresses.contains_key(&address) {
            let reserved = Reserved {
                address: id.clone(),
                cluster: cluster.clone(),
                quarantined_until: None,
            };
            reservations.addresses.insert(address, reserved);
        }
    }
}

/// How much of Azure's limit is used: attached addresses, DNAT destinations of others, and those of clusters with an address.
fn destinations(
    estate: &Estate,
    config: &Config,
    hub: &Hub,
    contributions: &BTreeMap<ResourceId, Contribution>,
    reservations: &Reservations,
) -> usize {
    let attached = estate.firewall(&hub.firewall).map_or(0, |f| f.public_ips().len());
    let mut foreign = BTreeSet::new();
    for rule in dnat_rules(estate, hub).iter().filter(|rule| !is_our_dnat(rule, config)) {
        for address in rule.destinations() {
            for port in rule.ports() {
                foreign.extend(rule.protocols().into_iter().map(|protocol| (address, port, protocol)));
            }
        }
    }
    let ours: usize = contributions
        .iter()
        .filter(|(id, _)| reservations.of(id).is_some())
        .map(|(_, contribution)| contribution.inbound.len())
        .sum();
    attached + foreign.len() + ours
}

/// Reserved addresses that are no longer attached: clients cannot come in there.
fn detached(estate: &Estate, hub: &Hub, reservations: &Reservations) -> Vec<Finding> {
    let attached = estate
        .firewall(&hub.firewall)
        .map(|f| f.further_public_ips())
        .unwrap_or_default();
    let lost = reservations
        .addresses
        .iter()
        .filter(|(_, reserved)| reserved.quarantined_until.is_none() && !attached.contains(&reserved.address));
    lost.map(|(address, reserved)| {
        Finding::warning(
            Code::IngressAddressDetached,
            format!(
                "{address} is reserved for {} and is not attached to the firewall {}",
                reserved.cluster.name(),
                hub.firewall.name()
            ),
            "Attach it again; the cluster keeps it.",
        )
    })
    .collect()
}

fn no_address(hub: &Hub, clusters: &[&str]) -> Option<Finding> {
    let (first, more) = clusters.split_first()?;
    Some(Finding::warning(
        Code::NoIngressAddress,
        format!(
            "no address of the firewall {} is free for {first}{}",
            hub.firewall.name(),
            others(more.len())
        ),
        "Attach another public IP address to the firewall; the clusters are wired for the way out meanwhile.",
    ))
}

fn limit_reached(clusters: &[&str]) -> Option<Finding> {
    let (first, more) = clusters.split_first()?;
    Some(Finding::warning(
        Code::IngressLimit,
        format!(
            "the firewall takes {MOST_DESTINATIONS} public addresses and DNAT destinations together, and {first}{} would pass that",
            others(more.len())
        ),
        "Configure fewer ports for the hub's ingress, or lead further clusters to another hub.",
    ))
}

fn others(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => " and another cluster".to_owned(),
        more => format!(" and {more} other clusters"),
    }
}
