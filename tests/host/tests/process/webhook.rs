//! The Event Grid webhook: keys, handshakes, one invocation per event or per delivery.

use serde_json::{Value, json};

use crate::app::{App, event, keys};

const NOTIFICATION: (&str, &str) = ("aeg-event-type", "Notification");

#[tokio::test]
async fn each_event_of_a_delivery_is_one_invocation_and_all_run_at_once() {
    let app = App::new()
        .event_function("Any")
        .handler(json!({"functions": {"Any": "together:3"}}))
        .start()
        .await;
    assert_eq!(
        app.notify("Any", json!([event("1"), event("2"), event("3")])).await,
        202
    );
    let mut ids: Vec<String> = app
        .requests("/Any")
        .iter()
        .map(|request| serde_json::from_str::<Value>(request["body"].as_str().unwrap()).unwrap())
        .map(|body| body["Data"]["event"]["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    assert_eq!(ids, ["1", "2", "3"]);
}

#[tokio::test]
async fn one_failed_event_fails_the_whole_delivery() {
    let prescription = json!({"functions": {"Any": "fail_if:\"id\":\"2\""}});
    let app = App::new().event_function("Any").handler(prescription).start().await;
    assert_eq!(
        app.notify("Any", json!([event("1"), event("2"), event("3")])).await,
        500
    );
    assert_eq!(app.requests("/Any").len(), 3);
    assert_eq!(app.notify("Any", event("1")).await, 202, "a single object is accepted");
}

#[tokio::test]
async fn cardinality_many_is_one_invocation_with_a_text_that_holds_the_array() {
    let binding = json!([{"type": "eventGridTrigger", "direction": "in", "name": "events", "cardinality": "many"}]);
    let app = App::new().function("Batch", binding).start().await;
    assert_eq!(app.notify("Batch", json!([event("1"), event("2")])).await, 202);
    let requests = app.requests("/Batch");
    assert_eq!(requests.len(), 1);
    let body: Value = serde_json::from_str(requests[0]["body"].as_str().unwrap()).unwrap();
    let events: Value = serde_json::from_str(body["Data"]["events"].as_str().unwrap()).unwrap();
    assert_eq!(events, json!([event("1"), event("2")]));
}

#[tokio::test]
async fn wrong_key_function_or_event_type_are_told_apart() {
    let app = App::new()
        .event_function("Any")
        .event_function("Off")
        .env("AzureWebJobs__Off__Disabled", "true")
        .start()
        .await;
    let code = keys().eventgrid_extension;
    let path = |query: &str| format!("/runtime/webhooks/EventGrid?{query}");
    let body = json!([event("1")]).to_string();
    for (query, headers, status) in [
        ("functionName=Any".to_owned(), vec![NOTIFICATION], 401),
        ("functionName=Any&code=wrong".to_owned(), vec![NOTIFICATION], 401),
        (
            format!("functionName=Any&code={}", keys().host_default),
            vec![NOTIFICATION],
            401,
        ),
        (format!("functionName=Other&code={code}"), vec![NOTIFICATION], 404),
        (format!("functionName=Off&code={code}"), vec![NOTIFICATION], 404),
        (format!("functionName=Any&code={code}"), vec![], 400),
        (
            format!("functionName=Any&code={code}"),
            vec![("aeg-event-type", "Other")],
            400,
        ),
        (
            format!("functionName=Any&code={code}"),
            vec![("aeg-event-type", "Unsubscribe")],
            202,
        ),
        (
            format!("functionName=Any&code={}", keys().master),
            vec![NOTIFICATION],
            202,
        ),
        (
            "functionName=any".to_owned(),
            vec![NOTIFICATION, ("x-functions-key", &code)],
            202,
        ),
    ] {
        let answer = app.call("POST", &path(&query), &headers, &body).await;
        assert_eq!(answer.status, status, "{query} {headers:?}");
        if status == 404 {
            assert!(answer.body.starts_with("cannot find function: '"), "{}", answer.body);
        }
    }
    assert_eq!(
        app.requests("/Any").len(),
        2,
        "only the two good notifications reached the handler"
    );
}

#[tokio::test]
async fn handshakes_are_answered_without_the_handler() {
    let app = App::new().event_function("Any").start().await;
    let url = app.host.webhook_url("Any");
    let path = url.strip_prefix(&app.host.base_url()).unwrap();
    let event =
        json!([{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "c0de"}}]);
    let validation = [("aeg-event-type", "SubscriptionValidation")];
    let answer = app.call("POST", path, &validation, &event.to_string()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_str()),
        (200, r#"{"validationResponse":"c0de"}"#)
    );
    let origin = [("WebHook-Request-Origin", "eventgrid.azure.net")];
    let answer = app.call("OPTIONS", path, &origin, "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["webhook-allowed-origin"], "eventgrid.azure.net");
    assert!(app.requests("/Any").is_empty());
}

#[tokio::test]
async fn a_delivery_goes_on_when_its_sender_hangs_up() {
    let mut app = App::new()
        .event_function("Any")
        .handler(json!({"functions": {"Any": "slow:300"}}))
        .start()
        .await;
    app.host.ready().await.unwrap();
    let delivery = tokio::spawn(crate::app::notify(app.host.webhook_url("Any"), json!([event("1")])));
    app.logged("Executing 'Functions.Any'").await;
    delivery.abort();
    app.logged("Executed 'Functions.Any' (Succeeded").await;
}
