//! The front door.

use std::process::ExitCode;

fn main() -> ExitCode {
    hubward::cli::run(std::env::args_os())
}
