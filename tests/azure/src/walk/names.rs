//! Names: resolution as a node of a subnet does it. With custom DNS servers the query itself must get through: a
//! firewall answers only as a DNS proxy, any other server must be reachable on UDP 53.

use std::net::Ipv4Addr;

use super::topology::Place;
use super::view::{flag, name, texts};
use super::{Flow, Lost, Protocol, Walker};

impl Walker<'_> {
    /// The address of a name, asked from a subnet.
    pub(super) fn resolve_from(&mut self, place: &Place, from: Ipv4Addr, wanted: &str) -> Result<Ipv4Addr, Lost> {
        let servers: Vec<Ipv4Addr> = texts(&place.vnet, "/properties/dhcpOptions/dnsServers")
            .filter_map(|server| server.parse().ok())
            .collect();
        // The first server that answers is enough; a node tries them in turn.
        let mut failure = None;
        let mut answered = servers.is_empty();
        for server in servers {
            match self.ask(place, from, server) {
                Ok(()) => {
                    answered = true;
                    break;
                }
                Err(lost) => failure = Some(lost),
            }
        }
        if let Some(lost) = failure.filter(|_| !answered) {
            return Err(Lost::new(
                "DNS",
                format!("no DNS server answers: at {}: {}", lost.at, lost.why),
            ));
        }
        let address = self
            .lookup(wanted)
            .ok_or_else(|| Lost::new("DNS", format!("the name {wanted} does not exist")))?;
        self.note(format!("{wanted} is {address}"));
        Ok(address)
    }

    /// The address the internet has for a name.
    pub(super) fn lookup(&self, wanted: &str) -> Option<Ipv4Addr> {
        self.internet.resolve(wanted)
    }

    fn ask(&mut self, place: &Place, from: Ipv4Addr, server: Ipv4Addr) -> Result<(), Lost> {
        // Azure's own resolver is not affected by routes.
        if server == super::outbound::WIRE_SERVER {
            return Ok(());
        }
        let query = Flow {
            from,
            to: server,
            port: 53,
            protocol: Protocol::Udp,
            server_name: None,
        };
        let firewall = match self.connected_network(place, server) {
            Some(vnet) => self.firewall_in(&vnet, server)?,
            None => None,
        };
        if let Some(firewall) = firewall {
            let proxy = firewall
                .policy(self.documents)
                .is_some_and(|policy| flag(&policy, "/properties/dnsSettings/enableProxy", false));
            if !proxy {
                return Err(Lost::new(
                    name(&firewall.document),
                    format!("DNS proxy is not enabled, so {server} answers no DNS query"),
                ));
            }
            self.pass_security_group(place, super::nsg::Direction::Outbound, &query)?;
            self.require_way_back(&firewall, place, from)?;
            self.note(format!("DNS query to the proxy of {}", name(&firewall.document)));
            return Ok(());
        }
        self.leave_subnet(place, None, &query).map(|_| ())
    }
}
