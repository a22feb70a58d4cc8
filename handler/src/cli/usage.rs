//! Wrong commands and options: one line that names the word at fault and what is allowed.
//!
//! clap knows what is wrong; its own text has several lines and names Rust types, so the line is put together here from the
//! parts it gives. It repairs nothing: no word is guessed, the nearest one is only named.

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::tell;

/// Prints help and version as asked for; anything else as one line, with exit code 2. `words` is the whole command line.
pub(super) fn explain(error: &clap::Error, words: &[OsString]) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A closed pipe is the reader's choice.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    tell(&line(error, words));
    ExitCode::from(2)
}

/// The one line about a wrong word.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "clap's kinds may grow; the rest is told in clap's own words"
)]
pub(super) fn line(error: &clap::Error, words: &[OsString]) -> String {
    let command = command_of(words);
    let argument = || word(error, ContextKind::InvalidArg).unwrap_or_default();
    let value = word(error, ContextKind::InvalidValue).filter(|value| !value.is_empty());
    let (what, allowed) = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let wrong = word(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            let near = near(error, ContextKind::SuggestedSubcommand);
            (format!("{wrong:?} is not a command{near}"), commands())
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            ("a command is missing".to_owned(), commands())
        }
        ErrorKind::UnknownArgument if !argument().starts_with('-') => {
            (format!("{:?} is a word too many", argument()), usage_of(&command))
        }
        ErrorKind::UnknownArgument => {
            let near = near(error, ContextKind::SuggestedArg);
            let what = format!(
                "{:?} is not an option of {}{near}",
                argument(),
                command.get_bin_name().unwrap_or("hubward")
            );
            (what, options(&command))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::NoEquals => {
            let name = option_name(&argument());
            let what = match value {
                Some(value) => format!("{name} is {value:?}"),
                None => format!("{name} has no value"),
            };
            (what, value_allowed(error, &command, &name))
        }
        ErrorKind::ArgumentConflict => (
            format!("{} is given twice", option_name(&argument())),
            "once".to_owned(),
        ),
        ErrorKind::MissingRequiredArgument => (format!("{} is missing", argument()), usage_of(&command)),
        ErrorKind::TooManyValues | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            let name = option_name(&argument());
            let allowed = value_allowed(error, &command, &name);
            (format!("{name} has the wrong number of values"), allowed)
        }
        ErrorKind::InvalidUtf8 => ("a word is not Unicode".to_owned(), "text in UTF-8".to_owned()),
        _ => (clap_says(error), usage_of(&command)),
    };
    format!("{what}; allowed: {allowed}")
}

/// The command that was meant, so that only its options are named.
fn command_of(words: &[OsString]) -> clap::Command {
    let mut all = super::Arguments::command();
    all.build();
    let named = words.iter().skip(1).find_map(|word| all.find_subcommand(word).cloned());
    named.unwrap_or(all)
}

/// The text of a part of the error; several texts are joined.
#[expect(clippy::wildcard_enum_match_arm, reason = "no other part holds words of a person")]
fn word(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        _ => None,
    }
}

fn near(error: &clap::Error, kind: ContextKind) -> String {
    word(error, kind).map_or(String::new(), |near| format!(" (did you mean {near}?)"))
}

/// `--seed <N>` without its placeholder.
fn option_name(argument: &str) -> String {
    argument.split_whitespace().next().unwrap_or_default().to_owned()
}

/// What an option takes: as its parser says, else as its usage shows.
fn value_allowed(error: &clap::Error, command: &clap::Command, name: &str) -> String {
    if let Some(reason) = error.source() {
        return reason.to_string();
    }
    let option = command
        .get_arguments()
        .find(|a| a.get_long().is_some_and(|long| format!("--{long}") == name));
    match option {
        Some(option) if !option.get_action().takes_values() => format!("{name} alone"),
        Some(option) => option.to_string(),
        None => usage_of(command),
    }
}

fn usage_of(command: &clap::Command) -> String {
    let usage = command.clone().render_usage().to_string();
    usage
        .trim_start_matches("Usage:")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn clap_says(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default();
    first.trim_start_matches("error: ").to_owned()
}

fn commands() -> String {
    let all = super::Arguments::command();
    let shown: Vec<&str> = all
        .get_subcommands()
        .filter(|c| !c.is_hide_set())
        .map(clap::Command::get_name)
        .collect();
    shown.join(", ")
}

fn options(command: &clap::Command) -> String {
    let mut options: Vec<String> = command
        .get_arguments()
        .filter_map(|a| a.get_long().map(|name| format!("--{name}")))
        .collect();
    options.sort();
    options.join(", ")
}

#[cfg(test)]
#[cfg(feature = "local")]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Arguments;

    fn refused(words: &str) -> String {
        let words: Vec<OsString> = std::iter::once("hubward")
            .chain(words.split_whitespace())
            .map(OsString::from)
            .collect();
        line(&Arguments::try_parse_from(&words).unwrap_err(), &words)
    }

    #[test]
    fn wrong_words_are_told_on_one_line_with_what_is_allowed() {
        let lines: Vec<String> = [
            "",
            "lokal",
            "help lokal",
            "--nope",
            "serve --nope",
            "serve --port 1",
            "local --cluster 1",
            "local extra",
            "local --clusters 0",
            "local --clusters 201",
            "local --clusters many",
            "local --clusters=",
            "local --clusters -1",
            "local --speed 0",
            "local --seed",
            "local --seed -1",
            "local --seed 1 --seed 2",
            "local --keep=3",
            "local --json --json",
            "package",
            "package a b",
        ]
        .into_iter()
        .map(|words| {
            let line = refused(words);
            assert_eq!(line.lines().count(), 1, "{line}");
            format!("{words:24} -> {line}")
        })
        .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
