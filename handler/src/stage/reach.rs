//! What packets find: the walks that decide whether a cluster is wired, and a watch that notices the first one that fares
//! worse than before. Only the simulator's packet walk is asked, never the product.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use azure_sim::Azure;
use azure_sim::walk::{Destination, Outcome, Packet, Protocol, Source};

use super::{Cluster, Stage, StageError};

/// Nodes pull images from here.
pub const MCR: &str = "mcr.microsoft.com";
/// The operator rule of the example configuration allows it.
pub const PARTNER: &str = "api.partner.example";
/// No rule allows it.
pub const NOT_ALLOWED: &str = "not-allowed.example";
/// The API server by its name.
pub const API_SERVER: &str = "the API server by name";
/// The API server by its address without a server name, as pods call it.
pub const API_ADDRESS: &str = "the API server by address";

/// How packets from the cluster's nodes fare, by destination.
#[must_use]
pub fn walks(azure: &Azure, cluster: &Cluster) -> BTreeMap<&'static str, Outcome> {
    let name = |text: &str| Destination::Name(text.to_owned());
    let mut targets = vec![
        (MCR, name(MCR)),
        (PARTNER, name(PARTNER)),
        (NOT_ALLOWED, name(NOT_ALLOWED)),
    ];
    let document = azure.document(&cluster.id).unwrap_or_default();
    if let Some(server) = document["properties"]["fqdn"].as_str() {
        targets.push((API_SERVER, name(server)));
        if let Some(address) = azure.internet().resolve(server) {
            targets.push((API_ADDRESS, Destination::Address(address)));
        }
    }
    let walk = |to| {
        azure.walk(&Packet {
            from: Source {
                subnet: cluster.subnet.clone(),
                cluster: Some(cluster.id.clone()),
                address: None,
            },
            to,
            port: 443,
            protocol: Protocol::Tcp,
            server_name: None,
        })
    };
    targets
        .into_iter()
        .map(|(label, to)| (label, walk(to).outcome))
        .collect()
}

/// Notes every destination that was reached and is reached no more.
#[derive(Clone, Debug, Default)]
pub struct Continuity {
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug, Default)]
struct Notes {
    clusters: Vec<Cluster>,
    reached: BTreeMap<(String, &'static str), ()>,
    looks: u64,
    losses: Vec<String>,
}

impl Continuity {
    /// Watches these clusters from here on: now, after every ARM write and after every event of Azure's own.
    #[must_use]
    pub fn of(stage: &Stage, clusters: &[Cluster]) -> Self {
        let watch = Self::default();
        let notes = Arc::clone(&watch.notes);
        clusters.iter().for_each(|cluster| watch.add(cluster));
        watch.notes().look(&stage.azure.lock(), "the start");
        stage.wire.watch(move |azure, what| {
            notes.lock().unwrap_or_else(PoisonError::into_inner).look(azure, what);
        });
        watch
    }

    /// Watches this cluster too.
    pub fn add(&self, cluster: &Cluster) {
        self.notes().clusters.push(cluster.clone());
    }

    /// Looks no more at clusters with this id or below it: somebody takes them away on purpose.
    pub fn forget(&self, id: &str) {
        let id = id.to_ascii_lowercase();
        let below = format!("{id}/");
        self.notes()
            .clusters
            .retain(|cluster| cluster.key != id && !cluster.key.starts_with(&below));
    }

    /// What was lost, in order; and how often was looked.
    #[must_use]
    pub fn losses(&self) -> (Vec<String>, u64) {
        let notes = self.notes();
        (notes.losses.clone(), notes.looks)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn look(&mut self, azure: &Azure, what: &str) {
        self.looks += 1;
        for cluster in &self.clusters {
            for (label, outcome) in walks(azure, cluster) {
                // The one destination that the switch is meant to cut.
                if label == NOT_ALLOWED {
                    continue;
                }
                let key = (cluster.id.clone(), label);
                match outcome {
                    Outcome::Reached { .. } => {
                        self.reached.insert(key, ());
                    }
                    Outcome::Dropped { at, why } => {
                        if self.reached.remove(&key).is_some() {
                            let name = &cluster.spec.name;
                            self.losses
                                .push(format!("after {what}: {name} lost {label} at {at} ({why})"));
                        }
                    }
                }
            }
        }
    }
}

impl Stage {
    /// The hub's egress address.
    ///
    /// # Errors
    /// [`StageError`] if the hub has none.
    pub fn egress_address(&self) -> Result<Ipv4Addr, StageError> {
        let id = self.azure.lock().world().hub.egress_public_ip.clone();
        let document = self.document(&id)?;
        let text = document["properties"]["ipAddress"].as_str().unwrap_or_default();
        text.parse().map_err(|_| StageError::Unreadable {
            what: format!("{text:?} is no address"),
            id,
        })
    }
}
