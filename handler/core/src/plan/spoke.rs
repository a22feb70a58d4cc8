//! The spoke's plan, in an order that cuts nobody off:
//!
//! | stage | makes | may be written |
//! |---|---|---|
//! | judge | mode, eligibility, both judgements of the estate as it is | |
//! | prepare | peerings, route table not attached, role assignments | at once; nothing runs through them yet |
//! | gate | waits and findings: rules, peerings, names, neighbours | |
//! | switch | the table on each subnet, its default route if it is attached | when every gate is open and every preparing step of the way out is done |
//! | guard | keeps the steps up to the first that would cut anybody off | |
//!
//! It refuses what it cannot judge: a cluster whose shape, hub or neighbours do not allow wiring gets findings, not steps.

use super::assumption::{PEERING, waits_over};
use super::eligibility::{effective_mode, not_eligible, overlap, pod_overlap};
use super::gates::{Gates, Scene, gates, reservations_of_switched, stopped_cluster};
use super::guard::{Judged, guarded};
use super::ingress::{self, accepted_losses, application_address, ingress_address};
use super::neighbours::{Neighbour, neighbour_gates, neighbours};
use super::reservations::reservations;
use super::roles::rights;
use super::writes::{is_switch, peering, remnants, route_table, switch};
use super::{Acceptance, Known, Plan, State, Step, Wait, after, digest, kubenet};
use serde_json::json;

use crate::blueprint::{
    Contribution, HubFacts, SubnetAttachment, approvable, carries, contribution, footprint, grants, only_adds,
    prefixes_by_part, requirements, rule_collection_group_id, serving_hub, spoke_blueprint, uncovered,
};
use crate::config::{Config, Mode};
use crate::estate::{ClusterView, Estate};
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;
use crate::names;
use crate::proof::{Judgement, Proof, egress, flows, inbound_flows, reach};

/// Plans the spoke of one cluster.
#[must_use]
pub fn plan_spoke(estate: &Estate, config: &Config, id: &ResourceId, known: &Known) -> Plan {
    let mut plan = Plan::empty(id.key());
    let Some(cluster) = estate.cluster(id) else {
        let (state, finding) = no_document(estate, id);
        plan.state = Some(state);
        plan.findings.push(finding);
        return plan.seal(estate);
    };
    if let Some(finding) = not_eligible(config, id, &cluster) {
        plan.state = Some(State::NotEligible);
        plan.findings.push(finding);
        return plan.seal(estate);
    }
    let Some((hub_name, hub)) = config.hub_for_location(cluster.location()) else {
        return plan.seal(estate);
    };
    let facts = match serving_hub(estate, hub) {
        Ok(facts) => facts,
        Err(finding) => {
            plan.state = Some(State::Waiting);
            plan.waits.push(Wait::Hub);
            plan.findings.push(finding);
            return plan.seal(estate);
        }
    };
    let wanted = spoke_blueprint(estate, config, hub, &facts, &cluster)
        .zip(contribution(estate, config, id, &cluster, hub_name, &facts));
    let Some((blueprint, mut contribution)) = wanted else {
        no_network(&mut plan, estate, &cluster);
        return plan.seal(estate);
    };
    release(estate, config, &facts, &mut contribution);
    contribution.ingress = ingress_address(estate, config, hub, known, id);
    let scene = Scene {
        estate,
        config,
        hub,
        facts: &facts,
        id,
        cluster,
        blueprint: &blueprint,
        contribution: &contribution,
        known,
    };
    let (mode, reason) = effective_mode(config, &cluster, known);
    plan.findings.extend(reason);
    stages(&mut plan, &scene, mode);
    plan.seal(estate)
}

/// Only a read that Azure answered with "not found" says that a cluster does not exist.
fn no_document(estate: &Estate, id: &ResourceId) -> (State, Finding) {
    if estate.is_absent(id) {
        let message = format!("the cluster {id} does not exist");
        (State::NotEligible, Finding::info(Code::ClusterNotFound, message, ""))
    } else {
        let message = format!("the cluster {id} was not read");
        let help = "Let Hubward read the cluster; nothing is written until then.";
        (State::Waiting, Finding::blocking(Code::NotRead, message, help))
    }
}

/// AKS shows the subnets before it has made them, and the next look finds them; once AKS is done, waiting does not help.
fn no_network(plan: &mut Plan, estate: &Estate, cluster: &ClusterView<'_>) {
    if let Some(finding) = stopped_cluster(cluster) {
        plan.state = Some(State::Failed);
        plan.waits.push(Wait::Person { code: finding.code });
        plan.findings.push(finding);
        return;
    }
    if !cluster.is_succeeded() {
        plan.state = Some(State::Waiting);
        plan.waits.push(Wait::Cluster {
            state: cluster.provisioning_state().to_owned(),
        });
        return;
    }
    let finding = kubenet::no_table(estate, cluster).unwrap_or_else(|| {
        Finding::blocking(
            Code::NotRead,
            format!("a subnet of {} was not found or may not be read", cluster.name()),
            "Let Hubward read the cluster's virtual network.",
        )
    });
    plan.state = Some(State::Failed);
    plan.waits.push(Wait::Person { code: finding.code });
    plan.findings.push(finding);
}

/// Names the prefixes that the group lets out for the cluster and that no subnet with our table has any more.
fn release(estate: &Estate, config: &Config, facts: &HubFacts, contribution: &mut Contribution) {
    let group = estate.get(&rule_collection_group_id(config, &facts.policy));
    let parts = group.map(|group| prefixes_by_part(config, group)).unwrap_or_default();
    let present = parts.get(&names::hash(&contribution.cluster));
    contribution.released = present.map_or_else(Vec::new, |present| uncovered(present, &contribution.prefixes));
}

/// True if the contribution may replace the one that is kept. While AKS is at work, or has failed, the document may lack a
/// pool or the API server's name that the cluster still has: it may ask for more then, and give nothing back.
fn is_complete(scene: &Scene<'_>) -> bool {
    let group = scene
        .estate
        .get(&rule_collection_group_id(scene.config, &scene.facts.policy));
    scene.cluster.is_succeeded()
        || group.is_none_or(|group| only_adds(scene.config, scene.hub, group, scene.contribution))
}

/// The stages of an eligible cluster, in the order of the module's table.
fn stages(plan: &mut Plan, scene: &Scene<'_>, mode: Mode) {
    let neighbours = neighbours(scene);
    let switched = is_switched(scene);
    plan.proof = Some(judge(scene));
    let mut findings: Vec<Finding> = overlap(scene).into_iter().chain(pod_overlap(scene)).collect();
    findings.extend(kubenet::table_findings(scene));
    let (mut preparing, moving) = prepare(scene, &mut findings);
    let rights = rights(scene, &preparing, switched);
    preparing.extend(rights.steps);
    findings.extend(rights.finding);
    let moving = [moving, switches(scene, &mut findings)].concat();
    let (gates, asks) = gate(scene, &neighbours, switched, &mut findings);
    plan.asks = asks;
    let mut steps = in_order(preparing, moving, &gates);
    let stopped = findings.iter().any(|f| f.is_blocking() && stops_everything(f.code));
    if stopped {
        steps.clear();
    }
    let (steps, refused) = guarded(
        scene.estate,
        steps,
        |estate| judge_all(scene, &neighbours, estate),
        |estate, step| waits_over(scene, &neighbours, estate, step),
    );
    findings.extend(refused);
    plan.steps = steps;
    plan.hold(mode, &scene.known.word);
    let complete = !stopped && is_complete(scene);
    plan.held_rules = (mode == Mode::Approve && complete)
        .then(|| rules_to_approve(scene))
        .flatten();
    let contributes = complete && mode != Mode::Observe && plan.held_rules.is_none();
    plan.contribution = contributes.then(|| scene.contribution.clone());
    plan.waits.extend(plan.held_rules.as_ref().map(|_| Wait::Approval));
    let held = plan.held_rules.is_some() || plan.steps.iter().any(waits_for_approval);
    let state = state(
        mode,
        held,
        switched,
        &plan.steps,
        &gates,
        &findings,
        plan.proof.as_ref(),
    );
    plan.state = Some(match rights.settling {
        Some(_) if state == State::Wired => State::Settling,
        Some(_) | None => state,
    });
    if state == State::Wired {
        plan.waits.extend(rights.settling.map(|until| Wait::Rights { until }));
    } else {
        plan.waits.extend(gates);
        plan.waits.extend(scene.known.word.paused.then_some(Wait::Paused));
    }
    if plan.startable().next().is_some() || plan.contribution.is_some() {
        let hub = &scene.contribution.hub;
        let mut footprint = footprint(scene.id, &scene.cluster, hub, scene.blueprint);
        ingress::leave_footprint(scene, &mut footprint);
        let grants = grants(scene.config, scene.hub, scene.id, &scene.cluster, scene.blueprint);
        footprint.roles = grants.into_iter().map(|grant| grant.id).collect();
        plan.footprint = Some(footprint);
    }
    findings.extend(reservations(scene));
    findings.extend(ingress::findings(scene));
    plan.findings.extend(findings);
}

/// The digest of what the cluster needs from its hub, while it is neither in force nor approved. It is approved like a step, because
/// the hub's next write carries it out.
fn rules_to_approve(scene: &Scene<'_>) -> Option<String> {
    let group = scene
        .estate
        .get(&rule_collection_group_id(scene.config, &scene.facts.policy));
    if group.is_some_and(|group| carries(scene.config, scene.hub, group, scene.contribution)) {
        return None;
    }
    let wish = approvable(scene.hub, &scene.cluster, scene.contribution);
    let digest = digest(&json!(wish).to_string());
    (!scene.known.word.approved.contains(&digest)).then_some(digest)
}

fn waits_for_approval(step: &Step) -> bool {
    step.waits.contains(&Wait::Approval)
}

/// Prepare: what carries no traffic yet, and apart from it the routes of an attached table, which do.
fn prepare(scene: &Scene<'_>, findings: &mut Vec<Finding>) -> (Vec<Step>, Vec<Step>) {
    let mut steps = remnants(scene);
    let removed: Vec<Wait> = steps.iter().map(earlier).collect();
    let without = steps
        .iter()
        .fold(scene.estate.clone(), |estate, step| after(&estate, step));
    let cleared = Scene {
        estate: &without,
        ..*scene
    };
    for side in &scene.blueprint.peerings {
        match peering(&cleared, side) {
            Ok(step) => steps.extend(step.map(|mut step| {
                step.waits.extend(removed.iter().cloned());
                step
            })),
            Err(finding) => findings.push(finding),
        }
    }
    let (moving, still): (Vec<Step>, Vec<Step>) = route_table(scene).into_iter().partition(is_switch);
    steps.extend(still);
    steps.extend(application_address(scene));
    (steps, moving)
}

/// Switch: the table on each subnet that does not carry it.
fn switches(scene: &Scene<'_>, findings: &mut Vec<Finding>) -> Vec<Step> {
    let mut steps = Vec::new();
    for attachment in &scene.blueprint.subnets {
        match switch(scene, attachment) {
            Ok(step) => steps.extend(step),
            Err(finding) => findings.push(finding),
        }
    }
    steps
}

/// All steps in order: what moves traffic waits for the gates and for everything before it that only prepares; a route of an
/// attached table comes before a further attachment. What only leads clients in is waited for by nothing: a subscription that
/// takes no public address must not keep a cluster from leaving through the hub.
fn in_order(preparing: Vec<Step>, moving: Vec<Step>, gates: &[Wait]) -> Vec<Step> {
    let mut steps = preparing;
    let of_the_way_out = steps.iter().filter(|step| !step.only_leads_in());
    let mut before: Vec<Wait> = of_the_way_out.map(earlier).collect();
    for mut step in moving {
        step.waits.extend(gates.iter().chain(&before).cloned());
        if step.target.is_type("Microsoft.Network/routeTables/routes") {
            before.push(earlier(&step));
        }
        steps.push(step);
    }
    steps
}

fn earlier(step: &Step) -> Wait {
    Wait::Step { id: step.id.clone() }
}

/// Gate: what every write that moves traffic waits for. A blocking finding of any part of the spoke holds all of it, because half a
/// cluster behind the hub keeps neither promise.
fn gate(
    scene: &Scene<'_>,
    neighbours: &[Neighbour<'_>],
    switched: bool,
    findings: &mut Vec<Finding>,
) -> (Vec<Wait>, Vec<Acceptance>) {
    let mut all = if switched {
        reservations_of_switched(scene)
    } else {
        gates(scene)
    };
    if !switched {
        neighbour_gates(scene, neighbours, &mut all);
    }
    let Gates {
        mut waits,
        findings: gate_findings,
        mut asks,
    } = all;
    findings.extend(gate_findings);
    // What a person has to end is not looked at again and again.
    if findings.iter().any(|f| f.is_blocking() && PEERING.contains(&f.code)) {
        waits.retain(|wait| *wait != Wait::Peering);
    }
    let people = findings.iter().filter(|f| f.is_blocking());
    waits.extend(people.map(|f| Wait::Person { code: f.code }));
    waits.sort();
    waits.dedup();
    asks.sort();
    asks.dedup();
    (waits, asks)
}

fn is_switched(scene: &Scene<'_>) -> bool {
    is_attached(scene) && (scene.blueprint.table_is_ours || kubenet::leads(scene))
}

fn state(
    mode: Mode,
    held: bool,
    switched: bool,
    steps: &[Step],
    gates: &[Wait],
    findings: &[Finding],
    proof: Option<&Proof>,
) -> State {
    let blocking = || findings.iter().filter(|f| f.is_blocking());
    let proven = proof.is_some_and(|p| p.egress.holds() && p.reach.holds());
    // An address for clients that is still to be made is no part of the way out; one that people hold back is theirs to decide.
    let is_held = |step: &Step| step.waits.iter().any(|wait| !matches!(wait, Wait::Step { .. }));
    let mut of_the_way_out = steps
        .iter()
        .filter(|step| is_held(step) || !step.only_leads_in())
        .peekable();
    let nothing_left = of_the_way_out.peek().is_none();
    if switched && nothing_left && gates.is_empty() && proven {
        return State::Wired;
    }
    match mode {
        Mode::Observe => return State::Observed,
        Mode::Approve if held => return State::PendingApproval,
        Mode::Approve | Mode::Correct => {}
    }
    if blocking().any(|f| !waits_for_owner(f.code)) {
        return State::Failed;
    }
    let lost = proof.is_some_and(|p| {
        [&p.egress, &p.reach]
            .iter()
            .any(|j| matches!(j, Judgement::Broken { .. }))
    });
    let undecided = nothing_left && gates.is_empty();
    if switched && (lost || undecided || blocking().next().is_some()) {
        return State::Broken;
    }
    if blocking().next().is_some() && of_the_way_out.all(is_switch) {
        return State::Prepared;
    }
    State::Waiting
}

fn judge_all(scene: &Scene<'_>, neighbours: &[Neighbour<'_>], estate: &Estate) -> Vec<Judged> {
    let judged = |of: &Scene<'_>| {
        let lost = accepted_losses(of);
        let inbound = inbound_flows(estate, of.hub, of.facts, &of.cluster, is_led(of));
        let requirements = requirements(of.contribution, of.hub);
        Judged {
            cluster: of.cluster.name().to_owned(),
            egress: egress(estate, of.hub, of.facts, &of.cluster),
            flows: flows(estate, of.hub, of.facts, &of.cluster, &requirements),
            inbound: inbound
                .into_iter()
                .filter(|flow| !lost.contains(flow.destination()))
                .collect(),
        }
    };
    let theirs = neighbours.iter().map(|n| judged(&n.scene(scene)));
    [judged(scene)].into_iter().chain(theirs).collect()
}

/// True if the cluster was led to the hub, wherever the routes of its table lead by now.
fn is_led(scene: &Scene<'_>) -> bool {
    let blueprint = scene.blueprint;
    let table = scene.estate.route_table(&blueprint.route_table);
    let routes = table.map(|table| table.routes()).unwrap_or_default();
    let is_ours = |name: &str| {
        let mut planned = blueprint.routes.iter();
        planned.any(|route| route.id.name().eq_ignore_ascii_case(name))
    };
    is_attached(scene) && routes.iter().any(|route| is_ours(route.name))
}

/// True if every subnet of the cluster carries the table of its blueprint.
fn is_attached(scene: &Scene<'_>) -> bool {
    let carries = |attachment: &SubnetAttachment| {
        let subnet = scene.estate.subnet(&attachment.id);
        subnet.and_then(|subnet| subnet.route_table()).as_ref() == Some(&attachment.route_table)
    };
    scene.blueprint.subnets.iter().all(carries)
}

fn judge(scene: &Scene<'_>) -> Proof {
    let requirements = requirements(scene.contribution, scene.hub);
    Proof {
        egress: egress(scene.estate, scene.hub, scene.facts, &scene.cluster),
        reach: reach(scene.estate, scene.hub, scene.facts, &scene.cluster, &requirements),
    }
}

/// Findings with which not even preparing is safe or possible.
fn stops_everything(code: Code) -> bool {
    matches!(code, Code::AddressSpaceOverlap)
}

/// Findings that the cluster's owner or the network's owner ends, with everything else prepared meanwhile.
fn waits_for_owner(code: Code) -> bool {
    matches!(
        code,
        Code::WorkloadEgressUndecided
            | Code::ClusterFailed
            | Code::LivePublicInbound
            | Code::AuthorizedRangesLackEgress
            | Code::DnsNotThroughFirewall
            | Code::DnsProxyOff
            | Code::ForeignRouteTable
            | Code::KubenetRouteTable
            | Code::ServicePrincipalUnknown
            | Code::RouteTableShared
            | Code::RouteTableFull
            | Code::PodAddressOverlap
            | Code::ForeignPeering
            | Code::PeeringDisconnected
            | Code::PeeringFailed
            | Code::PeeringOutOfSync
            | Code::NoPathToFirewall
            | Code::NetworkFailed
            | Code::SharedSubnet
    )
}
