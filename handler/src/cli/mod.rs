//! The command line: one file per command. Results go to standard output, progress and errors to standard error.
//!
//! A wrong word or a wrong configuration is one line and exit code 2 before anything is written or started. Exit codes: 0 fine,
//! 1 broken or changes pending, 2 usage or configuration, 3 Azure unreachable, 130 interrupted.

mod configuration;
#[cfg(feature = "local")]
mod local;
mod package;
mod plan;
mod serve;
mod usage;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What `hubward --help` ends with.
#[cfg(feature = "local")]
const AFTER_HELP: &str = "\
Examples:
  hubward local                          wire one cluster in a simulated Azure
  hubward local --clusters 3 --json      three, and one JSON object on standard output
  hubward local --keep                   stay up afterwards and say how to look around; Ctrl-C ends everything
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
    /// Show what would be done for a cluster now, and what of it waits; nothing is written to Azure.
    Plan(plan::Arguments),
    /// Answer the Functions host, which starts this command itself.
    Serve,
    /// Write the script root into an empty folder.
    #[command(hide = true)]
    Package(package::Arguments),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Fine,
    Broken,
    Usage,
    Unreachable,
    #[cfg_attr(
        not(feature = "local"),
        expect(dead_code, reason = "only `local` runs long enough to be interrupted")
    )]
    Interrupted,
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
        Command::Plan(arguments) => code(plan::run(&arguments)),
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
    ExitCode::from(match exit {
        Exit::Fine => 0,
        Exit::Broken => 1,
        Exit::Usage => 2,
        Exit::Unreachable => 3,
        // What shells say of a process that Ctrl-C ended: 128 + SIGINT.
        Exit::Interrupted => 130,
    })
}
