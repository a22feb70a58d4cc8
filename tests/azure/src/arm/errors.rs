//! ARM error answers: status, code and text, each as Azure words it.
//! Texts that no capture shows are marked [?] where they are made; clients must not rely on them.

use crate::ids::ArmPath;
use crate::kinds::Kind;
use serde_json::{Value, json};

/// Who refused: the front door or the resource provider [arm-behaviour 1: `x-ms-failure-cause`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Gateway,
    Service,
}

/// One refusal.
#[derive(Clone, Debug)]
pub(crate) struct ArmError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) cause: Cause,
    pub(crate) retry_after: Option<u32>,
}

impl ArmError {
    pub(crate) fn gateway(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            cause: Cause::Gateway,
            retry_after: None,
        }
    }

    pub(crate) fn service(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            cause: Cause::Service,
            retry_after: None,
        }
    }

    /// The body: providers add an empty `details`, the gateway does not [recorded: fluent-net Msi, CreateUpdatePeering].
    pub(crate) fn body(&self) -> Value {
        match self.cause {
            Cause::Gateway => json!({"error": {"code": self.code, "message": self.message}}),
            Cause::Service => json!({"error": {"code": self.code, "message": self.message, "details": []}}),
        }
    }
}

/// A top-level resource that is not there [arm-behaviour 3: ResourceNotFound].
pub(crate) fn resource_not_found(path: &ArmPath) -> ArmError {
    let type_name = Kind::of(path).map_or_else(|| path.type_key(), |kind| kind.facts().action_name.to_owned());
    let group = path.resource_group.as_deref().unwrap_or_default();
    ArmError::gateway(
        404,
        "ResourceNotFound",
        format!(
            "The Resource '{type_name}/{}' under resource group '{group}' was not found. For more details please go to \
             https://aka.ms/ARMResourceNotFoundFix",
            path.name()
        ),
    )
}

/// A child that is not there under a parent that is [arm-behaviour 3: NotFound].
pub(crate) fn child_not_found(path: &ArmPath) -> ArmError {
    ArmError::service(404, "NotFound", format!("Resource {path} not found."))
}

/// A child of a parent that is not there [arm-behaviour 3: ParentResourceNotFound].
pub(crate) fn parent_not_found(path: &ArmPath) -> ArmError {
    let parent = path.parent().map_or_else(String::new, |parent| parent.names.join("/"));
    ArmError::gateway(
        404,
        "ParentResourceNotFound",
        format!("Can not perform requested operation on nested resource. Parent resource '{parent}' not found."),
    )
}

/// [arm-behaviour 3: ResourceGroupNotFound]
pub(crate) fn resource_group_not_found(group: &str) -> ArmError {
    ArmError::gateway(
        404,
        "ResourceGroupNotFound",
        format!("Resource group '{group}' could not be found."),
    )
}

/// [azure-cli#28679]
pub(crate) fn resource_group_being_deleted(group: &str) -> ArmError {
    ArmError::gateway(
        409,
        "ResourceGroupBeingDeleted",
        format!("The resource group '{group}' is in deprovisioning state and cannot perform this operation."),
    )
}

/// [arm-behaviour 3: SubscriptionNotFound; text not captured]
pub(crate) fn subscription_not_found(subscription: &str) -> ArmError {
    ArmError::gateway(
        404,
        "SubscriptionNotFound",
        format!("The subscription '{subscription}' could not be found."),
    )
}

/// [azure-cli#7746, arm-behaviour 3: InvalidResourceReference]
pub(crate) fn invalid_resource_reference(referenced: &str, by: &str) -> ArmError {
    ArmError::service(
        400,
        "InvalidResourceReference",
        format!(
            "Resource {referenced} referenced by resource {by} was not found. Please make sure that the referenced \
             resource exists, and that both resources are in the same region."
        ),
    )
}

/// [arm-behaviour 3: ReferencedResourceNotProvisioned; seen again 2026-04 in azuresandbox#329]
pub(crate) fn referenced_not_provisioned(busy: &str, used_by: &str, state: &str, operation: &str) -> ArmError {
    ArmError::service(
        400,
        "ReferencedResourceNotProvisioned",
        format!(
            "Cannot proceed with operation because resource {busy} used by resource {used_by} is not in Succeeded state. \
             Resource is in {state} state and the last operation that updated/is updating the resource is {operation}."
        ),
    )
}

/// [arm-behaviour 3: AnotherOperationInProgress; azurerm#3780]
pub(crate) fn another_operation_in_progress(operation_url: &str) -> ArmError {
    ArmError::service(
        409,
        "AnotherOperationInProgress",
        format!(
            "Another operation on this or dependent resource is in progress. To retrieve status of the operation use \
             uri: {operation_url}."
        ),
    )
}

/// Code as seen in azurerm#15440 and bicep#1013; the text was never captured [?].
pub(crate) fn firewall_policy_busy(policy: &str) -> ArmError {
    ArmError::service(
        409,
        "FirewallPolicyUpdateNotAllowedWhenUpdatingOrDeleting",
        format!("Put on Firewall Policy {policy} is not allowed while the policy is being updated or deleted."),
    )
}

/// [arm-behaviour 3: OperationNotAllowed (AKS)]
pub(crate) fn cluster_busy(state: &str) -> ArmError {
    ArmError::service(
        409,
        "OperationNotAllowed",
        format!(
            "Operation is not allowed: Another operation ({state}) is in progress, please wait for it to finish before \
             starting a new operation. See https://aka.ms/aks-pending-operation for more details"
        ),
    )
}

/// The body is not JSON, or not an object.
pub(crate) fn invalid_request_content(reason: &str) -> ArmError {
    ArmError::gateway(
        400,
        "InvalidRequestContent",
        format!("The request content was invalid and could not be deserialized: '{reason}'."),
    )
}
