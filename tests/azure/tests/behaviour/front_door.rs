//! ARM's front door: tokens, versions, quota, rights, and the many shapes of not found.

use crate::bench::{Bench, vnet};
use azure_sim::{Fault, FaultEffect, Grant, NoAnswer, Service, World};
use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};

#[test]
fn a_call_without_a_valid_token_is_401_with_a_challenge() {
    let mut bench = Bench::new();
    let id = bench.azure.world().hub.virtual_network.clone();
    let storage = {
        let handler = bench.azure.world().handler.clone();
        bench.azure.token_for(&handler, "https://storage.azure.com/")
    };
    for (token, code) in [
        (None, "AuthenticationFailed"),
        (Some("Bearer nonsense".to_owned()), "InvalidAuthenticationToken"),
        (Some(format!("Bearer {storage}")), "InvalidAuthenticationTokenAudience"),
    ] {
        let mut request = Request::builder().uri(format!("{id}?api-version=2024-05-01"));
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let answer = bench.send_raw(request.body(Bytes::new()).unwrap());
        assert_eq!((answer.status, answer.code()), (401, code));
        assert!(
            answer
                .header("www-authenticate")
                .unwrap()
                .starts_with("Bearer authorization_uri=\"https://login.")
        );
    }
    bench.azure.revoke_tokens();
    assert_eq!(bench.get(&id).code(), "InvalidAuthenticationToken");
}

#[test]
fn the_identity_endpoint_gives_a_token_that_arm_takes() {
    let mut bench = Bench::new();
    let secret = bench.azure.world().identity_secret.clone();
    let ask = |secret: &str, query: &str| {
        Request::builder()
            .uri(format!("/msi/token?{query}"))
            .header("x-identity-header", secret)
            .body(Bytes::new())
            .unwrap()
    };
    let good = "resource=https%3A%2F%2Fmanagement.azure.com%2F&api-version=2019-08-01";
    let refused = bench.azure.handle(Service::Identity, ask("wrong", good), bench.now);
    assert_eq!(refused.status(), 401);
    let unknown = format!("{good}&client_id=00000000-0000-0000-0000-000000000000");
    assert_eq!(
        bench
            .azure
            .handle(Service::Identity, ask(&secret, &unknown), bench.now)
            .status(),
        400
    );
    let given = bench.azure.handle(Service::Identity, ask(&secret, good), bench.now);
    let body: Value = serde_json::from_slice(given.body()).unwrap();
    assert!(body["expires_on"].as_str().unwrap().parse::<i64>().unwrap() > bench.now.unix_timestamp());
    assert_eq!(body["token_type"], "Bearer");
    bench.token = body["access_token"].as_str().unwrap().to_owned();
    let id = bench.azure.world().hub.virtual_network.clone();
    assert_eq!(bench.get(&id).status, 200);
}

#[test]
fn versions_that_do_not_exist_are_refused_in_arm_s_words() {
    let mut bench = Bench::new();
    let id = bench.azure.world().hub.virtual_network.clone();
    for (query, code) in [
        ("", "MissingApiVersionParameter"),
        ("?api-version=banana", "InvalidApiVersionParameter"),
        ("?api-version=2015-01-01", "NoRegisteredProviderFound"),
    ] {
        let answer = bench.send(Method::GET, &format!("{id}{query}"), None);
        assert_eq!((answer.status, answer.code()), (400, code));
        assert_eq!(answer.header("x-ms-failure-cause"), Some("gateway"));
    }
    for version in ["2023-09-01", "2024-05-01", "2025-05-01"] {
        assert_eq!(
            bench
                .send(Method::GET, &format!("{id}?api-version={version}"), None)
                .status,
            200
        );
    }
}

#[test]
fn every_kind_of_missing_has_its_own_code() {
    let mut bench = Bench::new();
    let hub = bench.azure.world().hub.clone();
    for (id, code) in [
        (format!("{}-not", hub.virtual_network), "ResourceNotFound"),
        (format!("{}/subnets/none", hub.virtual_network), "NotFound"),
        (bench.network("nowhere", "virtualNetworks/a"), "ResourceGroupNotFound"),
        (
            "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/hub".to_owned(),
            "SubscriptionNotFound",
        ),
        (bench.network("hub", "expressRouteCircuits/a"), "InvalidResourceType"),
        (
            format!("{}/providers/Microsoft.Nothing/things/a", hub.resource_group),
            "InvalidResourceNamespace",
        ),
    ] {
        let version = if id.contains("providers") {
            "2024-05-01"
        } else {
            "2024-11-01"
        };
        let answer = bench.send(Method::GET, &format!("{id}?api-version={version}"), None);
        assert_eq!((answer.status, answer.code()), (404, code), "{id}");
    }
    let orphan = bench.put(
        &format!("{}-not/subnets/a", hub.virtual_network),
        json!({"properties": {}}),
    );
    assert_eq!((orphan.status, orphan.code()), (404, "ParentResourceNotFound"));
    let message = bench.get(&format!("{}-not", hub.virtual_network)).message().to_owned();
    assert_eq!(
        message,
        "The Resource 'Microsoft.Network/virtualNetworks/hub-vnet-not' under resource group 'hub' was not found. For \
         more details please go to https://aka.ms/ARMResourceNotFoundFix"
    );
}

#[test]
fn writes_beyond_the_quota_get_429_and_time_refills_it() {
    let mut bench = Bench::new();
    bench.make_group("spoke");
    let id = bench.network("spoke", "virtualNetworks/a");
    let first = bench.put(&id, vnet("10.1.0.0/16", &[]));
    assert_eq!(
        first.header("x-ms-ratelimit-remaining-subscription-writes"),
        Some("198")
    );
    assert_eq!(
        first.header("x-ms-ratelimit-remaining-subscription-global-writes"),
        Some("2998")
    );
    let mut last = first;
    for _ in 0..199 {
        last = bench.put(&id, vnet("10.1.0.0/16", &[]));
    }
    assert_eq!((last.status, last.code()), (429, "SubscriptionRequestsThrottled"));
    assert_eq!(last.header("retry-after"), Some("1"));
    assert!(last.message().contains("MICROSOFT.NETWORK/VIRTUALNETWORKS"));
    assert_eq!(bench.get(&id).status, 200, "reads have a bucket of their own");
    bench.pass(1);
    assert_ne!(bench.put(&id, vnet("10.1.0.0/16", &[])).status, 429);
    let handler = bench.azure.world().handler.clone();
    assert_eq!(bench.azure.counters(&handler).throttled, 1);
}

#[test]
fn rights_are_checked_by_action_scope_and_link() {
    let mut world = World::one_hub();
    let hub = world.hub.clone();
    let everywhere = format!("/subscriptions/{}", world.subscription);
    world.handler_rights = Some(vec![
        Grant {
            scope: everywhere.clone(),
            actions: vec!["*/read".to_owned()],
        },
        Grant {
            scope: everywhere,
            actions: vec!["Microsoft.Network/virtualNetworks/virtualNetworkPeerings/*".to_owned()],
        },
    ]);
    let object = world.handler.object_id.to_string();
    let mut bench = Bench::with(world, 7);
    assert_eq!(bench.get(&hub.firewall).status, 200);
    let subnet = format!("{}/subnets/x", hub.virtual_network);
    let refused = bench.put(&subnet, json!({"properties": {"addressPrefix": "10.0.9.0/24"}}));
    assert_eq!((refused.status, refused.code()), (403, "AuthorizationFailed"));
    assert!(
        refused.message().contains(&object)
            && refused
                .message()
                .contains("Microsoft.Network/virtualNetworks/subnets/write")
    );
    let peering = format!("{}/virtualNetworkPeerings/x", hub.virtual_network);
    let unlinked = bench.put(&peering, crate::bench::peering_to(&hub.virtual_network));
    assert_eq!((unlinked.status, unlinked.code()), (403, "LinkedAuthorizationFailed"));
    assert!(unlinked.message().contains("virtualNetworks/peer/action"));
}

#[test]
fn faults_answer_drop_or_lose_exactly_the_call_they_are_meant_for() {
    let mut bench = Bench::new();
    bench.make_group("spoke");
    let id = bench.network("spoke", "virtualNetworks/a");
    let fault = |effect| Fault {
        method: Some(Method::PUT),
        path_contains: "virtualnetworks/A".to_owned(),
        nth: 1,
        effect,
    };
    bench.azure.inject(fault(FaultEffect::Drop));
    let dropped = bench.put(&id, vnet("10.1.0.0/16", &[]));
    assert!(dropped.response.extensions().get::<NoAnswer>().is_some());
    assert!(bench.azure.document(&id).is_none());
    bench.azure.inject(fault(FaultEffect::Throttle { retry_after: None }));
    let throttled = bench.put(&id, vnet("10.1.0.0/16", &[]));
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, None));
    bench.azure.inject(fault(FaultEffect::LoseAnswer));
    let lost = bench.put(&id, vnet("10.1.0.0/16", &[]));
    assert!(lost.response.extensions().get::<NoAnswer>().is_some());
    assert!(bench.azure.document(&id).is_some(), "the write happened all the same");
    bench.azure.inject(fault(FaultEffect::Raw {
        status: 502,
        body: "<html>bad gateway</html>".to_owned(),
    }));
    let raw = bench.put(&id, vnet("10.1.0.0/16", &[]));
    assert_eq!(
        (raw.status, raw.response.body().as_ref()),
        (502, b"<html>bad gateway</html>".as_slice())
    );
}

#[test]
fn broken_bodies_missing_locations_and_moves_are_refused() {
    let mut bench = Bench::new();
    let spoke = bench.make_spoke("a", "10.1.0.0/16", "10.1.0.0/24");
    let request = Request::builder()
        .method(Method::PUT)
        .uri(format!("{spoke}?api-version=2024-05-01"))
        .header("authorization", format!("Bearer {}", bench.token))
        .body(Bytes::from_static(b"{\"location\": "))
        .unwrap();
    assert_eq!(bench.send_raw(request).code(), "InvalidRequestContent");
    assert_eq!(bench.put(&spoke, json!({"properties": {}})).code(), "LocationRequired");
    let moved = bench.put(&spoke, json!({"location": "North Europe", "properties": {}}));
    assert_eq!((moved.status, moved.code()), (409, "InvalidResourceLocation"));
}

#[test]
fn members_that_are_not_objects_are_refused_and_nothing_breaks() {
    let mut bench = Bench::new();
    bench.make_group("spoke");
    for (kind, field) in [
        ("virtualNetworks", "subnets"),
        ("routeTables", "routes"),
        ("networkSecurityGroups", "securityRules"),
        ("azureFirewalls", "ipConfigurations"),
    ] {
        let id = bench.network("spoke", &format!("{kind}/x"));
        let mut body = vnet("10.1.0.0/16", &[]);
        body["properties"][field] = json!(["text"]);
        let answer = bench.put(&id, body);
        assert_eq!((answer.status, answer.code()), (400, "InvalidRequestFormat"), "{kind}");
    }
}

#[test]
fn network_bodies_are_pretty_printed_and_policy_bodies_are_not() {
    let mut bench = Bench::new();
    let hub = bench.azure.world().hub.clone();
    assert!(
        bench
            .get(&hub.virtual_network)
            .response
            .body()
            .starts_with(b"{\r\n  \"name\"")
    );
    assert!(
        bench
            .get(&hub.firewall_policy)
            .response
            .body()
            .starts_with(b"{\"properties\"")
    );
}

#[test]
fn the_trace_tells_reads_polls_and_writes_apart() {
    let mut bench = Bench::new();
    bench.make_group("spoke");
    let id = bench.network("spoke", "virtualNetworks/a");
    let url = bench.put(&id, vnet("10.1.0.0/16", &[])).operation();
    bench.poll(&url);
    bench.get(&id);
    let kinds: Vec<String> = bench
        .azure
        .trace()
        .iter()
        .map(|call| format!("{:?}", call.kind))
        .collect();
    assert_eq!(kinds, ["Write", "Write", "Poll", "Read"]);
}
