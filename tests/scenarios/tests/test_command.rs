//! The promises of `tests/run` and `.ci/run` themselves: what they print last, and when they fail.
//!
//! The real scripts run in a folder of their own with a stand-in for cargo that says what each test tells it to say; nothing is
//! built. A script that swallowed a failure would make every other test worthless.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const TESTS_PASS: &str = "echo 'test result: ok. 3 passed; 0 failed; 0 ignored'";
const RECORDED_RAN: &str = "echo 'ran recorded' >> \"$HUBWARD_EVIDENCE_FILE\"";
const RECORDED_SKIPPED: &str = "echo 'skipped recorded: HUBWARD_SHARED is not set' >> \"$HUBWARD_EVIDENCE_FILE\"";

#[test]
fn tests_run_ends_with_counts_and_one_line_of_evidence() {
    let project = Project::new();
    project.tests_say(&[TESTS_PASS, RECORDED_RAN]);
    let run = project.run("tests/run", &[]);
    run.ends_with(&["4 passed, 0 failed", "evidence: ran 2, skipped 0"]);
    run.exits(0);
}

#[test]
fn a_skip_fails_only_where_the_evidence_is_required() {
    let project = Project::new();
    project.tests_say(&[TESTS_PASS, RECORDED_SKIPPED]);
    let skipped = "evidence: ran 1, skipped 1 (recorded: HUBWARD_SHARED is not set)";

    let at_home = project.run("tests/run", &[]);
    at_home.ends_with(&["4 passed, 0 failed", skipped]);
    at_home.exits(0);

    let on_the_build_machine = project.run("tests/run", &[("HUBWARD_REQUIRE_EVIDENCE", "1")]);
    on_the_build_machine.ends_with(&[skipped]);
    on_the_build_machine.exits(1);
}

#[test]
fn evidence_that_vanishes_without_a_word_fails() {
    let project = Project::new();
    project.tests_say(&[TESTS_PASS]);
    let run = project.run("tests/run", &[]);
    run.says("evidence that tests/evidence.txt lists and nobody gave: recorded");
    run.exits(1);
}

#[test]
fn a_failing_test_fails_the_run_and_is_counted() {
    let project = Project::new();
    project.tests_say(&[
        "echo 'test result: FAILED. 3 passed; 2 failed; 0 ignored'",
        RECORDED_RAN,
        "exit 101",
    ]);
    let run = project.run("tests/run", &[]);
    run.says("FAILED (exit 101)");
    run.ends_with(&["4 passed, 2 failed", "evidence: ran 2, skipped 0"]);
    run.exits(1);
}

#[test]
fn a_failing_command_fails_the_run_though_all_tests_pass() {
    for command in ["clippy", "fmt", "fetch", "build", "run", "tree"] {
        let project = Project::new();
        project.tests_say(&[TESTS_PASS, RECORDED_RAN]);
        let run = project.run("tests/run", &[("STAND_IN_FAILS", command)]);
        run.says("FAILED");
        run.exits(1);
    }
}

#[test]
fn a_licence_checker_that_cannot_be_had_is_a_skip_with_its_reason() {
    let project = Project::new();
    project.tests_say(&[TESTS_PASS, RECORDED_RAN]);
    let run = project.run("tests/run", &[("STAND_IN_LACKS", "deny")]);
    run.ends_with(&["evidence: ran 1, skipped 1 (cargo-deny: version 0.20.2 could not be installed)"]);
    run.exits(0);
}

#[test]
fn a_licence_checker_that_objects_fails_the_run() {
    let project = Project::new();
    project.tests_say(&[TESTS_PASS, RECORDED_RAN]);
    let run = project.run("tests/run", &[("STAND_IN_OBJECTS", "deny")]);
    run.says("evidence that tests/evidence.txt lists and nobody gave: cargo-deny");
    run.exits(1);
}

#[test]
fn a_local_command_that_prints_more_than_its_object_fails_the_run() {
    let project = Project::new();
    project.tests_say(&[TESTS_PASS, RECORDED_RAN]);
    let run = project.run("tests/run", &[("STAND_IN_LOCAL", "wired 3 clusters {}")]);
    run.says("stdout is not one JSON object");
    run.exits(1);
}

#[test]
fn a_stub_or_a_foreign_name_at_the_top_fails_the_run() {
    for (path, text) in [
        ("handler/lib.rs", concat!("fn a() { to", "do!() }")),
        ("scratch/notes.txt", "x"),
    ] {
        let project = Project::new();
        project.tests_say(&[TESTS_PASS, RECORDED_RAN]);
        project.file(path, text);
        let run = project.run("tests/run", &[]);
        run.says(path.split('/').next().unwrap_or_default());
        run.exits(1);
    }
}

#[test]
fn the_build_machine_runs_the_same_command() {
    let project = Project::new();
    project.script(
        "project/tests/run",
        "echo \"shared=${HUBWARD_SHARED:-none} require=${HUBWARD_REQUIRE_EVIDENCE:-none}\"\nexit 7",
    );
    let alone = project.run(".ci/run", &[]);
    alone.ends_with(&["shared=none require=none"]);
    alone.exits(7);

    let shared = project.folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    let beside = project.run(".ci/run", &[]);
    let shared = fs::canonicalize(&shared).unwrap();
    beside.ends_with(&[&format!("shared={} require=1", shared.display())]);
    beside.exits(7);
}

/// A project of the two scripts and nothing else, with a stand-in for cargo first on the path.
struct Project {
    folder: TempDir,
}

impl Project {
    fn new() -> Self {
        let folder = TempDir::new().unwrap_or_else(|error| panic!("no scratch folder: {error}"));
        let project = Self { folder };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for script in ["tests/run", ".ci/run"] {
            let text = fs::read_to_string(root.join(script)).unwrap_or_else(|error| panic!("{script}: {error}"));
            project.executable(&format!("project/{script}"), &text);
        }
        project.file(".gitignore", "/target\n");
        project.file("Cargo.lock", "name = \"azure_core\"\n");
        project.file("tests/evidence.txt", "# names\ncargo-deny\nrecorded\n");
        project.script(
            "bin/cargo",
            "[ \"${STAND_IN_FAILS:-}\" != \"$1\" ] || exit 3\n\
             case \"$*\" in\n\
             nextest*) exit 1 ;;\n\
             'deny --version') [ \"${STAND_IN_LACKS:-}\" = deny ] || echo 'cargo-deny 0.20.2' ;;\n\
             'deny '*) [ \"${STAND_IN_OBJECTS:-}\" != deny ] ;;\n\
             'test '*--doc*) echo 'test result: ok. 1 passed; 0 failed; 0 ignored' ;;\n\
             'test '*) . \"$(dirname \"$0\")/tests-say\" ;;\n\
             'run '*) echo \"${STAND_IN_LOCAL:-{\\}}\" ;;\n\
             esac",
        );
        let made = Command::new("git")
            .args(["init", "--quiet"])
            .current_dir(project.folder.path().join("project"))
            .status();
        assert!(made.is_ok_and(|status| status.success()), "git is needed");
        project
    }

    /// What `cargo test` does, as lines of shell.
    fn tests_say(&self, lines: &[&str]) {
        self.script("bin/tests-say", &lines.join("\n"));
    }

    fn file(&self, path: &str, text: &str) {
        self.write(&format!("project/{path}"), text);
    }

    fn script(&self, path: &str, body: &str) {
        self.executable(path, &format!("#!/usr/bin/env bash\n{body}\n"));
    }

    fn executable(&self, path: &str, text: &str) {
        self.write(path, text);
        let made = fs::set_permissions(self.folder.path().join(path), fs::Permissions::from_mode(0o755));
        assert!(made.is_ok(), "{path} cannot be made executable");
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        let folder = path.parent().map(fs::create_dir_all);
        assert!(
            folder.is_some_and(|made| made.is_ok()) && fs::write(&path, text).is_ok(),
            "{} cannot be written",
            path.display()
        );
    }

    fn run(&self, script: &str, environment: &[(&str, &str)]) -> Run {
        let path = format!("{}:{}", self.folder.path().join("bin").display(), env!("PATH"));
        let mut command = Command::new(self.folder.path().join("project").join(script));
        for name in [
            "HUBWARD_SHARED",
            "HUBWARD_REQUIRE_EVIDENCE",
            "HUBWARD_EVIDENCE_FILE",
            "CARGO_TARGET_DIR",
        ] {
            command.env_remove(name);
        }
        let output = command.env("PATH", path).envs(environment.iter().copied()).output();
        Run {
            output: output.unwrap_or_else(|error| panic!("{script}: {error}")),
        }
    }
}

/// What a script printed and how it ended.
struct Run {
    output: Output,
}

impl Run {
    fn ends_with(&self, lines: &[&str]) {
        let text = self.text();
        let all: Vec<&str> = text.lines().collect();
        assert!(all.ends_with(lines), "the last lines are not {lines:?}:\n{text}");
    }

    fn says(&self, words: &str) {
        assert!(self.text().contains(words), "{words:?} is not said:\n{}", self.text());
    }

    fn exits(&self, code: i32) {
        assert_eq!(self.output.status.code(), Some(code), "{}", self.text());
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }
}
