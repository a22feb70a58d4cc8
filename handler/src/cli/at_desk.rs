//! The commands that work at a [`Desk`]: parsed by clap, run there, in a process or in a story.

use clap::Subcommand;

use super::desk::{Desk, Stop};
use super::{Exit, Output, asking, drift, explain, plan, replay, status, wait};

/// The commands that work at a desk.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what would be done for a cluster now, and what of it waits; nothing is written to Azure.
    Plan(plan::Arguments),
    /// Show what is known of clusters and hubs: states, addresses, proofs, what is waited for.
    Status(status::Arguments),
    /// Wait until a cluster is prepared or wired; ends with 1 if it takes too long or needs a person.
    Wait(wait::Arguments),
    /// Say in one sentence each why a thing of ours is there and what breaks without it.
    Explain(explain::Arguments),
    /// Ask the app to look at a cluster now and bring it to its plan.
    Apply(asking::Apply),
    /// Let go what waits for somebody's word: held steps, accepted losses, an older cluster, an offboarded one.
    Approve(asking::Approve),
    /// Ask the app to take a cluster off its hub and leave it alone.
    Offboard(asking::Offboard),
    /// Have nothing written to a hub and its spokes.
    Pause(asking::Pause),
    /// End the pause of a hub.
    Resume(asking::Resume),
    /// Show field by field what differs from what it should be; with --fix, ask the app to put it right.
    Drift(drift::Arguments),
    /// Let events have their effect again: archived ones, or those that Event Grid could not deliver.
    Replay(replay::Arguments),
}

/// Runs a command.
///
/// # Errors
/// [`Stop`]: why it ended early.
pub(super) async fn run(desk: &Desk, command: &Command, out: &mut Output) -> Result<Exit, Stop> {
    match command {
        Command::Plan(arguments) => plan::run(desk, arguments, out).await,
        Command::Status(arguments) => status::run(desk, arguments, out).await,
        Command::Wait(arguments) => wait::run(desk, arguments, out).await,
        Command::Explain(arguments) => explain::run(desk, arguments, out).await,
        Command::Apply(arguments) => asking::apply(desk, arguments, out).await,
        Command::Approve(arguments) => asking::approve(desk, arguments, out).await,
        Command::Offboard(arguments) => asking::offboard(desk, arguments, out).await,
        Command::Pause(arguments) => asking::pause(desk, arguments, out).await,
        Command::Resume(arguments) => asking::resume(desk, arguments, out).await,
        Command::Drift(arguments) => drift::run(desk, arguments, out).await,
        Command::Replay(arguments) => replay::run(desk, arguments, out).await,
    }
}

#[cfg(feature = "local")]
pub use story::{Said, command};

#[cfg(feature = "local")]
mod story {
    use std::ffi::OsString;

    use clap::Parser;
    use clap::error::ErrorKind;

    use super::super::{Arguments, usage};
    use super::{Desk, Exit, Output};

    /// What a command said and how it ended.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Said {
        /// Standard output.
        pub stdout: String,
        /// Standard error: progress, and why it ended early.
        pub stderr: String,
        /// The exit code.
        pub exit: u8,
    }

    /// Runs `hubward WORDS` at a desk, as a process would: the same words, lines and exit codes.
    pub async fn command(desk: &Desk, words: &[&str]) -> Said {
        let words: Vec<OsString> = ["hubward"].iter().chain(words).map(OsString::from).collect();
        let refused = |line: String| Said {
            stdout: String::new(),
            stderr: format!("{line}\n"),
            exit: Exit::Usage.code(),
        };
        let command = match Arguments::try_parse_from(&words) {
            Ok(Arguments {
                command: super::super::Command::AtDesk(command),
            }) => command,
            Ok(_) => {
                return refused(
                    "this command needs a machine of its own; allowed: those that ask about Azure or the app"
                        .to_owned(),
                );
            }
            Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
                return Said {
                    stdout: error.to_string(),
                    stderr: String::new(),
                    exit: Exit::Fine.code(),
                };
            }
            Err(error) => return refused(usage::line(&error, &words)),
        };
        let mut out = Output::kept();
        let ran = super::run(desk, &command, &mut out).await;
        let (stdout, mut stderr) = out.parts();
        let exit = match ran {
            Ok(exit) => exit,
            Err(stop) => {
                stderr.push_str(&stop.line);
                stderr.push('\n');
                stop.exit
            }
        };
        Said {
            stdout,
            stderr,
            exit: exit.code(),
        }
    }
}
