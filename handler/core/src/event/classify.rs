//! Tells what an event is to us: work on a spoke, the end of one, the end of a resource group, a change to the network, or nothing.
//!
//! Only the resource's id, the kind of change and the operation's name are looked at. What is not certainly ours is foreign,
//! with a reason that a person can read in the log.

use serde::Serialize;

use super::{Event, EventKind};
use crate::config::{Config, Scope};
use crate::ids::ResourceId;

const CLUSTER: &str = "Microsoft.ContainerService/managedClusters";
const POOL: &str = "Microsoft.ContainerService/managedClusters/agentPools";
const DEPLOYMENTS: &str = "Microsoft.Resources/deployments";
const GROUP_DELETED: &str = "Microsoft.Resources/subscriptions/resourceGroups/delete";

/// Types whose change can undo what was wired, with their children.
const NETWORK: [&str; 6] = [
    "Microsoft.Network/azureFirewalls",
    "Microsoft.Network/firewallPolicies",
    "Microsoft.Network/natGateways",
    "Microsoft.Network/publicIPAddresses",
    "Microsoft.Network/routeTables",
    "Microsoft.Network/virtualNetworks",
];

/// Actions on a cluster that change what it needs. Most others only hand out credentials.
const ACTIONS: [&str; 2] = ["start", "stop"];

/// What an event is to us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "relevance")]
pub enum Relevance {
    /// A cluster was made or changed: look at it again.
    Spoke {
        /// The cluster, also if one of its pools changed.
        cluster: ResourceId,
        /// What happened to it, for people.
        why: String,
    },
    /// A cluster is said to be deleted: find out, and unwire it.
    Offboard {
        /// The cluster.
        cluster: ResourceId,
    },
    /// A whole resource group is said to be deleted: look at every cluster that was in it or leant on it.
    Group {
        /// The group.
        group: ResourceId,
    },
    /// A network resource that wiring leans on changed.
    Network {
        /// The resource.
        resource: ResourceId,
    },
    /// Not ours.
    Foreign {
        /// Why not, for people.
        reason: String,
    },
}

/// Tells what an event is to us under this configuration.
#[must_use]
pub fn classify(event: &Event, config: &Config) -> Relevance {
    match judge(event) {
        Ok(relevance) => within_scope(relevance, &config.scope),
        Err(reason) => Relevance::Foreign { reason },
    }
}

fn judge(event: &Event) -> Result<Relevance, String> {
    if !event.status.eq_ignore_ascii_case("Succeeded") {
        return Err(format!("its status is {:?}; only Succeeded is acted on", event.status));
    }
    let ending = match &event.kind {
        EventKind::WriteSuccess => "write",
        EventKind::DeleteSuccess => "delete",
        EventKind::ActionSuccess => "action",
        EventKind::Other(written) => {
            return Err(format!(
                "its type {written:?} is neither a successful write, delete nor action"
            ));
        }
    };
    let Some((acted_on, verb)) = event.operation.rsplit_once('/') else {
        return Err(format!("its operation {:?} is no ARM operation", event.operation));
    };
    if !verb.eq_ignore_ascii_case(ending) {
        return Err(format!(
            "its operation {:?} is not a {ending}, as its type says",
            event.operation
        ));
    }
    if event.operation.eq_ignore_ascii_case(GROUP_DELETED) && event.resource.resource_type().is_empty() {
        return Ok(Relevance::Group {
            group: event.resource.clone(),
        });
    }
    if event.resource.resource_type().is_empty() {
        return Err("it is about a subscription or resource group, not about a resource in it".to_owned());
    }
    if event.resource.is_type(DEPLOYMENTS) {
        return Err("it is a deployment; each resource that it wrote has an event of its own".to_owned());
    }
    let action = match event.kind {
        EventKind::ActionSuccess => Some(split_action(acted_on)),
        EventKind::WriteSuccess | EventKind::DeleteSuccess | EventKind::Other(_) => None,
    };
    let (of_type, action) = action.map_or((acted_on, None), |(of_type, action)| (of_type, Some(action)));
    if !event.resource.is_type(of_type) {
        return Err(format!(
            "its operation {:?} is not one on {}",
            event.operation, event.resource
        ));
    }
    of_resource(event, action)
}

fn of_resource(event: &Event, action: Option<&str>) -> Result<Relevance, String> {
    let resource = event.resource.clone();
    let resource_type = resource.resource_type();
    if resource.is_type(CLUSTER) {
        let resource = plain_cluster(resource)?;
        return match (&event.kind, action) {
            (EventKind::DeleteSuccess, _) => Ok(Relevance::Offboard { cluster: resource }),
            (EventKind::ActionSuccess, Some(action))
                if !ACTIONS.iter().any(|known| known.eq_ignore_ascii_case(action)) =>
            {
                Err(format!(
                    "the action {action:?} on {resource} changes nothing that we look after"
                ))
            }
            (EventKind::ActionSuccess, action) => Ok(Relevance::Spoke {
                why: format!(
                    "the cluster took the action {}",
                    action.unwrap_or_default().to_ascii_lowercase()
                ),
                cluster: resource,
            }),
            (EventKind::WriteSuccess | EventKind::Other(_), _) => Ok(Relevance::Spoke {
                why: if event.created {
                    "the cluster was made"
                } else {
                    "the cluster was changed"
                }
                .to_owned(),
                cluster: resource,
            }),
        };
    }
    if resource.is_type(POOL) && event.kind != EventKind::ActionSuccess {
        let deleted = event.kind == EventKind::DeleteSuccess;
        let why = format!(
            "its pool {} was {}",
            resource.name(),
            if deleted { "deleted" } else { "written" }
        );
        return resource
            .parent()
            .ok_or_else(|| format!("{resource} is a pool of no cluster"))
            .and_then(plain_cluster)
            .map(|cluster| Relevance::Spoke { cluster, why });
    }
    let folded = resource_type.to_ascii_lowercase();
    let is_network = NETWORK.iter().any(|known| {
        folded
            .strip_prefix(&known.to_ascii_lowercase())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    if is_network && event.kind != EventKind::ActionSuccess {
        return Ok(Relevance::Network { resource });
    }
    Err(format!(
        "{:?} on {resource} is nothing that we look after",
        event.operation
    ))
}

/// The cluster, if its id has the one form that AKS gives: in a resource group, under no other resource, with names of the
/// lengths that Azure allows. Anything else is made up, and would be asked for again and again.
fn plain_cluster(id: ResourceId) -> Result<ResourceId, String> {
    const GROUP: usize = 90;
    const NAME: usize = 63;
    let group = id.resource_group().unwrap_or_default();
    let plain = ResourceId::in_group(id.subscription(), group, CLUSTER, id.name());
    let fits = (1..=GROUP).contains(&group.chars().count()) && (1..=NAME).contains(&id.name().chars().count());
    if fits && plain == id {
        return Ok(id);
    }
    Err("its resource is no id that AKS gives to a cluster".to_owned())
}

fn within_scope(relevance: Relevance, scope: &Scope) -> Relevance {
    let id = match &relevance {
        Relevance::Spoke { cluster, .. } | Relevance::Offboard { cluster } => cluster,
        Relevance::Group { group } => group,
        Relevance::Network { resource } => resource,
        Relevance::Foreign { .. } => return relevance,
    };
    if scope.covers(id) {
        return relevance;
    }
    let reason = if scope.has_subscription(id.subscription()) {
        format!("{id} is excluded by scope.exclude")
    } else {
        format!("{id} lies in no subscription of scope.subscriptions")
    };
    Relevance::Foreign { reason }
}

/// Parts `Microsoft.ContainerService/managedClusters/start` into the type and the action.
fn split_action(operation: &str) -> (&str, &str) {
    operation.rsplit_once('/').unwrap_or((operation, ""))
}
