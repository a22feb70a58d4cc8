//! Role assignments, and the rights to make them and other links.

use crate::bench::{Answer, Bench, table, vnet};
use azure_sim::Grant;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const RBAC: &str = "2022-04-01";
const NETWORK_CONTRIBUTOR: &str = "4d97b98b-1d4f-4787-a291-c67834d212e7";
const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";

pub fn id(scope: &str, number: u128) -> String {
    let name = Uuid::from_u128(number);
    format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}")
}

fn wanted(bench: &Bench, role: &str, principal: Uuid) -> Value {
    let subscription = &bench.azure.world().subscription;
    json!({"properties": {
        "roleDefinitionId": format!("/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"),
        "principalId": principal, "principalType": "ServicePrincipal"
    }})
}

pub fn send(bench: &mut Bench, method: Method, id: &str, body: Option<Value>) -> Answer {
    bench.send(method, &format!("{id}?api-version={RBAC}"), body)
}

pub fn assign(bench: &mut Bench, scope: &str, number: u128, principal: Uuid) -> Answer {
    let body = wanted(bench, NETWORK_CONTRIBUTOR, principal);
    send(bench, Method::PUT, &id(scope, number), Some(body))
}

fn list(bench: &mut Bench, scope: &str, filter: &str) -> Vec<String> {
    let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments?api-version={RBAC}&$filter={filter}");
    let answer = bench.send(Method::GET, &path.replace(' ', "%20"), None);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let values = answer.body["value"].as_array().unwrap().clone();
    values
        .iter()
        .map(|value| value["properties"]["scope"].as_str().unwrap().to_owned())
        .collect()
}

fn service_principal(bench: &Bench) -> Uuid {
    bench.azure.world().service_principals[0].object_id
}

#[test]
fn an_assignment_is_made_at_once_read_back_and_deleted_with_its_body() {
    let mut bench = Bench::new();
    let principal = service_principal(&bench);
    let hub = bench.azure.world().hub.clone();
    let caller = bench.azure.world().handler.object_id.to_string();
    for (number, scope) in [
        format!("/subscriptions/{}", bench.azure.world().subscription),
        hub.resource_group.clone(),
        hub.virtual_network.clone(),
        hub.firewall_subnet.clone(),
    ]
    .into_iter()
    .enumerate()
    {
        let id = id(&scope, number as u128 + 1);
        let made = assign(&mut bench, &scope, number as u128 + 1, principal);
        assert_eq!(made.status, 201, "{}", made.body);
        assert_eq!(made.header("azure-asyncoperation"), None);
        assert_eq!(made.body["properties"]["createdBy"], Value::Null);
        let read = send(&mut bench, Method::GET, &id, None);
        assert_eq!((read.status, &read.body["id"]), (200, &json!(id)));
        assert_eq!(read.body["properties"]["scope"], json!(scope));
        assert_eq!(read.body["properties"]["createdBy"], json!(caller));
        assert_eq!(read.body["properties"]["createdOn"], "2026-11-23T06:00:00Z");
        let deleted = send(&mut bench, Method::DELETE, &id, None);
        assert_eq!((deleted.status, &deleted.body), (200, &read.body));
        let again = send(&mut bench, Method::DELETE, &id, None);
        assert_eq!((again.status, again.response.body().len()), (204, 0));
        let gone = send(&mut bench, Method::GET, &id, None);
        assert_eq!((gone.status, gone.code()), (404, "RoleAssignmentNotFound"));
    }
}

#[test]
fn the_same_assignment_again_is_200_and_anything_else_under_its_name_is_refused() {
    let mut bench = Bench::new();
    let principal = service_principal(&bench);
    let scope = bench.azure.world().hub.virtual_network.clone();
    assert_eq!(assign(&mut bench, &scope, 1, principal).status, 201);
    bench.pass(100);
    let again = assign(&mut bench, &scope, 1, principal);
    assert_eq!(
        (again.status, &again.body["properties"]["createdOn"]),
        (200, &json!("2026-11-23T06:00:00Z"))
    );
    let person = bench.azure.world().person.object_id;
    let other_principal = assign(&mut bench, &scope, 1, person);
    let body = wanted(&bench, READER, principal);
    let other_role = send(&mut bench, Method::PUT, &id(&scope, 1), Some(body));
    let subnet = bench.azure.world().hub.firewall_subnet.clone();
    let other_scope = assign(&mut bench, &subnet, 1, principal);
    for refused in [other_principal, other_role, other_scope] {
        assert_eq!(refused.code(), "RoleAssignmentUpdateNotPermitted");
        assert!(matches!(refused.status, 400 | 409));
    }
    let twin = assign(&mut bench, &scope, 2, principal);
    assert_eq!((twin.status, twin.code()), (409, "RoleAssignmentExists"));
    assert_eq!(assign(&mut bench, &subnet, 2, principal).status, 201, "another scope");
}

#[test]
fn a_list_shows_what_is_at_above_and_below_the_scope_unless_filtered() {
    let mut bench = Bench::new();
    let world = bench.azure.world().clone();
    let (hub, one, two) = (world.hub, world.service_principals[0].object_id, world.person.object_id);
    let subscription = format!("/subscriptions/{}", world.subscription);
    for (number, (scope, principal)) in [
        (&subscription, one),
        (&hub.virtual_network, one),
        (&hub.firewall_subnet, one),
        (&hub.firewall_subnet, two),
        (&hub.firewall, one),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(assign(&mut bench, scope, number as u128 + 1, principal).status, 201);
    }
    let vnet = &hub.virtual_network;
    let everything = [&subscription, vnet, &hub.firewall_subnet, &hub.firewall_subnet].map(String::clone);
    assert_eq!(list(&mut bench, vnet, ""), everything);
    assert_eq!(
        list(
            &mut bench,
            &vnet.to_uppercase().replace("/SUBSCRIPTIONS/", "/subscriptions/"),
            ""
        ),
        everything
    );
    assert_eq!(
        list(&mut bench, vnet, &format!("principalId eq '{one}'")),
        everything[..3]
    );
    assert_eq!(list(&mut bench, vnet, "atScope()"), everything[..2]);
    assert_eq!(
        list(
            &mut bench,
            &hub.firewall_subnet,
            &format!("atScope() and assignedTo('{two}')")
        ),
        std::slice::from_ref(&hub.firewall_subnet)
    );
    assert_eq!(list(&mut bench, &subscription, "").len(), 5);
    let path = format!("{vnet}/providers/Microsoft.Authorization/roleAssignments?api-version={RBAC}&$filter=x");
    assert_eq!(bench.send(Method::GET, &path, None).status, 400);
}

#[test]
fn a_scope_role_or_version_that_does_not_exist_is_refused_in_azure_s_words() {
    let mut bench = Bench::new();
    let principal = service_principal(&bench);
    let hub = bench.azure.world().hub.clone();
    for (scope, code) in [
        (bench.group("nowhere"), "ResourceGroupNotFound"),
        (format!("{}-x", hub.virtual_network), "ResourceNotFound"),
        (format!("{}/subnets/x", hub.virtual_network), "NotFound"),
        (format!("{}-x/subnets/x", hub.virtual_network), "ResourceNotFound"),
        (
            format!("{}/providers/Microsoft.Compute/disks/d", hub.resource_group),
            "ResourceNotFound",
        ),
    ] {
        let refused = assign(&mut bench, &scope, 1, principal);
        assert_eq!((refused.status, refused.code()), (404, code), "{scope}");
        let read = send(&mut bench, Method::GET, &id(&scope, 1), None);
        assert_eq!((read.status, read.code()), (404, code), "{scope}");
    }
    let scope = hub.virtual_network;
    let body = wanted(&bench, "00000000-0000-0000-0000-00000000beef", principal);
    let refused = send(&mut bench, Method::PUT, &id(&scope, 1), Some(body));
    assert_eq!((refused.status, refused.code()), (404, "RoleDefinitionDoesNotExist"));
    let unnamed = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/not-a-guid");
    let body = wanted(&bench, READER, principal);
    assert_eq!(
        send(&mut bench, Method::PUT, &unnamed, Some(body.clone())).code(),
        "InvalidRoleAssignmentId"
    );
    let mut typed = body.clone();
    typed["properties"]["principalType"] = json!("User");
    let mismatch = send(&mut bench, Method::PUT, &id(&scope, 1), Some(typed));
    assert_eq!((mismatch.status, mismatch.code()), (400, "UnmatchedPrincipalType"));
    for (version, status) in [
        ("2020-04-01-preview", 201),
        ("2018-09-01-preview", 200),
        ("2022-04-02", 400),
    ] {
        let path = format!("{}?api-version={version}", id(&scope, 1));
        assert_eq!(
            bench.send(Method::PUT, &path, Some(body.clone())).status,
            status,
            "{version}"
        );
    }
}

#[test]
fn deleting_a_resource_deletes_what_is_assigned_at_it_and_below_it() {
    let mut bench = Bench::new();
    let principal = service_principal(&bench);
    let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let routes = bench.network("spoke", "routeTables/rt");
    bench.put_done(&routes, table(&[]));
    let subnet = format!("{spoke}/subnets/nodes");
    let group = bench.group("spoke");
    for (number, scope) in [&spoke, &subnet, &routes, &group].into_iter().enumerate() {
        assert_eq!(assign(&mut bench, scope, number as u128 + 1, principal).status, 201);
    }
    let subscription = format!("/subscriptions/{}", bench.azure.world().subscription);
    assert_eq!(list(&mut bench, &subscription, "").len(), 4);
    let deleted = bench.delete(&spoke);
    bench.finish(&deleted);
    assert_eq!(list(&mut bench, &subscription, ""), [routes.clone(), group.clone()]);
    bench.put_done(&routes, table(&[]));
    assert_eq!(list(&mut bench, &routes, "atScope()").len(), 2, "a write keeps them");
    let deleted = bench.send(Method::DELETE, &format!("{group}?api-version=2024-11-01"), None);
    assert_eq!(deleted.status, 202);
    bench.pass(200);
    assert_eq!(list(&mut bench, &subscription, ""), Vec::<String>::new());
}

#[test]
fn rights_taken_from_the_handler_are_missed_at_once_and_granted_again_work() {
    let mut bench = Bench::new();
    let scope = bench.azure.world().hub.virtual_network.clone();
    let principal = service_principal(&bench);
    let everywhere = format!("/subscriptions/{}", bench.azure.world().subscription);
    let grant = |actions: &str| Grant {
        scope: everywhere.clone(),
        actions: vec![actions.to_owned()],
    };
    assert_eq!(assign(&mut bench, &scope, 1, principal).status, 201);
    bench.azure.set_handler_rights(Some(vec![grant("*/read")]));
    let refused = assign(&mut bench, &scope, 2, principal);
    assert_eq!((refused.status, refused.code()), (403, "AuthorizationFailed"));
    assert!(
        refused
            .message()
            .contains("action 'Microsoft.Authorization/roleAssignments/write' over scope")
    );
    bench.azure.grant(grant("Microsoft.Authorization/roleAssignments/*"));
    assert_eq!(assign(&mut bench, &scope, 1, principal).status, 200);
    bench.azure.set_handler_rights(None);
    bench.azure.grant(grant("*/read"));
    assert_eq!(
        bench.delete(&scope).code(),
        "InUseSubnetCannotBeDeleted",
        "None stays everything"
    );
}

#[test]
fn a_subnet_or_vnet_with_a_table_needs_the_right_to_join_it() {
    let mut bench = Bench::new();
    let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let routes = bench.network("spoke", "routeTables/rt");
    bench.put_done(&routes, table(&[]));
    let grant = |scope: &str, action: &str| Grant {
        scope: scope.to_owned(),
        actions: vec![action.to_owned()],
    };
    bench.azure.set_handler_rights(Some(vec![
        grant(&spoke, "Microsoft.Network/virtualNetworks/*"),
        grant(&bench.group("spoke"), "*/read"),
    ]));
    let subnet = json!({"properties": {"addressPrefix": "10.1.0.0/24", "routeTable": {"id": routes}}});
    let mut whole = vnet("10.1.0.0/16", &[]);
    let mut inline = subnet.clone();
    inline["name"] = json!("nodes");
    whole["properties"]["subnets"] = json!([inline]);
    for refused in [
        bench.put(&format!("{spoke}/subnets/nodes"), subnet.clone()),
        bench.put(&spoke, whole),
    ] {
        assert_eq!((refused.status, refused.code()), (403, "LinkedAuthorizationFailed"));
        assert!(refused.message().contains("Microsoft.Network/routeTables/join/action"));
    }
    bench
        .azure
        .grant(grant(&routes, "Microsoft.Network/routeTables/join/action"));
    bench.put_done(&format!("{spoke}/subnets/nodes"), subnet);
}
