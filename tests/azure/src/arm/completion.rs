//! What happens when an operation ends: states settle, kinds finish their work, events go out.
//! A failed operation leaves the desired values standing with state `Failed`, as Azure does.

use crate::arm::errors::ArmError;
use crate::arm::operations::{Effect, Operation, Status};
use crate::azure::Azure;
use crate::documents::Documents;
use crate::events::{EventDraft, EventSource};
use crate::ids::ArmPath;
use crate::kinds::{Kind, azure_firewall, cluster_network, managed_cluster, peering, public_ip};
use serde_json::json;

impl Azure {
    /// Carries out the end of one operation at its time.
    pub(crate) fn complete(&mut self, mut operation: Operation) {
        let Some(path) = ArmPath::parse(&operation.target) else {
            return;
        };
        let source = EventSource {
            principal: operation.principal.clone(),
            correlation: operation.correlation,
            client_request_id: operation.client_request_id.clone(),
            url: operation.url.clone(),
        };
        let failure = operation.fails_with.take();
        let kind = operation.kind;
        match (&operation.effect, failure) {
            (Effect::Write { .. } | Effect::Delete, Some((code, message))) => {
                self.settle_failed(&operation);
                self.emit(EventDraft::failure(
                    source,
                    &path,
                    kind,
                    operation.effect == Effect::Delete,
                    self.now,
                ));
                operation.status = Status::Failed { code, message };
            }
            (Effect::Write { .. }, None) if self.store.get(path.as_str()).is_none() => {
                // Its group was deleted meanwhile; nothing is told of what is no more [?].
                let error = self.not_found(&path, kind);
                operation.status = Status::Failed {
                    code: error.code,
                    message: error.message,
                };
            }
            (Effect::Write { update }, None) => {
                let update = *update;
                if !update {
                    self.identity_settled(&path);
                }
                self.settle_written(&operation, &path, &source);
                self.emit(EventDraft::write(source, &path, kind, update, self.now));
                operation.status = Status::Succeeded;
            }
            (Effect::Delete, None) => match self.settle_deleted(&operation, &path, &source) {
                Ok(()) => {
                    self.emit(EventDraft::delete(source, &path, kind, self.now));
                    operation.status = Status::Succeeded;
                }
                Err(error) => {
                    // A group that cannot go is as before, only emptier [bicep-registry-modules#1607].
                    self.store.set_state(path.key(), "Succeeded");
                    self.emit(EventDraft::failure(source, &path, kind, true, self.now));
                    operation.status = Status::Failed {
                        code: error.code,
                        message: error.message,
                    };
                }
            },
        }
        self.operation_ended(operation.id, operation.status == Status::Succeeded);
        self.operations.remember_ended(operation);
    }

    fn settle_written(&mut self, operation: &Operation, path: &ArmPath, source: &EventSource) {
        match operation.kind {
            Kind::Peering => peering::completed(&mut self.store, path),
            Kind::AzureFirewall => azure_firewall::completed(&mut self.store, path.key()),
            Kind::PublicIp => {
                let lacks = self
                    .store
                    .find(path.key())
                    .is_some_and(|found| public_ip::lacks_address(&found.body));
                let address = lacks.then(|| self.addresses.take());
                if let (Some(address), Some(found)) = (address, self.store.find_mut(path.key())) {
                    found.body["properties"]["ipAddress"] = json!(address.to_string());
                }
            }
            Kind::ManagedCluster => {
                for made in managed_cluster::completed(&mut self.store, path, &mut self.addresses, self.now) {
                    // AKS makes these itself; they raise events like any write.
                    if let Some(kind) = Kind::of(&made) {
                        self.emit(EventDraft::write(source.clone(), &made, kind, false, self.now));
                    }
                }
                if let Some((name, address)) = cluster_network::private_api_server(&self.store, path) {
                    self.internet.names.entry(name).or_insert(address);
                }
            }
            Kind::AgentPool => {
                for made in self.pool_written(path) {
                    if let Some(kind) = Kind::of(&made) {
                        self.emit(EventDraft::write(source.clone(), &made, kind, false, self.now));
                    }
                }
            }
            Kind::ResourceGroup
            | Kind::VirtualNetwork
            | Kind::Subnet
            | Kind::RouteTable
            | Kind::Route
            | Kind::NetworkSecurityGroup
            | Kind::NatGateway
            | Kind::FirewallPolicy
            | Kind::RuleCollectionGroup
            | Kind::LoadBalancer
            | Kind::UserAssignedIdentity
            | Kind::RoleAssignment => {}
        }
        for key in &operation.marked {
            self.store.set_state(key, "Succeeded");
        }
    }

    /// What goes tells of it, and a cluster's node resource group too: AKS deletes it by an ordinary call.
    fn settle_deleted(&mut self, operation: &Operation, path: &ArmPath, source: &EventSource) -> Result<(), ArmError> {
        match operation.kind {
            Kind::ResourceGroup => self.empty_group(path, source, operation.id)?,
            Kind::AgentPool => self.pool_deleted(path),
            Kind::VirtualNetwork
            | Kind::Subnet
            | Kind::Peering
            | Kind::RouteTable
            | Kind::Route
            | Kind::NetworkSecurityGroup
            | Kind::NatGateway
            | Kind::PublicIp
            | Kind::FirewallPolicy
            | Kind::RuleCollectionGroup
            | Kind::AzureFirewall
            | Kind::LoadBalancer
            | Kind::ManagedCluster
            | Kind::UserAssignedIdentity
            | Kind::RoleAssignment => {}
        }
        for group in self.remove(path) {
            self.emit(EventDraft::delete(
                source.clone(),
                &group,
                Kind::ResourceGroup,
                self.now,
            ));
        }
        for key in operation.marked.iter().skip(1) {
            self.store.set_state(key, "Succeeded");
        }
        Ok(())
    }

    /// The target fails; with a policy, its firewalls fail too [azurerm#19843]; what merely contained it is well.
    fn settle_failed(&mut self, operation: &Operation) {
        if let (Kind::AgentPool, Some(pool)) = (operation.kind, ArmPath::parse(&operation.target)) {
            self.pool_settled(&pool, "Failed");
        }
        let firewall_lane = matches!(
            operation.kind,
            Kind::FirewallPolicy | Kind::RuleCollectionGroup | Kind::AzureFirewall
        );
        for (index, key) in operation.marked.iter().enumerate() {
            self.store.set_state(
                key,
                if index == 0 || firewall_lane {
                    "Failed"
                } else {
                    "Succeeded"
                },
            );
        }
    }
}
