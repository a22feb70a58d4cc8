//! What a caller says when it starts a host, and what the host tells back line by line.
//!
//! Plain data: nothing here opens, reads or judges anything. A log line that nobody receives any more is dropped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::sync::mpsc::UnboundedSender;

use crate::draws::Draws;

/// How to run one script root.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The folder with `host.json`, one folder per function, and the executable.
    pub script_root: PathBuf,
    /// App settings, added to the inherited environment of the handler; the last of two equal names wins.
    pub env: Vec<(String, String)>,
    /// Azure seconds per wall second. Poll intervals, leases, timers and `functionTimeout` are Azure seconds; only
    /// `customHandler.initializationTimeout` is wall time, because a process starts no faster in a faster simulation.
    pub time_scale: f64,
    /// Seeds invocation ids, trace ids and poll jitter.
    pub seed: u64,
    /// Where the host listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The secrets of the host's own endpoints.
    pub keys: Keys,
    /// Receives every log line of host, functions and handler.
    pub log: UnboundedSender<LogLine>,
}

/// Keys of a function app. The host compares them, never prints them.
#[derive(Clone, Default)]
pub struct Keys {
    /// System key of the Event Grid extension, the `code` of its webhook.
    pub eventgrid_extension: String,
    /// `_master`: opens everything, and alone opens `/admin`.
    pub master: String,
    /// The host key `default`: opens every function of level `function`.
    pub host_default: String,
    /// Function keys by function name: each opens its one function.
    pub functions: BTreeMap<String, String>,
}

impl Keys {
    /// Keys drawn from a seed, 40 hexadecimal digits each, without function keys.
    pub fn from_seed(seed: u64) -> Self {
        let draws = Draws::new(seed);
        Self {
            eventgrid_extension: draws.hex(20),
            master: draws.hex(20),
            host_default: draws.hex(20),
            functions: BTreeMap::new(),
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("functions", &self.functions.keys())
            .finish_non_exhaustive()
    }
}

/// One line for whoever watches the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Who said it.
    pub source: LogSource,
    /// How loud.
    pub level: Level,
    /// The line, without its line end.
    pub text: String,
}

/// Who wrote a log line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogSource {
    /// The host itself.
    Host,
    /// `Logs` of a successful invocation of this function (category `Function.<Name>.User`).
    Function(String),
    /// A line the handler wrote to stdout (category `Host.Function.Console`).
    HandlerStdout,
    /// A line the handler wrote to stderr (same category).
    HandlerStderr,
    /// A handler line that starts `LanguageWorkerConsoleLog`: Azure's system log, invisible to the app's owner.
    System,
    /// A handler line that starts `azfuncjsonlog:`: meant for tooling.
    Tooling,
}

/// Level of a log line, as Application Insights would show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Details of the host's own working.
    Debug,
    /// Normal course of events.
    Information,
    /// Something to look at.
    Warning,
    /// Something failed.
    Error,
}

/// The sending end of the log, shared by everything in the host.
#[derive(Debug, Clone)]
pub(crate) struct Log(UnboundedSender<LogLine>);

impl Log {
    pub(crate) fn new(sender: UnboundedSender<LogLine>) -> Self {
        Self(sender)
    }

    pub(crate) fn host(&self, level: Level, text: impl Into<String>) {
        self.line(LogSource::Host, level, text);
    }

    pub(crate) fn line(&self, source: LogSource, level: Level, text: impl Into<String>) {
        // A closed receiver means that nobody watches; the host works on.
        let _ = self.0.send(LogLine {
            source,
            level,
            text: text.into(),
        });
    }
}
