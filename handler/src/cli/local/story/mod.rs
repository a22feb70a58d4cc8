//! `hubward local --script FILE`: a story is told to a simulated Azure and to Hubward, and its transcript says what came of each
//! line.
//!
//! A story runs in virtual time, in one process: the same app and the same functions as in Azure, no sockets, and hours pass in
//! seconds. The same story and seed give the same transcript, to the letter. Nothing runs before every line is understood. The
//! first expectation that does not hold ends the story, with the states and findings that there were.

mod by_hand;
mod commands;
mod events;
mod expectations;
mod forms;
mod help;
mod judge;
mod packets;
mod parse;
mod people;
mod run;
mod scene;
mod snapshot;
mod statements;
mod things;
mod transcript;
mod waits;
mod walks;
mod wanted;
mod words;

use std::io::Write;
use std::path::Path;

use crate::cli::{Exit, tell};
use crate::stage::StageError;

pub use help::text as help;

/// Why there is no transcript.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// The file is not there or not text.
    #[error("--script {path} cannot be read ({reason}); allowed: the path of a story, see --help-script")]
    Unreadable {
        /// As it was given.
        path: String,
        /// What the system says.
        reason: std::io::Error,
    },
    /// A line is no statement.
    #[error("{file}:{line}: {what}; allowed: {allowed}")]
    Line {
        /// The story.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
        /// What is allowed.
        allowed: String,
    },
    /// The stage itself cannot go on.
    #[error("{file}: the stage cannot go on: {error}")]
    Stage {
        /// The story.
        file: String,
        /// Why.
        error: Box<StageError>,
    },
    /// There is no runtime.
    #[error("the runtime cannot be started: {0}")]
    Runtime(#[from] std::io::Error),
}

impl StoryError {
    /// How a command ends with it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreadable { .. } | Self::Line { .. } => Exit::Usage,
            Self::Stage { .. } | Self::Runtime(_) => Exit::Broken,
        }
    }
}

/// A story that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Every line, and what came of it.
    pub transcript: String,
    /// What did not hold, as `file:line: what`; `None` if everything did.
    pub broken: Option<String>,
}

/// Tells a story. `file` is its name in errors; `seed` decides every draw. It must not be called within a runtime.
///
/// # Errors
/// [`StoryError`]; an expectation that does not hold is none, but [`Told::broken`].
pub fn story(file: &str, text: &str, seed: u64) -> Result<Told, StoryError> {
    let story = parse::parse(file, text)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(run::run(file, &story, seed))
}

/// The command: prints the transcript.
pub(super) fn tell_story(path: &Path, seed: u64) -> Exit {
    let told = std::fs::read_to_string(path)
        .map_err(|reason| StoryError::Unreadable {
            path: path.display().to_string(),
            reason,
        })
        .and_then(|text| story(&path.display().to_string(), &text, seed));
    match told {
        Ok(told) => {
            print(&told.transcript);
            match told.broken {
                None => Exit::Fine,
                Some(line) => {
                    tell(&line);
                    Exit::Broken
                }
            }
        }
        Err(error) => {
            tell(&error.to_string());
            error.exit()
        }
    }
}

/// The command: prints what can be written in a story.
pub(super) fn print_help() -> Exit {
    print(&help());
    Exit::Fine
}

/// A reader that went away changes nothing.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
