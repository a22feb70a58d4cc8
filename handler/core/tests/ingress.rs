//! The way in: application address, reserved address, DNAT, and the frontends that a switch must not cut.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::collections::BTreeMap;

use hubward_core::blueprint::{Contribution, Reservations, Reserved, application_address_id, application_group_id};
use hubward_core::estate::{Listing, Subject, wanted_lists};
use hubward_core::finding::{Code, Finding};
use hubward_core::ids::ResourceId;
use hubward_core::plan::{Acceptance, AcceptedLoss, Method, Plan, State, Wait, after, plan_hub, plan_spoke};
use hubward_core::proof::Judgement;
use serde_json::{Value, json};
use time::Duration;
use world::{READ, World, cluster_id, codes, documents, id, load_balancer, policy, shop};

const OPEN: &str = "[hubs.main.ingress]\nsources = [\"192.0.2.0/24\"]";
const EVERYBODY: &str = "[hubs.main.ingress]\nsources = [\"0.0.0.0/1\", \"128.0.0.0/1\"]";
const CLOSED: &str = "[hubs.main.ingress]";
const MANAGED: &str = "[hubs.main.ingress]\naddresses = \"managed\"\nsources = [\"192.0.2.0/24\"]";

#[test]
fn a_cluster_gets_an_address_and_dnat_rules_to_its_application_address() {
    let mut world = served(OPEN, 2);
    world.wire(&shop());
    let plan = world.plan(&shop());
    assert_eq!(plan.state, Some(State::Wired), "{plan}");
    let rules = dnat(&world);
    insta::assert_snapshot!(serde_json::to_string_pretty(&rules).unwrap());
    let told = plan.findings.iter().find(|f| f.code == Code::IngressAddress).unwrap();
    insta::assert_snapshot!(format!("{}\n{}", told.message, told.help), @r"
    clients of 203.0.113.31 are led to 198.51.100.9, which no service of shop uses
    Annotate the service of the ingress controller: service.beta.kubernetes.io/azure-load-balancer-resource-group: hubward-app-6bda7bfea9, service.beta.kubernetes.io/azure-pip-name: hubward-app-6bda7bfea9.
    ");
    let again = world.plan_hub(&one(&world));
    assert!(again.steps.is_empty(), "the same rules are no write: {again}");
}

#[test]
fn the_application_address_comes_after_its_group_and_is_named_in_the_footprint() {
    let mut world = World::fresh();
    configure(&mut world, OPEN);
    let plan = world.plan(&shop());
    let made: Vec<_> = plan
        .steps
        .iter()
        .filter(|s| s.id == "address-group" || s.id == "application-address")
        .map(|s| (s.id.as_str(), s.waits.clone()))
        .collect();
    let after_group = vec![Wait::Step {
        id: "address-group".to_owned(),
    }];
    assert_eq!(made, [("address-group", vec![]), ("application-address", after_group)]);
    let footprint = plan.footprint.unwrap();
    assert_eq!(
        footprint.address_group,
        Some(application_group_id(&world.config, &shop()))
    );
    assert_eq!(
        footprint.application_address,
        Some(application_address_id(&world.config, &shop()))
    );
}

#[test]
fn a_hub_without_the_section_makes_nothing_for_inbound_traffic() {
    let world = World::fresh();
    let plan = world.plan(&shop());
    assert!(!plan.steps.iter().any(|s| s.id.contains("address")), "{plan}");
    assert!(plan.contribution.unwrap().inbound.is_empty());
}

#[test]
fn a_contribution_from_before_ingress_is_still_read() {
    let mut text = json!(World::fresh().contribution(&shop()));
    let fields = text.as_object_mut().unwrap();
    assert!(
        !fields.contains_key("ingress"),
        "what the hub gives is not kept with what the cluster asks for"
    );
    fields.remove("inbound");
    let read: Contribution = serde_json::from_value(text).unwrap();
    assert!(read.inbound.is_empty() && read.ingress.is_none());
}

#[test]
fn without_sources_an_address_is_reserved_and_nothing_opens() {
    let mut world = served(CLOSED, 1);
    world.wire(&shop());
    assert!(world.reservations.of(&shop()).is_some());
    assert!(dnat(&world).is_empty(), "{:?}", dnat(&world));
    let plan = world.plan(&shop());
    assert_eq!(plan.state, Some(State::Wired));
    let told = plan.findings.iter().find(|f| f.code == Code::IngressClosed).unwrap();
    insta::assert_snapshot!(told.message, @"203.0.113.31 is reserved for shop, and nothing is opened, because nobody may come in");
}

#[test]
fn a_cluster_for_which_no_address_is_free_is_wired_for_the_way_out() {
    let mut world = served(OPEN, 0);
    let before = world.plan(&shop());
    assert!(before.needs_hub(), "the hub has not looked yet: {before}");
    world.wire(&shop());
    let plan = world.plan(&shop());
    assert_eq!(plan.state, Some(State::Wired));
    assert!(codes(&plan).contains(&Code::NoIngressAddress));
}

#[test]
fn reserved_is_what_is_attached_beyond_the_first_and_nobody_elses() {
    let mut world = served(OPEN, 4);
    world.config.scope.exclude = vec![id("hub", "publicIPAddresses/hub-ingress-1")];
    company_dnat(&mut world, "203.0.113.32", "8443");
    let findings = world.assign(&one(&world));
    assert!(findings.is_empty(), "{findings:?}");
    let (address, reserved) = world.reservations.of(&shop()).unwrap();
    assert_eq!(address.to_string(), "203.0.113.33");
    assert_eq!(reserved.address.name(), "hub-ingress-3");
}

#[test]
fn a_cluster_keeps_its_address_for_ever_and_its_contribution_may_come_and_go() {
    let mut world = served(OPEN, 2);
    world.assign(&one(&world));
    let kept = world.reservations.clone();
    assert!(world.assign(&BTreeMap::new()).is_empty());
    assert_eq!(world.reservations, kept);
    let text = serde_json::to_string(&kept).unwrap();
    assert_eq!(serde_json::from_str::<Reservations>(&text).unwrap(), kept);
}

#[test]
fn a_lost_reservation_is_found_again_in_the_rules() {
    let mut world = served(OPEN, 3);
    // Not the address that would be given out first.
    world.reservations = reserved(&shop(), 2);
    world.wire(&shop());
    world.reservations = Reservations::default();
    let plan = world.plan(&shop());
    assert_eq!(plan.state, Some(State::Wired), "the rules tell the address: {plan}");
    world.assign(&BTreeMap::new());
    assert!(
        world.reservations.addresses.is_empty(),
        "of whom nobody tells, nothing is recorded"
    );
    let other = cluster_id("b", "depot");
    let stranger = Contribution {
        cluster: other.clone(),
        ..world.contribution(&shop())
    };
    world.assign(&[(other.clone(), stranger)].into());
    let given = world.reservations.of(&other).unwrap().0.to_string();
    assert_eq!(given, "203.0.113.31", "an address in a rule is never given to another");
    world.assign(&one(&world));
    assert_eq!(world.reservations.of(&shop()).unwrap().0.to_string(), "203.0.113.32");
}

#[test]
fn a_freed_address_rests_in_quarantine_unless_its_own_cluster_comes_back() {
    let mut world = served(OPEN, 1);
    world.assign(&one(&world));
    world.reservations.retire(&shop(), READ + Duration::hours(168));
    assert!(world.reservations.of(&shop()).is_none());
    let depot = cluster_id("b", "depot");
    let stranger = Contribution {
        cluster: depot.clone(),
        ..world.contribution(&shop())
    };
    let asked = BTreeMap::from([(depot.clone(), stranger)]);
    let findings = world.assign(&asked);
    assert_eq!(
        findings.iter().map(|f| f.code).collect::<Vec<_>>(),
        [Code::NoIngressAddress]
    );
    let mut returned = world.clone();
    returned.assign(&one(&world));
    assert!(returned.reservations.of(&shop()).is_some());
    let hub = &world.config.hubs["main"];
    let later = READ + Duration::hours(168);
    let (free, _) =
        hubward_core::blueprint::assign(&world.estate, &world.config, hub, &asked, &world.reservations, later);
    assert!(free.of(&depot).is_some());
}

#[test]
fn a_firewall_takes_250_addresses_and_destinations_and_no_more() {
    let mut world = served(OPEN, 2);
    let ports: Vec<String> = (1..=245).map(|port| port.to_string()).collect();
    company_dnat_ports(&mut world, "203.0.113.99", &ports);
    let used = world.assign(&one(&world));
    assert!(
        used.is_empty(),
        "two addresses, 245 ports of others, and two of ours fit: {used:?}"
    );
    let mut more = served(OPEN, 3);
    company_dnat_ports(&mut more, "203.0.113.99", &ports[..245]);
    more.attach(5);
    let findings = more.assign(&one(&more));
    assert_eq!(
        findings.iter().map(|f| f.code).collect::<Vec<_>>(),
        [Code::IngressLimit]
    );
    assert!(more.reservations.unserved.contains(&shop()));
}

#[test]
fn managed_addresses_are_made_and_attached_in_one_write_with_nothing_else_changed() {
    let mut world = served(MANAGED, 0);
    let asked = one(&world);
    let findings = world.assign(&asked);
    assert_eq!(findings[0].code, Code::NoIngressAddress);
    let plan = world.plan_hub(&asked);
    let made: Vec<&str> = plan.steps.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(
        made,
        ["rules", "address-hubward-ingress-01", "address-hubward-ingress-02"],
        "one for the cluster and one to spare: {plan}"
    );
    world.start(&plan);
    for (number, address) in [(1, "203.0.113.41"), (2, "203.0.113.42")] {
        let id = id("hub", &format!("publicIPAddresses/hubward-ingress-0{number}"));
        world.put(&id, documents::public_ip(&id, address));
    }
    let firewall = id("hub", "azureFirewalls/hub-firewall");
    let before = world.estate.get(&firewall).unwrap().clone();
    let plan = world.plan_hub(&asked);
    let [attach] = plan.steps.as_slice() else {
        panic!("one write attaches both: {plan}")
    };
    assert_eq!(
        (attach.target.clone(), attach.lanes.clone()),
        (firewall.clone(), vec![firewall, policy()])
    );
    let mut rest = attach.body.clone();
    let added = rest["properties"]["ipConfigurations"]
        .as_array_mut()
        .unwrap()
        .split_off(1);
    assert_eq!(added.len(), 2);
    assert_eq!(rest, hubward_core::plan::comparable(&before));
    assert_eq!(attach.precondition, Some(hubward_core::plan::comparable(&before)));
}

#[test]
fn with_the_last_cluster_gone_our_group_goes_too_unless_somebody_else_uses_it() {
    let mut world = served(OPEN, 1);
    world.wire(&shop());
    let stone = [hubward_core::blueprint::Tombstone {
        cluster: shop(),
        evidence: "ResourceNotFound".to_owned(),
    }];
    let plan_with = |world: &World| {
        plan_hub(
            &world.estate,
            &world.config,
            "main",
            &BTreeMap::new(),
            &stone,
            &world.reservations,
        )
    };
    let plan = plan_with(&world);
    assert_eq!(plan.steps[0].method, Method::Delete, "{plan}");
    let next = after(&world.estate, &plan.steps[0]);
    assert!(hubward_core::blueprint::is_gone_from_rules(
        &next,
        &world.config,
        world.hub_config(),
        &shop()
    ));
    let group = world.our_group();
    world.edit(&group, |g| {
        let foreign = world::collection("by-hand", 900, "Allow", &[]);
        g["properties"]["ruleCollections"].as_array_mut().unwrap().push(foreign);
    });
    assert_eq!(plan_with(&world).steps[0].method, Method::Put);
}

#[test]
fn what_somebody_adds_to_a_dnat_rule_stays_and_what_he_changes_is_put_right() {
    let mut world = served(OPEN, 1);
    world.wire(&shop());
    let group = world.our_group();
    let touch = |world: &mut World, change: fn(&mut Value)| {
        world.edit(&group, |g| {
            let all = g["properties"]["ruleCollections"].as_array_mut().unwrap();
            let ours = all.iter_mut().find(|c| c["name"] == "hubward-dnat-500").unwrap();
            change(&mut ours["rules"][0]);
        });
    };
    touch(&mut world, |rule| rule["description"] = json!("ask Ann"));
    assert!(world.plan_hub(&one(&world)).steps.is_empty());
    touch(&mut world, |rule| {
        rule["translatedFqdn"] = json!("elsewhere.example");
        rule["translatedAddress"] = json!("198.51.100.250");
    });
    let plan = world.plan_hub(&one(&world));
    world.start(&plan);
    let rule = &dnat(&world)[0];
    assert_eq!(rule["description"], "ask Ann");
    assert_eq!(
        (&rule["translatedAddress"], rule.get("translatedFqdn")),
        (&json!("198.51.100.9"), None)
    );
}

#[test]
fn a_target_of_the_owners_is_led_to_while_it_is_live_and_dropped_when_it_is_gone() {
    let mut world = served(OPEN, 1);
    world.edit(&shop(), |c| c["tags"]["hubward-ingress-target"] = json!("10.1.0.9"));
    let internal = internal_balancer();
    let mut balancer = documents::load_balancer(&internal);
    documents::add_frontend(
        &mut balancer,
        &internal.child("frontendIPConfigurations", "in"),
        json!({"privateIPAddress": "10.1.0.9"}),
        &[80, 443],
    );
    world.put(&internal, balancer);
    world.let_in("a");
    world.wire(&shop());
    assert_eq!(world.plan(&shop()).state, Some(State::Wired), "{}", world.plan(&shop()));
    assert_eq!(dnat(&world)[0]["translatedAddress"], "10.1.0.9");
    world.gone(&internal);
    let plan = world.plan(&shop());
    assert!(codes(&plan).contains(&Code::IngressTargetGone), "{plan}");
    let contribution = plan.contribution.unwrap();
    assert!(contribution.inbound.is_empty());
    let hub = world.plan_hub(&[(shop(), contribution)].into());
    world.start(&hub);
    assert!(dnat(&world).is_empty(), "the next wave takes it away");
}

#[test]
fn a_target_outside_the_cluster_is_refused() {
    for wrong in ["10.9.0.9", "198.51.100.77", "shop.internal"] {
        let mut world = served(OPEN, 1);
        world.gone(&internal_balancer());
        world.edit(&shop(), |c| c["tags"]["hubward-ingress-target"] = json!(wrong));
        let plan = world.plan(&shop());
        assert!(codes(&plan).contains(&Code::IngressTargetGone), "{wrong}: {plan}");
        assert!(plan.contribution.unwrap().inbound.is_empty(), "{wrong}");
    }
}

#[test]
fn a_live_frontend_stops_the_switch_until_its_owner_accepts_exactly_that() {
    let mut world = ready(OPEN, 1);
    world.serve("a", "shop", "a1b2", "198.51.100.7", &[80, 443]);
    let plan = world.plan(&shop());
    assert_eq!(plan.state, Some(State::Prepared), "{plan}");
    insta::assert_snapshot!(finding(&plan, Code::LivePublicInbound).message, @"the public frontend 198.51.100.7 of shop serves 80/TCP and 443/TCP, and the switch would cut it");
    insta::assert_snapshot!(finding(&plan, Code::LivePublicInbound).help, @"Lead its clients to 203.0.113.31, at which the hub leads in, then accept the loss with the tag hubward-accept-inbound=198.51.100.7:80,198.51.100.7:443 or with approve.");
    let asks: Vec<&str> = plan.asks.iter().map(|ask| ask.what.as_str()).collect();
    assert_eq!(asks, ["198.51.100.7:443/TCP", "198.51.100.7:80/TCP"]);

    let mut tagged = world.clone();
    tagged.edit(&shop(), |c| {
        c["tags"]["hubward-accept-inbound"] = json!("198.51.100.7:80")
    });
    let asks: Vec<String> = tagged.plan(&shop()).asks.into_iter().map(|ask| ask.what).collect();
    assert_eq!(asks, ["198.51.100.7:443/TCP"], "the other port is still asked for");
    tagged.edit(&shop(), |c| {
        c["tags"]["hubward-accept-inbound"] = json!("198.51.100.7:80, 198.51.100.7:443/tcp");
    });
    accepted(tagged.plan(&shop()));

    let mut known = world.known(&shop());
    known.word.accepted = plan.asks.iter().cloned().collect();
    accepted(plan_spoke(&world.estate, &world.config, &shop(), &known));
    known.word.accepted = [Acceptance {
        code: Code::LivePublicInbound,
        what: "198.51.100.8:443/TCP".to_owned(),
    }]
    .into();
    let plan = plan_spoke(&world.estate, &world.config, &shop(), &known);
    assert_eq!(plan.state, Some(State::Prepared), "another frontend is none");
}

#[test]
fn a_service_on_the_application_address_with_dnat_in_force_is_switched_and_stays_reachable() {
    let mut world = ready(EVERYBODY, 1);
    let own = application_address_id(&world.config, &shop());
    world.serve_at("a", "shop", "own", &own, &[443]);
    let plan = world.plan(&shop());
    assert!(plan.asks.is_empty(), "{plan}");
    world.wire(&shop());
    let plan = world.plan(&shop());
    assert_eq!(plan.state, Some(State::Wired), "{plan}");
    let Judgement::Holds { witness, .. } = &plan.proof.unwrap().reach else {
        panic!("reach holds")
    };
    assert!(witness.ends_with("and clients get answers at 1 frontend"), "{witness}");
}

#[test]
fn a_port_of_the_application_address_without_dnat_stops_the_switch() {
    let mut world = ready(EVERYBODY, 1);
    let own = application_address_id(&world.config, &shop());
    world.serve_at("a", "shop", "own", &own, &[443, 8443]);
    let asks: Vec<String> = world.plan(&shop()).asks.into_iter().map(|ask| ask.what).collect();
    assert_eq!(asks, ["198.51.100.9:8443/TCP"]);
}

#[test]
fn dnat_for_some_replaces_no_application_address_that_answers_everybody() {
    let mut world = ready(OPEN, 1);
    let own = application_address_id(&world.config, &shop());
    world.serve_at("a", "shop", "own", &own, &[443]);
    let plan = world.plan(&shop());
    let asks: Vec<&str> = plan.asks.iter().map(|ask| ask.what.as_str()).collect();
    assert_eq!(
        (plan.state, asks),
        (Some(State::Prepared), vec!["198.51.100.9:443/TCP"]),
        "{plan}"
    );
    let mut known = world.known(&shop());
    known.word.accepted = plan.asks.iter().cloned().collect();
    accepted(plan_spoke(&world.estate, &world.config, &shop(), &known));
}

#[test]
fn without_the_return_route_clients_get_no_answer_and_reach_says_so() {
    let mut world = ready(EVERYBODY, 1);
    let own = application_address_id(&world.config, &shop());
    world.serve_at("a", "shop", "own", &own, &[443]);
    world.wire(&shop());
    let table = world.our_table("a");
    world.edit(&table, |t| {
        let routes = t["properties"]["routes"].as_array_mut().unwrap();
        routes.retain(|route| route["name"] != "hubward-return");
    });
    let plan = world.plan(&shop());
    let Judgement::Broken { counter } = &plan.proof.as_ref().unwrap().reach else {
        panic!("{plan}")
    };
    insta::assert_snapshot!(counter.hops.join(" -> "), @"clients -> DNAT rule in-tcp-443-6bda7bfea9 -> the reply to 203.0.113.10 takes route hubward-default of hubward-routes-561d7c633f (0.0.0.0/0), not the way the request came");
    assert!(plan.steps.iter().any(|s| s.id == "route-hubward-return"), "{plan}");
}

#[test]
fn a_security_group_that_lets_nobody_in_refuses_the_switch() {
    let mut world = ready(EVERYBODY, 1);
    let own = application_address_id(&world.config, &shop());
    world.serve_at("a", "shop", "own", &own, &[443]);
    world.edit(&world::security_group("a", "nodes"), |group| {
        let rule = &mut group["properties"]["securityRules"][0]["properties"];
        rule["sourceAddressPrefix"] = json!("192.0.2.0/24");
    });
    let plan = world.plan(&shop());
    assert_eq!(plan.state, Some(State::Failed), "{plan}");
    insta::assert_snapshot!(finding(&plan, Code::PlanRefused).message, @"step switch-nodes would lower REACH of shop: broken: 198.51.100.9:443/TCP (clients -> the security group nodes-nsg lets nobody on the internet in, and 203.0.113.10 is there)");
}

#[test]
fn source_ranges_that_lack_the_egress_address_are_found_on_the_nodes_interfaces() {
    let mut world = ready(OPEN, 1);
    let own = application_address_id(&world.config, &shop());
    world.wire(&shop());
    world.serve_at("a", "shop", "own", &own, &[443]);
    world.guard_interfaces("a", "shop", "192.0.2.0/24");
    let plan = world.plan(&shop());
    assert!(
        matches!(plan.proof.as_ref().unwrap().reach, Judgement::Broken { .. }),
        "{plan}"
    );
    insta::assert_snapshot!(finding(&plan, Code::IngressSourceRanges).message, @"what the firewall leads to 198.51.100.9:443/TCP of shop comes from 203.0.113.10 and is dropped: the security group aks-agentpool-12345678-nsg lets nobody on the internet in, and 203.0.113.10 is there");
    insta::assert_snapshot!(finding(&plan, Code::IngressSourceRanges).help, @"Add 203.0.113.10/32 to loadBalancerSourceRanges of the service.");
    world.guard_interfaces("a", "shop", "203.0.113.10");
    let plan = world.plan(&shop());
    assert!(plan.proof.as_ref().unwrap().reach.holds(), "{plan}");
    assert!(!codes(&plan).contains(&Code::IngressSourceRanges), "{plan}");
}

#[test]
fn interface_groups_that_were_not_read_leave_it_open_whether_clients_get_in() {
    let mut world = ready(EVERYBODY, 1);
    let own = application_address_id(&world.config, &shop());
    world.wire(&shop());
    world.serve_at("a", "shop", "own", &own, &[443]);
    let mut unlisted = hubward_core::estate::Estate::default();
    for (id, snapshot) in world.estate.iter() {
        unlisted.insert(id.clone(), snapshot.body.clone(), snapshot.read_at);
    }
    world.estate = unlisted;
    let subject = Subject::Spoke { cluster: shop() };
    let wanted = wanted_lists(&world.estate, &world.config, &subject);
    let view = world.estate.cluster(&shop()).unwrap();
    assert!(wanted.contains(&Listing::of_interfaces(&view).unwrap()), "{wanted:?}");
    let plan = world.plan(&shop());
    assert!(matches!(plan.proof.unwrap().reach, Judgement::Unknown { .. }));
}

#[test]
fn an_application_address_whose_service_names_its_clients_is_replaced_by_dnat_for_them() {
    for (sender, asked) in [("192.0.2.0/25", 0), ("192.0.2.0/23", 1)] {
        let mut world = ready(OPEN, 1);
        let own = application_address_id(&world.config, &shop());
        world.serve_at("a", "shop", "own", &own, &[443]);
        world.guard_interfaces("a", "shop", sender);
        assert_eq!(world.plan(&shop()).asks.len(), asked, "{sender}");
    }
}

#[test]
fn a_switched_cluster_is_asked_for_nothing_about_frontends() {
    let mut world = ready(OPEN, 1);
    world.wire(&shop());
    world.serve("a", "shop", "a1b2", "198.51.100.7", &[80]);
    let plan = world.plan(&shop());
    assert_eq!((plan.state, plan.asks.len()), (Some(State::Wired), 0), "{plan}");
    assert!(!codes(&plan).contains(&Code::LivePublicInbound));
}

#[test]
fn a_neighbours_frontend_is_guarded_and_its_dnat_stays_as_it_is() {
    let mut world = ready(OPEN, 2).with_cluster("a", "depot", "nodes");
    let depot = cluster_id("a", "depot");
    absent_address(&mut world, &depot);
    world.serve("a", "depot", "c3d4", "198.51.100.8", &[25]);
    let plan = world.plan(&shop());
    let asks: Vec<&str> = plan.asks.iter().map(|ask| ask.what.as_str()).collect();
    assert_eq!(asks, ["198.51.100.8:25/TCP"], "{plan}");
}

/// The fixture with a spoke whose application address is made already.
fn served(section: &str, attached: u8) -> World {
    let mut world = World::fresh();
    configure(&mut world, section);
    world.attach(attached);
    let group = application_group_id(&world.config, &shop());
    let address = application_address_id(&world.config, &shop());
    world.put(&group, json!({"id": group.as_str(), "location": "westeurope"}));
    world.put(&address, documents::public_ip(&address, "198.51.100.9"));
    world
}

/// As [`served`], with everything done but the switch.
fn ready(section: &str, attached: u8) -> World {
    let mut world = served(section, attached);
    for _ in 0..3 {
        let plan = world.plan(&shop());
        if plan
            .startable()
            .any(|step| step.accepts.contains(&AcceptedLoss::OpenConnections))
        {
            break;
        }
        world.start(&plan);
        let asked = one(&world);
        world.assign(&asked);
        let hub = world.plan_hub(&asked);
        world.start(&hub);
    }
    assert!(world.plan(&shop()).startable().next().is_some());
    world
}

fn configure(world: &mut World, section: &str) {
    world.configure(section);
    absent_address(world, &shop());
    for number in 1..=16 {
        world.gone(&id("hub", &format!("publicIPAddresses/hubward-ingress-{number:02}")));
    }
}

fn absent_address(world: &mut World, cluster: &ResourceId) {
    world.gone(&application_group_id(&world.config, cluster));
    world.gone(&application_address_id(&world.config, cluster));
}

fn one(world: &World) -> BTreeMap<ResourceId, Contribution> {
    world.contributions(&[shop()])
}

fn reserved(cluster: &ResourceId, number: u8) -> Reservations {
    let holder = Reserved {
        address: id("hub", &format!("publicIPAddresses/hub-ingress-{number}")),
        cluster: cluster.clone(),
        quarantined_until: None,
    };
    Reservations {
        addresses: [(format!("203.0.113.{}", 30 + number).parse().unwrap(), holder)].into(),
        ..Reservations::default()
    }
}

fn internal_balancer() -> ResourceId {
    let public = load_balancer("a", "shop");
    ResourceId::parse(&format!("{public}-internal")).unwrap()
}

fn company_dnat(world: &mut World, address: &str, port: &str) {
    company_dnat_ports(world, address, &[port.to_owned()]);
}

fn company_dnat_ports(world: &mut World, address: &str, ports: &[String]) {
    let rules: Vec<Value> = ports
        .iter()
        .map(|port| {
            json!({
                "ruleType": "NatRule", "name": format!("theirs-{port}"), "ipProtocols": ["TCP"],
                "sourceAddresses": ["192.0.2.0/24"], "destinationAddresses": [address],
                "destinationPorts": [port], "translatedAddress": "10.200.0.4", "translatedPort": port,
            })
        })
        .collect();
    let group = policy().child("ruleCollectionGroups", "company-baseline");
    world.edit(&group, |g| {
        g["properties"]["ruleCollections"].as_array_mut().unwrap().push(json!({
            "ruleCollectionType": "FirewallPolicyNatRuleCollection", "name": "their-dnat", "priority": 150,
            "action": {"type": "DNAT"}, "rules": rules,
        }));
    });
}

/// The DNAT rules of ours.
fn dnat(world: &World) -> Vec<Value> {
    let group = world.estate.get(&world.our_group());
    let collections = group
        .and_then(|g| g["properties"]["ruleCollections"].as_array())
        .cloned();
    collections
        .into_iter()
        .flatten()
        .filter(|c| c["name"] == "hubward-dnat-500")
        .flat_map(|c| c["rules"].as_array().cloned().unwrap_or_default())
        .collect()
}

fn finding(plan: &Plan, code: Code) -> &Finding {
    plan.findings
        .iter()
        .find(|f| f.code == code)
        .unwrap_or_else(|| panic!("{plan}"))
}

fn accepted(plan: Plan) {
    assert!(plan.asks.is_empty(), "{plan}");
    let switch = plan
        .steps
        .iter()
        .find(|s| s.id == "switch-nodes")
        .unwrap_or_else(|| panic!("{plan}"));
    assert!(
        switch.waits.is_empty() && switch.accepts.contains(&AcceptedLoss::PublicInbound),
        "{plan}"
    );
}
