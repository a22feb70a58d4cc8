//! Reading ARM documents: pointers into JSON, and ids compared as ARM compares them, without regard to case. What is
//! missing or of another type reads as absent.

use std::net::Ipv4Addr;

use serde_json::Value;

pub(super) fn text<'a>(document: &'a Value, pointer: &str) -> Option<&'a str> {
    document.pointer(pointer).and_then(Value::as_str)
}

pub(super) fn flag(document: &Value, pointer: &str, default: bool) -> bool {
    document.pointer(pointer).and_then(Value::as_bool).unwrap_or(default)
}

pub(super) fn number(document: &Value, pointer: &str) -> Option<i64> {
    document.pointer(pointer).and_then(Value::as_i64)
}

pub(super) fn items<'a>(document: &'a Value, pointer: &str) -> &'a [Value] {
    document
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

pub(super) fn texts<'a>(document: &'a Value, pointer: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    items(document, pointer).iter().filter_map(Value::as_str)
}

/// The ids in an array of references (`[{"id": ...}]`).
pub(super) fn references<'a>(document: &'a Value, pointer: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    items(document, pointer)
        .iter()
        .filter_map(|reference| text(reference, "/id"))
}

pub(super) fn id(document: &Value) -> &str {
    text(document, "/id").unwrap_or_default()
}

/// The name of a document, or the last part of its id.
pub(super) fn name(document: &Value) -> &str {
    text(document, "/name").unwrap_or_else(|| last_part(id(document)))
}

pub(super) fn last_part(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

pub(super) fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/')
        .eq_ignore_ascii_case(other.trim_end_matches('/'))
}

/// Whether `id` names something below `parent`.
pub(super) fn is_below(id: &str, parent: &str) -> bool {
    let parent = parent.trim_end_matches('/');
    id.get(..parent.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(parent))
        && id[parent.len()..].starts_with('/')
}

/// The name of the resource group in an id.
pub(super) fn resource_group(id: &str) -> Option<&str> {
    let mut parts = id.split('/');
    parts.find(|part| part.eq_ignore_ascii_case("resourceGroups"))?;
    parts.next()
}

pub(super) fn address(document: &Value, pointer: &str) -> Option<Ipv4Addr> {
    text(document, pointer)?.parse().ok()
}
