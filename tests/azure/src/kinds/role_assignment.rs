//! Role assignments: extension resources at any scope, written and deleted at once.
//! They are never changed: whoever wants another principal or role makes another assignment. Deleting a resource
//! deletes what is assigned at it and below it; what names a principal that has left stays.

use crate::arm::errors::{self, ArmError};
use crate::arm::headers::Reply;
use crate::arm::operations::rfc3339;
use crate::arm::request::ArmCall;
use crate::azure::Azure;
use crate::documents::Documents;
use crate::events::EventDraft;
use crate::ids::{ArmPath, same_id};
use crate::kinds::checks::strip_read_only;
use crate::kinds::{Backend, Kind};
use crate::store::{Resource, text};
use crate::trace::Principal;
use serde_json::{Value, json};
use uuid::Uuid;

/// Azure's own roles that this Azure knows: Owner, Contributor, Reader, Network Contributor, User Access
/// Administrator, Managed Identity Operator, Private DNS Zone Contributor.
const BUILT_IN_ROLES: &[&str] = &[
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "4d97b98b-1d4f-4787-a291-c67834d212e7",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
    "f1a07417-d97a-45cb-824c-7a7467783830",
    "b12aa53e-6015-4669-85d0-8515ebb3ae7f",
];

impl Azure {
    /// Any call on role assignments.
    pub(crate) fn role_assignment(
        &mut self,
        call: &ArmCall,
        principal: &Principal,
        path: &ArmPath,
    ) -> Result<Reply, ArmError> {
        self.require_scope(path)?;
        match (call.method.as_str(), path.is_collection()) {
            ("PUT", false) => self.assign(call, principal, path),
            ("GET", false) => self
                .store
                .find(path.key())
                .map(|found| Reply::new(200, Backend::Resources, Some(render(found))))
                .ok_or_else(|| not_found(path)),
            ("GET", true) => self.list_assignments(call, path),
            ("DELETE", false) => Ok(self.unassign(call, principal, path)),
            _ => Err(ArmError::gateway(
                405,
                "MethodNotAllowed",
                format!("The HTTP method '{}' is not supported at scope '{path}'.", call.method),
            )),
        }
    }

    fn assign(&mut self, call: &ArmCall, caller: &Principal, path: &ArmPath) -> Result<Reply, ArmError> {
        let mut body = call.json_object()?;
        strip_read_only(Kind::RoleAssignment, &mut body);
        let wanted = self.judge(path, &body)?;
        if let Some(existing) = self.store.find(path.key()) {
            if Triple::of(existing) != Some(wanted) {
                return Err(self.update_not_permitted(path));
            }
            return Ok(Reply::new(200, Backend::Resources, Some(render(existing))));
        }
        // A name is taken in the whole directory, and a scope cannot be changed either [learn: role-assignments].
        let named = |other: &Resource| other.path.name().eq_ignore_ascii_case(path.name());
        if self.store.of_kind(Kind::RoleAssignment).any(named) {
            return Err(self.update_not_permitted(path));
        }
        self.require_principal(&wanted, &body)?;
        let twin = self
            .store
            .of_kind(Kind::RoleAssignment)
            .find(|other| same_id(other.path.scope(), path.scope()) && Triple::of(other).as_ref() == Some(&wanted));
        if twin.is_some() {
            // [recorded: fluent-net CanSetMSIOnExistingVMWithRoleAssignments]
            return Err(ArmError::gateway(
                409,
                "RoleAssignmentExists",
                "The role assignment already exists.",
            ));
        }
        body["properties"]["roleDefinitionId"] = json!(format!(
            "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{}",
            self.world.subscription, wanted.role
        ));
        body["properties"]["principalId"] = json!(wanted.principal);
        body["properties"]["principalType"] = json!("ServicePrincipal");
        body["properties"]["createdBy"] = json!(caller.object_id);
        self.store.put(path, Kind::RoleAssignment, body, "Succeeded", self.now);
        self.emit(EventDraft::write(
            self.event_source(call, caller),
            path,
            Kind::RoleAssignment,
            false,
            self.now,
        ));
        let mut document = self.store.find(path.key()).map(render).unwrap_or_default();
        // The answer to the PUT does not know who made it, every later GET does [recorded: fluent-net EMSILMSI].
        document["properties"]["createdBy"] = Value::Null;
        Ok(Reply::new(201, Backend::Resources, Some(document)))
    }

    /// 200 with what was there, or 204 [arm-behaviour 1: "of a roleAssignment"].
    fn unassign(&mut self, call: &ArmCall, caller: &Principal, path: &ArmPath) -> Reply {
        let Some((found, document)) = self
            .store
            .find(path.key())
            .map(|found| (found.path.clone(), render(found)))
        else {
            return Reply::new(204, Backend::Resources, None);
        };
        self.store.remove_tree(found.key());
        let source = self.event_source(call, caller);
        self.emit(EventDraft::delete(source, &found, Kind::RoleAssignment, self.now));
        Reply::new(200, Backend::Resources, Some(document))
    }

    /// At a scope: what is assigned at, above and below it [recorded: fluent-net Msi, lists at a VNet and at a group].
    fn list_assignments(&self, call: &ArmCall, path: &ArmPath) -> Result<Reply, ArmError> {
        let filter = Filter::read(call.query.get("$filter").map_or("", String::as_str))?;
        let asked = path.scope().to_lowercase();
        let mut found: Vec<&Resource> = self
            .store
            .of_kind(Kind::RoleAssignment)
            .filter(|assignment| {
                let scope = assignment.path.scope().to_lowercase();
                let at_or_above = within(&asked, &scope);
                at_or_above || (!filter.at_scope && within(&scope, &asked))
            })
            .filter(|assignment| {
                let principal = Triple::of(assignment).map(|triple| triple.principal);
                filter.principal.is_none() || principal == filter.principal
            })
            .collect();
        found.sort_by_key(|assignment| assignment.order);
        let values: Vec<Value> = found.into_iter().map(render).collect();
        Ok(Reply::new(200, Backend::Resources, Some(json!({"value": values}))))
    }

    /// What is assigned at must be there. For a child that is missing under a parent, the answer is the child
    /// provider's own [?: not captured].
    fn require_scope(&self, path: &ArmPath) -> Result<(), ArmError> {
        let missing = || ArmError::gateway(404, "NotFound", format!("Resource {} not found.", path.scope()));
        let scope = ArmPath::parse(path.scope()).ok_or_else(missing)?;
        if scope.provider.is_none() && scope.resource_group.is_none() {
            return Ok(());
        }
        if self.store.get(scope.as_str()).is_some() {
            return Ok(());
        }
        Err(match Kind::of(&scope) {
            Some(kind) => self.not_found(&scope, kind),
            None => errors::resource_not_found(&scope),
        })
    }

    /// Reads what is wanted; its name must be a GUID and its role must exist.
    fn judge(&self, path: &ArmPath, body: &Value) -> Result<Triple, ArmError> {
        if path.name().parse::<Uuid>().is_err() {
            // Text from memory, not captured [?].
            return Err(ArmError::gateway(
                400,
                "InvalidRoleAssignmentId",
                format!(
                    "The role assignment ID '{}' is not valid. The role assignment ID must be a GUID.",
                    path.name()
                ),
            ));
        }
        let definition = text(body, &["properties", "roleDefinitionId"]);
        let principal = text(body, &["properties", "principalId"]);
        let (Some(definition), Some(principal)) = (definition, principal) else {
            // Code and text from memory, not captured [?].
            return Err(ArmError::gateway(
                400,
                "InvalidCreateRoleAssignmentRequest",
                "The request to create role assignment '{0}' is not valid. Role assignment scope '{1}' must match the \
                 scope specified on the URI and must not be empty."
                    .replace("{0}", path.name())
                    .replace("{1}", path.scope()),
            ));
        };
        let id = definition.rsplit('/').next().unwrap_or_default();
        let role: Option<Uuid> = id.parse().ok();
        let known =
            |role: &Uuid| BUILT_IN_ROLES.contains(&role.to_string().as_str()) || self.world.custom_roles.contains(role);
        let role = role.filter(known).ok_or_else(|| {
            // [recorded: azure-mgmt-authorization 2]; the id in the text has no dashes.
            ArmError::gateway(
                404,
                "RoleDefinitionDoesNotExist",
                format!(
                    "The specified role definition with ID '{}' does not exist.",
                    id.replace('-', "")
                ),
            )
        })?;
        let principal = principal.parse().map_err(|_| {
            // Code and text from memory, not captured [?].
            ArmError::gateway(
                400,
                "InvalidPrincipalId",
                format!("A valid principal ID must be provided for role assignment. '{principal}' is not a GUID."),
            )
        })?;
        Ok(Triple { principal, role })
    }

    /// The documentation says that a request with `principalType` is spared the look-up of a fresh principal; some
    /// see the refusal all the same [azure-docs#103085]. So it is looked up here always: a client that waits is right
    /// in both worlds.
    fn require_principal(&self, wanted: &Triple, body: &Value) -> Result<(), ArmError> {
        if !self.directory.sees(wanted.principal, self.now) {
            // [recorded: fluent-net Msi, EMSILMSI]
            return Err(ArmError::gateway(
                400,
                "PrincipalNotFound",
                format!(
                    "Principal {} does not exist in the directory {}.",
                    wanted.principal.simple(),
                    self.world.tenant
                ),
            ));
        }
        let asked = text(body, &["properties", "principalType"]).unwrap_or("ServicePrincipal");
        if asked.eq_ignore_ascii_case("ServicePrincipal") {
            return Ok(());
        }
        // Text, with its misspelling, from memory, not captured [?].
        Err(ArmError::gateway(
            400,
            "UnmatchedPrincipalType",
            format!(
                "The PrincipalId '{}' has type 'ServicePrincipal' , which is different from specified PrinciaplType \
                 '{asked}'.",
                wanted.principal.simple()
            ),
        ))
    }

    /// Both statuses have been seen with this code [arm-behaviour 3: RoleAssignmentUpdateNotPermitted].
    fn update_not_permitted(&self, path: &ArmPath) -> ArmError {
        let status = if self.draws.fraction(&format!("not-permitted|{}", path.key())) < 0.5 {
            400
        } else {
            409
        };
        ArmError::gateway(
            status,
            "RoleAssignmentUpdateNotPermitted",
            "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
        )
    }
}

/// Field order as recorded [recorded: fluent-net EMSILMSI].
pub(crate) fn render(resource: &Resource) -> Value {
    let own = |field: &str| resource.body["properties"].get(field).cloned().unwrap_or(Value::Null);
    let made = rfc3339(resource.created_at);
    let mut properties = json!({
        "roleDefinitionId": own("roleDefinitionId"),
        "principalId": own("principalId"),
        "principalType": own("principalType"),
        "scope": resource.path.scope(),
    });
    for optional in ["condition", "conditionVersion", "description"] {
        if let Some(value) = resource.body["properties"].get(optional) {
            properties[optional] = value.clone();
        }
    }
    properties["createdOn"] = json!(made);
    properties["updatedOn"] = json!(made);
    properties["createdBy"] = own("createdBy");
    properties["updatedBy"] = own("createdBy");
    json!({
        "properties": properties,
        "id": resource.path.as_str(),
        "type": resource.kind.facts().type_name,
        "name": resource.path.name(),
    })
}

/// Who gets which role; together with the scope it may exist once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Triple {
    principal: Uuid,
    role: Uuid,
}

impl Triple {
    fn of(assignment: &Resource) -> Option<Self> {
        let role = text(&assignment.body, &["properties", "roleDefinitionId"])?;
        Some(Self {
            principal: text(&assignment.body, &["properties", "principalId"])?.parse().ok()?,
            role: role.rsplit('/').next()?.parse().ok()?,
        })
    }
}

/// What a list is narrowed to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Filter {
    principal: Option<Uuid>,
    /// At and above the scope only.
    at_scope: bool,
}

impl Filter {
    /// `principalId eq 'ID'`, `assignedTo('ID')` and `atScope()`, joined by `and` [learn: role-assignments-list-rest].
    /// Groups do not exist here, so the first two say the same.
    fn read(text: &str) -> Result<Self, ArmError> {
        let mut filter = Self::default();
        for part in text.split(" and ").map(str::trim).filter(|part| !part.is_empty()) {
            let lower = part.to_lowercase();
            let quoted = part.split('\'').nth(1).and_then(|id| id.parse().ok());
            if lower == "atscope()" {
                filter.at_scope = true;
            } else if (lower.starts_with("principalid eq '") || lower.starts_with("assignedto('")) && quoted.is_some() {
                filter.principal = quoted;
            } else {
                // Code and text from memory, not captured [?].
                return Err(ArmError::gateway(
                    400,
                    "UnsupportedFilter",
                    format!("The filter '{part}' is not supported for role assignments."),
                ));
            }
        }
        Ok(filter)
    }
}

/// True when `inner` is `outer` or lies below it; both in lower case.
fn within(inner: &str, outer: &str) -> bool {
    inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
}

/// Text from memory, not captured [?].
fn not_found(path: &ArmPath) -> ArmError {
    ArmError::gateway(
        404,
        "RoleAssignmentNotFound",
        format!("The role assignment '{}' is not found.", path.name().replace('-', "")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_or_refused() {
        let id = Uuid::from_u128(7);
        let both = Filter::read(&format!("atScope() and assignedTo('{id}')")).unwrap();
        assert_eq!((both.at_scope, both.principal), (true, Some(id)));
        let eq = Filter::read(&format!("principalId eq '{id}'")).unwrap();
        assert_eq!((eq.at_scope, eq.principal), (false, Some(id)));
        assert_eq!(Filter::read("").unwrap(), Filter::default());
        assert!(Filter::read("name eq 'x'").is_err());
        assert!(Filter::read("principalId eq 'x'").is_err());
    }
}
