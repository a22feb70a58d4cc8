//! The way in: a client on the internet calls the firewall's address of a wired cluster, behind which somebody of its team has put
//! a web service under the application address.
//!
//! It plays the team and the client and says what became of each packet; a service that AKS does not take is a packet that was
//! not answered, with AKS's reason.

use std::net::Ipv4Addr;

use azure_sim::walk::{Inbound, Outcome, Protocol, Walk};

use super::rig::{Cluster, Rig};
use super::verdict::Walked;

/// A client in the network that `local` lets in.
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// How clients reach one cluster.
pub(super) struct Entrance {
    /// The firewall's address.
    pub(super) ingress_ip: Ipv4Addr,
    /// The application address, if AKS took it.
    pub(super) app_ip: Option<Ipv4Addr>,
    ports: Vec<u16>,
    trouble: Option<String>,
}

impl Entrance {
    /// Puts a web service behind the cluster's address; `None` if nobody may come in.
    pub(super) fn open(rig: &Rig, cluster: &Cluster, ingress_ip: Ipv4Addr) -> Option<Self> {
        let ingress = rig.hub()?.ingress.as_ref()?;
        if !ingress.sources.iter().any(|source| lets_in(source)) {
            return None;
        }
        let exposed = rig.expose_web(cluster, &ingress.ports);
        Some(Self {
            ingress_ip,
            app_ip: exposed.as_ref().ok().copied(),
            ports: ingress.ports.clone(),
            trouble: exposed.err().map(|error| error.to_string()),
        })
    }

    /// Sends one packet to each port.
    pub(super) fn knock(&self, rig: &Rig, egress_ip: Option<&str>) -> Vec<Walked> {
        let each = |port: &u16| {
            let mut walk = rig.walk_inbound(&Inbound {
                client: CLIENT,
                to: self.ingress_ip,
                port: *port,
                protocol: Protocol::Tcp,
            });
            if let Some(why) = &self.trouble {
                walk = unanswered(walk, why);
            }
            let seen = match &walk.outcome {
                Outcome::Reached { seen_from } => Some(seen_from.to_string()),
                Outcome::Dropped { .. } => None,
            };
            Walked {
                as_it_should_be: seen.is_some() && seen.as_deref() == egress_ip,
                before_switch: false,
                from: format!("client {CLIENT}"),
                to: format!("{}:{port}", self.ingress_ip),
                walk,
                expectation: "to be answered".to_owned(),
            }
        };
        self.ports.iter().map(each).collect()
    }
}

fn unanswered(walk: Walk, why: &str) -> Walk {
    Walk {
        outcome: Outcome::Dropped {
            at: "the cluster".to_owned(),
            why: why.to_owned(),
        },
        ..walk
    }
}

/// True if a source of the configuration holds the client.
fn lets_in(source: &str) -> bool {
    let network = source.parse::<ipnet::Ipv4Net>();
    network.is_ok_and(|network| network.contains(&CLIENT)) || source.parse() == Ok(CLIENT)
}
