//! The estate: what exists, as read. Raw ARM documents, when each was read, and typed views on top.
//!
//! Documents stay as Azure sent them, so that a write can start from the original and foreign fields survive.
//! A document that was looked for and is proven absent is kept as absent; one that was not looked for is unknown,
//! and no view turns "unknown" into "absent".

mod access;
mod balancer;
mod cluster;
mod dnat;
mod hub;
mod kinds;
mod lists;
mod network;
mod reads;
mod role;

use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;

use crate::ids::ResourceId;

pub use access::{at_rest, has_failed, strings, text};
pub(crate) use access::{is_in_force, unsettled};
pub use balancer::{BalancerView, Frontend, FrontendPort, public_address};
pub use cluster::{ClusterView, Identity, Pool};
pub use dnat::{DnatRule, dnat_rules};
pub use hub::{FirewallView, NatGatewayView, PolicyView};
pub use kinds::{CONTAINER_SERVICE, Kind, api_version, api_version_of};
pub use lists::Listing;
pub use network::{PeeringView, RouteTableView, RouteView, SubnetView, VnetView};
use reads::is_neighbour;
pub use reads::{Subject, policy_chain, rule_collection_groups, wanted_lists, wanted_reads};
pub(crate) use reads::{ingress_address_id, ingress_addresses_ahead};
pub use role::RoleAssignmentView;

/// One document as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The body, or `None` if Azure proved that it does not exist.
    pub body: Option<Value>,
    /// How Azure said that it does not exist, if it does not and that is known.
    pub absence: Option<Absence>,
    /// When the answer arrived (Azure time).
    pub read_at: OffsetDateTime,
}

/// How Azure said that a resource does not exist. A lost right and an unknown subscription look different and are no absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// 404 `ResourceNotFound`.
    ResourceNotFound,
    /// 404 `ResourceGroupNotFound`.
    ResourceGroupNotFound,
    /// 404 of a child (subnet, peering, rule collection group, role assignment) whose parent may well exist.
    ChildNotFound,
    /// 404 `ParentResourceNotFound`.
    ParentNotFound,
}

/// What exists, as read.
#[derive(Clone, Debug, Default)]
pub struct Estate {
    documents: BTreeMap<ResourceId, Snapshot>,
    lists: BTreeMap<Listing, Vec<Value>>,
}

impl Estate {
    /// Records what a read found (`None`: proven absent).
    pub fn insert(&mut self, id: ResourceId, body: Option<Value>, read_at: OffsetDateTime) {
        let absence = None;
        self.documents.insert(id, Snapshot { body, absence, read_at });
    }

    /// Records that a read found nothing, and how Azure said so.
    pub fn insert_absent(&mut self, id: ResourceId, absence: Absence, read_at: OffsetDateTime) {
        let snapshot = Snapshot {
            body: None,
            absence: Some(absence),
            read_at,
        };
        self.documents.insert(id, snapshot);
    }

    /// How Azure said that the document does not exist; `None` if it exists, was not looked for, or nobody kept the words.
    #[must_use]
    pub fn absence(&self, id: &ResourceId) -> Option<Absence> {
        self.documents.get(id)?.absence
    }

    /// True if the document was looked for, whether it exists or not.
    #[must_use]
    pub fn knows(&self, id: &ResourceId) -> bool {
        self.documents.contains_key(id)
    }

    /// The document, if it was looked for and exists.
    #[must_use]
    pub fn get(&self, id: &ResourceId) -> Option<&Value> {
        self.documents.get(id).and_then(|s| s.body.as_ref())
    }

    /// True only if the document was looked for and Azure said that it does not exist.
    #[must_use]
    pub fn is_absent(&self, id: &ResourceId) -> bool {
        self.documents.get(id).is_some_and(|s| s.body.is_none())
    }

    /// When the document was read.
    #[must_use]
    pub fn read_at(&self, id: &ResourceId) -> Option<OffsetDateTime> {
        self.documents.get(id).map(|s| s.read_at)
    }

    /// All documents, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = (&ResourceId, &Snapshot)> {
        self.documents.iter()
    }

    /// The oldest read of all, if anything was read.
    #[must_use]
    pub fn oldest_read(&self) -> Option<OffsetDateTime> {
        self.documents.values().map(|s| s.read_at).min()
    }

    /// The cluster, if read.
    #[must_use]
    pub fn cluster(&self, id: &ResourceId) -> Option<ClusterView<'_>> {
        self.get(id).map(ClusterView::new)
    }

    /// The virtual network, if read.
    #[must_use]
    pub fn vnet(&self, id: &ResourceId) -> Option<VnetView<'_>> {
        self.get(id).map(VnetView::new)
    }

    /// The route table, if read.
    #[must_use]
    pub fn route_table(&self, id: &ResourceId) -> Option<RouteTableView<'_>> {
        self.get(id).map(RouteTableView::new)
    }

    /// The firewall, if read.
    #[must_use]
    pub fn firewall(&self, id: &ResourceId) -> Option<FirewallView<'_>> {
        self.get(id).map(FirewallView::new)
    }

    /// The firewall policy, if read.
    #[must_use]
    pub fn policy(&self, id: &ResourceId) -> Option<PolicyView<'_>> {
        self.get(id).map(PolicyView::new)
    }

    /// The NAT gateway, if read.
    #[must_use]
    pub fn nat_gateway(&self, id: &ResourceId) -> Option<NatGatewayView<'_>> {
        self.get(id).map(NatGatewayView::new)
    }

    /// The load balancer, if read.
    #[must_use]
    pub fn balancer(&self, id: &ResourceId) -> Option<BalancerView<'_>> {
        self.get(id).map(BalancerView::new)
    }

    /// The subnet, from its own document or from its network's, whichever was read later.
    #[must_use]
    pub fn subnet(&self, id: &ResourceId) -> Option<SubnetView<'_>> {
        let inline = id.parent().and_then(|vnet| {
            let view = self.vnet(&vnet)?.subnet(id.name())?;
            Some((self.read_at(&vnet)?, view))
        });
        match (self.documents.get(id), inline) {
            (Some(own), Some((inline_at, inline))) if own.read_at < inline_at => Some(inline),
            (Some(own), _) => own.body.as_ref().map(SubnetView::new),
            (None, inline) => inline.map(|(_, view)| view),
        }
    }
}
