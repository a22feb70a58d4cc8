//! `hubward plan --cluster ID`: what Hubward would do for a cluster now, and what of it waits. It only reads.
//!
//! The same survey and the same plan as for an event, of a cluster that leaves its hub too; only applying is left out.

use std::net::Ipv4Addr;

use hubward_core::estate::Estate;
use hubward_core::ids::ResourceId;
use hubward_core::plan::Plan;
use time::OffsetDateTime;

use super::desk::{Desk, Stop};
use super::{Exit, Output};
use crate::work::{Failure, Sighted, Sources, Surveyed};

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
    let sighted = sighted(desk, id, out).await?;
    let sources = Sources {
        config,
        arm: desk.arm()?,
        ledger: desk.ledger_if_named()?,
        clock: desk.clock(),
    };
    let stopped = |failure| match failure {
        Failure::Arm(error) => desk.stopped_by(&error),
        Failure::Ledger(error) => error.into(),
    };
    let surveyed = sources.survey(id, &sighted).await.map_err(stopped)?;
    let Some(plan) = sources.plan(id, &surveyed).await.map_err(stopped)? else {
        return Err(Stop {
            exit: Exit::Broken,
            line: format!("{} was gone and is there again; run the command once more", id.name()),
        });
    };
    let Surveyed { estate, known, .. } = surveyed;
    Ok(Looked {
        estate,
        plan,
        ingress: known.reservation.map(|reservation| reservation.ip),
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

/// What the ledger keeps under the cluster's key and about the installation, if somebody says where it is.
async fn sighted(desk: &Desk, id: &ResourceId, out: &mut Output) -> Result<Sighted, Stop> {
    let Some(ledger) = desk.ledger_if_named()? else {
        out.progress(
            "AzureWebJobsStorage is not set: the plan is made as if the cluster were younger than the installation",
        );
        return Ok(Sighted {
            installed_at: Some(OffsetDateTime::UNIX_EPOCH),
            created: Some(OffsetDateTime::UNIX_EPOCH),
            ..Sighted::default()
        });
    };
    let installed_at = ledger.installed.known().await?;
    let key = ledger.keys.get(&id.key()).await?;
    Ok(Sighted {
        installed_at,
        created: key.as_ref().and_then(|key| key.create_seen_at),
        deleted: key.as_ref().and_then(|key| key.delete_seen_at),
        absent_since: key.as_ref().and_then(|key| key.absent_since),
    })
}
