//! `hubward local`: the whole job on one machine. It starts a simulated Azure with one hub, the stand-in Functions host and
//! this same executable as the custom handler in its own process, creates clusters, and watches them being wired.
//!
//! It believes nothing that the app says about itself: the exit code is 0 only if packets that walk through the simulated
//! Azure arrive, and arrive from the one egress address, and what nobody allowed is dropped at the firewall. However it ends,
//! Ctrl-C and SIGTERM included, the handler's process is ended and the temporary folder removed.

mod by_hand;
mod entrance;
mod expectation;
mod logs;
mod progress;
mod rig;
mod story;
mod table;
mod verdict;

use std::path::PathBuf;
use std::time::Duration;

use super::configuration::Refused;
use super::{Exit, tell};
use progress::Progress;
use rig::{Cluster, Rig};
pub use story::{StoryError, Told, help as story_help, story};
use time::OffsetDateTime;
use verdict::Verdict;

/// A run that takes longer has got stuck: AKS takes seven minutes at the most, a firewall update five.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);
/// What each cluster adds to it: writes on the hub's network follow each other.
const PATIENCE_PER_CLUSTER: Duration = Duration::from_secs(120);

/// Azure seconds per second if nobody says otherwise, up to [`MANY`] clusters.
const SPEED: u16 = 200;
/// The same for more clusters: a machine that cannot keep up misses Azure's own time limits.
const SPEED_OF_MANY: u16 = 50;
/// Up to how many clusters a usual machine keeps up with [`SPEED`].
const MANY: u8 = 20;

/// How often the ledger is looked at, in wall time.
const GLANCE: Duration = Duration::from_millis(100);

/// Options of the command.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How many clusters to create, 1 to 200: Azure CNI, kubenet and a private API server by turns.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clusters, allow_negative_numbers = true)]
    clusters: u8,
    /// Decides every draw: latencies, event delays, duplicates.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = seed, allow_negative_numbers = true)]
    seed: u64,
    /// Azure seconds per second, 1 to 1000; a busy machine may miss Azure's own time limits above 100 [default: 200, and 50
    /// for more than 20 clusters]
    #[arg(long, value_name = "N", value_parser = speed, allow_negative_numbers = true)]
    speed: Option<u16>,
    /// Stay up after the end; print addresses, ids, and what lets `hubward plan` and curl in. Ctrl-C ends it.
    #[arg(long)]
    keep: bool,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// The configuration of the app; else the file that HUBWARD_CONFIG names, else the commented example.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Also print what host and handler log.
    #[arg(long)]
    verbose: bool,
    /// Tell a story to Azure in virtual time instead, and print its transcript.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["clusters", "speed", "keep", "json", "config", "verbose"])]
    script: Option<PathBuf>,
    /// Print what can be written in a story.
    #[arg(long)]
    help_script: bool,
}

impl Arguments {
    /// Azure seconds per second.
    fn speed(&self) -> u16 {
        let usual = if self.clusters > MANY { SPEED_OF_MANY } else { SPEED };
        self.speed.unwrap_or(usual)
    }
}

/// Why the run could not be made.
#[derive(Debug, thiserror::Error)]
enum LocalError {
    #[error("{0}")]
    Configuration(#[from] Refused),
    #[error("{0}")]
    Package(#[from] crate::package::PackageError),
    #[error("the stand-in host did not start: {0}")]
    Host(#[from] host_sim::HostError),
    #[error("the app cannot be watched: {0}")]
    Start(#[from] crate::app::StartError),
    #[error("the ledger cannot be read: {0}")]
    Ledger(#[from] crate::ledger::LedgerError),
    #[error("this machine refuses: {0}")]
    Machine(#[from] std::io::Error),
    #[error("the stand-in host stopped: {0}")]
    Stopped(String),
    #[error("the app did not start within {0} s; --verbose shows what it logs")]
    NotInstalled(u64),
    #[error("stopped by {0}")]
    Interrupted(&'static str),
}

impl LocalError {
    fn exit(&self) -> Exit {
        match self {
            Self::Configuration(_) => Exit::Usage,
            Self::Package(_)
            | Self::Host(_)
            | Self::Start(_)
            | Self::Ledger(_)
            | Self::Machine(_)
            | Self::Stopped(_)
            | Self::NotInstalled(_) => Exit::Broken,
            Self::Interrupted(_) => Exit::Interrupted,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    if arguments.help_script {
        return story::print_help();
    }
    if let Some(path) = &arguments.script {
        return story::tell_story(path, arguments.seed);
    }
    let outcome = tokio::runtime::Runtime::new()
        .map_err(LocalError::from)
        .and_then(|runtime| runtime.block_on(whole(arguments)));
    match outcome {
        Ok(exit) => exit,
        Err(error) => {
            tell(&error.to_string());
            error.exit()
        }
    }
}

/// A signal drops what is being started, which ends it; what runs is stopped in order.
async fn whole(arguments: &Arguments) -> Result<Exit, LocalError> {
    let mut signals = Signals::listen()?;
    let rig = tokio::select! {
        biased;
        signal = signals.next() => return Err(LocalError::Interrupted(signal)),
        rig = Rig::start(arguments) => rig?,
    };
    let outcome = tokio::select! {
        biased;
        signal = signals.next() => Err(LocalError::Interrupted(signal)),
        outcome = watch(&rig, arguments) => outcome,
    };
    if let (Ok((_, clusters)), true) = (&outcome, arguments.keep) {
        stay(&rig, clusters, &mut signals).await;
    }
    rig.stop().await;
    outcome.map(|(verdict, _)| if verdict.is_good() { Exit::Fine } else { Exit::Broken })
}

async fn watch(rig: &Rig, arguments: &Arguments) -> Result<(Verdict, Vec<Cluster>), LocalError> {
    let clusters = rig.create_clusters(arguments.clusters);
    let mut progress = Progress::new(&clusters);
    let patience = PATIENCE + PATIENCE_PER_CLUSTER * u32::from(arguments.clusters);
    let deadline = rig.azure_now() + patience;
    let mut too_fast = false;
    while !progress.is_over(rig.azure_now()) && rig.azure_now() < deadline {
        tokio::select! {
            biased;
            reason = rig.host.stopped() => return Err(LocalError::Stopped(reason)),
            () = tokio::time::sleep(GLANCE) => {}
        }
        if !too_fast && rig.host.restarts().timeouts > 0 {
            too_fast = true;
            tell(&format!(
                "an invocation outlasted the host's time limit, which runs {} times as fast here: this machine is busy, a lower --speed helps",
                arguments.speed()
            ));
        }
        progress.look(rig).await?;
    }
    let verdict = Verdict::reach(rig, &clusters, &progress);
    if arguments.json {
        table::print_json(&verdict);
    } else {
        table::print(&verdict);
    }
    explain(rig, &progress, deadline);
    Ok((verdict, clusters))
}

/// Why the run ended with clusters that are not done.
fn explain(rig: &Rig, progress: &Progress, deadline: OffsetDateTime) {
    let unfinished = progress.unfinished();
    if unfinished.is_empty() {
        return;
    }
    let why = if rig.azure_now() < deadline {
        "nothing will change by itself".to_owned()
    } else {
        format!(
            "gave up after {} minutes of Azure's time",
            rig.azure_elapsed().as_secs() / 60
        )
    };
    tell(&format!("{why}: {}", unfinished.join(", ")));
}

/// Keeps everything running until the terminal says stop.
async fn stay(rig: &Rig, clusters: &[Cluster], signals: &mut Signals) {
    for line in by_hand::lines(rig, clusters) {
        tell(&line);
    }
    tell("stop with Ctrl-C");
    signals.next().await;
}

/// The signals that end the command, listened for from the beginning.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them and names it.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}

fn clusters(text: &str) -> Result<u8, String> {
    within(text, 1, 200)
}

fn speed(text: &str) -> Result<u16, String> {
    within(text, 1, 1000)
}

fn seed(text: &str) -> Result<u64, String> {
    within(text, 0, u64::MAX)
}

/// A whole number from `low` to `high`; the error is what is allowed.
fn within<T>(text: &str, low: T, high: T) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let number = text.parse().ok().filter(|number| (&low..=&high).contains(&number));
    number.ok_or_else(|| format!("a whole number from {low} to {high}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn many_clusters_run_slower_unless_a_speed_is_given() {
        let speed = |words: &str| {
            let words = std::iter::once("local").chain(words.split_whitespace());
            Words::parse_from(words).arguments.speed()
        };
        assert_eq!(
            [speed(""), speed("--clusters 20"), speed("--clusters 21")],
            [200, 200, 50]
        );
        assert_eq!(speed("--clusters 21 --speed 300"), 300);
    }
}
