//! Inbound traffic of a cluster: its application address, what people are told of it, and the frontends that the switch would
//! cut.
//!
//! A public frontend answers by the cluster's own way out; once the default route leads to the firewall, its replies go where
//! nobody knows the connection (Azure Firewall integrate-lb.md). So a frontend that serves somebody stops the switch until DNAT
//! leads to it or its owner accepts the loss.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::gates::{Gates, Scene};
use super::{Acceptance, Known, Step, Wait};
use crate::blueprint::{
    Contribution, Footprint, Served, Target, annotations, application_address_body, application_address_id,
    application_group_body, application_group_id, ingress_in_rules, named_target, public_frontends, target,
};
use crate::config::{Config, Hub};
use crate::estate::{ClusterView, Estate, FrontendPort, has_failed, public_address};
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;
use crate::proof::{leads_everybody, stopped_at_interfaces};

/// The tag by which a cluster's owner accepts that public frontends stop answering: `ADDRESS:PORT`, several with commas.
pub const ACCEPT_INBOUND_TAG: &str = "hubward-accept-inbound";

/// The firewall's address at which the cluster is reached: the reserved one while it is attached. Of a reservation that the
/// ledger has lost the rules still tell.
pub(super) fn ingress_address(
    estate: &Estate,
    config: &Config,
    hub: &Hub,
    known: &Known,
    cluster: &ResourceId,
) -> Option<Ipv4Addr> {
    let Some(reservation) = &known.reservation else {
        return ingress_in_rules(estate, config, hub, cluster);
    };
    let attached = estate.firewall(&hub.firewall)?.further_public_ips();
    attached.contains(&reservation.address).then_some(reservation.ip)
}

/// True while the hub still has to look for an address: its answer, whatever it is, comes with the rules.
pub(super) fn awaits_address(contribution: &Contribution, known: &Known) -> bool {
    !contribution.inbound.is_empty()
        && contribution.ingress.is_none()
        && known.reservation.is_none()
        && !known.no_address
}

/// The steps that make the application address in a group of its own. A cluster with another target needs none.
pub(super) fn application_address(scene: &Scene<'_>) -> Vec<Step> {
    if scene.hub.ingress.is_none() || named_target(scene.hub, scene.id, &scene.cluster).is_some() {
        return Vec::new();
    }
    let (config, cluster) = (scene.config, &scene.cluster);
    let group = application_group_id(config, scene.id);
    let address = application_address_id(config, scene.id);
    let mut steps = Vec::new();
    if scene.estate.is_absent(&group) {
        let why = format!("{} has no group for an address of its own", cluster.name());
        steps.push(Step::put(
            "address-group",
            group,
            application_group_body(config, cluster),
            why,
        ));
    }
    let present = scene.estate.get(&address);
    if scene.estate.is_absent(&address) || present.is_some_and(has_failed) {
        let why = format!("{} has no address to which the hub can lead clients", cluster.name());
        let body = application_address_body(config, scene.id, cluster);
        let mut step = Step::put("application-address", address, body, why)
            .waiting_for(steps.iter().map(|step| Wait::Step { id: step.id.clone() }).collect());
        if let Some(present) = present {
            step = step.over(present);
        }
        steps.push(step);
    }
    steps
}

/// Names the application address and its group in the footprint if they exist or are made now.
pub(super) fn leave_footprint(scene: &Scene<'_>, footprint: &mut Footprint) {
    let group = application_group_id(scene.config, scene.id);
    let made = scene.estate.get(&group).is_some() || !application_address(scene).is_empty();
    if made {
        footprint.address_group = Some(group);
        footprint.application_address = Some(application_address_id(scene.config, scene.id));
    }
}

/// What a person should know of the way in.
pub(super) fn findings(scene: &Scene<'_>) -> Vec<Finding> {
    let Some(ingress) = &scene.hub.ingress else {
        return Vec::new();
    };
    let name = scene.cluster.name();
    let mut findings = Vec::new();
    let target = target(scene.estate, scene.config, scene.hub, scene.id, &scene.cluster);
    if let Target::Gone(reason) = &target {
        findings.push(Finding::warning(
            Code::IngressTargetGone,
            format!("clients of {name} are led nowhere: {reason}"),
            "Name a live frontend of the cluster; until then nothing leads in, because an address that is given up may go to a stranger.",
        ));
    }
    let hub = &scene.contribution.hub;
    let address = scene.contribution.ingress;
    if !ingress.is_open() {
        let reserved = address.map_or_else(|| "no address is".to_owned(), |address| format!("{address} is"));
        findings.push(Finding::info(
            Code::IngressClosed,
            format!("{reserved} reserved for {name}, and nothing is opened, because nobody may come in"),
            format!("Name the networks of the clients in hubs.{hub}.ingress.sources."),
        ));
    } else if address.is_none() && scene.known.no_address && !scene.contribution.inbound.is_empty() {
        findings.push(Finding::warning(
            Code::NoIngressAddress,
            format!(
                "the firewall has no free address for {name}, so no client gets in; the way out is wired all the same"
            ),
            format!(
                "Attach another public IP address to {}, or let Hubward do it: addresses = \"managed\".",
                scene.hub.firewall.name()
            ),
        ));
    }
    let stopped = stopped_at_interfaces(scene.estate, scene.hub, scene.facts, &scene.cluster);
    findings.extend(stopped.into_iter().map(|(place, source, reason)| {
        Finding::warning(
            Code::IngressSourceRanges,
            format!("what the firewall leads to {place} of {name} comes from {source} and is dropped: {reason}"),
            format!("Add {source}/32 to loadBalancerSourceRanges of the service."),
        )
    }));
    findings.extend(unused_address(scene, &target));
    findings
}

/// How a service takes the application address, while none does.
fn unused_address(scene: &Scene<'_>, target: &Target) -> Option<Finding> {
    let Target::Live(own) = target else { return None };
    if named_target(scene.hub, scene.id, &scene.cluster).is_some() {
        return None;
    }
    let frontends = public_frontends(scene.estate, &scene.cluster).unwrap_or_default();
    if frontends.iter().any(|f| f.address == Some(*own) && !f.ports.is_empty()) {
        return None;
    }
    let way = match scene.contribution.ingress {
        Some(address) => format!("clients of {address} are led to {own}"),
        None => format!("{own} is ready for clients that the hub will lead in"),
    };
    Some(Finding::info(
        Code::IngressAddress,
        format!("{way}, which no service of {} uses", scene.cluster.name()),
        format!(
            "Annotate the service of the ingress controller: {}.",
            annotations(scene.config, scene.id)
        ),
    ))
}

/// The gate: public frontends that serve somebody and that the switch would cut.
pub(super) fn live_public_inbound(scene: &Scene<'_>, gates: &mut Gates) {
    let Some(id) = scene.cluster.load_balancer_id() else {
        return;
    };
    let Some(frontends) = public_frontends(scene.estate, &scene.cluster) else {
        gates.findings.push(Finding::blocking(
            Code::LivePublicInbound,
            format!("the load balancer {id} was not read, so it is not known what the switch would cut"),
            "Let Hubward read the cluster's node resource group.",
        ));
        return;
    };
    for frontend in &frontends {
        let asked: Vec<&FrontendPort> = frontend
            .ports
            .iter()
            .filter(|port| !is_replaced(scene, frontend, port) && !is_accepted(scene, &frontend.at(port)))
            .collect();
        if asked.is_empty() {
            continue;
        }
        gates.asks.extend(asked.iter().map(|port| Acceptance {
            code: Code::LivePublicInbound,
            what: frontend.at(port),
        }));
        gates.findings.push(would_be_cut(scene, frontend, &asked));
    }
}

/// What the switch may cut because the owner of the cluster accepts it.
pub(super) fn accepted_losses(scene: &Scene<'_>) -> BTreeSet<String> {
    let frontends = public_frontends(scene.estate, &scene.cluster).unwrap_or_default();
    frontends
        .iter()
        .flat_map(|frontend| frontend.ports.iter().map(|port| frontend.at(port)))
        .filter(|what| is_accepted(scene, what))
        .collect()
}

fn would_be_cut(scene: &Scene<'_>, frontend: &Served, ports: &[&FrontendPort]) -> Finding {
    let listed: Vec<String> = ports.iter().map(ToString::to_string).collect();
    let places: Vec<String> = ports.iter().map(|port| frontend.place(port)).collect();
    let accept = format!(
        "accept the loss with the tag {ACCEPT_INBOUND_TAG}={} or with approve",
        places.join(",")
    );
    let open = scene.hub.ingress.as_ref().is_some_and(|ingress| ingress.is_open());
    let help = match scene.contribution.ingress.filter(|_| open) {
        Some(address) => format!("Lead its clients to {address}, at which the hub leads in, then {accept}."),
        None => format!("Move the service behind the hub or to an internal load balancer, or {accept}."),
    };
    Finding::blocking(
        Code::LivePublicInbound,
        format!(
            "the public frontend {} of {} serves {}, and the switch would cut it",
            frontend.name(),
            scene.cluster.name(),
            listed.join(" and ")
        ),
        help,
    )
}

/// True if the frontend is our application address and DNAT leads everybody to this port of it whom it answers. The address is a
/// public one that people may know by a name of theirs, so a DNAT rule for some of them replaces nothing.
fn is_replaced(scene: &Scene<'_>, frontend: &Served, port: &FrontendPort) -> bool {
    let own = scene
        .estate
        .get(&application_address_id(scene.config, scene.id))
        .and_then(public_address);
    own.is_some()
        && frontend.address == own
        && leads_everybody(scene.estate, scene.hub, scene.facts, &scene.cluster, frontend, port)
}

/// True if the cluster's tag or a person's decision names this port of this frontend; the tag may leave the protocol out.
fn is_accepted(scene: &Scene<'_>, what: &str) -> bool {
    let decided = Acceptance {
        code: Code::LivePublicInbound,
        what: what.to_owned(),
    };
    tag_accepts(&scene.cluster, what) || scene.known.word.accepted.contains(&decided)
}

/// True if the cluster's tag accepts the loss of this port of a frontend.
fn tag_accepts(cluster: &ClusterView<'_>, what: &str) -> bool {
    let place = what.split_once('/').map_or(what, |(place, _)| place);
    cluster.tag(ACCEPT_INBOUND_TAG).is_some_and(|tag| {
        tag.split(',')
            .map(str::trim)
            .any(|entry| entry.eq_ignore_ascii_case(what) || entry.eq_ignore_ascii_case(place))
    })
}
