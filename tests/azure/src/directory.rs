//! The directory: which principals exist, since when role assignments can see them, and what owns them.
//!
//! A cluster with a system-assigned identity and a user-assigned identity own one principal each; it comes with the
//! resource and leaves with it, and a resource made again under the same name gets another. `World::service_principals`,
//! handler and person are there from the start. A fresh principal is not seen by role assignments at once: 6 to 269 s,
//! median 48, from the first attempt, which came after the resource was there [arm-behaviour 3: PrincipalNotFound, 16
//! principals, fluent-net Msi, EMSILMSI]. Who asks too early, or for one that never was, gets the same answer.
//!
//! ```
//! # use azure_sim::{Azure, ClusterSpec, OffsetDateTime, World};
//! # let mut azure = Azure::new(World::one_hub(), 7, OffsetDateTime::UNIX_EPOCH);
//! let cluster = azure.create_cluster(&ClusterSpec::usual("shop", 1), OffsetDateTime::UNIX_EPOCH);
//! while let Some(next) = azure.next_event() {
//!     azure.advance(next);
//! }
//! let principal = azure.principal_of(&cluster).unwrap();
//! assert!(azure.principal_seen_at(principal).unwrap() > azure.now());
//! ```

use crate::arm::latency::{Range, draw};
use crate::azure::Azure;
use crate::draws::Draws;
use crate::ids::ArmPath;
use crate::kinds::Kind;
use crate::store::text;
use crate::trace::Principal;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// [arm-behaviour 6: "PrincipalNotFound window for a new principal"], in seconds.
const REPLICATION: Range = Range {
    min: 6.0,
    median: 48.0,
    max: 269.0,
};

/// Whether a principal has just come into being or was there long before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Fresh,
    Old,
}

/// All principals.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    entries: BTreeMap<Uuid, Entry>,
    draws: Draws,
}

#[derive(Clone, Debug)]
struct Entry {
    /// Key of the resource that owns it.
    owner: Option<String>,
    seen_at: OffsetDateTime,
}

impl Directory {
    pub(crate) fn new(draws: Draws) -> Self {
        Self {
            entries: BTreeMap::new(),
            draws,
        }
    }

    /// True when role assignments can see the principal.
    pub(crate) fn sees(&self, object: Uuid, now: OffsetDateTime) -> bool {
        self.entries.get(&object).is_some_and(|entry| entry.seen_at <= now)
    }

    /// A resource has this principal and no other. One it had already is left as it is.
    fn enrol_owned(&mut self, owner: &str, object: Uuid, age: Age, now: OffsetDateTime) {
        self.entries
            .retain(|known, entry| *known == object || entry.owner.as_deref() != Some(owner));
        let seen_at = self.seen_at(object, age, now);
        self.entries.entry(object).or_insert_with(|| Entry {
            owner: Some(owner.to_owned()),
            seen_at,
        });
    }

    fn enrol(&mut self, object: Uuid, now: OffsetDateTime) {
        self.entries.entry(object).or_insert(Entry {
            owner: None,
            seen_at: now,
        });
    }

    /// The owner's creation has ended: only from here does its principal spread.
    fn settle(&mut self, owner: &str, now: OffsetDateTime) {
        let object = self.owned_by(owner);
        if let Some(object) = object {
            let seen_at = self.seen_at(object, Age::Fresh, now);
            if let Some(entry) = self.entries.get_mut(&object) {
                entry.seen_at = seen_at;
            }
        }
    }

    /// The owner is gone, and its principal with it. Role assignments that name it stay as orphans
    /// [azure-domain 6: "Identity not found"].
    pub(crate) fn leave(&mut self, owner: &str) {
        self.entries.retain(|_, entry| entry.owner.as_deref() != Some(owner));
    }

    fn owned_by(&self, owner: &str) -> Option<Uuid> {
        let found = self
            .entries
            .iter()
            .find(|(_, entry)| entry.owner.as_deref() == Some(owner));
        found.map(|(object, _)| *object)
    }

    fn seen_at(&self, object: Uuid, age: Age, now: OffsetDateTime) -> OffsetDateTime {
        match age {
            Age::Fresh => now + draw(self.draws, &format!("replication|{object}"), REPLICATION),
            Age::Old => now,
        }
    }
}

impl Azure {
    /// Object id of the principal that a cluster (system-assigned) or a user-assigned identity owns.
    pub fn principal_of(&self, id: &str) -> Option<Uuid> {
        self.directory.owned_by(ArmPath::parse(id)?.key())
    }

    /// From when on role assignments see a principal; `None` when there is none with this object id.
    pub fn principal_seen_at(&self, object: Uuid) -> Option<OffsetDateTime> {
        self.directory.entries.get(&object).map(|entry| entry.seen_at)
    }

    /// A person puts a service principal into the directory; it is seen at once.
    pub fn enrol_principal(&mut self, principal: &Principal) {
        self.directory.enrol(principal.object_id, self.now);
    }

    /// Reads from a stored resource which principal it owns, and keeps the directory so.
    pub(crate) fn enrol_identities(&mut self, path: &ArmPath, age: Age) {
        let Some(found) = self.store.find(path.key()) else {
            return;
        };
        let owned = match found.kind {
            Kind::ManagedCluster => text(&found.body, &["identity", "principalId"]),
            Kind::UserAssignedIdentity => text(&found.body, &["properties", "principalId"]),
            Kind::ResourceGroup
            | Kind::VirtualNetwork
            | Kind::Subnet
            | Kind::Peering
            | Kind::RouteTable
            | Kind::Route
            | Kind::NetworkSecurityGroup
            | Kind::NatGateway
            | Kind::PublicIp
            | Kind::FirewallPolicy
            | Kind::RuleCollectionGroup
            | Kind::AzureFirewall
            | Kind::LoadBalancer
            | Kind::AgentPool
            | Kind::RoleAssignment => return,
        };
        match owned.and_then(|object| object.parse().ok()) {
            Some(object) => self.directory.enrol_owned(path.key(), object, age, self.now),
            None => self.directory.leave(path.key()),
        }
    }

    /// A cluster's creation has ended.
    pub(crate) fn identity_settled(&mut self, path: &ArmPath) {
        self.directory.settle(path.key(), self.now);
    }
}
