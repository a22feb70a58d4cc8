use super::*;

#[tokio::test]
async fn a_document_is_read_with_the_order_of_its_keys() {
    let text = r#"{"z":1,"a":{"y":[],"b":null},"unknownLater":{"x":0.5}}"#;
    let bench = Bench::new(vec![answer(200, text)]);
    let Read::Found(document) = bench.arm.read(&id(VNET), API).await.unwrap() else {
        panic!("it is there")
    };
    assert_eq!(document.to_string(), text);
    let sent = &bench.sent()[0];
    assert_eq!(
        sent.line,
        format!("GET https://management.azure.com{VNET}?api-version={API}")
    );
    assert_eq!(sent.header("authorization"), "Bearer token-1");
    assert_eq!(sent.header("x-ms-correlation-request-id").len(), 36);
}

#[tokio::test]
async fn absence_is_told_by_its_code() {
    let cases = [
        (VNET, "ResourceNotFound", Absence::ResourceNotFound),
        (VNET, "ResourceGroupNotFound", Absence::ResourceGroupNotFound),
        (GROUP, "ParentResourceNotFound", Absence::ParentNotFound),
        (GROUP, "NotFound", Absence::ChildNotFound),
        (GROUP, "RuleCollectionGroupNotFound", Absence::ChildNotFound),
    ];
    for (target, code, absence) in cases {
        let bench = Bench::new(vec![error(404, code, "gone")]);
        assert_eq!(
            bench.arm.read(&id(target), API).await.unwrap(),
            Read::Absent(absence),
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_lost_right_or_subscription_never_looks_like_absence() {
    for (status, code) in [
        (403, "AuthorizationFailed"),
        (404, "SubscriptionNotFound"),
        (404, "InvalidResourceType"),
        (404, "SomethingNotFound"),
    ] {
        let bench = Bench::new(vec![error(status, code, "no")]);
        assert!(bench.arm.read(&id(VNET), API).await.is_err(), "{code}");
    }
    for body in ["", "<html>not here</html>", "null", "[]"] {
        let bench = Bench::new(vec![answer(404, body)]);
        assert!(bench.arm.read(&id(VNET), API).await.is_err(), "{body}");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_document_is_malformed() {
    for far in [
        answer(200, "null"),
        answer(200, ""),
        answer(200, "[1]"),
        answer(200, "<html>"),
        answer(302, ""),
        answer(204, ""),
    ] {
        let bench = Bench::new(vec![far]);
        let error = bench.arm.read(&id(VNET), API).await.unwrap_err();
        assert!(matches!(error, ArmError::Malformed { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_than_it_says_is_not_sent() {
    let bench = Bench::new(Vec::new());
    let sly = ResourceId::parse("/subscriptions/s/resourceGroups/../providers/Microsoft.Network/virtualNetworks/v");
    let mut paths = vec![
        "subscriptions/s",
        "/a/../b",
        "/a//b",
        "/a?x=1",
        "/a#b",
        "/a%2e%2e/b",
        "//evil.example/x",
        "/",
    ];
    if let Ok(sly) = &sly {
        paths.push(sly.as_str());
    }
    for path in paths {
        assert!(
            matches!(bench.arm.list(path, API).await, Err(ArmError::Unsendable { .. })),
            "{path}"
        );
    }
}
