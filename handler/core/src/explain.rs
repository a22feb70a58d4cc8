//! Explanations: for each thing that Hubward made or holds for a cluster, one sentence that says why it is there and what breaks
//! without it. It tells what the blueprint says and what the plan found; it reads nothing and decides nothing.

use std::fmt;
use std::net::Ipv4Addr;

use serde::Serialize;

use crate::blueprint::{
    Footprint, HubFacts, SpokeBlueprint, contribution, rule_collection_group_id, rule_reasons, serving_hub,
    spoke_blueprint,
};
use crate::config::{Config, Hub};
use crate::estate::{ClusterView, Estate};
use crate::ids::ResourceId;
use crate::plan::{Plan, State};

/// Something of ours with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Thing {
    /// What it is, in a word or two.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its id; a rule has none of its own.
    pub id: Option<ResourceId>,
    /// Why it is there and what breaks without it, without a full stop.
    pub why: String,
}

impl Thing {
    fn of(kind: &'static str, id: &ResourceId, why: String) -> Self {
        Self {
            kind,
            name: id.name().to_owned(),
            id: Some(id.clone()),
            why,
        }
    }

    /// True if a person means this by an id or a name.
    #[must_use]
    pub fn is_meant_by(&self, text: &str) -> bool {
        let by_id = self
            .id
            .as_ref()
            .is_some_and(|id| id.as_str().eq_ignore_ascii_case(text.trim_end_matches('/')));
        by_id || self.name.eq_ignore_ascii_case(text)
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}.", self.kind, self.name, self.why)
    }
}

/// What is to be said of a cluster itself: its state, what it waits for, what people should know of its `outboundType`.
#[must_use]
pub fn cluster(estate: &Estate, id: &ResourceId, plan: &Plan) -> Vec<String> {
    let name = id.name();
    let mut lines = Vec::new();
    if let Some(state) = plan.state {
        lines.push(format!("{name} is {state}: {}.", meaning(state)));
    }
    lines.extend(plan.waits.iter().map(|wait| format!("{name} waits for {wait}.")));
    lines.extend(plan.findings.iter().map(|finding| {
        let help = if finding.help.is_empty() { "" } else { " " };
        format!(
            "finding {}: {}.{help}{}",
            finding.code.text(),
            finding.message,
            finding.help
        )
    }));
    if let Some(cluster) = estate.cluster(id) {
        lines.extend(outbound_type(&cluster, id));
    }
    lines
}

/// Everything of ours that stands for a cluster, in the order in which a packet meets it. `ingress` is the firewall's address
/// that is reserved for it, `footprint` what the ledger knows of its wiring.
#[must_use]
pub fn things(
    estate: &Estate,
    config: &Config,
    plan: &Plan,
    id: &ResourceId,
    ingress: Option<Ipv4Addr>,
    footprint: Option<&Footprint>,
) -> Vec<Thing> {
    if plan.state == Some(State::Offboarded) {
        return Vec::new();
    }
    let Some(cluster) = estate.cluster(id) else {
        return Vec::new();
    };
    let Some((hub_name, hub)) = config.hub_for_location(cluster.location()) else {
        return Vec::new();
    };
    let Ok(facts) = serving_hub(estate, hub) else {
        return Vec::new();
    };
    let mut things = Vec::new();
    if let Some(blueprint) = spoke_blueprint(estate, config, hub, &facts, &cluster) {
        things.extend(of_spoke(id, hub, &facts, &blueprint));
    }
    let asked = plan.contribution.clone();
    let asked = asked.or_else(|| contribution(estate, config, id, &cluster, hub_name, &facts));
    if let Some(mut contribution) = asked {
        contribution.ingress = ingress;
        let group = rule_collection_group_id(config, &facts.policy);
        let why = format!(
            "carries the rules of every cluster of hub {hub_name}; without it the firewall lets none of them out"
        );
        things.push(Thing::of("rule group", &group, why));
        things.extend(rule_reasons(&contribution, hub).into_iter().map(|reason| Thing {
            kind: "rule",
            name: reason.name,
            id: None,
            why: reason.why,
        }));
    }
    if let Some(footprint) = footprint {
        things.extend(of_footprint(id, footprint));
    }
    things
}

fn of_spoke(id: &ResourceId, hub: &Hub, facts: &HubFacts, blueprint: &SpokeBlueprint) -> Vec<Thing> {
    let name = id.name();
    let [hub_side, spoke_side] = &blueprint.peerings;
    let [default, back] = &blueprint.routes;
    let subnets: Vec<&str> = blueprint.subnets.iter().map(|subnet| subnet.id.name()).collect();
    let (firewall, egress) = (facts.firewall_ip, facts.egress_ip);
    let table = if blueprint.table_is_ours {
        format!(
            "carries the two routes for {}; without it {name} leaves from an address of its own",
            subnets.join(", ")
        )
    } else {
        format!(
            "belongs to AKS, which writes a route for each node into it, and carries our two routes beside them; without ours {name} leaves from an address of its own"
        )
    };
    vec![
        Thing::of(
            "peering",
            &spoke_side.id,
            format!(
                "leads {} to the firewall in {}; without it the default route ends nowhere and {name} is cut off",
                spoke_side.local.name(),
                hub.virtual_network.name()
            ),
        ),
        Thing::of(
            "peering",
            &hub_side.id,
            format!(
                "leads the firewall's replies back to {}; without it {name} gets no answers",
                hub_side.remote.name()
            ),
        ),
        Thing::of("route table", &blueprint.route_table, table),
        Thing::of(
            "route",
            &default.id,
            format!(
                "sends what leaves the networks to the firewall at {firewall}, so that it goes out from {egress}; without it {name} leaves from an address of its own"
            ),
        ),
        Thing::of(
            "route",
            &back.id,
            format!(
                "lets answers to clients that came in through the firewall go straight back to {egress}; without it they would enter the firewall as strangers and be dropped"
            ),
        ),
    ]
}

fn of_footprint(id: &ResourceId, footprint: &Footprint) -> Vec<Thing> {
    let name = id.name();
    let mut things: Vec<Thing> = footprint
        .roles
        .iter()
        .map(|role| {
            let scope = role.as_str().split("/providers/Microsoft.Authorization/").next();
            let scope = scope.and_then(|scope| scope.rsplit('/').next()).unwrap_or_default();
            let why = format!(
                "lets the control plane of {name} use {scope}; without it AKS can no longer make load balancers, routes or nodes there"
            );
            Thing::of("role assignment", role, why)
        })
        .collect();
    if let Some(address) = &footprint.application_address {
        let why = format!(
            "is the address at which services of {name} can listen behind the firewall; without it DNAT has no target that stays"
        );
        things.push(Thing::of("application address", address, why));
    }
    things
}

/// What a state means for the cluster.
fn meaning(state: State) -> &'static str {
    match state {
        State::Observed => "it is looked at and never written",
        State::NotEligible => "its shape does not allow to lead it through the hub",
        State::PendingApproval => "its plan is made and waits for somebody's word",
        State::Prepared => "everything but the switch is done, and the switch waits for a person",
        State::Waiting => "work goes on, or waits for Azure",
        State::Wired => {
            "all its public traffic is proven to leave through the hub, and everything it needs to be reachable"
        }
        State::Settling => "it leaves through the hub, and its new rights may not be in force everywhere yet",
        State::Broken => "it was led through the hub, and a proof no longer holds",
        State::Failed => "Hubward cannot go on without a person",
        State::Bypassed => "it was taken off the hub on purpose",
        State::Offboarding => "what Hubward made for it is being removed",
        State::Offboarded => "nothing of it is left in the hub",
    }
}

/// AKS keeps the outbound address it was created with; only its owner may change that, because it needs rights on the cluster.
fn outbound_type(cluster: &ClusterView<'_>, id: &ResourceId) -> Option<String> {
    let kind = cluster.outbound_type();
    if kind.eq_ignore_ascii_case("userDefinedRouting") {
        return None;
    }
    Some(format!(
        "outboundType is {kind}, so AKS keeps an outbound address that nothing leaves from once the cluster is wired; Hubward never changes it, this does: az aks update --resource-group {} --name {} --outbound-type userDefinedRouting",
        id.resource_group().unwrap_or_default(),
        id.name()
    ))
}
