//! Manual runs and the status of the host.

use serde_json::{Value, json};

use crate::app::{App, event, keys};

#[tokio::test]
async fn a_manual_run_is_answered_at_once_and_logged() {
    let mut app = App::new()
        .event_function("Any")
        .function(
            "Tick",
            json!([{"type": "timerTrigger", "direction": "in", "name": "t", "schedule": "0 0 0 1 1 *"}]),
        )
        .start()
        .await;
    let key = keys().master;
    let master = [("x-functions-key", key.as_str())];
    let input = json!({"input": event("9").to_string()}).to_string();
    assert_eq!(
        app.call("POST", "/admin/functions/Any", &master, &input).await.status,
        202
    );
    app.logged("Executed 'Functions.Any' (Succeeded").await;
    let body: Value = serde_json::from_str(app.requests("/Any")[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["Data"]["event"], event("9"));
    assert_eq!(
        app.call("POST", "/admin/functions/tick", &master, r#"{"input":""}"#)
            .await
            .status,
        202
    );
    app.logged("Executed 'Functions.Tick' (Succeeded").await;
    assert_eq!(
        app.call("POST", "/admin/functions/Any", &master, r#"{"input":"no event"}"#)
            .await
            .status,
        202
    );
    app.logged("Executed 'Functions.Any' (Failed)").await;
}

#[tokio::test]
async fn administration_needs_the_master_key_a_function_and_an_input() {
    let app = App::new().event_function("Any").start().await;
    let (master, other) = (keys().master, keys().host_default);
    for (key, name, body, status) in [
        (other.as_str(), "Any", r#"{"input":""}"#, 401),
        ("", "Any", r#"{"input":""}"#, 401),
        (master.as_str(), "Other", r#"{"input":""}"#, 404),
        (master.as_str(), "Any", "", 400),
        (master.as_str(), "Any", r#"{"input":{}}"#, 400),
    ] {
        let answer = app
            .call(
                "POST",
                &format!("/admin/functions/{name}"),
                &[("x-functions-key", key)],
                body,
            )
            .await;
        assert_eq!(answer.status, status, "{name} {body}");
    }
}

#[tokio::test]
async fn the_status_names_functions_in_error() {
    let app = App::new()
        .event_function("Any")
        .function(
            "Bad",
            json!([{"type": "timerTrigger", "direction": "in", "name": "t", "schedule": "every day"}]),
        )
        .function("Odd", json!([]))
        .start()
        .await;
    assert_eq!(app.host.functions().len(), 1);
    let path = format!("/admin/host/status?code={}", keys().master);
    let status: Value = serde_json::from_str(&app.call("GET", &path, &[], "").await.body).unwrap();
    assert_eq!(status["state"], "Running");
    insta::assert_json_snapshot!(status["errors"], @r#"
    [
      "The 'Bad' function is in error: schedule 'every day' has 2 fields, NCRONTAB has six",
      "The 'Odd' function is in error: A function needs exactly one trigger binding, Odd has 0."
    ]
    "#);
}
