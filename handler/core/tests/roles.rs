//! Rights of a cluster's control plane: which are missing, which are accepted, whom they are for, and when they count.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::collections::BTreeMap;

use hubward_core::blueprint::{Grant, grants, spoke_blueprint};
use hubward_core::config::Config;
use hubward_core::estate::{Estate, Listing, Subject, wanted_lists, wanted_reads};
use hubward_core::finding::{Code, Severity};
use hubward_core::names;
use hubward_core::plan::{Known, Plan, State, Step, Wait, plan_spoke};
use proptest::prelude::*;
use serde_json::{Value, json};
use time::Duration;
use world::documents::PRINCIPAL;
use world::{READ, SUBSCRIPTION, World, codes, nodes, shop, steps, vnet};

const NETWORK_CONTRIBUTOR: &str = "4d97b98b-1d4f-4787-a291-c67834d212e7";
const CLIENT: &str = "0a8d3f5e-6c34-4a67-9d0e-3f1a2b4c5d6e";
const OBJECT: &str = "7b1c2d3e-4f5a-4b6c-8d7e-9f0a1b2c3d4e";

/// The rights that `shop` should have: on the table, then on the subnet.
fn wanted(world: &World) -> Vec<Grant> {
    let cluster = world.estate.cluster(&shop()).unwrap();
    let hub = world.hub_config();
    let blueprint = spoke_blueprint(&world.estate, &world.config, hub, &world.facts(), &cluster).unwrap();
    grants(&world.config, hub, &shop(), &cluster, &blueprint)
}

/// A role assignment as Azure lists it.
fn assignment(name: &str, scope: &str, principal: &str, role: &str, made: &str) -> Value {
    json!({
        "id": format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"), "name": name,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {
            "roleDefinitionId": format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}"),
            "principalId": principal, "principalType": "ServicePrincipal", "scope": scope, "condition": null,
            "createdOn": made, "updatedOn": made,
        },
    })
}

/// Every wanted right, made by us at `made`.
fn ours(world: &World, made: &str) -> Vec<Value> {
    let named = |g: &Grant| assignment(g.id.name(), g.scope.as_str(), PRINCIPAL, NETWORK_CONTRIBUTOR, made);
    wanted(world).iter().map(named).collect()
}

fn roles(plan: &Plan) -> Vec<&Step> {
    plan.steps.iter().filter(|s| s.id.starts_with("role-")).collect()
}

/// The plan at a time, counted in minutes from when the fixture was read.
fn later(world: &World, minutes: i64) -> Plan {
    let known = Known::at(READ + Duration::minutes(minutes), world::age());
    plan_spoke(&world.estate, &world.config, &shop(), &known)
}

#[test]
fn rights_are_given_on_table_and_subnets_to_the_control_plane_with_a_name_that_follows_from_them() {
    let world = World::fresh();
    let plan = world.plan(&shop());
    let [table, subnet] = roles(&plan)[..] else {
        panic!("{plan}")
    };
    assert_eq!(
        (table.id.as_str(), subnet.id.as_str()),
        ("role-route-table", "role-nodes")
    );
    let definition = format!(
        "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{NETWORK_CONTRIBUTOR}"
    );
    assert_eq!(
        subnet.body,
        json!({"properties": {
            "roleDefinitionId": definition, "principalId": PRINCIPAL, "principalType": "ServicePrincipal"}})
    );
    let name = names::role_assignment(&nodes("a"), PRINCIPAL, &definition);
    let path = format!(
        "{}/providers/Microsoft.Authorization/roleAssignments/{name}",
        nodes("a")
    );
    assert_eq!(subnet.target.as_str(), path);
    assert_eq!((subnet.api_version.as_str(), subnet.lanes.len()), ("2022-04-01", 0));
    assert!(subnet.waits.is_empty() && subnet.precondition.is_none());
    let made = Wait::Step {
        id: "route-table".to_owned(),
    };
    assert_eq!(table.waits, [made], "the table comes first");
}

#[test]
fn every_node_and_pod_subnet_gets_its_right() {
    let mut world = World::fresh();
    world.edit(&shop(), |c| {
        c["properties"]["agentPoolProfiles"][0]["podSubnetID"] = json!(vnet("a").child("subnets", "more").as_str());
    });
    let plan = world.plan(&shop());
    let ids: Vec<&str> = roles(&plan).iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["role-route-table", "role-more", "role-nodes"]);
}

#[test]
fn the_switch_waits_for_the_rights() {
    let plan = World::fresh().plan(&shop());
    let switch = plan.steps.iter().find(|s| s.id == "switch-nodes").unwrap();
    for role in roles(&plan) {
        let wait = Wait::Step { id: role.id.clone() };
        assert!(switch.waits.contains(&wait), "{plan}");
    }
}

#[test]
fn the_configured_role_is_given_instead_of_network_contributor() {
    let mut world = World::fresh();
    let own = "11111111-aaaa-4bbb-8ccc-222222222222";
    world.configure(&format!("[roles]\ndefinition = \"{own}\"\n"));
    let plan = world.plan(&shop());
    assert!(
        roles(&plan)[0].body["properties"]["roleDefinitionId"]
            .as_str()
            .unwrap()
            .ends_with(own)
    );
    world.assigned(ours(&world, "2026-11-23T10:00:00Z"));
    assert_eq!(roles(&world.plan(&shop())).len(), 2, "another role is another right");
}

#[test]
fn an_equal_right_at_the_scope_or_above_it_is_accepted_under_any_name() {
    let management_group = "/providers/Microsoft.Management/managementGroups/company";
    let subscription = format!("/subscriptions/{SUBSCRIPTION}");
    let group = format!("{subscription}/resourceGroups/A");
    for scope in ["/", management_group, &subscription, &group] {
        let mut world = World::fresh();
        let role = NETWORK_CONTRIBUTOR.to_ascii_uppercase();
        world.assigned(vec![assignment(
            "by-terraform",
            scope,
            PRINCIPAL,
            &role,
            "2026-11-23T10:00:00Z",
        )]);
        let plan = world.plan(&shop());
        assert!(roles(&plan).is_empty(), "{scope}: {plan}");
    }
    let mut world = World::fresh();
    let narrow = assignment(
        "by-hand",
        nodes("a").as_str(),
        PRINCIPAL,
        NETWORK_CONTRIBUTOR,
        "2026-11-23T10:00:00Z",
    );
    world.assigned(vec![narrow]);
    let plan = world.plan(&shop());
    let ids: Vec<&str> = roles(&plan).iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["role-route-table"], "a right on the subnet is none on the table");
}

#[test]
fn another_role_principal_or_neighbouring_scope_or_a_condition_is_no_equal_right() {
    const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
    let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/a");
    let made = "2026-11-23T10:00:00Z";
    let mut conditional = assignment("c", &group, PRINCIPAL, NETWORK_CONTRIBUTOR, made);
    conditional["properties"]["condition"] = json!("@Resource[x] StringEquals 'y'");
    for unequal in [
        assignment("r", &group, PRINCIPAL, READER, made),
        assignment("p", &group, OBJECT, NETWORK_CONTRIBUTOR, made),
        assignment("s", &format!("{group}b"), PRINCIPAL, NETWORK_CONTRIBUTOR, made),
        assignment(
            "b",
            &format!("{}/x/y", nodes("a")),
            PRINCIPAL,
            NETWORK_CONTRIBUTOR,
            made,
        ),
        conditional,
    ] {
        let mut world = World::fresh();
        world.assigned(vec![unequal.clone()]);
        assert_eq!(roles(&world.plan(&shop())).len(), 2, "{unequal}");
    }
}

#[test]
fn without_a_whole_list_nothing_is_said_and_nothing_is_switched() {
    let world = World::ready();
    let mut unlisted = world.clone();
    unlisted.estate = Estate::default();
    for (id, snapshot) in world
        .estate
        .iter()
        .filter(|(id, _)| !id.is_type("Microsoft.Authorization/roleAssignments"))
    {
        unlisted
            .estate
            .insert(id.clone(), snapshot.body.clone(), snapshot.read_at);
    }
    let plan = unlisted.plan(&shop());
    assert!(
        roles(&plan).is_empty() && codes(&plan).contains(&Code::NotRead),
        "{plan}"
    );
    assert_eq!(plan.startable().count(), 0);
}

#[test]
fn the_list_is_asked_for_and_what_it_lacks_is_read_by_name() {
    let mut world = World::fresh();
    let subject = Subject::Spoke { cluster: shop() };
    let listing = Listing::RoleAssignments {
        subscription: SUBSCRIPTION.to_owned(),
        principal: PRINCIPAL.to_owned(),
    };
    assert!(world.estate.has_listed(&listing));
    assert!(!wanted_lists(&world.estate, &world.config, &subject).contains(&listing));
    assert_eq!(listing.filter().unwrap(), format!("principalId eq '{PRINCIPAL}'"));
    let names: Vec<_> = wanted(&world).into_iter().map(|grant| grant.id).collect();
    let reads = wanted_reads(&world.estate, &world.config, &subject);
    assert!(names.iter().all(|id| reads.contains(id)));
    world.assigned(ours(&world, "2026-11-23T10:00:00Z"));
    let reads = wanted_reads(&world.estate, &world.config, &subject);
    assert!(!names.iter().any(|id| reads.contains(id)));
    let unlisted = Estate::default();
    assert!(
        wanted_lists(&unlisted, &world.config, &subject).is_empty(),
        "the cluster comes first"
    );
}

#[test]
fn a_right_that_the_list_still_lacks_or_still_has_is_judged_by_its_own_read() {
    let mut lagging = World::fresh();
    let [table, subnet] = &ours(&lagging, "2026-11-23T10:00:00Z")[..] else {
        panic!("two rights")
    };
    let grants = wanted(&lagging);
    lagging.put(&grants[0].id, table.clone());
    lagging.put(&grants[1].id, subnet.clone());
    assert!(roles(&lagging.plan(&shop())).is_empty());
    let mut removed = World::fresh();
    removed.assigned(vec![table.clone(), subnet.clone()]);
    removed.gone(&grants[1].id);
    let plan = removed.plan(&shop());
    assert_eq!(
        roles(&plan).iter().map(|s| s.id.as_str()).collect::<Vec<_>>(),
        ["role-nodes"]
    );
}

#[test]
fn a_switched_cluster_settles_until_an_hour_after_its_youngest_right_and_is_wired_then() {
    let mut world = World::wired();
    wanted(&world).iter().for_each(|grant| world.unread(&grant.id));
    let mut rights = ours(&world, "2026-11-23T11:40:00Z");
    rights[0]["properties"]["createdOn"] = json!("2026-11-23T11:50:30Z");
    world.assigned(rights);
    let until = READ + Duration::minutes(50) + Duration::seconds(30);
    let plan = later(&world, 0);
    assert_eq!(
        (plan.state, plan.waits.as_slice()),
        (Some(State::Settling), &[Wait::Rights { until }][..]),
        "{plan}"
    );
    assert!(plan.steps.is_empty() && plan.proof.as_ref().unwrap().egress.holds());
    assert_eq!(plan.id, later(&world, 50).id, "time alone makes no other plan");
    let plan = later(&world, 51);
    assert_eq!((plan.state, plan.waits.len()), (Some(State::Wired), 0), "{plan}");
    assert!(State::Settling.is_wired() && State::Wired.is_wired() && !State::Waiting.is_wired());
}

#[test]
fn rights_of_somebody_else_settle_nothing() {
    let mut world = World::wired();
    let scope = format!("/subscriptions/{SUBSCRIPTION}");
    let mut all = ours(&world, "2026-11-23T11:59:00Z");
    all.push(assignment(
        "older",
        &scope,
        PRINCIPAL,
        NETWORK_CONTRIBUTOR,
        "2026-11-23T09:00:00Z",
    ));
    world.assigned(all);
    assert_eq!(later(&world, 0).state, Some(State::Wired));
}

#[test]
fn a_cluster_that_is_not_switched_does_not_settle() {
    let mut world = World::ready();
    world.assigned(ours(&world, "2026-11-23T11:59:00Z"));
    let plan = later(&world, 0);
    assert_eq!(
        (plan.state, steps(&plan)),
        (Some(State::Waiting), vec!["switch-nodes (startable)".to_owned()])
    );
}

#[test]
fn a_right_that_somebody_took_away_is_given_again() {
    let mut world = World::wired();
    for grant in wanted(&world) {
        world.gone(&grant.id);
    }
    let plan = world.plan(&shop());
    assert_eq!(steps(&plan), ["role-route-table (startable)", "role-nodes (startable)"]);
    assert_eq!(plan.state, Some(State::Waiting));
}

#[test]
fn a_service_principal_gets_its_rights_once_its_object_id_is_configured() {
    let mut world = World::fresh();
    world.edit(&shop(), |c| {
        c["identity"] = Value::Null;
        c["properties"]["servicePrincipalProfile"]["clientId"] = json!(CLIENT);
    });
    world.prepare(&[shop()]);
    let plan = world.plan(&shop());
    assert_eq!(
        (plan.state, plan.startable().count()),
        (Some(State::Prepared), 0),
        "{plan}"
    );
    insta::assert_snapshot!(plan);
    world.configure(&format!(
        "[service_principals]\n{:?} = {OBJECT:?}\n",
        CLIENT.to_ascii_uppercase()
    ));
    let subject = Subject::Spoke { cluster: shop() };
    let listing = Listing::RoleAssignments {
        subscription: SUBSCRIPTION.to_owned(),
        principal: OBJECT.to_owned(),
    };
    assert!(wanted_lists(&world.estate, &world.config, &subject).contains(&listing));
    world.estate.insert_list(&subject, listing, Vec::new(), READ);
    let plan = world.plan(&shop());
    assert!(
        roles(&plan).len() == 2
            && roles(&plan)
                .iter()
                .all(|s| s.body["properties"]["principalId"] == OBJECT)
    );
    world.wire(&shop());
    assert_eq!(world.plan(&shop()).state, Some(State::Wired));
}

#[test]
fn an_identity_that_aks_has_not_named_is_waited_for_and_later_missed() {
    for identity in [json!({"type": "SystemAssigned"}), json!({"principalId": "' or 1 eq 1"})] {
        let mut world = World::fresh();
        world.edit(&shop(), |c| c["identity"] = identity.clone());
        world.state(&shop(), "Creating");
        let plan = world.plan(&shop());
        assert_eq!(plan.state, Some(State::Waiting), "{plan}");
        assert!(!codes(&plan).contains(&Code::IdentityUnknown));
        let subject = Subject::Spoke { cluster: shop() };
        let lists = wanted_lists(&world.estate, &world.config, &subject);
        assert!(
            lists.iter().all(|l| l.filter().is_none()),
            "nothing that is no GUID gets into a filter"
        );
        world.state(&shop(), "Succeeded");
        let plan = world.plan(&shop());
        let finding = plan.findings.iter().find(|f| f.code == Code::IdentityUnknown).unwrap();
        assert!(
            finding.is_blocking() && finding.message.contains("identity.principalId"),
            "{plan}"
        );
        assert_eq!(
            plan.steps
                .iter()
                .filter(|s| s.id.starts_with("switch-") && s.waits.is_empty())
                .count(),
            0
        );
    }
}

#[test]
fn a_cluster_that_was_switched_stays_wired_when_its_principal_is_not_known() {
    let mut world = World::wired();
    world.edit(&shop(), |c| c["identity"] = json!({"type": "SystemAssigned"}));
    let plan = world.plan(&shop());
    let finding = plan.findings.iter().find(|f| f.code == Code::IdentityUnknown).unwrap();
    assert_eq!(
        (plan.state, finding.severity),
        (Some(State::Wired), Severity::Warning),
        "{plan}"
    );
}

#[test]
fn the_user_assigned_identity_is_the_principal() {
    let mut world = World::fresh();
    let identity = "/subscriptions/S/resourceGroups/a/providers/Microsoft.ManagedIdentity/userAssignedIdentities/shop";
    world.edit(&shop(), |c| {
        c["identity"] =
            json!({"type": "UserAssigned", "userAssignedIdentities": {identity: {"principalId": OBJECT, "clientId": CLIENT}}});
    });
    assert!(wanted(&world).iter().all(|grant| grant.principal == OBJECT));
}

#[test]
fn the_footprint_names_the_rights_before_they_are_given() {
    let world = World::fresh();
    let footprint = world.plan(&shop()).footprint.unwrap();
    assert_eq!(
        footprint.roles,
        wanted(&world).into_iter().map(|grant| grant.id).collect()
    );
}

#[test]
fn a_hub_that_leads_clients_in_gives_the_right_on_the_group_of_the_application_address() {
    let mut world = World::fresh();
    world.configure("[hubs.main.ingress]\n");
    let group = hubward_core::blueprint::application_group_id(&world.config, &shop());
    assert_eq!(
        group.as_str(),
        format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/hubward-app-{}",
            names::hash(&shop())
        )
    );
    assert!(wanted(&world).iter().any(|grant| grant.scope == group));
    world.put(
        &group,
        json!({"id": group.as_str(), "name": group.name(), "properties": {"provisioningState": "Succeeded"}}),
    );
    let plan = world.plan(&shop());
    assert!(
        steps(&plan).contains(&"role-address-group (startable)".to_owned()),
        "{plan}"
    );
}

proptest! {
    #[test]
    fn no_list_of_assignments_makes_a_plan_panic_or_a_name_change(
        names in prop::collection::vec("[ -~]{0,40}", 0..4), scope in "[ -~]{0,60}", made in "[ -~]{0,30}",
    ) {
        let mut world = World::fresh();
        let before: Vec<_> = wanted(&world).into_iter().map(|g| g.id).collect();
        let all = names.iter().map(|n| assignment(n, &scope, PRINCIPAL, NETWORK_CONTRIBUTOR, &made)).collect();
        world.assigned(all);
        let plan = world.plan(&shop());
        for step in roles(&plan) {
            prop_assert!(before.contains(&step.target));
        }
    }
}

#[test]
fn service_principals_and_the_role_can_be_laid_over_the_file() {
    let toml = toml_of(&World::fresh().config);
    let overlay = BTreeMap::from([("HUBWARD__roles__definition".to_owned(), OBJECT.to_owned())]);
    assert_eq!(Config::load(&toml, &overlay).unwrap().roles.definition, OBJECT);
}

fn toml_of(config: &Config) -> String {
    let hub = &config.hubs["main"];
    format!(
        "[hubs.main]\nlocation = \"westeurope\"\nworkload_egress = \"rules\"\nvirtual_network = \"{}\"\nfirewall = \"{}\"\nnat_gateway = \"{}\"\n",
        hub.virtual_network, hub.firewall, hub.nat_gateway
    )
}
