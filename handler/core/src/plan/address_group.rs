//! The end of an application address: it goes with the resource group that was made for it, unless somebody has put something
//! else into the group or uses the address. Then only what is ours goes, and a finding names the rest.

use std::collections::BTreeSet;

use super::{Step, Wait};
use crate::blueprint::Footprint;
use crate::estate::{Estate, text};
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;

/// What becomes of the address and its group.
#[derive(Default)]
pub(super) struct Address {
    pub(super) step: Option<Step>,
    pub(super) wait: Option<Wait>,
    pub(super) finding: Option<Finding>,
    /// True if the address stays for the time being.
    pub(super) remains: bool,
}

/// Decides it. `in_group` is what the group holds, `living` is true if the cluster still exists.
pub(super) fn address(
    estate: &Estate,
    footprint: &Footprint,
    in_group: Option<&BTreeSet<ResourceId>>,
    living: bool,
    why: &str,
) -> Address {
    let group = footprint.address_group.as_ref();
    let Some((group, present)) = group.and_then(|id| Some((id, estate.get(id)?))) else {
        return Address::default();
    };
    let ours = footprint.application_address.as_ref();
    let own = ours.and_then(|id| Some((id, estate.get(id)?)));
    if let Some((id, user)) = own.and_then(|(id, body)| Some((id, text(body, "/properties/ipConfiguration/id")?))) {
        return in_use(footprint, id, user, living);
    }
    let Some(in_group) = in_group else {
        return Address {
            finding: Some(Finding::blocking(
                Code::NotRead,
                format!("what the resource group {} holds was not read", group.name()),
                "Let Hubward list the resources of the group; it is not deleted until then.",
            )),
            wait: Some(Wait::Person { code: Code::NotRead }),
            ..Address::default()
        };
    };
    match in_group.iter().find(|id| Some(*id) != ours) {
        None => Address {
            step: Some(Step::delete(
                "remove-address-group",
                group.clone(),
                present,
                format!("{why}, and nothing but its application address is in {}", group.name()),
            )),
            ..Address::default()
        },
        Some(foreign) => Address {
            step: own.map(|(id, body)| {
                let why = format!("{why}, and nothing leads to its application address any more");
                Step::delete("remove-application-address", id.clone(), body, why)
            }),
            finding: Some(Finding::warning(
                Code::ForeignInGroup,
                format!("the resource group {} holds {foreign}, which is not ours", group.name()),
                "The group stays; delete it when nobody needs what is in it.",
            )),
            ..Address::default()
        },
    }
}

/// Azure deletes no address that something uses. What AKS made for a cluster that is gone goes by itself.
fn in_use(footprint: &Footprint, address: &ResourceId, user: &str, living: bool) -> Address {
    let group = ResourceId::parse(user)
        .ok()
        .and_then(|id| id.resource_group().map(str::to_ascii_lowercase));
    let own = group.is_some_and(|group| footprint.node_groups.contains(&group));
    if own && !living {
        return Address {
            wait: Some(Wait::AtRest { id: address.clone() }),
            ..Address::default()
        };
    }
    Address {
        finding: Some(Finding::warning(
            Code::ForeignInGroup,
            format!(
                "the application address {} is in use by {user}, so it stays",
                address.name()
            ),
            "Take it off what uses it; Hubward removes it with the cluster.",
        )),
        remains: true,
        ..Address::default()
    }
}
