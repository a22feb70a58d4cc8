//! The spoke's plan: judge, prepare, gate, switch, in an order that cuts nobody off.
//!
//! It refuses what it cannot judge: a cluster whose shape, hub or neighbours do not allow wiring gets findings, not steps.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::gates::{Gates, Scene, gates};
use super::guard::guarded;
use super::{AcceptedLoss, Plan, State, Step, Wait, comparable};
use crate::blueprint::{
    Contribution, PeeringSide, SubnetWish, contribution, edit_group, hub_facts, requirements, rule_collection_group_id,
    spoke_blueprint,
};
use crate::config::{Config, Mode, WorkloadEgress};
use crate::estate::{ClusterView, Estate};
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;
use crate::proof::{Proof, egress, reach};

/// What is known about the age of a cluster and of the installation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Age {
    /// When Hubward was installed; `None` if the ledger has lost it.
    pub installed_at: Option<OffsetDateTime>,
    /// True if a create event of the cluster was seen after the installation.
    pub create_seen: bool,
}

/// Plans the spoke of one cluster.
#[must_use]
pub fn plan_spoke(estate: &Estate, config: &Config, id: &ResourceId, age: Age) -> Plan {
    let mut plan = Plan::empty(id.key());
    let Some(cluster) = estate.cluster(id) else {
        plan.state = Some(State::NotEligible);
        plan.findings.push(Finding::info(
            Code::ClusterNotFound,
            format!("the cluster {id} does not exist"),
            "",
        ));
        return plan.seal(estate);
    };
    if let Some(finding) = not_eligible(config, &cluster) {
        plan.state = Some(State::NotEligible);
        plan.findings.push(finding);
        return plan.seal(estate);
    }
    let Some((hub_name, hub)) = config.hub_for_location(cluster.location()) else {
        return plan.seal(estate);
    };
    let facts = match hub_facts(estate, hub) {
        Ok(facts) => facts,
        Err(finding) => {
            plan.state = Some(State::Waiting);
            plan.waits.push(Wait::Hub);
            plan.findings.push(finding);
            return plan.seal(estate);
        }
    };
    let wishes =
        spoke_blueprint(estate, config, hub, &facts, &cluster).zip(contribution(estate, id, &cluster, hub_name));
    let Some((blueprint, contribution)) = wishes else {
        // AKS shows the subnets before it has made them; the next look finds them.
        plan.state = Some(State::Waiting);
        plan.waits.push(Wait::Cluster {
            state: cluster.provisioning_state().to_owned(),
        });
        return plan.seal(estate);
    };
    let scene = Scene {
        estate,
        config,
        hub,
        facts: &facts,
        id,
        cluster,
        blueprint: &blueprint,
        contribution: &contribution,
    };
    let (mode, reason) = effective_mode(config, &cluster, age);
    plan.findings.extend(reason);
    fill(&mut plan, &scene, mode);
    plan.seal(estate)
}

/// Steps, gates, judgement and state of an eligible cluster.
fn fill(plan: &mut Plan, scene: &Scene<'_>, mode: Mode) {
    plan.proof = Some(judge(scene, scene.estate));
    let mut findings = overlap(scene).into_iter().collect::<Vec<_>>();
    let mut steps = Vec::new();
    let Gates {
        waits: gate_waits,
        findings: gate_findings,
    } = gates(scene);
    for side in &scene.blueprint.peerings {
        match peering(scene, side) {
            Ok(step) => steps.extend(step),
            Err(finding) => findings.push(finding),
        }
    }
    steps.extend(route_table(scene));
    let preparing: Vec<Wait> = steps.iter().map(|s| Wait::Step { id: s.id.clone() }).collect();
    let mut switches = Vec::new();
    for wish in &scene.blueprint.subnets {
        match switch(scene, wish, &gate_waits, &preparing) {
            Ok(step) => switches.extend(step),
            Err(finding) => findings.push(finding),
        }
    }
    let switched = switches.is_empty() && !findings.iter().any(Finding::is_blocking);
    steps.extend(switches);
    findings.extend(gate_findings);
    if findings.iter().any(|f| f.is_blocking() && stops_everything(f.code)) {
        steps.clear();
    }
    let (steps, refused) = guarded(
        scene.estate,
        steps,
        |estate| vec![(scene.cluster.name().to_owned(), judge(scene, estate))],
        |estate, step| assume_waits_over(scene, estate, step),
    );
    findings.extend(refused);
    let touches_nothing = mode != Mode::Correct;
    plan.contribution = (!touches_nothing).then(|| scene.contribution.clone());
    plan.state = Some(state(
        mode,
        switched,
        &steps,
        &gate_waits,
        &findings,
        plan.proof.as_ref(),
    ));
    plan.steps = steps;
    if plan.state != Some(State::Wired) {
        plan.waits.extend(gate_waits);
    }
    if mode == Mode::Approve && !plan.steps.is_empty() {
        plan.waits.push(Wait::Approval);
    }
    plan.findings.extend(findings);
}

fn state(
    mode: Mode,
    switched: bool,
    steps: &[Step],
    gate_waits: &[Wait],
    findings: &[Finding],
    proof: Option<&Proof>,
) -> State {
    let proven = proof.is_some_and(|p| p.egress.holds() && p.reach.holds());
    if switched && steps.is_empty() && gate_waits.is_empty() && proven {
        return State::Wired;
    }
    match mode {
        Mode::Observe => return State::Observed,
        Mode::Approve if !steps.is_empty() => return State::PendingApproval,
        Mode::Approve | Mode::Correct => {}
    }
    let blocking = || findings.iter().filter(|f| f.is_blocking());
    if blocking().any(|f| !waits_for_owner(f.code)) {
        return State::Failed;
    }
    if blocking().next().is_some() && steps.iter().all(|s| is_switch(s)) {
        return State::Prepared;
    }
    if switched && steps.is_empty() && gate_waits.is_empty() {
        return State::Broken;
    }
    State::Waiting
}

fn effective_mode(config: &Config, cluster: &ClusterView<'_>, age: Age) -> (Mode, Option<Finding>) {
    let older = |why: &str| {
        let finding = Finding::info(
            Code::OlderThanInstallation,
            format!("{} {why}; it is observed and not written", cluster.name()),
            "Approve the cluster when its owner agrees to one reset of open connections.",
        );
        (Mode::Observe, Some(finding))
    };
    match (age.installed_at, cluster.created_at()) {
        (None, _) => older("was found by a ledger that does not know when Hubward was installed"),
        (Some(installed), Some(created)) if created < installed => older("is older than the installation"),
        (Some(_), None) if !age.create_seen => older("may be older than the installation"),
        (Some(_), _) => (config.mode, None),
    }
}

fn not_eligible(config: &Config, cluster: &ClusterView<'_>) -> Option<Finding> {
    let name = cluster.name();
    let no = |code, message: String, help: &str| Some(Finding::blocking(code, message, help));
    if cluster.provisioning_state().eq_ignore_ascii_case("Deleting") {
        return no(Code::ClusterDeleting, format!("{name} is being deleted"), "");
    }
    if config.hub_for_location(cluster.location()).is_none() {
        return no(
            Code::NoHubForLocation,
            format!("no hub is configured for {} ({name})", cluster.location()),
            "Add a hub with this location to the configuration.",
        );
    }
    // AKS forbids changes in the network it made (AKS concepts-network-cni-overview.md).
    let managed = cluster.pools().iter().any(|p| p.subnet.is_none())
        || cluster.subnets().iter().any(|s| {
            s.resource_group()
                .zip(cluster.node_resource_group())
                .is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
        });
    if managed {
        return no(
            Code::ManagedVirtualNetwork,
            format!("{name} lies in a network that AKS manages"),
            "Only clusters in a virtual network of your own can be led through the hub.",
        );
    }
    let mut vnets: Vec<ResourceId> = cluster.subnets().iter().filter_map(ResourceId::parent).collect();
    vnets.dedup();
    if vnets.len() != 1 {
        return no(
            Code::SeveralVirtualNetworks,
            format!("the pools of {name} lie in {} virtual networks", vnets.len()),
            "All pools of a cluster must lie in one virtual network.",
        );
    }
    const MOVABLE: [&str; 3] = ["loadBalancer", "userAssignedNATGateway", "userDefinedRouting"];
    if !MOVABLE.iter().any(|t| cluster.outbound_type().eq_ignore_ascii_case(t)) {
        return no(
            Code::OutboundTypeUnsupported,
            format!(
                "{name} has outboundType {}, which a route table does not move",
                cluster.outbound_type()
            ),
            "Change outboundType to loadBalancer, userAssignedNATGateway or userDefinedRouting.",
        );
    }
    // kubenet and its table belong together: AKS writes a route per node into it (AKS configure-kubenet.md).
    if cluster.network_plugin().eq_ignore_ascii_case("kubenet") {
        return no(
            Code::KubenetUnsupported,
            format!("{name} uses kubenet, whose route table belongs to AKS"),
            "Clusters with Azure CNI can be wired.",
        );
    }
    if let Some(pool) = cluster.pools().iter().find(|p| p.node_public_ip) {
        return no(
            Code::NodePublicAddress,
            format!(
                "nodes of pool {} of {name} have public addresses of their own",
                pool.name
            ),
            "Replace the pool by one without enableNodePublicIP.",
        );
    }
    None
}

/// A network that overlaps the hub or one of its peers cannot be peered (Azure refuses it), and would be ambiguous.
fn overlap(scene: &Scene<'_>) -> Option<Finding> {
    let ours = scene.estate.vnet(&scene.blueprint.vnet)?.address_space();
    let hub = scene.estate.vnet(&scene.hub.virtual_network)?;
    let mut others: Vec<(String, Vec<ipnet::Ipv4Net>)> = vec![("the hub".to_owned(), hub.address_space())];
    for peering in hub.peerings() {
        if let Some(remote) = peering.remote().filter(|r| *r != scene.blueprint.vnet) {
            others.push((remote.name().to_owned(), peering.remote_address_space()));
        }
    }
    let meets = |a: &ipnet::Ipv4Net, b: &ipnet::Ipv4Net| a.contains(b) || b.contains(a);
    others.into_iter().find_map(|(name, spaces)| {
        let (mine, theirs) = ours
            .iter()
            .find_map(|a| spaces.iter().find(|b| meets(a, b)).map(|b| (*a, *b)))?;
        Some(Finding::blocking(
            Code::AddressSpaceOverlap,
            format!("{mine} of {} overlaps {theirs} of {name}", scene.blueprint.vnet.name()),
            "Give the spoke an address space of its own; nothing is written until then.",
        ))
    })
}

/// The step that makes one side of the peering what it should be, if it is not.
fn peering(scene: &Scene<'_>, side: &PeeringSide) -> Result<Option<Step>, Finding> {
    let hub_side = side.local == scene.hub.virtual_network;
    let step_id = if hub_side {
        "peer-hub-to-spoke"
    } else {
        "peer-spoke-to-hub"
    };
    let lanes = [&side.local, &side.remote];
    let present = scene.estate.vnet(&side.local).and_then(|v| v.peering_to(&side.remote));
    let Some(present) = present else {
        let why = format!("{} has no peering to {}", side.local.name(), side.remote.name());
        let step = Step::put(step_id, side.id.clone(), side.body(), why)
            .in_lanes(&lanes)
            .waiting_for(at_rest(scene, &lanes));
        return Ok(Some(step));
    };
    if present.state().eq_ignore_ascii_case("Disconnected") {
        return Err(Finding::blocking(
            Code::PeeringDisconnected,
            format!(
                "the peering {} of {} is Disconnected",
                present.name(),
                side.local.name()
            ),
            "Delete it; Hubward then makes both sides again.",
        ));
    }
    if present.flags_suffice() {
        return Ok(None);
    }
    if !present.name().eq_ignore_ascii_case(side.id.name()) {
        return Err(Finding::blocking(
            Code::ForeignPeering,
            format!(
                "the peering {} of {} does not allow forwarded traffic, and it is not ours to change",
                present.name(),
                side.local.name()
            ),
            "Set allowVirtualNetworkAccess and allowForwardedTraffic on it.",
        ));
    }
    let mut body = comparable(present.body);
    body["properties"]["allowVirtualNetworkAccess"] = json!(true);
    body["properties"]["allowForwardedTraffic"] = json!(true);
    let why = format!("the peering {} does not allow forwarded traffic", present.name());
    let step = Step::put(step_id, side.id.clone(), body, why)
        .over(present.body)
        .in_lanes(&lanes)
        .waiting_for(at_rest(scene, &lanes));
    Ok(Some(step))
}

/// The table as a whole if it does not exist, otherwise each route that is missing or wrong as a child.
fn route_table(scene: &Scene<'_>) -> Vec<Step> {
    let id = &scene.blueprint.route_table;
    let prefix = &scene.config.naming.prefix;
    let Some(table) = scene.estate.route_table(id) else {
        let body = scene.blueprint.route_table_body(prefix);
        let why = format!(
            "{} has no route table that leads to the hub",
            scene.blueprint.vnet.name()
        );
        return vec![Step::put("route-table", id.clone(), body, why)];
    };
    let present = table.routes();
    let mut steps = Vec::new();
    for wish in &scene.blueprint.routes {
        let same = present.iter().find(|r| r.name.eq_ignore_ascii_case(wish.id.name()));
        let kind = if wish.next_hop.is_some() {
            "VirtualAppliance"
        } else {
            "Internet"
        };
        let right = same.is_some_and(|r| {
            r.prefix == wish.prefix
                && r.next_hop_type.eq_ignore_ascii_case(kind)
                && (wish.next_hop.is_none() || r.next_hop == wish.next_hop)
        });
        if right {
            continue;
        }
        let body = json!({"name": wish.id.name(), "properties": wish.properties()});
        let why = format!(
            "the route {} of {} is missing or leads elsewhere",
            wish.id.name(),
            id.name()
        );
        let mut step = Step::put(format!("route-{}", wish.id.name()), wish.id.clone(), body, why).in_lanes(&[id]);
        if let Some(old) = route_document(scene, wish.id.name()) {
            step = step.over(&old);
        }
        if !table.is_at_rest() {
            step.waits.push(Wait::AtRest { id: id.clone() });
        }
        steps.push(step);
    }
    steps
}

fn route_document(scene: &Scene<'_>, name: &str) -> Option<Value> {
    let table = scene.estate.get(&scene.blueprint.route_table)?;
    let routes = table.pointer("/properties/routes")?.as_array()?;
    routes
        .iter()
        .find(|r| {
            r.get("name")
                .and_then(Value::as_str)
                .is_some_and(|n| n.eq_ignore_ascii_case(name))
        })
        .cloned()
}

/// The switch of one subnet: the subnet as it is, with our table.
fn switch(
    scene: &Scene<'_>,
    wish: &SubnetWish,
    gate_waits: &[Wait],
    preparing: &[Wait],
) -> Result<Option<Step>, Finding> {
    let Some(subnet) = scene.estate.subnet(&wish.id) else {
        return Ok(None);
    };
    if subnet.route_table().as_ref() == Some(&wish.route_table) {
        return Ok(None);
    }
    if let Some(table) = subnet.route_table() {
        return Err(Finding::blocking(
            Code::ForeignRouteTable,
            format!("the subnet {} carries the route table {table}", wish.id.name()),
            "Detach it, or lead its default route to the firewall yourself.",
        ));
    }
    if subnet.is_reserved() {
        return Err(Finding::blocking(
            Code::ReservedSubnet,
            format!("the subnet {} belongs to another Azure service", wish.id.name()),
            "Put the pool into a subnet of its own.",
        ));
    }
    let mut body = comparable(subnet.body);
    body["properties"]["routeTable"] = json!({"id": wish.route_table.as_str()});
    let mut waits = gate_waits.to_vec();
    waits.extend(preparing.iter().cloned());
    let vnet = &scene.blueprint.vnet;
    waits.extend(at_rest(scene, &[vnet]));
    let mut accepts = vec![AcceptedLoss::OpenConnections];
    if scene.hub.workload_egress != WorkloadEgress::Web {
        accepts.push(AcceptedLoss::NotInRules);
    }
    let why = format!("{} still leaves from its own address", wish.id.name());
    let mut step = Step::put(format!("switch-{}", wish.id.name()), wish.id.clone(), body, why)
        .over(subnet.body)
        .in_lanes(&[vnet])
        .waiting_for(waits);
    step.accepts = accepts;
    Ok(Some(step))
}

fn at_rest(scene: &Scene<'_>, networks: &[&ResourceId]) -> Vec<Wait> {
    networks
        .iter()
        .filter(|id| scene.estate.vnet(id).is_some_and(|v| !v.is_at_rest()))
        .map(|id| Wait::AtRest { id: (*id).clone() })
        .collect()
}

fn judge(scene: &Scene<'_>, estate: &Estate) -> Proof {
    let requirements = requirements(scene.contribution, scene.hub);
    Proof {
        egress: egress(estate, scene.hub, scene.facts, &scene.cluster),
        reach: reach(estate, scene.hub, scene.facts, &scene.cluster, &requirements),
    }
}

/// What a waiting step waits for has come about when it is written: the hub's rules hold this cluster's part.
fn assume_waits_over(scene: &Scene<'_>, estate: &Estate, step: &Step) -> Estate {
    if !step.waits.contains(&Wait::Rules) {
        return estate.clone();
    }
    let group = rule_collection_group_id(scene.config, &scene.facts.policy);
    let part: std::collections::BTreeMap<ResourceId, Contribution> =
        [(scene.id.clone(), scene.contribution.clone())].into();
    let edit = edit_group(
        scene.config,
        scene.hub,
        &scene.facts.policy,
        estate.get(&group),
        &part,
        &[],
    );
    super::after(estate, &Step::put("rules", edit.id, edit.body, ""))
}

fn is_switch(step: &Step) -> bool {
    step.accepts.contains(&AcceptedLoss::OpenConnections)
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
            | Code::LivePublicInbound
            | Code::AuthorizedRangesLackEgress
            | Code::DnsNotThroughFirewall
            | Code::DnsProxyOff
            | Code::ForeignRouteTable
            | Code::ForeignPeering
            | Code::PeeringDisconnected
    )
}
