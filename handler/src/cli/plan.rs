//! `hubward plan --cluster ID`: what Hubward would do for a cluster now, and what of it waits. It only reads.
//!
//! The same observation and the same plan as for an event; only applying is left out.

use std::net::Ipv4Addr;

use hubward_core::config::Config;
use hubward_core::estate::{Estate, Subject};
use hubward_core::ids::ResourceId;
use hubward_core::plan::{Age, Known, Plan, Word, plan_spoke};
use time::OffsetDateTime;

use super::desk::{Desk, Stop};
use super::{Exit, Output};
use crate::observe::observe;
use crate::work::tell_plan;

/// What `hubward plan --help` ends with: one call that is complete.
const AFTER_HELP: &str = "\
Example, on a laptop after `az login`, with credential.kind = \"developer_tools\" in the configuration:
  HUBWARD_CONFIG=hubward.toml hubward plan --cluster \\
    /subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/Microsoft.ContainerService/managedClusters/NAME

Without HUBWARD_CONFIG the file is hubward.toml in this folder. AzureWebJobsStorage, if set, tells the age of the installation.

Exit codes: 0 nothing to write, 1 there is, 2 wrong usage or configuration, 3 Azure unreachable";

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The cluster's resource id.
    #[arg(long, value_name = "ID")]
    cluster: String,
    /// Print the plan as JSON, with the whole bodies.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(desk: &Desk, arguments: &Arguments, out: &mut Output) -> Result<Exit, Stop> {
    let id = cluster_id("--cluster", &arguments.cluster)?;
    let Looked { plan, .. } = look(desk, &id, "--cluster", out).await?;
    if arguments.json {
        out.json(&plan);
    } else {
        out.text(&plan.to_string());
    }
    Ok(if plan.steps.is_empty() {
        Exit::Fine
    } else {
        Exit::Broken
    })
}

/// A cluster as Azure shows it now, and what would be done for it.
pub(super) struct Looked {
    pub(super) estate: Estate,
    pub(super) plan: Plan,
    /// The firewall's address that is reserved for it.
    pub(super) ingress: Option<Ipv4Addr>,
}

/// Observes a cluster with the caller's rights and plans for it, as a look of the app would; `word` is where a person named it.
///
/// # Errors
/// Exit 2: it is not in scope. Else what Azure or the ledger answers.
pub(super) async fn look(desk: &Desk, id: &ResourceId, word: &str, out: &mut Output) -> Result<Looked, Stop> {
    let config = desk.config()?;
    if !config.scope.covers(id) {
        return Err(Stop::usage(format!(
            "{word}: {id} is not in the configured scope; allowed: clusters of scope.subscriptions that are not excluded"
        )));
    }
    let age = age(desk, id, out).await?;
    let subject = Subject::Spoke { cluster: id.clone() };
    let estate = observe(desk.arm()?, desk.clock(), config, &subject)
        .await
        .map_err(|error| desk.stopped_by(&error))?;
    let mut known = Known {
        word: decided(desk, config, &estate, id).await?,
        ..Known::at(desk.clock().now(), age)
    };
    if let Some(ledger) = desk.ledger_if_named()? {
        tell_plan(ledger, config, &estate, id, &mut known).await?;
    }
    let plan = plan_spoke(&estate, config, id, &known);
    Ok(Looked {
        estate,
        plan,
        ingress: known.reservation.map(|reservation| reservation.ip),
    })
}

/// What people decided about the cluster and its hub, if somebody says where the ledger is.
async fn decided(desk: &Desk, config: &Config, estate: &Estate, id: &ResourceId) -> Result<Word, Stop> {
    let Some(ledger) = desk.ledger_if_named()? else {
        return Ok(Word::default());
    };
    let hub = estate
        .cluster(id)
        .and_then(|cluster| config.hub_for_location(cluster.location()));
    let paused = ledger.decisions.paused_hubs().await?;
    Ok(Word {
        paused: hub.is_some_and(|(name, _)| paused.contains(name)),
        ..ledger.decisions.of_cluster(&id.key()).await?.word()
    })
}

/// The id of a cluster as a person gave it in `word`.
///
/// # Errors
/// Exit 2: it is none.
pub(super) fn cluster_id(word: &str, text: &str) -> Result<ResourceId, Stop> {
    let id = ResourceId::parse(text)
        .map_err(|error| Stop::usage(format!("{word}: {error}; allowed: the resource id of an AKS cluster")))?;
    if id.is_type("Microsoft.ContainerService/managedClusters") {
        return Ok(id);
    }
    Err(Stop::usage(format!(
        "{word}: {id} is not an AKS cluster; allowed: the id of a Microsoft.ContainerService/managedClusters"
    )))
}

/// The age of the installation and of the cluster, from the ledger if somebody says where it is.
async fn age(desk: &Desk, id: &ResourceId, out: &mut Output) -> Result<Age, Stop> {
    let Some(ledger) = desk.ledger_if_named()? else {
        out.progress(
            "AzureWebJobsStorage is not set: the plan is made as if the cluster were younger than the installation",
        );
        return Ok(Age {
            installed_at: Some(OffsetDateTime::UNIX_EPOCH),
            create_seen: true,
        });
    };
    let installed_at = ledger.installed.known().await?;
    let created = ledger.keys.get(&id.key()).await?.and_then(|key| key.create_seen_at);
    Ok(Age {
        installed_at,
        // As a look of the app counts it: an old create event that is replayed makes no cluster young.
        create_seen: installed_at
            .zip(created)
            .is_some_and(|(installed, created)| created >= installed),
    })
}
