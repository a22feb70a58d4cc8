//! Where things are: subnets in virtual networks, the links between two networks, and which subnet holds an address. A
//! link carries traffic only if both sides are `Connected` and both allow access.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::Value;

use super::Lost;
use super::view::{flag, id, items, last_part, name, same, text, texts};
use crate::documents::Documents;

/// A subnet in its virtual network.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) vnet: Value,
    pub(super) subnet: Value,
}

impl Place {
    /// The subnet with this id.
    pub(super) fn find(documents: &dyn Documents, subnet_id: &str) -> Result<Self, Lost> {
        let missing = || Lost::new(last_part(subnet_id), format!("there is no subnet {subnet_id}"));
        let cut = subnet_id.to_ascii_lowercase().rfind("/subnets/").ok_or_else(missing)?;
        let vnet = documents.get(&subnet_id[..cut]).ok_or_else(missing)?;
        let wanted = last_part(subnet_id);
        let subnet = items(&vnet, "/properties/subnets")
            .iter()
            .find(|subnet| same(name(subnet), wanted))
            .cloned()
            .ok_or_else(missing)?;
        Ok(Self { vnet, subnet })
    }

    /// The subnet of a virtual network that holds an address.
    pub(super) fn holding(documents: &dyn Documents, vnet_id: &str, address: Ipv4Addr) -> Option<Self> {
        let vnet = documents.get(vnet_id)?;
        let subnet = items(&vnet, "/properties/subnets")
            .iter()
            .find(|subnet| subnet_prefixes(subnet).iter().any(|prefix| prefix.contains(&address)))
            .cloned()?;
        Some(Self { vnet, subnet })
    }

    pub(super) fn name(&self) -> &str {
        name(&self.subnet)
    }

    pub(super) fn vnet_id(&self) -> &str {
        id(&self.vnet)
    }

    /// Azure keeps the first four addresses of a subnet for itself.
    pub(super) fn first_usable(&self) -> Option<Ipv4Addr> {
        let prefix = subnet_prefixes(&self.subnet).into_iter().next()?;
        let address = Ipv4Addr::from(u32::from(prefix.network()).checked_add(4)?);
        prefix.contains(&address).then_some(address)
    }
}

/// The address space of a virtual network.
pub(super) fn address_space(vnet: &Value) -> Vec<Ipv4Net> {
    parsed(texts(vnet, "/properties/addressSpace/addressPrefixes"))
}

/// A usable link: the remote network's id and the prefixes this side routes to it.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) remote: String,
    pub(super) prefixes: Vec<Ipv4Net>,
    /// Whether this side lets in what the remote network only passes on.
    pub(super) takes_forwarded: bool,
}

/// The links of a virtual network that carry traffic. The prefixes are those at the last sync
/// (`remoteAddressSpace`), not the remote network's present ones.
pub(super) fn links(documents: &dyn Documents, vnet: &Value) -> Vec<Link> {
    items(vnet, "/properties/virtualNetworkPeerings")
        .iter()
        .filter(|link| is_open(link))
        .filter_map(|link| {
            let remote = documents.get(text(link, "/properties/remoteVirtualNetwork/id")?)?;
            let answers = items(&remote, "/properties/virtualNetworkPeerings").iter().any(|back| {
                is_open(back)
                    && text(back, "/properties/remoteVirtualNetwork/id").is_some_and(|remote| same(remote, id(vnet)))
            });
            let synced = parsed(texts(link, "/properties/remoteAddressSpace/addressPrefixes"));
            answers.then(|| Link {
                remote: id(&remote).to_owned(),
                prefixes: if synced.is_empty() {
                    address_space(&remote)
                } else {
                    synced
                },
                takes_forwarded: flag(link, "/properties/allowForwardedTraffic", false),
            })
        })
        .collect()
}

fn is_open(link: &Value) -> bool {
    text(link, "/properties/peeringState") == Some("Connected")
        && flag(link, "/properties/allowVirtualNetworkAccess", true)
}

fn subnet_prefixes(subnet: &Value) -> Vec<Ipv4Net> {
    let one = text(subnet, "/properties/addressPrefix");
    parsed(one.into_iter().chain(texts(subnet, "/properties/addressPrefixes")))
}

fn parsed<'a>(prefixes: impl Iterator<Item = &'a str>) -> Vec<Ipv4Net> {
    prefixes.filter_map(|prefix| prefix.parse().ok()).collect()
}
