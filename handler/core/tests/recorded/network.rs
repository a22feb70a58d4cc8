//! Every recorded document of the network goes through its view, and what the view says is held against the raw text.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use hubward_core::estate::{
    FirewallView, NatGatewayView, PeeringView, PolicyView, RouteTableView, SubnetView, VnetView,
};
use hubward_core::ids::ResourceId;
use ipnet::Ipv4Net;
use serde_json::Value;

use crate::files::{Document, data_for, documents, evidence};

const FOLDERS: [&str; 3] = ["clusters", "examples", "recordings"];

/// How often each thing was read.
type Tally = BTreeMap<String, usize>;

/// Holds one document's view against its raw text.
type Look = fn(&Document, &mut Tally);

#[test]
fn every_recorded_document_of_the_network_is_read_as_it_says() {
    let Some(data) = data_for("conformance-network") else {
        return;
    };
    let mut tally = Tally::new();
    let kinds: [(&str, Look); 7] = [
        ("Microsoft.Network/virtualNetworks", network),
        ("Microsoft.Network/virtualNetworks/subnets", subnet),
        ("Microsoft.Network/virtualNetworks/virtualNetworkPeerings", peering),
        ("Microsoft.Network/routeTables", route_table),
        ("Microsoft.Network/azureFirewalls", firewall),
        ("Microsoft.Network/firewallPolicies", policy),
        ("Microsoft.Network/natGateways", nat_gateway),
    ];
    for (kind, look) in kinds {
        let found = documents(&data, &FOLDERS, &[kind]);
        assert!(!found.is_empty(), "no {kind} under {}", data.display());
        tally.insert(format!("{kind}: documents"), found.len());
        for document in &found {
            look(document, &mut tally);
        }
    }
    insta::assert_debug_snapshot!(tally);
    evidence("ran conformance-network");
}

fn network(document: &Document, tally: &mut Tally) {
    let view = VnetView::new(&document.body);
    same_prefixes(
        document,
        &view.address_space(),
        &["/properties/addressSpace/addressPrefixes"],
    );
    assert_eq!(view.subnets().len(), count_of(&document.body, "/properties/subnets"));
    assert_eq!(
        view.peerings().len(),
        count_of(&document.body, "/properties/virtualNetworkPeerings")
    );
    for subnet in view.subnets() {
        assert!(
            view.subnet(&subnet.name().to_uppercase()).is_some(),
            "{}",
            document.file
        );
    }
    for peering in view.peerings() {
        let remote = peering
            .remote()
            .unwrap_or_else(|| panic!("{}: a peering to nowhere", document.file));
        assert!(view.peering_to(&remote).is_some());
    }
    add(
        tally,
        "network",
        if view.is_at_rest() { "at rest" } else { "being written" },
    );
    add(
        tally,
        "network",
        if view.dns_servers().is_empty() {
            "Azure's resolver"
        } else {
            "own DNS servers"
        },
    );
}

fn subnet(document: &Document, tally: &mut Tally) {
    let view = SubnetView::new(&document.body);
    assert!(!document.real || view.name() == document.id.name(), "{}", document.file);
    same_prefixes(
        document,
        &view.prefixes(),
        &["/properties/addressPrefix", "/properties/addressPrefixes"],
    );
    assert_eq!(
        view.ip_configurations().len(),
        count_of(&document.body, "/properties/ipConfigurations")
    );
    same_id(document, view.route_table(), "/properties/routeTable/id");
    same_id(document, view.nat_gateway(), "/properties/natGateway/id");
    add(tally, "subnet", if view.is_reserved() { "reserved" } else { "free" });
    for service in view.delegations() {
        add(tally, "subnet delegated to", service);
    }
}

fn peering(document: &Document, tally: &mut Tally) {
    let view = PeeringView { body: &document.body };
    assert!(!document.real || view.name() == document.id.name(), "{}", document.file);
    same_id(document, view.remote(), "/properties/remoteVirtualNetwork/id");
    same_prefixes(
        document,
        &view.remote_address_space(),
        &["/properties/remoteAddressSpace/addressPrefixes"],
    );
    let live = if view.is_live() { "live" } else { "not live" };
    let flags = if view.flags_suffice() {
        "flags suffice"
    } else {
        "flags do not"
    };
    add(tally, "peering", &format!("{}, {live}, {flags}", view.state()));
}

fn route_table(document: &Document, tally: &mut Tally) {
    let view = RouteTableView::new(&document.body);
    assert_eq!(view.routes().len(), count_of(&document.body, "/properties/routes"));
    for route in view.routes() {
        assert!(
            !route.name.is_empty() && !route.prefix.is_empty(),
            "{}: {route:?}",
            document.file
        );
        let needs_address = route.next_hop_type == "VirtualAppliance";
        assert_eq!(route.next_hop.is_some(), needs_address, "{}: {route:?}", document.file);
        add(tally, "route to", route.next_hop_type);
    }
    let propagates = view.propagates_gateway_routes();
    add(
        tally,
        "route table",
        if propagates {
            "takes gateway routes"
        } else {
            "takes no gateway routes"
        },
    );
}

fn firewall(document: &Document, tally: &mut Tally) {
    let view = FirewallView::new(&document.body);
    same_id(document, view.policy(), "/properties/firewallPolicy/id");
    let configurations = document
        .body
        .pointer("/properties/ipConfigurations")
        .and_then(Value::as_array);
    let first = configurations
        .into_iter()
        .flatten()
        .find_map(|one| one.pointer("/properties/privateIPAddress"));
    let address: Option<Ipv4Addr> = first.and_then(Value::as_str).map(|text| text.parse().unwrap());
    assert_eq!(view.private_ip(), address, "{}", document.file);
    let sku = document
        .body
        .pointer("/properties/sku/name")
        .and_then(Value::as_str)
        .unwrap_or("no sku");
    let next_hop = if address.is_some() { "a next hop" } else { "no next hop" };
    let rules = if view.policy().is_some() {
        "a policy"
    } else {
        "no policy"
    };
    add(
        tally,
        "firewall",
        &format!(
            "{sku}, {}, {next_hop}, {rules}",
            if view.is_at_rest() { "at rest" } else { "being written" }
        ),
    );
}

fn policy(document: &Document, tally: &mut Tally) {
    let view = PolicyView::new(&document.body);
    same_id(document, view.base(), "/properties/basePolicy/id");
    assert_eq!(
        view.rule_collection_groups().len(),
        count_of(&document.body, "/properties/ruleCollectionGroups")
    );
    let proxy = if view.dns_proxy() { "DNS proxy" } else { "no DNS proxy" };
    let rest = if view.is_at_rest() { "at rest" } else { "being written" };
    add(tally, "policy", &format!("{proxy}, {rest}"));
}

fn nat_gateway(document: &Document, tally: &mut Tally) {
    let view = NatGatewayView::new(&document.body);
    assert_eq!(
        view.public_ips().len(),
        count_of(&document.body, "/properties/publicIpAddresses")
    );
    assert_eq!(
        view.public_ip_prefixes().len(),
        count_of(&document.body, "/properties/publicIpPrefixes")
    );
    let one = view.public_ips().len() == 1 && view.public_ip_prefixes().is_empty();
    add(
        tally,
        "NAT gateway",
        if one { "one address" } else { "not one address" },
    );
}

/// The view's prefixes are the IPv4 ones of the raw document, no more and no less.
fn same_prefixes(document: &Document, seen: &[Ipv4Net], pointers: &[&str]) {
    let raw: BTreeSet<Ipv4Net> = pointers
        .iter()
        .filter_map(|pointer| document.body.pointer(pointer))
        .flat_map(|value| match value {
            Value::Array(items) => items.clone(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                vec![value.clone()]
            }
        })
        .filter_map(|value| value.as_str().filter(|text| !text.contains(':')).map(str::to_owned))
        .map(|text| {
            text.parse()
                .unwrap_or_else(|_| panic!("{}: {text} is no prefix", document.file))
        })
        .collect();
    assert_eq!(
        seen.iter().copied().collect::<BTreeSet<_>>(),
        raw,
        "{} {}",
        document.file,
        document.id
    );
}

/// The view has an id exactly where the document has one.
fn same_id(document: &Document, seen: Option<ResourceId>, pointer: &str) {
    let raw = document.body.pointer(pointer).and_then(Value::as_str);
    assert_eq!(
        seen.as_ref().map(ResourceId::as_str),
        raw,
        "{} {}",
        document.file,
        document.id
    );
}

fn count_of(body: &Value, pointer: &str) -> usize {
    body.pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len)
}

fn add(tally: &mut Tally, what: &str, how: &str) {
    *tally.entry(format!("{what}: {how}")).or_default() += 1;
}
