//! Log records for the Functions host: standard output, one line per record, level first, no colour.
//!
//! The host turns each line into one record, gives it neither level nor invocation id, and logs standard error as Error
//! [functions-host: `Host.Function.Console`], so a line carries both itself and control characters in it are escaped.
//! A bad `RUST_LOG` falls back to the default filter and says so; logging never fails an invocation.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// What is logged when `RUST_LOG` is absent: our own records, and only warnings of the HTTP stack.
pub const DEFAULT_FILTER: &str =
    "info,azure_core=warn,azure_identity=warn,typespec_client_core=warn,hyper=warn,reqwest=warn";

/// Sends the records of this process to standard output. Called once, by `main`.
///
/// `rust_log` is the value of `RUST_LOG`. If a subscriber is already installed, that one stays.
pub fn init(rust_log: Option<&str>) {
    let (filter, refused) = filter(rust_log);
    let installed = tracing::subscriber::set_global_default(subscriber(filter, std::io::stdout));
    if let (Ok(()), Some(reason)) = (installed, refused) {
        tracing::warn!(reason, "RUST_LOG is not a filter; the default is used");
    }
}

/// The subscriber that [`init`] installs, writing to any place.
pub fn subscriber<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .event_format(OneLine)
        .with_writer(writer)
        .finish()
}

/// The filter of a value of `RUST_LOG`, and why the value was refused if it was.
#[must_use]
pub fn filter(rust_log: Option<&str>) -> (EnvFilter, Option<String>) {
    match rust_log.map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(DEFAULT_FILTER), Some(error.to_string())),
        None => (EnvFilter::new(DEFAULT_FILTER), None),
    }
}

/// `LEVEL span{fields}: target: message fields`, whatever the message holds.
struct OneLine;

impl<S, N> FormatEvent<S, N> for OneLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = format!("{} ", event.metadata().level());
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            line.push_str(span.name());
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                line.push_str(&format!("{{{fields}}}"));
            }
            line.push_str(": ");
        }
        line.push_str(event.metadata().target());
        line.push_str(": ");
        context.field_format().format_fields(Writer::new(&mut line), event)?;
        for c in line.chars() {
            if c.is_control() {
                write!(out, "{}", c.escape_default())?;
            } else {
                out.write_char(c)?;
            }
        }
        out.write_char('\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(rust_log: Option<&str>, records: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(filter(rust_log).0, move || writer.clone()), records);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_record_is_one_line_with_level_first_and_the_invocation() {
        let text = logged(None, || {
            let _span = tracing::info_span!("invocation", id = "83a33220", function = "Work").entered();
            tracing::error!(target: "hubward", body = "a\nb", "first\r\nsecond \u{1b}[31mred");
            tracing::debug!(target: "hubward", "not shown");
        });
        insta::assert_snapshot!(text, @r#"ERROR invocation{id="83a33220" function="Work"}: hubward: first\r\nsecond \x1b[31mred body="a\nb""#);
    }

    #[test]
    fn rust_log_is_respected_and_a_bad_one_falls_back() {
        let record = || tracing::info!(target: "hubward", "shown");
        assert_eq!(logged(Some("hubward=warn"), record), "");
        assert_eq!(logged(Some("hubward=info"), record), "INFO hubward: shown\n");
        assert_eq!(logged(Some("hubward=nonsense"), record), "INFO hubward: shown\n");
        assert!(filter(Some("hubward=nonsense")).1.is_some());
    }
}
