//! `hubward package DIR`: writes the script root with this executable in it.

use std::path::PathBuf;

use super::{Exit, tell};
use crate::package::assemble;

/// Options of the command.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder to write; it must be empty or an earlier script root.
    dir: PathBuf,
    /// The configuration to include.
    #[arg(long)]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let executable = match std::env::current_exe() {
        Ok(path) => path,
        Err(error) => {
            tell(&format!("this executable cannot be found: {error}"));
            return Exit::Usage;
        }
    };
    match assemble(&arguments.dir, &executable, arguments.config.as_deref()) {
        Ok(root) => {
            tell(&format!(
                "wrote {} with {}",
                root.path.display(),
                root.functions.join(", ")
            ));
            Exit::Fine
        }
        Err(error) => {
            tell(&error.to_string());
            Exit::Usage
        }
    }
}
