//! What each kind of event is to us.

use std::fmt::Write;

use serde_json::{Value, json};

use super::*;

#[test]
fn every_event_is_told_what_it_is_to_us() {
    let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/team");
    let network = |rest: &str| format!("{group}/providers/Microsoft.Network/{rest}");
    let foreign_subscription = CLUSTER.replace("11111111", "99999999");
    let deployment = format!("{group}/providers/Microsoft.Resources/deployments/shop");
    let lower = CLUSTER.to_ascii_lowercase();
    let aks = "Microsoft.ContainerService/managedClusters";
    let cases: Vec<(&str, String, String)> = vec![
        ("Write", CLUSTER.into(), format!("{aks}/write")),
        (
            "Write",
            lower.clone(),
            "MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/WRITE".into(),
        ),
        ("Delete", CLUSTER.into(), format!("{aks}/delete")),
        ("Action", CLUSTER.into(), format!("{aks}/start/action")),
        ("Action", CLUSTER.into(), format!("{aks}/Stop/action")),
        (
            "Action",
            CLUSTER.into(),
            format!("{aks}/listClusterAdminCredential/action"),
        ),
        (
            "Write",
            format!("{CLUSTER}/agentPools/np1"),
            format!("{aks}/agentPools/write"),
        ),
        (
            "Delete",
            format!("{lower}/agentpools/np1"),
            format!("{aks}/agentpools/delete"),
        ),
        (
            "Action",
            format!("{CLUSTER}/agentPools/np1"),
            format!("{aks}/agentPools/upgradeNodeImageVersion/action"),
        ),
        (
            "Write",
            format!("{CLUSTER}/maintenanceConfigurations/default"),
            format!("{aks}/maintenanceConfigurations/write"),
        ),
        (
            "Write",
            network("routeTables/t"),
            "Microsoft.Network/routeTables/write".into(),
        ),
        (
            "Delete",
            network("routeTables/t/routes/r"),
            "Microsoft.Network/routeTables/routes/delete".into(),
        ),
        (
            "Write",
            network("virtualNetworks/v/subnets/n"),
            "Microsoft.Network/virtualNetworks/subnets/write".into(),
        ),
        (
            "Write",
            network("virtualNetworks/v/virtualNetworkPeerings/p"),
            "Microsoft.Network/virtualNetworks/virtualNetworkPeerings/write".into(),
        ),
        (
            "Write",
            network("firewallPolicies/p/ruleCollectionGroups/g"),
            "Microsoft.Network/firewallPolicies/ruleCollectionGroups/write".into(),
        ),
        (
            "Action",
            network("virtualNetworks/v/subnets/n"),
            "Microsoft.Network/virtualNetworks/subnets/join/action".into(),
        ),
        (
            "Write",
            network("loadBalancers/l"),
            "Microsoft.Network/loadBalancers/write".into(),
        ),
        (
            "Delete",
            group.clone(),
            "Microsoft.Resources/subscriptions/resourceGroups/delete".into(),
        ),
        (
            "Write",
            group.clone(),
            "Microsoft.Resources/subscriptions/resourceGroups/write".into(),
        ),
        ("Write", deployment, "Microsoft.Resources/deployments/write".into()),
        ("Write", foreign_subscription, format!("{aks}/write")),
        ("Write", CLUSTER.replace("team", "Keep-Out"), format!("{aks}/write")),
        (
            "Write",
            format!("{}/agentPools/a", CLUSTER.replace("team", "keep-out")),
            format!("{aks}/agentPools/write"),
        ),
        ("Write", CLUSTER.into(), format!("{aks}/delete")),
        ("Write", CLUSTER.into(), "Microsoft.Network/routeTables/write".into()),
        ("Write", CLUSTER.into(), "write".into()),
    ];
    let mut page = String::new();
    for (verb, resource, operation) in cases {
        let event = json_event(
            &format!("Microsoft.Resources.Resource{verb}Success"),
            &resource,
            &operation,
        );
        let relevance = classify(&decode(&event).unwrap(), &config());
        writeln!(page, "{verb} {operation}\n  {resource}\n    {}", told(&relevance)).unwrap();
    }
    insta::assert_snapshot!(page);
}

#[test]
fn only_success_is_acted_on() {
    let of =
        |path: &[&str], value: Value| told(&classify(&decode(&with(event_grid(), path, value)).unwrap(), &config()));
    insta::assert_snapshot!(of(&["data", "status"], json!("Failed\nspoofed line")), @r#"foreign: its status is "Failed\nspoofed line"; only Succeeded is acted on"#);
    insta::assert_snapshot!(of(&["eventType"], json!("Microsoft.Resources.ResourceWriteFailure")), @r#"foreign: its type "Microsoft.Resources.ResourceWriteFailure" is neither a successful write, delete nor action"#);
    insta::assert_snapshot!(of(&["eventType"], json!("microsoft.resources.RESOURCEWRITESUCCESS")), @r#"spoke /subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/team/providers/Microsoft.ContainerService/managedClusters/shop: the cluster was made"#);
    insta::assert_snapshot!(of(&["data", "httpRequest"], json!({ "method": "PUT" })), @r#"spoke /subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/team/providers/Microsoft.ContainerService/managedClusters/shop: the cluster was changed"#);
}

fn told(relevance: &Relevance) -> String {
    match relevance {
        Relevance::Spoke { cluster, why } => format!("spoke {cluster}: {why}"),
        Relevance::Offboard { cluster } => format!("offboard {cluster}"),
        Relevance::Group { group } => format!("group {group}"),
        Relevance::Network { resource } => format!("network {resource}"),
        Relevance::Foreign { reason } => format!("foreign: {reason}"),
    }
}

#[test]
fn an_id_that_aks_gives_to_no_cluster_is_foreign() {
    let aks = "Microsoft.ContainerService/managedClusters";
    let made_up = [
        format!("/subscriptions/{SUBSCRIPTION}/providers/{aks}/x"),
        format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.Foo/bars/b/providers/{aks}/z"),
        format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/{aks}/{}",
            "y".repeat(64)
        ),
        format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/{}/providers/{aks}/z",
            "g".repeat(91)
        ),
    ];
    let relevance = |id: &str, operation: &str| {
        let mut event = event_grid();
        event["subject"] = json!(id);
        event["data"]["resourceUri"] = json!(id);
        event["data"]["operationName"] = json!(operation);
        let event = decode(&event).unwrap();
        classify(&event, &config())
    };
    for id in &made_up {
        for (id, operation) in [
            (id.clone(), format!("{aks}/write")),
            (format!("{id}/agentPools/np"), format!("{aks}/agentPools/write")),
        ] {
            let found = relevance(&id, &operation);
            assert!(matches!(found, Relevance::Foreign { .. }), "{id}: {found:?}");
        }
    }
    let longest = format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/{}/providers/{aks}/{}",
        "g".repeat(90),
        "y".repeat(63)
    );
    let found = relevance(&longest, &format!("{aks}/write"));
    assert!(matches!(found, Relevance::Spoke { .. }), "{found:?}");
}
