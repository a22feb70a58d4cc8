//! Observation: reads what the core asks for, round by round, until it asks for nothing more.
//!
//! It reads by id and never from an event; a read that fails ends the observation, because half an estate would look like
//! a whole one. Rounds are bounded, since documents of Azure decide what is read next.

use futures::future::join_all;
use hubward_core::config::Config;
use hubward_core::estate::{Estate, Listing, Subject, api_version, wanted_lists, wanted_reads};
use hubward_core::ids::ResourceId;
use serde_json::Value;

use crate::arm::{Arm, ArmError, Read};
use crate::clock::Clock;

/// More rounds than any chain of references needs (cluster, network, table, lists, assignments; firewall, policy, parent, groups).
const ROUNDS: usize = 12;

/// Reads everything that matters for `subject`.
///
/// # Errors
/// The first [`ArmError`] in the order of ids.
pub async fn observe(arm: &Arm, clock: &dyn Clock, config: &Config, subject: &Subject) -> Result<Estate, ArmError> {
    let mut estate = Estate::default();
    let mut forbidden: Vec<Listing> = Vec::new();
    for _ in 0..ROUNDS {
        let wanted: Vec<ResourceId> = wanted_reads(&estate, config, subject).into_iter().collect();
        if wanted.is_empty() {
            let mut lists = wanted_lists(&estate, config, subject);
            lists.retain(|listing| !forbidden.contains(listing));
            if lists.is_empty() {
                break;
            }
            let answers = join_all(lists.iter().map(|listing| list(arm, listing))).await;
            for (listing, items) in lists.into_iter().zip(answers) {
                match items {
                    Ok(items) => estate.insert_list(subject, listing, items, clock.now()),
                    // Who has which rights decides about rights alone; a finding says that it is not known.
                    Err(ArmError::Forbidden { .. }) if matches!(listing, Listing::RoleAssignments { .. }) => {
                        forbidden.push(listing);
                    }
                    Err(error) => return Err(error),
                }
            }
            continue;
        }
        let answers = join_all(wanted.iter().map(|id| read(arm, id))).await;
        for (id, answer) in wanted.into_iter().zip(answers) {
            match answer? {
                Read::Found(body) => estate.insert(id, Some(body), clock.now()),
                Read::Absent(absence) => estate.insert_absent(id, absence, clock.now()),
            }
        }
    }
    Ok(estate)
}

async fn list(arm: &Arm, listing: &Listing) -> Result<Vec<Value>, ArmError> {
    let (path, api) = (listing.path(), listing.api_version());
    match listing.filter() {
        Some(filter) => arm.list_where(&path, api, &filter).await,
        None => arm.list(&path, api).await,
    }
}

async fn read(arm: &Arm, id: &ResourceId) -> Result<Read, ArmError> {
    let Some(api) = api_version(id) else {
        return Err(ArmError::Unsendable {
            target: id.to_string(),
            reason: "its kind is not one that Hubward reads".to_owned(),
        });
    };
    arm.read(id, api).await
}
