//! The rights that a cluster's control plane needs once it is led through the hub: AKS joins new nodes to subnets and route
//! tables, and whoever writes a subnet needs the right to join everything that the subnet names (Azure Resource Manager, linked
//! authorization). Each right is one role assignment with a name that follows from what it gives.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{SpokeBlueprint, application_group_id};
use crate::config::{Config, Hub};
use crate::estate::{ClusterView, Identity, Listing};
use crate::ids::ResourceId;
use crate::names;

/// Who the cluster's control plane is, as far as the cluster's document and the configuration tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterPrincipal {
    /// The object id, a GUID.
    Known(String),
    /// A service principal of this client id, whose object id nobody configured.
    ServicePrincipal(String),
    /// The document does not say.
    Unknown,
}

/// One role for the cluster's principal at one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The role assignment, if it has to be made.
    pub id: ResourceId,
    /// Where the role is given.
    pub scope: ResourceId,
    /// To whom: an object id.
    pub principal: String,
    /// The role definition's GUID.
    pub definition: String,
}

impl Grant {
    fn new(config: &Config, scope: ResourceId, principal: &str) -> Self {
        let definition = &config.roles.definition;
        let name = names::role_assignment(&scope, principal, &definition_id(&scope, definition));
        Self {
            id: scope.child("providers/Microsoft.Authorization/roleAssignments", &name.to_string()),
            scope,
            principal: principal.to_owned(),
            definition: definition.clone(),
        }
    }

    /// The body of the assignment. With its type a principal is found sooner after it was made (Azure RBAC troubleshooting.md).
    #[must_use]
    pub fn body(&self) -> Value {
        json!({
            "properties": {
                "roleDefinitionId": definition_id(&self.scope, &self.definition),
                "principalId": self.principal,
                "principalType": "ServicePrincipal",
            }
        })
    }
}

/// A role definition as seen from the subscription of `scope`.
fn definition_id(scope: &ResourceId, definition: &str) -> String {
    format!(
        "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{definition}",
        scope.subscription()
    )
}

/// Who gets the rights of `cluster`. What is no GUID is nobody's object id.
#[must_use]
pub fn cluster_principal(config: &Config, cluster: &ClusterView<'_>) -> ClusterPrincipal {
    match cluster.identity() {
        Identity::SystemAssigned(principal) | Identity::UserAssigned(principal)
            if principal.parse::<Uuid>().is_ok() =>
        {
            ClusterPrincipal::Known(principal)
        }
        Identity::ServicePrincipal(client) => match config.object_id_of(&client) {
            Some(object) => ClusterPrincipal::Known(object.to_owned()),
            None => ClusterPrincipal::ServicePrincipal(client),
        },
        Identity::SystemAssigned(_) | Identity::UserAssigned(_) | Identity::Unknown => ClusterPrincipal::Unknown,
    }
}

/// The rights of the cluster on its route table, on each of its subnets and on the group of its application address; none while
/// its principal is not known.
#[must_use]
pub fn grants(
    config: &Config,
    hub: &Hub,
    id: &ResourceId,
    cluster: &ClusterView<'_>,
    blueprint: &SpokeBlueprint,
) -> Vec<Grant> {
    let ClusterPrincipal::Known(principal) = cluster_principal(config, cluster) else {
        return Vec::new();
    };
    let subnets = blueprint.subnets.iter().map(|subnet| subnet.id.clone());
    let group = hub.ingress.is_some().then(|| application_group_id(config, id));
    [blueprint.route_table.clone()]
        .into_iter()
        .chain(subnets)
        .chain(group)
        .map(|scope| Grant::new(config, scope, &principal))
        .collect()
}

/// The lists that tell which rights the cluster's principal has: in its own subscription and in that of its network.
pub(crate) fn lists_of_rights(config: &Config, id: &ResourceId, cluster: &ClusterView<'_>) -> BTreeSet<Listing> {
    let ClusterPrincipal::Known(principal) = cluster_principal(config, cluster) else {
        return BTreeSet::new();
    };
    let subnets = cluster.subnets();
    let subscriptions = subnets
        .iter()
        .chain([id])
        .map(|id| id.subscription().to_ascii_lowercase());
    subscriptions
        .map(|subscription| Listing::RoleAssignments {
            subscription,
            principal: principal.to_ascii_lowercase(),
        })
        .collect()
}
