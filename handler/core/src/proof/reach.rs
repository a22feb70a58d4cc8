//! REACH: what a cluster requires and what its operator allows is reachable by the way its packets take today.

use ipnet::Ipv4Net;

use super::Judgement;
use super::firewall::{Firewall, Flow, Verdict};
use super::inbound::led_in;
use super::matching::address_range;
use super::path::{Obstacle, obstacle};
use super::routes::{Interval, NextHop, routes_of};
use super::security::outbound_doubt;
use crate::blueprint::{Destination, HubFacts, Requirement};
use crate::config::Hub;
use crate::estate::{ClusterView, Estate, PolicyView, policy_chain};
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
    let ways = ways(estate, hub, facts, cluster);
    let flows = flows_of(&ways, &Firewall::read(estate, hub), requirements);
    let mut missing: Vec<String> = ways.iter().filter_map(|(_, way)| way.as_ref().err().cloned()).collect();
    // Security groups are the same before and after every write of ours, so they stand beside the flows and not in them: the
    // guard sees what a step changes behind a group that nobody can judge.
    for subnet in cluster.subnets() {
        let doubt = estate.subnet(&subnet).and_then(|s| outbound_doubt(estate, &s));
        missing.extend(doubt.map(|doubt| format!("all flows of subnet {}: {doubt}", subnet.name())));
    }
    let led_in = led_in(estate, hub, facts, cluster);
    if ways.is_empty() {
        missing.push("the cluster's pools and their subnets".to_owned());
    }
    for flow in flows.iter().chain(&led_in) {
        match &flow.verdict {
            Verdict::Allowed(_) => {}
            // The subnet is in the list already, once for all its flows.
            Verdict::Unsure(_) if flow.hops.is_empty() => {}
            Verdict::Unsure(reason) => missing.push(format!("{}: {reason}", flow.requirement)),
            Verdict::Stopped(_) => return flow.judgement(),
        }
    }
    match (missing.is_empty(), estate.oldest_read()) {
        (true, Some(oldest_read)) => Judgement::Holds {
            witness: format!(
                "{} required flows of {} destinations pass{}{}",
                flows.len(),
                requirements.len(),
                clients(led_in.len()),
                not_judged(estate, hub)
            ),
            oldest_read,
        },
        _ => Judgement::Unknown { missing },
    }
}

fn clients(led_in: usize) -> String {
    match led_in {
        0 => String::new(),
        1 => ", and clients get answers at 1 frontend".to_owned(),
        more => format!(", and clients get answers at {more} frontends"),
    }
}

/// What becomes of one requirement from one subnet, or of the clients of one frontend.
#[derive(Clone, Debug)]
pub(crate) struct FlowVerdict {
    /// The requirement as people read it.
    requirement: String,
    /// The way from the subnet on; empty if it is not known.
    hops: Vec<String>,
    verdict: Verdict,
    /// True if only some of those who might come are let in.
    of_some: bool,
}

impl FlowVerdict {
    /// What becomes of the clients of a frontend: `ADDRESS:PORT/PROTOCOL`.
    pub(super) fn inbound(frontend: String, way: Vec<String>, verdict: Verdict) -> Self {
        let hops = ["clients".to_owned()].into_iter().chain(way).collect();
        Self {
            requirement: frontend,
            hops,
            verdict,
            of_some: false,
        }
    }

    /// The same for a way in that only some clients have.
    pub(super) fn of_some(self) -> Self {
        Self { of_some: true, ..self }
    }

    /// What is to be reached.
    pub(crate) fn destination(&self) -> &str {
        &self.requirement
    }

    /// The verdict's rank: a change must not lower it.
    pub(crate) fn rank(&self) -> u8 {
        match self.verdict {
            Verdict::Allowed(_) if !self.of_some => self.verdict.rank() + 1,
            Verdict::Allowed(_) | Verdict::Unsure(_) | Verdict::Stopped(_) => self.verdict.rank(),
        }
    }

    /// The requirement with the way its packets take and what becomes of them.
    pub(crate) fn judgement(&self) -> Judgement {
        match &self.verdict {
            Verdict::Stopped(reason) => {
                let hops = self.hops.iter().chain([reason]).cloned().collect();
                Judgement::broken(self.requirement.clone(), hops)
            }
            Verdict::Allowed(_) if self.of_some => {
                let reason = "DNAT lets in only some of those whom the frontend answers".to_owned();
                let hops = self.hops.iter().cloned().chain([reason]).collect();
                Judgement::broken(self.requirement.clone(), hops)
            }
            Verdict::Unsure(reason) | Verdict::Allowed(reason) => Judgement::Unknown {
                missing: vec![format!("{}: {reason}", self.requirement)],
            },
        }
    }
}

/// Every requirement from every subnet, subnet by subnet, in the order of the requirements: of the same cluster in another
/// estate, the same place is the same flow.
pub(crate) fn flows(
    estate: &Estate,
    hub: &Hub,
    facts: &HubFacts,
    cluster: &ClusterView<'_>,
    requirements: &[Requirement],
) -> Vec<FlowVerdict> {
    let ways = ways(estate, hub, facts, cluster);
    flows_of(&ways, &Firewall::read(estate, hub), requirements)
}

/// The way from each subnet, or why it is not known.
type Ways = Vec<(ResourceId, Result<Way, String>)>;

fn ways(estate: &Estate, hub: &Hub, facts: &HubFacts, cluster: &ClusterView<'_>) -> Ways {
    let of = |id: ResourceId| {
        let way = Way::of(estate, hub, facts, cluster, &id);
        (id, way)
    };
    cluster.subnets().into_iter().map(of).collect()
}

fn flows_of(ways: &Ways, firewall: &Firewall, requirements: &[Requirement]) -> Vec<FlowVerdict> {
    let mut flows = Vec::new();
    for (subnet, way) in ways {
        for requirement in requirements {
            let (hops, verdict) = match way {
                Ok(way) => {
                    let (route, verdict) = way.towards(firewall, requirement);
                    let from = format!("subnet {}", subnet.name());
                    ([from].into_iter().chain(route.map(str::to_owned)).collect(), verdict)
                }
                Err(reason) => (Vec::new(), Verdict::Unsure(reason.clone())),
            };
            flows.push(FlowVerdict {
                requirement: describe(requirement),
                hops,
                verdict,
                of_some: false,
            });
        }
    }
    flows
}

/// What stops packets by lists that nobody can read.
fn not_judged(estate: &Estate, hub: &Hub) -> String {
    let policies: Vec<PolicyView<'_>> = policy_chain(estate, hub)
        .iter()
        .filter_map(|id| estate.policy(id))
        .collect();
    let mut filters = Vec::new();
    if policies.iter().any(PolicyView::threat_intelligence_denies) {
        filters.push("threat intelligence");
    }
    if policies.iter().any(PolicyView::intrusion_detection_denies) {
        filters.push("intrusion detection");
    }
    if filters.is_empty() {
        String::new()
    } else {
        format!(" (not judged: what {} denies)", filters.join(" and "))
    }
}

/// How a subnet's public traffic leaves.
struct Way {
    cut: Vec<Interval>,
    firewall: std::net::Ipv4Addr,
    return_route: std::net::Ipv4Addr,
    /// Why packets do not reach the firewall.
    obstacle: Option<Obstacle>,
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
        Ok(Self {
            cut: routes_of(estate, id)?,
            firewall: facts.firewall_ip,
            return_route: facts.egress_ip,
            obstacle: obstacle(estate, hub, facts, &vnet_id, &subnet.prefixes()),
            own_egress: !cluster.outbound_type().eq_ignore_ascii_case("userDefinedRouting")
                || subnet.nat_gateway().is_some(),
            sources: subnet.prefixes(),
        })
    }

    /// The worst verdict on the routes that packets to the destination may take, with that route.
    fn towards(&self, firewall: &Firewall, requirement: &Requirement) -> (Option<&str>, Verdict) {
        let mut worst: Option<(&str, Verdict)> = None;
        for interval in self.intervals_to(&requirement.destination) {
            let verdict = match &interval.next_hop {
                NextHop::Appliance(hop) if *hop == self.firewall => self.through(firewall, requirement),
                NextHop::Appliance(hop) => Verdict::Unsure(format!("goes to {hop}, an appliance we do not know")),
                NextHop::Internet if self.own_egress => Verdict::Allowed("the cluster's own egress".to_owned()),
                NextHop::Internet => Verdict::Unsure("the cluster may have no egress of its own".to_owned()),
                NextHop::Local | NextHop::Peered(_) => Verdict::Allowed("private".to_owned()),
                NextHop::Dropped => Verdict::Stopped("the route drops it".to_owned()),
                NextHop::Gateway => Verdict::Unsure("goes to a gateway".to_owned()),
                NextHop::Unreadable(kind) => Verdict::Unsure(format!("next hop {kind:?}")),
            };
            if worst.as_ref().is_none_or(|(_, other)| verdict.rank() < other.rank()) {
                worst = Some((&interval.route, verdict));
            }
        }
        match worst {
            Some((route, verdict)) => (Some(route), verdict),
            None => (None, Verdict::Unsure("no route leads to a public address".to_owned())),
        }
    }

    fn through(&self, firewall: &Firewall, requirement: &Requirement) -> Verdict {
        if let Some(obstacle) = &self.obstacle {
            return obstacle.verdict();
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

    /// The routes that packets to a destination may take, one per next hop: those of all public addresses when only a name is
    /// known.
    fn intervals_to(&self, destination: &Destination) -> Vec<&Interval> {
        let literal = match destination {
            Destination::Network { target, .. } => address_range(target),
            Destination::Name { .. } | Destination::Tag { .. } => None,
        };
        let mut met: Vec<&Interval> = self
            .cut
            .iter()
            .filter(|i| match literal {
                Some((low, high)) => i.first <= high && low <= i.last,
                None => i.is_public() && !(i.first == self.return_route && i.last == self.return_route),
            })
            .collect();
        met.dedup_by(|one, other| one.next_hop == other.next_hop);
        met
    }
}

fn describe(requirement: &Requirement) -> String {
    let target = match &requirement.destination {
        Destination::Name { name, .. } => name,
        Destination::Tag { tag, .. } => tag,
        Destination::Network { target, .. } => target,
    };
    format!("{target} {} (asked by {})", requirement.protocol, requirement.asked_by)
}
