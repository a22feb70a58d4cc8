//! The firewall's answer against an independent reference: rules drawn at random, evaluated by sorting and taking the first.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::net::Ipv4Addr;

use hubward_core::blueprint::Destination;
use hubward_core::config::{ApplicationKind, ApplicationProtocol, IpProtocol};
use hubward_core::proof::{Firewall, Flow, Verdict};
use ipnet::Ipv4Net;
use proptest::prelude::*;
use serde_json::{Value, json};
use world::{World, collection, https_rule, id, policy};

#[test]
fn every_protocol_is_not_allowed_by_a_rule_for_one() {
    let mut world = World::hub();
    let rule = |protocol: &str| json!({"ruleType": "NetworkRule", "name": protocol, "ipProtocols": [protocol], "sourceAddresses": ["10.1.0.0/16"], "destinationAddresses": ["198.51.100.0/24"], "destinationPorts": ["*"]});
    let destination = Destination::Network {
        target: "198.51.100.0/24".to_owned(),
        protocol: IpProtocol::Any,
        port: "*".to_owned(),
    };
    for (action, protocol, wanted) in [
        ("Deny", "TCP", "unsure"),
        ("Allow", "TCP", "allowed"),
        ("Allow", "Any", "allowed"),
        ("Deny", "Any", "stopped"),
    ] {
        let then = collection("then", 200, "Allow", &[rule("Any")]);
        rules(&mut world, vec![collection("c", 100, action, &[rule(protocol)]), then]);
        assert_eq!(
            word(&answer(&world, "10.1.0.0/20", &destination)),
            wanted,
            "{action} {protocol}"
        );
    }
    rules(&mut world, vec![collection("c", 100, "Allow", &[rule("TCP")])]);
    assert_eq!(word(&answer(&world, "10.1.0.0/20", &destination)), "unsure");
}

#[test]
fn a_wildcard_is_denied_in_part_by_a_rule_for_one_of_its_names() {
    let mut world = World::hub();
    let destination = https("*.data.mcr.microsoft.com");
    let allow = collection(
        "allow",
        900,
        "Allow",
        &[https_rule("all", &["*"], &["*.data.mcr.microsoft.com"])],
    );
    let by_name = https_rule("one", &["*"], &["westeurope.data.mcr.microsoft.com"]);
    let by_packet = json!({"ruleType": "NetworkRule", "name": "one", "ipProtocols": ["TCP"], "sourceAddresses": ["*"], "destinationFqdns": ["westeurope.data.mcr.microsoft.com"], "destinationPorts": ["443"]});
    for deny in [by_name, by_packet] {
        rules(
            &mut world,
            vec![collection("deny", 100, "Deny", &[deny]), allow.clone()],
        );
        assert_eq!(word(&answer(&world, "10.1.0.0/20", &destination)), "unsure");
    }
}

#[test]
fn a_network_rule_to_the_internet_reaches_nobody_from_a_private_address() {
    let mut world = World::hub();
    let by_packet = json!({"ruleType": "NetworkRule", "name": "packets", "ipProtocols": ["TCP"], "sourceAddresses": ["*"], "destinationAddresses": ["*"], "destinationPorts": ["443"]});
    let network = |target: &str| Destination::Network {
        target: target.to_owned(),
        protocol: IpProtocol::Tcp,
        port: "443".to_owned(),
    };
    let by_name = https("api.partner.example");
    let cases = [
        ("0.0.0.0/0", "198.51.100.7", "stopped"),
        ("198.51.100.0/24", "198.51.100.7", "stopped"),
        ("198.51.100.0-198.51.100.9", "198.51.100.7", "stopped"),
        ("198.51.100.0/24", "198.51.0.0/16", "unsure"),
        ("198.51.100.0/24", "203.0.113.7", "allowed"),
        ("198.51.100.0/24", "Storage.WestEurope", "unsure"),
        ("0.0.0.0/0", "Storage.WestEurope", "stopped"),
        ("0.0.0.0/0", "10.200.0.0/16", "allowed"),
        ("10.0.0.0/8", "198.51.100.7", "allowed"),
        ("IANAPrivateRanges", "198.51.100.7", "allowed"),
        ("255.255.255.255/32", "198.51.100.7", "allowed"),
    ];
    for (range, target, wanted) in cases {
        rules(
            &mut world,
            vec![collection("c", 100, "Allow", std::slice::from_ref(&by_packet))],
        );
        world.edit(&policy(), |p| {
            p["properties"]["snat"] = json!({"privateRanges": [range]})
        });
        let got = answer(&world, "10.1.0.0/20", &network(target));
        assert_eq!(word(&got), wanted, "{target} with {range}: {got:?}");
    }
    // Application rules always translate, network rules come first.
    world.edit(&policy(), |p| {
        p["properties"]["snat"] = json!({"privateRanges": ["0.0.0.0/0"]})
    });
    assert_eq!(word(&answer(&world, "10.1.0.0/20", &by_name)), "stopped");
    let by_url = https_rule("pages", &["*"], &["api.partner.example"]);
    rules(&mut world, vec![collection("c", 100, "Allow", &[by_url])]);
    assert_eq!(word(&answer(&world, "10.1.0.0/20", &by_name)), "allowed");
}

/// One rule as the reference evaluator understands it: all of it decidable.
#[derive(Clone, Debug)]
struct Plain {
    network: bool,
    level: usize,
    group_priority: u64,
    priority: u64,
    deny: bool,
    source: Ipv4Net,
    names: Vec<&'static str>,
    prefix: Option<Ipv4Net>,
    ports: (u16, u16),
}

const NAMES: [&str; 4] = ["a.example", "b.a.example", "c.example", "x.partner"];
const PATTERNS: [&str; 6] = ["a.example", "*.a.example", "*.example", "c.example", "*", "x.partner"];

fn plain() -> impl Strategy<Value = Plain> {
    // Mostly rules for everybody, so that rules meet and their order decides.
    let length = prop_oneof![4 => Just(8_u8), 1 => 14_u8..=24];
    let prefix =
        (0_u8..4, length).prop_map(|(n, length)| Ipv4Net::new(Ipv4Addr::new(10, n, 0, 0), length).unwrap().trunc());
    let target = (0_u8..4, 8_u8..=32).prop_map(|(n, length)| {
        Ipv4Net::new(Ipv4Addr::new(198, 51, 100, n * 64), length)
            .unwrap()
            .trunc()
    });
    let ports = prop_oneof![Just((443, 443)), Just((80, 80)), Just((1, 1000)), Just((0, 65535))];
    let place = (0_usize..2, 100_u64..103, 0_u64..40);
    (
        any::<bool>(),
        place,
        any::<bool>(),
        prefix,
        proptest::sample::subsequence(&PATTERNS[..], 1..3),
        proptest::option::of(target),
        ports,
    )
        .prop_map(
            |(network, (level, group_priority, priority), deny, source, names, prefix, ports)| Plain {
                network,
                level,
                group_priority,
                priority: 100 + priority,
                deny,
                source,
                names,
                prefix,
                ports,
            },
        )
}

/// The documented order and matching, said as simply as possible: sort, then take the first match.
fn reference(
    rules: &[Plain],
    source: Ipv4Net,
    name: Option<&str>,
    address: Option<Ipv4Addr>,
    port: u16,
) -> &'static str {
    let mut ordered: Vec<&Plain> = rules.iter().collect();
    ordered.sort_by_key(|r| (!r.network, r.level, r.group_priority, r.priority));
    let hit = ordered.into_iter().find(|rule| {
        let from = rule.source.contains(&source);
        let to = match (rule.network, name, address) {
            (true, Some(name), _) => rule.prefix.is_none() && rule.names.contains(&name),
            (true, None, Some(address)) => rule.prefix.is_some_and(|p| p.contains(&address)),
            (false, Some(name), _) => rule
                .names
                .iter()
                .any(|p| *p == "*" || *p == name || (p.starts_with("*.") && name.ends_with(&p[1..]))),
            _ => false,
        };
        let by = if rule.network {
            (rule.ports.0..=rule.ports.1).contains(&port)
        } else {
            port == 443
        };
        from && to && by
    });
    match hit {
        Some(rule) if rule.deny => "stopped",
        Some(_) => "allowed",
        None => "stopped",
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Either the firewall answers as the reference does for every sender, or it says that it is not sure; and it may be
    /// unsure only if a rule covers the senders in part or an address rule meets a name.
    #[test]
    fn the_firewall_answers_as_the_reference_does(
        rules in proptest::collection::vec(plain(), 0..12),
        sender in 0_u8..4,
        name in proptest::option::of(proptest::sample::select(&NAMES[..])),
        last in any::<u8>(),
        port in proptest::sample::select(vec![443_u16, 80, 5000]),
    ) {
        // Two collections of one group cannot have one priority.
        let mut rules = rules;
        rules.sort_by_key(|r| (r.level, r.group_priority, r.priority));
        rules.dedup_by_key(|r| (r.level, r.group_priority, r.priority));
        let source = Ipv4Net::new(Ipv4Addr::new(10, sender, 0, 0), 20).unwrap();
        let address = Ipv4Addr::new(198, 51, 100, last);
        let destination = match name {
            Some(name) if port == 443 => https(name),
            Some(name) => Destination::Network { target: name.to_owned(), protocol: IpProtocol::Tcp, port: port.to_string() },
            None => Destination::Network { target: address.to_string(), protocol: IpProtocol::Tcp, port: port.to_string() },
        };
        let rules: Vec<Plain> = rules.into_iter().filter(|r| r.network || matches!(destination, Destination::Name { .. })).collect();
        let world = world_of(&rules);
        let got = word(&answer(&world, "192.0.2.0/24", &destination));
        prop_assert_eq!(got, "stopped");
        let got = answer(&world, &source.to_string(), &destination);
        let partly = rules.iter().any(|r| source.contains(&r.source) && r.source != source);
        let meets = rules.iter().any(|r| r.network && (r.prefix.is_some() == name.is_some()));
        if word(&got) == "unsure" {
            prop_assert!(partly || meets, "{got:?} for {destination:?} of {rules:?}");
        } else {
            for one in source.subnets(24).unwrap() {
                let wanted = reference(&rules, one, name, name.is_none().then_some(address), port);
                prop_assert_eq!(word(&got), wanted, "{:?} for {:?} of {:?}", got, destination, rules);
            }
        }
    }
}

fn world_of(rules: &[Plain]) -> World {
    let mut world = World::hub();
    let parent = id("hub", "firewallPolicies/parent");
    world.edit(&policy(), |p| {
        p["properties"]["basePolicy"] = json!({"id": parent.as_str()})
    });
    for (level, policy_id) in [parent, policy()].into_iter().enumerate() {
        let mut groups = Vec::new();
        for priority in 100..103_u64 {
            // Names in the opposite order of the priorities, so that the order of ids decides nothing.
            let group = policy_id.child("ruleCollectionGroups", &format!("g{}", 900 - priority));
            let collections: Vec<Value> = rules
                .iter()
                .filter(|r| r.level == level && r.group_priority == priority)
                .map(|r| {
                    collection(
                        "c",
                        u32::try_from(r.priority).unwrap(),
                        if r.deny { "Deny" } else { "Allow" },
                        &[document(r)],
                    )
                })
                .collect();
            groups.push(json!({"id": group.as_str()}));
            world.put(&group, json!({"properties": {"provisioningState": "Succeeded", "priority": priority, "ruleCollections": collections}}));
        }
        let mut body = world
            .estate
            .get(&policy_id)
            .cloned()
            .unwrap_or_else(|| json!({"properties": {}}));
        body["properties"]["ruleCollectionGroups"] = json!(groups);
        world.put(&policy_id, body);
    }
    world
}

fn document(rule: &Plain) -> Value {
    if !rule.network {
        return https_rule("r", &[&rule.source.to_string()], &rule.names);
    }
    let (low, high) = rule.ports;
    let (addresses, names) = match rule.prefix {
        Some(prefix) => (vec![prefix.to_string()], Vec::new()),
        None => (Vec::new(), rule.names.clone()),
    };
    json!({
        "ruleType": "NetworkRule", "name": "r", "ipProtocols": ["TCP"], "sourceAddresses": [rule.source.to_string()],
        "destinationAddresses": addresses, "destinationFqdns": names, "destinationPorts": [format!("{low}-{high}")],
    })
}

/// Replaces the company's collections.
fn rules(world: &mut World, collections: Vec<Value>) {
    world.edit(&policy().child("ruleCollectionGroups", "company-baseline"), |g| {
        g["properties"]["ruleCollections"] = json!(collections)
    });
}

fn https(name: &str) -> Destination {
    Destination::Name {
        name: name.to_owned(),
        protocol: ApplicationProtocol {
            kind: ApplicationKind::Https,
            port: 443,
        },
    }
}

fn answer(world: &World, source: &str, destination: &Destination) -> Verdict {
    Firewall::read(&world.estate, world.hub_config()).answer(&Flow {
        source: source.parse().unwrap(),
        destination,
    })
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed(_) => "allowed",
        Verdict::Unsure(_) => "unsure",
        Verdict::Stopped(_) => "stopped",
    }
}
