//! The command line: one file per command. Results go to standard output, progress and errors to standard error.
//!
//! Exit codes: 0 fine, 1 broken or changes pending, 2 usage or configuration, 3 Azure unreachable.

#[cfg(feature = "local")]
mod local;
mod package;
mod serve;
mod usage;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Wires every AKS cluster to a hub network, so that a whole company leaves from one IP address.
#[derive(Debug, Parser)]
#[command(name = "hubward", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole job on this machine: a simulated Azure, a stand-in Functions host, and this app.
    #[cfg(feature = "local")]
    Local(local::Arguments),
    /// Answer the Functions host (started by it; FUNCTIONS_CUSTOMHANDLER_PORT says where to listen).
    Serve,
    /// Write the script root into an empty folder.
    #[command(hide = true)]
    Package(package::Arguments),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    #[cfg_attr(
        not(feature = "local"),
        expect(dead_code, reason = "only `local` and `package` end well")
    )]
    Fine,
    #[cfg_attr(not(feature = "local"), expect(dead_code, reason = "only `local` proves anything"))]
    Broken,
    Usage,
}

/// Runs the command named by `arguments` and says how it ended.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return usage::explain(&error),
    };
    crate::identity::install_tls();
    match arguments.command {
        #[cfg(feature = "local")]
        Command::Local(arguments) => code(local::run(&arguments)),
        Command::Serve => serve::run(),
        Command::Package(arguments) => code(package::run(&arguments)),
    }
}

/// One line for people, on standard error.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
fn tell(line: &str) {
    eprintln!("{line}");
}

fn code(exit: Exit) -> ExitCode {
    ExitCode::from(match exit {
        Exit::Fine => 0,
        Exit::Broken => 1,
        Exit::Usage => 2,
    })
}
