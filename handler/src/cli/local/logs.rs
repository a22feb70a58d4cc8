//! What host and handler log, as far as a person should see it: everything with `--verbose`, otherwise each distinct error
//! once, and of failed invocations nothing, because the handler says itself what went wrong.
//!
//! It also remembers what the handler answered to events that it found not to be ours.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use host_sim::{Level, LogLine, LogSource};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use crate::cli::tell;

/// What parts a resource's name from why its event is not ours, in the handler's log.
const NOT_OURS: &str = ": not ours: ";

/// The reasons of events that were not ours, by the resource's name.
type NotOurs = Arc<Mutex<BTreeMap<String, String>>>;

/// The logs of a run. The lines end with the host.
pub(super) struct Logs {
    not_ours: NotOurs,
    _printing: JoinHandle<()>,
}

/// Chooses the lines to print, and knows which errors were told.
struct Listener {
    verbose: bool,
    told: BTreeSet<String>,
    not_ours: NotOurs,
}

impl Logs {
    /// Prints what comes from `lines` until the host is gone.
    pub(super) fn follow(mut lines: UnboundedReceiver<LogLine>, verbose: bool) -> Self {
        let not_ours = NotOurs::default();
        let mut listener = Listener {
            verbose,
            told: BTreeSet::new(),
            not_ours: Arc::clone(&not_ours),
        };
        let printing = tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                if let Some(text) = listener.hear(&line) {
                    tell(&text);
                }
            }
        });
        Self {
            not_ours,
            _printing: printing,
        }
    }

    /// Why the last event about the resource of this name was not ours, if it was not.
    pub(super) fn not_ours(&self, name: &str) -> Option<String> {
        let reasons = self.not_ours.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.get(name).cloned()
    }
}

impl Listener {
    /// The line to print, if it should be printed.
    fn hear(&mut self, line: &LogLine) -> Option<String> {
        let (who, text) = match &line.source {
            // The handler sends these with its answer and logs them itself as well.
            LogSource::Function(_) => {
                self.remember(&line.text);
                return None;
            }
            LogSource::Host => ("host", line.text.as_str()),
            LogSource::HandlerStdout | LogSource::HandlerStderr | LogSource::System | LogSource::Tooling => {
                ("app", line.text.as_str())
            }
        };
        if self.verbose {
            return Some(format!("  {who}: {text}"));
        }
        let error = match &line.source {
            LogSource::Host if line.level == Level::Error && !text.starts_with("Executed ") => text,
            LogSource::HandlerStdout => without_invocation(text.strip_prefix("ERROR ")?),
            LogSource::HandlerStderr if line.level == Level::Error => text,
            LogSource::Host
            | LogSource::HandlerStderr
            | LogSource::Function(_)
            | LogSource::System
            | LogSource::Tooling => return None,
        };
        self.told.insert(error.to_owned()).then(|| format!("  {who}: {error}"))
    }

    fn remember(&mut self, text: &str) {
        if let Some((name, reason)) = text.split_once(NOT_OURS) {
            let mut reasons = self.not_ours.lock().unwrap_or_else(PoisonError::into_inner);
            reasons.insert(name.to_owned(), reason.to_owned());
        }
    }
}

/// The message of a record of the handler: without the invocation, which makes each line different, and the module.
fn without_invocation(record: &str) -> &str {
    let record = match record.starts_with("invocation{") {
        true => record.split_once("}: ").map_or(record, |(_, rest)| rest),
        false => record,
    };
    record.split_once(": ").map_or(record, |(_, message)| message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(verbose: bool) -> (Vec<String>, NotOurs) {
        let not_ours = NotOurs::default();
        let mut listener = Listener {
            verbose,
            told: BTreeSet::new(),
            not_ours: Arc::clone(&not_ours),
        };
        let function = LogSource::Function("ClusterEvents".to_owned());
        let lines = [
            (LogSource::Host, Level::Information, "Executing 'Functions.Work' (Id=1)"),
            (
                LogSource::HandlerStdout,
                Level::Information,
                "INFO invocation{id=\"1\"}: hubward: aks-01: not ours: it is excluded",
            ),
            (function, Level::Information, "aks-01: not ours: it is excluded"),
            (
                LogSource::Host,
                Level::Error,
                "Executed 'Functions.Work' (Failed, Id=1, Duration=9ms): Timeout",
            ),
            (
                LogSource::HandlerStdout,
                Level::Information,
                "ERROR invocation{id=\"1\"}: hubward::work: it failed: why",
            ),
            (
                LogSource::HandlerStdout,
                Level::Information,
                "ERROR invocation{id=\"2\"}: hubward::work: it failed: why",
            ),
            (
                LogSource::HandlerStdout,
                Level::Information,
                "ERROR hubward: the app cannot be opened",
            ),
            (LogSource::HandlerStderr, Level::Error, "thread 'main' panicked"),
            (
                LogSource::Host,
                Level::Error,
                "Queue 'hubward-work' could not be created",
            ),
        ];
        let printed = lines
            .into_iter()
            .filter_map(|(source, level, text)| {
                let text = text.to_owned();
                listener.hear(&LogLine { source, level, text })
            })
            .collect();
        (printed, not_ours)
    }

    #[test]
    fn each_error_is_told_once_and_failed_invocations_are_not() {
        assert_eq!(
            heard(false).0,
            [
                "  app: it failed: why",
                "  app: the app cannot be opened",
                "  app: thread 'main' panicked",
                "  host: Queue 'hubward-work' could not be created",
            ]
        );
    }

    #[test]
    fn verbose_tells_everything_but_nothing_twice() {
        let (printed, _) = heard(true);
        assert_eq!(printed.len(), 8);
        assert_eq!(printed.iter().filter(|line| line.contains("not ours")).count(), 1);
    }

    #[test]
    fn the_reason_why_a_cluster_is_not_ours_is_remembered() {
        let reasons = heard(false).1.lock().unwrap().clone();
        assert_eq!(
            reasons,
            BTreeMap::from([("aks-01".to_owned(), "it is excluded".to_owned())])
        );
    }
}
