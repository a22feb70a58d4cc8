//! The blueprint: what should exist, a pure function of estate and configuration. It names everything and decides
//! nothing about order; the plan does that. What cannot be said from the estate is a finding, never a guess.

mod addresses;
mod contribution;
mod footprint;
mod group;
mod hub;
mod ingress;
mod reasons;
mod roles;
mod rules;
mod shrink;
mod spoke;
mod table;

use crate::config::Config;
use crate::ids::ResourceId;
use crate::names;

pub(crate) use addresses::{MOST_DESTINATIONS, free};
pub use addresses::{Reservations, Reserved, assign, is_gone_from_rules, quarantine_end};
pub use contribution::{Contribution, Inbound, contribution};
pub use footprint::{Footprint, Place, footprint};
pub use group::{GroupEdit, Tombstone, edit_group};
pub(crate) use group::{carries, part_in};
pub use hub::{HubFacts, hub_facts, serving_hub};
pub(crate) use ingress::{
    Served, Target, adopt_dnat, all_frontends, application_address_body, application_group_body, approvable,
    ingress_in_rules, named_target, public_frontends, target,
};
pub use ingress::{TARGET_TAG, annotations, application_address_id, application_group_id};
pub use reasons::{RuleReason, rule_reasons};
pub(crate) use roles::lists_of_rights;
pub use roles::{ClusterPrincipal, Grant, cluster_principal, grants};
pub(crate) use rules::protocol_type;
pub(crate) use rules::{APPLICATION_PRIORITY, DNAT_PRIORITY, NETWORK_PRIORITY};
pub use rules::{Destination, Requirement, requirements};
pub(crate) use shrink::{carries_at_least, only_adds, prefixes_by_part, uncovered};
pub use spoke::{PeeringSide, PlannedRoute, SpokeBlueprint, SubnetAttachment, spoke_blueprint};
pub use table::{SpokeTable, route_name, spoke_table};
pub(crate) use table::{is_led, leads_alike, rival};

/// The id of our route table for a spoke. One table serves all subnets of the spoke; it lies beside the network, because
/// a table must share region and subscription with it.
#[must_use]
pub fn route_table_id(config: &Config, vnet: &ResourceId) -> ResourceId {
    ResourceId::in_group(
        vnet.subscription(),
        vnet.resource_group().unwrap_or_default(),
        "Microsoft.Network/routeTables",
        &names::name(&config.naming.prefix, "routes", vnet),
    )
}

/// The id of our own rule collection group under the hub's policy.
#[must_use]
pub fn rule_collection_group_id(config: &Config, policy: &ResourceId) -> ResourceId {
    policy.child(
        "ruleCollectionGroups",
        &names::name(&config.naming.prefix, "rules", policy),
    )
}

/// The id of our peering in `vnet` that leads to `remote`.
#[must_use]
pub fn peering_id(config: &Config, vnet: &ResourceId, remote: &ResourceId) -> ResourceId {
    vnet.child(
        "virtualNetworkPeerings",
        &names::name(&config.naming.prefix, "peering", remote),
    )
}
