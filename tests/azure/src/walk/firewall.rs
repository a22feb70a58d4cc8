//! The firewall as a device: found by the private address routes point at or by a public address, at work only while its
//! state is `Succeeded` or `Updating`, with its policy and that policy's ancestors.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::addresses::{PRIVATE, covers};
use super::routes::{NextHop, choose};
use super::topology::Place;
use super::view::{address, is_below, items, name, same, text, texts};
use super::{Lost, Walker};
use crate::documents::Documents;

/// Ancestors looked up before a chain of base policies is taken for a circle; Azure allows one.
const DEEPEST_CHAIN: usize = 4;

/// A firewall at work.
#[derive(Clone, Debug)]
pub(super) struct Firewall {
    pub(super) document: Value,
    /// AzureFirewallSubnet.
    pub(super) place: Place,
    pub(super) private: Ipv4Addr,
}

impl Firewall {
    fn read(documents: &dyn Documents, document: Value) -> Result<Self, Lost> {
        let lost = |why: String| Lost::new(name(&document), why);
        let state = text(&document, "/properties/provisioningState").unwrap_or("absent");
        if !["Succeeded", "Updating"].contains(&state) {
            return Err(lost(format!("the firewall's provisioningState is {state}")));
        }
        let first = "/properties/ipConfigurations/0/properties";
        let private = address(&document, &format!("{first}/privateIPAddress"))
            .ok_or_else(|| lost("the firewall has no private address: it is deallocated".to_owned()))?;
        let subnet = text(&document, &format!("{first}/subnet/id"))
            .ok_or_else(|| lost("the firewall names no subnet".to_owned()))?;
        let place = Place::find(documents, subnet)?;
        Ok(Self {
            document,
            place,
            private,
        })
    }

    /// The policy bound to the firewall.
    pub(super) fn policy(&self, documents: &dyn Documents) -> Option<Value> {
        documents.get(text(&self.document, "/properties/firewallPolicy/id")?)
    }

    /// The policies whose rules count, the eldest ancestor first: a parent's collections come before its child's.
    pub(super) fn policies(&self, documents: &dyn Documents) -> Vec<Value> {
        let mut chain: Vec<Value> = self.policy(documents).into_iter().collect();
        while chain.len() < DEEPEST_CHAIN {
            let base = chain
                .last()
                .and_then(|policy| text(policy, "/properties/basePolicy/id"))
                .and_then(|base| documents.get(base));
            match base {
                Some(base) => chain.push(base),
                None => break,
            }
        }
        chain.reverse();
        chain
    }

    /// Whether traffic to an address leaves with another source under a network rule: not to the policy's private ranges
    /// (azure-domain 3.4; `0.0.0.0/0` means never, `255.255.255.255/32` always).
    pub(super) fn translates(&self, documents: &dyn Documents, to: Ipv4Addr) -> bool {
        let policy = self.policy(documents).unwrap_or_default();
        let own: Vec<&str> = texts(&policy, "/properties/snat/privateRanges").collect();
        let ranges = if own.is_empty() { &PRIVATE[..] } else { &own };
        !ranges.iter().any(|range| {
            range.eq_ignore_ascii_case("IANAPrivateRanges") && PRIVATE.iter().any(|private| covers(private, to))
                || covers(range, to)
        })
    }

    /// Ids of the public addresses of all ipConfigurations, in order.
    pub(super) fn public_address_ids(&self) -> Vec<&str> {
        items(&self.document, "/properties/ipConfigurations")
            .iter()
            .filter_map(|configuration| text(configuration, "/properties/publicIPAddress/id"))
            .collect()
    }
}

impl Walker<'_> {
    /// The network in which a private address is reached without any route of the user, as a next hop must be: the
    /// subnet's own or a directly peered one.
    pub(super) fn connected_network(&self, place: &Place, private: Ipv4Addr) -> Option<String> {
        let routes = self.system_routes(place);
        match choose(&routes, private).map(|route| &route.hop) {
            Some(NextHop::VnetLocal) => Some(place.vnet_id().to_owned()),
            Some(NextHop::Peering(remote)) => Some(remote.clone()),
            Some(
                NextHop::Internet
                | NextHop::ServiceEndpoint(_)
                | NextHop::Appliance(_)
                | NextHop::Gateway
                | NextHop::None,
            )
            | None => None,
        }
    }

    /// The firewall with this private address in a network.
    pub(super) fn firewall_in(&self, vnet: &str, private: Ipv4Addr) -> Result<Option<Firewall>, Lost> {
        for document in self.documents.list("Microsoft.Network/azureFirewalls") {
            let its = address(&document, "/properties/ipConfigurations/0/properties/privateIPAddress");
            // Address spaces of networks that are not peered may overlap, so the network has to be the one.
            let there = text(&document, "/properties/ipConfigurations/0/properties/subnet/id")
                .is_some_and(|subnet| is_below(subnet, vnet));
            if its == Some(private) && there {
                return Firewall::read(self.documents, document).map(Some);
            }
        }
        Ok(None)
    }

    /// The firewall that owns a public address.
    pub(super) fn firewall_with_public(&self, public_id: &str) -> Option<Result<Firewall, Lost>> {
        self.documents
            .list("Microsoft.Network/azureFirewalls")
            .into_iter()
            .find(|document| {
                items(document, "/properties/ipConfigurations")
                    .iter()
                    .filter_map(|configuration| text(configuration, "/properties/publicIPAddress/id"))
                    .any(|owned| same(owned, public_id))
            })
            .map(|document| Firewall::read(self.documents, document))
    }
}
