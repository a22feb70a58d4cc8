//! Clients on the internet: who gets in, by which address, and that nobody who is served today is cut off unasked. Packets are
//! walked through what exists in the simulated Azure.
#![allow(clippy::unwrap_used, reason = "a run that cannot be set up has failed")]

use std::net::Ipv4Addr;
use std::time::Duration;

use azure_sim::walk::{Inbound, Outcome, Protocol};
use azure_sim::{Exposure, Fault, FaultEffect, World};
use scenarios::{Cluster, Rig, Setup};
use serde_json::{Value, json};

const SEEDS: [u64; 3] = [1, 7, 424_242];
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const STRANGER: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 7);

#[tokio::test(start_paused = true)]
async fn provided_a_client_comes_in_by_the_reserved_address_and_gets_its_answer() {
    for seed in SEEDS {
        let mut rig = Rig::with(provided(seed, 2)).await;
        let clusters = rig.wire_clusters(1).await;
        rig.assert_all_wired(&clusters).await;
        let cluster = &clusters[0];
        let own = application_address(&rig);
        serve(&mut rig, cluster, &Exposure::at("web", &[443], &own));
        let egress = rig.egress_address();
        assert_eq!(walk(&rig, CLIENT, ingress(1), 443), Ok(egress), "seed {seed}");
        assert!(
            walk(&rig, STRANGER, ingress(1), 443).is_err(),
            "seed {seed}: not a source"
        );
        assert!(
            walk(&rig, CLIENT, ingress(2), 443).is_err(),
            "seed {seed}: reserved for nobody"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_return_route_the_same_client_gets_no_answer() {
    let mut rig = Rig::with(provided(1, 1)).await;
    let clusters = rig.wire_clusters(1).await;
    let own = application_address(&rig);
    serve(&mut rig, &clusters[0], &Exposure::at("web", &[443], &own));
    assert!(walk(&rig, CLIENT, ingress(1), 443).is_ok());
    let table = rig.route_table_of(&clusters[0]);
    let document = rig.document(&table);
    let routes = document["properties"]["routes"].as_array().unwrap();
    let back = routes
        .iter()
        .find(|r| r["properties"]["nextHopType"] == "Internet")
        .unwrap();
    let path = format!(
        "{table}/routes/{}?api-version=2025-05-01",
        back["name"].as_str().unwrap()
    );
    let mut elsewhere = rig.azure.lock().clone();
    let now = rig.now();
    let gone = elsewhere.person_request(http::Method::DELETE, &path, None, now);
    assert!(gone.status().is_success(), "{gone:?}");
    elsewhere.advance(now + Duration::from_secs(120));
    let Err(why) = outcome(&elsewhere, CLIENT, ingress(1), 443) else {
        panic!("the reply found its way without the return route")
    };
    assert!(why.contains("asymmetric"), "{why}");
    assert!(
        walk(&rig, CLIENT, ingress(1), 443).is_ok(),
        "the other Azure still has it"
    );
}

#[tokio::test(start_paused = true)]
async fn managed_hubward_makes_the_addresses_and_attaches_them_in_few_updates() {
    for seed in &SEEDS[..2] {
        let setup = opened(Setup::seeded(*seed)).setting("HUBWARD__hubs__main__ingress__addresses", "managed");
        let mut rig = Rig::with(setup).await;
        let clusters = rig.wire_clusters(3).await;
        rig.assert_all_wired(&clusters).await;
        let hub = rig.azure.lock().world().hub.clone();
        let firewall = rig.document(&hub.firewall);
        let attached = firewall["properties"]["ipConfigurations"].as_array().unwrap();
        assert_eq!(
            attached.len(),
            5,
            "seed {seed}: its own, one for each cluster, one to spare: {firewall}"
        );
        let attaching = writes_of(&rig, &hub.firewall);
        assert!(
            attaching <= 2,
            "seed {seed}: {attaching} updates of the firewall for its addresses"
        );
        let mut targets: Vec<String> = dnat(&rig)
            .iter()
            .map(|rule| rule["translatedAddress"].as_str().unwrap().to_owned())
            .collect();
        targets.sort();
        targets.dedup();
        assert_eq!((dnat(&rig).len(), targets.len()), (6, 3), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_sources_addresses_are_reserved_and_nothing_opens() {
    let mut setup = provided(1, 1);
    setup.settings.clear();
    let setup = setup.setting("HUBWARD__hubs__main__ingress__addresses", "provided");
    let mut rig = Rig::with(setup).await;
    let clusters = rig.wire_clusters(1).await;
    rig.assert_all_wired(&clusters).await;
    assert!(dnat(&rig).is_empty());
    let report = rig.report(&clusters[0].key).await.unwrap();
    let told: Vec<&str> = report.findings.iter().map(|f| f.message.as_str()).collect();
    assert!(
        told.contains(&"203.0.113.31 is reserved for aks-01, and nothing is opened, because nobody may come in"),
        "{told:#?}"
    );
    let own = application_address(&rig);
    serve(&mut rig, &clusters[0], &Exposure::at("web", &[443], &own));
    assert!(walk(&rig, CLIENT, ingress(1), 443).is_err());
}

#[tokio::test(start_paused = true)]
async fn an_internal_load_balancer_named_by_the_tag_is_the_target() {
    let mut rig = Rig::with(provided(1, 1)).await;
    let cluster = rig.create_cluster(1);
    rig.settle().await;
    let address = serve(&mut rig, &cluster, &Exposure::internal("web", &[443], None));
    tag(&mut rig, &cluster, "hubward-ingress-target", &address.to_string());
    rig.settle().await;
    let report = rig.report(&cluster.key).await.unwrap();
    assert_eq!(rig.state(&cluster).await, "wired", "{report:#?}");
    assert!(
        dnat(&rig)
            .iter()
            .all(|rule| rule["translatedAddress"] == address.to_string())
    );
    let firewall = Ipv4Addr::new(10, 0, 0, 4);
    assert_eq!(walk(&rig, CLIENT, ingress(1), 443), Ok(firewall));
}

#[tokio::test(start_paused = true)]
async fn a_live_frontend_stops_the_switch_until_its_owner_accepts() {
    for seed in SEEDS {
        let mut rig = Rig::with(provided(seed, 1)).await;
        let cluster = rig.create_cluster(1);
        let id = cluster.id.clone();
        rig.run_until("the cluster is there", |stage| {
            let document = stage.document(&id);
            document.is_ok_and(|c| c["properties"]["provisioningState"] == "Succeeded")
        })
        .await;
        let old = serve(&mut rig, &cluster, &Exposure::public("web", &[443]));
        rig.settle().await;
        let state = rig.state(&cluster).await;
        assert_eq!(state, "prepared", "seed {seed}");
        assert!(walk(&rig, CLIENT, old, 443).is_ok(), "seed {seed}: still served");
        tag(&mut rig, &cluster, "hubward-accept-inbound", &format!("{old}:443"));
        rig.settle().await;
        rig.assert_all_wired(&[cluster]).await;
        assert!(
            walk(&rig, CLIENT, old, 443).is_err(),
            "seed {seed}: that is what was accepted"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_address_that_everybody_uses_is_not_replaced_by_dnat_for_some() {
    for seed in SEEDS {
        // Something else holds the switch until the address is in use.
        let setup = provided(seed, 2).setting("HUBWARD__hubs__main__workload_egress", "required_only");
        let mut rig = Rig::with(setup).await;
        let cluster = rig.create_cluster(1);
        rig.settle().await;
        let own = application_address(&rig);
        let address = serve(&mut rig, &cluster, &Exposure::at("web", &[443], &own));
        assert!(walk(&rig, STRANGER, address, 443).is_ok(), "seed {seed}: served");
        tag(&mut rig, &cluster, "hubward-accept-egress", "required_only");
        rig.settle().await;
        assert_eq!(rig.state(&cluster).await, "prepared", "seed {seed}");
        let report = rig.report(&cluster.key).await.unwrap();
        let asks: Vec<String> = report.asks.iter().map(|ask| ask.what.clone()).collect();
        assert!(asks.contains(&format!("{address}:443/TCP")), "seed {seed}: {report:#?}");
        assert!(walk(&rig, STRANGER, address, 443).is_ok(), "seed {seed}: still served");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_takes_no_public_address_keeps_no_cluster_from_leaving_through_the_hub() {
    let refused = |status, code: &str| FaultEffect::Answer {
        status,
        code: code.to_owned(),
        message: "not here".to_owned(),
        retry_after: None,
    };
    let forbids_addresses = refused(403, "RequestDisallowedByPolicy");
    let has_none_left = refused(400, "PublicIPCountLimitReached");
    let forbids_groups = refused(403, "AuthorizationFailed");
    for (path, effect) in [
        ("/publicIPAddresses/hubward-app-", forbids_addresses),
        ("/publicIPAddresses/hubward-app-", has_none_left),
        ("/resourceGroups/hubward-app-", forbids_groups),
    ] {
        let mut rig = Rig::with(provided(1, 2)).await;
        for _ in 0..60 {
            rig.azure.lock().inject(Fault {
                method: Some(http::Method::PUT),
                path_contains: path.to_owned(),
                nth: 1,
                effect: effect.clone(),
            });
        }
        let cluster = rig.create_cluster(1);
        let subnet = cluster.subnet.clone();
        rig.run_until("the cluster is switched", |stage| {
            let document = stage.document(&subnet);
            document.is_ok_and(|s| s["properties"]["routeTable"]["id"].is_string())
        })
        .await;
        rig.run_for(Duration::from_secs(600)).await;
        rig.assert_wired(&cluster);
        let report = rig.report(&cluster.key).await.unwrap();
        assert!(report.state.is_wired(), "{effect:?}: {report:#?}");
        let told: Vec<&str> = report.findings.iter().map(|f| f.message.as_str()).collect();
        let refused = told
            .iter()
            .any(|message| message.starts_with("no client can be led in"));
        assert!(refused, "{effect:?}: {told:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn reach_does_not_hold_while_the_nodes_own_security_group_drops_what_is_led_in() {
    let mut rig = Rig::with(provided(1, 2)).await;
    let clusters = rig.wire_clusters(1).await;
    let cluster = &clusters[0];
    let own = application_address(&rig);
    let mut exposure = Exposure::at("web", &[443], &own);
    exposure.source_ranges = vec!["192.0.2.0/24".to_owned()];
    serve(&mut rig, cluster, &exposure);
    assert!(walk(&rig, CLIENT, ingress(1), 443).is_err());
    tag(&mut rig, cluster, "touched", "yes");
    rig.run_for(Duration::from_secs(600)).await;
    let report = rig.report(&cluster.key).await.unwrap();
    assert!(!report.proof.as_ref().unwrap().reach.holds(), "{report:#?}");
    let told = report
        .findings
        .iter()
        .find(|f| f.code.text() == "ingress_source_ranges");
    let help = &told.unwrap_or_else(|| panic!("{report:#?}")).help;
    assert!(help.contains(&rig.egress_address().to_string()), "{help}");
}

fn provided(seed: u64, addresses: u8) -> Setup {
    let world = World::one_hub().with_ingress_addresses(addresses);
    opened(Setup {
        world,
        ..Setup::seeded(seed)
    })
}

fn opened(setup: Setup) -> Setup {
    setup.setting("HUBWARD__hubs__main__ingress__sources", "[\"192.0.2.0/24\"]")
}

/// The address of the firewall with this number in `World::with_ingress_addresses`.
fn ingress(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, 30 + number)
}

fn application_address(rig: &Rig) -> String {
    let mut all = rig.ids_of("Microsoft.Network/publicIPAddresses");
    all.retain(|id| id.contains("/hubward-app-"));
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// Exposes a service; the person gives the cluster's control plane the right to the address if it has none.
fn serve(rig: &mut Rig, cluster: &Cluster, exposure: &Exposure) -> Ipv4Addr {
    let now = rig.now();
    let mut azure = rig.azure.lock();
    match azure.expose(&cluster.id, exposure) {
        Ok(address) => address,
        Err(azure_sim::PendingService::NoRights { address, .. }) => {
            let document = azure.document(&cluster.id).unwrap();
            let path = format!(
                "{address}/providers/Microsoft.Authorization/roleAssignments/0d5a0a1f-6d41-4b1c-8f4e-6e0c7a4b9a01?api-version=2022-04-01"
            );
            let subscription = azure.world().subscription.clone();
            let body = json!({"properties": {
                "roleDefinitionId": format!("/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/4d97b98b-1d4f-4787-a291-c67834d212e7"),
                "principalId": document["identity"]["principalId"], "principalType": "ServicePrincipal",
            }});
            let given = azure.person_request(http::Method::PUT, &path, Some(body), now);
            assert!(given.status().is_success(), "{given:?}");
            azure.expose(&cluster.id, exposure).unwrap()
        }
        Err(error) => panic!("{error}"),
    }
}

fn tag(rig: &mut Rig, cluster: &Cluster, name: &str, value: &str) {
    let mut body = rig.document(&cluster.id);
    body["tags"][name] = json!(value);
    let now = rig.now();
    let path = format!("{}?api-version=2025-05-01", cluster.id);
    let answer = rig
        .azure
        .lock()
        .person_request(http::Method::PUT, &path, Some(body), now);
    assert!(answer.status().is_success(), "{answer:?}");
}

fn walk(rig: &Rig, client: Ipv4Addr, to: Ipv4Addr, port: u16) -> Result<Ipv4Addr, String> {
    outcome(&rig.azure.lock(), client, to, port)
}

/// The source that the node sees, or where and why the packet or its reply was lost.
fn outcome(azure: &azure_sim::Azure, client: Ipv4Addr, to: Ipv4Addr, port: u16) -> Result<Ipv4Addr, String> {
    let packet = Inbound {
        client,
        to,
        port,
        protocol: Protocol::Tcp,
    };
    match azure.walk_inbound(&packet).outcome {
        Outcome::Reached { seen_from } => Ok(seen_from),
        Outcome::Dropped { at, why } => Err(format!("{at}: {why}")),
    }
}

/// The DNAT rules of ours.
fn dnat(rig: &Rig) -> Vec<Value> {
    let group = rig.document(&rig.our_group());
    let collections = group["properties"]["ruleCollections"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    collections
        .iter()
        .filter(|c| c["name"] == "hubward-dnat-500")
        .flat_map(|c| c["rules"].as_array().cloned().unwrap_or_default())
        .collect()
}

fn writes_of(rig: &Rig, id: &str) -> usize {
    let azure = rig.azure.lock();
    azure
        .trace()
        .iter()
        .filter(|call| call.method == "PUT" && call.status < 300 && call.path.eq_ignore_ascii_case(id))
        .count()
}

#[tokio::test(start_paused = true)]
async fn a_deleted_clusters_address_rests_in_quarantine_and_nothing_else_of_it_stays() {
    let mut rig = Rig::with(provided(3, 1)).await;
    let before = names(&rig);
    let clusters = rig.wire_clusters(1).await;
    rig.assert_all_wired(&clusters).await;
    let cluster = &clusters[0];
    let group = rig.our_group();
    let deleted_at = rig.now();
    delete(&mut rig, &cluster.id);
    rig.settle().await;
    delete(&mut rig, &group_of(cluster));
    rig.settle().await;
    assert!(
        rig.ids_of("Microsoft.Network/firewallPolicies/ruleCollectionGroups")
            .iter()
            .all(|id| *id != group)
    );
    assert_eq!(names(&rig), before, "every resource of ours is gone");
    let kept = rig.ledger.reservations.of_hub("main").await.unwrap().table;
    let resting = &kept.addresses[&ingress(1)];
    let until = resting.quarantined_until.unwrap();
    let week = Duration::from_secs(168 * 3600);
    assert!(deleted_at + week < until && until <= rig.now() + week, "{kept:?}");

    let next = rig.create_cluster(2);
    rig.settle().await;
    rig.assert_all_wired(std::slice::from_ref(&next)).await;
    let report = rig.report(&next.key).await.unwrap();
    let told: Vec<String> = report.findings.iter().map(|f| f.code.text()).collect();
    assert!(told.contains(&"no_ingress_address".to_owned()), "{told:?}");
    assert!(dnat(&rig).is_empty(), "the address goes to nobody while it rests");
}

/// The timer's second sweep: the first one of an installation writes nothing.
async fn sweep(rig: &mut Rig) {
    for _ in 0..2 {
        rig.tick();
        rig.settle().await;
    }
}

fn group_of(cluster: &Cluster) -> String {
    let (group, _) = cluster.id.split_once("/providers/").unwrap();
    group.to_owned()
}

fn delete(rig: &mut Rig, id: &str) {
    let version = if id.contains("/managedClusters/") {
        "2025-05-01"
    } else {
        "2024-11-01"
    };
    let now = rig.now();
    let path = format!("{id}?api-version={version}");
    let answer = rig.azure.lock().person_request(http::Method::DELETE, &path, None, now);
    assert!(answer.status().is_success(), "{answer:?}");
}

/// The networking resources and groups that exist.
fn names(rig: &Rig) -> Vec<String> {
    let kinds = [
        "Microsoft.Resources/resourceGroups",
        "Microsoft.Network/publicIPAddresses",
        "Microsoft.Network/routeTables",
        "Microsoft.Network/virtualNetworks/virtualNetworkPeerings",
        "Microsoft.Network/firewallPolicies/ruleCollectionGroups",
    ];
    let mut all: Vec<String> = kinds.iter().flat_map(|kind| rig.ids_of(kind)).collect();
    all.sort();
    all
}

#[tokio::test(start_paused = true)]
async fn when_the_quarantine_is_over_the_sweep_gives_the_address_to_who_waits() {
    let setup = provided(5, 1).setting("HUBWARD__hubs__main__ingress__quarantine_hours", "1");
    let mut rig = Rig::with(setup).await;
    let clusters = rig.wire_clusters(1).await;
    delete(&mut rig, &clusters[0].id);
    rig.settle().await;
    let next = rig.create_cluster(2);
    rig.settle().await;
    assert!(dnat(&rig).is_empty(), "it rests");
    rig.run_for(Duration::from_secs(2 * 3600)).await;
    sweep(&mut rig).await;
    rig.assert_all_wired(std::slice::from_ref(&next)).await;
    assert_eq!(dnat(&rig).len(), 2);
    let own = application_address(&rig);
    serve(&mut rig, &next, &Exposure::at("web", &[443], &own));
    assert_eq!(walk(&rig, CLIENT, ingress(1), 443), Ok(rig.egress_address()));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_vanishes_loses_its_dnat_in_the_next_wave() {
    let mut rig = Rig::with(provided(1, 1)).await;
    let clusters = rig.wire_clusters(1).await;
    let cluster = &clusters[0];
    let address = serve(&mut rig, cluster, &Exposure::internal("web", &[443], None));
    tag(&mut rig, cluster, "hubward-ingress-target", &address.to_string());
    rig.settle().await;
    assert_eq!(walk(&rig, CLIENT, ingress(1), 443), Ok(Ipv4Addr::new(10, 0, 0, 4)));
    rig.azure.lock().unexpose(&cluster.id, "web");
    sweep(&mut rig).await;
    assert!(dnat(&rig).is_empty());
    let report = rig.report(&cluster.key).await.unwrap();
    let told: Vec<String> = report.findings.iter().map(|f| f.code.text()).collect();
    assert!(told.contains(&"ingress_target_gone".to_owned()), "{told:?}");
    assert_eq!(rig.state(cluster).await, "wired");
}
