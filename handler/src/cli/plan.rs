//! `hubward plan --cluster ID`: what Hubward would do for a cluster now, and what of it waits. It only reads.
//!
//! The same observation and the same plan as for an event; only applying is left out.

use hubward_core::estate::Subject;
use hubward_core::ids::ResourceId;
use hubward_core::plan::{Age, Known, plan_spoke};
use time::OffsetDateTime;

use super::desk::{Desk, Stop};
use super::{Exit, Output};
use crate::observe::observe;

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
    let config = desk.config()?;
    if !config.scope.covers(&id) {
        return Err(Stop::usage(format!(
            "--cluster: {id} is not in the configured scope; allowed: clusters of scope.subscriptions that are not excluded"
        )));
    }
    let age = age(desk, out).await?;
    let subject = Subject::Spoke { cluster: id.clone() };
    let estate = observe(desk.arm()?, desk.clock(), config, &subject)
        .await
        .map_err(|error| desk.stopped_by(&error))?;
    let plan = plan_spoke(&estate, config, &id, &Known::at(desk.clock().now(), age));
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

/// The age of the installation, from the ledger if somebody says where it is.
async fn age(desk: &Desk, out: &mut Output) -> Result<Age, Stop> {
    let installed_at = match desk.ledger_if_named()? {
        Some(ledger) => ledger.installed.known().await?,
        None => {
            out.progress(
                "AzureWebJobsStorage is not set: the plan is made as if the cluster were younger than the installation",
            );
            Some(OffsetDateTime::UNIX_EPOCH)
        }
    };
    Ok(Age {
        installed_at,
        create_seen: true,
    })
}
