//! Turns what the handler prints into log lines, with the levels Application Insights would show.
//!
//! A custom handler's stdout is Information and its stderr Error, unless the line speaks of a warning. Bytes that are
//! not UTF-8 are replaced, never a reason to stop reading.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::options::{Level, Log, LogSource};

/// How many stderr lines the host quotes when the handler exits.
const QUOTED_ERRORS: usize = 3;

/// The last error lines of one handler process.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastErrors(Arc<Mutex<VecDeque<String>>>);

impl LastErrors {
    /// The remembered lines, joined by commas as in the host's exit message.
    pub(crate) fn joined(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect::<Vec<_>>().join(",")
    }

    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == QUOTED_ERRORS {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }
}

/// Reads one stream of the handler to its end.
pub(crate) async fn read(stream: impl AsyncRead + Unpin, source: LogSource, log: Log, errors: LastErrors) {
    let mut reader = BufReader::new(stream);
    let mut bytes = Vec::new();
    while matches!(reader.read_until(b'\n', &mut bytes).await, Ok(1..)) {
        let line = String::from_utf8_lossy(&bytes);
        let text = line.trim_end_matches(['\n', '\r']);
        if !text.is_empty() {
            let (source, level) = classify(text, &source);
            if level == Level::Error {
                errors.push(text);
            }
            log.line(source, level, text);
        }
        bytes.clear();
    }
}

fn classify(text: &str, stream: &LogSource) -> (LogSource, Level) {
    let level = match stream {
        LogSource::HandlerStderr if text.to_ascii_lowercase().contains("warn") => Level::Warning,
        LogSource::HandlerStderr => Level::Error,
        LogSource::HandlerStdout
        | LogSource::Host
        | LogSource::Function(_)
        | LogSource::System
        | LogSource::Tooling => Level::Information,
    };
    let starts = |prefix: &str| {
        text.get(..prefix.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    if starts("LanguageWorkerConsoleLog") {
        (LogSource::System, level)
    } else if starts("azfuncjsonlog:") {
        (LogSource::Tooling, level)
    } else {
        (stream.clone(), level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_get_the_levels_of_their_stream() {
        let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
        let (log, errors) = (Log::new(sender), LastErrors::default());
        let err = b"one\nWARNING two\nthree\r\n\nfour\n\xff five".as_slice();
        read(err, LogSource::HandlerStderr, log.clone(), errors.clone()).await;
        let out = b"plain\nLanguageWorkerConsoleLog hidden\nazfuncjsonlog:{}\n".as_slice();
        read(out, LogSource::HandlerStdout, log, errors.clone()).await;
        let mut seen = String::new();
        while let Ok(line) = lines.try_recv() {
            seen += &format!("{:?} {:?} {}\n", line.source, line.level, line.text);
        }
        insta::assert_snapshot!(seen, @r"
        HandlerStderr Error one
        HandlerStderr Warning WARNING two
        HandlerStderr Error three
        HandlerStderr Error four
        HandlerStderr Error � five
        HandlerStdout Information plain
        System Information LanguageWorkerConsoleLog hidden
        Tooling Information azfuncjsonlog:{}
        ");
        assert_eq!(errors.joined(), "three,four,\u{fffd} five");
    }
}
