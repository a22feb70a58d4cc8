//! Reading fields of ARM documents by JSON pointer. A missing or oddly typed field is `None`, never a panic.

use ipnet::Ipv4Net;
use serde_json::Value;

use crate::ids::ResourceId;

/// The text at `pointer`.
#[must_use]
pub fn text<'a>(body: &'a Value, pointer: &str) -> Option<&'a str> {
    body.pointer(pointer).and_then(Value::as_str)
}

/// The texts of the array at `pointer`; other elements are left out.
#[must_use]
pub fn strings<'a>(body: &'a Value, pointer: &str) -> Vec<&'a str> {
    list(body, pointer).iter().filter_map(Value::as_str).collect()
}

/// The array at `pointer`, empty if absent.
pub(super) fn list<'a>(body: &'a Value, pointer: &str) -> &'a [Value] {
    body.pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The flag at `pointer`.
pub(super) fn flag(body: &Value, pointer: &str) -> Option<bool> {
    body.pointer(pointer).and_then(Value::as_bool)
}

/// The resource id at `pointer`.
pub(super) fn id(body: &Value, pointer: &str) -> Option<ResourceId> {
    text(body, pointer).and_then(|t| ResourceId::parse(t).ok())
}

/// The `id`s of the array of references at `pointer`.
pub(super) fn ids(body: &Value, pointer: &str) -> Vec<ResourceId> {
    list(body, pointer).iter().filter_map(|item| id(item, "/id")).collect()
}

/// The IPv4 prefixes of the array at `pointer`; IPv6 ones are left out.
pub(super) fn prefixes(body: &Value, pointer: &str) -> Vec<Ipv4Net> {
    strings(body, pointer).iter().filter_map(|t| t.parse().ok()).collect()
}

/// True if no write is under way: the state is terminal or absent (Azure Resource Manager resource-manager-async-operations.md:
/// `Succeeded`, `Failed` and `Canceled` end an operation, and a missing state means finished).
#[must_use]
pub fn at_rest(body: &Value) -> bool {
    text(body, "/properties/provisioningState").is_none_or(|state| {
        ["Succeeded", "Failed", "Canceled"]
            .iter()
            .any(|s| state.eq_ignore_ascii_case(s))
    })
}

/// True if the last write ended and did not end well: what the document shows may be in force, in part or not at all.
#[must_use]
pub fn has_failed(body: &Value) -> bool {
    unsettled(body).is_some() && at_rest(body)
}

/// The state of a document whose content is not known to be in force, if it is in such a state.
pub(crate) fn unsettled(body: &Value) -> Option<&str> {
    text(body, "/properties/provisioningState").filter(|state| !state.eq_ignore_ascii_case("Succeeded"))
}

/// True if what the document shows has been carried out.
pub(crate) fn is_in_force(body: &Value) -> bool {
    succeeded(body)
}

/// True if `properties.provisioningState` is `Succeeded`.
pub(super) fn succeeded(body: &Value) -> bool {
    text(body, "/properties/provisioningState").is_some_and(|s| s.eq_ignore_ascii_case("Succeeded"))
}
