//! Effective routes of a subnet: the 2^32 addresses cut into disjoint intervals, each with the next hop Azure picks.
//!
//! Azure's rule (virtual-networks-udr-overview.md): longest prefix first; of equal prefixes user routes before system
//! routes. The system routes for the network itself and for peered networks are as specific as their prefixes.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::estate::{Estate, PeeringView, RouteTableView, SubnetView, VnetView};
use crate::ids::ResourceId;

/// Where Azure sends a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// Stays in the virtual network.
    Local,
    /// Goes to the peered network.
    Peered(ResourceId),
    /// Leaves to the internet by the subnet's own means.
    Internet,
    /// Goes to an appliance.
    Appliance(Ipv4Addr),
    /// Goes to the network's gateway.
    Gateway,
    /// Is dropped.
    Dropped,
    /// A next hop we cannot read.
    Unreadable(String),
}

/// Addresses that share a next hop: first and last address, both included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The first address.
    pub first: Ipv4Addr,
    /// The last address.
    pub last: Ipv4Addr,
    /// Where packets to it go.
    pub next_hop: NextHop,
    /// Which route decides, as people name it.
    pub route: String,
}

#[derive(Clone, Debug)]
struct Candidate {
    prefix: Ipv4Net,
    user: bool,
    next_hop: NextHop,
    text: String,
}

/// Addresses that Azure drops by default because nobody on the internet answers there: RFC 1918 and RFC 6598
/// (virtual-networks-udr-overview.md, "None").
const UNROUTED: [(Ipv4Addr, u8); 4] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
];

impl Interval {
    /// True if the addresses are on the internet; private ones are none of the egress promise's business, and names that
    /// a cluster needs do not resolve to them. An interval never straddles the edge, because the edges of the private ranges are always cut.
    #[must_use]
    pub fn is_public(&self) -> bool {
        !is_private_range(self.first, self.first) && !matches!(self.next_hop, NextHop::Local | NextHop::Peered(_))
    }
}

/// True if all addresses from `low` to `high` lie in one range that nobody on the internet answers for.
pub(super) fn is_private_range(low: Ipv4Addr, high: Ipv4Addr) -> bool {
    UNROUTED
        .iter()
        .filter_map(|(address, length)| Ipv4Net::new(*address, *length).ok())
        .any(|prefix| prefix.contains(&low) && prefix.contains(&high))
}

/// Cuts the whole address space by the effective routes of a subnet of `vnet` that carries `table`.
///
/// # Errors
/// Names what is not readable: a route whose prefix is a service tag.
pub fn intervals(
    vnet: &VnetView<'_>,
    table: Option<(&ResourceId, RouteTableView<'_>)>,
) -> Result<Vec<Interval>, Vec<String>> {
    let mut user = Vec::new();
    if let Some((id, table)) = table {
        user = user_routes(id, &table)?;
    }
    let mut candidates = system_routes(vnet);
    // A user route for 0.0.0.0/0 takes the routes for unrouted private ranges away with the system's own default route:
    // that is how spokes with nothing but a default route reach other networks through the firewall
    // (virtual-networks-udr-overview.md).
    if !user.iter().any(|route| route.prefix.prefix_len() == 0) {
        candidates.extend(unrouted());
    }
    candidates.extend(user);
    Ok(cut(&candidates))
}

/// The table attached to a subnet, if any and if read.
///
/// # Errors
/// Names the table if one is attached but was not read.
pub(super) fn attached_table<'a>(
    estate: &'a Estate,
    attached: Option<&'a ResourceId>,
) -> Result<Option<(&'a ResourceId, RouteTableView<'a>)>, String> {
    let Some(id) = attached else { return Ok(None) };
    estate
        .route_table(id)
        .map(|table| Some((id, table)))
        .ok_or_else(|| format!("the route table {id} was not read"))
}

/// Why the routes of a subnet are not known to be those in force: Azure shows what a write asks for before it is done, and
/// keeps showing it when the write has failed.
pub(super) fn doubt(
    subnet: &SubnetView<'_>,
    vnet_id: &ResourceId,
    vnet: &VnetView<'_>,
    table: Option<(&ResourceId, RouteTableView<'_>)>,
) -> Option<String> {
    let of = |what: &str, name: &str, state: &str| {
        format!("the {what} {name} is {state}, so its routes may not be in force")
    };
    let attached = || table.and_then(|(id, table)| Some(of("route table", id.name(), table.unsettled()?)));
    subnet
        .unsettled()
        .map(|state| of("subnet", subnet.name(), state))
        .or_else(attached)
        .or_else(|| Some(of("network", vnet_id.name(), vnet.unsettled()?)))
}

fn system_routes(vnet: &VnetView<'_>) -> Vec<Candidate> {
    let system = |prefix, next_hop, text: String| Candidate {
        prefix,
        user: false,
        next_hop,
        text,
    };
    let everything = Ipv4Net::default();
    let mut routes = vec![system(
        everything,
        NextHop::Internet,
        "system route 0.0.0.0/0".to_owned(),
    )];
    for prefix in vnet.address_space() {
        routes.push(system(prefix, NextHop::Local, format!("virtual network {prefix}")));
    }
    for peering in vnet.peerings().into_iter().filter(carries_traffic) {
        let Some(remote) = peering.remote() else { continue };
        for prefix in peering.remote_address_space() {
            let text = format!("peering {} to {prefix}", peering.name());
            routes.push(system(prefix, NextHop::Peered(remote.clone()), text));
        }
    }
    routes
}

fn unrouted() -> impl Iterator<Item = Candidate> {
    UNROUTED
        .iter()
        .filter_map(|(address, length)| Ipv4Net::new(*address, *length).ok())
        .map(|prefix| Candidate {
            prefix,
            user: false,
            next_hop: NextHop::Dropped,
            text: format!("system route {prefix}"),
        })
}

/// Routes of a peering exist while it is connected, also during an update of it.
fn carries_traffic(peering: &PeeringView<'_>) -> bool {
    peering.is_connected()
}

fn user_routes(id: &ResourceId, table: &RouteTableView<'_>) -> Result<Vec<Candidate>, Vec<String>> {
    let mut routes = Vec::new();
    let mut unreadable = Vec::new();
    for route in table.routes() {
        // IPv6 routes do not concern the IPv4 promise.
        if route.prefix.contains(':') {
            continue;
        }
        let Ok(prefix) = route.prefix.parse::<Ipv4Net>() else {
            unreadable.push(format!(
                "route {} of {} has the prefix {:?}, whose addresses are not known",
                route.name,
                id.name(),
                route.prefix
            ));
            continue;
        };
        let next_hop = match (route.next_hop_type.to_ascii_lowercase().as_str(), route.next_hop) {
            ("virtualappliance", Some(address)) => NextHop::Appliance(address),
            ("internet", _) => NextHop::Internet,
            ("none", _) => NextHop::Dropped,
            ("vnetlocal", _) => NextHop::Local,
            ("virtualnetworkgateway", _) => NextHop::Gateway,
            _ => NextHop::Unreadable(route.next_hop_type.to_owned()),
        };
        routes.push(Candidate {
            prefix: prefix.trunc(),
            user: true,
            next_hop,
            text: format!("route {} of {} ({prefix})", route.name, id.name()),
        });
    }
    if unreadable.is_empty() {
        Ok(routes)
    } else {
        Err(unreadable)
    }
}

fn cut(candidates: &[Candidate]) -> Vec<Interval> {
    let edges = |prefix: &Ipv4Net| {
        let after = u32::from(prefix.broadcast()).checked_add(1);
        std::iter::once(u32::from(prefix.network())).chain(after)
    };
    let walls: Vec<u32> = unrouted().flat_map(|c| edges(&c.prefix).collect::<Vec<_>>()).collect();
    let mut starts: Vec<u32> = vec![0];
    starts.extend(candidates.iter().flat_map(|c| edges(&c.prefix)));
    starts.extend(&walls);
    starts.sort_unstable();
    starts.dedup();
    let mut intervals: Vec<Interval> = Vec::new();
    for (at, first) in starts.iter().enumerate() {
        let last = starts.get(at + 1).map_or(u32::MAX, |next| next - 1);
        let Some(best) = choose(candidates, Ipv4Addr::from(*first)) else {
            continue;
        };
        match intervals.last_mut() {
            Some(previous)
                if previous.next_hop == best.next_hop && previous.route == best.text && !walls.contains(first) =>
            {
                previous.last = Ipv4Addr::from(last);
            }
            Some(_) | None => intervals.push(Interval {
                first: Ipv4Addr::from(*first),
                last: Ipv4Addr::from(last),
                next_hop: best.next_hop.clone(),
                route: best.text.clone(),
            }),
        }
    }
    intervals
}

fn choose(candidates: &[Candidate], address: Ipv4Addr) -> Option<&Candidate> {
    candidates
        .iter()
        .filter(|c| c.prefix.contains(&address))
        .max_by_key(|c| (c.prefix.prefix_len(), c.user))
}

/// The effective routes of a subnet, or why they are not known.
pub(super) fn routes_of(estate: &Estate, id: &ResourceId) -> Result<Vec<Interval>, String> {
    let subnet = estate
        .subnet(id)
        .ok_or_else(|| format!("the subnet {id} was not read"))?;
    let vnet_id = id.parent().ok_or_else(|| format!("{id} has no virtual network"))?;
    let vnet = estate
        .vnet(&vnet_id)
        .ok_or_else(|| format!("the virtual network {vnet_id} was not read"))?;
    let attached = subnet.route_table();
    let table = attached_table(estate, attached.as_ref())?;
    if let Some(doubt) = doubt(&subnet, &vnet_id, &vnet, table) {
        return Err(doubt);
    }
    intervals(&vnet, table).map_err(|reasons| reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate() -> impl Strategy<Value = Candidate> {
        (any::<u32>(), 0_u8..=32, any::<bool>(), any::<u32>()).prop_map(|(address, length, user, hop)| {
            let prefix = Ipv4Net::new(Ipv4Addr::from(address), length).unwrap().trunc();
            Candidate {
                prefix,
                user,
                next_hop: NextHop::Appliance(Ipv4Addr::from(hop)),
                text: format!("{prefix} {user} {hop}"),
            }
        })
    }

    proptest! {
        #[test]
        fn intervals_cover_every_address_once_and_choose_as_azure_does(
            routes in proptest::collection::vec(candidate(), 0..12),
            probes in proptest::collection::vec(any::<u32>(), 0..32),
        ) {
            let mut all = vec![Candidate {
                prefix: Ipv4Net::default(),
                user: false,
                next_hop: NextHop::Internet,
                text: "system".to_owned(),
            }];
            all.extend(routes);
            let cut = cut(&all);
            prop_assert_eq!(u32::from(cut[0].first), 0);
            prop_assert_eq!(u32::from(cut[cut.len() - 1].last), u32::MAX);
            for pair in cut.windows(2) {
                prop_assert_eq!(u32::from(pair[0].last) + 1, u32::from(pair[1].first));
            }
            let ends = cut.iter().flat_map(|i| [u32::from(i.first), u32::from(i.last)]);
            for probe in probes.into_iter().chain(ends) {
                let address = Ipv4Addr::from(probe);
                let interval = cut.iter().find(|i| i.first <= address && address <= i.last).unwrap();
                prop_assert_eq!(&interval.route, &choose(&all, address).unwrap().text);
            }
        }
    }
}
