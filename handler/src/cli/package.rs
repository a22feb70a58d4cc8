//! `hubward package DIR`: writes the script root with this executable in it.
//!
//! A configuration that the app would refuse is refused here, with the same line, before anything is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::configuration::File;
use super::{Exit, tell};
use crate::package::assemble;

/// Options of the command.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder to write; it must be empty or an earlier script root.
    dir: PathBuf,
    /// The configuration to include.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    match write(arguments) {
        Ok(line) => {
            tell(&line);
            Exit::Fine
        }
        Err(line) => {
            tell(&line);
            Exit::Usage
        }
    }
}

fn write(arguments: &Arguments) -> Result<String, String> {
    if let Some(path) = &arguments.config {
        // The overlay of this shell is not the one of the deployment.
        File::of_option(path)
            .load(&BTreeMap::new())
            .map_err(|refused| refused.to_string())?;
    }
    let executable = std::env::current_exe().map_err(|error| format!("this executable cannot be found: {error}"))?;
    let root = assemble(&arguments.dir, &executable, arguments.config.as_deref()).map_err(|error| error.to_string())?;
    Ok(format!(
        "wrote {} with {}",
        root.path.display(),
        root.functions.join(", ")
    ))
}
