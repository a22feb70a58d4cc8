//! What AKS makes around a cluster's nodes in the node resource group: a network security group and, for pools that name
//! no subnet, a VNet. The group sits on the nodes' interfaces, which are not modelled; only in a VNet of AKS's own does it
//! sit on the subnet.

use crate::ids::ArmPath;
use crate::kinds::cluster_nodes::{aks_number, last_address, managed_vnet, prefix_of, subnet_of};
use crate::kinds::{Kind, network_security_group};
use crate::store::{Store, array, text};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use time::OffsetDateTime;

/// Makes security group and VNet of a finished cluster; returns what came into being.
pub(crate) fn make(
    store: &mut Store,
    cluster: &ArmPath,
    group: &ArmPath,
    location: &Value,
    now: OffsetDateTime,
) -> Vec<ArmPath> {
    let number = aks_number(cluster.key());
    let name = format!("{group}/providers/Microsoft.Network/networkSecurityGroups/aks-agentpool-{number}-nsg");
    let Some(security) = ArmPath::parse(&name) else {
        return Vec::new();
    };
    let body = network_security_group::empty(&security, location);
    store.put(&security, Kind::NetworkSecurityGroup, body, "Succeeded", now);
    let mut made = vec![security.clone()];
    made.extend(make_vnet(store, cluster, &security, location, now));
    made
}

/// Where a private API server answers: an address of the first pool's subnet [AKS private-clusters.md]. The endpoint takes
/// the last one here, so that it never meets a node.
pub(crate) fn private_api_server(store: &Store, cluster: &ArmPath) -> Option<(String, Ipv4Addr)> {
    let found = store.find(cluster.key())?;
    let name = text(&found.body, &["properties", "privateFQDN"])?;
    let pool = array(&found.body, &["properties", "agentPoolProfiles"]).first()?;
    let subnet = store.find(&subnet_of(found, pool)?)?;
    Some((name.to_owned(), last_address(prefix_of(subnet)?)?))
}

/// AKS lets go of the customer's subnets before its node resource group is deleted.
pub(crate) fn release(store: &mut Store, node_group: &str) {
    let inside = format!("{}/", node_group.to_lowercase());
    let held: Vec<ArmPath> = store
        .of_kind(Kind::Subnet)
        .filter(|subnet| {
            text(&subnet.body, &["properties", "routeTable", "id"])
                .is_some_and(|table| table.to_lowercase().starts_with(&inside))
        })
        .map(|subnet| subnet.path.clone())
        .collect();
    for subnet in held {
        if let Some(properties) = store
            .find_mut(subnet.key())
            .and_then(|found| found.body["properties"].as_object_mut())
        {
            properties.remove("routeTable");
        }
        store.touch(subnet.key());
        if let Some(vnet) = subnet.parent() {
            store.touch(vnet.key());
        }
    }
}

/// `aks-vnet-N` 10.224.0.0/12 with `aks-subnet` 10.224.0.0/16 [AKS configure-azure-cni.md: the defaults since 2022].
fn make_vnet(
    store: &mut Store,
    cluster: &ArmPath,
    security: &ArmPath,
    location: &Value,
    now: OffsetDateTime,
) -> Vec<ArmPath> {
    let Some(found) = store.find(cluster.key()) else {
        return Vec::new();
    };
    let managed = array(&found.body, &["properties", "agentPoolProfiles"])
        .iter()
        .any(|pool| text(pool, &["vnetSubnetID"]).is_none());
    let vnet = managed_vnet(found)
        .filter(|_| managed)
        .and_then(|id| ArmPath::parse(&id));
    let subnet = vnet.as_ref().and_then(|vnet| vnet.child("subnets", "aks-subnet"));
    let (Some(vnet), Some(subnet)) = (vnet, subnet) else {
        return Vec::new();
    };
    let body = json!({
        "location": location,
        "properties": {"addressSpace": {"addressPrefixes": ["10.224.0.0/12"]}, "enableDdosProtection": false}
    });
    store.put(&vnet, Kind::VirtualNetwork, body, "Succeeded", now);
    let body = json!({"properties": {
        "addressPrefix": "10.224.0.0/16", "networkSecurityGroup": {"id": security.as_str()}, "delegations": [],
        "privateEndpointNetworkPolicies": "Disabled", "privateLinkServiceNetworkPolicies": "Enabled"
    }});
    store.put(&subnet, Kind::Subnet, body, "Succeeded", now);
    vec![vnet]
}
