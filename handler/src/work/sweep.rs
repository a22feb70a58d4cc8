//! A sweep: finds every cluster concerned and wishes a look at each. It looks at no cluster itself and writes nothing to Azure.
//!
//! | key | concerns | its looks |
//! |---|---|---|
//! | [`ALL`] | every cluster that Resource Graph or the ledger knows, every hub, and what is owed | correct drift; those of the first sweep only look |
//! | [`FIX`] | the same | correct drift, because a person asked |
//! | the id of a resource group | the clusters of the ledger that lie in it | find out whether they are gone |
//!
//! Resource Graph is a hint: what it does not show is not gone, and what it shows is read again. If it does not answer, the
//! clusters that the ledger knows are looked at all the same. A sweep that takes too long goes on where it stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hubward_core::config::Config;
use hubward_core::ids::ResourceId;
use hubward_core::plan::State;
use serde_json::Value;
use time::OffsetDateTime;

use super::Next;
use super::failure::Failure;
use crate::app::App;
use crate::arm::{Arm, ArmError, Class};
use crate::ledger::keys::{KeyDocument, KeyLease};
use crate::ledger::queue::WorkKind;
use crate::ledger::{Ledger, LedgerError};

/// The key of the sweep that the timer wishes.
pub const ALL: &str = "sweep";
/// The key of the sweep that a person wishes.
pub const FIX: &str = "fix";

/// Why the looks of a timed sweep are made, for people.
const CAUSE: &str = "drift sweep";
const CLUSTER: &str = "Microsoft.ContainerService/managedClusters";
/// Finds the clusters. Rows are ordered, or Resource Graph cannot page them.
const QUERY: &str =
    "Resources | where type =~ 'microsoft.containerservice/managedclusters' | project id | order by id asc";
/// How often Resource Graph is asked in vain before a sweep goes on without it.
const PATIENCE: u32 = 3;
/// When a sweep that took too long goes on.
const GO_ON: Duration = Duration::from_secs(1);

/// What one sweep wishes: kind and cause by key.
type Wishes = BTreeMap<String, (WorkKind, String)>;

pub(super) async fn look(
    app: &App,
    config: &Config,
    lease: &mut KeyLease,
    deadline: OffsetDateTime,
) -> Result<Next, Failure> {
    if lease.key == ALL || lease.key == FIX {
        return everything(app, config, lease, deadline).await;
    }
    match ResourceId::parse(&lease.key) {
        Ok(group) if group.resource_type().is_empty() && config.scope.covers(&group) => {
            of_group(app, &group, lease).await
        }
        Ok(_) | Err(_) => Ok(Next::Settled {
            line: "dropped: the key is no resource group of the configured scope".to_owned(),
        }),
    }
}

/// Every cluster in scope that Resource Graph or the ledger knows.
///
/// # Errors
/// What the ledger answers; that Resource Graph could not be asked is the second part of the answer.
pub async fn clusters(
    arm: &Arm,
    ledger: Option<&Ledger>,
    config: &Config,
) -> Result<(BTreeSet<ResourceId>, Option<ArmError>), LedgerError> {
    let mut found = match ledger {
        Some(ledger) => known(ledger, config).await?,
        None => BTreeSet::new(),
    };
    let trouble = match in_graph(arm, config).await {
        Ok(seen) => {
            found.extend(seen);
            None
        }
        Err(error) => Some(error),
    };
    Ok((found, trouble))
}

async fn everything(app: &App, config: &Config, lease: &KeyLease, deadline: OffsetDateTime) -> Result<Next, Failure> {
    let note = app.ledger.sweeps.begin(&lease.key, app.clock.now()).await?;
    let (clusters, trouble) = clusters(&app.arm, Some(&app.ledger), config).await?;
    // Without Resource Graph the sweep would miss what nobody told of. It is back in seconds as a rule.
    let trouble = match trouble {
        Some(error) if is_worth_waiting_for(&error) && lease.attempts < PATIENCE => return Err(error.into()),
        Some(error) => Some(format!("only the clusters that the ledger knows were swept: {error}")),
        None => None,
    };
    let count = clusters.len();
    let cause = if lease.key == ALL { CAUSE } else { &lease.cause };
    let wishes = wishes(app, config, clusters, lease, cause).await?;
    let look_only = lease.key == ALL && note.finished == 0;
    for (key, (kind, cause)) in &wishes {
        if note.reached.as_ref().is_some_and(|reached| key <= reached) {
            continue;
        }
        if look_only {
            app.ledger.keys.request_look(*kind, key, cause).await?;
        } else {
            app.ledger.keys.request(*kind, key, cause).await?;
        }
        if app.clock.now() >= deadline {
            app.ledger.sweeps.reached(&lease.key, key).await?;
            return Ok(Next::Wait {
                after: GO_ON,
                line: format!("wished looks up to {key}"),
            });
        }
    }
    let now = app.clock.now();
    app.ledger
        .sweeps
        .finish(&lease.key, count, trouble.as_deref(), now)
        .await?;
    let which = if look_only {
        "the first sweep, which writes nothing, "
    } else {
        "the sweep "
    };
    let trouble = trouble.map_or_else(String::new, |trouble| format!("; {trouble}"));
    Ok(Next::Settled {
        line: format!(
            "{which}wished a look at {count} clusters and {} hubs{trouble}",
            config.hubs.len()
        ),
    })
}

/// The clusters, the hubs, and what else is owed while no message is known to be under way for it.
async fn wishes(
    app: &App,
    config: &Config,
    clusters: BTreeSet<ResourceId>,
    lease: &KeyLease,
    cause: &str,
) -> Result<Wishes, LedgerError> {
    let mut wishes = Wishes::new();
    let hubs = config.hubs.keys().cloned().map(|hub| (hub, WorkKind::Hub));
    let clusters = clusters.iter().map(|cluster| (cluster.key(), WorkKind::Spoke));
    for (key, kind) in hubs.chain(clusters) {
        wishes.insert(key, (kind, cause.to_owned()));
    }
    let now = app.clock.now();
    for owed in app.ledger.keys.owed().await?.documents {
        let lost = owed.key != lease.key && !owed.is_under_way(now);
        if lost || wishes.contains_key(&owed.key) {
            // Whatever was wished stays wished, with its own cause.
            wishes.insert(owed.key, (owed.kind, owed.cause));
        }
    }
    Ok(wishes)
}

/// A resource group is said to be gone: each cluster in it is looked at as one that is said to be gone, and each whose wiring
/// touches something in it as one that was changed.
async fn of_group(app: &App, group: &ResourceId, lease: &KeyLease) -> Result<Next, Failure> {
    let keys = &app.ledger.keys;
    let (mut inside, mut touched) = (0, 0);
    for cluster in mentioned(&app.ledger).await?.iter().filter(|c| c.is_within(group)) {
        let key = cluster.key();
        match lease.delete_seen_at {
            Some(at) => keys.request_deleted(WorkKind::Offboard, &key, &lease.cause, at).await?,
            None => keys.request(WorkKind::Offboard, &key, &lease.cause).await?,
        }
        inside += 1;
    }
    for kept in app.ledger.footprints.all().await?.documents {
        let outside = !kept.footprint.cluster.is_within(group);
        if outside && kept.footprint.vnets().iter().any(|vnet| vnet.is_within(group)) {
            keys.request(WorkKind::Spoke, &kept.cluster, &lease.cause).await?;
            touched += 1;
        }
    }
    Ok(Next::Settled {
        line: format!("wished a look at {inside} clusters of the resource group and {touched} that lean on it"),
    })
}

/// The clusters that Resource Graph shows.
async fn in_graph(arm: &Arm, config: &Config) -> Result<BTreeSet<ResourceId>, ArmError> {
    let rows = arm.query(&config.scope.subscriptions, QUERY).await?;
    let ids = rows.iter().filter_map(|row| row.get("id").and_then(Value::as_str));
    Ok(ids.filter_map(cluster).filter(|id| config.scope.covers(id)).collect())
}

/// The clusters in scope that the ledger knows and that are not unwired for good.
async fn known(ledger: &Ledger, config: &Config) -> Result<BTreeSet<ResourceId>, LedgerError> {
    let mut found = mentioned(ledger).await?;
    let over = State::Offboarded.to_string();
    for outcome in ledger.outcomes.all().await?.documents {
        let Some(id) = cluster(&outcome.key) else { continue };
        if outcome.state == over {
            found.remove(&id);
        } else {
            found.insert(id);
        }
    }
    for hub in config.hubs.keys() {
        let living = ledger.contributions.of_hub(hub).await?.documents.into_iter();
        found.extend(
            living
                .filter(|c| c.tombstone.is_none())
                .filter_map(|c| cluster(&c.cluster)),
        );
    }
    let leaving = ledger.footprints.all().await?.documents.into_iter();
    found.extend(leaving.map(|kept| kept.footprint.cluster));
    found.retain(|id| config.scope.covers(id));
    Ok(found)
}

/// The clusters for which anything was ever wished.
async fn mentioned(ledger: &Ledger) -> Result<BTreeSet<ResourceId>, LedgerError> {
    let keys = ledger.keys.all().await?.documents;
    Ok(keys
        .iter()
        .filter_map(|document: &KeyDocument| cluster(&document.key))
        .collect())
}

fn cluster(id: &str) -> Option<ResourceId> {
    ResourceId::parse(id).ok().filter(|id| id.is_type(CLUSTER))
}

/// True if Resource Graph may answer a little later.
fn is_worth_waiting_for(error: &ArmError) -> bool {
    matches!(error.class(), Class::Wait { .. } | Class::Retry { .. })
}
