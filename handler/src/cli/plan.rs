//! `hubward plan --cluster ID`: what Hubward would do for a cluster now, and what of it waits. It only reads.
//!
//! The same observation and the same plan as for an event; only applying is left out.

#![expect(clippy::print_stdout, reason = "results of a command go to standard output")]

use hubward_core::config::Credential;
use hubward_core::estate::Subject;
use hubward_core::ids::ResourceId;
use hubward_core::plan::{Age, Known, Plan, plan_spoke};
use time::OffsetDateTime;

use super::configuration::{File, Refused, overlay};
use super::{Exit, tell};
use crate::app::{Azure, StartError, azure, ledger};
use crate::arm::ArmError;
use crate::environment::Environment;
use crate::ledger::SettingsError;
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

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
enum PlanError {
    #[error("--cluster: {0}; allowed: the resource id of an AKS cluster")]
    Id(#[from] hubward_core::ids::IdError),
    #[error("--cluster: {0} is not an AKS cluster; allowed: the id of a Microsoft.ContainerService/managedClusters")]
    Kind(ResourceId),
    #[error(
        "--cluster: {0} is not in the configured scope; allowed: clusters of scope.subscriptions that are not excluded"
    )]
    Scope(ResourceId),
    #[error("{0}")]
    Configuration(#[from] Refused),
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("{0}")]
    Arm(#[from] ArmError),
    #[error("{0}; outside Azure set credential.kind = \"developer_tools\"")]
    Laptop(ArmError),
    #[error("the runtime cannot be started: {0}")]
    Runtime(#[from] std::io::Error),
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    match plan(arguments) {
        Ok(plan) => {
            show(&plan, arguments.json);
            if plan.steps.is_empty() {
                Exit::Fine
            } else {
                Exit::Broken
            }
        }
        Err(error) => {
            tell(&error.to_string());
            match error {
                PlanError::Arm(error) | PlanError::Laptop(error) if error.is_unreachable() => Exit::Unreachable,
                PlanError::Start(StartError::Ledger(_)) => Exit::Unreachable,
                PlanError::Arm(_) | PlanError::Laptop(_) | PlanError::Runtime(_) => Exit::Broken,
                PlanError::Id(_)
                | PlanError::Kind(_)
                | PlanError::Scope(_)
                | PlanError::Configuration(_)
                | PlanError::Start(_) => Exit::Usage,
            }
        }
    }
}

fn plan(arguments: &Arguments) -> Result<Plan, PlanError> {
    let id = ResourceId::parse(&arguments.cluster)?;
    if !id.is_type("Microsoft.ContainerService/managedClusters") {
        return Err(PlanError::Kind(id));
    }
    let environment = Environment::of_process();
    let config = File::of_app(&environment).load(&overlay())?;
    if !config.scope.covers(&id) {
        return Err(PlanError::Scope(id));
    }
    let azure = azure(&environment, Some(&config.credential))?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let age = age(&environment, &azure).await?;
        let subject = Subject::Spoke { cluster: id.clone() };
        let estate = observe(&azure.arm, azure.clock.as_ref(), &config, &subject)
            .await
            .map_err(|error| explained(error, &environment, &config.credential))?;
        Ok(plan_spoke(&estate, &config, &id, &Known::at(azure.clock.now(), age)))
    })
}

/// Outside Azure there is no managed identity, and what helps is another credential.
fn explained(error: ArmError, environment: &Environment, credential: &Credential) -> PlanError {
    let managed = matches!(credential, Credential::ManagedIdentity { .. });
    // App Service sets it on each instance.
    let in_azure = environment.get("WEBSITE_INSTANCE_ID").is_some();
    if managed && !in_azure && matches!(error, ArmError::NoToken { .. }) {
        PlanError::Laptop(error)
    } else {
        PlanError::Arm(error)
    }
}

/// The age of the installation, from the ledger if this environment names one.
async fn age(environment: &Environment, azure: &Azure) -> Result<Age, PlanError> {
    let installed_at = match ledger(environment, azure).await {
        Ok(ledger) => ledger.installed.known().await.map_err(StartError::from)?,
        Err(StartError::Storage(SettingsError::Absent)) => {
            tell(
                "AzureWebJobsStorage is not set: the plan is made as if the cluster were younger than the installation",
            );
            Some(OffsetDateTime::UNIX_EPOCH)
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Age {
        installed_at,
        create_seen: true,
    })
}

fn show(plan: &Plan, json: bool) {
    if json {
        match serde_json::to_string_pretty(plan) {
            Ok(text) => println!("{text}"),
            Err(error) => tell(&format!("the plan cannot be printed: {error}")),
        }
    } else {
        print!("{plan}");
    }
}
