//! The recordings where they lie, and the word about them that the one test command sums up.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "recordings are files that the environment names; the ban is for the core itself"
)]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use hubward_core::ids::ResourceId;
use serde_json::Value;

/// The folder of the recordings; `None`, and a word in the evidence, if `HUBWARD_SHARED` is not set.
pub fn data_for(evidence_name: &str) -> Option<PathBuf> {
    match std::env::var_os("HUBWARD_SHARED") {
        Some(shared) => Some(PathBuf::from(shared).join("data")),
        None => {
            evidence(&format!("skipped {evidence_name}: HUBWARD_SHARED is not set"));
            None
        }
    }
}

/// A document of Azure's, with the file that it stands in.
pub struct Document {
    pub file: String,
    /// False for the official examples, whose authors slipped here and there: an id and a name that differ, for instance.
    pub real: bool,
    pub id: ResourceId,
    pub body: Value,
}

/// Every ARM document of one of `types` in the folders, in the order of the files, without repeats in a file: objects with
/// an id of that type and `properties`.
pub fn documents(data: &Path, folders: &[&str], types: &[&str]) -> Vec<Document> {
    let mut found: Vec<Document> = Vec::new();
    for file in folders.iter().flat_map(|folder| json_files(&data.join(folder))) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let first = found.len();
        each_object(&read(&file), &mut |object| {
            if !object.get("properties").is_some_and(Value::is_object) {
                return;
            }
            let id = object
                .get("id")
                .and_then(Value::as_str)
                .and_then(|text| ResourceId::parse(text).ok());
            let Some(id) = id.filter(|id| types.iter().any(|wanted| id.is_type(wanted))) else {
                return;
            };
            if !found[first..].iter().any(|known| known.body == *object) {
                found.push(Document {
                    file: name.clone(),
                    real: !file.parent().is_some_and(|folder| folder.ends_with("examples")),
                    id,
                    body: object.clone(),
                });
            }
        });
    }
    found
}

/// Calls `visit` with every object, at any depth.
pub fn each_object(value: &Value, visit: &mut impl FnMut(&Value)) {
    match value {
        Value::Object(map) => {
            visit(value);
            map.values().for_each(|inner| each_object(inner, visit));
        }
        Value::Array(items) => items.iter().for_each(|inner| each_object(inner, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The JSON files of a folder in the order of their names; none if there is no such folder.
pub fn json_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap_or_else(|e| panic!("{}: {e}", folder.display())).path())
        .collect();
    files.retain(|path| {
        path.extension().is_some_and(|e| e == "json") && path.file_name().is_some_and(|n| n != "index.json")
    });
    files.sort();
    files
}

/// The document in a file.
pub fn read(file: &Path) -> Value {
    let parsed = fs::read(file).map(|bytes| serde_json::from_slice(&bytes));
    match parsed {
        Ok(Ok(document)) => document,
        Ok(Err(error)) => panic!("{}: {error}", file.display()),
        Err(error) => panic!("{}: {error}", file.display()),
    }
}

/// Adds a line to the evidence that the one test command sums up; in one write, because tests run side by side.
pub fn evidence(line: &str) {
    let Some(path) = std::env::var_os("HUBWARD_EVIDENCE_FILE") else {
        return;
    };
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    assert!(written.is_ok(), "{}: {written:?}", path.display());
}
