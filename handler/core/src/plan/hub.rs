//! The hub's plan: one write of our rule collection group, or none.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Plan, Step, Wait};
use crate::blueprint::{Contribution, Tombstone, edit_group, hub_facts, requirements};
use crate::config::{Config, Hub};
use crate::estate::Estate;
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;
use crate::proof::{Firewall, Flow, Verdict};

/// Plans the hub's rules from all contributions.
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
    let edit = edit_group(config, hub, &facts.policy, present, contributions, tombstones);
    if !edit.changed {
        return plan.seal(estate);
    }
    let names: Vec<&str> = edit.differing.iter().map(ResourceId::name).collect();
    let mut step = Step::put(
        "rules",
        edit.id.clone(),
        edit.body,
        format!("the rules of {} are not as they should be", listed(&names)),
    )
    .in_lanes(&[&facts.policy])
    .waiting_for(at_rest(estate, hub, &facts.policy));
    if let Some(present) = present {
        step = step.over(present);
    }
    match lost_flow(estate, hub, &step, contributions) {
        Some(finding) => plan.findings.push(finding),
        None => plan.steps.push(step),
    }
    plan.seal(estate)
}

/// The policy with every firewall bound to it takes one write at a time.
fn at_rest(estate: &Estate, hub: &Hub, policy: &ResourceId) -> Vec<Wait> {
    let busy = |id: &ResourceId| Wait::AtRest { id: id.clone() };
    let mut waits = Vec::new();
    if estate.policy(policy).is_some_and(|p| !p.is_at_rest()) {
        waits.push(busy(policy));
    }
    let firewall = estate.firewall(&hub.firewall);
    if firewall.is_some_and(|f| f.provisioning_state().eq_ignore_ascii_case("Updating")) {
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

fn reason(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Allowed(text) | Verdict::Unsure(text) | Verdict::Stopped(text) => text,
    }
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "clusters that are gone".to_owned(),
        [one] => (*one).to_owned(),
        [first, rest @ ..] if rest.len() > 3 => format!("{first} and {} others", rest.len()),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}
