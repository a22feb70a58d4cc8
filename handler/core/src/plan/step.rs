//! A step: one ARM write with everything that belongs to it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Wait, digest};
use crate::estate::{Kind, api_version};
use crate::ids::ResourceId;

/// One ARM write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// A name, unique in the plan, for people and for the ledger.
    pub id: String,
    /// What is done to the target.
    pub method: Method,
    /// The resource.
    pub target: ResourceId,
    /// The api-version of the write.
    pub api_version: String,
    /// The whole body; `null` of a deletion.
    pub body: Value,
    /// What the target must still look like when it is written (volatile fields left out); `None`: it must not exist.
    pub precondition: Option<Value>,
    /// The networks or the policy that take one write at a time and must be held for this one.
    pub lanes: Vec<ResourceId>,
    /// How the step is taken back.
    pub undo: Undo,
    /// What the step is accepted to cut.
    pub accepts: Vec<AcceptedLoss>,
    /// One sentence: why.
    pub why: String,
    /// What has to happen first; empty means that it can be written at once.
    pub waits: Vec<Wait>,
}

/// What a step does to its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Creates or replaces it.
    #[default]
    Put,
    /// Removes it; one that is absent is removed already.
    Delete,
}

/// How a step is taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Undo {
    /// Deleting what was made.
    Delete,
    /// Writing back what was there.
    Restore {
        /// The body as it was.
        body: Value,
    },
}

/// Something a step may cut because somebody accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceptedLoss {
    /// Open connections are reset once, because the source address changes.
    OpenConnections,
    /// Destinations that no rule allows become unreachable; the hub's operator stated that the rules are all the
    /// workloads need.
    NotInRules,
    /// Public frontends of the cluster stop answering; its owner accepted each.
    PublicInbound,
    /// The cluster leaves from its own address again; its owner asked for that.
    Egress,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        })
    }
}

impl Step {
    pub(super) fn put(id: impl Into<String>, target: ResourceId, body: Value, why: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            method: Method::Put,
            api_version: api_version(&target).unwrap_or_default().to_owned(),
            target,
            body,
            precondition: None,
            lanes: Vec::new(),
            undo: Undo::Delete,
            accepts: Vec::new(),
            why: why.into(),
            waits: Vec::new(),
        }
    }

    /// The step removes what `present` shows.
    pub(super) fn delete(id: impl Into<String>, target: ResourceId, present: &Value, why: impl Into<String>) -> Self {
        let mut step = Self::put(id, target, Value::Null, why).over(present);
        step.method = Method::Delete;
        step
    }

    /// What an approval remembers of a step: the same write in a later plan is approved too, another one is not.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&json!([self.method, self.target.key(), self.body, self.accepts]).to_string())
    }

    /// True if the step makes what only leads clients in: an address of ours, its group, or a right on that group. The way out
    /// depends on none of them.
    #[must_use]
    pub fn only_leads_in(&self) -> bool {
        let scope = self.target.as_str().split("/providers/Microsoft.Authorization/").next();
        self.method == Method::Put
            && match Kind::of(&self.target) {
                Some(Kind::ResourceGroup | Kind::PublicIp) => true,
                Some(Kind::RoleAssignment) => scope
                    .and_then(|scope| ResourceId::parse(scope).ok())
                    .is_some_and(|scope| Kind::of(&scope) == Some(Kind::ResourceGroup)),
                Some(_) | None => false,
            }
    }

    /// The step replaces or extends what `present` shows.
    pub(super) fn over(mut self, present: &Value) -> Self {
        self.precondition = Some(comparable(present));
        self.undo = Undo::Restore { body: present.clone() };
        self
    }

    pub(super) fn in_lanes(mut self, lanes: &[&ResourceId]) -> Self {
        self.lanes = lanes.iter().map(|id| (*id).clone()).collect();
        self.lanes.sort();
        self.lanes.dedup();
        self
    }

    pub(super) fn waiting_for(mut self, waits: Vec<Wait>) -> Self {
        self.waits = waits;
        self
    }
}

/// Fields that Azure computes or that change by themselves as nodes come and go; they never decide whether a document
/// is "still the same", and they are never sent. From the read-only marks of the official SDK's models (arm-network 36).
const VOLATILE: [&str; 13] = [
    "etag",
    "provisioningState",
    "resourceGuid",
    "ipConfigurations",
    "ipConfigurationProfiles",
    "privateEndpoints",
    "resourceNavigationLinks",
    "serviceAssociationLinks",
    "purpose",
    "peeringState",
    "peeringSyncLevel",
    "remoteVirtualNetworkAddressSpace",
    "size",
];

/// The document without its volatile fields: what a precondition compares and what a write starts from.
#[must_use]
pub fn comparable(document: &Value) -> Value {
    let mut copy = document.clone();
    let own = own_configurations(document);
    strip(&mut copy);
    if let Some(properties) = copy.get_mut("properties") {
        strip(properties);
    }
    if let (Some(own), Some(properties)) = (own, copy.get_mut("properties")) {
        properties["ipConfigurations"] = own;
    }
    strip_children(&mut copy);
    copy
}

/// The ipConfigurations of a firewall are what its owner wrote; those of a subnet are whoever lives there.
fn own_configurations(document: &Value) -> Option<Value> {
    let id = ResourceId::parse(document.get("id")?.as_str()?).ok()?;
    if Kind::of(&id) != Some(Kind::Firewall) {
        return None;
    }
    document.pointer("/properties/ipConfigurations").cloned()
}

/// True if everything that `sent` says is said by `read` too; Azure may add fields and fill in defaults.
/// Names and ids compare without regard to case, arrays without regard to order (Azure may answer in another).
#[must_use]
pub fn kept(sent: &Value, read: &Value) -> bool {
    match (sent, read) {
        (Value::Object(sent), Value::Object(read)) => sent.iter().all(|(key, value)| match read.get(key) {
            Some(found) => kept(value, found),
            None => value.is_null() || value.as_array().is_some_and(Vec::is_empty),
        }),
        (Value::Array(sent), Value::Array(read)) => sent.len() == read.len() && kept_in_any_order(sent, read),
        (Value::String(sent), Value::String(read)) => sent.eq_ignore_ascii_case(read),
        (sent, read) => sent == read,
    }
}

fn kept_in_any_order(sent: &[Value], read: &[Value]) -> bool {
    let mut left: Vec<&Value> = read.iter().collect();
    sent.iter().all(|item| {
        left.iter()
            .position(|found| kept(item, found))
            .map(|at| left.swap_remove(at))
            .is_some()
    })
}

/// The JSON pointer of the first field in which two documents differ, `None` if they say the same. It compares as [`kept`] does
/// and both ways: an absent field, `null` and an empty array are the same, texts compare without regard to case, items of
/// arrays are found by their `name` or `id` wherever they stand. Leave volatile fields out with [`comparable`] first.
#[must_use]
pub fn differs(expected: &Value, found: &Value) -> Option<String> {
    difference(Some(expected), Some(found))
}

fn difference(expected: Option<&Value>, found: Option<&Value>) -> Option<String> {
    match (expected, found) {
        (expected, found) if !expected.is_some_and(says) && !found.is_some_and(says) => None,
        (Some(Value::Object(expected)), Some(Value::Object(found))) => {
            let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
            keys.into_iter().find_map(|key| {
                let below = difference(expected.get(key), found.get(key))?;
                Some(format!("/{}{below}", key.replace('~', "~0").replace('/', "~1")))
            })
        }
        (Some(Value::Array(expected)), Some(Value::Array(found))) => difference_of_items(expected, found),
        (Some(Value::String(expected)), Some(Value::String(found))) if expected.eq_ignore_ascii_case(found) => None,
        (expected, found) if expected == found => None,
        _ => Some(String::new()),
    }
}

fn difference_of_items(expected: &[Value], found: &[Value]) -> Option<String> {
    let mut left: Vec<&Value> = found.iter().filter(|item| says(item)).collect();
    for (at, item) in expected.iter().enumerate().filter(|(_, item)| says(item)) {
        let same = left.iter().position(|other| match (mark(item), mark(other)) {
            (Some(mine), Some(theirs)) => mine.eq_ignore_ascii_case(theirs),
            (None, None) => difference(Some(item), Some(other)).is_none(),
            _ => false,
        });
        let other = same.map(|at| left.swap_remove(at));
        if let Some(below) = difference(Some(item), other) {
            return Some(format!("/{at}{below}"));
        }
    }
    // What is found beyond the expected items is named by the first place that nobody expected.
    (!left.is_empty()).then(|| format!("/{}", expected.len()))
}

/// False for what Azure may as well leave out: `null` and an array of nothing.
pub(super) fn says(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => items.iter().any(says),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => true,
    }
}

/// What tells an item of an array from its siblings.
pub(super) fn mark(item: &Value) -> Option<&str> {
    ["name", "id"].iter().find_map(|key| item.get(key)?.as_str())
}

/// Children in a document carry the etag of their network, which changes with every write on it (recorded:
/// azure-mgmt-network 16, test_cli_mgmt_network_base), and a state of their own.
fn strip_children(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| key != "etag" && key != "provisioningState");
            map.values_mut().for_each(strip_children);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_children),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn strip(value: &mut Value) {
    if let Some(map) = value.as_object_mut() {
        map.retain(|key, _| !VOLATILE.contains(&key.as_str()));
    }
}
