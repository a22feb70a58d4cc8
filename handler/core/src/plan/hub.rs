//! The hub's plan: one write of our rule collection group, or none.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Plan, Step, Wait};
use crate::blueprint::{Contribution, GroupEdit, Tombstone, edit_group, hub_facts, requirements};
use crate::config::{Config, Hub};
use crate::estate::{Estate, text};
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;
use crate::proof::{Firewall, Flow, Verdict};

/// Plans the hub's rules from the contributions to it; those to other hubs are passed over.
///
/// A group or policy whose last write failed is written again even if its content is right: its instances may hold
/// different rules, and every spoke's switch waits for `Succeeded`.
///
/// A group that would stop a flow which passes today is not written; the finding names the flow and the rule.
#[must_use]
pub fn plan_hub(
    estate: &Estate,
    config: &Config,
    name: &str,
    contributions: &BTreeMap<ResourceId, Contribution>,
    tombstones: &[Tombstone],
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
    let ours: BTreeMap<ResourceId, Contribution> = contributions
        .iter()
        .filter(|(_, contribution)| contribution.hub == name)
        .map(|(id, contribution)| (id.clone(), contribution.clone()))
        .collect();
    let edit = edit_group(config, hub, &facts.policy, present, &ours, tombstones);
    let failed = [present, estate.get(&facts.policy)]
        .into_iter()
        .flatten()
        .any(is_failed);
    if !(edit.changed || (failed && present.is_some())) {
        return plan.seal(estate);
    }
    let why = why(&edit, failed);
    let mut step = Step::put("rules", edit.id, edit.body, why)
        .in_lanes(&[&facts.policy])
        .waiting_for(at_rest(estate, hub, &facts.policy));
    if let Some(present) = present {
        step = step.over(present);
    }
    match lost_flow(estate, hub, &step, &ours) {
        Some(finding) => plan.findings.push(finding),
        None => plan.steps.push(step),
    }
    plan.hold(config.mode);
    plan.seal(estate)
}

/// The policy with every firewall bound to it takes one write at a time.
fn at_rest(estate: &Estate, hub: &Hub, policy: &ResourceId) -> Vec<Wait> {
    let busy = |id: &ResourceId| Wait::AtRest { id: id.clone() };
    let mut waits = Vec::new();
    if estate.policy(policy).is_some_and(|p| !p.is_at_rest()) {
        waits.push(busy(policy));
    }
    if estate.firewall(&hub.firewall).is_some_and(|f| !f.is_at_rest()) {
        waits.push(busy(&hub.firewall));
    }
    waits
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

fn is_failed(document: &Value) -> bool {
    text(document, "/properties/provisioningState").is_some_and(|s| s.eq_ignore_ascii_case("Failed"))
}

fn why(edit: &GroupEdit, failed: bool) -> String {
    let names: Vec<&str> = edit.differing.iter().map(ResourceId::name).collect();
    match (edit.changed, names.is_empty()) {
        (true, false) => format!("the rules of {} are not as they should be", listed(&names)),
        (true, true) if !failed => {
            "rules of clusters that are gone, or a priority, are not as they should be".to_owned()
        }
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
