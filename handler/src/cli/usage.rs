//! Wrong commands and options: one line that names the word at fault and what is allowed.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::tell;

/// Prints help and version as asked for; anything else as one line, with exit code 2.
pub(super) fn explain(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A closed pipe is the reader's choice.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    tell(&line(error));
    ExitCode::from(2)
}

fn line(error: &clap::Error) -> String {
    let text = error.to_string();
    let what = text
        .lines()
        .find(|l| !l.trim().is_empty())
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned();
    let mut line = if matches!(
        error.kind(),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand
    ) {
        "a command is missing".to_owned()
    } else {
        what
    };
    let allowed = allowed(error);
    line.push_str("; ");
    line.push_str(&allowed);
    line
}

fn allowed(error: &clap::Error) -> String {
    let values = [ContextKind::ValidValue, ContextKind::ValidSubcommand]
        .into_iter()
        .find_map(|kind| error.get(kind));
    match values {
        Some(ContextValue::Strings(words)) if !words.is_empty() => format!("allowed: {}", words.join(", ")),
        _ => match error.kind() {
            ErrorKind::InvalidSubcommand
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                format!("allowed: {}", commands().join(", "))
            }
            ErrorKind::UnknownArgument => format!("allowed: {}", options().join(", ")),
            _ => "hubward help shows what is allowed".to_owned(),
        },
    }
}

fn commands() -> Vec<String> {
    let command = <super::Arguments as clap::CommandFactory>::command();
    command
        .get_subcommands()
        .filter(|c| !c.is_hide_set())
        .map(|c| c.get_name().to_owned())
        .collect()
}

/// All options of all commands; an unknown one is named together with those that exist.
fn options() -> Vec<String> {
    let command = <super::Arguments as clap::CommandFactory>::command();
    let mut options: Vec<String> = command
        .get_subcommands()
        .filter(|c| !c.is_hide_set())
        .flat_map(clap::Command::get_arguments)
        .filter_map(|a| a.get_long().map(|name| format!("--{name}")))
        .collect();
    options.sort();
    options.dedup();
    options.push("--help".to_owned());
    options
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Arguments;

    fn refused(words: &[&str]) -> String {
        let words = std::iter::once("hubward").chain(words.iter().copied());
        line(&Arguments::try_parse_from(words).unwrap_err())
    }

    #[test]
    fn wrong_words_are_told_on_one_line_with_what_is_allowed() {
        for words in [
            &["lokal"][..],
            &["local", "--cluster", "1"],
            &["local", "--clusters", "many"],
            &[],
        ] {
            let line = refused(words);
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(line.contains("allowed"), "{line}");
        }
        assert!(refused(&["lokal"]).contains("'lokal'"));
        assert!(refused(&["lokal"]).contains("local"));
        assert!(refused(&["local", "--cluster", "1"]).contains("--clusters"));
        assert!(refused(&["local", "--clusters", "many"]).contains("--clusters"));
    }
}
