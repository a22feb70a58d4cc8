//! The configuration file that a command works with: which one, who named it, and whether it can be used.
//!
//! File and overlay (`HUBWARD__section__key`) are judged together and before anything else happens. A file that cannot be
//! used is one line that blames whoever named it: the option, the variable, or the folder that lacks it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hubward_core::config::{Config, ConfigError};

use crate::environment::{CONFIG_VARIABLE, Environment};
use crate::package::CONFIG;

/// A configuration file and who named it.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    named_by: NamedBy,
}

/// Who named the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamedBy {
    Option,
    Variable,
    Folder,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// The file that somebody named is not there or not text.
    #[error("{named_by} {path} cannot be read ({reason}); allowed: the path of a readable TOML file")]
    Unreadable {
        named_by: &'static str,
        path: String,
        reason: std::io::Error,
    },
    /// Nobody named a file, and there is none where it would lie.
    #[error("{CONFIG} is not in {folder} and {CONFIG_VARIABLE} is not set; example: infra/hubward.example.toml")]
    Absent { folder: String },
    /// The file is not TOML.
    #[error("{path}: {error}")]
    Syntax { path: String, error: ConfigError },
    /// A value is wrong, in the file or in the overlay.
    #[error(transparent)]
    Value(ConfigError),
}

impl File {
    /// The file that `--config` names.
    pub(super) fn of_option(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            named_by: NamedBy::Option,
        }
    }

    /// The file that the environment names, if it does.
    pub(super) fn of_variable(environment: &Environment) -> Option<Self> {
        environment.get(CONFIG_VARIABLE).map(|path| Self {
            path: PathBuf::from(path),
            named_by: NamedBy::Variable,
        })
    }

    /// The file that the app would read: the one that the environment names, else the one in the script root.
    pub(super) fn of_app(environment: &Environment) -> Self {
        Self::of_variable(environment).unwrap_or_else(|| {
            let root = environment.get("FUNCTIONS_APP_ROOT_PATH").unwrap_or_default();
            Self {
                path: PathBuf::from(root).join(CONFIG),
                named_by: NamedBy::Folder,
            }
        })
    }

    /// The text of the file.
    ///
    /// # Errors
    /// [`Refused::Unreadable`], [`Refused::Absent`].
    pub(super) fn read(&self) -> Result<String, Refused> {
        std::fs::read_to_string(&self.path).map_err(|reason| {
            let named_by = match self.named_by {
                NamedBy::Option => "--config",
                NamedBy::Variable => CONFIG_VARIABLE,
                NamedBy::Folder if reason.kind() == std::io::ErrorKind::NotFound => {
                    return Refused::Absent { folder: self.folder() };
                }
                NamedBy::Folder => "the configuration",
            };
            Refused::Unreadable {
                named_by,
                path: self.path.display().to_string(),
                reason,
            }
        })
    }

    /// Reads the file and judges it together with `overlay`.
    ///
    /// # Errors
    /// [`Refused`].
    pub(super) fn load(&self, overlay: &BTreeMap<String, String>) -> Result<Config, Refused> {
        judge(&self.read()?, Some(self), overlay)
    }

    /// The folder of the file, as a person finds it.
    fn folder(&self) -> String {
        let folder = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = folder.map(Path::to_owned).or_else(|| std::env::current_dir().ok());
        folder.unwrap_or_default().display().to_string()
    }
}

/// Judges a text together with `overlay`. `file` is where the text is from, if not from this program.
///
/// # Errors
/// [`Refused::Syntax`], [`Refused::Value`].
pub(super) fn judge(text: &str, file: Option<&File>, overlay: &BTreeMap<String, String>) -> Result<Config, Refused> {
    Config::load(text, overlay).map_err(|error| match file {
        Some(file) if is_line(&error.field) => Refused::Syntax {
            path: file.path.display().to_string(),
            error,
        },
        Some(_) | None => Refused::Value(error),
    })
}

/// The overlay of this process, which a handler that it starts inherits.
pub(super) fn overlay() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(hubward_core::config::OVERLAY_PREFIX))
        .collect()
}

/// True of `line 3`, which stands for a field when the text is not TOML.
fn is_line(field: &str) -> bool {
    field
        .strip_prefix("line ")
        .is_some_and(|number| number.parse::<usize>().is_ok())
}
