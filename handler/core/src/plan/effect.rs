//! The estate as it would be after a step: Azure's semantics of the few writes we make, for the guard.
//!
//! A write that this module does not know leaves the estate as it is, which can only make the guard refuse more.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Method, Step};
use crate::estate::{Estate, Kind, text, unsettled};
use crate::ids::ResourceId;

/// The estate after `step` has ended well.
#[must_use]
pub fn after(estate: &Estate, step: &Step) -> Estate {
    let mut next = estate.clone();
    let Some(read_at) = estate.oldest_read() else {
        return next;
    };
    let Some(kind) = Kind::of(&step.target) else {
        return next;
    };
    if step.method == Method::Delete {
        remove(&mut next, kind, &step.target, read_at);
        return next;
    }
    match kind {
        Kind::Peering => connect(&mut next, step),
        Kind::Subnet => put_child(&mut next, &step.target, "subnets", step.body.clone()),
        Kind::Route => put_child(&mut next, &step.target, "routes", step.body.clone()),
        Kind::RouteTable | Kind::RuleCollectionGroup => {
            let mut body = step.body.clone();
            body["properties"]["provisioningState"] = json!("Succeeded");
            next.insert(step.target.clone(), Some(body), read_at);
        }
        Kind::PublicIp | Kind::RoleAssignment | Kind::ResourceGroup => {
            next.insert(step.target.clone(), Some(step.body.clone()), read_at);
        }
        Kind::ManagedCluster
        | Kind::VirtualNetwork
        | Kind::Firewall
        | Kind::FirewallPolicy
        | Kind::NatGateway
        | Kind::LoadBalancer
        | Kind::NetworkSecurityGroup => {}
    }
    next
}

/// The resource is gone: from its parent's list if it is a child, and as a document. The other side of a removed peering is
/// `Disconnected` (virtual-network manage-peering).
fn remove(estate: &mut Estate, kind: Kind, id: &ResourceId, read_at: OffsetDateTime) {
    let list = match kind {
        Kind::Peering => "virtualNetworkPeerings",
        Kind::Subnet => "subnets",
        Kind::Route => "routes",
        Kind::ManagedCluster
        | Kind::VirtualNetwork
        | Kind::RouteTable
        | Kind::Firewall
        | Kind::FirewallPolicy
        | Kind::RuleCollectionGroup
        | Kind::NatGateway
        | Kind::PublicIp
        | Kind::LoadBalancer
        | Kind::NetworkSecurityGroup
        | Kind::RoleAssignment
        | Kind::ResourceGroup => "",
    };
    if kind == Kind::Peering {
        disconnect(estate, id);
    }
    if !list.is_empty() {
        edit_list(estate, id, list, |children| {
            children.retain(|c| !is_named(c, id.name()))
        });
    }
    estate.insert(id.clone(), None, read_at);
}

fn disconnect(estate: &mut Estate, id: &ResourceId) {
    let Some(local) = id.parent() else { return };
    let remote = estate.vnet(&local).and_then(|v| {
        let mut peerings = v.peerings().into_iter();
        peerings.find(|p| p.name().eq_ignore_ascii_case(id.name()))?.remote()
    });
    let other = remote.and_then(|remote| {
        let name = estate.vnet(&remote)?.peering_to(&local)?.name().to_owned();
        Some(remote.child("virtualNetworkPeerings", &name))
    });
    if let Some(other) = other {
        edit_child(estate, &other, "virtualNetworkPeerings", |peering| {
            peering["properties"]["peeringState"] = json!("Disconnected");
        });
    }
}

/// A peering is `Initiated` until the other side exists; then both are `Connected`, the older one without a write on it
/// (recorded: Fluent CreateUpdatePeering, 2019-12-16).
fn connect(estate: &mut Estate, step: &Step) {
    let remote = text(&step.body, "/properties/remoteVirtualNetwork/id").and_then(|t| ResourceId::parse(t).ok());
    let (Some(local), Some(remote)) = (step.target.parent(), remote) else {
        return;
    };
    let other = estate
        .vnet(&remote)
        .and_then(|v| v.peering_to(&local).map(|p| p.name().to_owned()));
    let mut body = step.body.clone();
    body["name"] = json!(step.target.name());
    body["properties"]["provisioningState"] = json!("Succeeded");
    body["properties"]["peeringSyncLevel"] = json!("FullyInSync");
    body["properties"]["peeringState"] = json!(if other.is_some() { "Connected" } else { "Initiated" });
    let space = estate
        .get(&remote)
        .and_then(|v| v.pointer("/properties/addressSpace").cloned());
    body["properties"]["remoteAddressSpace"] = space.unwrap_or(Value::Null);
    put_child(estate, &step.target, "virtualNetworkPeerings", body);
    if let Some(name) = other {
        let id = remote.child("virtualNetworkPeerings", &name);
        edit_child(estate, &id, "virtualNetworkPeerings", |peering| {
            peering["properties"]["peeringState"] = json!("Connected");
            peering["properties"]["peeringSyncLevel"] = json!("FullyInSync");
        });
    }
}

/// Puts a child into its parent's list and, if the child was read on its own, there too: a view takes the later of both.
fn put_child(estate: &mut Estate, id: &ResourceId, list: &str, mut body: Value) {
    body["name"] = json!(id.name());
    body["properties"]["provisioningState"] = json!("Succeeded");
    if let (Some(read_at), true) = (estate.read_at(id), estate.knows(id)) {
        estate.insert(id.clone(), Some(body.clone()), read_at);
    }
    edit_list(estate, id, list, |children| {
        match children.iter().position(|c| is_named(c, id.name())) {
            Some(at) => children[at] = body,
            None => children.push(body),
        }
    });
    // A write on a child is an update of its parent too, and ends for both.
    if let Some(parent) = id.parent() {
        settle(estate, &parent);
    }
}

/// The running or failed write on `id` has ended well.
pub(super) fn settle(estate: &mut Estate, id: &ResourceId) {
    if let (Some(mut document), Some(read_at)) = (estate.get(id).cloned(), estate.read_at(id)) {
        if unsettled(&document).is_some() {
            document["properties"]["provisioningState"] = json!("Succeeded");
        }
        estate.insert(id.clone(), Some(document), read_at);
    }
    if Kind::of(id) == Some(Kind::Subnet) {
        edit_child(estate, id, "subnets", |subnet| {
            subnet["properties"]["provisioningState"] = json!("Succeeded");
        });
    }
}

fn edit_child(estate: &mut Estate, id: &ResourceId, list: &str, change: impl FnOnce(&mut Value)) {
    edit_list(estate, id, list, |children| {
        if let Some(child) = children.iter_mut().find(|c| is_named(c, id.name())) {
            change(child);
        }
    });
}

fn edit_list(estate: &mut Estate, id: &ResourceId, list: &str, change: impl FnOnce(&mut Vec<Value>)) {
    let Some(parent) = id.parent() else { return };
    let (Some(mut document), Some(read_at)) = (estate.get(&parent).cloned(), estate.read_at(&parent)) else {
        return;
    };
    if !document["properties"][list].is_array() {
        document["properties"][list] = json!([]);
    }
    if let Some(children) = document["properties"][list].as_array_mut() {
        change(children);
    }
    estate.insert(parent, Some(document), read_at);
}

fn is_named(child: &Value, name: &str) -> bool {
    text(child, "/name").is_some_and(|n| n.eq_ignore_ascii_case(name))
}
