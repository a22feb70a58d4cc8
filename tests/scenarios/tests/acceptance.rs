//! Holds the documents to the code: what ACCEPTANCE.md, FOUND.md and the README say is checked must be checked somewhere.
//!
//! It reads the tree and runs nothing. A row that names a test which is gone, or a command that `tests/run` does not run, fails;
//! a row that says `open` is counted and printed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_acceptance_line_names_a_test_or_a_command_or_is_open() {
    let house = House::open();
    let rows = table(&house.read("tests/ACCEPTANCE.md"), "shown by");
    assert!(
        rows.len() > 40,
        "tests/ACCEPTANCE.md has lost its rows: {} are left",
        rows.len()
    );

    let open: Vec<String> = rows
        .iter()
        .filter(|row| row[3] == "open")
        .map(|row| row[1].clone())
        .collect();
    println!("acceptance: {} lines, {} open", rows.len(), open.len());
    for line in &open {
        println!("  open: {line}");
    }
    let wrong: Vec<String> = rows
        .iter()
        .filter(|row| row[3] != "open")
        .flat_map(|row| {
            house
                .unshown(&row[3])
                .into_iter()
                .map(|why| format!("line {}: {why}", row[1]))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "tests/ACCEPTANCE.md claims what nothing shows:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn no_acceptance_line_is_written_twice() {
    let mut seen = BTreeSet::new();
    for row in table(&House::open().read("tests/ACCEPTANCE.md"), "shown by") {
        assert!(
            seen.insert((row[0].clone(), row[1].clone())),
            "issue {} line {} is there twice",
            row[0],
            row[1]
        );
    }
}

#[test]
fn every_fault_found_is_kept_out_by_a_test() {
    let house = House::open();
    let wrong: Vec<String> = table(&house.read("tests/FOUND.md"), "kept out by")
        .iter()
        .flat_map(|row| {
            house
                .unshown(&row[3])
                .into_iter()
                .map(|why| format!("{}: {why}", row[1]))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "tests/FOUND.md names what is not there:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_readme_claims_only_what_tests_run_checks() {
    let house = House::open();
    let readme = house.read("README.md");
    let section = section(&readme, "## Check it yourself");
    let rows = table(section, "command");
    assert!(!rows.is_empty(), "the README has no table under `Check it yourself`");
    let wrong: Vec<String> = rows
        .iter()
        .flat_map(|row| {
            house
                .unshown(&row[1])
                .into_iter()
                .map(|why| format!("{}: {why}", row[0]))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "the README claims what tests/run does not check:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_sentence_of_the_readme_with_a_measure_names_its_test() {
    const MEASURES: [&str; 10] = [
        "s", "seconds", "minutes", "hours", "MB", "GiB", "writes", "reads", "clusters", "%",
    ];
    let house = House::open();
    let readme = house.read("README.md");
    let prose: Vec<&str> = readme.split("```").step_by(2).collect();
    let prose = prose.join(" ");
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let measures = |sentence: &str| {
        let words: Vec<&str> = sentence.split_whitespace().collect();
        let unit = |word: &str| MEASURES.contains(&word.trim_end_matches(['.', ',', ';', ':', ')']));
        words.windows(2).any(|pair| is_number(pair[0]) && unit(pair[1]))
    };
    let sentences = prose.split(". ").flat_map(|part| part.split('|'));
    let wrong: Vec<String> = sentences
        .filter(|sentence| measures(sentence))
        .filter(|sentence| {
            let mut names = sentence.split('`').skip(1).step_by(2);
            !names.any(|name| house.unshown(&format!("`{name}`")).is_empty())
        })
        .map(str::to_owned)
        .collect();
    assert!(wrong.is_empty(), "the README measures what no test holds: {wrong:#?}");
}

#[test]
fn every_path_that_the_readme_names_exists() {
    let house = House::open();
    let readme = house.read("README.md");
    let ours = |path: &&str| {
        ["handler/", "functions/", "tests/", "infra/"]
            .iter()
            .any(|top| path.starts_with(top))
    };
    let missing: Vec<&str> = readme
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(ours)
        .filter(|path| !path.contains("NAME") && !house.root.join(path).exists())
        .collect();
    assert!(missing.is_empty(), "the README names what is not there: {missing:?}");
}

/// The project's tree, with the names of its tests.
struct House {
    root: PathBuf,
    tests: BTreeSet<String>,
    run: String,
}

impl House {
    fn open() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut tests = BTreeSet::new();
        for folder in ["handler", "tests"] {
            collect_tests(&root.join(folder), &mut tests);
        }
        let run = read(&root.join("tests/run"));
        Self {
            root,
            tests,
            run: without_locked(&run),
        }
    }

    fn read(&self, path: &str) -> String {
        read(&self.root.join(path))
    }

    /// Why a cell shows nothing: it quotes neither a test nor a stage or command of `tests/run`.
    fn unshown(&self, cell: &str) -> Vec<String> {
        let quoted: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        if quoted.is_empty() {
            return vec![format!("{cell:?} quotes no test and no command")];
        }
        quoted
            .into_iter()
            .filter(|name| !self.tests.contains(*name) && !self.runs(name))
            .map(|name| format!("`{name}` is neither a test nor something that tests/run runs"))
            .collect()
    }

    /// True for a command on a line of `tests/run` that is not a comment, for one of its stages, and for `tests/run` itself.
    fn runs(&self, command: &str) -> bool {
        let command = without_locked(command);
        command == "./tests/run"
            || command == "./tests/run quick"
            || self
                .run
                .lines()
                .map(str::trim)
                .any(|line| !line.starts_with('#') && has_words(line, &command))
    }
}

/// The names of the functions that carry a test attribute, in every Rust file below a folder, and of the tests of stories.
fn collect_tests(folder: &Path, tests: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(folder) else {
        panic!("{} cannot be read", folder.display());
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path
                .file_name()
                .is_some_and(|name| name != "target" && name != "node_modules")
            {
                collect_tests(&path, tests);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            tests.extend(tests_in(&read(&path)));
        }
    }
}

fn tests_in(source: &str) -> Vec<String> {
    let mut found = stories_in(source);
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some(name) = function_name(line) {
            if marked {
                found.push(name.to_owned());
            }
            marked = false;
        }
    }
    found
}

/// The names in a list `stories! { .. }`, each of which is a test.
fn stories_in(source: &str) -> Vec<String> {
    let list = source
        .split_once("\nstories! {")
        .and_then(|(_, rest)| rest.split_once('}'));
    let names = list.map(|(names, _)| names.split_whitespace());
    names.into_iter().flatten().map(str::to_owned).collect()
}

fn function_name(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

/// The rows of the first table whose header ends with `last`, cells trimmed.
fn table(text: &str, last: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
        inner.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = text
        .lines()
        .skip_while(|line| !(line.starts_with('|') && cells(line).last().is_some_and(|c| c == last)));
    let Some(header) = lines.next() else {
        panic!("there is no table with the column {last:?}");
    };
    let width = cells(header).len();
    let rows: Vec<Vec<String>> = lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect();
    for row in &rows {
        assert_eq!(row.len(), width, "a row has not as many cells as its header: {row:?}");
    }
    rows
}

fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let Some(start) = text.find(heading) else {
        panic!("there is no heading {heading:?}");
    };
    let body = &text[start + heading.len()..];
    &body[..body.find("\n## ").unwrap_or(body.len())]
}

/// `--locked` is how tests/run pins what is built; a reader may leave it out.
fn without_locked(text: &str) -> String {
    text.replace(" --locked", "")
}

/// True if `line` holds `words`, and not merely as the beginning or end of a longer word.
fn has_words(line: &str, words: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    line.match_indices(words).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + words.len()..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}

fn read(path: &Path) -> String {
    match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
