//! GET of resources, lists and operation URLs. Reads never change anything.

use crate::arm::errors::{self, ArmError};
use crate::arm::headers::Reply;
use crate::arm::operations::{Effect, Status};
use crate::arm::request::{ArmCall, PollForm};
use crate::azure::Azure;
use crate::ids::ArmPath;
use crate::kinds::{Backend, Kind, managed_cluster};
use crate::store::Resource;
use serde_json::{Value, json};
use uuid::Uuid;

impl Azure {
    /// One resource, with its `ETag` header as its back end writes it [arm-behaviour 2].
    pub(crate) fn get(&self, path: &ArmPath, kind: Kind) -> Result<Reply, ArmError> {
        if kind == Kind::AgentPool {
            let pool = managed_cluster::agent_pool(&self.store, path);
            return pool
                .map(|pool| Reply::new(200, Backend::Aks, Some(pool)))
                .ok_or_else(|| self.not_found(path, kind));
        }
        let found = self.store.find(path.key()).ok_or_else(|| self.not_found(path, kind))?;
        let reply = Reply::new(200, kind.facts().backend, Some(self.store.render(found)));
        let etag = crate::render::etag(&self.store, found);
        Ok(match kind.facts().backend {
            Backend::Nrp => reply.with("etag", etag),
            Backend::Nfv => reply.with("etag", format!("\"{etag}\"")),
            Backend::Aks | Backend::Resources => reply,
        })
    }

    /// A collection: of a parent, a resource group or the subscription, in one page.
    pub(crate) fn list(&self, path: &ArmPath, kind: Kind) -> Result<Reply, ArmError> {
        let values: Vec<Value> = if kind.is_child() {
            let parent = parent_of_collection(path);
            let parent = parent.and_then(|parent| self.store.find(&parent));
            let parent = parent.ok_or_else(|| errors::parent_not_found(path))?;
            if kind == Kind::AgentPool {
                managed_cluster::agent_pools(parent)
            } else {
                self.store
                    .children(parent.path.key(), kind)
                    .into_iter()
                    .map(|child| self.store.render(child))
                    .collect()
            }
        } else {
            let group = path.resource_group.as_deref();
            if let Some(group) = group {
                self.require_group(path, group)?;
            }
            let inside = |resource: &&Resource| {
                group.is_none_or(|group| {
                    resource
                        .path
                        .resource_group
                        .as_ref()
                        .is_some_and(|other| other.eq_ignore_ascii_case(group))
                })
            };
            self.store
                .of_kind(kind)
                .filter(inside)
                .map(|resource| self.store.render(resource))
                .collect()
        };
        Ok(Reply::new(200, kind.facts().backend, Some(json!({"value": values}))))
    }

    /// An operation URL, which must come back exactly as it was given. What Azure answers to an edited one was never
    /// captured [?]; it is refused either way.
    pub(crate) fn poll(&self, call: &ArmCall, id: Uuid, form: PollForm) -> Result<Reply, ArmError> {
        let unknown = || ArmError::service(404, "NotFound", format!("Operation {id} not found."));
        let operation = self.operations.find(id).ok_or_else(unknown)?;
        let url = match form {
            PollForm::Status => operation.status_url(self.draws, &call.host),
            PollForm::Result => operation.result_url(self.draws, &call.host),
        };
        let asked = format!("https://{}{}?{}", call.host, call.raw_path, call.raw_query);
        if url != asked {
            return Err(ArmError::gateway(
                400,
                "InvalidAsyncOperationUrl",
                "The operation URL was changed: its signature does not fit. Send it back exactly as it was received.",
            ));
        }
        let backend = operation.kind.facts().backend;
        if form == PollForm::Status {
            let reply = Reply::new(200, backend, Some(operation.status_body()));
            let again = operation.status == Status::InProgress && backend != Backend::Aks;
            return Ok(if again { reply.with("retry-after", "10") } else { reply });
        }
        Ok(match (&operation.status, &operation.effect) {
            (Status::InProgress, _) => Reply::new(202, backend, None)
                .with("location", url)
                .with("retry-after", "10"),
            // A group that cannot go answers 409 here [azure-cli#11277].
            (Status::Failed { code, message }, _) if operation.kind == Kind::ResourceGroup => {
                return Err(ArmError::gateway(409, code, message.clone()));
            }
            (Status::Failed { code, message }, _) => return Err(ArmError::service(400, code, message.clone())),
            // A finished delete is 200 or 204: both are recorded, about three to one [recorded: fluent-net, azure-mgmt-network].
            (Status::Succeeded, Effect::Delete) => {
                let status = if self.draws.fraction(&format!("gone|{id}")) < 0.27 {
                    204
                } else {
                    200
                };
                Reply::new(status, backend, None)
            }
            (Status::Succeeded, Effect::Write { .. }) => Reply::new(
                200,
                backend,
                self.store.find(&operation.target).map(|found| self.store.render(found)),
            ),
        })
    }

    /// The right 404 for a missing resource.
    pub(crate) fn not_found(&self, path: &ArmPath, kind: Kind) -> ArmError {
        if let Some(group) = path.resource_group.as_deref()
            && let Err(error) = self.require_group(path, group)
        {
            return error;
        }
        if kind == Kind::ResourceGroup {
            return errors::resource_group_not_found(path.name());
        }
        if kind.is_child() {
            let parent = path.parent();
            return match parent {
                Some(parent) if !self.store.exists(parent.key()) => errors::resource_not_found(&parent),
                Some(_) | None => errors::child_not_found(path),
            };
        }
        errors::resource_not_found(path)
    }

    /// Refuses when the path's resource group is not there.
    pub(crate) fn require_group(&self, path: &ArmPath, group: &str) -> Result<(), ArmError> {
        let subscription = path.subscription.as_deref().unwrap_or_default();
        if self
            .store
            .exists(&format!("/subscriptions/{subscription}/resourceGroups/{group}"))
        {
            return Ok(());
        }
        Err(errors::resource_group_not_found(group))
    }
}

fn parent_of_collection(path: &ArmPath) -> Option<String> {
    path.key().rsplit_once('/').map(|(parent, _)| parent.to_owned())
}
