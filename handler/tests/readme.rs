//! What the README shows is what the commands print: its fenced blocks are run and compared.
//!
//! A block ```` ```console ```` holds calls, each a line `$ hubward ...`, followed by what it prints: standard output, and what
//! goes to standard error is left out. They run at the top of the repository. A block ```` ```story ```` holds a story, and the
//! block right after it its transcript. In what is expected `...` stands for what differs from run to run or was left out: within
//! a line for any text, alone on a line for any lines.
#![cfg(all(feature = "local", unix))]
#![allow(
    clippy::expect_used,
    reason = "what is missing in a function of a test fails the test"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    /// What stands behind the fence.
    kind: String,
    /// Line of the fence, counted from 1.
    line: usize,
    text: Vec<String>,
}

#[test]
fn every_command_of_the_readme_prints_what_the_readme_shows() {
    let mut ran = 0;
    for block in blocks(&readme()).iter().filter(|block| block.kind == "console") {
        for (call, expected) in calls(block) {
            let printed = run(&call);
            if let Err(line) = matches(&expected, &printed) {
                panic!(
                    "README.md:{}: `{call}`: {line}\nit prints:\n{}",
                    block.line,
                    printed.join("\n")
                );
            }
            ran += 1;
        }
    }
    assert!(ran > 0, "the README shows no command");
}

#[test]
fn every_story_of_the_readme_has_the_transcript_that_the_readme_shows() {
    let blocks = blocks(&readme());
    let stories = blocks.iter().enumerate().filter(|(_, block)| block.kind == "story");
    for (index, story) in stories {
        let told = hubward::cli::story("README.md", &story.text.join("\n"), 1);
        let told = told.unwrap_or_else(|error| panic!("README.md:{}: {error}", story.line));
        let printed: Vec<String> = told.transcript.lines().map(str::to_owned).collect();
        let Some(shown) = blocks.get(index + 1) else {
            panic!("README.md:{}: the story has no transcript", story.line)
        };
        if let Err(line) = matches(&shown.text, &printed) {
            panic!("README.md:{}: {line}\nit says:\n{}", shown.line, told.transcript);
        }
        assert_eq!(told.broken, None, "README.md:{}", story.line);
    }
}

#[test]
fn no_command_of_the_readme_is_left_unchecked() {
    for block in blocks(&readme()).iter().filter(|block| block.kind != "console") {
        let unchecked = block.text.iter().find(|line| line.starts_with("$ hubward"));
        assert_eq!(unchecked, None, "README.md:{}: the block is no console", block.line);
    }
}

#[test]
fn dots_stand_for_what_differs() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (expected, printed) in [
        ("a\nb", "a\nb"),
        ("a ... c", "a b c"),
        ("...\nc", "a\nb\nc"),
        ("a\n...", "a\nb\nc"),
        ("a\n...\nb", "a\nb"),
        ("... s", "1.2 s"),
    ] {
        assert_eq!(matches(&lines(expected), &lines(printed)), Ok(()), "{expected:?}");
    }
    for (expected, printed) in [
        ("a\nb", "a\nc"),
        ("a", "a\nb"),
        ("a\nb", "a"),
        ("a ... c", "a b d"),
        ("...\nd", "a\nb\nc"),
        ("...a", "ab"),
    ] {
        assert!(matches(&lines(expected), &lines(printed)).is_err(), "{expected:?}");
    }
}

/// The blocks between fences.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                open = Some(Block {
                    kind: kind.trim().to_owned(),
                    line: index + 1,
                    text: Vec::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text.push(line.to_owned()),
            (None, None) => {}
        }
    }
    assert_eq!(open, None, "the README has a fence that is not closed");
    blocks
}

/// Each call of a block with what follows it.
fn calls(block: &Block) -> Vec<(String, Vec<String>)> {
    let mut calls: Vec<(String, Vec<String>)> = Vec::new();
    for line in &block.text {
        match (line.strip_prefix("$ "), calls.last_mut()) {
            (Some(call), _) => calls.push((call.to_owned(), Vec::new())),
            (None, Some((_, expected))) => expected.push(line.clone()),
            (None, None) => panic!("README.md:{}: a console begins with `$ hubward`", block.line),
        }
    }
    calls
}

/// What a call prints on standard output.
fn run(call: &str) -> Vec<String> {
    let mut words = call.split_whitespace();
    assert_eq!(words.next(), Some("hubward"), "`{call}` is no command of Hubward");
    let output = Command::new(env!("CARGO_BIN_EXE_hubward"))
        .args(words)
        .env_clear()
        .env("TMPDIR", std::env::temp_dir())
        .current_dir(top())
        .output()
        .expect("the executable starts");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Compares from both sides of each line `...`.
fn matches(expected: &[String], printed: &[String]) -> Result<(), String> {
    let Some((first, rest)) = expected.split_first() else {
        return match printed.first() {
            None => Ok(()),
            Some(line) => Err(format!("{line:?} is not shown")),
        };
    };
    if first.trim() == "..." {
        // Any number of lines may be left out here.
        let fits = (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]).is_ok());
        return if fits {
            Ok(())
        } else {
            Err(format!("what follows `...` is not printed: {rest:?}"))
        };
    }
    match printed.split_first() {
        Some((line, others)) if fits(first.trim_end(), line.trim_end()) => matches(rest, others),
        Some((line, _)) => Err(format!("{first:?} is shown, {line:?} is printed")),
        None => Err(format!("{first:?} is not printed")),
    }
}

/// True if the line is as shown, where `...` is any text.
fn fits(shown: &str, line: &str) -> bool {
    match shown.split_once("...") {
        None => shown == line,
        Some((start, rest)) => line.strip_prefix(start).is_some_and(|left| {
            let mut ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
            ends.any(|at| fits(rest, &left[at..]))
        }),
    }
}

fn readme() -> String {
    std::fs::read_to_string(top().join("README.md")).expect("the README")
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
