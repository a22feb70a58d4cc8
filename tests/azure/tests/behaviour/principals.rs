//! Principals: those that clusters and identities bring with them, and when role assignments see them.

use crate::bench::{Bench, START};
use crate::role_assignments::{assign, id, send};
use azure_sim::{Azure, ClusterSpec, World};
use http::Method;
use serde_json::json;
use std::collections::BTreeSet;
use time::Duration;
use uuid::Uuid;

const AKS: &str = "2025-05-01";

#[test]
fn a_fresh_principal_is_not_found_for_a_while_and_one_that_never_was_for_ever() {
    let mut windows = Vec::new();
    for seed in 0..40 {
        let mut bench = Bench::with(World::one_hub(), seed);
        let cluster = bench.azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
        while bench
            .azure
            .document(&cluster)
            .is_none_or(|cluster| cluster["properties"]["provisioningState"] != "Succeeded")
        {
            bench.pass(1);
        }
        let principal = bench.azure.principal_of(&cluster).unwrap();
        let shown = bench.azure.document(&cluster).unwrap()["identity"]["principalId"].clone();
        assert_eq!(shown, json!(principal));
        let scope = bench.azure.world().hub.virtual_network.clone();
        let born = bench.now;
        let mut answer = assign(&mut bench, &scope, 1, principal);
        assert_eq!((answer.status, answer.code()), (400, "PrincipalNotFound"));
        assert_eq!(
            answer.message(),
            format!(
                "Principal {} does not exist in the directory {}.",
                principal.simple(),
                bench.azure.world().tenant
            )
        );
        while answer.status == 400 {
            bench.pass(1);
            answer = assign(&mut bench, &scope, 1, principal);
        }
        assert_eq!(answer.status, 201);
        windows.push((bench.now - born).whole_seconds());
        bench.pass(3600);
        let never = assign(&mut bench, &scope, 2, Uuid::from_u128(99));
        assert_eq!(never.code(), "PrincipalNotFound");
    }
    windows.sort_unstable();
    assert!((5..=270).contains(&windows[0]) && windows[39] <= 270, "{windows:?}");
    assert!((30..=75).contains(&windows[20]), "the median is near 48 s: {windows:?}");
}

#[test]
fn a_cluster_made_again_has_another_principal_and_the_old_one_is_gone() {
    let mut bench = Bench::new();
    let spec = ClusterSpec::usual("shop", 1);
    let cluster = bench.azure.create_cluster(&spec, START);
    bench.settle();
    let body = bench.azure.document(&cluster).unwrap();
    let first = bench.azure.principal_of(&cluster).unwrap();
    let path = format!("{cluster}?api-version={AKS}");
    let updated = bench.send(Method::PUT, &path, Some(body.clone()));
    assert_eq!(
        updated.body["identity"]["principalId"],
        json!(first),
        "an update keeps it"
    );
    bench.finish(&updated);
    bench.pass(300);
    let scope = bench.azure.world().hub.virtual_network.clone();
    assert_eq!(assign(&mut bench, &scope, 1, first).status, 201);
    let deleted = bench.send(Method::DELETE, &path, None);
    bench.finish(&deleted);
    assert_eq!(bench.azure.principal_seen_at(first), None);
    assert_eq!(bench.azure.principal_of(&cluster), None);
    assert_eq!(assign(&mut bench, &scope, 2, first).code(), "PrincipalNotFound");
    assert_eq!(
        send(&mut bench, Method::GET, &id(&scope, 1), None).status,
        200,
        "what was assigned to it stays as an orphan"
    );
    let mut body = body;
    body["identity"] = json!({"type": "SystemAssigned"});
    let made = bench.send(Method::PUT, &path, Some(body));
    assert_eq!(made.status, 201, "{}", made.body);
    assert_ne!(made.body["identity"]["principalId"], json!(first));
}

#[test]
fn user_assigned_identities_have_principals_and_clusters_show_them() {
    let mut bench = Bench::new();
    bench.make_group("spoke");
    let identity = format!(
        "{}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/shop-identity",
        bench.group("spoke")
    );
    let path = format!("{identity}?api-version=2023-01-31");
    let made = bench.send(Method::PUT, &path, Some(json!({"location": "westeurope"})));
    assert_eq!(made.status, 201, "{}", made.body);
    let again = bench.send(Method::PUT, &path, Some(json!({"location": "westeurope"})));
    assert_eq!((again.status, &again.body), (200, &made.body));
    let principal = made.body["properties"]["principalId"].as_str().unwrap().to_owned();
    assert_eq!(bench.azure.principal_of(&identity).unwrap().to_string(), principal);
    let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let cluster = format!(
        "{}/providers/Microsoft.ContainerService/managedClusters/shop",
        bench.group("spoke")
    );
    let body = |identity: &str| {
        json!({
            "location": "westeurope",
            "identity": {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}},
            "properties": {"agentPoolProfiles": [{
                "name": "system", "count": 1, "vmSize": "Standard_D4s_v5", "mode": "System",
                "vnetSubnetID": format!("{spoke}/subnets/nodes")
            }]}
        })
    };
    let cluster_path = format!("{cluster}?api-version={AKS}");
    let refused = bench.send(Method::PUT, &cluster_path, Some(body(&format!("{identity}-x"))));
    assert_eq!((refused.status, refused.code()), (400, "FailedIdentityOperation"));
    let answer = bench.send(Method::PUT, &cluster_path, Some(body(&identity)));
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(
        answer.body["identity"]["userAssignedIdentities"][&identity]["principalId"],
        json!(principal)
    );
    assert_eq!(bench.azure.principal_of(&cluster), None, "it owns none itself");
    bench.pass(270);
    let scope = bench.azure.world().hub.virtual_network.clone();
    assert_eq!(assign(&mut bench, &scope, 1, principal.parse().unwrap()).status, 201);
    assert_eq!(bench.send(Method::DELETE, &path, None).status, 200);
    assert_eq!(bench.send(Method::DELETE, &path, None).status, 204);
    assert_eq!(
        assign(&mut bench, &scope, 2, principal.parse().unwrap()).code(),
        "PrincipalNotFound"
    );
}

#[test]
fn principals_of_the_same_seed_are_the_same() {
    let principal = |seed: u64| {
        let mut azure = Azure::new(World::one_hub(), seed, START);
        let cluster = azure.create_cluster(&ClusterSpec::usual("shop", 1), START);
        while let Some(next) = azure.next_event() {
            azure.advance(next);
        }
        let principal = azure.principal_of(&cluster).unwrap();
        let seen = azure.principal_seen_at(principal).unwrap();
        assert!(seen - azure.now() <= Duration::seconds(269));
        (principal, seen)
    };
    assert_eq!(principal(7), principal(7));
    assert_eq!(
        BTreeSet::from([principal(1), principal(2), principal(3)]).len(),
        3,
        "each seed draws its own"
    );
}
