//! Observation: reads what the core asks for, round by round, until it asks for nothing more.
//!
//! It reads by id and never from an event; a read that fails ends the observation, because half an estate would look like
//! a whole one. Rounds are bounded, since documents of Azure decide what is read next.

use futures::future::join_all;
use hubward_core::config::Config;
use hubward_core::estate::{
    CONTAINER_SERVICE, ClusterView, Estate, Subject, api_version, is_neighbour, wanted_list, wanted_reads,
};
use hubward_core::ids::ResourceId;

use crate::arm::{Arm, ArmError, Read};
use crate::clock::Clock;

/// More rounds than any chain of references needs (cluster, network, table; firewall, policy, parent, groups).
const ROUNDS: usize = 12;

/// Reads everything that matters for `subject`.
///
/// # Errors
/// The first [`ArmError`] in the order of ids.
pub async fn observe(arm: &Arm, clock: &dyn Clock, config: &Config, subject: &Subject) -> Result<Estate, ArmError> {
    let mut estate = Estate::default();
    let mut listed = false;
    for _ in 0..ROUNDS {
        let wanted: Vec<ResourceId> = wanted_reads(&estate, config, subject).into_iter().collect();
        if wanted.is_empty() {
            match wanted_list(&estate, config, subject) {
                Some(subscription) if !listed => {
                    listed = true;
                    neighbours(arm, clock, &mut estate, subject, &subscription).await?;
                    continue;
                }
                Some(_) | None => break,
            }
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

/// Adds the clusters that live in the same network.
async fn neighbours(
    arm: &Arm,
    clock: &dyn Clock,
    estate: &mut Estate,
    subject: &Subject,
    subscription: &str,
) -> Result<(), ArmError> {
    let path = format!("/subscriptions/{subscription}/providers/Microsoft.ContainerService/managedClusters");
    for body in arm.list(&path, CONTAINER_SERVICE).await? {
        let cluster = ClusterView::new(&body);
        if let Some(id) = cluster.id().filter(|_| is_neighbour(estate, subject, &cluster)) {
            estate.insert(id, Some(body), clock.now());
        }
    }
    Ok(())
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
