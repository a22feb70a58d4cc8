//! Unwiring with ingress: nobody is led to an address that may be a stranger's, the address of the firewall rests in quarantine,
//! and what somebody put beside the application address stays.
#![allow(clippy::unwrap_used, reason = "a run that cannot be set up has failed")]

use azure_sim::{Documents, World};
use http::Method;
use hubward_core::finding::Code;
use hubward_core::ids::ResourceId;
use scenarios::{Cluster, Rig, Setup};
use serde_json::{Value, json};
use time::Duration;

const SEEDS: [u64; 2] = [1, 7];
#[tokio::test(start_paused = true)]
async fn a_provided_address_comes_back_and_rests_before_it_goes_to_another_cluster() {
    for seed in SEEDS {
        let mut rig = Rig::with(provided(seed)).await;
        let beginning = documents(&rig);
        let cluster = rig.create_cluster(1);
        rig.settle().await;
        assert_eq!(rules_with(&rig, "dnat"), 2, "seed {seed}: one for each port");
        let rests_until = rig.now() + Duration::hours(168);
        delete(&rig, &cluster.id, "2025-05-01");
        rig.settle().await;
        delete(&rig, &group_of(&rig, &cluster), "2024-11-01");
        rig.settle().await;
        assert_offboarded(&rig, &cluster).await;
        assert_eq!(documents(&rig), beginning, "seed {seed}");

        let table = rig.ledger.reservations.of_hub("main").await.unwrap().table;
        let id = ResourceId::parse(&cluster.id).unwrap();
        assert_eq!(table.of(&id), None, "seed {seed}");
        let (_, resting) = table.addresses.iter().next().unwrap();
        let until = resting.quarantined_until.unwrap();
        assert!(until >= rests_until, "seed {seed}: {until}");
        let next = rig.create_cluster(2);
        rig.settle().await;
        let codes = codes(&rig, &next).await;
        assert!(codes.contains(&Code::NoIngressAddress), "seed {seed}: {codes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_led_to_an_address_that_is_given_back() {
    for seed in SEEDS {
        let mut rig = Rig::with(provided(seed)).await;
        let cluster = rig.create_cluster(1);
        rig.settle().await;
        let address = application_address(&rig);
        rig.wire.watch(move |azure, what| {
            let leads_there = azure.document(&address).is_none() && what.contains("hubward-app");
            let rules = azure
                .documents()
                .list("Microsoft.Network/firewallPolicies/ruleCollectionGroups");
            let inbound = rules.iter().any(|group| group.to_string().contains("hubward-dnat-"));
            assert!(
                !(leads_there && inbound),
                "after {what}: DNAT leads to an address that is gone"
            );
        });
        delete(&rig, &cluster.id, "2025-05-01");
        rig.settle().await;
        assert_offboarded(&rig, &cluster).await;
        let writes = deletions(&rig);
        let group = writes
            .iter()
            .position(|path| path.contains("rulecollectiongroups"))
            .unwrap();
        let address = writes
            .iter()
            .position(|path| path.ends_with("hubward-app") || path.contains("/resourcegroups/hubward-app"))
            .unwrap();
        assert!(group < address, "seed {seed}: {writes:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_put_beside_the_application_address_stays_and_is_named() {
    for seed in SEEDS {
        let mut rig = Rig::with(provided(seed)).await;
        let cluster = rig.create_cluster(1);
        rig.settle().await;
        let ours = application_address(&rig);
        let theirs = format!("{}/theirs", ours.rsplit_once('/').unwrap().0);
        let body = json!({
            "location": "westeurope", "sku": {"name": "Standard"}, "properties": {"publicIPAllocationMethod": "Static"},
        });
        let now = rig.now();
        let path = format!("{theirs}?api-version=2025-05-01");
        let made = rig.azure.lock().person_request(Method::PUT, &path, Some(body), now);
        assert!(made.status().is_success(), "{made:?}");
        delete(&rig, &cluster.id, "2025-05-01");
        rig.settle().await;
        assert_offboarded(&rig, &cluster).await;
        assert_eq!(codes(&rig, &cluster).await, [Code::ForeignInGroup], "seed {seed}");
        let azure = rig.azure.lock();
        assert!(
            azure.document(&ours).is_none() && azure.document(&theirs).is_some(),
            "seed {seed}"
        );
    }
}

/// A hub with one address for a cluster, open to one network.
fn provided(seed: u64) -> Setup {
    let setup = Setup {
        world: World::one_hub().with_ingress_addresses(1),
        ..Setup::seeded(seed)
    };
    setup.setting("HUBWARD__hubs__main__ingress__sources", "[\"192.0.2.0/24\"]")
}

fn delete(rig: &Rig, id: &str, version: &str) {
    let now = rig.now();
    let path = format!("{id}?api-version={version}");
    let answer = rig.azure.lock().person_request(Method::DELETE, &path, None, now);
    assert_eq!(answer.status(), 202, "{:?}", answer.body());
}

fn group_of(rig: &Rig, cluster: &Cluster) -> String {
    let azure = rig.azure.lock();
    cluster.spec.group_id(&azure.world().subscription)
}

async fn assert_offboarded(rig: &Rig, cluster: &Cluster) {
    let report = rig.report(&cluster.key).await.unwrap();
    assert_eq!(report.state.to_string(), "offboarded", "seed {}: {report:#?}", rig.seed);
}

async fn codes(rig: &Rig, cluster: &Cluster) -> Vec<Code> {
    let report = rig.report(&cluster.key).await.unwrap();
    report.findings.iter().map(|finding| finding.code).collect()
}

fn application_address(rig: &Rig) -> String {
    let mut all = rig.ids_of("Microsoft.Network/publicIPAddresses");
    all.retain(|id| id.contains("/hubward-app-"));
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// How many rules our collections of a kind hold.
fn rules_with(rig: &Rig, kind: &str) -> usize {
    let group = rig.document(&rig.our_group());
    let collections = group["properties"]["ruleCollections"].as_array().unwrap();
    let name = format!("hubward-{kind}-");
    collections
        .iter()
        .filter(|c| c["name"].as_str().unwrap().starts_with(&name))
        .map(|c| c["rules"].as_array().unwrap().len())
        .sum()
}

/// The handler's accepted deletions in lower case, in order.
fn deletions(rig: &Rig) -> Vec<String> {
    let azure = rig.azure.lock();
    let handler = azure.world().handler.clone();
    let calls = azure.trace().iter();
    calls
        .filter(|c| c.method == "DELETE" && c.principal.as_ref() == Some(&handler) && c.status < 300)
        .map(|c| c.path.to_ascii_lowercase())
        .collect()
}

/// Every document, without what Azure draws anew for each write.
fn documents(rig: &Rig) -> Vec<(String, Value)> {
    hubward::stage::documents(&rig.azure.lock()).into_iter().collect()
}
