//! What must not be believed, and who must not lose anything by it: forged deletions, rights that cannot be read, strangers behind
//! a table that is not ours.

use std::time::Duration;

use azure_sim::{ClusterSpec, Fault, FaultEffect};
use http::Method;
use hubward_core::finding::Code;
use scenarios::Rig;
use serde_json::json;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(start_paused = true)]
async fn a_deletion_from_times_to_come_is_no_proof_once_the_cluster_was_seen() {
    let mut rig = Rig::new(1).await;
    let cluster = rig.wire_clusters(1).await.remove(0);
    rig.settle().await;
    let mut forged = rig.creation_of(&cluster);
    forged["id"] = json!("forged");
    forged["eventType"] = json!("Microsoft.Resources.ResourceDeleteSuccess");
    forged["eventTime"] = json!("2027-01-01T00:00:00Z");
    forged["data"]["operationName"] = json!("Microsoft.ContainerService/managedClusters/delete");
    rig.send_event(&forged);
    rig.settle().await;
    rig.run_for(DAY).await;
    let before = rig.accepted_writes();

    // For a moment ARM does not find the cluster.
    refuse(
        &rig,
        &format!("/managedClusters/{}", cluster.spec.name),
        (404, "ResourceNotFound"),
        4,
    );
    let mut poke = rig.creation_of(&cluster);
    poke["id"] = json!("poke");
    rig.send_event(&poke);
    rig.run_for(Duration::from_secs(60)).await;
    assert_eq!(rig.accepted_writes(), before);
    rig.assert_wired(&cluster);
}

#[tokio::test(start_paused = true)]
async fn a_wired_cluster_whose_rights_cannot_be_read_is_looked_after_all_the_same() {
    let mut rig = Rig::new(1).await;
    let cluster = rig.wire_clusters(1).await.remove(0);
    rig.settle().await;
    let table = rig.route_table_of(&cluster);
    refuse(&rig, "/roleAssignments", (403, "AuthorizationFailed"), 400);
    rig.azure
        .lock()
        .edit(&format!("{table}/routes/hubward-default"), |route| {
            route["properties"]["nextHopIpAddress"] = json!("10.9.9.9");
        });
    let mut poke = rig.creation_of(&cluster);
    poke["id"] = json!("poke");
    rig.send_event(&poke);
    rig.settle().await;
    rig.assert_wired(&cluster);
    let report = rig.report(&cluster.key).await.unwrap();
    let told = report.findings.iter().find(|finding| finding.code == Code::NotRead);
    assert!(
        told.is_some_and(|finding| finding.help.contains("roleAssignments/read")),
        "{report:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn strangers_behind_the_table_of_a_deleted_kubenet_cluster_keep_their_way_out() {
    let mut rig = Rig::new(1).await;
    let spec = ClusterSpec::usual("aks-01", 1)
        .kubenet_with_own_table()
        .subnet("vms", "10.1.64.0/24");
    let cluster = rig.create(spec);
    rig.settle().await;
    let table = rig.document(&cluster.subnet)["properties"]["routeTable"]["id"].clone();
    let table = table.as_str().unwrap().to_owned();
    let vms = cluster.subnet.replace("/subnets/nodes", "/subnets/vms");
    let stranger =
        "/subscriptions/s/resourceGroups/vm/providers/Microsoft.Network/networkInterfaces/nic/ipConfigurations/ip";
    rig.azure.lock().edit(&vms, |subnet| {
        subnet["properties"]["routeTable"] = json!({"id": table});
        subnet["properties"]["ipConfigurations"] = json!([{"id": stranger}]);
    });
    let routes = |rig: &Rig| {
        rig.document(&table)["properties"]["routes"]
            .to_string()
            .matches("hubward-")
            .count()
    };
    let before = routes(&rig);
    assert!(before > 0);
    let now = rig.now();
    let path = format!("{}?api-version=2025-05-01", cluster.id);
    rig.azure.lock().person_request(Method::DELETE, &path, None, now);
    rig.settle().await;
    assert_eq!(routes(&rig), before, "{:#?}", rig.report(&cluster.key).await);
    let report = rig.report(&cluster.key).await.unwrap();
    assert_eq!(report.state.to_string(), "offboarding");
    assert!(report.findings.iter().any(|finding| finding.code == Code::SharedSubnet));
}

fn refuse(rig: &Rig, path: &str, (status, code): (u16, &str), times: u32) {
    for _ in 0..times {
        rig.azure.lock().inject(Fault {
            method: Some(Method::GET),
            path_contains: path.to_owned(),
            nth: 1,
            effect: FaultEffect::Answer {
                status,
                code: code.to_owned(),
                message: "for a moment".to_owned(),
                retry_after: None,
            },
        });
    }
}
