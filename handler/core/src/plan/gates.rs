//! What must be true before the switch, the one step that changes a running cluster's fate. Each gate answers with a wait
//! that time or Azure ends, or with a finding that only a person ends.

use super::ingress::{awaits_address, live_public_inbound};
use super::writes::is_contradicted;
use super::{Acceptance, Known, Wait, kubenet};
use crate::blueprint::{Contribution, HubFacts, SpokeBlueprint, carries, carries_at_least, rule_collection_group_id};
use crate::config::{Config, Hub, WorkloadEgress};
use crate::estate::{ClusterView, Estate, at_rest, rule_collection_groups, text};
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;
use crate::proof::obstacle;

/// The tag by which a cluster's owner accepts that only required destinations and rules stay reachable.
pub const ACCEPT_EGRESS_TAG: &str = "hubward-accept-egress";

/// What stands between a prepared spoke and its switch.
#[derive(Debug, Default)]
pub(super) struct Gates {
    pub(super) waits: Vec<Wait>,
    pub(super) findings: Vec<Finding>,
    /// What an owner may accept so that a finding goes away.
    pub(super) asks: Vec<Acceptance>,
}

/// Everything the gates look at.
pub(super) struct Scene<'a> {
    pub(super) estate: &'a Estate,
    pub(super) config: &'a Config,
    pub(super) hub: &'a Hub,
    pub(super) facts: &'a HubFacts,
    pub(super) id: &'a ResourceId,
    pub(super) cluster: ClusterView<'a>,
    pub(super) blueprint: &'a SpokeBlueprint,
    pub(super) contribution: &'a Contribution,
    pub(super) known: &'a Known,
}

pub(super) fn gates(scene: &Scene<'_>) -> Gates {
    let mut gates = Gates::default();
    cluster_at_rest(scene, &mut gates);
    network_at_rest(scene, &mut gates);
    rules_live(scene, &mut gates);
    peerings_live(scene, &mut gates);
    names_resolve(scene, &mut gates);
    authorized_ranges(scene, &mut gates);
    workload_egress(scene, &mut gates);
    live_public_inbound(scene, &mut gates);
    kubenet::sharing(scene, &mut gates);
    gates
}

/// What a neighbour of the same subnet is asked, of all that the cluster itself is.
pub(super) fn readiness(scene: &Scene<'_>) -> Gates {
    let mut gates = Gates::default();
    rules_live(scene, &mut gates);
    authorized_ranges(scene, &mut gates);
    workload_egress(scene, &mut gates);
    live_public_inbound(scene, &mut gates);
    gates
}

/// What the gates have to say about a cluster that is switched: rules, peerings and names still matter, the questions that
/// only the switch asks do not.
pub(super) fn reservations_of_switched(scene: &Scene<'_>) -> Gates {
    let mut gates = Gates::default();
    network_at_rest(scene, &mut gates);
    rules_live(scene, &mut gates);
    peerings_live(scene, &mut gates);
    names_resolve(scene, &mut gates);
    authorized_ranges(scene, &mut gates);
    gates
}

/// AKS leaves a cluster in `Failed` or `Canceled` until somebody starts another operation on it, which is an event.
pub(super) fn stopped_cluster(cluster: &ClusterView<'_>) -> Option<Finding> {
    let state = cluster.provisioning_state();
    let ended = ["Failed", "Canceled"].iter().any(|s| state.eq_ignore_ascii_case(s));
    ended.then(|| {
        Finding::blocking(
            Code::ClusterFailed,
            format!("the last operation on {} ended as {state}", cluster.name()),
            "Repeat it or reconcile the cluster (az aks update); its next event starts Hubward again.",
        )
    })
}

fn cluster_at_rest(scene: &Scene<'_>, gates: &mut Gates) {
    if let Some(finding) = stopped_cluster(&scene.cluster) {
        gates.findings.push(finding);
    } else if !scene.cluster.is_succeeded() {
        gates.waits.push(Wait::Cluster {
            state: scene.cluster.provisioning_state().to_owned(),
        });
    }
}

/// Azure shows what a write asks for before it is done, and keeps showing it when the write has failed. Of a failed subnet or
/// table of ours the plan repeats the write; any other failed write is its author's to repeat.
fn network_at_rest(scene: &Scene<'_>, gates: &mut Gates) {
    let vnet_id = &scene.blueprint.vnet;
    let Some(vnet) = scene.estate.vnet(vnet_id) else { return };
    let mut moving = vec![(vnet_id.clone(), vnet.is_at_rest())];
    let mut repeated = false;
    for attachment in &scene.blueprint.subnets {
        let Some(subnet) = scene.estate.subnet(&attachment.id) else {
            continue;
        };
        moving.push((attachment.id.clone(), subnet.is_at_rest()));
        let attached = subnet.route_table();
        if let Some((id, table)) = attached.and_then(|id| scene.estate.route_table(&id).map(|t| (id.clone(), t))) {
            moving.push((id, table.is_at_rest()));
        }
        let ours = subnet.route_table().as_ref() == Some(&attachment.route_table);
        repeated |= subnet.has_failed() && ours;
        if subnet.has_failed() && !ours {
            gates.findings.push(failed_network("subnet", &attachment.id));
        }
    }
    if vnet.has_failed() && !repeated {
        gates.findings.push(failed_network("network", vnet_id));
    }
    let table = &scene.blueprint.route_table;
    if is_contradicted(scene, table) {
        gates.findings.push(Finding::warning(
            Code::NotRead,
            format!(
                "Azure says that the route table {} does not exist, and a subnet of {} names it",
                table.name(),
                vnet_id.name()
            ),
            "Nothing is written to the table until both answers agree.",
        ));
        moving.push((table.clone(), false));
    }
    let waits = moving.into_iter().filter(|(_, at_rest)| !at_rest);
    gates.waits.extend(waits.map(|(id, _)| Wait::AtRest { id }));
}

fn failed_network(what: &str, id: &ResourceId) -> Finding {
    Finding::blocking(
        Code::NetworkFailed,
        format!(
            "the last write on the {what} {} failed, so what it shows may not be in force",
            id.name()
        ),
        "Repeat the failed update until Azure says Succeeded.",
    )
}

/// Rules count when Azure says that the group, its policy and the firewall are done: a group shows wanted rules while the
/// firewall still enforces the old ones. While AKS is at work the cluster keeps rules for which its document does not ask.
fn rules_live(scene: &Scene<'_>, gates: &mut Gates) {
    let estate = scene.estate;
    let group = estate.get(&rule_collection_group_id(scene.config, &scene.facts.policy));
    let live = group.is_some_and(|g| {
        text(g, "/properties/provisioningState").is_some_and(|s| s.eq_ignore_ascii_case("Succeeded"))
            && (carries(scene.config, scene.hub, g, scene.contribution)
                || !scene.cluster.is_succeeded() && carries_at_least(scene.config, scene.hub, g, scene.contribution))
    });
    let settled = estate.policy(&scene.facts.policy).is_some_and(|p| p.is_succeeded())
        && estate.firewall(&scene.hub.firewall).is_some_and(|f| f.is_at_rest());
    let groups = rule_collection_groups(estate, scene.config, scene.hub);
    let moving = groups
        .iter()
        .filter_map(|id| estate.get(id))
        .any(|group| !at_rest(group));
    if !(live && settled) || moving || awaits_address(scene.contribution, scene.known) {
        gates.waits.push(Wait::Rules);
    }
}

fn peerings_live(scene: &Scene<'_>, gates: &mut Gates) {
    let live = scene.blueprint.peerings.iter().all(|side| {
        scene
            .estate
            .vnet(&side.local)
            .and_then(|v| v.peering_to(&side.remote))
            .is_some_and(|p| p.is_live() && p.flags_suffice() && p.joins_whole_networks())
    });
    if !live {
        gates.waits.push(Wait::Peering);
    } else if let Some(obstacle) = path_obstacle(scene) {
        gates.findings.push(Finding::blocking(
            Code::NoPathToFirewall,
            obstacle,
            "Mend the routes of the hub, or synchronise the peering: az network vnet peering sync.",
        ));
    }
    for side in &scene.blueprint.peerings {
        let present = scene.estate.vnet(&side.local).and_then(|v| v.peering_to(&side.remote));
        // Azure brings address spaces into step only when it is asked to (virtual-network manage-peering sync).
        if let Some(peering) = present.filter(|p| p.is_connected() && !p.is_in_sync()) {
            gates.findings.push(Finding::blocking(
                Code::PeeringOutOfSync,
                format!(
                    "the peering {} of {} does not know the address space that the other network has",
                    peering.name(),
                    side.local.name()
                ),
                "Synchronise it: az network vnet peering sync.",
            ));
        }
    }
}

fn path_obstacle(scene: &Scene<'_>) -> Option<String> {
    let found = obstacle(
        scene.estate,
        scene.hub,
        scene.facts,
        &scene.blueprint.vnet,
        &scene.contribution.prefixes,
    );
    found.map(|obstacle| obstacle.reason)
}

/// A name in a network rule works when the firewall resolves it as the client does: with the proxy on, and both asking the
/// same resolver (Azure Firewall fqdn-filtering-network-rules.md).
fn names_resolve(scene: &Scene<'_>, gates: &mut Gates) {
    let Some(policy) = scene.estate.policy(&scene.facts.policy) else {
        return;
    };
    if !policy.dns_proxy() {
        gates.findings.push(Finding::blocking(
            Code::DnsProxyOff,
            format!(
                "the policy {} has no DNS proxy, so names in network rules do not match",
                scene.facts.policy.name()
            ),
            "Turn on dnsSettings.enableProxy on the policy that is bound to the firewall.",
        ));
    }
    let servers = scene
        .estate
        .vnet(&scene.blueprint.vnet)
        .map(|v| v.dns_servers())
        .unwrap_or_default();
    let firewall = scene.facts.firewall_ip.to_string();
    if servers == [firewall.as_str()] {
        return;
    }
    let mut theirs = policy.dns_servers();
    let mut ours = servers.clone();
    theirs.sort_unstable();
    ours.sort_unstable();
    if ours == theirs {
        gates.findings.push(Finding::info(
            Code::DnsNotThroughFirewall,
            format!(
                "{} resolves names at {}, as the firewall does, and not through the firewall",
                scene.blueprint.vnet.name(),
                resolvers(&servers)
            ),
            format!("Set the network's DNS server to {firewall} so that both always see the same addresses."),
        ));
        return;
    }
    gates.findings.push(Finding::blocking(
        Code::DnsNotThroughFirewall,
        format!(
            "{} resolves names at {}, the firewall elsewhere, so pods may be sent to an API-server address that no rule allows",
            scene.blueprint.vnet.name(),
            resolvers(&servers)
        ),
        format!("Set the network's DNS server to {firewall}."),
    ));
}

fn resolvers(servers: &[&str]) -> String {
    if servers.is_empty() {
        "Azure's resolver".to_owned()
    } else {
        servers.join(", ")
    }
}

/// Nodes lose the API server if their source address is not on its list when it changes (AKS egress-outboundtype.md).
fn authorized_ranges(scene: &Scene<'_>, gates: &mut Gates) {
    let ranges = scene.cluster.authorized_ranges();
    let egress = scene.facts.egress_ip;
    let allowed = ranges.iter().any(|range| {
        range
            .parse::<ipnet::Ipv4Net>()
            .map_or_else(|_| range.parse() == Ok(egress), |net| net.contains(&egress))
    });
    if !ranges.is_empty() && !allowed {
        gates.findings.push(Finding::blocking(
            Code::AuthorizedRangesLackEgress,
            format!("the API server of {} does not accept {egress}", scene.cluster.name()),
            format!("Add {egress}/32 to the cluster's authorized IP ranges."),
        ));
    }
}

fn workload_egress(scene: &Scene<'_>, gates: &mut Gates) {
    let accepted = scene
        .cluster
        .tag(ACCEPT_EGRESS_TAG)
        .is_some_and(|value| value.eq_ignore_ascii_case("required_only"));
    let asked = Acceptance {
        code: Code::WorkloadEgressUndecided,
        // By name, because a neighbour in the same subnet is asked for its own word.
        what: format!("required_only of {}", scene.cluster.name()),
    };
    let accepted = accepted || scene.known.word.accepted.contains(&asked);
    if scene.hub.workload_egress == WorkloadEgress::RequiredOnly && !accepted {
        gates.asks.push(asked);
        gates.findings.push(Finding::blocking(
            Code::WorkloadEgressUndecided,
            format!(
                "after the switch {} reaches only what AKS requires and what the rules allow, and nobody has said that this is enough",
                scene.cluster.name()
            ),
            format!("Approve the cluster, tag it {ACCEPT_EGRESS_TAG}=required_only, or set workload_egress of the hub to rules or web."),
        ));
    }
}
