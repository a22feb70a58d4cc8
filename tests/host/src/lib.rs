//! A stand-in for the Azure Functions host v4, for local runs and tests of an app with a custom handler.
//!
//! It knows nothing but a script root (`host.json`, `*/function.json`, the executable) and speaks to the handler the way
//! the real host does on the wire: double-encoded payloads, start-up probe, SIGKILL without warning, three failed starts
//! and out. It contacts loopback addresses only; whatever it cannot imitate it refuses at start, so that an app never
//! runs against a host that silently does less. It is written from the host's public sources and two public captures,
//! not tested against the real host.

mod app_settings;
mod clock;
mod console;
mod discovery;
mod draws;
mod encoding;
mod error;
mod front;
mod host;
mod host_json;
mod http_client;
mod invoker;
mod options;
mod payload;
mod queue;
mod reply;
mod supervisor;
mod tasks;
mod time_span;
mod timer;

pub use discovery::{AuthLevel, Cardinality, Function, Trigger};
pub use error::HostError;
pub use host::{Host, start};
pub use options::{HostOptions, Keys, Level, LogLine, LogSource};
pub use supervisor::Restarts;
pub use timer::Schedule;

/// The version this stand-in imitates and sends in `X-Azure-Functions-HostVersion` and `User-Agent`.
pub const HOST_VERSION: &str = "4.1037.0.0";
