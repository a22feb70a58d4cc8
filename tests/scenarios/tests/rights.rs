//! The rights of a cluster's control plane, end to end: given before the switch, waited for, accepted where they exist.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed, and the numbers of a run are for people"
)]

use std::time::Duration;

use azure_sim::ClusterSpec;
use hubward_core::finding::Code;
use hubward_core::plan::State;
use scenarios::{Cluster, Rig, Setup};
use serde_json::{Value, json};

const SEED: u64 = 11;
const ASSIGNMENTS: &str = "Microsoft.Authorization/roleAssignments";

/// The assignments of a principal that the handler made, as (scope, made at), in order.
fn given(rig: &Rig, principal: &str) -> Vec<(String, String)> {
    let handler = rig.azure.lock().world().handler.object_id;
    let mut found: Vec<(String, String)> = rig
        .ids_of(ASSIGNMENTS)
        .iter()
        .map(|id| rig.document(id)["properties"].clone())
        .filter(|p| p["principalId"] == principal && p["createdBy"] == json!(handler))
        .map(|p| (text(&p["scope"]).to_ascii_lowercase(), text(&p["createdOn"])))
        .collect();
    found.sort();
    found
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn principal_of(rig: &Rig, cluster: &Cluster) -> String {
    text(&rig.document(&cluster.id)["identity"]["principalId"])
}

#[tokio::test(start_paused = true)]
async fn rights_are_given_on_subnet_and_table_before_the_switch_and_a_fresh_principal_is_waited_out() {
    for seed in [1, 2, 3, SEED] {
        let mut rig = Rig::new(seed).await;
        let cluster = rig.create_cluster(1);
        rig.settle().await;
        rig.assert_all_wired(std::slice::from_ref(&cluster)).await;
        let scopes: Vec<String> = given(&rig, &principal_of(&rig, &cluster))
            .into_iter()
            .map(|(scope, _)| scope)
            .collect();
        let mut expected = [
            rig.route_table_of(&cluster).to_ascii_lowercase(),
            cluster.subnet.to_ascii_lowercase(),
        ];
        expected.sort();
        assert_eq!(scopes, expected, "seed {seed}");
        let writes = rig.accepted_writes();
        let last_right = writes
            .iter()
            .rposition(|path| path.contains("roleAssignments"))
            .unwrap();
        let switch = writes
            .iter()
            .position(|path| path.eq_ignore_ascii_case(&cluster.subnet))
            .unwrap();
        assert!(last_right < switch, "seed {seed}: {writes:#?}");
        let refused = rig.refused_writes();
        assert!(
            refused.iter().all(|line| line.contains("PrincipalNotFound")) && refused.len() <= 12,
            "seed {seed}: a fresh principal is asked for at most every half minute: {refused:#?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_principal_that_the_directory_does_not_know_holds_back_nothing_but_the_rights_and_the_switch() {
    let mut rig = Rig::new(SEED).await;
    let cluster = rig.create_cluster(1);
    rig.run_until("the principal is refused", |rig| {
        let azure = rig.azure.lock();
        azure
            .trace()
            .iter()
            .any(|call| call.error_code.as_deref() == Some("PrincipalNotFound"))
    })
    .await;
    rig.run_for(Duration::from_secs(1)).await;
    let report = rig.report(&cluster.key).await.unwrap();
    assert_eq!(report.state, State::Waiting, "{report:#?}");
    assert!(
        report
            .waits
            .iter()
            .any(|wait| wait.contains("not known to the directory")),
        "{report:#?}"
    );
    let began = rig.accepted_writes();
    assert!(
        began.iter().any(|path| path.contains("virtualNetworkPeerings")),
        "{began:#?}"
    );
    rig.settle().await;
    rig.assert_all_wired(&[cluster]).await;
}

#[tokio::test(start_paused = true)]
async fn a_switched_cluster_settles_for_an_hour_with_one_look_at_its_end_and_is_wired_then() {
    let mut rig = Rig::new(SEED).await;
    let cluster = rig.create_cluster(1);
    for _ in 0..90 {
        rig.run_for(Duration::from_secs(30)).await;
        if rig.state(&cluster).await == "settling" {
            break;
        }
    }
    assert_eq!(rig.state(&cluster).await, "settling");
    rig.assert_wired(&cluster);
    let youngest = given(&rig, &principal_of(&rig, &cluster))
        .into_iter()
        .map(|(_, made)| made)
        .max()
        .unwrap();
    let format = &time::format_description::well_known::Rfc3339;
    let until = time::OffsetDateTime::parse(&youngest, format).unwrap() + Duration::from_secs(3600);
    let reads = rig.counters().reads;
    let left = Duration::try_from(until - rig.now()).unwrap();
    rig.run_for(left - Duration::from_secs(5)).await;
    assert_eq!(rig.state(&cluster).await, "settling");
    assert_eq!(
        rig.counters().reads,
        reads,
        "nobody asks Azure while time alone decides"
    );
    rig.settle().await;
    assert_eq!(rig.state(&cluster).await, "wired");
}

#[tokio::test(start_paused = true)]
async fn an_equal_right_that_somebody_gave_at_a_wider_scope_is_accepted() {
    let mut rig = Rig::new(SEED).await;
    let cluster = rig.create_cluster(1);
    rig.run_until("the cluster has an identity", |rig| {
        let document = rig.azure.lock().document(&cluster.id).unwrap_or_default();
        document["identity"]["principalId"].is_string()
    })
    .await;
    let principal = principal_of(&rig, &cluster);
    let group = cluster.id.split("/providers/").next().unwrap().to_owned();
    let subscription = rig.azure.lock().world().subscription.clone();
    let id = format!("{group}/providers/{ASSIGNMENTS}/2f1c5a44-8a0e-4c58-9d0b-6a2f6f0d1e11");
    let role = "providers/Microsoft.Authorization/roleDefinitions/4d97b98b-1d4f-4787-a291-c67834d212e7";
    let body = json!({"properties": {
        "roleDefinitionId": format!("/subscriptions/{subscription}/{role}"), "principalId": principal,
        "principalType": "ServicePrincipal"}});
    // Somebody's script tries until the directory knows the principal.
    let path = format!("{id}?api-version=2022-04-01");
    let mut made = false;
    for _ in 0..600 {
        let now = rig.now();
        let answer = rig
            .azure
            .lock()
            .person_request(http::Method::PUT, &path, Some(body.clone()), now);
        made = answer.status() == 201;
        if made {
            break;
        }
        rig.run_for(Duration::from_secs(1)).await;
    }
    assert!(made);
    let before = given(&rig, &principal);
    rig.settle().await;
    assert_eq!(given(&rig, &principal), before, "an equal right is not given twice");
    assert!(
        before.len() < 2,
        "the right came too late to be of use to this test: {before:?}"
    );
    assert_eq!(rig.state(&cluster).await, "wired");
    rig.assert_wired(&cluster);
}

#[tokio::test(start_paused = true)]
async fn a_service_principal_without_an_object_id_is_prepared_and_says_what_to_configure() {
    let setup = Setup::seeded(SEED);
    let client = setup.world.service_principals[0].client_id.to_string();
    let mut rig = Rig::with(setup).await;
    let cluster = rig.create(ClusterSpec::usual("aks-sp", 7).service_principal(&client));
    rig.settle().await;
    let report = rig.report(&cluster.key).await.unwrap();
    assert_eq!(report.state, State::Prepared, "{report:#?}");
    let finding = report
        .findings
        .iter()
        .find(|f| f.code == Code::ServicePrincipalUnknown)
        .unwrap();
    assert!(
        finding.help.contains("[service_principals]") && finding.help.contains(&client),
        "{finding:?}"
    );
    assert!(
        !rig.accepted_writes()
            .iter()
            .any(|path| path.contains("roleAssignments"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_principal_with_an_object_id_is_wired_like_any_other() {
    let setup = Setup::seeded(SEED);
    let principal = setup.world.service_principals[0].clone();
    let name = format!("HUBWARD__service_principals__{}", principal.client_id);
    let mut rig = Rig::with(setup.setting(&name, &principal.object_id.to_string())).await;
    let cluster = rig.create(ClusterSpec::usual("aks-sp", 7).service_principal(&principal.client_id.to_string()));
    rig.settle().await;
    rig.assert_all_wired(std::slice::from_ref(&cluster)).await;
    assert_eq!(given(&rig, &principal.object_id.to_string()).len(), 2);
}
