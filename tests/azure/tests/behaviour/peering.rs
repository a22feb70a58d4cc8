//! The peering state machine, both sides.

use crate::bench::{Bench, peering_to, vnet};
use serde_json::json;

struct Pair {
    bench: Bench,
    hub: String,
    spoke: String,
}

impl Pair {
    fn new() -> Self {
        let mut bench = Bench::new();
        let hub = bench.azure.world().hub.virtual_network.clone();
        let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
        Self { bench, hub, spoke }
    }

    fn sides(&self) -> (String, String) {
        (
            format!("{}/virtualNetworkPeerings/to-a", self.hub),
            format!("{}/virtualNetworkPeerings/to-hub", self.spoke),
        )
    }

    fn connect(&mut self) {
        let (hub_side, spoke_side) = self.sides();
        self.bench.put_done(&spoke_side, peering_to(&self.hub));
        self.bench.put_done(&hub_side, peering_to(&self.spoke));
    }

    fn state(&mut self, id: &str) -> (String, String) {
        let body = self.bench.get(id).body;
        let text = |name: &str| body["properties"][name].as_str().unwrap_or_default().to_owned();
        (text("peeringState"), text("peeringSyncLevel"))
    }
}

fn state(connection: &str, sync: &str) -> (String, String) {
    (connection.to_owned(), sync.to_owned())
}

#[test]
fn the_first_side_is_initiated_and_the_second_connects_both_without_a_write_on_the_first() {
    let mut pair = Pair::new();
    let (hub_side, spoke_side) = pair.sides();
    let (hub, spoke) = (pair.hub.clone(), pair.spoke.clone());
    let first = pair.bench.put_done(&spoke_side, peering_to(&hub));
    assert_eq!(
        (first.status, &first.body["properties"]["peeringState"]),
        (201, &json!("Initiated"))
    );
    assert_eq!(
        first.body["properties"]["remoteAddressSpace"]["addressPrefixes"],
        json!(["10.0.0.0/16"])
    );
    assert_eq!(pair.state(&spoke_side), state("Initiated", "RemoteNotInSync"));
    let second = pair.bench.put(&hub_side, peering_to(&spoke));
    assert_eq!(
        second.body["properties"]["peeringState"], "Connected",
        "its own answer already says so"
    );
    pair.bench.finish(&second);
    assert_eq!(pair.state(&spoke_side), state("Connected", "FullyInSync"));
    assert_eq!(pair.state(&hub_side), state("Connected", "FullyInSync"));
    let inline = pair.bench.get(&spoke).body;
    assert_eq!(inline["properties"]["virtualNetworkPeerings"][0]["id"], spoke_side);
}

#[test]
fn deleting_one_side_disconnects_the_other_which_must_be_touched_first_to_reconnect() {
    let mut pair = Pair::new();
    pair.connect();
    let (hub_side, spoke_side) = pair.sides();
    let deleted = pair.bench.delete(&hub_side);
    pair.bench.finish(&deleted);
    assert_eq!(pair.state(&spoke_side).0, "Disconnected");
    let (hub, spoke) = (pair.hub.clone(), pair.spoke.clone());
    let refused = pair.bench.put(&hub_side, peering_to(&spoke));
    assert_eq!((refused.status, refused.code()), (400, "RemotePeeringIsDisconnected"));
    assert!(refused.message().contains(&spoke_side));
    pair.bench.put_done(&spoke_side, peering_to(&hub));
    assert_eq!(pair.state(&spoke_side).0, "Initiated");
    pair.bench.put_done(&hub_side, peering_to(&spoke));
    assert_eq!(pair.state(&spoke_side).0, "Connected");
}

#[test]
fn deleting_the_remote_vnet_disconnects_too() {
    let mut pair = Pair::new();
    pair.connect();
    let (hub_side, _) = pair.sides();
    let spoke = pair.spoke.clone();
    let deleted = pair.bench.delete(&spoke);
    pair.bench.finish(&deleted);
    assert_eq!(pair.state(&hub_side).0, "Disconnected");
}

#[test]
fn a_changed_address_space_puts_both_sides_out_of_step_until_they_are_synced() {
    let mut pair = Pair::new();
    pair.connect();
    let (hub_side, spoke_side) = pair.sides();
    let (hub, spoke) = (pair.hub.clone(), pair.spoke.clone());
    let mut larger = vnet("10.1.0.0/16", &[("nodes", "10.1.0.0/24")]);
    larger["properties"]["addressSpace"]["addressPrefixes"] = json!(["10.1.0.0/16", "10.2.0.0/16"]);
    pair.bench.put_done(&spoke, larger);
    assert_eq!(pair.state(&spoke_side), state("Connected", "RemoteNotInSync"));
    assert_eq!(pair.state(&hub_side), state("Connected", "LocalNotInSync"));
    pair.bench.put_done(&hub_side, peering_to(&spoke));
    assert_eq!(pair.state(&hub_side).1, "LocalNotInSync", "a plain PUT does not sync");
    let path = format!("{hub_side}?api-version=2024-05-01&syncRemoteAddressSpace=true");
    let synced = pair.bench.send(http::Method::PUT, &path, Some(peering_to(&spoke)));
    pair.bench.finish(&synced);
    assert_eq!(pair.state(&hub_side), state("Connected", "FullyInSync"));
    assert_eq!(pair.state(&spoke_side).1, "FullyInSync");
    let shown = pair.bench.get(&hub_side).body;
    assert_eq!(
        shown["properties"]["remoteAddressSpace"],
        shown["properties"]["remoteVirtualNetworkAddressSpace"]
    );
    assert_eq!(hub, pair.hub);
}

#[test]
fn overlapping_vnets_cannot_be_peered_even_through_a_third() {
    let mut pair = Pair::new();
    pair.connect();
    let (hub, spoke) = (pair.hub.clone(), pair.spoke.clone());
    let same_as_hub = pair.bench.make_spoke("b", "10.0.0.0/24", "10.0.0.0/26");
    let refused = pair
        .bench
        .put(&format!("{same_as_hub}/virtualNetworkPeerings/p"), peering_to(&hub));
    assert_eq!((refused.status, refused.code()), (400, "VnetAddressSpacesOverlap"));
    let same_as_spoke = pair.bench.make_spoke("c", "10.1.0.0/24", "10.1.0.0/26");
    let refused = pair
        .bench
        .put(&format!("{same_as_spoke}/virtualNetworkPeerings/p"), peering_to(&hub));
    assert_eq!(
        (refused.status, refused.code()),
        (400, "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet")
    );
    assert!(refused.message().contains(&spoke) && refused.message().contains("10.1.0.0/16"));
}

#[test]
fn a_pair_has_one_peering_and_a_missing_remote_is_an_invalid_reference() {
    let mut pair = Pair::new();
    pair.connect();
    let (hub, spoke) = (pair.hub.clone(), pair.spoke.clone());
    let second = pair
        .bench
        .put(&format!("{spoke}/virtualNetworkPeerings/again"), peering_to(&hub));
    assert_eq!(
        (second.status, second.code()),
        (400, "AnotherPeeringAlreadyReferencesRemoteVnet")
    );
    let nowhere = pair.bench.put(
        &format!("{spoke}/virtualNetworkPeerings/x"),
        peering_to(&format!("{hub}-not")),
    );
    assert_eq!((nowhere.status, nowhere.code()), (400, "InvalidResourceReference"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]
    #[test]
    fn whatever_is_written_and_deleted_the_two_sides_agree(actions in proptest::collection::vec((0..2_u8, 0..2_u8, 0..20_i64), 1..10)) {
        let mut pair = Pair::new();
        let (hub_side, spoke_side) = pair.sides();
        let (hub, spoke) = (pair.hub.clone(), pair.spoke.clone());
        for (side, verb, wait) in actions {
            let (id, remote) = if side == 0 { (&hub_side, &spoke) } else { (&spoke_side, &hub) };
            let answer = if verb == 0 { pair.bench.put(id, peering_to(remote)) } else { pair.bench.delete(id) };
            proptest::prop_assert!(matches!(answer.status, 200..=204 | 400 | 409), "{}", answer.body);
            pair.bench.pass(wait);
        }
        pair.bench.pass(60);
        let (one, other) = (pair.state(&hub_side).0, pair.state(&spoke_side).0);
        let agreed = matches!(
            (one.as_str(), other.as_str()),
            ("Connected", "Connected") | ("" | "Initiated" | "Disconnected", "") | ("", "Initiated" | "Disconnected")
        );
        proptest::prop_assert!(agreed, "hub side {one:?}, spoke side {other:?}");
    }
}
