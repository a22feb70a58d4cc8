//! The whole story by hand: a cluster wired by plain ARM calls, judged by the packet walk on what exists.

use crate::bench::{Bench, START, peering_to, table};
use azure_sim::ClusterSpec;
use azure_sim::walk::{Destination, Outcome, Packet, Protocol, Source, walk};
use serde_json::json;
use std::net::Ipv4Addr;

fn reaches(bench: &Bench, subnet: &str, name: &str) -> Option<Ipv4Addr> {
    let packet = Packet {
        from: Source {
            subnet: subnet.to_owned(),
            cluster: None,
            address: None,
        },
        to: Destination::Name(name.to_owned()),
        port: 443,
        protocol: Protocol::Tcp,
        server_name: None,
    };
    match walk(bench.azure.documents(), bench.azure.internet(), &packet).outcome {
        Outcome::Reached { seen_from } => Some(seen_from),
        Outcome::Dropped { .. } => None,
    }
}

#[test]
fn a_cluster_wired_by_hand_leaves_from_the_egress_address_and_only_where_it_may() {
    let mut bench = Bench::new();
    let hub = bench.azure.world().hub.clone();
    let subscription = bench.azure.world().subscription.clone();
    let spec = ClusterSpec::usual("shop", 1);
    bench.azure.create_cluster(&spec, START);
    while let Some(next) = bench.azure.next_event() {
        bench.now = next;
        bench.azure.advance(next);
    }
    let (vnet, subnet) = (spec.vnet_id(&subscription), spec.subnet_id(&subscription, "nodes"));
    let egress: Ipv4Addr = "203.0.113.10".parse().unwrap();
    let own = reaches(&bench, &subnet, "not-allowed.example").expect("an unwired cluster goes anywhere");
    assert_ne!(own, egress, "from its own address");

    bench.put_done(
        &format!("{vnet}/virtualNetworkPeerings/to-hub"),
        peering_to(&hub.virtual_network),
    );
    bench.put_done(
        &format!("{}/virtualNetworkPeerings/to-shop", hub.virtual_network),
        peering_to(&vnet),
    );
    bench.put_done(
        &format!("{}/ruleCollectionGroups/ours", hub.firewall_policy),
        json!({"properties": {"priority": 500, "ruleCollections": [{
            "ruleCollectionType": "FirewallPolicyFilterRuleCollection", "name": "c", "priority": 500,
            "action": {"type": "Allow"},
            "rules": [{
                "ruleType": "ApplicationRule", "name": "r", "protocols": [{"protocolType": "Https", "port": 443}],
                "sourceAddresses": ["10.1.0.0/16"], "targetFqdns": ["mcr.microsoft.com", "api.partner.example"]
            }]
        }]}}),
    );
    let routes = bench.network("rg-shop", "routeTables/rt");
    bench.put_done(
        &routes,
        table(&[
            ("default", "0.0.0.0/0", "VirtualAppliance", "10.0.0.4"),
            ("return", "203.0.113.10/32", "Internet", ""),
        ]),
    );
    assert_eq!(
        reaches(&bench, &subnet, "mcr.microsoft.com"),
        Some(own),
        "nothing changes before the switch"
    );
    let mut attached = bench.get(&subnet).body;
    attached["properties"]["routeTable"] = json!({"id": routes});
    bench.put_done(&subnet, attached);

    assert_eq!(reaches(&bench, &subnet, "mcr.microsoft.com"), Some(egress));
    assert_eq!(reaches(&bench, &subnet, "api.partner.example"), Some(egress));
    assert_eq!(reaches(&bench, &subnet, "not-allowed.example"), None);
    let shown = bench.get(&subnet).body;
    assert!(
        shown["properties"]["networkSecurityGroup"]["id"].is_string(),
        "the foreign group survived"
    );
}
