//! DELETE: what is in use stays, what is not there is 204, everything else goes when its operation ends.
//! A resource takes along what lies below it, a cluster its node resource group besides.

use crate::arm::errors::ArmError;
use crate::arm::headers::Reply;
use crate::arm::lanes;
use crate::arm::latency::Verb;
use crate::arm::operations::Effect;
use crate::arm::request::ArmCall;
use crate::azure::Azure;
use crate::events::EventDraft;
use crate::ids::ArmPath;
use crate::kinds::{
    Backend, Kind, cluster_network, nat_gateway, network_security_group, peering, public_ip, route_table,
    virtual_network,
};
use crate::render::firewalls_of_policy;
use crate::store::text;
use crate::trace::Principal;
use uuid::Uuid;

impl Azure {
    pub(crate) fn delete(
        &mut self,
        call: &ArmCall,
        principal: &Principal,
        path: &ArmPath,
        kind: Kind,
    ) -> Result<Reply, ArmError> {
        if kind == Kind::AgentPool {
            return self.delete_pool(call, principal, path);
        }
        let backend = kind.facts().backend;
        if let Some(group) = path.resource_group.as_deref() {
            self.require_group(path, group)?;
        }
        let Some(found) = self.store.find(path.key()) else {
            return Ok(Reply::new(204, backend, None));
        };
        let (path, state) = (found.path.clone(), found.state.clone());
        let lanes = lanes::needed(&self.store, &path, kind, None);
        if kind == Kind::ResourceGroup
            && let Some(running) = self.operations.holding(&lanes)
        {
            // Asked again while it goes: the same operation [?].
            let location = running.result_url(self.draws, &call.host);
            return Ok(Reply::new(202, backend, None)
                .with("location", location)
                .with("retry-after", "10"));
        }
        lanes::refuse_if_taken(&self.operations, self.draws, &call.host, &lanes, &path, kind, &state)?;
        self.refuse_if_in_use(&path, kind)?;
        if matches!(kind, Kind::FirewallPolicy | Kind::UserAssignedIdentity) {
            // Synchronous, unlike the others [arm-behaviour 1: "DELETE of a firewallPolicy"; for identities ?].
            self.emit(EventDraft::delete(
                self.event_source(call, principal),
                &path,
                kind,
                self.now,
            ));
            self.remove(&path);
            return Ok(Reply::new(200, backend, None));
        }
        let firewall_update = self.firewall_attached(&path, kind);
        let id = self.start_operation(call, principal, &path, kind, Verb::Delete, Effect::Delete, lanes);
        let mut reply = self.delete_reply(call, backend, id);
        reply.firewall_update = firewall_update;
        if kind == Kind::RuleCollectionGroup {
            // This 202 has a body [arm-behaviour 1: "RCG/ruleGroups DELETE 202"].
            reply.body = self.store.find(path.key()).map(|found| self.store.render(found));
        }
        Ok(reply)
    }

    /// 202 with both URLs; a group's only with `Location` [arm-behaviour 1: "DELETE -> 202"; azure-cli#11277].
    pub(crate) fn delete_reply(&self, call: &ArmCall, backend: Backend, operation: Uuid) -> Reply {
        let mut reply = Reply::new(202, backend, None);
        if let Some(operation) = self.operations.find(operation) {
            if backend != Backend::Resources {
                reply = reply.with("azure-asyncoperation", operation.status_url(self.draws, &call.host));
            }
            reply = reply.with("location", operation.result_url(self.draws, &call.host));
        }
        if backend == Backend::Nrp {
            reply = reply.with("azure-asyncnotification", "Enabled");
        }
        if backend == Backend::Aks {
            reply
        } else {
            reply.with("retry-after", "10")
        }
    }

    /// Takes a resource with everything below it out of Azure, and does what that does to others. Returns the node
    /// resource groups that clusters took along.
    pub(crate) fn remove(&mut self, path: &ArmPath) -> Vec<ArmPath> {
        let mut along = Vec::new();
        let mut leaving: Vec<(ArmPath, Kind)> = self
            .store
            .below(path.key())
            .iter()
            .map(|found| (found.path.clone(), found.kind))
            .collect();
        leaving.extend(
            self.store
                .find(path.key())
                .map(|found| (found.path.clone(), found.kind)),
        );
        for (leaver, kind) in leaving {
            self.leave_ghost(&leaver);
            if kind == Kind::Peering {
                peering::before_removal(&mut self.store, &leaver);
            }
            if kind == Kind::ManagedCluster {
                along.extend(self.remove_around_cluster(&leaver));
            }
            self.directory.leave(leaver.key());
        }
        self.store.remove_tree(path.key());
        along
    }

    /// A cluster takes its API server's names and its node resource group with everything in it.
    fn remove_around_cluster(&mut self, cluster: &ArmPath) -> Option<ArmPath> {
        let found = self.store.find(cluster.key())?;
        for field in ["fqdn", "privateFQDN"] {
            if let Some(name) = text(&found.body, &["properties", field]) {
                self.internet.names.remove(name);
            }
        }
        let group = text(&found.body, &["properties", "nodeResourceGroup"])?;
        let subscription = cluster.subscription.as_deref().unwrap_or_default();
        let group = ArmPath::parse(&format!("/subscriptions/{subscription}/resourceGroups/{group}"))?;
        let group = self.store.find(group.key())?.path.clone();
        cluster_network::release(&mut self.store, group.key());
        self.remove(&group);
        Some(group)
    }

    pub(crate) fn refuse_if_in_use(&self, path: &ArmPath, kind: Kind) -> Result<(), ArmError> {
        match kind {
            Kind::Subnet => virtual_network::refuse_if_subnet_in_use(&self.store, path),
            Kind::VirtualNetwork => {
                let subnets = self.store.children(path.key(), Kind::Subnet);
                subnets
                    .iter()
                    .try_for_each(|subnet| virtual_network::refuse_if_subnet_in_use(&self.store, &subnet.path))
            }
            Kind::RouteTable => route_table::refuse_if_table_in_use(&self.store, path),
            Kind::NetworkSecurityGroup => network_security_group::refuse_if_in_use(&self.store, path),
            Kind::NatGateway => nat_gateway::refuse_if_in_use(&self.store, path),
            Kind::PublicIp => public_ip::refuse_if_in_use(&self.store, path),
            Kind::FirewallPolicy if !firewalls_of_policy(&self.store, path.as_str()).is_empty() => {
                // Neither code nor text was captured [?].
                Err(ArmError::service(
                    400,
                    "FirewallPolicyInUse",
                    format!("Firewall Policy {path} is in use by a firewall."),
                ))
            }
            Kind::ResourceGroup
            | Kind::FirewallPolicy
            | Kind::Peering
            | Kind::Route
            | Kind::RuleCollectionGroup
            | Kind::AzureFirewall
            | Kind::LoadBalancer
            | Kind::ManagedCluster
            | Kind::AgentPool
            | Kind::UserAssignedIdentity
            | Kind::RoleAssignment => Ok(()),
        }
    }
}
