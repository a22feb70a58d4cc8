//! `hubward package DIR`: writes the script root with this executable in it.
//!
//! A configuration that the app would refuse is refused here, with the same line, before anything is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hubward_core::config::Drift;

use super::configuration::File;
use super::{Exit, tell};
use crate::package::{CONFIG, assemble};

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
    // The configuration of an earlier script root stays there if none is named, and its schedule with it.
    let kept = arguments.dir.join(CONFIG);
    let config = match &arguments.config {
        Some(path) => Some(path),
        None => Some(&kept).filter(|path| path.is_file()),
    };
    let drift = match config {
        // The overlay of this shell is not the one of the deployment.
        Some(path) => File::of_option(path).load(&BTreeMap::new()).map(|config| config.drift),
        None => Ok(Drift::default()),
    };
    let drift = drift.map_err(|refused| refused.to_string())?;
    let executable = std::env::current_exe().map_err(|error| format!("this executable cannot be found: {error}"))?;
    let root = assemble(&arguments.dir, &executable, arguments.config.as_deref(), &drift)
        .map_err(|error| error.to_string())?;
    Ok(format!(
        "wrote {} with {}",
        root.path.display(),
        root.functions.join(", ")
    ))
}
