//! Packets of a story: the walk through Azure as it is, shown hop by hop, and whether it ends as the story says.

use std::net::Ipv4Addr;

use azure_sim::Azure;
use azure_sim::walk::{Destination, Inbound, Outcome, Packet, Protocol, Source, Walk as Walked, walk_inbound};
use hubward_core::ids::ResourceId;

use super::scene::{Done, Scene};
use super::statements::{From, To, Verdict, Walk};
use crate::stage::{Cluster, StageError};

impl Scene {
    /// Sends a packet of the story.
    pub(super) async fn walk(&self, walk: &Walk) -> Result<Done, StageError> {
        let to = match self.destination(&walk.to).await? {
            Ok(to) => to,
            Err(line) => return Ok(Err(line)),
        };
        let egress = self.stage.egress_address().ok();
        let azure = self.stage.azure.lock();
        let walked = match &walk.from {
            From::Cluster(name) => self.cluster(name).map(|from| send_out(&azure, from, to, walk.port)),
            From::Address(client) => send_in(&azure, *client, to, walk.port),
        };
        let walked = match walked {
            Ok(walked) => walked,
            Err(line) => return Ok(Err(line)),
        };
        let end = end(&walked);
        let firewall = azure.world().hub.firewall.rsplit('/').next().unwrap_or_default();
        let hops: Vec<&str> = walked.hops.iter().map(|hop| hop.text.as_str()).collect();
        Ok(match walk.verdict {
            Some(verdict) if is(&walked, verdict, egress, firewall) => Ok(end),
            Some(_) => Err(format!("it {end}\n{}", hops.join("\n"))),
            None => Ok(format!("{}\n{end}", hops.join("\n"))),
        })
    }

    /// Where a packet goes to; what only the app knows comes from its ledger.
    async fn destination(&self, to: &To) -> Result<Result<Destination, String>, StageError> {
        let of_service = |name: &str| {
            let found = self.services.get(name);
            found.ok_or_else(|| format!("{name} exposes no service"))
        };
        Ok(match to {
            To::Name(name) => Ok(Destination::Name(name.clone())),
            To::Address(address) => Ok(Destination::Address(*address)),
            To::Service(name) => of_service(name).map(|address| Destination::Address(*address)),
            To::ApiServer(name) => {
                let azure = self.stage.azure.lock();
                self.cluster(name).and_then(|cluster| api_server(&azure, cluster))
            }
            To::Ingress(name) => {
                let address = self.ingress_address(name).await?;
                address
                    .map(Destination::Address)
                    .ok_or_else(|| format!("{name} has no ingress address on the hub"))
            }
        })
    }

    /// The address that is reserved for the cluster on the firewall of its hub.
    async fn ingress_address(&self, name: &str) -> Result<Option<Ipv4Addr>, StageError> {
        let config = self.stage.config()?;
        let id = ResourceId::parse(&self.key(name)?);
        let id = id.map_err(|error| StageError::Absent(error.to_string()))?;
        for hub in config.hubs.keys() {
            let kept = self.stage.ledger.reservations.of_hub(hub).await?;
            if let Some((address, _)) = kept.table.of(&id) {
                return Ok(Some(address));
            }
        }
        Ok(None)
    }
}

/// Sends a packet from a cluster's nodes.
fn send_out(azure: &Azure, from: &Cluster, to: Destination, port: u16) -> Walked {
    azure.walk(&Packet {
        from: Source {
            subnet: from.subnet.clone(),
            cluster: Some(from.id.clone()),
            address: None,
        },
        to,
        port,
        protocol: Protocol::Tcp,
        server_name: None,
    })
}

/// Sends a packet in from the internet.
///
/// # Errors
/// One line: nobody knows the name.
fn send_in(azure: &Azure, client: Ipv4Addr, to: Destination, port: u16) -> Result<Walked, String> {
    let to = match to {
        Destination::Address(address) => address,
        Destination::Name(name) => {
            let found = azure.internet().resolve(&name);
            found.ok_or_else(|| format!("nobody knows the name {name}"))?
        }
    };
    let packet = Inbound {
        client,
        to,
        port,
        protocol: Protocol::Tcp,
    };
    Ok(walk_inbound(azure.documents(), azure.internet(), &packet))
}

/// The name of a cluster's API server.
///
/// # Errors
/// One line: it has none yet.
fn api_server(azure: &Azure, cluster: &Cluster) -> Result<Destination, String> {
    let document = azure.document(&cluster.id).unwrap_or_default();
    let fqdn = ["fqdn", "privateFQDN"]
        .into_iter()
        .find_map(|field| document["properties"][field].as_str());
    let fqdn = fqdn.ok_or_else(|| format!("the API server of {} has no name yet", cluster.spec.name))?;
    Ok(Destination::Name(fqdn.to_owned()))
}

/// How it ended, in words.
fn end(walked: &Walked) -> String {
    match &walked.outcome {
        Outcome::Reached { seen_from } => format!("arrives, seen from {seen_from}"),
        Outcome::Dropped { at, why } => format!("is dropped at {at}: {why}"),
    }
}

/// True if it ended so. `egress` is the hub's egress address, `firewall` the name of its firewall.
fn is(walked: &Walked, verdict: Verdict, egress: Option<Ipv4Addr>, firewall: &str) -> bool {
    match (verdict, &walked.outcome) {
        (Verdict::Arrives, Outcome::Reached { .. }) | (Verdict::Dropped, Outcome::Dropped { .. }) => true,
        (Verdict::ArrivesFromEgress, Outcome::Reached { seen_from }) => Some(*seen_from) == egress,
        (Verdict::ArrivesFrom(address), Outcome::Reached { seen_from }) => *seen_from == address,
        (Verdict::DroppedAtFirewall, Outcome::Dropped { at, .. }) => at.contains(firewall),
        (Verdict::Arrives | Verdict::ArrivesFromEgress | Verdict::ArrivesFrom(_), Outcome::Dropped { .. })
        | (Verdict::Dropped | Verdict::DroppedAtFirewall, Outcome::Reached { .. }) => false,
    }
}
