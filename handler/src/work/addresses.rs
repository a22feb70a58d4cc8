//! The ingress addresses of a hub in the looks at it and at its clusters: read, given out, kept, and given up with the clusters
//! that are gone.
//!
//! What is given out is kept before any rule uses it. If the record cannot be read, nothing is given out and nothing is given
//! up, and the addresses that the rules show stay in force.

use std::collections::BTreeSet;

use hubward_core::blueprint::{Reservations, Tombstone, assign, is_gone_from_rules, quarantine_end};
use hubward_core::config::Config;
use hubward_core::estate::Estate;
use hubward_core::finding::{Code, Finding};
use hubward_core::ids::ResourceId;
use hubward_core::plan::{Known, Reservation};

use super::failure::Failure;
use super::hub::Asked;
use crate::app::App;
use crate::ledger::keys::KeyLease;
use crate::ledger::queue::WorkKind;
use crate::ledger::{Ledger, LedgerError};

/// What the hub's plan is made with.
pub(super) struct Addresses {
    /// Who has which address.
    pub(super) reservations: Reservations,
    /// What a person should know.
    pub(super) findings: Vec<Finding>,
    /// True if another look has replaced the record: this one has to begin again.
    pub(super) outrun: bool,
}

/// Gives out what is asked for and gives up what nobody uses any more. A look that may only look keeps nothing of that.
pub(super) async fn settle(
    app: &App,
    config: &Config,
    lease: &KeyLease,
    estate: &Estate,
    asked: &Asked,
) -> Result<Addresses, Failure> {
    let hub = lease.key.as_str();
    let Some(described) = config.hubs.get(hub) else {
        return Ok(Addresses::of(Reservations::default(), Vec::new()));
    };
    let Asked {
        contributions,
        tombstones,
        ..
    } = asked;
    let now = app.clock.now();
    let kept = match app.ledger.reservations.of_hub(hub).await {
        Ok(kept) => kept,
        Err(LedgerError::Damaged(damaged)) => {
            // Nobody asks: what the rules show is recovered, and no address goes to somebody whose neighbour may have it.
            let silent = contributions.iter().map(|(id, contribution)| {
                let mut silent = contribution.clone();
                silent.inbound.clear();
                (id.clone(), silent)
            });
            let (recovered, mut findings) = assign(
                estate,
                config,
                described,
                &silent.collect(),
                &Reservations::default(),
                now,
            );
            findings.push(Finding::warning(
                Code::DamagedDocument,
                format!("the reservations of {hub} cannot be read: {}", damaged.reason),
                format!(
                    "Move {} away; the addresses in use are found again in the rules.",
                    damaged.name
                ),
            ));
            return Ok(Addresses::of(recovered, findings));
        }
        Err(error) => return Err(error.into()),
    };
    let gone: Vec<&Tombstone> = tombstones
        .iter()
        .filter(|stone| is_gone_from_rules(estate, config, described, &stone.cluster))
        .collect();
    let mut table = kept.table.clone();
    for stone in &gone {
        table.retire(&stone.cluster, quarantine_end(described, now));
    }
    let (reservations, findings) = assign(estate, config, described, contributions, &table, now);
    let mut addresses = Addresses::of(reservations, findings);
    if lease.look_only {
        return Ok(addresses);
    }
    if addresses.reservations != kept.table {
        addresses.outrun = !app
            .ledger
            .reservations
            .replace(hub, &kept, &addresses.reservations)
            .await?;
        if addresses.outrun {
            return Ok(addresses);
        }
        tell(app, &kept.table, &addresses.reservations).await?;
    }
    // Last, so that a crash before it only brings the same look again.
    for stone in gone {
        app.ledger
            .contributions
            .forget_tombstone(hub, &stone.cluster.key())
            .await?;
    }
    Ok(addresses)
}

/// Fills in what the plan of a cluster has to know of its address. A record that cannot be read counts as no address: the plan
/// then goes by the rules that are there.
pub(crate) async fn tell_plan(
    ledger: &Ledger,
    config: &Config,
    estate: &Estate,
    cluster: &ResourceId,
    known: &mut Known,
) -> Result<(), LedgerError> {
    let location = estate
        .cluster(cluster)
        .map(|c| c.location().to_owned())
        .unwrap_or_default();
    let hub = config
        .hub_for_location(&location)
        .filter(|(_, hub)| hub.ingress.is_some());
    let Some((hub, _)) = hub else { return Ok(()) };
    match ledger.reservations.of_hub(hub).await {
        Ok(kept) => {
            known.reservation = kept.table.of(cluster).map(|(ip, reserved)| Reservation {
                address: reserved.address.clone(),
                ip,
            });
            known.no_address = kept.table.unserved.contains(cluster);
        }
        Err(LedgerError::Damaged(_)) => known.no_address = true,
        Err(error) => return Err(error),
    }
    Ok(())
}

impl Addresses {
    fn of(reservations: Reservations, findings: Vec<Finding>) -> Self {
        Self {
            reservations,
            findings,
            outrun: false,
        }
    }
}

/// Asks for the clusters whose address is news: what they wait for and what people read of them depends on it.
async fn tell(app: &App, before: &Reservations, after: &Reservations) -> Result<(), Failure> {
    let clusters: BTreeSet<&ResourceId> = after
        .addresses
        .values()
        .filter(|reserved| reserved.quarantined_until.is_none())
        .map(|reserved| &reserved.cluster)
        .chain(before.unserved.iter().chain(&after.unserved))
        .collect();
    for cluster in clusters {
        let of = |table: &Reservations| {
            (
                table.of(cluster).map(|(address, _)| address),
                table.unserved.contains(cluster),
            )
        };
        if of(before) != of(after) {
            let cause = "the hub has looked for an address";
            app.ledger.keys.request(WorkKind::Spoke, &cluster.key(), cause).await?;
        }
    }
    Ok(())
}
