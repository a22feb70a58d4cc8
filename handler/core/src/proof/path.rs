//! The way between a spoke's nodes and the firewall: peering on both sides, and the routes that it makes in both directions.
//!
//! A peering that is connected and knows an outdated address space carries nothing for what was added since, so the routes
//! themselves are asked. What is not read or not decidable is an obstacle that is not certain, never a free way.

use ipnet::Ipv4Net;

use super::Verdict;
use super::routes::{NextHop, attached_table, intervals};
use crate::blueprint::HubFacts;
use crate::config::Hub;
use crate::estate::{Estate, PeeringView, VnetView};
use crate::ids::ResourceId;

/// What keeps packets from the firewall or replies from the nodes.
#[derive(Clone, Debug)]
pub(crate) struct Obstacle {
    /// What it is.
    pub(crate) reason: String,
    /// False if packets may pass all the same.
    certain: bool,
}

impl Obstacle {
    pub(super) fn verdict(&self) -> Verdict {
        if self.certain {
            Verdict::Stopped(self.reason.clone())
        } else {
            Verdict::Unsure(self.reason.clone())
        }
    }

    fn certain(reason: String) -> Self {
        Self { reason, certain: true }
    }

    fn possible(reason: String) -> Self {
        Self { reason, certain: false }
    }
}

/// The first obstacle between the senders in `vnet_id` and the firewall, the certain ones first.
pub(crate) fn obstacle(
    estate: &Estate,
    hub: &Hub,
    facts: &HubFacts,
    vnet_id: &ResourceId,
    senders: &[Ipv4Net],
) -> Option<Obstacle> {
    let hub_id = &hub.virtual_network;
    let (Some(spoke_vnet), Some(hub_vnet)) = (estate.vnet(vnet_id), estate.vnet(hub_id)) else {
        return Some(Obstacle::certain(format!(
            "the network {vnet_id} or that of the hub was not read, so no peering joins them"
        )));
    };
    let sides = [
        (vnet_id, spoke_vnet.peering_to(hub_id)),
        (hub_id, hub_vnet.peering_to(vnet_id)),
    ];
    sides
        .iter()
        .find_map(|(local, side)| closed(local, side.as_ref()))
        .or_else(|| no_way_there(&spoke_vnet, hub_id, facts))
        .or_else(|| no_way_back(estate, hub, &hub_vnet, vnet_id, senders))
        .or_else(|| sides.iter().find_map(|(local, side)| doubtful(local, side.as_ref()?)))
}

/// Both sides must be connected and let forwarded traffic through, or packets and replies stop at the peering.
fn closed(local: &ResourceId, side: Option<&PeeringView<'_>>) -> Option<Obstacle> {
    let Some(peering) = side else {
        return Some(Obstacle::certain(format!(
            "{} has no peering to the other side",
            local.name()
        )));
    };
    let of = format!("the peering {} of {}", peering.name(), local.name());
    if !peering.is_connected() {
        return Some(Obstacle::certain(format!("{of} is {}", peering.state())));
    }
    (!peering.flags_suffice()).then(|| Obstacle::certain(format!("{of} does not allow forwarded traffic")))
}

/// The next hop of a user route is looked up in the system routes (virtual-networks-udr-overview.md: an appliance in a peered
/// network), so the firewall's address must be one that the peering brings.
fn no_way_there(spoke: &VnetView<'_>, hub_id: &ResourceId, facts: &HubFacts) -> Option<Obstacle> {
    let system = intervals(spoke, None).unwrap_or_default();
    let found = system
        .iter()
        .find(|i| i.first <= facts.firewall_ip && facts.firewall_ip <= i.last);
    match found {
        Some(interval) if interval.next_hop == NextHop::Peered(hub_id.clone()) => None,
        Some(interval) => Some(Obstacle::certain(format!(
            "the spoke reaches the firewall {} by {}, not by the peering to the hub",
            facts.firewall_ip, interval.route
        ))),
        None => Some(Obstacle::possible(format!("no route to {}", facts.firewall_ip))),
    }
}

/// Replies leave the firewall's subnet by its effective routes.
fn no_way_back(
    estate: &Estate,
    hub: &Hub,
    hub_vnet: &VnetView<'_>,
    vnet_id: &ResourceId,
    senders: &[Ipv4Net],
) -> Option<Obstacle> {
    let subnet = estate.firewall(&hub.firewall)?.subnet()?;
    let attached = estate.subnet(&subnet).and_then(|s| s.route_table());
    let cut = attached_table(estate, attached.as_ref())
        .and_then(|table| intervals(hub_vnet, table).map_err(|reasons| reasons.join("; ")));
    let cut = match cut {
        Ok(cut) => cut,
        Err(reason) => return Some(Obstacle::possible(reason)),
    };
    let back = NextHop::Peered(vnet_id.clone());
    senders.iter().find_map(|prefix| {
        let astray = cut
            .iter()
            .find(|i| i.first <= prefix.broadcast() && prefix.network() <= i.last && i.next_hop != back)?;
        Some(Obstacle::certain(format!(
            "replies to {prefix} leave the hub by {}, not by the peering to {}",
            astray.route,
            vnet_id.name()
        )))
    })
}

/// A peering whose routes are in order today and may not be what the networks are.
fn doubtful(local: &ResourceId, peering: &PeeringView<'_>) -> Option<Obstacle> {
    let of = format!("the peering {} of {}", peering.name(), local.name());
    if !peering.joins_whole_networks() {
        return Some(Obstacle::possible(format!("{of} joins chosen subnets only")));
    }
    (!peering.is_in_sync()).then(|| {
        Obstacle::possible(format!(
            "{of} does not know the address space that the other network has"
        ))
    })
}
