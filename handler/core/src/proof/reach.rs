//! REACH: what a cluster requires and what its operator allows is reachable by the way its packets take today.

use ipnet::Ipv4Net;

use super::Judgement;
use super::firewall::{Firewall, Flow, Verdict, address_range};
use super::routes::{Interval, NextHop, attached_table, intervals};
use crate::blueprint::{Destination, HubFacts, Requirement};
use crate::config::Hub;
use crate::estate::{ClusterView, Estate};
use crate::ids::ResourceId;

/// Judges whether every requirement is reachable from every subnet of the cluster.
#[must_use]
pub fn reach(
    estate: &Estate,
    hub: &Hub,
    facts: &HubFacts,
    cluster: &ClusterView<'_>,
    requirements: &[Requirement],
) -> Judgement {
    let firewall = Firewall::read(estate, hub);
    let mut missing = Vec::new();
    let mut by_firewall = 0_usize;
    if cluster.subnets().is_empty() {
        missing.push("the cluster's pools and their subnets".to_owned());
    }
    for subnet in cluster.subnets() {
        let way = match Way::of(estate, hub, facts, cluster, &subnet) {
            Ok(way) => way,
            Err(reason) => {
                missing.push(reason);
                continue;
            }
        };
        for requirement in requirements {
            let name = describe(requirement);
            match way.towards(&firewall, requirement) {
                Verdict::Allowed(_) => by_firewall += 1,
                Verdict::Unsure(reason) => missing.push(format!("{name}: {reason}")),
                Verdict::Stopped(reason) => {
                    let mut hops = vec![format!("subnet {}", subnet.name())];
                    hops.extend(way.hops());
                    hops.push(reason);
                    return Judgement::broken(name, hops);
                }
            }
        }
    }
    match (missing.is_empty(), estate.oldest_read()) {
        (true, Some(oldest_read)) => Judgement::Holds {
            witness: format!(
                "{by_firewall} required flows of {} destinations pass",
                requirements.len()
            ),
            oldest_read,
        },
        _ => Judgement::Unknown { missing },
    }
}

/// How a subnet's public traffic leaves.
struct Way {
    cut: Vec<Interval>,
    firewall: std::net::Ipv4Addr,
    return_route: std::net::Ipv4Addr,
    /// Why packets do not reach the firewall.
    interrupted: Option<String>,
    /// True if the cluster has an outbound path of its own.
    own_egress: bool,
    sources: Vec<Ipv4Net>,
}

impl Way {
    fn of(
        estate: &Estate,
        hub: &Hub,
        facts: &HubFacts,
        cluster: &ClusterView<'_>,
        id: &ResourceId,
    ) -> Result<Self, String> {
        let subnet = estate
            .subnet(id)
            .ok_or_else(|| format!("the subnet {id} was not read"))?;
        let vnet_id = id.parent().ok_or_else(|| format!("{id} has no virtual network"))?;
        let vnet = estate
            .vnet(&vnet_id)
            .ok_or_else(|| format!("the virtual network {vnet_id} was not read"))?;
        let attached = subnet.route_table();
        let table = attached_table(estate, attached.as_ref())?;
        Ok(Self {
            cut: intervals(&vnet, table).map_err(|reasons| reasons.join("; "))?,
            firewall: facts.firewall_ip,
            return_route: facts.egress_ip,
            interrupted: interruption(estate, hub, &vnet_id),
            own_egress: !cluster.outbound_type().eq_ignore_ascii_case("userDefinedRouting")
                || subnet.nat_gateway().is_some(),
            sources: subnet.prefixes(),
        })
    }

    fn towards(&self, firewall: &Firewall, requirement: &Requirement) -> Verdict {
        let hops = self.next_hops(&requirement.destination);
        if hops.is_empty() {
            return Verdict::Unsure("no route leads to a public address".to_owned());
        }
        let mut worst = Verdict::Allowed(String::new());
        for next_hop in hops {
            let verdict = match next_hop {
                NextHop::Appliance(hop) if *hop == self.firewall => self.through(firewall, requirement),
                NextHop::Appliance(hop) => Verdict::Unsure(format!("goes to {hop}, an appliance we do not know")),
                NextHop::Internet if self.own_egress => Verdict::Allowed("the cluster's own egress".to_owned()),
                NextHop::Internet => Verdict::Unsure("the cluster may have no egress of its own".to_owned()),
                NextHop::Local | NextHop::Peered(_) => Verdict::Allowed("private".to_owned()),
                NextHop::Dropped => Verdict::Stopped("the route drops it".to_owned()),
                NextHop::Gateway => Verdict::Unsure("goes to a gateway".to_owned()),
                NextHop::Unreadable(kind) => Verdict::Unsure(format!("next hop {kind:?}")),
            };
            if verdict.rank() < worst.rank() {
                worst = verdict;
            }
        }
        worst
    }

    fn through(&self, firewall: &Firewall, requirement: &Requirement) -> Verdict {
        if let Some(reason) = &self.interrupted {
            return Verdict::Stopped(reason.clone());
        }
        let answers = self.sources.iter().map(|source| {
            firewall.answer(&Flow {
                source: *source,
                destination: &requirement.destination,
            })
        });
        answers
            .min_by_key(Verdict::rank)
            .unwrap_or_else(|| Verdict::Unsure("the subnet has no prefix".to_owned()))
    }

    /// The next hops that packets to a destination may take: those of all public addresses when only a name is known.
    fn next_hops(&self, destination: &Destination) -> Vec<&NextHop> {
        let literal = match destination {
            Destination::Network { target, .. } => address_range(target),
            Destination::Name { .. } | Destination::Tag { .. } => None,
        };
        let mut hops: Vec<&NextHop> = self
            .cut
            .iter()
            .filter(|i| match literal {
                Some((low, high)) => i.first <= high && low <= i.last,
                None => i.is_public() && !(i.first == self.return_route && i.last == self.return_route),
            })
            .map(|i| &i.next_hop)
            .collect();
        hops.dedup();
        hops
    }

    fn hops(&self) -> Vec<String> {
        self.cut
            .iter()
            .find(|i| i.is_public())
            .map(|i| i.route.clone())
            .into_iter()
            .collect()
    }
}

/// Both sides must be connected and let forwarded traffic through, or packets and replies stop at the peering.
fn interruption(estate: &Estate, hub: &Hub, vnet_id: &ResourceId) -> Option<String> {
    let sides = [
        (
            vnet_id,
            estate.vnet(vnet_id).and_then(|v| v.peering_to(&hub.virtual_network)),
        ),
        (
            &hub.virtual_network,
            estate.vnet(&hub.virtual_network).and_then(|v| v.peering_to(vnet_id)),
        ),
    ];
    sides.into_iter().find_map(|(local, side)| match side {
        None => Some(format!("{} has no peering to the other side", local.name())),
        Some(p) if !p.state().eq_ignore_ascii_case("Connected") => {
            Some(format!("the peering {} of {} is {}", p.name(), local.name(), p.state()))
        }
        Some(p) if !p.flags_suffice() => Some(format!(
            "the peering {} of {} does not allow forwarded traffic",
            p.name(),
            local.name()
        )),
        Some(_) => None,
    })
}

fn describe(requirement: &Requirement) -> String {
    let target = match &requirement.destination {
        Destination::Name { name, .. } => name,
        Destination::Tag { tag, .. } => tag,
        Destination::Network { target, .. } => target,
    };
    format!("{target} {} (asked by {})", requirement.protocol, requirement.asked_by)
}
