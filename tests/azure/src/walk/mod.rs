//! The ground truth of the simulated network: takes one packet through what exists (names, security groups, effective
//! routes, peerings, firewall rules, address translation, the way back) and says whether a new connection comes about and
//! from which address it is seen. It is written from Azure's rules alone and knows no planner; whatever it cannot find is a
//! drop with a place and a reason. Routes learnt from gateways (BGP), IPv6 and application security groups do not exist here.

mod addresses;
mod egress;
mod firewall;
mod inbound;
mod names;
mod nsg;
mod outbound;
mod routes;
mod rules;
mod tags;
mod topology;
mod view;

use std::net::Ipv4Addr;

use crate::documents::Documents;
use crate::internet::Internet;

pub use egress::DEFAULT_OUTBOUND_ADDRESS;
pub use inbound::{Inbound, walk_inbound, walk_inbound_with};
pub use tags::ServiceTags;

/// A connection attempt from inside a virtual network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where it starts.
    pub from: Source,
    /// Where it wants to go.
    pub to: Destination,
    /// Destination port; ignored for ICMP.
    pub port: u16,
    /// Transport.
    pub protocol: Protocol,
    /// What TLS SNI or the Host header says. `None`: the destination's name, or nothing if it is an address, as with pods
    /// that call the API server by its in-cluster address.
    pub server_name: Option<String>,
}

/// The sender of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// ARM id of the subnet.
    pub subnet: String,
    /// ARM id of the cluster whose node sends, where several share the subnet. `None`: the first that uses the subnet.
    pub cluster: Option<String>,
    /// The sender's address. `None`: the subnet's first usable one (Azure keeps the first four).
    pub address: Option<Ipv4Addr>,
}

/// The target of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A name to resolve first.
    Name(String),
    /// An address.
    Address(Ipv4Addr),
}

/// Transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP; has no port.
    Icmp,
}

impl Protocol {
    /// The word of rules: `TCP`, `UDP`, `ICMP`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Icmp => "ICMP",
        }
    }
}

/// What became of a packet, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The end of it.
    pub outcome: Outcome,
    /// The way there, in order.
    pub hops: Vec<Hop>,
}

/// The end of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The connection comes about: the packet arrives and the reply finds its way back.
    Reached {
        /// The source address the target sees.
        seen_from: Ipv4Addr,
    },
    /// It does not.
    Dropped {
        /// The thing that dropped it: a resource's name or a short word such as `DNS`.
        at: String,
        /// Why.
        why: String,
    },
}

/// One thing that happened to the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// One line for people.
    pub text: String,
}

/// Walks a packet out of its subnet, with the made-up service tags of [`ServiceTags::default`].
pub fn walk(documents: &dyn Documents, internet: &Internet, packet: &Packet) -> Walk {
    walk_with(documents, internet, &ServiceTags::default(), packet)
}

/// As [`walk`], with the given prefixes behind service tags.
pub fn walk_with(documents: &dyn Documents, internet: &Internet, tags: &ServiceTags, packet: &Packet) -> Walk {
    let mut walker = Walker::new(documents, internet, tags);
    let end = walker.outbound(packet);
    walker.finish(end)
}

/// The parts of a packet that rules look at.
#[derive(Clone, Debug)]
struct Flow {
    from: Ipv4Addr,
    to: Ipv4Addr,
    port: u16,
    protocol: Protocol,
    server_name: Option<String>,
}

impl Flow {
    fn text(&self) -> String {
        match self.protocol {
            Protocol::Icmp => format!("ICMP {} -> {}", self.from, self.to),
            Protocol::Tcp | Protocol::Udp => {
                format!("{} {} -> {}:{}", self.protocol.word(), self.from, self.to, self.port)
            }
        }
    }
}

/// A drop: where and why.
#[derive(Clone, Debug)]
struct Lost {
    at: String,
    why: String,
}

impl Lost {
    fn new(at: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            at: at.into(),
            why: why.into(),
        }
    }
}

/// Everything a walk looks at, and the hops so far.
struct Walker<'a> {
    documents: &'a dyn Documents,
    internet: &'a Internet,
    tags: &'a ServiceTags,
    hops: Vec<Hop>,
}

impl<'a> Walker<'a> {
    fn new(documents: &'a dyn Documents, internet: &'a Internet, tags: &'a ServiceTags) -> Self {
        Self {
            documents,
            internet,
            tags,
            hops: Vec::new(),
        }
    }

    fn note(&mut self, text: impl Into<String>) {
        self.hops.push(Hop { text: text.into() });
    }

    fn finish(self, end: Result<Ipv4Addr, Lost>) -> Walk {
        Walk {
            outcome: match end {
                Ok(seen_from) => Outcome::Reached { seen_from },
                Err(Lost { at, why }) => Outcome::Dropped { at, why },
            },
            hops: self.hops,
        }
    }
}

#[cfg(test)]
mod tests;
