//! What Azure really sent: every resource id of the recorded clusters is read, and every recorded event is decoded.
//!
//! The recordings lie where `HUBWARD_SHARED` points; without it the test has nothing to judge and says so in the evidence.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use hubward_core::event;
use hubward_core::ids::ResourceId;
use serde_json::Value;

#[test]
fn every_recorded_id_is_read_and_kept_to_the_letter() {
    let Some(shared) = std::env::var_os("HUBWARD_SHARED") else {
        evidence("skipped conformance-ids: HUBWARD_SHARED is not set");
        return;
    };
    let data = PathBuf::from(shared).join("data");
    let mut ids = BTreeSet::new();
    for file in json_files(&data.join("clusters")) {
        for text in id_texts(&read(&file)) {
            let id = ResourceId::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            assert_eq!(id.as_str(), text);
            assert_eq!(id, ResourceId::parse(&text.to_ascii_uppercase()).unwrap());
            assert!(!id.resource_type().is_empty(), "{}: {text} has no type", file.display());
            ids.insert(id);
        }
    }
    assert!(
        ids.len() >= 40,
        "only {} ids were found under {}",
        ids.len(),
        data.display()
    );
    let events = decode_recorded_events(&data);
    println!("{} different ids and {events} events were read", ids.len());
    evidence("ran conformance-ids");
}

/// Decodes whatever in the recordings looks like an event of either schema, and counts it.
fn decode_recorded_events(data: &Path) -> usize {
    let mut count = 0;
    for folder in ["clusters", "events", "examples"] {
        for file in json_files(&data.join(folder)) {
            each_object(&read(&file), &mut |object| {
                let is_text = |key: &str| object.get(key).is_some_and(Value::is_string);
                if object.get("data").is_some_and(Value::is_object) && (is_text("eventType") || is_text("specversion"))
                {
                    let event = event::decode(object);
                    assert!(event.is_ok(), "{}: {event:?}", file.display());
                    count += 1;
                }
            });
        }
    }
    count
}

/// Texts beginning with a slash in fields whose name ends in `id`, at any depth.
fn id_texts(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    each_object(document, &mut |object| {
        for (key, value) in object.as_object().into_iter().flatten() {
            if let Some(text) = value.as_str()
                && key.to_ascii_lowercase().ends_with("id")
                && text.starts_with('/')
            {
                found.push(text.to_owned());
            }
        }
    });
    found
}

fn each_object(value: &Value, visit: &mut impl FnMut(&Value)) {
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
fn json_files(folder: &Path) -> Vec<PathBuf> {
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

fn read(file: &Path) -> Value {
    let parsed = fs::read(file).map(|bytes| serde_json::from_slice(&bytes));
    match parsed {
        Ok(Ok(document)) => document,
        Ok(Err(error)) => panic!("{}: {error}", file.display()),
        Err(error) => panic!("{}: {error}", file.display()),
    }
}

/// Adds a line to the evidence that the one test command sums up.
fn evidence(line: &str) {
    let Some(path) = std::env::var_os("HUBWARD_EVIDENCE_FILE") else {
        return;
    };
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{line}"));
    assert!(written.is_ok(), "{}: {written:?}", path.display());
}
