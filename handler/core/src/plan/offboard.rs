//! The plan of unwiring, the mirror of wiring:
//!
//! | stage | takes away | when |
//! |---|---|---|
//! | inbound | DNAT rules, because a freed address may go to a stranger | first |
//! | subnets | our table off the subnets, our routes out of a table that is not ours | unless another cluster lives there |
//! | table | our route table | when no subnet carries it |
//! | rules | the cluster's part of the hub's rules | at once if nobody is left in the subnets, otherwise after them |
//! | network | our peering on the hub's side, then on the spoke's | when no other cluster of the network is led to the hub |
//! | rights | our role assignments | |
//! | address | the application address with its group | only ours; the group if nothing foreign is in it |
//!
//! The rules are the hub's to write: the plan says when the cluster's contribution may be buried, and waits. The guard judges
//! every cluster that stays after each step, and a living one that leaves by what it reaches; that it leaves from its own
//! address again is what its owner asked for. What must not go is a finding, never a step.

use std::collections::{BTreeMap, BTreeSet};

use super::address_group::{Address, address};
use super::effect::settle;
use super::guard::{Judged, guarded};
use super::removals::{detach, earlier, peerings, roles, table};
use super::sharing::Site;
use super::{Known, Plan, State, Step, Wait};
use crate::blueprint::{
    Footprint, HubFacts, Place, Tombstone, contribution, edit_group, hub_facts, part_in, requirements,
    rule_collection_group_id,
};
use crate::config::{Config, Hub, Mode};
use crate::estate::{ClusterView, Estate, unsettled};
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;
use crate::names;
use crate::proof::{Judgement, egress, flows, inbound_flows};

/// Why a cluster is unwired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is proven to be gone.
    Gone {
        /// How we know.
        evidence: String,
    },
    /// Somebody asked to take it off the hub.
    Released,
}

/// What a plan of unwiring is told beside the estate.
#[derive(Clone, Debug)]
pub struct Departure {
    /// Why.
    pub cause: Cause,
    /// The footprints of the clusters that stay in its networks.
    pub others: Vec<Footprint>,
    /// What the resource group of the application address holds; `None` if that was not asked.
    pub in_group: Option<BTreeSet<ResourceId>>,
}

/// A plan of unwiring, and what becomes of the ledger's documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Unwiring {
    /// The steps, waits and findings.
    pub plan: Plan,
    /// What becomes of the cluster's contribution, by hub.
    pub rules: BTreeMap<String, Farewell>,
    /// True if nothing is left to do: the cluster is off the hub.
    pub done: bool,
    /// True if something of ours has to stay for the time being, so that the footprint must be kept.
    pub remains: bool,
}

/// What becomes of a cluster's contribution; the least comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Farewell {
    /// It stays: somebody relies on its rules, or nothing may be written.
    Stays,
    /// Nobody is let in any more; the way out stays.
    NoInbound,
    /// It is buried.
    Buried,
}

/// Plans how a cluster is taken off its hubs.
#[must_use]
pub fn plan_offboard(
    estate: &Estate,
    config: &Config,
    footprint: &Footprint,
    departure: &Departure,
    known: &Known,
) -> Unwiring {
    let mut leaving = Leaving::of(estate, config, footprint, departure);
    let sites = leaving.sites();
    for site in &sites {
        leaving.network(site);
    }
    if !leaving.plan.findings.iter().any(Finding::is_blocking) {
        leaving.rights_and_address();
    }
    leaving.guard(&sites);
    leaving.ended(known)
}

/// The work on one plan.
struct Leaving<'a> {
    estate: &'a Estate,
    config: &'a Config,
    footprint: &'a Footprint,
    departure: &'a Departure,
    /// The cluster, if it still exists.
    living: Option<ClusterView<'a>>,
    why: String,
    plan: Plan,
    steps: Vec<Step>,
    rules: BTreeMap<String, Farewell>,
    /// The steps that only the guard looks at: writes of the hub's rules.
    of_hub: BTreeMap<String, String>,
    remains: bool,
}

impl<'a> Leaving<'a> {
    fn of(estate: &'a Estate, config: &'a Config, footprint: &'a Footprint, departure: &'a Departure) -> Self {
        let name = footprint.cluster.name();
        let (living, why) = match departure.cause {
            Cause::Gone { .. } => (None, format!("{name} is gone")),
            Cause::Released => (
                estate.cluster(&footprint.cluster),
                format!("{name} is to be taken off the hub"),
            ),
        };
        Self {
            estate,
            config,
            footprint,
            departure,
            living,
            why,
            plan: Plan::empty(footprint.cluster.key()),
            steps: Vec::new(),
            rules: BTreeMap::new(),
            of_hub: BTreeMap::new(),
            remains: false,
        }
    }

    /// The networks that can be judged; of the others a finding says why not.
    fn sites(&mut self) -> Vec<Site<'a>> {
        let mut sites = Vec::new();
        for place in &self.footprint.places {
            match self.hub_of(place) {
                Ok(found) => sites.push(Site::of(
                    self.estate,
                    self.config,
                    self.footprint,
                    place,
                    &self.departure.others,
                    found,
                )),
                Err((finding, wait)) => {
                    self.plan.findings.push(finding);
                    self.plan.waits.push(wait);
                }
            }
        }
        sites
    }

    fn hub_of(&self, place: &Place) -> Result<(&'a Hub, HubFacts), (Finding, Wait)> {
        let person =
            |code, message: String, help: &str| Err((Finding::blocking(code, message, help), Wait::Person { code }));
        if !self.config.scope.covers(&place.vnet) {
            return person(
                Code::OutOfScope,
                format!("{} lies outside the configured scope", place.vnet),
                "Add its subscription to scope.subscriptions until the cluster is unwired.",
            );
        }
        let Some(hub) = self.config.hubs.get(&place.hub) else {
            return person(
                Code::NoHubForLocation,
                format!(
                    "{} was led to the hub {}, which is not configured",
                    place.vnet.name(),
                    place.hub
                ),
                "Configure the hub again until the cluster is unwired.",
            );
        };
        hub_facts(self.estate, hub)
            .map(|facts| (hub, facts))
            .map_err(|finding| (finding, Wait::Hub))
    }

    /// Subnets, table, rules and peerings of one network.
    fn network(&mut self, site: &Site<'a>) {
        let group = rule_collection_group_id(self.config, &site.facts.policy);
        let document = self.estate.get(&group);
        let part = document
            .map(|g| part_in(self.config, g, &names::hash(&self.footprint.cluster)))
            .unwrap_or_default();
        // A group that is being written shows what is not yet in force.
        let rules_left = part.any || document.is_some_and(|g| unsettled(g).is_some());
        let relied_on = self.living.is_some() || site.carriers().iter().any(|s| site.stranger(s).is_some());

        let mut detached = detach(site, self.living.as_ref(), &self.why);
        let held = !detached.held.is_empty();
        let people = detached.held.iter().map(|f| Wait::Person { code: f.code });
        self.plan.waits.extend(people);
        self.plan.findings.append(&mut detached.held);
        if held && self.living.is_some() {
            // A cluster that cannot leave wholly does not leave by halves.
            self.bid(site, Farewell::Stays);
            return;
        }
        let mut own = detached.steps;
        let detaching = !own.is_empty();
        if relied_on && part.inbound {
            for step in &mut own {
                step.waits.push(Wait::RulesGone);
            }
        }
        if held {
            self.bid(
                site,
                if part.inbound {
                    Farewell::NoInbound
                } else {
                    Farewell::Stays
                },
            );
            self.steps.extend(own);
            return;
        }
        if let Some(mut last) = table(site, &self.why) {
            last.waits.extend(own.iter().map(earlier));
            own.push(last);
        }
        let farewell = match (relied_on && detaching, part.inbound) {
            (false, _) => Farewell::Buried,
            (true, true) => Farewell::NoInbound,
            (true, false) => Farewell::Stays,
        };
        self.bid(site, farewell);
        let before: Vec<Wait> = own.iter().map(earlier).collect();
        let hubs = rules_left.then(|| self.rules_without(site, &group)).into_iter();
        if relied_on {
            self.steps.extend(own.into_iter().chain(hubs));
        } else {
            self.steps.extend(hubs.chain(own));
        }
        for mut step in peerings(site, &self.why) {
            step.waits.extend(before.iter().cloned());
            step.waits.extend(rules_left.then_some(Wait::RulesGone));
            self.steps.push(step);
        }
        if rules_left && farewell != Farewell::Stays {
            self.plan.waits.push(Wait::RulesGone);
        }
    }

    /// All networks of a hub must agree before more of a contribution goes.
    fn bid(&mut self, site: &Site<'_>, farewell: Farewell) {
        let least = self.rules.entry(site.place.hub.clone()).or_insert(farewell);
        *least = farewell.min(*least);
    }

    /// The hub's write of the rules without the cluster's part, which others may rely on.
    fn rules_without(&mut self, site: &Site<'_>, group: &ResourceId) -> Step {
        let gone = Tombstone {
            cluster: self.footprint.cluster.clone(),
            evidence: String::new(),
        };
        let present = self.estate.get(group);
        let edit = edit_group(
            self.config,
            site.hub,
            &site.facts.policy,
            present,
            &BTreeMap::new(),
            &[gone],
        );
        let id = format!("rules of the hub {}", site.place.hub);
        self.of_hub.insert(id.clone(), site.place.hub.clone());
        Step::put(id, edit.id, edit.body, "")
    }

    /// Role assignments, then the application address, after everything before them.
    fn rights_and_address(&mut self) {
        let rules = self.plan.waits.contains(&Wait::RulesGone);
        let mut before: Vec<Wait> = self
            .steps
            .iter()
            .filter(|s| !self.of_hub.contains_key(&s.id))
            .map(earlier)
            .collect();
        before.extend(rules.then_some(Wait::RulesGone));
        for mut step in roles(self.estate, self.footprint, &self.departure.others, &self.why) {
            step.waits.extend(before.iter().cloned());
            self.steps.push(step);
        }
        let in_group = self.departure.in_group.as_ref();
        let Address {
            step,
            wait,
            finding,
            remains,
        } = address(self.estate, self.footprint, in_group, self.living.is_some(), &self.why);
        self.plan.findings.extend(finding);
        self.plan.waits.extend(wait);
        self.remains = remains;
        if let Some(mut step) = step {
            step.waits.extend(before);
            step.waits
                .extend(self.steps.iter().filter(|s| s.id.starts_with("revoke-")).map(earlier));
            self.steps.push(step);
        }
    }

    /// Keeps the steps that lower nothing for anybody who stays; what a dropped write of the hub would have taken stays too.
    fn guard(&mut self, sites: &[Site<'a>]) {
        let steps = std::mem::take(&mut self.steps);
        let (mut kept, refused) = guarded(self.estate, steps, |estate| self.judge(sites, estate), at_rest_then);
        let allowed: BTreeSet<&String> = kept.iter().map(|step| &step.id).collect();
        for (id, hub) in &self.of_hub {
            if !allowed.contains(id) {
                self.rules.insert(hub.clone(), Farewell::Stays);
                self.plan.waits.retain(|wait| *wait != Wait::RulesGone);
            }
        }
        kept.retain(|step| !self.of_hub.contains_key(&step.id));
        self.steps = kept;
        if let Some(finding) = refused {
            self.plan.waits.push(Wait::Person { code: finding.code });
            self.plan.findings.push(finding);
        }
    }

    fn judge(&self, sites: &[Site<'a>], estate: &Estate) -> Vec<Judged> {
        let mut all = Vec::new();
        for site in sites {
            let of = |cluster: &ClusterView<'_>, contribution| {
                flows(
                    estate,
                    site.hub,
                    &site.facts,
                    cluster,
                    &requirements(contribution, site.hub),
                )
            };
            for stayer in &site.neighbours {
                if let Some(contribution) = &stayer.contribution {
                    all.push(Judged {
                        cluster: stayer.cluster.name().to_owned(),
                        egress: egress(estate, site.hub, &site.facts, &stayer.cluster),
                        flows: of(&stayer.cluster, contribution),
                        inbound: inbound_flows(estate, site.hub, &site.facts, &stayer.cluster, true),
                    });
                }
            }
            let Some(own) = &self.living else { continue };
            let id = &self.footprint.cluster;
            if let Some(contribution) = contribution(self.estate, self.config, id, own, &site.place.hub, &site.facts) {
                all.push(Judged {
                    cluster: own.name().to_owned(),
                    // Accepted: that is what leaving means.
                    egress: Judgement::Unknown { missing: Vec::new() },
                    flows: of(own, &contribution),
                    inbound: Vec::new(),
                });
            }
        }
        all
    }

    fn ended(mut self, known: &Known) -> Unwiring {
        self.plan.steps = self.steps;
        // Somebody who asks for the end of a cluster's wiring has approved it.
        let asked_for = self.living.is_some() && self.config.mode == Mode::Approve;
        if !asked_for {
            self.plan.hold(self.config.mode, &known.word);
        }
        let wanted = self.plan.waits.contains(&Wait::RulesGone);
        let stopped = match (known.word.paused, self.config.mode) {
            (true, _) => Some(Wait::Paused),
            (false, Mode::Observe) => Some(Wait::Observing),
            // The rules follow the steps that somebody has to approve.
            (false, Mode::Approve) => self
                .plan
                .steps
                .iter()
                .any(|s| s.waits.contains(&Wait::Approval))
                .then_some(Wait::Approval),
            (false, Mode::Correct) => None,
        };
        if let Some(wait) = stopped {
            // Nobody writes the rules meanwhile, so nobody looks whether they are written.
            self.rules.values_mut().for_each(|farewell| *farewell = Farewell::Stays);
            self.plan.waits.retain(|wait| *wait != Wait::RulesGone);
            for step in &mut self.plan.steps {
                step.waits.retain(|wait| *wait != Wait::RulesGone);
                if !step.waits.contains(&wait) {
                    step.waits.push(wait.clone());
                }
            }
            self.plan.waits.extend(wanted.then_some(wait));
        }
        let open = self.plan.findings.iter().any(Finding::is_blocking);
        let done = self.plan.steps.is_empty() && self.plan.waits.is_empty() && !open;
        self.plan.state = Some(if done { State::Offboarded } else { State::Offboarding });
        Unwiring {
            plan: self.plan.seal(self.estate),
            rules: self.rules,
            done,
            remains: self.remains,
        }
    }
}

/// The estate in which a step is written: what it waits for to come to rest has done so.
fn at_rest_then(estate: &Estate, step: &Step) -> Estate {
    let mut then = estate.clone();
    for wait in &step.waits {
        if let Wait::AtRest { id } = wait {
            settle(&mut then, id);
        }
    }
    then
}
