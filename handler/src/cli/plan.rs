//! `hubward plan --cluster ID`: what Hubward would do for a cluster now, and what of it waits. It only reads.
//!
//! The same observation and the same plan as for an event; only applying is left out.

#![expect(clippy::print_stdout, reason = "results of a command go to standard output")]

use hubward_core::estate::Subject;
use hubward_core::ids::ResourceId;
use hubward_core::plan::{Age, Plan, plan_spoke};
use time::OffsetDateTime;

use super::{Exit, tell};
use crate::app::{Azure, StartError, azure, ledger};
use crate::arm::ArmError;
use crate::environment::Environment;
use crate::ledger::SettingsError;
use crate::observe::observe;

/// Options of the command.
#[derive(Debug, clap::Args)]
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
    Configuration(#[from] hubward_core::config::ConfigError),
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("{0}")]
    Arm(#[from] ArmError),
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
                PlanError::Arm(error) if error.is_unreachable() => Exit::Unreachable,
                PlanError::Start(StartError::Ledger(_)) => Exit::Unreachable,
                PlanError::Arm(_) | PlanError::Runtime(_) => Exit::Broken,
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
    let config = environment.config()?;
    if !config.scope.covers(&id) {
        return Err(PlanError::Scope(id));
    }
    let azure = azure(&environment, Some(&config.credential))?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let age = age(&environment, &azure).await?;
        let subject = Subject::Spoke { cluster: id.clone() };
        let estate = observe(&azure.arm, azure.clock.as_ref(), &config, &subject).await?;
        Ok(plan_spoke(&estate, &config, &id, age))
    })
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
