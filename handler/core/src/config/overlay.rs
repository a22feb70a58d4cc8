//! Lays application settings over the TOML text: `HUBWARD__hubs__main__workload_egress = "web"`.
//!
//! Azure's settings are flat texts, so a value is read as a TOML number, boolean or list if it is one and as text
//! otherwise. A setting that names what cannot be is refused by its own name, or a typing error would change nothing in silence.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::error::ConfigError;

/// What every setting of the overlay begins with. Two underscores part the keys.
pub const PREFIX: &str = "HUBWARD__";

/// Settings that may be laid over a file; more than this is no configuration.
const MOST_SETTINGS: usize = 1000;

/// One setting: its variable, the path it went to, and the shortest part of the path that was not there before.
pub(super) struct Setting {
    variable: String,
    path: String,
    made: String,
}

/// Writes each setting into the table and tells where it went.
///
/// # Errors
/// A name with an empty key, or one that leads through something that is not a table.
pub(super) fn apply(table: &mut Table, overlay: &BTreeMap<String, String>) -> Result<Vec<Setting>, ConfigError> {
    let ours = overlay.iter().filter(|(variable, _)| variable.starts_with(PREFIX));
    let mut settings = Vec::new();
    for (variable, text) in ours {
        if settings.len() == MOST_SETTINGS {
            return Err(ConfigError::of(
                variable,
                "is one setting too many",
                format!("{MOST_SETTINGS} settings"),
            ));
        }
        settings.push(put(table, variable, read(text))?);
    }
    Ok(settings)
}

/// Puts the variable's name in front of the field if the overlay set it.
pub(super) fn blame(mut error: ConfigError, settings: &[Setting]) -> ConfigError {
    let under = |inner: &str, outer: &str| {
        inner == outer || inner.strip_prefix(outer).is_some_and(|r| r.starts_with(['.', '[']))
    };
    let guilty = settings
        .iter()
        .find(|s| under(&error.field, &s.path) || under(&error.field, &s.made));
    if let Some(setting) = guilty {
        error.field = format!("{} ({})", setting.variable, error.field);
    }
    error
}

fn put(table: &mut Table, variable: &str, value: Value) -> Result<Setting, ConfigError> {
    let keys: Vec<&str> = variable[PREFIX.len()..].split("__").collect();
    let Some((last, parents)) = keys.split_last().filter(|_| keys.iter().all(|key| !key.is_empty())) else {
        return Err(ConfigError::of(
            variable,
            "has an empty key",
            "keys parted by two underscores, for example HUBWARD__hubs__main__workload_egress",
        ));
    };
    let mut at = table;
    let mut path: Vec<String> = Vec::new();
    let mut made = None;
    for key in parents {
        let key = known_key(at, key);
        path.push(key.clone());
        if !at.contains_key(&key) {
            made.get_or_insert_with(|| path.join("."));
        }
        let next = at.entry(key).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(next) = next else {
            return Err(ConfigError::of(
                variable,
                format!("{} holds no further keys", path.join(".")),
                "a setting for the whole value; a list is given in brackets",
            ));
        };
        at = next;
    }
    let key = known_key(at, last);
    path.push(key.clone());
    at.insert(key, value);
    let path = path.join(".");
    Ok(Setting {
        variable: variable.to_owned(),
        made: made.unwrap_or_else(|| path.clone()),
        path,
    })
}

/// The key as it stands in the table. Names of settings know no dashes in Azure and some tools write them in capitals, so
/// `HUBWARD__HUBS__WEST_EUROPE` finds `hubs.west-europe`.
fn known_key(table: &Table, key: &str) -> String {
    let folded = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let found = table.keys().find(|known| folded(known) == folded(key));
    found.cloned().unwrap_or_else(|| key.to_ascii_lowercase())
}

/// A TOML number, boolean or list if the text is one, otherwise the text itself.
fn read(text: &str) -> Value {
    match text.trim().parse::<Value>() {
        Ok(value @ (Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Array(_))) => {
            value
        }
        Ok(Value::Datetime(_) | Value::Table(_)) | Err(_) => Value::String(text.to_owned()),
    }
}
