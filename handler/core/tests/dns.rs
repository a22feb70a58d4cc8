//! DNS servers of the spoke's own network: lookups survive the switch.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use hubward_core::blueprint::{Contribution, Destination, requirements};
use hubward_core::finding::Code;
use hubward_core::plan::State;
use serde_json::json;
use world::{FIREWALL_IP, World, codes, policy, shop, steps, vnet};

#[test]
fn dns_servers_of_the_network_are_asked_through_the_firewall_by_udp_and_tcp() {
    let mut world = with_servers(&["192.0.2.53", "10.70.0.4"]);
    let contribution = world.contribution(&shop());
    let asked: Vec<(String, String)> = requirements(&contribution, world.hub_config())
        .into_iter()
        .filter(|r| r.protocol.ends_with("/53"))
        .map(|r| match r.destination {
            Destination::Network { target, .. } => (target, r.protocol),
            other @ (Destination::Name { .. } | Destination::Tag { .. }) => panic!("{other:?}"),
        })
        .collect();
    let wanted = [
        ("10.70.0.4", "UDP/53"),
        ("10.70.0.4", "TCP/53"),
        ("192.0.2.53", "UDP/53"),
        ("192.0.2.53", "TCP/53"),
    ];
    assert_eq!(asked, wanted.map(|(to, by)| (to.to_owned(), by.to_owned())));
    world.wire(&shop());
    assert_eq!(world.plan(&shop()).state, Some(State::Wired), "{}", world.plan(&shop()));
    let rule = rule(&world);
    assert_eq!(
        (&rule["ruleType"], &rule["ipProtocols"], &rule["sourceAddresses"]),
        (&json!("NetworkRule"), &json!(["UDP", "TCP"]), &json!(["10.1.0.0/20"]))
    );
    assert_eq!(
        (&rule["destinationAddresses"], &rule["destinationPorts"]),
        (&json!(["10.70.0.4", "192.0.2.53"]), &json!(["53"]))
    );
}

#[test]
fn a_switch_that_would_cut_lookups_is_refused() {
    let mut world = with_servers(&["192.0.2.53"]);
    world.prepare(&[shop()]);
    assert_eq!(steps(&world.plan(&shop())), ["switch-nodes (startable)"]);
    let deny = json!({
        "ruleType": "NetworkRule", "name": "no-dns", "ipProtocols": ["TCP"], "sourceAddresses": ["*"],
        "destinationAddresses": ["192.0.2.53"], "destinationPorts": ["53"],
    });
    world.company("ban", 100, "Deny", &[deny]);
    let plan = world.plan(&shop());
    assert!(
        plan.steps.is_empty() && codes(&plan).contains(&Code::PlanRefused),
        "{plan}"
    );
}

#[test]
fn servers_that_no_lookup_passes_the_firewall_for_need_no_rule() {
    for direct in [FIREWALL_IP, "168.63.129.16", "10.1.3.4", "10.0.5.5", "fd00::53"] {
        let world = with_servers(&[direct]);
        let contribution = world.contribution(&shop());
        assert!(contribution.dns_servers.is_empty(), "{direct}: {contribution:?}");
    }
}

#[test]
fn a_server_behind_another_peering_of_the_spoke_is_asked_directly() {
    let mut world = with_servers(&["10.90.0.4"]);
    assert_eq!(world.contribution(&shop()).dns_servers.len(), 1);
    world.edit(&vnet("a"), |v| {
        v["properties"]["virtualNetworkPeerings"] = json!([{"name": "to-directory", "properties": {
            "remoteVirtualNetwork": {"id": world::id("x", "virtualNetworks/directory").as_str()},
            "peeringState": "Connected", "provisioningState": "Succeeded",
            "allowVirtualNetworkAccess": true, "allowForwardedTraffic": true,
            "remoteAddressSpace": {"addressPrefixes": ["10.90.0.0/24"]}}}]);
    });
    assert!(world.contribution(&shop()).dns_servers.is_empty());
}

#[test]
fn a_contribution_written_before_dns_servers_were_known_is_still_read() {
    let mut document = json!(World::fresh().contribution(&shop()));
    document.as_object_mut().unwrap().remove("dns_servers");
    let contribution: Contribution = serde_json::from_value(document).unwrap();
    assert_eq!(contribution, World::fresh().contribution(&shop()));
}

/// The spoke and the firewall ask the same servers, so that the gate on names is open.
fn with_servers(servers: &[&str]) -> World {
    let mut world = World::fresh();
    world.edit(&vnet("a"), |v| {
        v["properties"]["dhcpOptions"] = json!({"dnsServers": servers})
    });
    world.edit(&policy(), |p| {
        p["properties"]["dnsSettings"]["servers"] = json!(servers)
    });
    world
}

fn rule(world: &World) -> serde_json::Value {
    let group = world.estate.get(&world.our_group()).unwrap();
    let collections = group["properties"]["ruleCollections"].as_array().unwrap();
    let mut rules = collections.iter().flat_map(|c| c["rules"].as_array().unwrap());
    rules
        .find(|r| r["name"].as_str().unwrap().starts_with("custom-dns"))
        .cloned()
        .unwrap()
}
