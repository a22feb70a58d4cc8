//! What a command says: results for standard output, progress for standard error.
//!
//! In a process progress is shown at once and results at the end; in a story both are kept. A reader that went away changes
//! nothing.

use std::io::Write;

use super::tell;

/// What a command says while it runs.
#[derive(Debug)]
pub struct Output {
    results: String,
    progress: String,
    /// Progress is shown at once.
    live: bool,
}

impl Output {
    /// Keeps everything.
    #[must_use]
    pub fn kept() -> Self {
        Self {
            results: String::new(),
            progress: String::new(),
            live: false,
        }
    }

    /// Shows progress on standard error at once.
    pub(super) fn live() -> Self {
        Self {
            live: true,
            ..Self::kept()
        }
    }

    /// A line of the result.
    pub fn line(&mut self, line: &str) {
        self.results.push_str(line);
        self.results.push('\n');
    }

    /// Several lines of the result, with their ends.
    pub fn text(&mut self, text: &str) {
        self.results.push_str(text);
    }

    /// The result as JSON, for machines.
    pub fn json(&mut self, value: &impl serde::Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.line(&text),
            Err(error) => self.progress(&format!("the result is not JSON: {error}")),
        }
    }

    /// A line about what goes on.
    pub fn progress(&mut self, line: &str) {
        if self.live {
            tell(line);
        } else {
            self.progress.push_str(line);
            self.progress.push('\n');
        }
    }

    /// What was kept: standard output, standard error.
    #[must_use]
    pub fn parts(self) -> (String, String) {
        (self.results, self.progress)
    }

    /// Prints the results of a process.
    pub(super) fn print(self) {
        let _ = std::io::stdout().lock().write_all(self.results.as_bytes());
    }
}
