//! The commands that work at a [`Desk`]: parsed by clap, run there, in a process or in a story.

use clap::Subcommand;

use super::desk::{Desk, Stop};
use super::{Exit, Output, plan};

/// The commands that work at a desk.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what would be done for a cluster now, and what of it waits; nothing is written to Azure.
    Plan(plan::Arguments),
}

/// Runs a command.
///
/// # Errors
/// [`Stop`]: why it ended early.
pub(super) async fn run(desk: &Desk, command: &Command, out: &mut Output) -> Result<Exit, Stop> {
    match command {
        Command::Plan(arguments) => plan::run(desk, arguments, out).await,
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
