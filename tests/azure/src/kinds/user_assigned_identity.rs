//! User-assigned identities, and how a cluster's `identity` comes back: with the principals that Azure gave.
//! Writes are synchronous. A cluster that names an identity which is not there is refused.

use crate::arm::errors::ArmError;
use crate::arm::headers::Reply;
use crate::arm::request::ArmCall;
use crate::azure::Azure;
use crate::directory::Age;
use crate::events::EventDraft;
use crate::ids::ArmPath;
use crate::kinds::checks::properties_mut;
use crate::kinds::{Backend, Kind};
use crate::render::aks_id;
use crate::store::{Resource, Store, text};
use crate::trace::Principal;
use serde_json::{Value, json};
use uuid::Uuid;

impl Azure {
    /// PUT of an identity: 201 with the principal it was given, 200 with the one it has [?: no capture].
    pub(crate) fn put_identity(
        &mut self,
        call: &ArmCall,
        principal: &Principal,
        path: &ArmPath,
        mut body: Value,
    ) -> Reply {
        let existing = self.store.find(path.key()).map(|found| found.body.clone());
        let update = existing.is_some();
        let birth = self.store.births();
        let properties = properties_mut(&mut body);
        for field in ["principalId", "clientId"] {
            let had = existing.as_ref().and_then(|had| text(had, &["properties", field]));
            let drawn = || self.draws.uuid(&format!("{field}|{}|{birth}", path.key())).to_string();
            properties.insert(field.to_owned(), json!(had.map_or_else(drawn, str::to_owned)));
        }
        properties.insert("tenantId".to_owned(), json!(self.world.tenant));
        self.store
            .put(path, Kind::UserAssignedIdentity, body, "Succeeded", self.now);
        self.enrol_identities(path, Age::Fresh);
        let source = self.event_source(call, principal);
        self.emit(EventDraft::write(
            source,
            path,
            Kind::UserAssignedIdentity,
            update,
            self.now,
        ));
        let document = self.store.find(path.key()).map(render);
        Reply::new(if update { 200 } else { 201 }, Backend::Resources, document)
    }
}

/// The provider spells its ids with a lower-case `/resourcegroups/` [clusters: cap_kubenet_byo_subnet_uai].
pub(crate) fn render(resource: &Resource) -> Value {
    json!({
        "location": resource.body.get("location"),
        "tags": resource.body.get("tags").cloned().unwrap_or_else(|| json!({})),
        "id": aks_id(resource.path.as_str()),
        "name": resource.path.name(),
        "type": resource.kind.facts().type_name,
        "properties": resource.body.get("properties"),
    })
}

/// Fills in what Azure knows about a cluster's identities. A system-assigned principal stays while the cluster lives
/// and is another for the next cluster of the name; user-assigned ones are looked up
/// [clusters: cap_kubenet_byo_subnet_uai].
pub(crate) fn fill_identity(
    store: &Store,
    cluster: &ArmPath,
    existing: Option<&Resource>,
    body: &mut Value,
    draws: crate::draws::Draws,
    tenant: Uuid,
) -> Result<(), ArmError> {
    let Some(kind) = text(body, &["identity", "type"]).map(str::to_owned) else {
        return Ok(());
    };
    if kind.contains("SystemAssigned") {
        let had = existing.and_then(|had| text(&had.body, &["identity", "principalId"]));
        let birth = store.births();
        let drawn = || draws.uuid(&format!("principal|{}|{birth}", cluster.key())).to_string();
        body["identity"]["principalId"] = json!(had.map_or_else(drawn, str::to_owned));
        body["identity"]["tenantId"] = json!(tenant);
    }
    let named = body["identity"]
        .get_mut("userAssignedIdentities")
        .and_then(Value::as_object_mut);
    for (id, value) in named.into_iter().flatten() {
        let identity = store.find(id).filter(|found| found.kind == Kind::UserAssignedIdentity);
        let identity = identity.ok_or_else(|| identity_not_found(cluster, id))?;
        *value = json!({
            "clientId": text(&identity.body, &["properties", "clientId"]),
            "principalId": text(&identity.body, &["properties", "principalId"]),
        });
    }
    Ok(())
}

/// Code and text from memory, not captured [?].
fn identity_not_found(cluster: &ArmPath, identity: &str) -> ArmError {
    ArmError::gateway(
        400,
        "FailedIdentityOperation",
        format!(
            "Identity operation for resource '{cluster}' failed with error 'Failed to perform resource identity \
             operation. Status: 'BadRequest'. Response: '{{\"error\":{{\"code\":\"BadRequest\",\"message\":\"Resource \
             '{identity}' was not found.\"}}}}'."
        ),
    )
}
