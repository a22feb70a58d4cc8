//! The house rules that need more than a search: files that must parse, pins that must be there, the first page.
//!
//! It reads the tree and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

const CUSTOMERS_LIST: [&str; 7] = [
    "axum",
    "tokio",
    "serde_json",
    "tracing",
    "azure_identity",
    "azure_mgmt_network",
    "azure_messaging_eventgrid",
];

#[test]
fn every_json_file_parses() {
    for path in files_with("json") {
        let text = read(&path);
        if let Err(error) = serde_json::from_str::<serde_json::Value>(&text) {
            panic!("{}: {error}", path.display());
        }
    }
}

#[test]
fn no_function_has_an_output_binding() {
    let mut functions = 0;
    for path in files_with("json") {
        if path.file_name().is_some_and(|name| name == "function.json") {
            functions += 1;
            let function: serde_json::Value = serde_json::from_str(&read(&path)).unwrap_or_default();
            let bindings = function["bindings"].as_array().cloned().unwrap_or_default();
            assert!(!bindings.is_empty(), "{} has no binding", path.display());
            for binding in bindings {
                let writes = binding["direction"] == "out" && binding["type"] != "http";
                assert!(!writes, "{} writes by a binding: {binding}", path.display());
            }
        }
    }
    assert!(functions >= 2, "ClusterEvents and Work have lost their function.json");
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    let root = read(&at("Cargo.toml"));
    for lint in [
        "unsafe_code = \"forbid\"",
        "missing_docs = ",
        "unwrap_used = ",
        "print_stdout = ",
        "wildcard_enum_match_arm = ",
        "iter_over_hash_type = ",
    ] {
        assert!(root.contains(lint), "the workspace has lost the lint {lint}");
    }
    for member in [
        "handler",
        "handler/core",
        "tests/azure",
        "tests/host",
        "tests/scenarios",
    ] {
        let manifest = read(&at(member).join("Cargo.toml"));
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{member} does not take the workspace lints"
        );
    }
}

#[test]
fn the_core_bans_clocks_randomness_and_hash_maps_each_with_a_reason() {
    let bans = read(&at("handler/core/.clippy.toml"));
    for path in [
        "std::time::Instant::now",
        "std::time::SystemTime::now",
        "time::OffsetDateTime::now_utc",
        "tokio::time::sleep",
        "rand::random",
        "uuid::Uuid::new_v4",
        "std::env::var",
        "std::fs::read",
        "std::net::TcpStream",
        "std::collections::HashMap",
        "std::collections::HashSet",
    ] {
        assert!(bans.contains(&format!("path = \"{path}\"")), "the core may use {path}");
    }
    for line in bans.lines().filter(|line| line.contains("path = ")) {
        assert!(line.contains(", reason = \""), "a ban without its reason: {line}");
    }
}

#[test]
fn cargo_runs_locked_with_a_pinned_toolchain_and_a_licence() {
    assert!(read(&at("rust-toolchain.toml")).contains("channel = \"1.95.0\""));
    assert!(read(&at("LICENSE")).starts_with("MIT License"));
    assert!(at("Cargo.lock").is_file());
    let builds = [
        "cargo clippy",
        "cargo test",
        "cargo nextest run",
        "cargo build",
        "cargo run",
        "cargo tree",
        "cargo fetch",
        "cargo install",
    ];
    for line in read(&at("tests/run")).lines().map(str::trim) {
        let said = line.starts_with('#') || line.starts_with("echo ");
        let builds = !said && builds.iter().any(|build| line.contains(build));
        assert!(
            !builds || line.contains("--locked"),
            "tests/run builds without --locked: {line}"
        );
    }
}

#[test]
fn the_readme_names_the_two_commands_and_each_package_the_customer_listed() {
    let readme = read(&at("README.md"));
    let first_screen: Vec<&str> = readme.lines().take(45).collect();
    for command in ["cargo run --release -- local", "./tests/run"] {
        assert!(
            first_screen.iter().any(|line| line.contains(command)),
            "the first screen lacks {command}"
        );
    }
    let table: Vec<&str> = readme
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .collect();
    for package in CUSTOMERS_LIST {
        let row = table.iter().find(|row| row.starts_with(&format!("| `{package}` |")));
        let cells = row.map(|row| {
            row.trim_matches('|')
                .split('|')
                .filter(|cell| !cell.trim().is_empty())
                .count()
        });
        assert_eq!(
            cells,
            Some(4),
            "the first table of the README must say of {package}: whether, where, why"
        );
    }
}

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Every file of the project with this extension; folders of builds and dot folders are not the project's.
fn files_with(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![at("")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            panic!("{} cannot be read", folder.display());
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default()
                .to_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
