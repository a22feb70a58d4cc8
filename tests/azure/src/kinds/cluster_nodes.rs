//! Where the nodes of a cluster are: scale sets, their subnets and addresses. Nodes are no ARM documents here; this is what
//! can be told of them from the cluster's document. Addresses that pods take from the VNet are not counted.

use crate::ids::same_id;
use crate::kinds::Kind;
use crate::store::{Resource, Store, array, text};
use ipnet::Ipv4Net;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Name, such as `aks-system-12345678-vmss000000`.
    pub(crate) name: String,
    pub(crate) subnet: String,
    pub(crate) address: Ipv4Addr,
}

/// The nodes of a cluster in order of pools. A subnet's addresses go out in order: first the nodes of older clusters, then
/// this one's, from the fifth address on, because Azure keeps four.
pub(crate) fn nodes(store: &Store, cluster: &Resource) -> Vec<Node> {
    let mut taken: BTreeMap<String, u32> = BTreeMap::new();
    let mut elder: Vec<&Resource> = store.of_kind(Kind::ManagedCluster).collect();
    elder.retain(|other| other.order < cluster.order);
    for other in elder {
        for (subnet, count) in counts(other) {
            *taken.entry(subnet.to_lowercase()).or_default() += count;
        }
    }
    let mut found = Vec::new();
    for pool in array(&cluster.body, &["properties", "agentPoolProfiles"]) {
        let Some((subnet, count)) = place_of(cluster, pool) else {
            continue;
        };
        let net = store.find(&subnet).and_then(prefix_of);
        let scale_set = scale_set(cluster, text(pool, &["name"]).unwrap_or_default());
        for index in 0..count {
            let place = taken.entry(subnet.to_lowercase()).or_default();
            if let Some(address) = net.and_then(|net| nth_address(net, *place)) {
                found.push(Node {
                    name: format!("{scale_set}{}", instance(index)),
                    subnet: subnet.clone(),
                    address,
                });
            }
            *place += 1;
        }
    }
    found
}

/// How many addresses of a subnet the nodes of all clusters hold.
pub(crate) fn nodes_in(store: &Store, subnet: &str) -> u32 {
    store
        .of_kind(Kind::ManagedCluster)
        .flat_map(counts)
        .filter(|(its, _)| same_id(its, subnet))
        .map(|(_, count)| count)
        .sum()
}

/// The subnet of a pool: the one it names, else the one of the VNet that AKS makes.
pub(crate) fn subnet_of(cluster: &Resource, pool: &Value) -> Option<String> {
    match text(pool, &["vnetSubnetID"]) {
        Some(named) => Some(named.to_owned()),
        None => Some(format!("{}/subnets/aks-subnet", managed_vnet(cluster)?)),
    }
}

/// Id of the VNet that AKS makes for a cluster whose pools name none.
pub(crate) fn managed_vnet(cluster: &Resource) -> Option<String> {
    let subscription = cluster.path.subscription.as_deref()?;
    let group = text(&cluster.body, &["properties", "nodeResourceGroup"])?;
    let number = aks_number(cluster.path.key());
    Some(format!(
        "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/virtualNetworks/aks-vnet-{number}"
    ))
}

/// The scale set of a pool.
pub(crate) fn scale_set(cluster: &Resource, pool: &str) -> String {
    let suffix = cluster.resource_guid.as_u128() % 90_000_000 + 10_000_000;
    format!("aks-{pool}-{suffix}-vmss")
}

/// The eight digits in the names of what AKS makes beside a cluster (`aks-agentpool-41832928-routetable`). AKS derives them
/// from the cluster; so does this, in a way of its own.
pub(crate) fn aks_number(cluster_id: &str) -> u64 {
    // FNV-1a, which needs no crate and is the same for ever.
    let hash = cluster_id
        .to_lowercase()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    hash % 90_000_000 + 10_000_000
}

/// `MC_group_name_location`, at most 80 characters.
pub(crate) fn node_group_name(group: &str, name: &str, location: &str) -> String {
    let mut full = format!("MC_{group}_{name}_{location}");
    full.truncate(80);
    full
}

/// The address with this number among those a subnet gives out: Azure keeps the first four and the last.
pub(crate) fn nth_address(net: Ipv4Net, number: u32) -> Option<Ipv4Addr> {
    let address = Ipv4Addr::from(u32::from(net.network()).checked_add(4)?.checked_add(number)?);
    (net.contains(&address) && address != net.broadcast()).then_some(address)
}

/// The last address a subnet gives out.
pub(crate) fn last_address(net: Ipv4Net) -> Option<Ipv4Addr> {
    u32::from(net.broadcast()).checked_sub(1).map(Ipv4Addr::from)
}

/// The first prefix of a subnet.
pub(crate) fn prefix_of(subnet: &Resource) -> Option<Ipv4Net> {
    let several = array(&subnet.body, &["properties", "addressPrefixes"]).first();
    text(&subnet.body, &["properties", "addressPrefix"])
        .or_else(|| several.and_then(Value::as_str))?
        .parse()
        .ok()
}

fn counts(cluster: &Resource) -> Vec<(String, u32)> {
    array(&cluster.body, &["properties", "agentPoolProfiles"])
        .iter()
        .filter_map(|pool| place_of(cluster, pool))
        .collect()
}

fn place_of(cluster: &Resource, pool: &Value) -> Option<(String, u32)> {
    let count = pool.get("count").and_then(Value::as_u64).unwrap_or(0);
    Some((subnet_of(cluster, pool)?, u32::try_from(count).ok()?))
}

/// Instances of a scale set are numbered with six digits to the base 36.
fn instance(number: u32) -> String {
    let mut digits = String::new();
    let mut rest = number;
    for _ in 0..6 {
        digits.insert(0, char::from_digit(rest % 36, 36).unwrap_or('0'));
        rest /= 36;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_count_to_the_base_of_36_and_subnets_end_before_their_broadcast_address() {
        assert_eq!((instance(0), instance(37)), ("000000".to_owned(), "000011".to_owned()));
        let net = "10.1.0.0/29".parse().unwrap();
        assert_eq!(nth_address(net, 0), Some(Ipv4Addr::new(10, 1, 0, 4)));
        assert_eq!(nth_address(net, 3), None, "the last address is the broadcast address");
        assert_eq!(last_address(net), Some(Ipv4Addr::new(10, 1, 0, 6)));
    }
}
