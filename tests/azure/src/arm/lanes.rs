//! Lanes: what takes one write at a time, and what Azure answers to the second.
//! A VNet with its children is one lane, a route table with its routes another, a firewall policy with its groups
//! and every firewall bound to it a third, a cluster with its pools a fourth.

use crate::arm::errors::{self, ArmError};
use crate::arm::operations::{Operation, Operations};
use crate::draws::Draws;
use crate::ids::ArmPath;
use crate::kinds::{Backend, Kind};
use crate::render::firewalls_of_policy;
use crate::store::{Store, text};
use serde_json::Value;

/// The lanes a write needs. `body` is what the caller sent, which may bind a firewall to another policy.
pub(crate) fn needed(store: &Store, path: &ArmPath, kind: Kind, body: Option<&Value>) -> Vec<String> {
    match kind {
        Kind::Subnet | Kind::Peering | Kind::Route | Kind::RuleCollectionGroup | Kind::AgentPool => path
            .parent()
            .map(|parent| parent.key().to_owned())
            .into_iter()
            .collect(),
        Kind::AzureFirewall => {
            let existing = store.find(path.key()).map(|firewall| &firewall.body);
            let policies = [existing, body].into_iter().flatten();
            let policies = policies.filter_map(|body| text(body, &["properties", "firewallPolicy", "id"]));
            let mut lanes: Vec<String> = policies.map(str::to_lowercase).collect();
            lanes.push(path.key().to_owned());
            lanes.dedup();
            lanes
        }
        Kind::ResourceGroup
        | Kind::VirtualNetwork
        | Kind::RouteTable
        | Kind::NetworkSecurityGroup
        | Kind::NatGateway
        | Kind::PublicIp
        | Kind::FirewallPolicy
        | Kind::LoadBalancer
        | Kind::ManagedCluster
        | Kind::UserAssignedIdentity
        | Kind::RoleAssignment => vec![path.key().to_owned()],
    }
}

/// Resources that show `Updating` while the write runs, the target first.
pub(crate) fn marked(store: &Store, path: &ArmPath, kind: Kind) -> Vec<String> {
    let mut marked = vec![path.key().to_owned()];
    let parent = path.parent().map(|parent| parent.key().to_owned());
    match kind {
        Kind::Subnet | Kind::Peering | Kind::Route | Kind::AgentPool => marked.extend(parent),
        Kind::VirtualNetwork => marked.extend(child_keys(store, path, Kind::Subnet)),
        Kind::RouteTable => marked.extend(child_keys(store, path, Kind::Route)),
        Kind::FirewallPolicy => marked.extend(bound_firewalls(store, path.key())),
        Kind::RuleCollectionGroup => {
            let policy = parent.unwrap_or_default();
            marked.push(policy.clone());
            marked.extend(bound_firewalls(store, &policy));
        }
        Kind::ResourceGroup
        | Kind::NetworkSecurityGroup
        | Kind::NatGateway
        | Kind::PublicIp
        | Kind::AzureFirewall
        | Kind::LoadBalancer
        | Kind::ManagedCluster
        | Kind::UserAssignedIdentity
        | Kind::RoleAssignment => {}
    }
    marked
}

/// Refuses a write whose lane is taken, in the words of the kind's back end.
pub(crate) fn refuse_if_taken(
    operations: &Operations,
    draws: Draws,
    host: &str,
    lanes: &[String],
    path: &ArmPath,
    kind: Kind,
    state: &str,
) -> Result<(), ArmError> {
    let Some(holder) = operations.holding(lanes) else {
        return Ok(());
    };
    Err(match kind.facts().backend {
        // `Updating`, or `nodepool1 - Updating` [arm-behaviour 3: OperationNotAllowed (AKS)].
        Backend::Aks if holder.kind == Kind::AgentPool => {
            let pool = holder.target.rsplit('/').next().unwrap_or_default();
            errors::cluster_busy(&format!("{pool} - {state}"))
        }
        Backend::Aks => errors::cluster_busy(state),
        Backend::Nfv => {
            let policy = if kind == Kind::RuleCollectionGroup {
                path.parent()
            } else {
                Some(path.clone())
            };
            errors::firewall_policy_busy(policy.as_ref().map_or("", ArmPath::name))
        }
        Backend::Nrp | Backend::Resources => errors::another_operation_in_progress(&holder_url(holder, draws, host)),
    })
}

/// The conflict text names the operation by URL, by bare id or not at all [arm-behaviour 3: AnotherOperationInProgress].
fn holder_url(holder: &Operation, draws: Draws, host: &str) -> String {
    let form = draws.fraction(&format!("conflict|{}", holder.id));
    if form < 0.7 {
        holder.status_url(draws, host)
    } else if form < 0.85 {
        holder.id.to_string()
    } else {
        String::new()
    }
}

fn child_keys(store: &Store, path: &ArmPath, kind: Kind) -> Vec<String> {
    store
        .children(path.key(), kind)
        .iter()
        .map(|child| child.path.key().to_owned())
        .collect()
}

fn bound_firewalls(store: &Store, policy: &str) -> Vec<String> {
    firewalls_of_policy(store, policy)
        .iter()
        .map(|firewall| firewall.path.key().to_owned())
        .collect()
}
