//! A view of a role assignment.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::access::text;
use crate::ids::ResourceId;

/// Typed reading of a role assignment.
#[derive(Clone, Copy, Debug)]
pub struct RoleAssignmentView<'a> {
    body: &'a Value,
}

impl<'a> RoleAssignmentView<'a> {
    /// A view on `body`.
    #[must_use]
    pub fn new(body: &'a Value) -> Self {
        Self { body }
    }

    /// The name, a GUID.
    #[must_use]
    pub fn name(&self) -> &'a str {
        text(self.body, "/name").unwrap_or_default()
    }

    /// Where it applies, with everything below; a management group's or the tenant's root (`/`) is no resource id.
    #[must_use]
    pub fn scope(&self) -> &'a str {
        text(self.body, "/properties/scope").unwrap_or_default()
    }

    /// When it was made, if Azure says.
    #[must_use]
    pub fn created_at(&self) -> Option<OffsetDateTime> {
        text(self.body, "/properties/createdOn").and_then(|t| OffsetDateTime::parse(t, &Rfc3339).ok())
    }

    /// True if it gives the role to the principal everywhere in its scope. One with a condition may give less.
    #[must_use]
    pub fn gives(&self, principal: &str, definition: &str) -> bool {
        let names = |pointer: &str, wanted: &str| {
            text(self.body, pointer)
                .and_then(|t| t.rsplit('/').next())
                .is_some_and(|t| t.eq_ignore_ascii_case(wanted))
        };
        names("/properties/principalId", principal)
            && names("/properties/roleDefinitionId", definition)
            && text(self.body, "/properties/condition").is_none_or(str::is_empty)
    }

    /// True if `id` is its scope or lies in it.
    #[must_use]
    pub fn covers(&self, id: &ResourceId) -> bool {
        let scope = self.scope().trim_end_matches('/').to_ascii_lowercase();
        // What is above subscriptions was listed because it applies to this one.
        let above = !scope.starts_with("/subscriptions/");
        let rest = id.key();
        above
            || rest
                .strip_prefix(&scope)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}
