//! Effective routes of a subnet: Azure's system routes and the routes of the attached table, and the choice between them
//! (longest prefix; for equal prefixes the user's route wins; azure-domain 5). Gateway routes are not simulated.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Walker;
use super::addresses::PRIVATE;
use super::topology::{Place, address_space, links};
use super::view::{items, last_part, name, text, texts};

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NextHop {
    /// Within the virtual network.
    VnetLocal,
    /// To a peered virtual network, by id.
    Peering(String),
    /// Out.
    Internet,
    /// Straight to an Azure service, past every appliance.
    ServiceEndpoint(String),
    /// To an appliance.
    Appliance(Ipv4Addr),
    /// To a VPN or ExpressRoute gateway.
    Gateway,
    /// Nowhere.
    None,
}

/// Which route wins when prefixes are equal; later is stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// Present in every subnet.
    Default,
    /// From a peering.
    Peering,
    /// The virtual network itself or a service endpoint.
    Network,
    /// From the attached route table.
    User,
}

/// An effective route.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) prefix: Ipv4Net,
    pub(super) hop: NextHop,
    pub(super) origin: Origin,
    /// `route X of table T` or `system route`.
    pub(super) from: String,
}

impl Route {
    pub(super) fn text(&self) -> String {
        let hop = match &self.hop {
            NextHop::VnetLocal => "the virtual network".to_owned(),
            NextHop::Peering(remote) => format!("peered network {}", last_part(remote)),
            NextHop::Internet => "Internet".to_owned(),
            NextHop::ServiceEndpoint(service) => format!("service endpoint {service}"),
            NextHop::Appliance(address) => address.to_string(),
            NextHop::Gateway => "the virtual network gateway".to_owned(),
            NextHop::None => "None".to_owned(),
        };
        format!("{} of {} -> {hop}", self.prefix, self.from)
    }
}

/// The route Azure takes for an address.
pub(super) fn choose(routes: &[Route], address: Ipv4Addr) -> Option<&Route> {
    routes
        .iter()
        .filter(|route| route.prefix.contains(&address))
        .max_by_key(|route| (route.prefix.prefix_len(), route.origin))
}

impl Walker<'_> {
    /// System and user routes of a subnet.
    pub(super) fn effective_routes(&self, place: &Place) -> Vec<Route> {
        let own = self.user_routes(place);
        // Azure's routes of the reserved ranges to None go with its own default route: where the user overrides 0.0.0.0/0
        // they are not among the effective routes (routing example of the user-defined routes page, Subnet1 against
        // Subnet2), and one 0.0.0.0/0 sends traffic between spokes to the appliance as well.
        let overridden = own.iter().any(|route| route.prefix.prefix_len() == 0);
        let mut routes = self.system_routes(place);
        routes.retain(|route| !(overridden && route.hop == NextHop::None));
        routes.extend(own);
        routes
    }

    /// The routes Azure makes by itself.
    pub(super) fn system_routes(&self, place: &Place) -> Vec<Route> {
        let system = |prefix: Ipv4Net, hop: NextHop, origin: Origin| Route {
            prefix,
            hop,
            origin,
            from: "system routes".to_owned(),
        };
        let mut routes = vec![system(Ipv4Net::default(), NextHop::Internet, Origin::Default)];
        for range in PRIVATE {
            if let Ok(prefix) = range.parse() {
                routes.push(system(prefix, NextHop::None, Origin::Default));
            }
        }
        for prefix in address_space(&place.vnet) {
            routes.push(system(prefix, NextHop::VnetLocal, Origin::Network));
        }
        for link in links(self.documents, &place.vnet) {
            for prefix in link.prefixes {
                let hop = NextHop::Peering(link.remote.clone());
                routes.push(system(prefix, hop, Origin::Peering));
            }
        }
        for endpoint in items(&place.subnet, "/properties/serviceEndpoints") {
            let service = text(endpoint, "/service").unwrap_or_default();
            let tag = service.strip_prefix("Microsoft.").unwrap_or(service);
            for prefix in self.tags.prefixes(tag) {
                let hop = NextHop::ServiceEndpoint(service.to_owned());
                routes.push(system(*prefix, hop, Origin::Network));
            }
        }
        routes
    }

    fn user_routes(&self, place: &Place) -> Vec<Route> {
        let table = text(&place.subnet, "/properties/routeTable/id").and_then(|table| self.documents.get(table));
        let Some(table) = table else {
            return Vec::new();
        };
        let mut routes = Vec::new();
        for route in items(&table, "/properties/routes") {
            let hop = match text(route, "/properties/nextHopType") {
                Some("VirtualAppliance") => appliance(route),
                Some("Internet") => NextHop::Internet,
                Some("VnetLocal") => NextHop::VnetLocal,
                Some("VirtualNetworkGateway") => NextHop::Gateway,
                Some(_) | None => NextHop::None,
            };
            let prefix = text(route, "/properties/addressPrefix").unwrap_or_default();
            let prefixes = match prefix.parse::<Ipv4Net>() {
                Ok(prefix) => vec![prefix],
                Err(_) => self.tags.prefixes(prefix).to_vec(),
            };
            for prefix in prefixes {
                routes.push(Route {
                    prefix,
                    hop: hop.clone(),
                    origin: Origin::User,
                    from: format!("route {} in table {}", name(route), name(&table)),
                });
            }
        }
        routes
    }
}

fn appliance(route: &serde_json::Value) -> NextHop {
    text(route, "/properties/nextHopIpAddress")
        .or_else(|| texts(route, "/properties/nextHop/nextHopIpAddresses").next())
        .and_then(|address| address.parse().ok())
        .map_or(NextHop::None, NextHop::Appliance)
}
