//! What exists in the simulated Azure: every resource once, children apart from their parents, and how GET shows them.
//! Inline children, back references and peering states are computed when rendered, so they can never disagree.

use crate::documents::Documents;
use crate::draws::Draws;
use crate::ids::ArmPath;
use crate::kinds::{Backend, Kind};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use time::OffsetDateTime;
use uuid::Uuid;

/// One resource as the store keeps it: what its owner wrote (normalised), without what Azure adds when it answers.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) path: ArmPath,
    pub(crate) kind: Kind,
    /// `location`, `tags`, `sku`, `zones`, `properties` and whatever else the owner sent.
    pub(crate) body: Value,
    /// While an operation runs: the body that is still in force, `Some(None)` if there was none. GET shows the wanted
    /// values at once, the firewall obeys the old ones until the operation ends.
    pub(crate) in_force: Option<Option<Value>>,
    pub(crate) state: String,
    pub(crate) etag: Uuid,
    /// Counts etags, so that each draw is another.
    pub(crate) version: u64,
    pub(crate) resource_guid: Uuid,
    /// Order of creation: lists and inline children come in it.
    pub(crate) order: u64,
    pub(crate) created_at: OffsetDateTime,
}

/// All resources.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    resources: BTreeMap<String, Arc<Resource>>,
    draws: Draws,
    next_order: u64,
}

impl Store {
    pub(crate) fn new(draws: Draws) -> Self {
        Self {
            resources: BTreeMap::new(),
            draws,
            next_order: 0,
        }
    }

    /// How many resources were made so far: a mark by which a resource differs from an earlier one of its name.
    pub(crate) fn births(&self) -> u64 {
        self.next_order
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Resource> {
        self.resources
            .get(&id.trim_end_matches('/').to_lowercase())
            .map(Arc::as_ref)
    }

    pub(crate) fn exists(&self, id: &str) -> bool {
        self.find(id).is_some()
    }

    /// Mutable access; the copy is made only if a snapshot still shares it.
    pub(crate) fn find_mut(&mut self, id: &str) -> Option<&mut Resource> {
        self.resources
            .get_mut(&id.trim_end_matches('/').to_lowercase())
            .map(Arc::make_mut)
    }

    /// Puts a body in place and sets the state, with another etag. Creates the resource if it is not there;
    /// the case of the first write is kept, as ARM does.
    pub(crate) fn put(&mut self, path: &ArmPath, kind: Kind, body: Value, state: &str, now: OffsetDateTime) {
        if let Some(existing) = self.find_mut(path.key()) {
            let old = std::mem::replace(&mut existing.body, body);
            existing.in_force.get_or_insert(Some(old));
        } else {
            let order = self.next_order;
            self.next_order += 1;
            let resource_guid = self.draws.uuid(&format!("guid|{}|{order}", path.key()));
            self.resources.insert(
                path.key().to_owned(),
                Arc::new(Resource {
                    path: path.clone(),
                    kind,
                    body,
                    in_force: Some(None),
                    state: state.to_owned(),
                    etag: Uuid::nil(),
                    version: order << 20,
                    resource_guid,
                    order,
                    created_at: now,
                }),
            );
        }
        self.set_state(path.key(), state);
    }

    /// Sets the provisioning state. NRP makes another etag at every change of state, NFV only when the body was
    /// written [arm-behaviour 2].
    pub(crate) fn set_state(&mut self, id: &str, state: &str) {
        let draws = self.draws;
        if let Some(resource) = self.find_mut(id) {
            let finished_nfv = resource.kind.facts().backend == Backend::Nfv && state != "Updating";
            resource.state = state.to_owned();
            if state == "Succeeded" {
                resource.in_force = None;
            }
            if !finished_nfv || resource.etag.is_nil() {
                resource.version += 1;
                resource.etag = draws.uuid(&format!("etag|{}|{}", resource.path.key(), resource.version));
            }
        }
    }

    /// Gives a resource another etag without changing its state: a child of it changed.
    pub(crate) fn touch(&mut self, id: &str) {
        if let Some(state) = self.find(id).map(|resource| resource.state.clone()) {
            self.set_state(id, &state);
        }
    }

    /// Removes one resource and everything under it.
    pub(crate) fn remove_tree(&mut self, id: &str) {
        let key = id.to_lowercase();
        let prefix = format!("{key}/");
        self.resources
            .retain(|other, _| *other != key && !other.starts_with(&prefix));
    }

    /// Children of one kind, in order of creation.
    pub(crate) fn children(&self, parent: &str, kind: Kind) -> Vec<&Resource> {
        let prefix = format!("{}/", parent.to_lowercase());
        let mut found: Vec<&Resource> = self
            .resources
            .range(prefix.clone()..)
            .take_while(|(key, _)| key.starts_with(&prefix))
            .map(|(_, resource)| resource.as_ref())
            .filter(|resource| resource.kind == kind)
            .collect();
        found.sort_by_key(|resource| resource.order);
        found
    }

    /// Everything under an id, itself not included.
    pub(crate) fn below(&self, parent: &str) -> Vec<&Resource> {
        let prefix = format!("{}/", parent.to_lowercase());
        let range = self.resources.range(prefix.clone()..);
        range
            .take_while(|(key, _)| key.starts_with(&prefix))
            .map(|(_, resource)| resource.as_ref())
            .collect()
    }

    /// Every resource, in order of id.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.values().map(Arc::as_ref)
    }

    /// Every resource of one kind, in order of id.
    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Resource> {
        self.resources
            .values()
            .map(Arc::as_ref)
            .filter(move |resource| resource.kind == kind)
    }

    /// The document as GET answers it.
    pub(crate) fn render(&self, resource: &Resource) -> Value {
        crate::render::render(self, resource)
    }
}

impl Documents for Store {
    fn get(&self, id: &str) -> Option<Value> {
        if let Some(pool) = ArmPath::parse(id).and_then(|path| crate::kinds::managed_cluster::agent_pool(self, &path)) {
            return Some(pool);
        }
        self.find(id).map(|resource| self.render(resource))
    }

    fn get_live(&self, id: &str) -> Option<Value> {
        let resource = self.find(id)?;
        match &resource.in_force {
            None => Some(self.render(resource)),
            Some(None) => None,
            Some(Some(body)) => Some(self.render(&Resource {
                body: body.clone(),
                ..resource.clone()
            })),
        }
    }

    fn list(&self, resource_type: &str) -> Vec<Value> {
        let Some(kind) = Kind::of_type(resource_type) else {
            return Vec::new();
        };
        self.of_kind(kind).map(|resource| self.render(resource)).collect()
    }
}

/// The value at a chain of keys, if all are there.
pub(crate) fn at<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().try_fold(value, |value, key| value.get(*key))
}

/// The string at a chain of keys.
pub(crate) fn text<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a str> {
    at(value, keys).and_then(Value::as_str)
}

/// The array at a chain of keys, empty when absent.
pub(crate) fn array<'a>(value: &'a Value, keys: &[&str]) -> &'a [Value] {
    at(value, keys).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
