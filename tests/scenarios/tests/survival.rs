//! What belongs to others survives our writes: properties that we do not know, the security group on the subnet, foreign
//! peerings and rules.

use azure_sim::World;
use scenarios::{Cluster, Rig, Setup};
use serde_json::{Value, json};

const SEEDS: [u64; 3] = [1, 2, 3];
/// A property of tomorrow's Azure.
const UNKNOWN: &str = "somethingOfTomorrow";

#[tokio::test(start_paused = true)]
async fn an_unknown_property_of_subnet_network_firewall_and_policy_survives_the_wiring() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let cluster = rig.create_cluster(1);
        rig.run_until("the network exists", |rig| {
            rig.azure.lock().document(&cluster.subnet).is_some()
        })
        .await;
        let hub = rig.azure.lock().world().hub.clone();
        let marked = [
            cluster.subnet.clone(),
            cluster.vnet.clone(),
            hub.virtual_network,
            hub.firewall,
            hub.firewall_policy,
        ];
        for id in &marked {
            mark(&rig, id);
        }
        rig.settle().await;
        rig.assert_all_wired(&[cluster]).await;
        for id in &marked {
            assert_marked(&rig, id);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_property_of_our_route_table_survives_its_mending() {
    for seed in SEEDS {
        let (mut rig, cluster) = wired(seed).await;
        let table = rig.route_table_of(&cluster);
        mark(&rig, &table);
        let before = rig.counters().writes;
        let route = rig.document(&table)["properties"]["routes"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        rig.azure.lock().erase(&route);
        rig.send_event(&rig.creation_of(&cluster));
        rig.settle().await;
        assert!(
            rig.counters().writes > before,
            "seed {seed}: the missing route was not written"
        );
        assert_marked(&rig, &table);
        rig.assert_all_wired(&[cluster]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_property_of_our_rule_collection_group_survives_the_next_wave() {
    for seed in SEEDS {
        let (mut rig, cluster) = wired(seed).await;
        let group = rig.our_group();
        mark(&rig, &group);
        let before = rig.document(&group)["etag"].clone();
        let second = rig.create_cluster(2);
        rig.settle().await;
        assert_ne!(
            rig.document(&group)["etag"],
            before,
            "seed {seed}: the group was not written"
        );
        assert_marked(&rig, &group);
        rig.assert_all_wired(&[cluster, second]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_security_group_stays_on_the_subnet_and_as_it_was() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let cluster = rig.create_cluster(1);
        rig.run_until("the network exists", |rig| {
            rig.azure.lock().document(&cluster.subnet).is_some()
        })
        .await;
        let rules = rig.document(&cluster.security_group)["properties"]["securityRules"].clone();
        let subnet = rig.document(&cluster.subnet)["properties"].clone();
        rig.settle().await;
        let switched = rig.document(&cluster.subnet)["properties"].clone();
        assert!(!subnet["networkSecurityGroup"]["id"].is_null(), "seed {seed}");
        for kept in [
            "networkSecurityGroup",
            "addressPrefix",
            "privateEndpointNetworkPolicies",
        ] {
            assert_eq!(switched[kept], subnet[kept], "seed {seed}");
        }
        let now = rig.document(&cluster.security_group)["properties"]["securityRules"].clone();
        assert_eq!(now, rules, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_peering_and_a_foreign_rule_collection_group_stay_to_the_byte() {
    for seed in SEEDS {
        let mut setup = Setup::seeded(seed);
        let foreign = with_partner_network(&mut setup.world);
        let mut rig = Rig::with(setup).await;
        let group = rig.azure.lock().world().hub.foreign_rule_collection_group.clone();
        let watched = [foreign.0, foreign.1, group];
        let before: Vec<String> = watched.iter().map(|id| bytes(&rig, id)).collect();
        assert_eq!(
            rig.document(&watched[0])["properties"]["peeringState"],
            "Connected",
            "seed {seed}"
        );
        let clusters = rig.wire_clusters(2).await;
        rig.assert_all_wired(&clusters).await;
        let after: Vec<String> = watched.iter().map(|id| bytes(&rig, id)).collect();
        assert_eq!(after, before, "seed {seed}");
    }
}

/// Another team's network, peered with the hub from the start. Gives the ids of both peerings.
fn with_partner_network(world: &mut World) -> (String, String) {
    let group = format!("/subscriptions/{}/resourceGroups/partners", world.subscription);
    let vnet = format!("{group}/providers/Microsoft.Network/virtualNetworks/partners");
    let hub = world.hub.virtual_network.clone();
    let peering = |remote: &str| {
        json!({"properties": {
            "remoteVirtualNetwork": {"id": remote}, "allowVirtualNetworkAccess": true, "allowForwardedTraffic": false,
            "allowGatewayTransit": false, "useRemoteGateways": false, "peeringState": "Connected"
        }})
    };
    let (out, back) = (
        format!("{hub}/virtualNetworkPeerings/partners"),
        format!("{vnet}/virtualNetworkPeerings/hub"),
    );
    world.resources.extend([
        (group, json!({"location": world.location})),
        (
            vnet.clone(),
            json!({"location": world.location, "properties": {"addressSpace": {"addressPrefixes": ["10.250.0.0/16"]}}}),
        ),
        (out.clone(), peering(&vnet)),
        (back.clone(), peering(&hub)),
    ]);
    (out, back)
}

/// The document as text, but for the etag of a peering: all children of a network carry the etag of the network.
fn bytes(rig: &Rig, id: &str) -> String {
    let mut document = rig.document(id);
    if id.contains("/virtualNetworkPeerings/") {
        document
            .as_object_mut()
            .and_then(|members| members.shift_remove("etag"));
    }
    document.to_string()
}

fn mark(rig: &Rig, id: &str) {
    rig.azure
        .lock()
        .edit(id, |body| body["properties"][UNKNOWN] = unknown());
    assert_marked(rig, id);
}

fn assert_marked(rig: &Rig, id: &str) {
    let document = rig.document(id);
    assert_eq!(
        document["properties"][UNKNOWN],
        unknown(),
        "seed {}: {id}: {document:#}",
        rig.seed
    );
}

fn unknown() -> Value {
    json!({"mode": "On", "list": [1, 2, {"deep": true}]})
}

async fn wired(seed: u64) -> (Rig, Cluster) {
    let mut rig = Rig::new(seed).await;
    let mut clusters = rig.wire_clusters(1).await;
    rig.assert_all_wired(&clusters).await;
    (rig, clusters.remove(0))
}
