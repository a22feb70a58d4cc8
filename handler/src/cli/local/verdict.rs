//! The verdict: what packets that walk through the simulated Azure find, beside what the app says of itself.

use azure_sim::walk::{Destination, Outcome, Packet, Protocol, Source, Walk};
use hubward_core::finding::Finding;
use hubward_core::plan::State;

use super::entrance::Entrance;
use super::expectation::{Expected, Fate, expected};
use super::progress::Progress;
use super::rig::{Cluster, Rig};

/// The result of a run.
pub(super) struct Verdict {
    pub(super) egress_ip: Option<String>,
    pub(super) clusters: Vec<ClusterVerdict>,
    pub(super) reads: u64,
    pub(super) writes: u64,
    pub(super) firewall_updates: u64,
    pub(super) throttled: u64,
    pub(super) azure_seconds: f64,
    pub(super) wall_seconds: f64,
}

/// The result for one cluster.
pub(super) struct ClusterVerdict {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) state: String,
    pub(super) egress_ip: Option<String>,
    /// The firewall's address under which its clients find it.
    pub(super) ingress_ip: Option<String>,
    /// The public address that Hubward made for its services.
    pub(super) app_ip: Option<String>,
    pub(super) steps: usize,
    pub(super) egress_proof: String,
    pub(super) reach_proof: String,
    pub(super) findings: Vec<Finding>,
    pub(super) walks: Vec<Walked>,
    wired: bool,
}

/// One packet, and whether it fared as it should.
pub(super) struct Walked {
    pub(super) as_it_should_be: bool,
    /// True while the mode or a person holds the switch back: nothing is said to be wrong then.
    pub(super) before_switch: bool,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) walk: Walk,
    pub(super) expectation: String,
}

impl Verdict {
    /// Walks the packets and gathers the numbers.
    pub(super) fn reach(rig: &Rig, clusters: &[Cluster], progress: &Progress) -> Self {
        let egress_ip = rig.egress_ip();
        let counters = rig.counters();
        Self {
            clusters: clusters
                .iter()
                .map(|cluster| one(rig, cluster, progress, egress_ip.as_deref()))
                .collect(),
            egress_ip,
            reads: counters.reads,
            writes: counters.writes,
            firewall_updates: counters.firewall_updates,
            throttled: counters.throttled,
            azure_seconds: rig.azure_elapsed().as_secs_f64(),
            wall_seconds: rig.wall_elapsed().as_secs_f64(),
        }
    }

    /// True if every cluster is wired and every packet fared as it should.
    pub(super) fn is_good(&self) -> bool {
        !self.clusters.is_empty()
            && self
                .clusters
                .iter()
                .all(|c| c.wired && !c.walks.is_empty() && c.walks.iter().all(|w| w.as_it_should_be))
    }
}

impl Walked {
    /// What became of the packet and, if it should have been something else, what.
    pub(super) fn line(&self) -> String {
        let fate = match &self.walk.outcome {
            Outcome::Reached { seen_from } => format!("reached, seen from {seen_from}"),
            Outcome::Dropped { at, why } => format!("dropped at {at} ({why})"),
        };
        let expectation = if self.as_it_should_be {
            String::new()
        } else {
            format!("; expected {}", self.expectation)
        };
        format!("{} -> {}: {fate}{expectation}", self.from, self.to)
    }
}

fn one(rig: &Rig, cluster: &Cluster, progress: &Progress, egress_ip: Option<&str>) -> ClusterVerdict {
    let report = progress.report(&cluster.key);
    let before_switch = report.is_some_and(|r| is_before_switch(r.state));
    let packets = expected(rig.hub(), rig.api_server(&cluster.id), |name| rig.resolve(name));
    let mut walks: Vec<Walked> = cluster
        .subnets
        .iter()
        .flat_map(|subnet| packets.iter().map(move |packet| (subnet, packet)))
        .map(|(subnet, packet)| {
            let walk = walk(rig, cluster, subnet, packet);
            Walked {
                as_it_should_be: fares_well(rig, packet, &walk, egress_ip),
                before_switch,
                from: subnet.rsplit('/').next().unwrap_or_default().to_owned(),
                to: format!("{}:{}", packet.name, packet.port),
                walk,
                expectation: match packet.fate {
                    Fate::Reached => format!("to be seen from {}", egress_ip.unwrap_or("the egress address")),
                    Fate::Dropped => "to be dropped at the firewall".to_owned(),
                },
            }
        })
        .collect();
    // One address is said only if every packet that arrived was seen from it.
    let mut seen: Vec<String> = walks
        .iter()
        .filter_map(|w| match &w.walk.outcome {
            Outcome::Reached { seen_from } => Some(seen_from.to_string()),
            Outcome::Dropped { .. } => None,
        })
        .collect();
    seen.sort();
    seen.dedup();
    let entrance = report
        .filter(|_| !before_switch)
        .and_then(|r| Entrance::open(rig, cluster, r.place.as_ref()?.ingress_ip?));
    let knocks = entrance.iter().flat_map(|entrance| entrance.knock(rig, egress_ip));
    walks.extend(knocks);
    let proof = report.and_then(|r| r.proof.as_ref());
    ClusterVerdict {
        id: cluster.id.clone(),
        name: cluster.name.clone(),
        state: report.map_or_else(|| "unknown".to_owned(), |r| r.state.to_string()),
        egress_ip: if let [only] = seen.as_slice() {
            Some(only.clone())
        } else {
            None
        },
        ingress_ip: entrance.as_ref().map(|e| e.ingress_ip.to_string()),
        app_ip: entrance.as_ref().and_then(|e| e.app_ip).map(|ip| ip.to_string()),
        steps: report.map_or(0, |r| r.steps.len()),
        egress_proof: proof.map_or("unknown", |p| p.egress.word()).to_owned(),
        reach_proof: proof.map_or("unknown", |p| p.reach.word()).to_owned(),
        findings: report.map(|r| r.findings.clone()).unwrap_or_default(),
        wired: report.is_some_and(|r| r.state.is_wired()),
        walks,
    }
}

fn fares_well(rig: &Rig, packet: &Expected, walk: &Walk, egress_ip: Option<&str>) -> bool {
    match (packet.fate, &walk.outcome) {
        (Fate::Reached, Outcome::Reached { seen_from }) => Some(seen_from.to_string().as_str()) == egress_ip,
        (Fate::Dropped, Outcome::Dropped { at, .. }) => rig.is_firewall(at),
        (Fate::Reached, Outcome::Dropped { .. }) | (Fate::Dropped, Outcome::Reached { .. }) => false,
    }
}

/// True of the states in which the mode or a person holds the switch back.
fn is_before_switch(state: State) -> bool {
    match state {
        State::Observed | State::PendingApproval | State::Prepared => true,
        State::NotEligible
        | State::Waiting
        | State::Wired
        | State::Settling
        | State::Broken
        | State::Failed
        | State::Bypassed
        | State::Offboarding
        | State::Offboarded => false,
    }
}

fn walk(rig: &Rig, cluster: &Cluster, subnet: &str, packet: &Expected) -> Walk {
    rig.walk(&Packet {
        from: Source {
            subnet: subnet.to_owned(),
            cluster: Some(cluster.id.clone()),
            address: None,
        },
        to: Destination::Name(packet.name.clone()),
        port: packet.port,
        protocol: Protocol::Tcp,
        server_name: None,
    })
}
