//! Resource groups: written at once, deleted slowly with everything in them.
//! What is used from outside the group survives its deletion, and the group with it. While it goes, nothing can be
//! written into it.

use crate::arm::errors::{self, ArmError};
use crate::arm::headers::Reply;
use crate::arm::request::ArmCall;
use crate::arm::router::check_version;
use crate::azure::Azure;
use crate::events::{EventDraft, EventSource};
use crate::ids::ArmPath;
use crate::kinds::{Backend, Kind};
use crate::store::Resource;
use crate::trace::Principal;
use serde_json::{Map, Value, json};
use uuid::Uuid;

impl Azure {
    /// 201 or 200 with the group, without an operation.
    pub(crate) fn put_group(
        &mut self,
        call: &ArmCall,
        principal: &Principal,
        path: &ArmPath,
        body: Value,
    ) -> Result<Reply, ArmError> {
        self.refuse_in_leaving_group(path)?;
        let update = self.store.exists(path.key());
        self.store.put(path, Kind::ResourceGroup, body, "Succeeded", self.now);
        self.emit(EventDraft::write(
            self.event_source(call, principal),
            path,
            Kind::ResourceGroup,
            update,
            self.now,
        ));
        let document = self.store.find(path.key()).map(|found| self.store.render(found));
        let status = if update { 200 } else { 201 };
        Ok(Reply::new(status, Backend::Resources, document))
    }

    /// Whether a group is there, without a body: 204 or 404 [learn: ResourceGroups_CheckExistence].
    pub(crate) fn head_group(&self, path: &ArmPath) -> Reply {
        let status = if self.store.exists(path.key()) { 204 } else { 404 };
        Reply::new(status, Backend::Resources, None)
    }

    /// The tracked resources of a group, or of the subscription, as ARM's own list has them: what they are, not how
    /// they are set [learn: Resources_ListByResourceGroup]. Children and role assignments are not in it.
    pub(crate) fn list_resources(
        &self,
        principal: &Principal,
        path: &ArmPath,
        version: &str,
    ) -> Result<Reply, ArmError> {
        check_version(path, Kind::ResourceGroup, version, &self.world.location)?;
        let within = path.as_str().rsplit_once('/').map_or("", |(within, _)| within);
        let action = if path.resource_group.is_some() {
            "Microsoft.Resources/subscriptions/resourceGroups/resources/read"
        } else {
            "Microsoft.Resources/subscriptions/resources/read"
        };
        self.authorize(principal, action, within)?;
        if let Some(group) = path.resource_group.as_deref() {
            self.require_group(path, group)?;
        }
        let mut found: Vec<&Resource> = self.store.below(within).into_iter().filter(is_tracked).collect();
        found.sort_by_key(|resource| resource.order);
        let values: Vec<Value> = found.into_iter().map(generic).collect();
        Ok(Reply::new(200, Backend::Resources, Some(json!({"value": values}))))
    }

    /// Refuses a write into a group that is being deleted.
    pub(crate) fn refuse_in_leaving_group(&self, path: &ArmPath) -> Result<(), ArmError> {
        let subscription = path.subscription.as_deref().unwrap_or_default();
        let group = path.resource_group.as_deref().unwrap_or_default();
        let found = self
            .store
            .find(&format!("/subscriptions/{subscription}/resourceGroups/{group}"));
        match found {
            Some(found) if found.state == "Deleting" => Err(errors::resource_group_being_deleted(group)),
            Some(_) | None => Ok(()),
        }
    }

    /// The group's deletion has come to its end: everything goes that nothing outside uses, in whatever order the
    /// uses inside allow. What cannot go blocks the group [bicep-registry-modules#1607].
    pub(crate) fn empty_group(
        &mut self,
        group: &ArmPath,
        source: &EventSource,
        operation: Uuid,
    ) -> Result<(), ArmError> {
        loop {
            let members: Vec<(ArmPath, Kind)> = self
                .store
                .below(group.key())
                .into_iter()
                .filter(is_tracked)
                .map(|found| (found.path.clone(), found.kind))
                .collect();
            let free = members
                .iter()
                .find(|(path, kind)| self.refuse_if_in_use(path, *kind).is_ok())
                .cloned();
            match free {
                Some((path, kind)) => self.remove_member(&path, kind, source, operation),
                None if members.is_empty() => return Ok(()),
                None => return Err(blocked(group, &members, operation)),
            }
        }
    }

    fn remove_member(&mut self, path: &ArmPath, kind: Kind, source: &EventSource, operation: Uuid) {
        for node_group in self.remove(path) {
            let draft = EventDraft::delete(source.clone(), &node_group, Kind::ResourceGroup, self.now);
            self.emit(draft);
        }
        let draw = self.draws.fraction(&format!("member-event|{}|{operation}", path.key()));
        if draw < self.world.events.member_delete_share {
            self.emit(EventDraft::delete(source.clone(), path, kind, self.now));
        }
    }
}

fn is_tracked(resource: &&Resource) -> bool {
    !resource.kind.is_child() && !matches!(resource.kind, Kind::RoleAssignment | Kind::ResourceGroup)
}

fn generic(resource: &Resource) -> Value {
    let mut entry = Map::new();
    entry.insert("id".to_owned(), json!(resource.path.as_str()));
    entry.insert("name".to_owned(), json!(resource.path.name()));
    entry.insert("type".to_owned(), json!(resource.kind.facts().action_name));
    for field in ["kind", "managedBy", "sku", "zones", "location", "tags", "identity"] {
        if let Some(value) = resource.body.get(field) {
            entry.insert(field.to_owned(), value.clone());
        }
    }
    Value::Object(entry)
}

/// The text names the resources that stay; its `details`, with each one's own refusal, are left out.
fn blocked(group: &ArmPath, members: &[(ArmPath, Kind)], tracking: Uuid) -> ArmError {
    let identifiers: Vec<String> = members
        .iter()
        .map(|(path, kind)| format!("{}/{}", kind.facts().action_name, path.name()))
        .collect();
    ArmError::gateway(
        409,
        "ResourceGroupDeletionBlocked",
        format!(
            "Deletion of resource group '{}' failed as resources with identifiers '{}' could not be deleted. The \
             provisioning state of the resource group will be rolled back. The tracking Id is '{tracking}'. Please check \
             audit logs for more details.",
            group.name(),
            identifiers.join(",")
        ),
    )
}
