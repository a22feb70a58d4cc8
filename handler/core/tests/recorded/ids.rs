//! Every resource id of the recorded clusters is read, and every recorded event is decoded.

use std::collections::BTreeSet;
use std::path::Path;

use hubward_core::event;
use hubward_core::ids::ResourceId;
use serde_json::Value;

use crate::files::{data_for, each_object, evidence, json_files, read};

#[test]
fn every_recorded_id_is_read_and_kept_to_the_letter() {
    let Some(data) = data_for("conformance-ids") else {
        return;
    };
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
