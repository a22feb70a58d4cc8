use super::*;
use serde_json::json;

#[tokio::test]
async fn a_signed_poll_url_is_replayed_byte_for_byte() {
    let bench = Bench::new(vec![
        answer_with(
            201,
            &[("azure-asyncoperation", SIGNED), ("retry-after", "3")],
            r#"{"properties":{"provisioningState":"Updating"}}"#,
        ),
        answer(200, r#"{"status":"Succeeded"}"#),
    ]);
    let operation = running(
        bench
            .arm
            .put(&id(VNET), API, &json!({"location": "westeurope"}))
            .await
            .unwrap(),
    );
    assert_eq!(operation.poll_url, SIGNED);
    assert_eq!(operation.style, PollStyle::AsyncOperation);
    assert_eq!(operation.retry_after, Duration::from_secs(3));
    assert_eq!(operation.started_at, NOW);
    assert_eq!(bench.arm.poll(&operation).await.unwrap(), Progress::Done);
    assert_eq!(bench.lines()[1], format!("GET {SIGNED}"));
    assert!(bench.slept().is_empty());
}

#[tokio::test]
async fn an_operation_survives_the_ledger_and_is_resumed_by_another_process() {
    let first = Bench::new(vec![answer_with(
        201,
        &[("azure-asyncoperation", SIGNED)],
        r#"{"properties":{"provisioningState":"Creating"}}"#,
    )]);
    let operation = running(first.arm.put(&id(VNET), API, &json!({})).await.unwrap());
    let document = serde_json::to_string(&operation).unwrap();
    drop(first);

    let second = Bench::new(vec![
        answer_with(200, &[("retry-after", "20")], r#"{"status":"InProgress"}"#),
        answer(
            200,
            r#"{"name":"d5ceb16d","status":"Succeeded","startTime":"2024-04-01T00:00:00Z"}"#,
        ),
    ]);
    let resumed: Operation = serde_json::from_str(&document).unwrap();
    assert_eq!(resumed, operation);
    assert_eq!(
        second.arm.poll(&resumed).await.unwrap(),
        Progress::Running {
            retry_after: Duration::from_secs(20)
        }
    );
    assert_eq!(second.arm.poll(&resumed).await.unwrap(), Progress::Done);
}

#[test]
fn the_ledgers_form_of_an_operation_stays_as_it_is() {
    let operation = Operation {
        resource: id(VNET),
        api: API.to_owned(),
        method: WriteMethod::Put,
        poll_url: SIGNED.to_owned(),
        style: PollStyle::AsyncOperation,
        started_at: NOW,
        retry_after: Duration::from_secs(10),
    };
    insta::assert_json_snapshot!(operation, @r#"
    {
      "resource": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v",
      "api": "2024-07-01",
      "method": "put",
      "poll_url": "https://management.azure.com/subscriptions/s/providers/Microsoft.Network/locations/westeurope/operations/812efa95-f28b?api-version=2021-08-01&t=638000&c=MIIH_-~Ab.%2B%2f+==&s=a+b~c-d_e=&h=%E2%82%AC*!",
      "style": "async_operation",
      "started_at": "2026-11-23T10:00:00Z",
      "retry_after": 10
    }
    "#);
}

#[tokio::test]
async fn a_delete_prefers_azure_asyncoperation_over_location() {
    let bench = Bench::new(vec![answer_with(
        202,
        &[
            ("azure-asyncoperation", SIGNED),
            ("location", "https://management.azure.com/operationResults/1"),
            ("retry-after", "10"),
        ],
        "",
    )]);
    let operation = running(bench.arm.delete(&id(VNET), API).await.unwrap());
    assert_eq!(
        (operation.style, operation.poll_url.as_str()),
        (PollStyle::AsyncOperation, SIGNED)
    );
}

#[tokio::test]
async fn location_style_runs_while_202_and_is_done_with_200_or_204() {
    let location = "https://management.azure.com/subscriptions/s/providers/Microsoft.Network/locations/w/operationResults/1?t=1&s=%2B";
    for end in [200, 204] {
        let bench = Bench::new(vec![
            answer_with(202, &[("location", location)], ""),
            answer_with(202, &[("location", "https://elsewhere.example/ignored")], ""),
            // A rule collection group's DELETE has a body while it runs.
            answer(202, r#"{"properties":{"provisioningState":"Deleting"}}"#),
            answer(end, ""),
        ]);
        let operation = running(bench.arm.delete(&id(FIREWALL), API).await.unwrap());
        assert_eq!(operation.style, PollStyle::Location);
        for _ in 0..2 {
            assert!(matches!(
                bench.arm.poll(&operation).await.unwrap(),
                Progress::Running { .. }
            ));
        }
        assert_eq!(bench.arm.poll(&operation).await.unwrap(), Progress::Done);
        assert_eq!(bench.lines()[3], format!("GET {location}"));
    }
}

#[tokio::test]
async fn a_202_of_a_location_is_running_whatever_its_body_says() {
    let bench = Bench::new(vec![
        answer_with(202, &[("location", "https://management.azure.com/r/1")], ""),
        answer(202, r#"{"properties":{"provisioningState":"Succeeded"}}"#),
        answer(202, "<html>accepted</html>"),
    ]);
    let operation = running(bench.arm.delete(&id(VNET), API).await.unwrap());
    for _ in 0..2 {
        assert!(matches!(
            bench.arm.poll(&operation).await.unwrap(),
            Progress::Running { .. }
        ));
    }
}

#[tokio::test]
async fn a_201_whose_location_names_the_resource_is_done() {
    let location = format!("https://management.azure.com{VNET}");
    let bench = Bench::new(vec![answer_with(201, &[("location", &location)], "{}")]);
    assert!(matches!(
        bench.arm.put(&id(VNET), API, &json!({})).await.unwrap(),
        Written::Done(Some(_))
    ));
}

#[tokio::test]
async fn a_failed_operation_keeps_arms_error() {
    let bench = Bench::new(vec![
        answer_with(
            200,
            &[("azure-asyncoperation", SIGNED)],
            r#"{"properties":{"provisioningState":"Updating"}}"#,
        ),
        answer(
            200,
            r#"{"status":"Failed","error":{"code":"FirewallPolicyUpdateFailed","message":"Put on Firewall Policy p Failed with 1 faulted referenced firewalls","details":[{"code":"Inner","message":"deep"}]}}"#,
        ),
    ]);
    let operation = running(bench.arm.put(&id(GROUP), API, &json!({})).await.unwrap());
    let Progress::Failed(fault) = bench.arm.poll(&operation).await.unwrap() else {
        panic!("it failed")
    };
    assert_eq!(fault.code, "FirewallPolicyUpdateFailed");
    assert!(fault.message.contains("1 faulted referenced firewalls"));
    assert_eq!(fault.details[0].code, "Inner");
    assert_eq!(fault.provider, "Microsoft.Network");
    assert_eq!(fault.status, None);
    assert!(matches!(fault.class(), Class::Retry { .. }));
    let kept: ArmFault = serde_json::from_str(&serde_json::to_string(&fault).unwrap()).unwrap();
    assert_eq!(kept, fault);
}

#[tokio::test]
async fn a_location_that_answers_with_an_error_has_failed() {
    let bench = Bench::new(vec![
        answer_with(202, &[("location", "https://management.azure.com/r/1")], ""),
        error(409, "Conflicting", "it was in use"),
    ]);
    let operation = running(bench.arm.delete(&id(VNET), API).await.unwrap());
    let Progress::Failed(fault) = bench.arm.poll(&operation).await.unwrap() else {
        panic!("it failed")
    };
    assert_eq!((fault.code.as_str(), fault.status), ("Conflicting", Some(409)));
}

#[tokio::test]
async fn an_unchanged_rule_collection_group_answered_with_null_is_done() {
    let bench = Bench::new(vec![answer(200, "null")]);
    assert_eq!(
        bench.arm.put(&id(GROUP), API, &json!({})).await.unwrap(),
        Written::Done(None)
    );
}

#[tokio::test]
async fn an_unchanged_firewall_that_says_succeeded_at_once_still_runs() {
    let body = r#"{"etag":"W/\"1\"","properties":{"provisioningState":"Succeeded"}}"#;
    let bench = Bench::new(vec![
        answer_with(200, &[("azure-asyncoperation", SIGNED)], body),
        answer(200, r#"{"status":"InProgress"}"#),
    ]);
    let operation = running(bench.arm.put(&id(FIREWALL), API, &json!({})).await.unwrap());
    assert!(matches!(
        bench.arm.poll(&operation).await.unwrap(),
        Progress::Running { .. }
    ));
}

#[tokio::test]
async fn a_tag_patch_of_a_firewall_without_a_header_is_polled_at_the_resource() {
    let updating = r#"{"properties":{"provisioningState":"Updating"}}"#;
    let bench = Bench::new(vec![
        answer(200, updating),
        answer(200, updating),
        answer(200, r#"{"properties":{"provisioningState":"Succeeded"}}"#),
    ]);
    let operation = running(bench.arm.patch(&id(FIREWALL), API, &json!({"tags": {}})).await.unwrap());
    assert_eq!(operation.style, PollStyle::Resource);
    assert!(matches!(
        bench.arm.poll(&operation).await.unwrap(),
        Progress::Running { .. }
    ));
    assert_eq!(bench.arm.poll(&operation).await.unwrap(), Progress::Done);
    assert_eq!(
        bench.lines()[2],
        format!("GET https://management.azure.com{FIREWALL}?api-version={API}")
    );
}

#[tokio::test]
async fn synchronous_writes_are_done_at_once() {
    let assignment = "/subscriptions/s/providers/Microsoft.Authorization/roleAssignments/0b3f";
    let bench = Bench::new(vec![
        answer(201, r#"{"properties":{"principalId":"p"}}"#),
        answer(200, r#"{"properties":{"principalId":"p"}}"#),
        answer(204, ""),
        error(404, "ResourceNotFound", "The Resource was not found."),
    ]);
    let made = bench.arm.put(&id(assignment), "2022-04-01", &json!({})).await.unwrap();
    assert!(matches!(made, Written::Done(Some(_))));
    let deleted = bench.arm.delete(&id(assignment), "2022-04-01").await.unwrap();
    assert!(matches!(deleted, Written::Done(Some(_))));
    for _ in 0..2 {
        assert_eq!(bench.arm.delete(&id(VNET), API).await.unwrap(), Written::Done(None));
    }
}

#[tokio::test]
async fn a_write_that_is_answered_with_failed_is_an_error() {
    let bench = Bench::new(vec![answer(200, r#"{"properties":{"provisioningState":"Failed"}}"#)]);
    let error = bench.arm.put(&id(VNET), API, &json!({})).await.unwrap_err();
    assert!(matches!(error, ArmError::WriteFailed { .. }), "{error}");
}

#[tokio::test]
async fn an_accepted_delete_without_any_header_is_polled_until_the_resource_is_absent() {
    let bench = Bench::new(vec![
        answer(202, ""),
        answer(200, r#"{"properties":{"provisioningState":"Succeeded"}}"#),
        error(404, "ResourceNotFound", "The Resource was not found."),
    ]);
    let operation = running(bench.arm.delete(&id(VNET), API).await.unwrap());
    assert!(matches!(
        bench.arm.poll(&operation).await.unwrap(),
        Progress::Running { .. }
    ));
    assert_eq!(bench.arm.poll(&operation).await.unwrap(), Progress::Done);
}

#[tokio::test]
async fn an_operation_that_azure_has_forgotten_is_judged_by_the_resource() {
    let bench = Bench::new(vec![
        answer_with(201, &[("azure-asyncoperation", SIGNED)], "{}"),
        error(404, "NotFound", "The operation was not found."),
        answer(200, r#"{"properties":{"provisioningState":"Succeeded"}}"#),
    ]);
    let operation = running(bench.arm.put(&id(VNET), API, &json!({})).await.unwrap());
    assert_eq!(bench.arm.poll(&operation).await.unwrap(), Progress::Done);
}

#[tokio::test]
async fn an_unknown_host_in_a_poll_header_is_refused_and_gets_no_token() {
    let forged = "https://management.azure.com.evil.example/operations/1?s=secret-signature";
    let bench = Bench::new(vec![answer_with(202, &[("location", forged)], "")]);
    let error = bench.arm.delete(&id(VNET), API).await.unwrap_err();
    assert!(matches!(error, ArmError::UntrustedPollUrl { .. }), "{error}");
    assert!(error.to_string().contains("management.azure.com.evil.example"));
    assert!(!error.to_string().contains("secret-signature"));
    assert_eq!(bench.lines().len(), 1);
}

#[tokio::test]
async fn a_forged_poll_url_in_the_ledger_gets_no_token_and_the_resource_decides() {
    let succeeded = || answer(200, r#"{"properties":{"provisioningState":"Succeeded"}}"#);
    let bench = Bench::new(vec![succeeded(), succeeded(), succeeded()]);
    for style in [PollStyle::AsyncOperation, PollStyle::Location, PollStyle::Resource] {
        let forged = asked_at("https://evil.example/x", style, NOW);
        assert_eq!(bench.arm.poll(&forged).await.unwrap(), Progress::Done);
    }
    let own = format!("GET https://management.azure.com{VNET}?api-version={API}");
    assert_eq!(bench.lines(), [own.clone(), own.clone(), own]);
}

#[tokio::test]
async fn a_poll_that_says_nothing_about_the_operation_is_decided_by_the_resource() {
    let state = |word: &str| answer(200, &format!(r#"{{"properties":{{"provisioningState":"{word}"}}}}"#));
    for silent in [
        vec![
            error(401, "AuthenticationFailed", "x"),
            error(401, "AuthenticationFailed", "x"),
        ],
        vec![error(400, "BadRequest", "x")],
        vec![error(409, "Conflict", "x")],
        vec![answer(200, "<html>gateway</html>")],
        vec![answer(302, "")],
    ] {
        let polls = silent.len();
        let mut script = silent;
        script.push(state("Updating"));
        let bench = Bench::new(script);
        let operation = asked_at(SIGNED, PollStyle::AsyncOperation, NOW);
        let progress = bench.arm.poll(&operation).await.unwrap();
        assert!(matches!(progress, Progress::Running { .. }), "{progress:?}");
        assert_eq!(bench.lines().len(), polls + 1);
    }
}

#[tokio::test]
async fn a_poll_that_azure_cannot_answer_now_is_asked_again_later() {
    for later in [
        vec![error(429, "TooManyRequests", "x")],
        vec![error(408, "x", "x"), error(408, "x", "x"), error(408, "x", "x")],
        vec![error(500, "x", "x"), error(502, "x", "x"), error(500, "x", "x")],
    ] {
        let polls = later.len();
        let bench = Bench::new(later);
        let operation = asked_at(SIGNED, PollStyle::AsyncOperation, NOW);
        assert!(bench.arm.poll(&operation).await.is_err());
        assert_eq!(bench.lines().len(), polls);
    }
}

#[tokio::test]
async fn an_operation_older_than_an_hour_is_decided_by_the_resource() {
    let bench = Bench::new(vec![
        answer(200, r#"{"status":"InProgress"}"#),
        answer(200, r#"{"properties":{"provisioningState":"Failed"}}"#),
    ]);
    let young = asked_at(SIGNED, PollStyle::AsyncOperation, NOW - time::Duration::HOUR);
    assert!(matches!(
        bench.arm.poll(&young).await.unwrap(),
        Progress::Running { .. }
    ));
    let old = asked_at(
        SIGNED,
        PollStyle::AsyncOperation,
        NOW - time::Duration::HOUR - time::Duration::SECOND,
    );
    assert!(matches!(bench.arm.poll(&old).await.unwrap(), Progress::Failed(_)));
}

fn asked_at(poll_url: &str, style: PollStyle, started_at: OffsetDateTime) -> Operation {
    Operation {
        resource: id(VNET),
        api: API.to_owned(),
        method: WriteMethod::Put,
        poll_url: poll_url.to_owned(),
        style,
        started_at,
        retry_after: Duration::from_secs(1),
    }
}
