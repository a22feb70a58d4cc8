//! PUT and PATCH: accept, show the desired values at once, start the operation.
//! A refused write changes nothing. A GET right after an accepted one already shows the desired values
//! [arm-behaviour 1: "GET while Updating"].

use crate::arm::errors::{self, ArmError};
use crate::arm::headers::Reply;
use crate::arm::lanes;
use crate::arm::latency::{Verb, draw, range_for};
use crate::arm::operations::{Effect, Operation, Status};
use crate::arm::request::ArmCall;
use crate::azure::Azure;
use crate::directory::Age;
use crate::documents::Documents;
use crate::events::EventDraft;
use crate::ids::ArmPath;
use crate::kinds::checks::{Accepted, Answer, Write, accept, strip_read_only};
use crate::kinds::{Backend, Kind, managed_cluster};
use crate::render::firewalls_of_policy;
use crate::store::text;
use crate::trace::Principal;
use serde_json::{Value, json};
use uuid::Uuid;

impl Azure {
    pub(crate) fn put(
        &mut self,
        call: &ArmCall,
        principal: &Principal,
        path: &ArmPath,
        kind: Kind,
    ) -> Result<Reply, ArmError> {
        let mut body = call.json_object()?;
        self.require_place(path, kind)?;
        strip_read_only(kind, &mut body);
        self.authorize_links(principal, kind, path, &body)?;
        if !kind.is_child() {
            self.settle_location(path, &mut body)?;
        }
        if kind == Kind::ResourceGroup {
            return self.put_group(call, principal, path, body);
        }
        if kind == Kind::AgentPool {
            return self.put_pool(call, principal, path, body);
        }
        if kind == Kind::UserAssignedIdentity {
            return Ok(self.put_identity(call, principal, path, body));
        }
        let existing = self.store.find(path.key()).cloned();
        let lanes = lanes::needed(&self.store, path, kind, Some(&body));
        let state = existing.as_ref().map_or("Creating", |existing| existing.state.as_str());
        lanes::refuse_if_taken(&self.operations, self.draws, &call.host, &lanes, path, kind, state)?;
        let write = Write {
            store: &self.store,
            path,
            existing: existing.as_ref(),
            query: &call.query,
            body,
            draws: self.draws,
            tenant: self.world.tenant,
        };
        let accepted = accept(kind, write)?;
        let verb = if existing.is_some() { Verb::Update } else { Verb::Create };
        match accepted.answer {
            Answer::Null => {
                self.emit(EventDraft::write(
                    self.event_source(call, principal),
                    path,
                    kind,
                    true,
                    self.now,
                ));
                Ok(Reply::new(200, Backend::Nfv, Some(Value::Null)))
            }
            Answer::Unchanged => {
                let operation = self.unchanged_operation(call, principal, path, kind);
                Ok(self.write_reply(call, path, kind, 200, operation))
            }
            Answer::Operation => {
                self.store_accepted(path, kind, accepted, verb);
                self.enrol_identities(path, Age::Fresh);
                if kind == Kind::ManagedCluster {
                    managed_cluster::begun(&mut self.store, path, &mut self.addresses, &mut self.internet);
                }
                let effect = Effect::Write {
                    update: verb == Verb::Update,
                };
                let operation = self.start_operation(call, principal, path, kind, verb, effect, lanes);
                let status = if verb == Verb::Update { 200 } else { 201 };
                let mut reply = self.write_reply(call, path, kind, status, operation);
                reply.firewall_update = self.firewall_attached(path, kind);
                Ok(reply)
            }
        }
    }

    /// Tags only, as Network's PATCH has it [arm-behaviour 1: "PATCH (updateTags)"].
    pub(crate) fn patch(
        &mut self,
        call: &ArmCall,
        principal: &Principal,
        path: &ArmPath,
        kind: Kind,
    ) -> Result<Reply, ArmError> {
        let sent = call.json_object()?;
        if kind.is_child() {
            return Err(ArmError::gateway(
                405,
                "MethodNotAllowed",
                format!("PATCH is not supported at '{path}'."),
            ));
        }
        let mut body = self
            .store
            .find(path.key())
            .ok_or_else(|| self.not_found(path, kind))?
            .body
            .clone();
        let lanes = lanes::needed(&self.store, path, kind, None);
        lanes::refuse_if_taken(&self.operations, self.draws, &call.host, &lanes, path, kind, "Updating")?;
        // Network's PATCH replaces the set of tags [recorded: fluent-net RouteTable CreateUpdate, seq 16].
        body["tags"] = sent.get("tags").cloned().unwrap_or_else(|| json!({}));
        let slow = matches!(kind, Kind::AzureFirewall | Kind::ManagedCluster);
        let state = if slow { "Updating" } else { "Succeeded" };
        self.store.put(path, kind, body, state, self.now);
        if !slow {
            self.emit(EventDraft::write(
                self.event_source(call, principal),
                path,
                kind,
                true,
                self.now,
            ));
            return self
                .get(path, kind)
                .map(|reply| Reply::new(200, reply.backend, reply.body));
        }
        let effect = Effect::Write { update: true };
        let operation = self.start_operation(call, principal, path, kind, Verb::Update, effect, lanes);
        let mut reply = self.write_reply(call, path, kind, 200, operation);
        if kind == Kind::AzureFirewall {
            // 200 `Updating` without any operation URL: the client has to GET [recorded: network-19.3 firewall].
            reply
                .headers
                .retain(|(name, _)| *name != "azure-asyncoperation" && *name != "retry-after");
            reply.firewall_update = true;
        }
        Ok(reply)
    }

    /// Starts an operation and marks what it touches.
    #[expect(clippy::too_many_arguments, reason = "an operation is the sum of all of these")]
    pub(crate) fn start_operation(
        &mut self,
        call: &ArmCall,
        principal: &Principal,
        path: &ArmPath,
        kind: Kind,
        verb: Verb,
        effect: Effect,
        lanes: Vec<String>,
    ) -> Uuid {
        let range = range_for(kind, verb, self.firewall_attached(path, kind));
        let marked = lanes::marked(&self.store, path, kind);
        let target_state = match (verb, kind.facts().backend) {
            (Verb::Delete, _) => "Deleting",
            (Verb::Create, Backend::Aks) => "Creating",
            (Verb::Create | Verb::Update, _) => "Updating",
        };
        for (index, key) in marked.iter().enumerate() {
            self.store
                .set_state(key, if index == 0 { target_state } else { "Updating" });
        }
        self.begin(call, principal, path, kind, effect, lanes, marked, range)
    }

    fn unchanged_operation(&mut self, call: &ArmCall, principal: &Principal, path: &ArmPath, kind: Kind) -> Uuid {
        // 10 to 31 s for a no-op PUT of a firewall [arm-behaviour 6].
        let range = crate::arm::latency::Range {
            min: 10.0,
            median: 15.0,
            max: 31.0,
        };
        let effect = Effect::Write { update: true };
        self.begin(call, principal, path, kind, effect, Vec::new(), Vec::new(), range)
    }

    #[expect(clippy::too_many_arguments, reason = "an operation is the sum of all of these")]
    fn begin(
        &mut self,
        call: &ArmCall,
        principal: &Principal,
        path: &ArmPath,
        kind: Kind,
        effect: Effect,
        lanes: Vec<String>,
        marked: Vec<String>,
        range: crate::arm::latency::Range,
    ) -> Uuid {
        let count = self.write_counts.entry(path.key().to_owned()).or_default();
        *count += 1;
        let duration = draw(self.draws, &format!("latency|{}|{count}", path.key()), range);
        let id = self.draws.uuid(&format!("operation|{}|{count}", path.key()));
        self.operations.start(Operation {
            id,
            serial: self.serial,
            kind,
            target: path.as_str().to_owned(),
            effect,
            lanes,
            marked,
            subscription: self.world.subscription.clone(),
            location: self.world.location.clone(),
            started: self.now,
            ends: self.now + duration,
            status: Status::InProgress,
            fails_with: self.fail_next_operation.take(),
            principal: principal.clone(),
            correlation: call.correlation,
            client_request_id: call
                .client_request_id
                .clone()
                .unwrap_or_else(|| call.request_id.to_string()),
            url: format!("https://{}{}?{}", call.host, call.raw_path, call.raw_query),
        });
        id
    }

    /// True when a firewall has to take the write over.
    pub(crate) fn firewall_attached(&self, path: &ArmPath, kind: Kind) -> bool {
        match kind {
            Kind::AzureFirewall => true,
            Kind::FirewallPolicy => !firewalls_of_policy(&self.store, path.as_str()).is_empty(),
            Kind::RuleCollectionGroup => path
                .parent()
                .is_some_and(|policy| !firewalls_of_policy(&self.store, policy.as_str()).is_empty()),
            Kind::ResourceGroup
            | Kind::VirtualNetwork
            | Kind::Subnet
            | Kind::Peering
            | Kind::RouteTable
            | Kind::Route
            | Kind::NetworkSecurityGroup
            | Kind::NatGateway
            | Kind::PublicIp
            | Kind::LoadBalancer
            | Kind::ManagedCluster
            | Kind::AgentPool
            | Kind::UserAssignedIdentity
            | Kind::RoleAssignment => false,
        }
    }

    /// 201 or 200 with the whole resource, `Azure-AsyncOperation` and no `Location` [arm-behaviour 1].
    pub(crate) fn write_reply(
        &self,
        call: &ArmCall,
        path: &ArmPath,
        kind: Kind,
        status: u16,
        operation: Uuid,
    ) -> Reply {
        let facts = kind.facts();
        let mut reply = Reply::new(status, facts.backend, self.store.get(path.as_str()));
        if let Some(operation) = self.operations.find(operation) {
            reply = reply.with("azure-asyncoperation", operation.status_url(self.draws, &call.host));
        }
        if let Some(seconds) = facts.put_retry_after {
            reply = reply.with("retry-after", seconds.to_string());
        }
        if facts.backend == Backend::Nrp {
            reply = reply.with("azure-asyncnotification", "Enabled");
        }
        reply
    }

    fn store_accepted(&mut self, path: &ArmPath, kind: Kind, accepted: Accepted, verb: Verb) {
        let state = if verb == Verb::Create && kind.facts().backend == Backend::Aks {
            "Creating"
        } else {
            "Updating"
        };
        self.store.put(path, kind, accepted.body, state, self.now);
        for replaced in accepted.children {
            let kept = |key: &str| replaced.wanted.iter().any(|(wanted, _)| wanted.key() == key);
            let present = self.store.children(path.key(), replaced.kind);
            let gone: Vec<String> = present
                .iter()
                .map(|child| child.path.key().to_owned())
                .filter(|key| !kept(key))
                .collect();
            for key in gone {
                self.store.remove_tree(&key);
            }
            for (child, body) in replaced.wanted {
                self.store.put(&child, replaced.kind, body, "Updating", self.now);
            }
        }
    }

    fn require_place(&self, path: &ArmPath, kind: Kind) -> Result<(), ArmError> {
        if kind == Kind::ResourceGroup {
            return Ok(());
        }
        let group = path.resource_group.as_deref();
        let group = group.ok_or_else(|| {
            ArmError::gateway(404, "MissingSubscription", "The request did not have a resource group.")
        })?;
        self.require_group(path, group)?;
        self.refuse_in_leaving_group(path)?;
        let orphan = kind.is_child() && !path.parent().is_some_and(|parent| self.store.exists(parent.key()));
        if orphan {
            Err(errors::parent_not_found(path))
        } else {
            Ok(())
        }
    }

    /// A location is required, comes back in its short form and cannot change.
    fn settle_location(&self, path: &ArmPath, body: &mut Value) -> Result<(), ArmError> {
        let Some(asked) = text(body, &["location"]).map(|location| location.replace(' ', "").to_lowercase()) else {
            return Err(ArmError::gateway(
                400,
                "LocationRequired",
                "The location property is required for this definition.",
            ));
        };
        let present = self
            .store
            .find(path.key())
            .and_then(|found| text(&found.body, &["location"]));
        if let Some(present) = present.filter(|present| **present != asked) {
            return Err(ArmError::gateway(
                409,
                "InvalidResourceLocation",
                format!(
                    "The resource '{}' already exists in location '{present}' in resource group '{}'. A resource with the \
                     same name cannot be created in location '{asked}'. Please select a new resource name.",
                    path.name(),
                    path.resource_group.as_deref().unwrap_or_default()
                ),
            ));
        }
        body["location"] = json!(asked);
        Ok(())
    }
}
