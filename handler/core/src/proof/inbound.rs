//! The way in: from a client on the internet to a frontend of the cluster and back, directly or through the firewall's DNAT.
//!
//! The firewall changes the source of what it leads in: to a public frontend it is the egress address, to an internal one its
//! own (Azure Firewall integrate-lb.md). The reply must go back to exactly that address by the way on which it came, so the
//! routes of every subnet with nodes are asked; whether a program listens there is not judged. Of two ways in that both work the
//! one that is open to everybody is worth more: where only some clients are let in, the others lose their service.

use std::net::Ipv4Addr;

use super::Verdict;
use super::clients::{Addresses, let_in_by};
use super::firewall::Firewall;
use super::matching::covers;
use super::path::obstacle;
use super::reach::FlowVerdict;
use super::routes::{Interval, NextHop, routes_of};
use super::security::{Arrival, admitted, inbound_verdict, interface_verdict};
use crate::blueprint::{HubFacts, Served, all_frontends};
use crate::config::Hub;
use crate::estate::{ClusterView, DnatRule, Estate, FrontendPort, dnat_rules, text, unsettled};
use crate::ids::ResourceId;

/// Every port of every frontend that serves somebody, with what becomes of its clients: the better of both ways in. `is_led` is true
/// of a cluster that was led to the hub: it is reached by DNAT, and that a frontend answers everybody while a route leads astray
/// is nobody's promise.
pub(crate) fn inbound_flows(
    estate: &Estate,
    hub: &Hub,
    facts: &HubFacts,
    cluster: &ClusterView<'_>,
    is_led: bool,
) -> Vec<FlowVerdict> {
    judged(estate, hub, facts, cluster, |way_in, frontend, port| {
        let flow = |verdict| FlowVerdict::inbound(frontend.at(port), Vec::new(), verdict);
        let through = way_in.through_firewall(frontend, port).map(|(_, verdict)| {
            let all = is_led || !frontend.public || leads_everybody(estate, hub, facts, cluster, frontend, port);
            if all { flow(verdict) } else { flow(verdict).of_some() }
        });
        let direct = frontend.public.then(|| flow(way_in.direct()));
        // Of two equal ones the last is taken: the way through the firewall says more.
        let best = [direct, through].into_iter().flatten().max_by_key(FlowVerdict::rank);
        let nobody = || flow(Verdict::Stopped("no way leads in".to_owned()));
        Some(best.unwrap_or_else(nobody))
    })
}

/// The ports of frontends to which the firewall leads: what clients are promised.
pub(super) fn led_in(estate: &Estate, hub: &Hub, facts: &HubFacts, cluster: &ClusterView<'_>) -> Vec<FlowVerdict> {
    judged(estate, hub, facts, cluster, |way_in, frontend, port| {
        let (rule, verdict) = way_in.through_firewall(frontend, port)?;
        Some(FlowVerdict::inbound(frontend.at(port), vec![rule], verdict))
    })
}

/// What `judge` says of each port of each frontend. Most clusters serve nobody, and for them no rule is read.
fn judged<'a>(
    estate: &'a Estate,
    hub: &'a Hub,
    facts: &'a HubFacts,
    cluster: &ClusterView<'a>,
    judge: impl Fn(&WayIn<'_>, &Served, &FrontendPort) -> Option<FlowVerdict>,
) -> Vec<FlowVerdict> {
    let frontends = all_frontends(estate, cluster);
    if frontends.iter().all(|frontend| frontend.ports.is_empty()) {
        return Vec::new();
    }
    let way_in = WayIn::of(estate, hub, facts, cluster);
    let each = frontends
        .iter()
        .flat_map(|frontend| frontend.ports.iter().map(move |port| (frontend, port)));
    each.filter_map(|(frontend, port)| judge(&way_in, frontend, port))
        .collect()
}

/// True if everybody whom this port of the frontend answers is let in by DNAT rules that are in force.
pub(crate) fn leads_everybody(
    estate: &Estate,
    hub: &Hub,
    facts: &HubFacts,
    cluster: &ClusterView<'_>,
    frontend: &Served,
    port: &FrontendPort,
) -> bool {
    let Some(target) = frontend.address else { return false };
    let in_force = dnat_rules(estate, hub).into_iter().filter(|rule| {
        leads_to(rule, frontend, port) && unsettled(rule.document).is_none() && is_attached(estate, hub, rule)
    });
    let answered = match admitted(estate, cluster, target, port) {
        // The firewall's own address is among the source ranges for what it leads in; what leaves by it keeps its answer.
        Some(ranges) => Addresses::of(
            ranges
                .into_iter()
                .filter(|range| *range != (facts.egress_ip, facts.egress_ip)),
        ),
        None => Addresses::all(),
    };
    let_in_by(in_force.map(|rule| rule.body)).hold(&answered)
}

fn leads_to(rule: &DnatRule<'_>, frontend: &Served, port: &FrontendPort) -> bool {
    let address = text(rule.body, "/translatedAddress").and_then(|t| t.parse::<Ipv4Addr>().ok());
    let number = text(rule.body, "/translatedPort").and_then(|t| t.parse::<u16>().ok());
    let all = |text: &str| text.eq_ignore_ascii_case("Any") || text.eq_ignore_ascii_case("All");
    let protocol = rule
        .protocols()
        .iter()
        .any(|p| p.eq_ignore_ascii_case(&port.protocol) || all(p) || all(&port.protocol));
    address.is_some() && address == frontend.address && (port.port == 0 || number == Some(port.port)) && protocol
}

/// True if one of the firewall's addresses is taken by the rule; an address that was not read is not said to be another.
fn is_attached(estate: &Estate, hub: &Hub, rule: &DnatRule<'_>) -> bool {
    let attached = estate
        .firewall(&hub.firewall)
        .map(|f| f.public_ips())
        .unwrap_or_default();
    attached.iter().any(|id| {
        let address = estate.get(id).and_then(crate::estate::public_address);
        address.is_none_or(|address| rule.destinations().iter().any(|text| covers(text, address)))
    })
}

/// What is led in and then stopped by a group on the nodes' interfaces: the frontend, the source that the firewall gives the
/// packets, and the reason.
pub(crate) fn stopped_at_interfaces(
    estate: &Estate,
    hub: &Hub,
    facts: &HubFacts,
    cluster: &ClusterView<'_>,
) -> Vec<(String, Ipv4Addr, String)> {
    let rules = dnat_rules(estate, hub);
    let mut stopped = Vec::new();
    for frontend in all_frontends(estate, cluster) {
        for port in &frontend.ports {
            let led = rules.iter().any(|rule| leads_to(rule, &frontend, port));
            let Some(packet) = arrival(facts, &frontend, port).filter(|_| led) else {
                continue;
            };
            if let Verdict::Stopped(reason) = interface_verdict(estate, cluster, &packet) {
                stopped.push((frontend.at(port), packet.source, reason));
            }
        }
    }
    stopped
}

/// What the firewall sends to a frontend.
fn arrival<'a>(facts: &HubFacts, frontend: &Served, port: &'a FrontendPort) -> Option<Arrival<'a>> {
    Some(Arrival {
        source: if frontend.public {
            facts.egress_ip
        } else {
            facts.firewall_ip
        },
        from_internet: frontend.public,
        target: frontend.address?,
        port,
    })
}

/// What the way in depends on beside the frontend.
struct WayIn<'a> {
    cluster: ClusterView<'a>,
    estate: &'a Estate,
    hub: &'a Hub,
    facts: &'a HubFacts,
    firewall: Firewall,
    rules: Vec<DnatRule<'a>>,
    subnets: Vec<(ResourceId, Result<Vec<Interval>, String>)>,
}

impl<'a> WayIn<'a> {
    fn of(estate: &'a Estate, hub: &'a Hub, facts: &'a HubFacts, cluster: &ClusterView<'a>) -> Self {
        let subnets = cluster.subnets().into_iter().map(|id| {
            let cut = routes_of(estate, &id);
            (id, cut)
        });
        Self {
            cluster: *cluster,
            estate,
            hub,
            facts,
            firewall: Firewall::read(estate, hub),
            rules: dnat_rules(estate, hub),
            subnets: subnets.collect(),
        }
    }

    /// What becomes of clients that call the frontend's own address.
    fn direct(&self) -> Verdict {
        self.worst(|_, cut| {
            let astray = cut.iter().find(|interval| {
                let is_return = interval.first == interval.last && interval.first == self.facts.egress_ip;
                interval.is_public() && !is_return && interval.next_hop != NextHop::Internet
            });
            astray.map_or_else(
                || Verdict::Allowed("directly".to_owned()),
                |interval| answer_astray("clients", interval),
            )
        })
    }

    /// What becomes of clients that the firewall leads in, with the rule that does; `None` if none does.
    fn through_firewall(&self, frontend: &Served, port: &FrontendPort) -> Option<(String, Verdict)> {
        let target = frontend.address?;
        let led = self.rules.iter().filter(|rule| leads_to(rule, frontend, port));
        let judged = led.map(|rule| {
            (
                format!("DNAT rule {}", rule.name()),
                self.through(rule, frontend, target, port),
            )
        });
        judged.max_by_key(|(_, verdict)| verdict.rank())
    }

    fn through(&self, rule: &DnatRule<'_>, frontend: &Served, target: Ipv4Addr, port: &FrontendPort) -> Verdict {
        if let Some(state) = unsettled(rule.document) {
            return Verdict::Unsure(format!("the rules of {} are {state}", rule.group.name()));
        }
        if !is_attached(self.estate, self.hub, rule) {
            return Verdict::Stopped("the firewall does not have the address that the rule takes".to_owned());
        }
        if let Some(denied) = self.firewall.denies_translated(rule.body, target, port) {
            return denied;
        }
        let back = if frontend.public {
            self.back_to_egress()
        } else {
            self.back_to_firewall()
        };
        let Some(packet) = arrival(self.facts, frontend, port) else {
            return back;
        };
        let at_subnets = self.worst(|id, _| inbound_verdict(self.estate, id, &packet));
        let at_interfaces = interface_verdict(self.estate, &self.cluster, &packet);
        // Of equal ones the first is taken.
        let all = [back, at_subnets, at_interfaces];
        let worst = all.iter().map(Verdict::rank).min();
        let mut named = all.into_iter().filter(|verdict| Some(verdict.rank()) == worst);
        named
            .next()
            .unwrap_or_else(|| Verdict::Unsure("nothing was judged".to_owned()))
    }

    /// Replies of a public frontend must leave on the load balancer's own connection: by a route to the internet.
    fn back_to_egress(&self) -> Verdict {
        let egress = self.facts.egress_ip;
        self.worst(
            |_, cut| match cut.iter().find(|i| i.first <= egress && egress <= i.last) {
                Some(interval) if interval.next_hop == NextHop::Internet => {
                    Verdict::Allowed("the return route".to_owned())
                }
                Some(interval) => answer_astray(&egress.to_string(), interval),
                None => Verdict::Unsure(format!("no route leads to {egress}")),
            },
        )
    }

    /// Replies of an internal frontend must reach the firewall by the peering.
    fn back_to_firewall(&self) -> Verdict {
        let firewall = self.facts.firewall_ip;
        let peered = NextHop::Peered(self.hub.virtual_network.clone());
        self.worst(|id, cut| {
            let prefixes = self.estate.subnet(id).map(|s| s.prefixes()).unwrap_or_default();
            let obstacle = id
                .parent()
                .and_then(|vnet| obstacle(self.estate, self.hub, self.facts, &vnet, &prefixes));
            if let Some(obstacle) = obstacle {
                return obstacle.verdict();
            }
            match cut.iter().find(|i| i.first <= firewall && firewall <= i.last) {
                Some(interval) if interval.next_hop == peered => Verdict::Allowed("the peering".to_owned()),
                Some(interval) => answer_astray(&firewall.to_string(), interval),
                None => Verdict::Unsure(format!("no route leads to {firewall}")),
            }
        })
    }

    /// The worst answer of the cluster's subnets: any of them may get the connection.
    fn worst(&self, judge: impl Fn(&ResourceId, &[Interval]) -> Verdict) -> Verdict {
        self.subnets
            .iter()
            .map(|(id, cut)| match cut {
                Ok(cut) => judge(id, cut),
                Err(reason) => Verdict::Unsure(reason.clone()),
            })
            .min_by_key(Verdict::rank)
            .unwrap_or_else(|| Verdict::Unsure("the cluster's subnets are not known".to_owned()))
    }
}

fn answer_astray(to: &str, interval: &Interval) -> Verdict {
    let reason = format!(
        "the reply to {to} takes {}, not the way the request came",
        interval.route
    );
    match interval.next_hop {
        NextHop::Gateway | NextHop::Unreadable(_) => Verdict::Unsure(reason),
        NextHop::Local | NextHop::Peered(_) | NextHop::Internet | NextHop::Appliance(_) | NextHop::Dropped => {
            Verdict::Stopped(reason)
        }
    }
}
