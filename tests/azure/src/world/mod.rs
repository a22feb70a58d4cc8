//! What a simulated Azure starts with: subscription, principals, a hub, the internet around it, and Azure's habits.
//! All plain data that a test may vary; nothing here changes after `Azure::new`.

mod cluster;
mod hub;

pub use cluster::{
    ClusterIdentity, ClusterPlace, ClusterSpec, NetworkPlugin, NodePool, NodeSubnet, OutboundType, OwnTable,
};
pub use hub::HubIds;

use crate::arm::throttle::ThrottleLimits;
use crate::internet::Internet;
use crate::trace::Principal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use uuid::Uuid;

/// The one region of every simulated Azure.
pub(crate) const REGION: &str = "westeurope";

/// The start of one simulated Azure.
#[derive(Clone, Debug)]
pub struct World {
    /// The one subscription.
    pub subscription: String,
    /// The directory.
    pub tenant: Uuid,
    /// The one region, such as `westeurope`.
    pub location: String,
    /// The product's identity: what the identity endpoint gives tokens for.
    pub handler: Principal,
    /// A person, or another tool, working beside the product.
    pub person: Principal,
    /// Service principals that the directory knows beside these two, for clusters that do not use managed identities.
    pub service_principals: Vec<Principal>,
    /// Ids of role definitions that exist beside Azure's own.
    pub custom_roles: Vec<Uuid>,
    /// What `X-IDENTITY-HEADER` must carry.
    pub identity_secret: String,
    /// Names of the hub's resources.
    pub hub: HubIds,
    /// Resources that exist from the start, as `(id, body)` in the order of their making. Bodies are what a PUT
    /// would have sent, plus what Azure gave (addresses).
    pub resources: Vec<(String, Value)>,
    /// Public names.
    pub internet: Internet,
    /// ARM's token buckets.
    pub throttle: ThrottleLimits,
    /// How Event Grid behaves.
    pub events: EventHabits,
    /// What the handler may do: `None` for everything, else grants. The person may do everything.
    pub handler_rights: Option<Vec<Grant>>,
    /// Storage account name.
    pub storage_account: String,
    /// Storage account key, base64.
    pub storage_key: String,
}

/// One grant of rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Scope, an ARM id; what lies below is included.
    pub scope: String,
    /// Allowed actions, such as `Microsoft.Network/*/read` or `*`; compared without case.
    pub actions: Vec<String>,
}

/// How Event Grid behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventHabits {
    /// Shortest delay between the end of an operation and its delivery, in Azure seconds.
    pub min_delay_seconds: f64,
    /// Longest such delay.
    pub max_delay_seconds: f64,
    /// Share of events that are delivered twice (delivery is at least once), from 0 to 1.
    pub duplicate_share: f64,
    /// Share of a deleted group's members whose own delete event is told, from 0 to 1: such events are not certain
    /// [azure-domain 7.1]. The group's own always is.
    pub member_delete_share: f64,
}

impl Default for EventHabits {
    fn default() -> Self {
        Self {
            min_delay_seconds: 1.0,
            max_delay_seconds: 30.0,
            duplicate_share: 0.02,
            member_delete_share: 0.5,
        }
    }
}

/// Public addresses that Azure gives out: the documentation networks first, then the benchmark network, so that
/// none belongs to anybody.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddressPool {
    taken: BTreeSet<Ipv4Addr>,
    next: u32,
}

impl AddressPool {
    pub(crate) fn reserve(&mut self, address: Ipv4Addr) {
        self.taken.insert(address);
    }

    /// The next address that nobody holds.
    pub(crate) fn take(&mut self) -> Ipv4Addr {
        loop {
            let address = Self::nth(self.next);
            self.next += 1;
            if self.taken.insert(address) {
                return address;
            }
        }
    }

    fn nth(index: u32) -> Ipv4Addr {
        const DOCUMENTATION: u32 = 0xC633_6400; // 198.51.100.0/24, RFC 5737
        const BENCHMARK: u32 = 0xC612_0000; // 198.18.0.0/15, RFC 2544
        if index < 250 {
            Ipv4Addr::from(DOCUMENTATION + 2 + index)
        } else {
            Ipv4Addr::from(BENCHMARK + 1 + index - 250)
        }
    }
}
