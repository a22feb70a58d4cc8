//! The role assignments of a cluster's control plane: made before the switch, and relied upon an hour later.
//!
//! A right that the principal has already, under whatever name and at a wider scope too, is accepted and never changed. Only a
//! whole list says that a right is missing; without one nothing is written. Whose object id is not known gets a finding.

use time::{Duration, OffsetDateTime};

use super::gates::Scene;
use super::{Step, Wait};
use crate::blueprint::{ClusterPrincipal, Grant, cluster_principal, grants};
use crate::estate::{Kind, RoleAssignmentView};
use crate::finding::{Code, Finding};

/// How long a right of a cluster's identity may take to be in force (AKS configure-kubenet.md: up to 60 minutes).
const SETTLING: Duration = Duration::minutes(60);

/// What is to be done about the cluster's rights.
#[derive(Debug, Default)]
pub(super) struct Rights {
    /// The assignments to be made.
    pub(super) steps: Vec<Step>,
    /// Why they cannot be.
    pub(super) finding: Option<Finding>,
    /// Until when the youngest assignment that we made may not be in force everywhere, if that is still to come.
    pub(super) settling: Option<OffsetDateTime>,
}

/// The rights of the scene's cluster; `preparing` are the steps that come before and may make what the rights are given on.
pub(super) fn rights(scene: &Scene<'_>, preparing: &[Step], switched: bool) -> Rights {
    let finding = nobody(scene, switched);
    let mut rights = Rights {
        finding,
        ..Rights::default()
    };
    let mut youngest = None;
    for grant in grants(scene.config, scene.hub, scene.id, &scene.cluster, scene.blueprint) {
        match present(scene, &grant) {
            Present::Given { ours_since } => youngest = youngest.max(ours_since),
            Present::Missing => rights.steps.extend(step(scene, &grant, preparing)),
            Present::Unknown => rights.finding = Some(not_read(scene, switched)),
        }
    }
    let until = youngest.map(|made| made + SETTLING);
    rights.settling = until.filter(|until| *until > scene.known.now);
    rights
}

/// Whether a right is there.
enum Present {
    /// It is; if we made it, since when.
    Given { ours_since: Option<OffsetDateTime> },
    /// It is not.
    Missing,
    /// Nobody has asked.
    Unknown,
}

fn present(scene: &Scene<'_>, grant: &Grant) -> Present {
    let listed = scene
        .estate
        .role_assignments(grant.scope.subscription(), &grant.principal);
    let Some(listed) = listed else {
        return Present::Unknown;
    };
    let gives = |one: &RoleAssignmentView<'_>| one.gives(&grant.principal, &grant.definition);
    let is_ours = |one: &RoleAssignmentView<'_>| one.name().eq_ignore_ascii_case(grant.id.name());
    let (mut ours, foreign): (Vec<_>, Vec<_>) = listed
        .into_iter()
        .filter(|one| one.covers(&grant.scope) && gives(one))
        .partition(is_ours);
    // What was read by its name is later than the list.
    if scene.estate.knows(&grant.id) {
        let own = scene.estate.get(&grant.id).map(RoleAssignmentView::new);
        ours = own.into_iter().filter(gives).collect();
    }
    match (ours.first(), foreign.is_empty()) {
        (None, true) => Present::Missing,
        (Some(own), true) => Present::Given {
            ours_since: own.created_at(),
        },
        // Whoever gave the right waits for it to be in force.
        (_, false) => Present::Given { ours_since: None },
    }
}

/// The assignment, once what it is given on is there or is made by an earlier step.
fn step(scene: &Scene<'_>, grant: &Grant, preparing: &[Step]) -> Option<Step> {
    let maker = preparing.iter().find(|step| step.target == grant.scope);
    let exists = scene.estate.get(&grant.scope).is_some() || scene.estate.subnet(&grant.scope).is_some();
    if maker.is_none() && !exists {
        return None;
    }
    let waits = maker.map(|step| Wait::Step { id: step.id.clone() });
    let what = match Kind::of(&grant.scope) {
        Some(Kind::RouteTable) => "route-table",
        Some(Kind::ResourceGroup) => "address-group",
        Some(_) | None => grant.scope.name(),
    };
    let why = format!(
        "the identity of {} has no rights on {}, and AKS writes there in its name",
        scene.cluster.name(),
        grant.scope.name()
    );
    let step = Step::put(format!("role-{what}"), grant.id.clone(), grant.body(), why);
    Some(step.waiting_for(waits.into_iter().collect()))
}

/// The finding for a cluster of which it is not known whom to give the rights to. It keeps a cluster from being switched; one
/// that was switched is served all the same.
fn nobody(scene: &Scene<'_>, switched: bool) -> Option<Finding> {
    let name = scene.cluster.name();
    let (code, message, help) = match cluster_principal(scene.config, &scene.cluster) {
        ClusterPrincipal::Known(_) => return None,
        ClusterPrincipal::ServicePrincipal(client) => (
            Code::ServicePrincipalUnknown,
            format!("{name} has the service principal {client}, and its object id is not configured"),
            format!(
                "Set {client:?} = \"OBJECT_ID\" under [service_principals]; az ad sp show --id {client} --query id tells it."
            ),
        ),
        // AKS names the identity when it is done.
        ClusterPrincipal::Unknown if !scene.cluster.is_succeeded() => return None,
        ClusterPrincipal::Unknown => (
            Code::IdentityUnknown,
            format!(
                "the document of {name} has neither identity.principalId, nor a principalId in identity.userAssignedIdentities, \
                 nor servicePrincipalProfile.clientId"
            ),
            "Reconcile the cluster (az aks update), so that AKS shows its identity.".to_owned(),
        ),
    };
    Some(if switched {
        Finding::warning(code, message, help)
    } else {
        Finding::blocking(code, message, help)
    })
}

/// Whether a cluster that was switched has its rights is a reservation; everything else of it is looked after all the same.
fn not_read(scene: &Scene<'_>, switched: bool) -> Finding {
    let message = format!("the role assignments of {} were not read", scene.cluster.name());
    let help = "Grant the app's identity Microsoft.Authorization/roleAssignments/read in the cluster's subscription.";
    if switched {
        Finding::warning(Code::NotRead, message, help)
    } else {
        Finding::blocking(Code::NotRead, message, help)
    }
}
