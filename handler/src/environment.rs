//! What the process is told by its environment: variables, and the configuration file that they name.
//!
//! It only reads. A wrong configuration is an error with the field and what is allowed, and never a default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hubward_core::config::{Config, ConfigError};

/// The variable with the path of the configuration file.
pub const CONFIG_VARIABLE: &str = "HUBWARD_CONFIG";

/// Everything the process is told by its environment.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// The variables of this process that are Unicode.
    #[must_use]
    pub fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { variables }
    }

    /// The value of a variable that is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// The configuration: the file at `HUBWARD_CONFIG`, else `hubward.toml` in the script root, with the overlay.
    ///
    /// # Errors
    /// [`ConfigError`] with the field and what is allowed; an unreadable file is one too.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let path = self.get(CONFIG_VARIABLE).map_or_else(
            || {
                let root = self.get("FUNCTIONS_APP_ROOT_PATH").unwrap_or_default();
                PathBuf::from(root).join(crate::package::CONFIG)
            },
            PathBuf::from,
        );
        let text = std::fs::read_to_string(&path).map_err(|error| ConfigError {
            field: CONFIG_VARIABLE.to_owned(),
            problem: format!("{} cannot be read ({error})", path.display()),
            allowed: "the path of a readable TOML file".to_owned(),
        })?;
        Config::load(&text, &self.variables)
    }
}
