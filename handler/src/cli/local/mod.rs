//! `hubward local`: the whole job on one machine. It starts a simulated Azure with one hub, the stand-in Functions host and
//! this same executable as the custom handler in its own process, creates clusters, and watches them being wired.
//!
//! It believes nothing that the app says about itself: the exit code is 0 only if packets that walk through the simulated
//! Azure arrive, and arrive from the one egress address, and what nobody allowed is dropped at the firewall.

mod progress;
mod rig;
mod table;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::{Exit, tell};
use progress::Progress;
use rig::Rig;
use verdict::Verdict;

/// A run that has not ended by then never will: firewall updates take minutes, clusters seven at the most.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// How often the ledger is looked at, in wall time.
const GLANCE: Duration = Duration::from_millis(100);

/// Options of the command.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How many clusters to create, 1 to 200.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=200))]
    clusters: u8,
    /// Decides every draw: latencies, event delays, duplicates.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Azure seconds per second, 1 to 1000.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=1000))]
    speed: u16,
    /// Stay up after the end and print the addresses.
    #[arg(long)]
    keep: bool,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// The configuration of the app; the commented example if left out.
    #[arg(long, env = "HUBWARD_CONFIG")]
    config: Option<PathBuf>,
    /// Also print what host and handler log.
    #[arg(long)]
    verbose: bool,
}

/// Why the run could not be made.
#[derive(Debug, thiserror::Error)]
enum LocalError {
    #[error("{0}")]
    Configuration(#[from] hubward_core::config::ConfigError),
    #[error("--config {path} cannot be read ({source}); allowed: the path of a readable TOML file")]
    Unreadable { path: String, source: std::io::Error },
    #[error("{0}")]
    Package(#[from] crate::package::PackageError),
    #[error("the stand-in host did not start: {0}")]
    Host(#[from] host_sim::HostError),
    #[error("the app cannot be watched: {0}")]
    Start(#[from] crate::settings::StartError),
    #[error("the ledger cannot be read: {0}")]
    Ledger(#[from] crate::ledger::LedgerError),
    #[error("this machine refuses: {0}")]
    Machine(#[from] std::io::Error),
    #[error("the stand-in host stopped: {0}")]
    Stopped(String),
}

impl LocalError {
    fn exit(&self) -> Exit {
        match self {
            Self::Configuration(_) | Self::Unreadable { .. } => Exit::Usage,
            Self::Package(_)
            | Self::Host(_)
            | Self::Start(_)
            | Self::Ledger(_)
            | Self::Machine(_)
            | Self::Stopped(_) => Exit::Broken,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(&format!("the runtime cannot be started: {error}"));
            return Exit::Broken;
        }
    };
    runtime.block_on(async {
        match whole(arguments).await {
            Ok(exit) => exit,
            Err(error) => {
                tell(&error.to_string());
                error.exit()
            }
        }
    })
}

async fn whole(arguments: &Arguments) -> Result<Exit, LocalError> {
    let rig = Rig::start(arguments).await?;
    let outcome = watch(&rig, arguments).await;
    match outcome {
        Ok(verdict) => {
            if arguments.keep {
                stay(&rig).await?;
            }
            rig.stop().await;
            Ok(if verdict.is_good() { Exit::Fine } else { Exit::Broken })
        }
        Err(error) => {
            rig.stop().await;
            Err(error)
        }
    }
}

async fn watch(rig: &Rig, arguments: &Arguments) -> Result<Verdict, LocalError> {
    let clusters = rig.create_clusters(arguments.clusters);
    let mut progress = Progress::new(&clusters);
    let deadline = rig.azure_now() + PATIENCE;
    while !progress.is_over() && rig.azure_now() < deadline {
        tokio::select! {
            biased;
            reason = rig.host.stopped() => return Err(LocalError::Stopped(reason)),
            () = tokio::time::sleep(GLANCE) => {}
        }
        progress.look(rig).await?;
    }
    let verdict = Verdict::reach(rig, &clusters, &progress);
    if arguments.json {
        table::print_json(&verdict);
    } else {
        table::print(&verdict);
    }
    Ok(verdict)
}

/// Keeps everything running until the terminal says stop.
async fn stay(rig: &Rig) -> Result<(), LocalError> {
    tell("");
    for (what, url) in rig.urls() {
        tell(&format!("{what:<22} {url}"));
    }
    tell("stop with Ctrl-C");
    tokio::signal::ctrl_c().await?;
    Ok(())
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        super::code(exit)
    }
}
