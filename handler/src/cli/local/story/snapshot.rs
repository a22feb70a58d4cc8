//! Everything that Azure shows at one moment, so that two moments can be compared.

use std::collections::BTreeMap;

use azure_sim::{Azure, Counters};
use serde_json::Value;

use crate::stage::documents;

/// How many differences are shown.
const MOST_SHOWN: usize = 8;

/// A moment to compare with.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    documents: BTreeMap<String, Value>,
    /// The handler's calls so far.
    pub(super) counters: Counters,
}

impl Snapshot {
    pub(super) fn of(azure: &Azure) -> Self {
        Self {
            documents: documents(azure),
            counters: azure.counters(&azure.world().handler.clone()),
        }
    }

    /// What differs in `later`, one line each; empty if nothing does.
    pub(super) fn differences(&self, later: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (id, document) in &self.documents {
            match later.documents.get(id) {
                None => lines.push(format!("gone: {id}")),
                Some(now) if now != document => lines.push(format!("changed: {id}: {}", first_change(document, now))),
                Some(_) => {}
            }
        }
        let made = later.documents.keys().filter(|id| !self.documents.contains_key(*id));
        lines.extend(made.map(|id| format!("made: {id}")));
        let surplus = lines.len().saturating_sub(MOST_SHOWN);
        lines.truncate(MOST_SHOWN);
        if surplus > 0 {
            lines.push(format!("and {surplus} more"));
        }
        lines
    }
}

/// The first field that differs, with old and new.
fn first_change(old: &Value, new: &Value) -> String {
    let (mut path, mut old, mut new) = (String::new(), old, new);
    while let (Value::Object(before), Value::Object(after)) = (old, new) {
        let names = before.keys().chain(after.keys());
        let Some(name) = names.into_iter().find(|name| before.get(*name) != after.get(*name)) else {
            break;
        };
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
        (old, new) = (
            before.get(name).unwrap_or(&Value::Null),
            after.get(name).unwrap_or(&Value::Null),
        );
    }
    format!("{path} was {}, is {}", short(old), short(new))
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 80 {
        return text;
    }
    let start: String = text.chars().take(77).collect();
    format!("{start}...")
}
