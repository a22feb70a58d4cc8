//! What people do in Azure beside Hubward: ARM calls with a person's rights, and edits of documents that no event tells of.

use azure_sim::{Azure, Fault, FaultEffect, OffsetDateTime};
use http::Method;
use serde_json::{Map, Value};

use super::statements::{Change, FailsBy, Failure};

/// The versions of the API that a person uses, by a part of the id.
const VERSIONS: [(&str, &str); 4] = [
    ("/microsoft.containerservice/", "2025-05-01"),
    ("/microsoft.authorization/", "2022-04-01"),
    ("/microsoft.managedidentity/", "2023-01-31"),
    ("/microsoft.network/", "2024-05-01"),
];
/// The version of resource groups.
const GROUPS: &str = "2024-11-01";

/// An ARM call of a person: `202 accepted`, or what Azure says against it.
///
/// # Errors
/// The refusal on one line.
pub(super) fn call(
    azure: &mut Azure,
    method: Method,
    id: &str,
    body: Option<Value>,
    now: OffsetDateTime,
) -> Result<String, String> {
    let folded = id.to_ascii_lowercase();
    let version = VERSIONS.iter().find(|(part, _)| folded.contains(part));
    let version = version.map_or(GROUPS, |(_, version)| version);
    let answer = azure.person_request(method, &format!("{id}?api-version={version}"), body, now);
    let status = answer.status();
    let word = status.canonical_reason().unwrap_or_default().to_lowercase();
    if status.is_success() {
        return Ok(format!("{} {word}", status.as_u16()));
    }
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let error = &body["error"];
    Err(format!(
        "Azure refuses it: {} {}: {}",
        status.as_u16(),
        error["code"].as_str().unwrap_or(&word),
        error["message"].as_str().unwrap_or_default()
    ))
}

/// Changes a document at once. What was there before is said.
///
/// # Errors
/// There is no such document.
pub(super) fn edit(azure: &mut Azure, id: &str, change: &Change) -> Result<String, String> {
    if azure.document(id).is_none() {
        return Err(format!("there is no {id}"));
    }
    let mut line = String::new();
    azure.edit(id, |document| {
        let (path, new) = match change {
            Change::Set(path, value) => (path, Some(value.clone())),
            Change::Remove(path) => (path, None),
        };
        let text = |value: Option<&Value>| value.map_or_else(|| "absent".to_owned(), Value::to_string);
        let after = text(new.as_ref());
        let before = put(document, path, new);
        line = format!("{path} was {}, is {after}", text(before.as_ref()));
    });
    Ok(line)
}

/// Asks for a fault.
pub(super) fn fail_next(azure: &mut Azure, failure: &Failure) {
    let effect = match &failure.how {
        FailsBy::Answer(status, code) => FaultEffect::Answer {
            status: *status,
            code: code.clone(),
            message: "The story wants it so.".to_owned(),
            retry_after: None,
        },
        FailsBy::Operation(code) => FaultEffect::FailOperation {
            code: code.clone(),
            message: "The story wants it so.".to_owned(),
        },
        FailsBy::LostAnswer => FaultEffect::LoseAnswer,
    };
    azure.inject(Fault {
        method: failure.method.parse().ok(),
        path_contains: failure.path.to_owned(),
        nth: 1,
        effect,
    });
}

/// A field of a document, `null` if it is not there. A number stands for an item of a list.
pub(super) fn field<'d>(document: &'d Value, path: &str) -> &'d Value {
    let mut at = document;
    for name in path.split('.') {
        at = match (at, name.parse::<usize>()) {
            (Value::Array(items), Ok(index)) => items.get(index).unwrap_or(&Value::Null),
            _ => &at[name],
        };
    }
    at
}

/// Sets or removes a field and gives back what was there. What the path leads through is made where it is missing.
fn put(document: &mut Value, path: &str, value: Option<Value>) -> Option<Value> {
    let mut names: Vec<&str> = path.split('.').collect();
    let last = names.pop()?;
    let mut at = document;
    for name in names {
        at = match (at, name.parse::<usize>()) {
            (Value::Array(items), Ok(index)) => items.get_mut(index)?,
            (other, _) => {
                if !other.is_object() {
                    *other = Value::Object(Map::new());
                }
                other.as_object_mut()?.entry(name).or_insert(Value::Null)
            }
        };
    }
    match (at, value) {
        (Value::Array(items), value) => {
            let slot = items.get_mut(last.parse::<usize>().ok()?)?;
            Some(std::mem::replace(slot, value.unwrap_or_default()))
        }
        (Value::Object(members), Some(value)) => members.insert(last.to_owned(), value),
        (Value::Object(members), None) => members.shift_remove(last),
        (other @ Value::Null, Some(value)) => {
            *other = Value::Object(Map::from_iter([(last.to_owned(), value)]));
            None
        }
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_set_read_and_removed_by_their_path() {
        let mut document = json!({"properties": {"routes": [{"name": "a"}]}});
        assert_eq!(
            put(&mut document, "properties.routes.0.name", Some(json!("b"))),
            Some(json!("a"))
        );
        assert_eq!(put(&mut document, "tags.team", Some(json!("x"))), None);
        assert_eq!(field(&document, "properties.routes.0.name"), &json!("b"));
        assert_eq!(put(&mut document, "tags.team", None), Some(json!("x")));
        assert_eq!(document, json!({"properties": {"routes": [{"name": "b"}]}, "tags": {}}));
    }
}
