//! The hub's plan: one write of our rule collection group, or none, and the addresses for inbound traffic where Hubward keeps
//! them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::addresses::missing_addresses;
use super::reservations::reservations_of_hub;
use super::{Plan, Step, Wait, Word};
use crate::blueprint::{
    Contribution, GroupEdit, Reservations, Tombstone, edit_group, hub_facts, prefixes_by_part, requirements, uncovered,
};
use crate::config::{Config, Hub, Mode};
use crate::estate::{Estate, at_rest, has_failed};
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;
use crate::names;
use crate::proof::{Firewall, Flow, Verdict};

/// Plans the hub's rules from the contributions to it; those to other hubs are passed over.
///
/// A group of ours whose last write failed is written again even if its content is right, until Azure says `Succeeded` (Azure
/// Firewall FAQ: repeat the update of a failed firewall): the instances may hold different rules, and every switch waits. If
/// only the policy or the firewall failed, the update was somebody else's and writing ours again would not repeat it.
///
/// A group that would stop a flow which passes today is not written; the finding names the flow and the rule.
///
/// A DNAT rule is written for an address that is reserved and attached. The rules come before the attaching of further
/// addresses: without them clusters wait for their way out.
#[must_use]
pub fn plan_hub(
    estate: &Estate,
    config: &Config,
    name: &str,
    contributions: &BTreeMap<ResourceId, Contribution>,
    tombstones: &[Tombstone],
    reservations: &Reservations,
) -> Plan {
    let mut plan = Plan::empty(name.to_owned());
    let Some(hub) = config.hubs.get(name) else {
        return plan.seal(estate);
    };
    let facts = match hub_facts(estate, hub) {
        Ok(facts) => facts,
        Err(finding) => {
            plan.findings.push(finding);
            plan.waits.push(Wait::Hub);
            return plan.seal(estate);
        }
    };
    let group = crate::blueprint::rule_collection_group_id(config, &facts.policy);
    let present = estate.get(&group);
    if present.is_none() && !estate.is_absent(&group) {
        return plan.seal(estate);
    }
    if let Some(finding) = contradicted(estate, &facts.policy, &group) {
        plan.findings.push(finding);
        plan.waits.push(Wait::AtRest { id: group });
        return plan.seal(estate);
    }
    let mut ours: BTreeMap<ResourceId, Contribution> = contributions
        .iter()
        .filter(|(_, contribution)| contribution.hub == name)
        .map(|(id, contribution)| (id.clone(), contribution.clone()))
        .collect();
    for (cluster, contribution) in &mut ours {
        contribution.ingress = attached_address(estate, hub, cluster, reservations);
    }
    plan.findings
        .extend(keep_unreleased(config, present, &mut ours, tombstones));
    let edit = edit_group(config, hub, &facts.policy, present, &ours, tombstones);
    plan.findings.extend(reservations_of_hub(estate, hub));
    let busy = busy(estate, hub, &facts.policy, present);
    match rules_step(present, edit, tombstones) {
        Some(step) => {
            let step = step.in_lanes(&[&facts.policy]).waiting_for(busy.clone());
            match lost_flow(estate, hub, &step, &ours) {
                Some(finding) => plan.findings.push(finding),
                None => plan.steps.push(step),
            }
        }
        None => {
            // What is being written is not in force, whoever writes it.
            plan.waits.extend(busy.iter().cloned());
            if let Some(finding) = failed_elsewhere(estate, hub, &facts.policy) {
                plan.findings.push(finding);
                plan.waits.push(Wait::Hub);
            }
        }
    }
    let (steps, waits) = missing_addresses(estate, config, hub, &facts, reservations, &busy);
    plan.steps.extend(steps);
    plan.waits.extend(waits);
    hold(&mut plan, config.mode);
    plan.seal(estate)
}

/// The write of our group, if one is needed: the group with nothing left in it is deleted, because with the last cluster gone
/// nothing of ours stays.
fn rules_step(present: Option<&Value>, edit: GroupEdit, tombstones: &[Tombstone]) -> Option<Step> {
    let failed = present.is_some_and(has_failed);
    let empty = edit
        .body
        .pointer("/properties/ruleCollections")
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty);
    if !edit.changed && !failed && !empty {
        return None;
    }
    let why = why(&edit, failed, tombstones);
    match present {
        Some(present) if empty => Some(Step::delete("rules", edit.id, present, why)),
        Some(present) => Some(Step::put("rules", edit.id, edit.body, why).over(present)),
        None if empty => None,
        None => Some(Step::put("rules", edit.id, edit.body, why)),
    }
}

/// The address that is reserved for the cluster, while it is attached: a rule for another would not be taken.
fn attached_address(estate: &Estate, hub: &Hub, cluster: &ResourceId, reservations: &Reservations) -> Option<Ipv4Addr> {
    let (address, reserved) = reservations.of(cluster)?;
    let attached = estate.firewall(&hub.firewall)?.further_public_ips();
    attached.contains(&reserved.address).then_some(address)
}

/// In mode `approve` the hub follows the contributions, because a cluster gives none before its steps were approved.
fn hold(plan: &mut Plan, mode: Mode) {
    match mode {
        Mode::Correct | Mode::Approve => {}
        Mode::Observe => plan.hold(mode, &Word::default()),
    }
}

/// A group that was not found although its policy lists it was not read: making it would replace what it holds.
fn contradicted(estate: &Estate, policy: &ResourceId, group: &ResourceId) -> Option<Finding> {
    let listed = estate.policy(policy)?.rule_collection_groups().contains(group);
    (listed && estate.is_absent(group)).then(|| {
        Finding::warning(
            Code::NotRead,
            format!(
                "Azure says that the rules {} do not exist, and the policy {} lists them",
                group.name(),
                policy.name()
            ),
            "Nothing is written until both answers agree.",
        )
    })
}

/// Leaves out the contributions that would take rules away from prefixes that nobody has seen to be free: their parts stay as
/// they are, and the other clusters are served.
fn keep_unreleased(
    config: &Config,
    present: Option<&Value>,
    contributions: &mut BTreeMap<ResourceId, Contribution>,
    tombstones: &[Tombstone],
) -> Vec<Finding> {
    let parts = present.map(|group| prefixes_by_part(config, group)).unwrap_or_default();
    let mut findings = Vec::new();
    contributions.retain(|cluster, contribution| {
        let free: Vec<_> = contribution.prefixes.iter().chain(&contribution.released).copied().collect();
        let part = parts.get(&names::hash(cluster));
        let lost = part.map_or_else(Vec::new, |part| uncovered(part, &free));
        let Some(prefix) = lost.first().filter(|_| !tombstones.iter().any(|t| t.cluster == *cluster)) else {
            return true;
        };
        findings.push(Finding::blocking(
            Code::PlanRefused,
            format!(
                "the rules of {} let {prefix} out, its contribution does not, and nobody has seen that no subnet uses it",
                cluster.name()
            ),
            "The rules of this cluster stay as they are; its next look, by an event or the sweep, tells which prefixes are free.",
        ));
        false
    });
    findings
}

/// The policy with every firewall bound to it takes one write at a time.
fn busy(estate: &Estate, hub: &Hub, policy: &ResourceId, group: Option<&Value>) -> Vec<Wait> {
    // While our own group is being written, the policy shows it too, but not always at once.
    let policy_moves = [group, estate.get(policy)].into_iter().flatten().any(|d| !at_rest(d));
    let firewall_moves = estate.firewall(&hub.firewall).is_some_and(|f| !f.is_at_rest());
    [(policy_moves, policy), (firewall_moves, &hub.firewall)]
        .into_iter()
        .filter(|(moves, _)| *moves)
        .map(|(_, id)| Wait::AtRest { id: id.clone() })
        .collect()
}

/// Somebody else's update that failed and left the policy or the firewall in an unknown state.
fn failed_elsewhere(estate: &Estate, hub: &Hub, policy: &ResourceId) -> Option<Finding> {
    let failed = [policy, &hub.firewall]
        .into_iter()
        .find(|id| estate.get(id).is_some_and(has_failed))?;
    Some(Finding::warning(
        Code::HubFailed,
        format!("the last update of {failed} failed, and it was not one of the rules that Hubward writes"),
        "Repeat the failed update until Azure says Succeeded; spokes are switched after that.",
    ))
}

/// The first flow of any cluster that passes today and would not after the step.
fn lost_flow(
    estate: &Estate,
    hub: &Hub,
    step: &Step,
    contributions: &BTreeMap<ResourceId, Contribution>,
) -> Option<Finding> {
    let before = Firewall::read(estate, hub);
    let next = Firewall::read(&super::after(estate, step), hub);
    for (cluster, contribution) in contributions {
        for requirement in requirements(contribution, hub) {
            for source in &contribution.prefixes {
                let flow = Flow {
                    source: *source,
                    destination: &requirement.destination,
                };
                let (old, new) = (before.answer(&flow), next.answer(&flow));
                if new.rank() < old.rank() {
                    return Some(Finding::blocking(
                        Code::PlanRefused,
                        format!(
                            "the rules would stop {} of {}: {}",
                            json!(requirement.asked_by),
                            cluster.name(),
                            reason(&new)
                        ),
                        "Nothing is written; change the rule that stops it.",
                    ));
                }
            }
        }
    }
    None
}

fn why(edit: &GroupEdit, failed: bool, tombstones: &[Tombstone]) -> String {
    let names: Vec<&str> = edit.differing.iter().map(ResourceId::name).collect();
    match (edit.changed, names.is_empty()) {
        (true, false) => format!("the rules of {} are not as they should be", listed(&names)),
        (_, true) if !failed => match tombstones {
            [] => "a priority is not as it should be".to_owned(),
            [first, ..] => format!(
                "rules of clusters that are gone are still there ({}: {})",
                first.cluster.name(),
                first.evidence
            ),
        },
        _ => "the last write of the rules failed, and the firewall's instances may hold different ones".to_owned(),
    }
}

fn reason(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Allowed(text) | Verdict::Unsure(text) | Verdict::Stopped(text) => text,
    }
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first, rest @ ..] if rest.len() > 3 => format!("{first} and {} others", rest.len()),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}
