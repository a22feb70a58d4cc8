use super::*;
use proptest::prelude::*;
use serde_json::json;

async fn refused(far: Far) -> ArmError {
    Bench::new(vec![far])
        .arm
        .put(&id(GROUP), API, &json!({}))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_403_names_the_missing_action_and_scope() {
    let error = refused(error(
        403,
        "AuthorizationFailed",
        "The client 'c1' with object id 'o1' does not have authorization to perform action \
         'Microsoft.Network/firewallPolicies/ruleCollectionGroups/write' over scope '/subscriptions/s/resourceGroups/g' or the \
         scope is invalid. If access was recently granted, please refresh your credentials.",
    ))
    .await;
    let ArmError::Forbidden { action, scope, fault } = &error else {
        panic!("{error}")
    };
    assert_eq!(action, "Microsoft.Network/firewallPolicies/ruleCollectionGroups/write");
    assert_eq!(scope, "/subscriptions/s/resourceGroups/g");
    assert_eq!(fault.code, "AuthorizationFailed");
    assert_eq!(error.class(), Class::NeedsPerson);
}

#[tokio::test]
async fn a_linked_403_names_what_is_missing_and_not_what_is_held() {
    let error = refused(error(
        403,
        "LinkedAuthorizationFailed",
        "The client 'c1' with object id 'o1' has permission to perform action \
         'Microsoft.Network/virtualNetworks/virtualNetworkPeerings/write' on scope '/subscriptions/s/a'; however, it does not \
         have permission to perform action(s) 'Microsoft.Network/virtualNetworks/peer/action' on the linked scope(s) \
         '/subscriptions/t/b' (respectively) or the linked scope(s) are invalid.",
    ))
    .await;
    let ArmError::Forbidden { action, scope, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(action, "Microsoft.Network/virtualNetworks/peer/action");
    assert_eq!(scope, "/subscriptions/t/b");
}

#[tokio::test]
async fn a_403_without_words_names_what_was_tried() {
    let error = refused(answer(403, "")).await;
    let ArmError::Forbidden { action, scope, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(action, "Microsoft.Network/firewallPolicies/ruleCollectionGroups/write");
    assert_eq!(scope, GROUP);
}

#[tokio::test]
async fn a_policy_refusal_names_the_policies() {
    let body = json!({"error": {"code": "RequestDisallowedByPolicy", "message": "Resource was disallowed by policy.",
        "additionalInfo": [{"type": "PolicyViolation", "info": {"policyDefinitionDisplayName": "d",
            "policyAssignmentDisplayName": "Names start with corp", "policyAssignmentName": "a1"}}]}});
    let error = refused(answer(403, &body.to_string())).await;
    assert!(matches!(error, ArmError::Rejected { status: 403, .. }));
    assert!(
        error.to_string().contains("the policies are: Names start with corp"),
        "{error}"
    );
    assert_eq!(
        error.fault().unwrap().additional_info,
        *body["error"]["additionalInfo"].as_array().unwrap()
    );
    assert_eq!(error.class(), Class::NeedsPerson);
}

#[tokio::test]
async fn throttling_is_given_back_and_not_slept_inside() {
    for (status, retry_after) in [(429, "3000"), (503, "40")] {
        let body = r#"{"error":{"code":"SubscriptionRequestsThrottled","message":"try again"}}"#;
        let bench = Bench::new(vec![answer_with(status, &[("retry-after", retry_after)], body)]);
        let error = bench.arm.read(&id(VNET), API).await.unwrap_err();
        let ArmError::Throttled { retry_after: given, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(given.as_secs().to_string(), retry_after);
        assert!(matches!(error.class(), Class::Wait { after, .. } if after == *given));
        assert!(bench.slept().is_empty());
    }
}

#[tokio::test]
async fn each_refusal_is_sorted_by_what_helps() {
    let wait = |class: &Class| matches!(class, Class::Wait { .. });
    let retry = |class: &Class| matches!(class, Class::Retry { .. });
    let person = |class: &Class| *class == Class::NeedsPerson;
    type Check = fn(&Class) -> bool;
    let cases: [(u16, &str, Check); 12] = [
        (409, "AnotherOperationInProgress", wait),
        (400, "ReferencedResourceNotProvisioned", wait),
        (409, "FirewallPolicyUpdateNotAllowedWhenUpdatingOrDeleting", wait),
        (400, "PrincipalNotFound", wait),
        (409, "RoleAssignmentExists", retry),
        (412, "PreconditionFailed", retry),
        (404, "ParentResourceNotFound", retry),
        (400, "RemotePeeringIsDisconnected", person),
        (400, "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet", person),
        (409, "ScopeLocked", person),
        (404, "SubscriptionNotFound", person),
        (400, "InvalidRequestContent", |class| *class == Class::Bug),
    ];
    for (status, code, expected) in cases {
        let class = refused(error(status, code, "words")).await.class();
        assert!(expected(&class), "{code} is {class:?}");
    }
    let pending = refused(error(400, "ReferencedResourceNotProvisioned", "Cannot proceed")).await;
    assert!(matches!(pending, ArmError::NotProvisioned { .. }));
    assert!(matches!(
        refused(error(409, "AnotherOperationInProgress", "x")).await,
        ArmError::Conflict { .. }
    ));
}

#[tokio::test]
async fn people_read_thing_reason_and_next_step() {
    let cases = [
        error(
            403,
            "AuthorizationFailed",
            "does not have authorization to perform action 'a/write' over scope '/s'",
        ),
        error(
            409,
            "AnotherOperationInProgress",
            "Another operation on this or dependent resource is in progress.",
        ),
        error(
            400,
            "PublicIPCountLimitReached",
            "Cannot create more than 10 public IP addresses.",
        ),
        answer_with(429, &[("retry-after", "6")], ""),
    ];
    let mut lines = Vec::new();
    for far in cases {
        lines.push(refused(far).await.to_string());
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    the identity may not do a/write on /s; grant a role with this action there, it takes effect within minutes
    /subscriptions/s/resourceGroups/g/providers/Microsoft.Network/firewallPolicies/p/ruleCollectionGroups/hubward is in conflict: HTTP 409 AnotherOperationInProgress: Another operation on this or dependent resource is in progress; it is looked at again
    ARM refuses /subscriptions/s/resourceGroups/g/providers/Microsoft.Network/firewallPolicies/p/ruleCollectionGroups/hubward: HTTP 400 PublicIPCountLimitReached: Cannot create more than 10 public IP addresses; put right what it names, then replay the event
    Azure asks to wait 6 s before /subscriptions/s/resourceGroups/g/providers/Microsoft.Network/firewallPolicies/p/ruleCollectionGroups/hubward is asked for again (HTTP 429)
    ");
}

proptest! {
    #[test]
    fn any_bytes_as_an_error_body_are_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..600), status in 400u16..600) {
        let fault = ArmFault::read(VNET, "Microsoft.Network", Some(status), &body);
        let _ = (fault.class(), fault.policies(), fault.to_string());
        let _ = ArmError::from_refusal(fault, "a/b", None).to_string();
    }

    #[test]
    fn any_message_in_a_403_is_read_without_panic(message in ".{0,80}(does not have)?.{0,20}(action)?.{0,9}'?.{0,9}'?.{0,9}(scope)?.{0,9}'?.{0,9}'?") {
        let body = json!({"error": {"code": "AuthorizationFailed", "message": message}}).to_string();
        let fault = ArmFault::read(VNET, "Microsoft.Network", Some(403), body.as_bytes());
        let error = ArmError::from_refusal(fault, "a/b", None);
        prop_assert!(matches!(error, ArmError::Forbidden { .. }), "{error}");
    }
}

#[test]
fn deep_and_long_error_bodies_are_cut_and_not_refused() {
    let mut detail = json!({"code": "deepest", "message": "x"});
    for level in 0..60 {
        detail = json!({"code": format!("level {level}"), "message": "é".repeat(9000), "details": [detail]});
    }
    let fault = ArmFault::read(VNET, "", Some(400), json!({"error": detail}).to_string().as_bytes());
    assert_eq!(fault.code, "level 59");
    assert!(fault.message.chars().count() < 4100);
    assert!(serde_json::to_string(&fault).unwrap().len() < 100_000);
}
