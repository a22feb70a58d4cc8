//! The way in: from a client on the internet to a public address, through the firewall's DNAT or straight to a cluster's
//! load balancer, and back. Azure Firewall always changes the source of what it translates, so the reply must come back
//! to exactly that address; a route that sends it elsewhere is a drop (azure-domain 3.2).

use std::net::Ipv4Addr;

use serde_json::Value;

use super::addresses::is_private;
use super::firewall::Firewall;
use super::nsg::Direction;
use super::routes::{NextHop, choose};
use super::topology::Place;
use super::view::{address, flag, id, is_below, items, last_part, name, number, resource_group, same, text};
use super::{Flow, Lost, Protocol, ServiceTags, Walk, Walker};
use crate::documents::Documents;
use crate::internet::Internet;

/// A connection attempt from the internet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// The client's address.
    pub client: Ipv4Addr,
    /// The public address it calls.
    pub to: Ipv4Addr,
    /// Destination port.
    pub port: u16,
    /// Transport.
    pub protocol: Protocol,
}

/// Walks a packet in from the internet, with the made-up service tags of [`ServiceTags::default`]. On success `seen_from`
/// is the source the node sees.
pub fn walk_inbound(documents: &dyn Documents, internet: &Internet, packet: &Inbound) -> Walk {
    walk_inbound_with(documents, internet, &ServiceTags::default(), packet)
}

/// As [`walk_inbound`], with the given prefixes behind service tags.
pub fn walk_inbound_with(documents: &dyn Documents, internet: &Internet, tags: &ServiceTags, packet: &Inbound) -> Walk {
    let mut walker = Walker::new(documents, internet, tags);
    let end = walker.inbound(packet);
    walker.finish(end)
}

impl Walker<'_> {
    fn inbound(&mut self, packet: &Inbound) -> Result<Ipv4Addr, Lost> {
        let flow = Flow {
            from: packet.client,
            to: packet.to,
            port: packet.port,
            protocol: packet.protocol,
            server_name: None,
        };
        let public = self.public_document(packet.to)?;
        match self.firewall_with_public(id(&public)) {
            Some(firewall) => self.through_dnat(&firewall?, &flow),
            None => {
                self.enter_load_balancer(&public, &flow)?;
                Ok(flow.from)
            }
        }
    }

    fn through_dnat(&mut self, firewall: &Firewall, flow: &Flow) -> Result<Ipv4Addr, Lost> {
        let label = name(&firewall.document).to_owned();
        let lost = |why: String| Lost::new(&label, why);
        let translation = self
            .translation(firewall, flow)
            .ok_or_else(|| lost(format!("no DNAT rule takes {}", flow.text())))?;
        let target = match (&translation.address, &translation.name) {
            (Some(address), _) => address.parse().ok(),
            (None, Some(name)) => self.lookup(name),
            (None, None) => None,
        }
        .ok_or_else(|| lost(format!("{} has no usable target", translation.rule)))?;
        let port = translation.port.unwrap_or(flow.port);
        self.note(format!("{} translates to {target}:{port}", translation.rule));
        let translated = Flow {
            to: target,
            port,
            ..flow.clone()
        };
        if let Some(what) = self.denied_by_network_rule(firewall, &translated) {
            return Err(lost(format!("{what} denies {}", translated.text())));
        }
        if is_private(target) {
            self.reach_private(firewall, &translated)
        } else {
            self.reach_public(firewall, &translated)
        }
    }

    fn reach_private(&mut self, firewall: &Firewall, flow: &Flow) -> Result<Ipv4Addr, Lost> {
        let own = Flow {
            from: firewall.private,
            ..flow.clone()
        };
        let routes = self.effective_routes(&firewall.place);
        let route = choose(&routes, own.to)
            .ok_or_else(|| Lost::new(firewall.place.name(), format!("no route to {}", own.to)))?;
        self.note(format!("firewall: route {}", route.text()));
        let vnet = match &route.hop {
            NextHop::Peering(remote) => remote.clone(),
            NextHop::VnetLocal => firewall.place.vnet_id().to_owned(),
            NextHop::Internet
            | NextHop::ServiceEndpoint(_)
            | NextHop::Appliance(_)
            | NextHop::Gateway
            | NextHop::None => {
                return Err(Lost::new(
                    firewall.place.name(),
                    format!("route {} does not lead to the target", route.text()),
                ));
            }
        };
        self.deliver(&firewall.place, &vnet, &own)?;
        self.enter_internal_frontend(&vnet, &own)?;
        Ok(own.from)
    }

    /// Over the internet to a load balancer: the source is then the firewall's egress address.
    fn reach_public(&mut self, firewall: &Firewall, flow: &Flow) -> Result<Ipv4Addr, Lost> {
        let from = self.egress_of_firewall(firewall)?;
        let public = self.public_document(flow.to)?;
        self.enter_load_balancer(&public, &Flow { from, ..flow.clone() })?;
        Ok(from)
    }

    /// Through a public frontend to every node subnet of its cluster: any of them may get the connection, and from each
    /// the reply must leave by the load balancer's flow, which only a route to `Internet` does.
    fn enter_load_balancer(&mut self, public: &Value, flow: &Flow) -> Result<(), Lost> {
        let frontend = text(public, "/properties/ipConfiguration/id")
            .ok_or_else(|| Lost::new(name(public), "the public address is attached to nothing"))?;
        let floating = self.require_listener(frontend, flow)?;
        for place in self.enter_nodes(frontend, floating, flow)? {
            let routes = self.effective_routes(&place);
            let route = choose(&routes, flow.from);
            let taken = route.map_or_else(|| "no route".to_owned(), |route| route.text());
            if route.map(|route| &route.hop) != Some(&NextHop::Internet) {
                return Err(Lost::new(
                    place.name(),
                    format!("asymmetric: the reply to {} takes route {taken}", flow.from),
                ));
            }
            self.note(format!("reply from {} by route {taken}", place.name()));
        }
        Ok(())
    }

    /// Through an internal frontend to the nodes behind it. They answer by the routes of their own subnets, which must lead
    /// straight back. A private address that is no frontend's belongs to nothing that is simulated.
    fn enter_internal_frontend(&mut self, vnet: &str, flow: &Flow) -> Result<(), Lost> {
        let frontend = self
            .internal_frontend(vnet, flow.to)
            .ok_or_else(|| Lost::new(flow.to.to_string(), "nothing answers at the private address"))?;
        let floating = self.require_listener(&frontend, flow)?;
        for place in self.enter_nodes(&frontend, floating, flow)? {
            let routes = self.effective_routes(&place);
            let route = choose(&routes, flow.from);
            let taken = route.map_or_else(|| "no route".to_owned(), |route| route.text());
            let direct = matches!(
                route.map(|route| &route.hop),
                Some(NextHop::VnetLocal | NextHop::Peering(_))
            );
            if !direct {
                return Err(Lost::new(
                    place.name(),
                    format!("asymmetric: the reply to {} takes route {taken}", flow.from),
                ));
            }
            self.note(format!("reply from {} by route {taken}", place.name()));
        }
        Ok(())
    }

    /// Past the security groups of every node subnet behind a frontend, and of the nodes' own interfaces. With a floating
    /// IP the packet still carries the frontend's address.
    fn enter_nodes(&mut self, frontend: &str, floating: bool, flow: &Flow) -> Result<Vec<Place>, Lost> {
        let mut places = Vec::new();
        for subnet in self.node_subnets(frontend) {
            let place = Place::find(self.documents, &subnet)?;
            let node = match place.first_usable().filter(|_| !floating) {
                Some(to) => Flow { to, ..flow.clone() },
                None => flow.clone(),
            };
            self.pass_security_group(&place, Direction::Inbound, &node)?;
            for group in self.interface_groups(frontend) {
                self.pass_group(&group, &place, Direction::Inbound, &node)?;
            }
            places.push(place);
        }
        Ok(places)
    }

    /// Security groups of the node resource group: AKS puts its own on the nodes' interfaces.
    fn interface_groups(&self, frontend: &str) -> Vec<Value> {
        let group = resource_group(frontend).unwrap_or_default();
        let mut found = self.documents.list("Microsoft.Network/networkSecurityGroups");
        found.retain(|document| resource_group(id(document)).is_some_and(|its| same(its, group)));
        found
    }

    /// The internal frontend with a private address in a network.
    fn internal_frontend(&self, vnet: &str, wanted: Ipv4Addr) -> Option<String> {
        let balancers = self.documents.list("Microsoft.Network/loadBalancers");
        let mut frontends = balancers
            .iter()
            .flat_map(|balancer| items(balancer, "/properties/frontendIPConfigurations"));
        let found = frontends.find(|frontend| {
            address(frontend, "/properties/privateIPAddress") == Some(wanted)
                && text(frontend, "/properties/subnet/id").is_some_and(|subnet| is_below(subnet, vnet))
        })?;
        Some(id(found).to_owned())
    }

    /// Requires a rule for the packet's port; whether it has a floating IP.
    fn require_listener(&mut self, frontend: &str, flow: &Flow) -> Result<bool, Lost> {
        let balancer = self
            .documents
            .list("Microsoft.Network/loadBalancers")
            .into_iter()
            .find(|balancer| is_below(frontend, id(balancer)))
            .ok_or_else(|| {
                Lost::new(
                    last_part(frontend),
                    "the address belongs to no load balancer that exists",
                )
            })?;
        let rule = items(&balancer, "/properties/loadBalancingRules").iter().find(|rule| {
            let protocol = text(rule, "/properties/protocol").unwrap_or_default();
            text(rule, "/properties/frontendIPConfiguration/id").is_some_and(|its| same(its, frontend))
                && number(rule, "/properties/frontendPort") == Some(i64::from(flow.port))
                && (protocol.eq_ignore_ascii_case("All") || protocol.eq_ignore_ascii_case(flow.protocol.word()))
        });
        let Some(rule) = rule else {
            return Err(Lost::new(
                name(&balancer),
                format!(
                    "no rule of the frontend listens on {} {}",
                    flow.protocol.word(),
                    flow.port
                ),
            ));
        };
        self.note(format!("load balancer {} takes {}", name(&balancer), flow.text()));
        Ok(flag(rule, "/properties/enableFloatingIP", false))
    }

    /// The subnets of the cluster whose node resource group holds the frontend.
    fn node_subnets(&self, frontend: &str) -> Vec<String> {
        let group = resource_group(frontend).unwrap_or_default();
        let mut subnets: Vec<String> = self
            .documents
            .list("Microsoft.ContainerService/managedClusters")
            .iter()
            .filter(|cluster| text(cluster, "/properties/nodeResourceGroup").is_some_and(|its| same(its, group)))
            .flat_map(|cluster| items(cluster, "/properties/agentPoolProfiles"))
            .flat_map(|pool| match text(pool, "/vnetSubnetID") {
                Some(named) => vec![named.to_owned()],
                None => self.managed_subnets(group),
            })
            .collect();
        subnets.sort();
        subnets.dedup();
        subnets
    }

    /// The subnets of the VNet that AKS made in a node resource group.
    fn managed_subnets(&self, group: &str) -> Vec<String> {
        let networks = self.documents.list("Microsoft.Network/virtualNetworks");
        let own = networks
            .iter()
            .filter(|vnet| resource_group(id(vnet)).is_some_and(|its| same(its, group)));
        own.flat_map(|vnet| items(vnet, "/properties/subnets"))
            .map(|subnet| id(subnet).to_owned())
            .collect()
    }

    fn public_document(&self, wanted: Ipv4Addr) -> Result<Value, Lost> {
        self.documents
            .list("Microsoft.Network/publicIPAddresses")
            .into_iter()
            .find(|public| address(public, "/properties/ipAddress") == Some(wanted))
            .ok_or_else(|| {
                Lost::new(
                    wanted.to_string(),
                    "nobody here owns the address; it may belong to a stranger",
                )
            })
    }
}
