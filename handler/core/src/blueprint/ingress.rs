//! Where inbound traffic of a cluster goes: its application address, or the frontend that its owner names instead.
//!
//! A target must be the cluster's own and live, because the address of a frontend that is gone may belong to a stranger the
//! next day. The application address counts as live while it exists, whether or not a service uses it: it is ours, so nobody
//! else can get it.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::contribution::{Contribution, Inbound};
use super::group::{is_ours, part_of};
use crate::config::{Config, Hub, IpProtocol};
use crate::estate::{ClusterView, DnatRule, Estate, Frontend, FrontendPort, dnat_rules, public_address, strings, text};
use crate::ids::ResourceId;
use crate::names;

/// The tag by which a cluster's owner names another target than the application address.
pub const TARGET_TAG: &str = "hubward-ingress-target";

/// The tag of the application address that tells how a service uses it.
const USE_TAG: &str = "hubward-use";

/// Where inbound traffic of a cluster goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To this address.
    Live(Ipv4Addr),
    /// Nowhere yet: the application address is still to be made.
    ToBeMade,
    /// Nowhere: the owner names an address that is no live frontend of the cluster.
    Gone(String),
    /// It cannot be said, because what decides was not read.
    Unknown,
}

/// The id of the resource group that holds a cluster's application address and nothing else. Rights on it let the cluster use
/// the address and no other (AKS static-ip.md: the identity lists addresses in the group).
#[must_use]
pub fn application_group_id(config: &Config, cluster: &ResourceId) -> ResourceId {
    ResourceId::group(cluster.subscription(), &application_name(config, cluster))
}

/// The id of a cluster's application address.
#[must_use]
pub fn application_address_id(config: &Config, cluster: &ResourceId) -> ResourceId {
    let name = application_name(config, cluster);
    ResourceId::in_group(
        cluster.subscription(),
        &name,
        "Microsoft.Network/publicIPAddresses",
        &name,
    )
}

/// The annotations with which a service of type `LoadBalancer` takes the application address (AKS static-ip.md).
#[must_use]
pub fn annotations(config: &Config, cluster: &ResourceId) -> String {
    let name = application_name(config, cluster);
    format!(
        "service.beta.kubernetes.io/azure-load-balancer-resource-group: {name}, service.beta.kubernetes.io/azure-pip-name: {name}"
    )
}

/// The body of the group of the application address.
#[must_use]
pub(crate) fn application_group_body(config: &Config, cluster: &ClusterView<'_>) -> Value {
    json!({"location": cluster.location(), "tags": {"managed-by": config.naming.prefix}})
}

/// The body of the application address.
#[must_use]
pub(crate) fn application_address_body(config: &Config, id: &ResourceId, cluster: &ClusterView<'_>) -> Value {
    json!({
        "location": cluster.location(),
        "sku": {"name": "Standard"},
        "tags": {"managed-by": config.naming.prefix, USE_TAG: annotations(config, id)},
        "properties": {"publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4"},
    })
}

/// The address that the owner or the configuration names for the cluster, as text: a tag may hold anything.
#[must_use]
pub(crate) fn named_target(hub: &Hub, id: &ResourceId, cluster: &ClusterView<'_>) -> Option<String> {
    let configured = hub.ingress.as_ref().and_then(|ingress| ingress.target_of(id));
    cluster
        .tag(TARGET_TAG)
        .map(|text| text.trim().to_owned())
        .or_else(|| configured.map(|address| address.to_string()))
}

/// Where inbound traffic of the cluster goes.
#[must_use]
pub(crate) fn target(
    estate: &Estate,
    config: &Config,
    hub: &Hub,
    id: &ResourceId,
    cluster: &ClusterView<'_>,
) -> Target {
    let Some(named) = named_target(hub, id, cluster) else {
        let own = application_address_id(config, id);
        return match estate.get(&own) {
            Some(body) => public_address(body).map_or(Target::ToBeMade, Target::Live),
            None if estate.is_absent(&own) => Target::ToBeMade,
            None => Target::Unknown,
        };
    };
    let Ok(address) = named.parse::<Ipv4Addr>() else {
        return Target::Gone(format!("{named:?} is no IPv4 address"));
    };
    let Some(frontends) = frontends(estate, cluster) else {
        return Target::Unknown;
    };
    let inside = cluster
        .subnets()
        .first()
        .and_then(ResourceId::parent)
        .and_then(|vnet| Some(estate.vnet(&vnet)?.address_space()))
        .is_some_and(|space| space.iter().any(|prefix| prefix.contains(&address)));
    let found = frontends
        .iter()
        .find(|frontend| frontend.address == Some(address) && !frontend.ports.is_empty());
    match found {
        Some(frontend) if frontend.public || inside => Target::Live(address),
        Some(_) => Target::Gone(format!("{address} lies outside the cluster's network")),
        None => Target::Gone(format!("no load balancer of the cluster serves {address}")),
    }
}

/// A frontend of a cluster with its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// The frontend's name.
    name: String,
    /// The address, if it is known.
    pub(crate) address: Option<Ipv4Addr>,
    /// True if it is a public one.
    pub(crate) public: bool,
    /// What it serves; empty if it is only a way out.
    pub(crate) ports: Vec<FrontendPort>,
}

impl Served {
    /// The address as people read it, or the name of a frontend whose address is not known.
    pub(crate) fn name(&self) -> String {
        match self.address {
            Some(address) => address.to_string(),
            None if self.name.is_empty() => "(without name)".to_owned(),
            None => self.name.clone(),
        }
    }

    /// A port with its address: `198.51.100.7:443`.
    pub(crate) fn place(&self, port: &FrontendPort) -> String {
        match port.port {
            0 => format!("{}:*", self.name()),
            number => format!("{}:{number}", self.name()),
        }
    }

    /// The same with the protocol: `198.51.100.7:443/TCP`.
    pub(crate) fn at(&self, port: &FrontendPort) -> String {
        format!("{}:{port}", self.name())
    }
}

/// The frontends of both load balancers of the cluster, as far as they were read.
#[must_use]
pub(crate) fn all_frontends(estate: &Estate, cluster: &ClusterView<'_>) -> Vec<Served> {
    let mut all = public_frontends(estate, cluster).unwrap_or_default();
    all.extend(internal_frontends(estate, cluster).unwrap_or_default());
    all
}

/// The frontends of both load balancers of the cluster; `None` if one of them was not read.
#[must_use]
fn frontends(estate: &Estate, cluster: &ClusterView<'_>) -> Option<Vec<Served>> {
    let mut all = public_frontends(estate, cluster)?;
    all.extend(internal_frontends(estate, cluster)?);
    Some(all)
}

fn internal_frontends(estate: &Estate, cluster: &ClusterView<'_>) -> Option<Vec<Served>> {
    let id = cluster.internal_balancer_id()?;
    if !estate.knows(&id) {
        return None;
    }
    let frontends = estate.balancer(&id).map(|b| b.frontends()).unwrap_or_default();
    let served = frontends.into_iter().map(|frontend| Served {
        name: frontend.name,
        address: frontend.private_ip,
        public: false,
        ports: frontend.ports,
    });
    Some(served.collect())
}

/// The frontends of the cluster's public load balancer; `None` if it was not read.
#[must_use]
pub(crate) fn public_frontends(estate: &Estate, cluster: &ClusterView<'_>) -> Option<Vec<Served>> {
    let id = cluster.load_balancer_id()?;
    if !estate.knows(&id) {
        return None;
    }
    let address = |frontend: &Frontend| public_address(estate.get(frontend.public_ip.as_ref()?)?);
    let frontends = estate.balancer(&id).map(|b| b.frontends()).unwrap_or_default();
    Some(
        frontends
            .into_iter()
            .map(|frontend| Served {
                address: address(&frontend),
                name: frontend.name,
                public: true,
                ports: frontend.ports,
            })
            .collect(),
    )
}

/// What the cluster asks the hub to lead to `target`.
#[must_use]
pub(super) fn inbound(hub: &Hub, target: Ipv4Addr) -> Vec<Inbound> {
    let mut ports = hub.ingress.as_ref().map(|i| i.ports.clone()).unwrap_or_default();
    ports.sort_unstable();
    ports
        .into_iter()
        .map(|port| Inbound {
            protocol: IpProtocol::Tcp,
            port,
            target,
            target_port: port,
        })
        .collect()
}

/// What an approval remembers of a contribution. That clients are led to the application address counts, not the address that
/// Azure gives it: it is known only after it was made, and one word is enough for both.
#[must_use]
pub(crate) fn approvable(hub: &Hub, cluster: &ClusterView<'_>, contribution: &Contribution) -> Contribution {
    let mut wish = contribution.clone();
    wish.released.clear();
    let to_own_address = hub.ingress.is_some() && named_target(hub, &contribution.cluster, cluster).is_none();
    if to_own_address {
        wish.inbound = inbound(hub, Ipv4Addr::UNSPECIFIED);
    }
    wish
}

/// The cluster's DNAT as our group has it: for a cluster of which the reservation is not known, or the target.
pub(crate) fn adopt_dnat(contribution: &mut Contribution, estate: &Estate, config: &Config, hub: &Hub) {
    let hash = names::hash(&contribution.cluster);
    let part: Vec<DnatRule<'_>> = our_dnat_rules(estate, config, hub)
        .into_iter()
        .filter(|rule| part_of(rule.body) == Some(hash.as_str()))
        .collect();
    contribution.ingress = part.first().and_then(destination);
    contribution.inbound = part.iter().filter_map(read).collect();
    contribution.inbound.sort_by_key(|inbound| inbound.port);
}

/// The address of the firewall that our rules lead to the cluster.
#[must_use]
pub(crate) fn ingress_in_rules(estate: &Estate, config: &Config, hub: &Hub, cluster: &ResourceId) -> Option<Ipv4Addr> {
    let hash = names::hash(cluster);
    our_dnat_rules(estate, config, hub)
        .iter()
        .filter(|rule| part_of(rule.body) == Some(hash.as_str()))
        .find_map(destination)
}

/// The DNAT rules in the collections of ours.
pub(crate) fn our_dnat_rules<'a>(estate: &'a Estate, config: &Config, hub: &Hub) -> Vec<DnatRule<'a>> {
    dnat_rules(estate, hub)
        .into_iter()
        .filter(|rule| is_our_dnat(rule, config))
        .collect()
}

/// True if the rule is one that Hubward wrote: in our group, in a collection of ours, for a cluster.
pub(crate) fn is_our_dnat(rule: &DnatRule<'_>, config: &Config) -> bool {
    let own_group = rule
        .group
        .parent()
        .is_some_and(|policy| super::rule_collection_group_id(config, &policy) == *rule.group);
    own_group && is_ours(rule.collection, config) && part_of(rule.body).is_some()
}

/// The one address of the firewall that a rule of ours takes.
pub(crate) fn destination(rule: &DnatRule<'_>) -> Option<Ipv4Addr> {
    strings(rule.body, "/destinationAddresses").first()?.parse().ok()
}

/// What a rule of ours leads where.
pub(crate) fn read(rule: &DnatRule<'_>) -> Option<Inbound> {
    let udp = rule.protocols().first()?.eq_ignore_ascii_case("UDP");
    Some(Inbound {
        protocol: if udp { IpProtocol::Udp } else { IpProtocol::Tcp },
        port: rule.ports().first()?.parse().ok()?,
        target: text(rule.body, "/translatedAddress")?.parse().ok()?,
        target_port: text(rule.body, "/translatedPort")?.parse().ok()?,
    })
}

fn application_name(config: &Config, cluster: &ResourceId) -> String {
    names::name(&config.naming.prefix, "app", cluster)
}
