//! Packets of a story: the walk through Azure as it is, shown hop by hop, and whether it ends as the story says.

use std::net::Ipv4Addr;

use azure_sim::Azure;
use azure_sim::walk::{Destination, Inbound, Outcome, Packet, Protocol, Source, Walk as Walked, walk_inbound};

use super::statements::{From, To, Verdict, Walk};
use crate::stage::Cluster;

/// Sends the packet.
///
/// # Errors
/// One line: what it starts from or goes to cannot be found.
pub(super) fn send<'c>(
    azure: &Azure,
    walk: &Walk,
    cluster: impl Fn(&str) -> Result<&'c Cluster, String>,
) -> Result<Walked, String> {
    let to = destination(azure, &walk.to, &cluster)?;
    match &walk.from {
        From::Cluster(name) => {
            let from = cluster(name)?;
            Ok(azure.walk(&Packet {
                from: Source {
                    subnet: from.subnet.clone(),
                    cluster: Some(from.id.clone()),
                    address: None,
                },
                to,
                port: walk.port,
                protocol: Protocol::Tcp,
                server_name: None,
            }))
        }
        From::Address(client) => {
            let to = match to {
                Destination::Address(address) => address,
                Destination::Name(name) => {
                    let found = azure.internet().resolve(&name);
                    found.ok_or_else(|| format!("nobody knows the name {name}"))?
                }
            };
            let packet = Inbound {
                client: *client,
                to,
                port: walk.port,
                protocol: Protocol::Tcp,
            };
            Ok(walk_inbound(azure.documents(), azure.internet(), &packet))
        }
    }
}

/// How it ended, in words.
pub(super) fn end(walked: &Walked) -> String {
    match &walked.outcome {
        Outcome::Reached { seen_from } => format!("arrives, seen from {seen_from}"),
        Outcome::Dropped { at, why } => format!("is dropped at {at}: {why}"),
    }
}

/// True if it ended so. `egress` is the hub's egress address, `firewall` the name of its firewall.
pub(super) fn is(walked: &Walked, verdict: Verdict, egress: Option<Ipv4Addr>, firewall: &str) -> bool {
    match (verdict, &walked.outcome) {
        (Verdict::Arrives, Outcome::Reached { .. }) | (Verdict::Dropped, Outcome::Dropped { .. }) => true,
        (Verdict::ArrivesFromEgress, Outcome::Reached { seen_from }) => Some(*seen_from) == egress,
        (Verdict::ArrivesFrom(address), Outcome::Reached { seen_from }) => *seen_from == address,
        (Verdict::DroppedAtFirewall, Outcome::Dropped { at, .. }) => at.contains(firewall),
        (Verdict::Arrives | Verdict::ArrivesFromEgress | Verdict::ArrivesFrom(_), Outcome::Dropped { .. })
        | (Verdict::Dropped | Verdict::DroppedAtFirewall, Outcome::Reached { .. }) => false,
    }
}

fn destination<'c>(
    azure: &Azure,
    to: &To,
    cluster: impl Fn(&str) -> Result<&'c Cluster, String>,
) -> Result<Destination, String> {
    match to {
        To::Name(name) => Ok(Destination::Name(name.clone())),
        To::Address(address) => Ok(Destination::Address(*address)),
        To::ApiServer(name) => {
            let document = azure.document(&cluster(name)?.id).unwrap_or_default();
            let fqdn = ["fqdn", "privateFQDN"]
                .into_iter()
                .find_map(|field| document["properties"][field].as_str());
            let fqdn = fqdn.ok_or_else(|| format!("the API server of {name} has no name yet"))?;
            Ok(Destination::Name(fqdn.to_owned()))
        }
        To::Ingress(name) => {
            let _ = cluster(name)?;
            Err(format!("{name} has no ingress address on the hub"))
        }
    }
}
