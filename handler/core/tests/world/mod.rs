//! A hub with its spokes as Azure shows them, for tests of the pure core.
//!
//! The documents have the shapes of real answers (casing of AKS ids, `W/""` etags, inline subnets and peerings, rule groups
//! with empty arrays). Time does not pass here; a step takes effect by the core's own model of it.

#![allow(dead_code, reason = "each test binary uses its own part of the fixture")]

pub mod documents;

use std::collections::BTreeMap;

use hubward_core::blueprint::{self, Contribution, HubFacts, Reservations, hub_facts};
use hubward_core::config::{Config, Hub};
use hubward_core::estate::{Estate, Listing, Subject};
use hubward_core::finding::{Code, Finding};
use hubward_core::ids::ResourceId;
use hubward_core::plan::{Age, Known, Plan, Reservation, after, plan_hub, plan_spoke};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

#[allow(unused_imports, reason = "each test binary uses its own part of the fixture")]
pub use documents::{EGRESS_IP, FIREWALL_IP, SUBSCRIPTION};

/// When Hubward was installed; the clusters of the fixture are made an hour later.
pub const INSTALLED: OffsetDateTime = datetime!(2026-11-23 08:00 UTC);
/// When the fixture's documents were read.
pub const READ: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

/// The estate with the configuration it is judged by.
#[derive(Clone, Debug)]
pub struct World {
    pub estate: Estate,
    pub config: Config,
    pub reservations: Reservations,
}

/// The configuration, with the value of `workload_egress`.
pub fn config(egress: &str) -> Config {
    config_with(egress, "")
}

fn config_with(egress: &str, more: &str) -> Config {
    let toml = format!(
        r#"
mode = "correct"

[scope]
subscriptions = ["{SUBSCRIPTION}"]

[hubs.main]
location = "westeurope"
virtual_network = "{vnet}"
firewall = "{firewall}"
nat_gateway = "{nat}"
workload_egress = "{egress}"

[[hubs.main.rules.application]]
name = "partner-api"
targets = ["api.partner.example"]
protocols = ["https:443"]
{more}
"#,
        vnet = id("hub", "virtualNetworks/hub-vnet"),
        firewall = id("hub", "azureFirewalls/hub-firewall"),
        nat = id("hub", "natGateways/hub-nat"),
    );
    Config::load(&toml, &BTreeMap::new()).unwrap()
}

/// The id of a networking resource of the fixture's subscription.
pub fn id(group: &str, tail: &str) -> ResourceId {
    ResourceId::parse(&format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Network/{tail}"
    ))
    .unwrap()
}

/// The id of a cluster as AKS writes it: with a small `g` in `resourcegroups`.
pub fn cluster_id(spoke: &str, name: &str) -> ResourceId {
    ResourceId::parse(&format!(
        "/subscriptions/{SUBSCRIPTION}/resourcegroups/{spoke}/providers/Microsoft.ContainerService/managedClusters/{name}"
    ))
    .unwrap()
}

impl World {
    /// A hub without spokes.
    pub fn hub() -> Self {
        let mut world = Self {
            estate: Estate::default(),
            config: config("rules"),
            reservations: Reservations::default(),
        };
        for (id, body) in documents::hub() {
            world.put(&id, body);
        }
        world.gone(&world.our_group());
        world
    }

    /// The hub and one new cluster `shop` in the spoke `a` (10.1.0.0/16), nothing of ours made yet.
    pub fn fresh() -> Self {
        Self::hub().with_spoke("a", 1).with_cluster("a", "shop", "nodes")
    }

    /// Everything of [`World::fresh`] done but the switch.
    pub fn ready() -> Self {
        let mut world = Self::fresh();
        world.prepare(&[shop()]);
        world
    }

    /// Everything of [`World::fresh`] wired.
    pub fn wired() -> Self {
        let mut world = Self::fresh();
        world.wire(&shop());
        world
    }

    /// A spoke network `{name}-vnet` with the address space 10.{n}.0.0/16 and the subnets `nodes` and `more`.
    pub fn with_spoke(mut self, name: &str, n: u8) -> Self {
        let vnet = vnet(name);
        self.put(&vnet, documents::spoke_vnet(&vnet, n));
        for subnet in ["nodes", "more"] {
            let group = security_group(name, subnet);
            self.put(&group, documents::security_group(&group));
        }
        self.gone(&blueprint::route_table_id(&self.config, &vnet));
        self
    }

    /// A cluster in the subnet of the spoke, with its outbound load balancer.
    pub fn with_cluster(mut self, spoke: &str, name: &str, subnet: &str) -> Self {
        let id = cluster_id(spoke, name);
        self.put(&id, documents::cluster(&id, &vnet(spoke).child("subnets", subnet)));
        let balancer = load_balancer(spoke, name);
        self.put(&balancer, documents::load_balancer(&balancer));
        self.assigned_to(&documents::principal(name), Vec::new());
        self.guard_interfaces(spoke, name, "*");
        self
    }

    /// The group on the interfaces of the cluster's nodes lets in whom `sender` names, and of the rest the networks.
    pub fn guard_interfaces(&mut self, spoke: &str, name: &str, sender: &str) {
        let group = id(
            &documents::node_group(spoke, name),
            "networkSecurityGroups/aks-agentpool-12345678-nsg",
        );
        let mut body = documents::security_group(&group);
        let rule = &mut body["properties"]["securityRules"][0]["properties"];
        rule["access"] = json!("Allow");
        rule["sourceAddressPrefix"] = json!(sender);
        let listing = self
            .estate
            .cluster(&cluster_id(spoke, name))
            .and_then(|c| Listing::of_interfaces(&c));
        let subject = Subject::Spoke { cluster: shop() };
        self.estate.insert_list(&subject, listing.unwrap(), vec![body], READ);
    }

    /// Attaches further addresses to the firewall: 203.0.113.31 and on, `hub-ingress-1` and on.
    pub fn attach(&mut self, count: u8) {
        for number in 1..=count {
            let address = id("hub", &format!("publicIPAddresses/hub-ingress-{number}"));
            self.put(
                &address,
                documents::public_ip(&address, &format!("203.0.113.{}", 30 + number)),
            );
            self.edit(&id("hub", "azureFirewalls/hub-firewall"), |firewall| {
                let all = firewall["properties"]["ipConfigurations"].as_array_mut().unwrap();
                all.push(json!({
                    "name": format!("ingress-{number}"),
                    "properties": {"provisioningState": "Succeeded", "publicIPAddress": {"id": address.as_str()}},
                }));
            });
        }
    }

    /// A service behind a public frontend of the cluster. Its security group lets clients in.
    pub fn serve(&mut self, spoke: &str, name: &str, frontend: &str, address: &str, ports: &[u16]) {
        let group = documents::node_group(spoke, name);
        let public = id(&group, &format!("publicIPAddresses/kubernetes-{frontend}"));
        self.put(&public, documents::public_ip(&public, address));
        self.serve_at(spoke, name, frontend, &public, ports);
    }

    /// As [`World::serve`], behind an address that exists.
    pub fn serve_at(&mut self, spoke: &str, name: &str, frontend: &str, public: &ResourceId, ports: &[u16]) {
        let balancer = load_balancer(spoke, name);
        let front = balancer.child("frontendIPConfigurations", frontend);
        self.edit(&balancer, |b| {
            documents::add_frontend(b, &front, json!({"publicIPAddress": {"id": public.as_str()}}), ports);
        });
        self.let_in(spoke);
    }

    /// The security group of the nodes lets everybody in.
    pub fn let_in(&mut self, spoke: &str) {
        self.edit(&security_group(spoke, "nodes"), |group| {
            group["properties"]["securityRules"][0]["properties"]["access"] = json!("Allow");
        });
    }

    /// The role assignments that Azure lists for the principal of `shop`.
    pub fn assigned(&mut self, assignments: Vec<Value>) {
        self.assigned_to(documents::PRINCIPAL, assignments);
    }

    fn assigned_to(&mut self, principal: &str, assignments: Vec<Value>) {
        let listing = Listing::RoleAssignments {
            subscription: SUBSCRIPTION.to_owned(),
            principal: principal.to_owned(),
        };
        let subject = Subject::Spoke { cluster: shop() };
        self.estate.insert_list(&subject, listing, assignments, READ);
    }

    pub fn put(&mut self, id: &ResourceId, body: Value) {
        self.estate.insert(id.clone(), Some(body), READ);
    }

    pub fn gone(&mut self, id: &ResourceId) {
        self.estate.insert(id.clone(), None, READ);
    }

    /// The estate without what was read of `id`.
    pub fn unread(&mut self, id: &ResourceId) {
        let mut kept = Estate::default();
        for (other, snapshot) in self.estate.iter().filter(|(other, _)| *other != id) {
            kept.insert(other.clone(), snapshot.body.clone(), snapshot.read_at);
        }
        for (listing, items) in self.estate.lists() {
            let subject = Subject::Spoke { cluster: shop() };
            kept.insert_list(&subject, listing.clone(), items.to_vec(), READ);
        }
        self.estate = kept;
    }

    pub fn edit(&mut self, id: &ResourceId, change: impl FnOnce(&mut Value)) {
        let mut body = self
            .estate
            .get(id)
            .unwrap_or_else(|| panic!("{id} is not there"))
            .clone();
        change(&mut body);
        self.put(id, body);
    }

    /// Gives the configuration more of the hub's tables, written as in `hubward.toml`.
    pub fn configure(&mut self, more: &str) {
        self.config = config_with("rules", more);
    }

    /// Adds a collection to the group of the company, which is evaluated before ours.
    pub fn company(&mut self, name: &str, priority: u32, action: &str, rules: &[Value]) {
        let body = collection(name, priority, action, rules);
        self.edit(&policy().child("ruleCollectionGroups", "company-baseline"), |g| {
            g["properties"]["ruleCollections"].as_array_mut().unwrap().push(body);
        });
    }

    /// Sets the state of a document as Azure does when a write on it begins or ends.
    pub fn state(&mut self, id: &ResourceId, state: &str) {
        self.edit(id, |body| body["properties"]["provisioningState"] = json!(state));
    }

    /// Edits a subnet inside its network's document.
    pub fn edit_subnet(&mut self, spoke: &str, subnet: &str, change: impl FnOnce(&mut Value)) {
        self.edit(&vnet(spoke), |vnet| {
            let subnets = vnet["properties"]["subnets"].as_array_mut().unwrap();
            change(subnets.iter_mut().find(|s| s["name"] == subnet).unwrap());
        });
    }

    pub fn hub_config(&self) -> &Hub {
        &self.config.hubs["main"]
    }

    pub fn facts(&self) -> HubFacts {
        hub_facts(&self.estate, self.hub_config()).unwrap()
    }

    pub fn our_group(&self) -> ResourceId {
        blueprint::rule_collection_group_id(&self.config, &policy())
    }

    pub fn our_table(&self, spoke: &str) -> ResourceId {
        blueprint::route_table_id(&self.config, &vnet(spoke))
    }

    pub fn contribution(&self, cluster: &ResourceId) -> Contribution {
        let view = self.estate.cluster(cluster).unwrap();
        blueprint::contribution(&self.estate, &self.config, cluster, &view, "main", &self.facts()).unwrap()
    }

    pub fn contributions(&self, clusters: &[ResourceId]) -> BTreeMap<ResourceId, Contribution> {
        clusters.iter().map(|id| (id.clone(), self.contribution(id))).collect()
    }

    /// What the ledger would tell of the cluster.
    pub fn known(&self, cluster: &ResourceId) -> Known {
        let mut known = known();
        known.reservation = self.reservations.of(cluster).map(|(ip, reserved)| Reservation {
            address: reserved.address.clone(),
            ip,
        });
        known.no_address = self.reservations.unserved.contains(cluster);
        known
    }

    /// Gives out addresses as the look at the hub does, and returns what it found.
    pub fn assign(&mut self, contributions: &BTreeMap<ResourceId, Contribution>) -> Vec<Finding> {
        let (reservations, findings) = blueprint::assign(
            &self.estate,
            &self.config,
            &self.config.hubs["main"],
            contributions,
            &self.reservations,
            READ,
        );
        self.reservations = reservations;
        findings
    }

    pub fn plan(&self, cluster: &ResourceId) -> Plan {
        plan_spoke(&self.estate, &self.config, cluster, &self.known(cluster))
    }

    pub fn plan_hub(&self, contributions: &BTreeMap<ResourceId, Contribution>) -> Plan {
        plan_hub(
            &self.estate,
            &self.config,
            "main",
            contributions,
            &[],
            &self.reservations,
        )
    }

    /// Writes the plan's steps that wait for nothing.
    pub fn start(&mut self, plan: &Plan) -> usize {
        let steps: Vec<_> = plan.startable().cloned().collect();
        for step in &steps {
            self.estate = after(&self.estate, step);
        }
        steps.len()
    }

    /// Brings the rules of the clusters into force.
    pub fn rules_live(&mut self, clusters: &[ResourceId]) {
        let plan = self.plan_hub(&self.contributions(clusters));
        self.start(&plan);
    }

    /// Writes what prepares the first of the clusters and brings the rules of all into force.
    pub fn prepare(&mut self, clusters: &[ResourceId]) {
        // A right on the route table comes after the table.
        for _ in 0..2 {
            let plan = self.plan(&clusters[0]);
            self.start(&plan);
        }
        self.rules_live(clusters);
    }

    /// Wires a cluster by the plans alone, in as many rounds as it takes; a round without a write ends it.
    pub fn wire(&mut self, cluster: &ResourceId) {
        for _ in 0..8 {
            let plan = self.plan(cluster);
            let mut written = self.start(&plan);
            if let Some(contribution) = plan.contribution.filter(|_| written == 0 || !plan.waits.is_empty()) {
                let contributions = [(cluster.clone(), contribution)].into();
                self.assign(&contributions);
                let hub = self.plan_hub(&contributions);
                written += self.start(&hub);
            }
            if written == 0 {
                return;
            }
        }
        panic!(
            "{} is not wired after 8 rounds:\n{}",
            cluster.name(),
            self.plan(cluster)
        );
    }
}

/// What the ledger knows of such a cluster: nobody decided anything about it.
pub fn known() -> Known {
    Known::at(READ, age())
}

/// A cluster made after the installation, with its create event seen.
pub fn age() -> Age {
    Age {
        installed_at: Some(INSTALLED),
        create_seen: true,
    }
}

pub fn shop() -> ResourceId {
    cluster_id("a", "shop")
}

pub fn vnet(spoke: &str) -> ResourceId {
    id(spoke, &format!("virtualNetworks/{spoke}-vnet"))
}

pub fn hub_vnet() -> ResourceId {
    id("hub", "virtualNetworks/hub-vnet")
}

pub fn policy() -> ResourceId {
    id("hub", "firewallPolicies/hub-policy")
}

pub fn nodes(spoke: &str) -> ResourceId {
    vnet(spoke).child("subnets", "nodes")
}

pub fn security_group(spoke: &str, subnet: &str) -> ResourceId {
    id(spoke, &format!("networkSecurityGroups/{subnet}-nsg"))
}

pub fn load_balancer(spoke: &str, name: &str) -> ResourceId {
    id(&documents::node_group(spoke, name), "loadBalancers/kubernetes")
}

/// The codes of a plan's findings, in order.
pub fn codes(plan: &Plan) -> Vec<Code> {
    plan.findings.iter().map(|f| f.code).collect()
}

/// The ids of the plan's steps; those that can start are marked.
pub fn steps(plan: &Plan) -> Vec<String> {
    plan.steps
        .iter()
        .map(|s| format!("{}{}", s.id, if s.waits.is_empty() { " (startable)" } else { "" }))
        .collect()
}

/// A rule collection of the kind people write.
pub fn collection(name: &str, priority: u32, action: &str, rules: &[Value]) -> Value {
    json!({
        "ruleCollectionType": "FirewallPolicyFilterRuleCollection",
        "name": name,
        "priority": priority,
        "action": {"type": action},
        "rules": rules,
    })
}

/// An application rule for HTTPS.
pub fn https_rule(name: &str, sources: &[&str], targets: &[&str]) -> Value {
    json!({
        "ruleType": "ApplicationRule",
        "name": name,
        "protocols": [{"protocolType": "Https", "port": 443}],
        "sourceAddresses": sources,
        "targetFqdns": targets,
    })
}
