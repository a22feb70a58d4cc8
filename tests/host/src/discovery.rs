//! Finds the functions of a script root: every direct subfolder with a function.json, and nothing deeper.
//!
//! A function.json that the real host would reject disables that one function with an error in the host status, and the
//! others load. A binding that only this stand-in cannot imitate refuses the whole start instead, so that nobody
//! mistakes its silence for a passed test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::error::HostError;

/// A loaded function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Folder name, and path of its invocations.
    pub name: String,
    /// Name of the trigger binding, the key in `Data`.
    pub binding: String,
    /// What starts it.
    pub trigger: Trigger,
}

/// What starts a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// `eventGridTrigger`.
    EventGrid {
        /// One invocation per event, or per delivery.
        cardinality: Cardinality,
    },
    /// `queueTrigger`.
    Queue {
        /// `queueName`, not yet expanded.
        queue: String,
        /// Name of the app setting with the connection.
        connection: String,
        /// `dataType: binary`.
        binary: bool,
    },
    /// `timerTrigger`.
    Timer {
        /// NCRONTAB text, not yet expanded.
        schedule: String,
        /// Keeps a schedule status.
        use_monitor: bool,
        /// One run at every host start.
        run_on_startup: bool,
    },
    /// `httpTrigger`.
    Http {
        /// Route template below the prefix; the function name if the function.json has none.
        route: String,
        /// Upper-case methods; empty means all.
        methods: BTreeSet<String>,
        /// Which keys open it.
        auth: AuthLevel,
        /// Name of the `http` output binding.
        output: Option<String>,
    },
}

/// `cardinality` of an Event Grid trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    /// One event per invocation.
    One,
    /// A whole delivery per invocation.
    Many,
}

/// `authLevel` of an http trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthLevel {
    /// No key.
    Anonymous,
    /// A key of the function, the host key or the master key.
    Function,
    /// The master key.
    Admin,
}

/// All functions of a script root and why others did not load, both by name.
#[derive(Debug, Default)]
pub(crate) struct Discovered {
    pub(crate) functions: Vec<Function>,
    pub(crate) errors: BTreeMap<String, String>,
}

/// Why one function is not loaded.
enum Reject {
    Host(HostError),
    Function(String),
    Disabled,
}

/// Looks through the direct subfolders of `root`.
pub(crate) fn discover(root: &Path) -> Result<Discovered, HostError> {
    let unreadable = |source| HostError::Unreadable {
        path: root.to_owned(),
        source,
    };
    let mut folders = BTreeSet::new();
    for entry in std::fs::read_dir(root).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.join("function.json").is_file() {
            folders.insert(path);
        }
    }
    let mut found = Discovered::default();
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match load(&name, &folder.join("function.json")) {
            Ok(function) => found.functions.push(function),
            Err(Reject::Host(error)) => return Err(error),
            Err(Reject::Function(reason)) => drop(found.errors.insert(name, reason)),
            Err(Reject::Disabled) => {}
        }
    }
    Ok(found)
}

fn load(name: &str, path: &Path) -> Result<Function, Reject> {
    if !is_function_name(name) {
        return Err(Reject::Function(format!("'{name}' is not a valid function name.")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| Reject::Function(error.to_string()))?;
    let document: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| Reject::Function(format!("Unable to parse function.json: {error}")))?;
    if document["disabled"].as_bool() == Some(true) {
        return Err(Reject::Disabled);
    }
    if !document["retry"].is_null() {
        return Err(unsupported_feature(name, "retry"));
    }
    let bindings = document["bindings"].as_array().map(Vec::as_slice).unwrap_or_default();
    refuse_equal_names(bindings)?;
    let (triggers, others): (Vec<_>, Vec<_>) = bindings.iter().partition(is_trigger);
    let [trigger] = triggers.as_slice() else {
        return Err(Reject::Function(format!(
            "A function needs exactly one trigger binding, {name} has {}.",
            triggers.len()
        )));
    };
    Ok(Function {
        name: name.to_owned(),
        binding: text_of(trigger, "name").unwrap_or_default(),
        trigger: trigger_of(name, trigger, &others)?,
    })
}

/// `^[a-z][a-z0-9_\-]{0,127}$` without case, and not `host`.
fn is_function_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        && !name.eq_ignore_ascii_case("host")
}

fn refuse_equal_names(bindings: &[Value]) -> Result<(), Reject> {
    let mut seen = BTreeSet::new();
    for binding in bindings {
        let name = text_of(binding, "name").unwrap_or_default();
        if name.is_empty() {
            return Err(Reject::Function("A binding has no name.".to_owned()));
        }
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(Reject::Function(format!(
                "Multiple bindings with name '{name}' discovered."
            )));
        }
    }
    Ok(())
}

fn is_trigger(binding: &&Value) -> bool {
    text_of(binding, "type").is_some_and(|kind| kind.to_ascii_lowercase().ends_with("trigger"))
}

fn trigger_of(function: &str, binding: &Value, others: &[&Value]) -> Result<Trigger, Reject> {
    let kind = text_of(binding, "type").unwrap_or_default().to_ascii_lowercase();
    let outputs = if kind == "httptrigger" {
        http_output(function, others)?
    } else {
        no_others(function, others)?
    };
    match kind.as_str() {
        "eventgridtrigger" => Ok(Trigger::EventGrid {
            cardinality: cardinality(binding)?,
        }),
        "queuetrigger" => Ok(Trigger::Queue {
            queue: required(binding, "queueName")?,
            connection: text_of(binding, "connection")
                .filter(|c| !c.is_empty())
                .unwrap_or_else(|| "AzureWebJobsStorage".to_owned()),
            binary: text_of(binding, "dataType").is_some_and(|kind| kind.eq_ignore_ascii_case("binary")),
        }),
        "timertrigger" => Ok(Trigger::Timer {
            schedule: required(binding, "schedule")?,
            use_monitor: binding["useMonitor"].as_bool().unwrap_or(true),
            run_on_startup: binding["runOnStartup"].as_bool().unwrap_or(false),
        }),
        "httptrigger" => Ok(Trigger::Http {
            route: text_of(binding, "route")
                .filter(|r| !r.is_empty())
                .unwrap_or_else(|| function.to_owned()),
            methods: methods(binding),
            auth: auth(binding)?,
            output: outputs,
        }),
        _ => Err(unsupported_binding(function, binding)),
    }
}

fn http_output(function: &str, others: &[&Value]) -> Result<Option<String>, Reject> {
    let mut output = None;
    for other in others {
        let is_http = text_of(other, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("http"));
        let is_out = text_of(other, "direction").is_some_and(|direction| direction.eq_ignore_ascii_case("out"));
        if !(is_http && is_out) || output.is_some() {
            return Err(unsupported_binding(function, other));
        }
        output = text_of(other, "name");
    }
    Ok(output)
}

fn no_others(function: &str, others: &[&Value]) -> Result<Option<String>, Reject> {
    others
        .first()
        .map_or(Ok(None), |other| Err(unsupported_binding(function, other)))
}

fn cardinality(binding: &Value) -> Result<Cardinality, Reject> {
    match text_of(binding, "cardinality")
        .map(|text| text.to_ascii_lowercase())
        .as_deref()
    {
        None | Some("one") => Ok(Cardinality::One),
        Some("many") => Ok(Cardinality::Many),
        Some(other) => Err(Reject::Function(format!(
            "cardinality '{other}' is neither one nor many."
        ))),
    }
}

fn methods(binding: &Value) -> BTreeSet<String> {
    let listed = binding["methods"].as_array().map(Vec::as_slice).unwrap_or_default();
    listed
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_ascii_uppercase)
        .collect()
}

fn auth(binding: &Value) -> Result<AuthLevel, Reject> {
    match text_of(binding, "authLevel")
        .map(|text| text.to_ascii_lowercase())
        .as_deref()
    {
        Some("anonymous") => Ok(AuthLevel::Anonymous),
        None | Some("function") => Ok(AuthLevel::Function),
        Some("admin") => Ok(AuthLevel::Admin),
        Some(other) => Err(Reject::Function(format!("authLevel '{other}' is unknown."))),
    }
}

fn required(binding: &Value, field: &str) -> Result<String, Reject> {
    text_of(binding, field)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Reject::Function(format!("The trigger binding has no {field}.")))
}

fn text_of(binding: &Value, field: &str) -> Option<String> {
    binding[field].as_str().map(str::to_owned)
}

fn unsupported_binding(function: &str, binding: &Value) -> Reject {
    Reject::Host(HostError::UnsupportedBinding {
        function: function.to_owned(),
        kind: text_of(binding, "type").unwrap_or_default(),
        direction: text_of(binding, "direction").unwrap_or_else(|| "no direction".to_owned()),
    })
}

fn unsupported_feature(function: &str, feature: &str) -> Reject {
    Reject::Host(HostError::UnsupportedFeature {
        place: format!("{function}/function.json"),
        feature: feature.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    const EVENT: &str = r#"{"bindings":[{"type":"eventGridTrigger","direction":"in","name":"event"}]}"#;

    #[test]
    fn only_direct_subfolders_are_functions() {
        let root = root(&[
            ("One/function.json", EVENT),
            ("functions/Two/function.json", EVENT),
            ("notes/readme", ""),
        ]);
        let found = discover(root.path()).unwrap();
        assert_eq!(
            found.functions.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(),
            ["One"]
        );
        assert!(found.errors.is_empty());
    }

    #[test]
    fn a_bad_function_json_disables_that_function_alone() {
        let two = r#"{"bindings":[{"type":"timerTrigger","name":"a","schedule":"* * * * * *"},{"type":"queueTrigger","name":"b","queueName":"q"}]}"#;
        let same = r#"{"bindings":[{"type":"httpTrigger","direction":"in","name":"req"},{"type":"http","direction":"out","name":"REQ"}]}"#;
        let root = root(&[
            ("Good/function.json", EVENT),
            ("TwoTriggers/function.json", two),
            ("SameNames/function.json", same),
            ("Broken/function.json", "{"),
            ("9lives/function.json", EVENT),
            ("host/function.json", EVENT),
        ]);
        let found = discover(root.path()).unwrap();
        assert_eq!(found.functions.len(), 1);
        insta::assert_json_snapshot!(found.errors, @r#"
        {
          "9lives": "'9lives' is not a valid function name.",
          "Broken": "Unable to parse function.json: EOF while parsing an object at line 1 column 1",
          "SameNames": "Multiple bindings with name 'REQ' discovered.",
          "TwoTriggers": "A function needs exactly one trigger binding, TwoTriggers has 2.",
          "host": "'host' is not a valid function name."
        }
        "#);
    }

    #[test]
    fn a_binding_that_is_not_imitated_refuses_the_start_by_name() {
        let blob = r#"{"bindings":[{"type":"blobTrigger","direction":"in","name":"b","path":"in/{name}"}]}"#;
        let output = r#"{"bindings":[{"type":"queueTrigger","direction":"in","name":"m","queueName":"q"},{"type":"queue","direction":"out","name":"n","queueName":"n"}]}"#;
        for (text, kind) in [(blob, "blobTrigger"), (output, "queue (out)")] {
            let root = root(&[("Odd/function.json", text)]);
            let message = discover(root.path()).unwrap_err().to_string();
            assert!(message.contains("Odd") && message.contains(kind), "{message}");
        }
    }
}
