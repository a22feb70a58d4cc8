//! The command line: one file per command. Results go to standard output, progress and errors to standard error.
//!
//! A wrong word or a wrong configuration is one line and exit code 2 before anything is written or started. Exit codes: 0 fine,
//! 1 broken or changes pending, 2 usage or configuration, 3 Azure unreachable, 130 interrupted.
//!
//! All commands but the few that are this machine's own affair work at a [`Desk`], so that stories run them in virtual time.

mod asking;
mod at_desk;
mod configuration;
mod desk;
mod door;
mod drift;
mod explain;
#[cfg(feature = "local")]
mod local;
mod output;
mod package;
mod plan;
mod replay;
mod serve;
mod status;
mod usage;
mod wait;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::environment::Environment;

#[cfg(feature = "local")]
pub use at_desk::{Said, command};
pub use desk::{Desk, Stop};
pub use door::{Answer, Ask, Door, DoorError};
#[cfg(feature = "local")]
pub use local::{StoryError, Told, story, story_help};
pub use output::Output;

/// What `hubward --help` ends with.
#[cfg(feature = "local")]
const AFTER_HELP: &str = "\
Examples:
  hubward local                          wire three different clusters in a simulated Azure
  hubward local --clusters 1 --json      one, and one JSON object on standard output
  hubward local --keep                   stay up afterwards and say how to look around; Ctrl-C ends everything
  hubward local --script FILE            tell a story instead; --help-script says how it is written
  hubward plan --cluster ID              what would be done for a cluster of the configured scope

Exit codes: 0 fine, 1 broken or changes pending, 2 wrong usage or configuration, 3 Azure unreachable, 130 interrupted";

/// What `hubward --help` ends with.
#[cfg(not(feature = "local"))]
const AFTER_HELP: &str = "\
Exit codes: 0 fine, 1 broken or changes pending, 2 wrong usage or configuration, 3 Azure unreachable";

/// Wires every AKS cluster to a hub network, so that a whole company leaves from one IP address.
#[derive(Debug, Parser)]
#[command(name = "hubward", version, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Do the whole job on this machine: a simulated Azure, a stand-in Functions host, and this app.
    #[cfg(feature = "local")]
    Local(local::Arguments),
    #[command(flatten)]
    AtDesk(at_desk::Command),
    /// Answer the Functions host, which starts this command itself.
    Serve,
    /// Write the script root into an empty folder.
    #[command(hide = true)]
    Package(package::Arguments),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// As it should be.
    Fine,
    /// Something is broken, pending or timed out.
    Broken,
    /// Wrong usage or configuration.
    Usage,
    /// Azure, the ledger or the app does not answer.
    Unreachable,
    /// A signal ended it.
    Interrupted,
}

impl Exit {
    /// The exit code of the process.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Broken => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            // What shells say of a process that Ctrl-C ended: 128 + SIGINT.
            Self::Interrupted => 130,
        }
    }
}

/// Runs the command named by `arguments` and says how it ended.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = arguments.into_iter().collect();
    let arguments = match Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(error) => return usage::explain(&error, &words),
    };
    crate::identity::install_tls();
    match arguments.command {
        #[cfg(feature = "local")]
        Command::Local(arguments) => code(local::run(&arguments)),
        Command::AtDesk(command) => code(at_process(&command)),
        Command::Serve => serve::run(),
        Command::Package(arguments) => code(package::run(&arguments)),
    }
}

/// One line for people, on standard error. A reader that went away changes nothing.
fn tell(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn code(exit: Exit) -> ExitCode {
    ExitCode::from(exit.code())
}

/// Runs a command at the desk of this process.
fn at_process(command: &at_desk::Command) -> Exit {
    let mut out = Output::live();
    let ran = Desk::of_environment(&Environment::of_process()).and_then(|desk| {
        let runtime = tokio::runtime::Runtime::new().map_err(|error| Stop {
            exit: Exit::Broken,
            line: format!("the runtime cannot be started: {error}"),
        })?;
        runtime.block_on(at_desk::run(&desk, command, &mut out))
    });
    out.print();
    match ran {
        Ok(exit) => exit,
        Err(stop) => {
            tell(&stop.line);
            stop.exit
        }
    }
}
