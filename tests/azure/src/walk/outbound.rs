//! The way out of a subnet: name, security group, effective route, then directly, within the networks, or through the
//! firewall; and for each the way back, because a connection whose reply takes another path through a stateful device
//! does not come about.

use std::net::Ipv4Addr;

use super::addresses::{covers, is_private};
use super::firewall::Firewall;
use super::nsg::Direction;
use super::routes::{NextHop, choose};
use super::rules::Verdict;
use super::topology::{Place, links};
use super::view::{id, last_part, name, same, text, texts};
use super::{Destination, Flow, Lost, Packet, Walker};

/// Azure's DNS, DHCP and health probe address; routes and security groups of the customer do not concern it.
pub(super) const WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
/// The instance metadata service, link-local on every node.
const INSTANCE_METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

impl Walker<'_> {
    /// Walks a packet; the address the target sees.
    pub(super) fn outbound(&mut self, packet: &Packet) -> Result<Ipv4Addr, Lost> {
        let place = Place::find(self.documents, &packet.from.subnet)?;
        let from = packet
            .from
            .address
            .or_else(|| place.first_usable())
            .ok_or_else(|| Lost::new(place.name(), "the subnet has no usable address"))?;
        let (to, named) = match &packet.to {
            Destination::Name(wanted) => (self.resolve_from(&place, from, wanted)?, Some(wanted.clone())),
            Destination::Address(address) => (*address, None),
        };
        let flow = Flow {
            from,
            to,
            port: packet.port,
            protocol: packet.protocol,
            server_name: packet.server_name.clone().or(named),
        };
        if [WIRE_SERVER, INSTANCE_METADATA].contains(&to) {
            self.note(format!("{to} is Azure's own, on every node"));
            return Ok(from);
        }
        let (seen_from, arrived) = self.leave_subnet(&place, packet.from.cluster.as_deref(), &flow)?;
        self.enter_api_server(arrived, seen_from)?;
        Ok(seen_from)
    }

    /// From the subnet's border to the target: the source and the target address at the end.
    pub(super) fn leave_subnet(
        &mut self,
        place: &Place,
        cluster: Option<&str>,
        flow: &Flow,
    ) -> Result<(Ipv4Addr, Ipv4Addr), Lost> {
        self.pass_security_group(place, Direction::Outbound, flow)?;
        let routes = self.effective_routes(place);
        let route =
            choose(&routes, flow.to).ok_or_else(|| Lost::new(place.name(), format!("no route to {}", flow.to)))?;
        self.note(format!("route {}", route.text()));
        match &route.hop {
            NextHop::VnetLocal => {
                self.deliver(place, place.vnet_id(), flow)?;
                Ok((flow.from, flow.to))
            }
            NextHop::Peering(remote) => {
                self.deliver(place, remote, flow)?;
                Ok((flow.from, flow.to))
            }
            NextHop::Internet => {
                self.require_public(place, flow.to)?;
                Ok((self.egress_of_subnet(place, cluster)?, flow.to))
            }
            NextHop::ServiceEndpoint(_) => Ok((flow.from, flow.to)),
            NextHop::Appliance(address) => self.through_appliance(place, *address, flow),
            NextHop::Gateway => Err(Lost::new(
                place.name(),
                "the route leads to a virtual network gateway, behind which nothing is simulated",
            )),
            NextHop::None => Err(Lost::new(
                place.name(),
                format!("route {} drops the packet", route.text()),
            )),
        }
    }

    /// Into a subnet of a virtual network, and back to the sender without a detour over an appliance.
    pub(super) fn deliver(&mut self, sender: &Place, vnet_id: &str, flow: &Flow) -> Result<(), Lost> {
        let target = self.subnet_holding(vnet_id, flow.to)?;
        self.pass_security_group(&target, Direction::Inbound, flow)?;
        if same(target.vnet_id(), sender.vnet_id()) && target.name() == sender.name() {
            return Ok(());
        }
        let back = self.effective_routes(&target);
        match choose(&back, flow.from).map(|route| (&route.hop, route.text())) {
            Some((NextHop::VnetLocal | NextHop::Peering(_), _)) => Ok(()),
            Some((_, route)) => Err(Lost::new(
                target.name(),
                format!("asymmetric: the reply to {} takes route {route}", flow.from),
            )),
            None => Err(Lost::new(target.name(), format!("no route back to {}", flow.from))),
        }
    }

    pub(super) fn subnet_holding(&self, vnet_id: &str, address: Ipv4Addr) -> Result<Place, Lost> {
        Place::holding(self.documents, vnet_id, address)
            .ok_or_else(|| Lost::new(last_part(vnet_id), format!("no subnet of the network holds {address}")))
    }

    /// Requires that the firewall's subnet reaches the sender's network directly.
    pub(super) fn require_way_back(
        &mut self,
        firewall: &Firewall,
        sender: &Place,
        address: Ipv4Addr,
    ) -> Result<(), Lost> {
        let routes = self.effective_routes(&firewall.place);
        let route = choose(&routes, address);
        let direct = route.is_some_and(|route| match &route.hop {
            NextHop::Peering(remote) => same(remote, sender.vnet_id()),
            NextHop::VnetLocal => same(firewall.place.vnet_id(), sender.vnet_id()),
            NextHop::Internet
            | NextHop::ServiceEndpoint(_)
            | NextHop::Appliance(_)
            | NextHop::Gateway
            | NextHop::None => false,
        });
        if direct {
            return Ok(());
        }
        let taken = route.map_or_else(|| "no route".to_owned(), |route| route.text());
        Err(Lost::new(
            name(&firewall.document),
            format!("the reply cannot return to {address}: {taken}"),
        ))
    }

    fn through_appliance(
        &mut self,
        place: &Place,
        address: Ipv4Addr,
        flow: &Flow,
    ) -> Result<(Ipv4Addr, Ipv4Addr), Lost> {
        let lost = |why: &str| Lost::new(address.to_string(), why);
        let vnet = self
            .connected_network(place, address)
            .ok_or_else(|| lost("the next hop lies in no network that is peered and connected"))?;
        let firewall = self
            .firewall_in(&vnet, address)?
            .ok_or_else(|| lost("the next hop is no firewall's private address"))?;
        let verdict = self.judge(&firewall, flow)?;
        self.require_way_back(&firewall, place, flow.from)?;
        // An application rule makes the firewall open its own connection, to the address it finds for the server name.
        let to = match &verdict {
            Verdict::Application { name: wanted } => self.lookup(wanted).ok_or_else(|| {
                Lost::new(
                    name(&firewall.document),
                    format!("the firewall cannot resolve {wanted}"),
                )
            })?,
            Verdict::Network => flow.to,
        };
        let onward = Flow { to, ..flow.clone() };
        let routes = self.effective_routes(&firewall.place);
        let route = choose(&routes, to).ok_or_else(|| Lost::new(firewall.place.name(), format!("no route to {to}")))?;
        self.note(format!("firewall: route {}", route.text()));
        match &route.hop {
            NextHop::Internet => {
                self.require_public(&firewall.place, to)?;
                if verdict == Verdict::Network && !firewall.translates(self.documents, to) {
                    return Err(Lost::new(
                        name(&firewall.document),
                        format!("the policy's private ranges hold {to}, so the source is not translated"),
                    ));
                }
                Ok((self.egress_of_firewall(&firewall)?, to))
            }
            NextHop::Peering(remote) => {
                let seen = self.forward(&firewall, place, remote, &onward, &verdict)?;
                Ok((seen, to))
            }
            NextHop::VnetLocal => {
                let vnet = firewall.place.vnet_id().to_owned();
                let seen = self.forward(&firewall, place, &vnet, &onward, &verdict)?;
                Ok((seen, to))
            }
            NextHop::ServiceEndpoint(_) => Ok((firewall.private, to)),
            NextHop::Appliance(_) | NextHop::Gateway | NextHop::None => Err(Lost::new(
                firewall.place.name(),
                format!(
                    "route {} of the firewall's subnet does not lead to Internet",
                    route.text()
                ),
            )),
        }
    }

    fn require_public(&self, place: &Place, to: Ipv4Addr) -> Result<(), Lost> {
        if is_private(to) {
            return Err(Lost::new(
                place.name(),
                format!("the internet routes no private address such as {to}"),
            ));
        }
        Ok(())
    }

    /// From the firewall into a virtual network. Without translation both ends see packets that the hub only passes on,
    /// which their links to the hub must take; internet replies to a flow the spoke began do not need it
    /// [mspnp/aks-baseline runs with allowForwardedTraffic false on both sides].
    fn forward(
        &mut self,
        firewall: &Firewall,
        sender: &Place,
        vnet_id: &str,
        flow: &Flow,
        verdict: &Verdict,
    ) -> Result<Ipv4Addr, Lost> {
        let target = self.subnet_holding(vnet_id, flow.to)?;
        let hub = firewall.place.vnet_id().to_owned();
        if matches!(verdict, Verdict::Application { .. }) || firewall.translates(self.documents, flow.to) {
            let own = Flow {
                from: firewall.private,
                ..flow.clone()
            };
            self.deliver(&firewall.place, vnet_id, &own)?;
            return Ok(firewall.private);
        }
        for end in [sender, &target] {
            let takes = same(end.vnet_id(), &hub)
                || links(self.documents, &end.vnet)
                    .iter()
                    .any(|link| same(&link.remote, &hub) && link.takes_forwarded);
            if !takes {
                return Err(Lost::new(
                    last_part(end.vnet_id()),
                    "the peering to the hub does not allow forwarded traffic",
                ));
            }
        }
        self.pass_security_group(&target, Direction::Inbound, flow)?;
        let back = self.effective_routes(&target);
        match choose(&back, flow.from).map(|route| (&route.hop, route.text())) {
            Some((NextHop::Appliance(address), _)) if *address == firewall.private => Ok(flow.from),
            Some((_, route)) => Err(Lost::new(
                target.name(),
                format!(
                    "asymmetric: the reply to {} takes route {route}, past the firewall",
                    flow.from
                ),
            )),
            None => Err(Lost::new(target.name(), format!("no route back to {}", flow.from))),
        }
    }

    /// API servers admit the addresses of `authorizedIPRanges` and, without being told, those AKS made for the cluster's
    /// own load balancer (azure-domain 2.5).
    fn enter_api_server(&mut self, to: Ipv4Addr, seen_from: Ipv4Addr) -> Result<(), Lost> {
        for cluster in self.documents.list("Microsoft.ContainerService/managedClusters") {
            let here = text(&cluster, "/properties/fqdn")
                .and_then(|fqdn| self.lookup(fqdn))
                .is_some_and(|address| address == to);
            let ranges: Vec<&str> = texts(&cluster, "/properties/apiServerAccessProfile/authorizedIPRanges").collect();
            if !here || ranges.is_empty() {
                continue;
            }
            let admitted = ranges.iter().any(|range| covers(range, seen_from))
                || self.outbound_addresses(&cluster).contains(&seen_from);
            if !admitted {
                return Err(Lost::new(
                    format!("API server of {}", last_part(id(&cluster))),
                    format!("authorizedIPRanges does not hold {seen_from}"),
                ));
            }
        }
        Ok(())
    }
}
