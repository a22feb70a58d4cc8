//! host.json, as far as a custom handler and the imitated triggers need it, with the app settings laid over it.
//!
//! Unknown members are left alone, as the host does. What would make the real host refuse, or what this stand-in cannot
//! imitate (proxying, generated http functions), is an error at start.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::app_settings::AppSettings;
use crate::error::HostError;
use crate::time_span;

/// Flex, Premium and Dedicated plans: 30 minutes when host.json says nothing.
const DEFAULT_FUNCTION_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// `HttpWorkerOptions.InitializationTimeout`; the documentation says 60 s, the code 30 s.
const DEFAULT_INITIALIZATION_TIMEOUT: Duration = Duration::from_secs(30);

/// What host.json says.
#[derive(Debug, Clone)]
pub(crate) struct HostJson {
    /// Azure time one invocation may take; `None` is unbounded (`-1`).
    pub(crate) function_timeout: Option<Duration>,
    pub(crate) worker: WorkerDescription,
    /// `enableForwardingHttpRequest`.
    pub(crate) forwards_http: bool,
    /// `extensions.http.routePrefix`, without slashes around it.
    pub(crate) route_prefix: String,
    pub(crate) queues: QueueSettings,
}

/// How to start the handler.
#[derive(Debug, Clone)]
pub(crate) struct WorkerDescription {
    /// A path, or a name to be found on PATH.
    pub(crate) executable: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) working_directory: PathBuf,
    /// A fixed port instead of a free one.
    pub(crate) port: Option<u16>,
    /// Wall time.
    pub(crate) initialization_timeout: Duration,
}

/// `extensions.queues`; durations are Azure time.
#[derive(Debug, Clone)]
pub(crate) struct QueueSettings {
    pub(crate) batch_size: usize,
    pub(crate) new_batch_threshold: usize,
    pub(crate) max_dequeue_count: i64,
    pub(crate) visibility_timeout: Duration,
    pub(crate) max_polling_interval: Duration,
    pub(crate) base64: bool,
}

/// Reads `<root>/host.json`.
pub(crate) fn load(root: &Path, settings: &AppSettings) -> Result<HostJson, HostError> {
    let path = root.join("host.json");
    let text = std::fs::read_to_string(&path).map_err(|source| HostError::Unreadable { path, source })?;
    let mut document: Value =
        serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| invalid(error.to_string()))?;
    settings.override_host_json(&mut document);
    if document["version"].as_str() != Some("2.0") {
        return Err(invalid("version must be \"2.0\""));
    }
    refuse_what_is_not_imitated(&document)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(HostJson {
        function_timeout: function_timeout(&document["functionTimeout"])?,
        worker: worker(root, &document["customHandler"], settings)?,
        forwards_http: document["customHandler"]["enableForwardingHttpRequest"]
            .as_bool()
            .unwrap_or(false),
        route_prefix: document["extensions"]["http"]["routePrefix"]
            .as_str()
            .unwrap_or("api")
            .trim_matches('/')
            .to_owned(),
        queues: queues(&document["extensions"]["queues"], cores)?,
    })
}

fn refuse_what_is_not_imitated(document: &Value) -> Result<(), HostError> {
    let refuse = |feature: &str| {
        Err(HostError::UnsupportedFeature {
            place: "host.json".to_owned(),
            feature: feature.to_owned(),
        })
    };
    let handler = &document["customHandler"];
    if handler["enableProxyingHttpRequest"].as_bool() == Some(true) {
        return refuse("customHandler.enableProxyingHttpRequest");
    }
    if handler["http"].is_object() {
        return refuse("customHandler.http");
    }
    if !document["httpWorker"].is_null() && handler.is_null() {
        return refuse("the deprecated section httpWorker");
    }
    if document["configurationProfile"]
        .as_str()
        .is_some_and(|profile| !matches!(profile, "" | "default"))
    {
        return refuse("configurationProfile");
    }
    if !document["retry"].is_null() {
        return refuse("retry");
    }
    Ok(())
}

fn function_timeout(value: &Value) -> Result<Option<Duration>, HostError> {
    if value.is_null() {
        return Ok(Some(DEFAULT_FUNCTION_TIMEOUT));
    }
    if value.as_str() == Some("-1") || value.as_i64() == Some(-1) {
        return Ok(None);
    }
    let timeout = span(value, "functionTimeout")?;
    if timeout < Duration::from_secs(1) {
        return Err(invalid("functionTimeout must be at least 00:00:01"));
    }
    Ok(Some(timeout))
}

fn worker(root: &Path, handler: &Value, settings: &AppSettings) -> Result<WorkerDescription, HostError> {
    let description = &handler["description"];
    let Some(executable) = description["defaultExecutablePath"]
        .as_str()
        .filter(|path| !path.is_empty())
    else {
        return Err(invalid("customHandler.description.defaultExecutablePath is required"));
    };
    // Relative to workerDirectory; taken as a path only if that file exists, otherwise left as a command for PATH.
    let base = root.join(description["workerDirectory"].as_str().unwrap_or_default());
    let joined = base.join(settings.expand(executable));
    let executable = if joined.is_file() {
        joined
    } else {
        PathBuf::from(settings.expand(executable))
    };
    let mut words = strings(
        &description["arguments"],
        "customHandler.description.arguments",
        settings,
    )?;
    if let Some(path) = description["defaultWorkerPath"]
        .as_str()
        .filter(|path| !path.is_empty())
    {
        words.push(format!("\"{path}\""));
    }
    words.extend(strings(
        &description["workerArguments"],
        "customHandler.description.workerArguments",
        settings,
    )?);
    Ok(WorkerDescription {
        executable,
        arguments: split_command_line(&words.join(" ")),
        working_directory: root.join(description["workingDirectory"].as_str().unwrap_or_default()),
        port: handler["port"]
            .as_u64()
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port != 0),
        initialization_timeout: span_or(
            &handler["initializationTimeout"],
            "customHandler.initializationTimeout",
            DEFAULT_INITIALIZATION_TIMEOUT,
        )?,
    })
}

/// An array of strings, or one string (an app setting) that holds such an array as JSON.
fn strings(value: &Value, field: &str, settings: &AppSettings) -> Result<Vec<String>, HostError> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let parsed: Option<Vec<String>> = match value.as_str() {
        Some(text) => serde_json::from_str(&settings.expand(text)).ok(),
        None => serde_json::from_value(value.clone()).ok(),
    };
    let words = parsed.ok_or_else(|| invalid(format!("{field} must be an array of strings")))?;
    Ok(words.iter().map(|word| settings.expand(word)).collect())
}

/// Splits as .NET does on Unix: at white space, double quotes keep it, a backslash before a quote makes it literal.
fn split_command_line(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'"') => {
                word.extend(chars.next());
                begun = true;
            }
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            c if c.is_whitespace() && !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

fn queues(section: &Value, cores: usize) -> Result<QueueSettings, HostError> {
    let number = |field: &str, default: u64, range: std::ops::RangeInclusive<u64>| {
        let value = &section[field];
        let given = if value.is_null() { Some(default) } else { value.as_u64() };
        given.filter(|n| range.contains(n)).ok_or_else(|| {
            invalid(format!(
                "extensions.queues.{field} must be a number from {} to {}",
                range.start(),
                range.end()
            ))
        })
    };
    let duration =
        |field: &str, default: Duration| span_or(&section[field], &format!("extensions.queues.{field}"), default);
    let batch_size = number("batchSize", 16, 1..=32)?;
    // Unset: (batchSize / 2) * processor count, from QueuesOptions.
    let threshold = number("newBatchThreshold", (batch_size / 2) * cores as u64, 0..=1_000_000)?;
    let max_polling_interval = duration("maxPollingInterval", Duration::from_secs(60))?;
    if max_polling_interval < crate::queue::MIN_POLLING_INTERVAL {
        return Err(invalid(
            "extensions.queues.maxPollingInterval must be at least 00:00:00.1",
        ));
    }
    Ok(QueueSettings {
        batch_size: batch_size as usize,
        new_batch_threshold: threshold as usize,
        max_dequeue_count: number("maxDequeueCount", 5, 1..=1_000_000)? as i64,
        visibility_timeout: duration("visibilityTimeout", Duration::ZERO)?,
        max_polling_interval,
        base64: match section["messageEncoding"]
            .as_str()
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            None | Some("base64") => true,
            Some("none") => false,
            Some(other) => return Err(invalid(format!("extensions.queues.messageEncoding is {other:?}"))),
        },
    })
}

fn span_or(value: &Value, field: &str, default: Duration) -> Result<Duration, HostError> {
    if value.is_null() {
        Ok(default)
    } else {
        span(value, field)
    }
}

fn span(value: &Value, field: &str) -> Result<Duration, HostError> {
    value
        .as_str()
        .and_then(time_span::parse)
        .ok_or_else(|| invalid(format!("{field} is {value}, expected a text such as \"00:05:00\"")))
}

fn invalid(reason: impl Into<String>) -> HostError {
    HostError::HostJson { reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn load_document(document: &Value, env: &[(&str, &str)]) -> Result<HostJson, HostError> {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("host.json"), document.to_string()).unwrap();
        std::fs::write(root.path().join("here"), "").unwrap();
        let env: Vec<_> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        load(root.path(), &AppSettings::new(&env))
    }

    fn minimal() -> Value {
        json!({"version": "2.0", "customHandler": {"description": {"defaultExecutablePath": "here"}}})
    }

    #[test]
    fn a_relative_executable_is_a_path_only_if_the_file_exists() {
        assert!(
            load_document(&minimal(), &[])
                .unwrap()
                .worker
                .executable
                .ends_with("here")
        );
        assert!(load_document(&minimal(), &[]).unwrap().worker.executable.is_absolute());
        let mut document = minimal();
        document["customHandler"]["description"]["defaultExecutablePath"] = json!("elsewhere");
        assert_eq!(
            load_document(&document, &[]).unwrap().worker.executable,
            PathBuf::from("elsewhere")
        );
    }

    #[test]
    fn arguments_are_joined_without_quoting_and_split_again() {
        let mut document = minimal();
        document["customHandler"]["description"]["arguments"] = json!(["serve", "%WORDS%", "\"kept together\""]);
        let host = load_document(&document, &[("WORDS", "two words")]).unwrap();
        assert_eq!(host.worker.arguments, ["serve", "two", "words", "kept together"]);
    }

    #[test]
    fn defaults_are_those_of_the_host() {
        let host = load_document(&minimal(), &[]).unwrap();
        assert_eq!(host.function_timeout, Some(Duration::from_secs(1800)));
        assert_eq!(host.worker.initialization_timeout, Duration::from_secs(30));
        assert_eq!((host.queues.batch_size, host.queues.max_dequeue_count), (16, 5));
        assert_eq!(host.queues.max_polling_interval, Duration::from_secs(60));
        assert!(host.queues.base64 && !host.forwards_http);
        assert_eq!(host.route_prefix, "api");
    }

    #[test]
    fn what_the_host_would_refuse_is_refused_with_its_field() {
        let cases = [
            ("/functionTimeout", json!("00:00:00.5"), "functionTimeout"),
            ("/extensions", json!({"queues": {"batchSize": 33}}), "batchSize"),
            ("/version", json!("1.0"), "version"),
            ("/customHandler", json!({}), "defaultExecutablePath"),
            (
                "/customHandler/enableProxyingHttpRequest",
                json!(true),
                "enableProxyingHttpRequest",
            ),
        ];
        for (pointer, value, expected) in cases {
            let mut document = minimal();
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            document.pointer_mut(parent).unwrap()[field] = value;
            let message = load_document(&document, &[]).unwrap_err().to_string();
            assert!(message.contains(expected), "{pointer}: {message}");
        }
    }
}
