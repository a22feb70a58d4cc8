//! One cluster, three, ten: what exists at the end, what packets find, and how many writes it took.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a run that cannot be set up has failed, and the numbers of a run are for people"
)]

use scenarios::{Cluster, Rig};
use serde_json::Value;

const SEEDS: [u64; 5] = [1, 2, 3, 1007, 424_242];

#[tokio::test(start_paused = true)]
async fn one_cluster_is_wired_with_seven_writes_and_one_firewall_update() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let clusters = rig.wire_clusters(1).await;
        rig.assert_all_wired(&clusters).await;
        let counters = rig.counters();
        println!("seed {seed}: {counters:?} in {:.0} s", rig.seconds());
        assert_eq!(
            (
                rig.accepted_writes().len(),
                counters.firewall_updates,
                counters.throttled
            ),
            (7, 1, 0),
            "seed {seed}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_wired_cluster_has_both_peerings_two_routes_our_rules_and_the_table_on_its_subnet() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let clusters = rig.wire_clusters(1).await;
        let cluster = &clusters[0];
        let hub = rig.azure.lock().world().hub.clone();

        for (local, remote) in [
            (&hub.virtual_network, &cluster.vnet),
            (&cluster.vnet, &hub.virtual_network),
        ] {
            let peering = only(&rig.document(local)["properties"]["virtualNetworkPeerings"], seed);
            let properties = &peering["properties"];
            assert_eq!(properties["peeringState"], "Connected", "seed {seed}");
            assert_eq!(properties["peeringSyncLevel"], "FullyInSync", "seed {seed}");
            assert!(
                is(&properties["remoteVirtualNetwork"]["id"], remote),
                "seed {seed}: {peering}"
            );
        }

        let table = rig.document(&rig.route_table_of(cluster));
        let egress = rig.egress_address();
        assert_eq!(
            routes(&table),
            [
                ("0.0.0.0/0".to_owned(), "VirtualAppliance 10.0.0.4".to_owned()),
                (format!("{egress}/32"), "Internet ".to_owned()),
            ],
            "seed {seed}"
        );
        let users = table["properties"]["subnets"].as_array().unwrap();
        assert!(
            users.len() == 1 && is(&users[0]["id"], &cluster.subnet),
            "seed {seed}: {users:?}"
        );

        let group = rig.document(&rig.our_group());
        assert_eq!(group["properties"]["provisioningState"], "Succeeded", "seed {seed}");
        assert_eq!(group["properties"]["priority"], 500, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_switch_on_the_node_subnet_is_the_last_write() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let clusters = rig.wire_clusters(1).await;
        let writes = rig.accepted_writes();
        let last = writes.last().unwrap();
        assert!(
            last.eq_ignore_ascii_case(&clusters[0].subnet),
            "seed {seed}: {writes:#?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_calls_at_the_same_instants() {
    let mut traces = Vec::new();
    for _ in 0..2 {
        let mut rig = Rig::new(77).await;
        rig.wire_clusters(2).await;
        let azure = rig.azure.lock();
        let calls = azure.trace().iter();
        traces.push(
            calls
                .map(|c| format!("{} {} {} {}", c.at, c.method, c.path, c.status))
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(traces[0], traces[1], "seed 77");
}

#[tokio::test(start_paused = true)]
async fn three_clusters_at_once_are_wired_in_few_firewall_updates() {
    for seed in SEEDS {
        several(seed, 3, 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn ten_clusters_at_once_are_wired_in_at_most_three_firewall_updates_and_without_throttling() {
    for seed in [1, 2] {
        several(seed, 10, 3).await;
    }
}

async fn several(seed: u64, count: u8, most_updates: u64) {
    let mut rig = Rig::new(seed).await;
    let clusters = rig.wire_clusters(count).await;
    rig.assert_all_wired(&clusters).await;
    let counters = rig.counters();
    println!("seed {seed}, {count} clusters: {counters:?} in {:.0} s", rig.seconds());
    assert_eq!(counters.throttled, 0, "seed {seed}: {counters:?}");
    assert!(counters.firewall_updates <= most_updates, "seed {seed}: {counters:?}");
    let accepted = u64::try_from(rig.accepted_writes().len()).unwrap();
    assert_eq!(
        accepted - counters.firewall_updates,
        6 * u64::from(count),
        "seed {seed}: {counters:?}"
    );
    // A write can meet one that another worker has begun on the hub's network since it looked; it waits and comes again.
    let mut refused = rig.refused_writes();
    // The directory learns of an identity minutes after AKS has made it.
    refused.retain(|line| !line.contains("PrincipalNotFound"));
    let busy = ["ReferencedResourceNotProvisioned", "AnotherOperationInProgress"];
    let expected = refused.iter().all(|line| busy.iter().any(|code| line.contains(code)));
    assert!(expected && refused.len() <= 2, "seed {seed}: {refused:#?}");
    assert_separate(&rig, &clusters);
}

/// No two clusters share a table, and each network has the one peering to the hub.
fn assert_separate(rig: &Rig, clusters: &[Cluster]) {
    let mut tables: Vec<String> = clusters
        .iter()
        .map(|c| rig.route_table_of(c).to_ascii_lowercase())
        .collect();
    tables.sort();
    tables.dedup();
    assert_eq!(tables.len(), clusters.len(), "seed {}", rig.seed);
    assert_eq!(
        rig.ids_of("Microsoft.Network/virtualNetworks/virtualNetworkPeerings")
            .len(),
        2 * clusters.len(),
        "seed {}",
        rig.seed
    );
}

fn routes(table: &Value) -> Vec<(String, String)> {
    let routes = table["properties"]["routes"].as_array().unwrap();
    let mut found: Vec<_> = routes
        .iter()
        .map(|route| {
            let properties = &route["properties"];
            let word = |name: &str| properties[name].as_str().unwrap_or_default().to_owned();
            (
                word("addressPrefix"),
                format!("{} {}", word("nextHopType"), word("nextHopIpAddress")),
            )
        })
        .collect();
    found.sort();
    found
}

fn only(list: &Value, seed: u64) -> Value {
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 1, "seed {seed}: {list:?}");
    list[0].clone()
}

fn is(id: &Value, wanted: &str) -> bool {
    id.as_str().is_some_and(|id| id.eq_ignore_ascii_case(wanted))
}
