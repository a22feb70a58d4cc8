//! One invocation on the wire, and how its answer is judged.

use host_sim::{Level, LogSource};
use serde_json::{Value, json};

use crate::app::{App, event};

#[tokio::test]
async fn an_invocation_is_a_chunked_post_with_the_hosts_headers() {
    let app = App::new().event_function("Any").start().await;
    assert_eq!(app.notify("Any", json!([event("1")])).await, 202);
    let request = &app.requests("/Any")[0];
    let headers = &request["headers"];
    assert_eq!(request["method"], "POST");
    assert_eq!(headers["transfer-encoding"], "chunked");
    assert_eq!(headers.get("content-length"), None);
    assert_eq!(headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(headers["x-azure-functions-hostversion"], host_sim::HOST_VERSION);
    assert_eq!(
        headers["user-agent"],
        format!("Azure-Functions-Host/{}", host_sim::HOST_VERSION)
    );
    assert_eq!(
        headers["host"].as_str().unwrap(),
        format!("127.0.0.1:{}", app.starts()[0]["port"].as_str().unwrap())
    );
    assert_eq!(headers["x-azure-functions-invocationid"].as_str().unwrap().len(), 36);
    assert!(headers["traceparent"].as_str().unwrap().ends_with("-00"));
    assert_eq!(headers.as_object().unwrap().len(), 7, "and nothing else: {headers}");
}

#[tokio::test]
async fn every_attempt_has_its_own_invocation_id() {
    let app = App::new().event_function("Any").start().await;
    for _ in 0..2 {
        assert_eq!(app.notify("Any", json!([event("same")])).await, 202);
    }
    let ids: Vec<Value> = app
        .requests("/Any")
        .iter()
        .map(|request| request["headers"]["x-azure-functions-invocationid"].clone())
        .collect();
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn logs_of_a_success_belong_to_the_function() {
    let reply = r#"reply:{"logs":["first line"],"Outputs":{"unknown":1}}"#;
    let mut app = App::new()
        .event_function("Any")
        .handler(json!({"functions": {"Any": reply}}))
        .start()
        .await;
    assert_eq!(app.notify("Any", json!([event("1")])).await, 202);
    let line = app.logged("first line").await;
    assert_eq!(
        (line.source, line.level),
        (LogSource::Function("Any".to_owned()), Level::Information)
    );
}

#[tokio::test]
async fn an_answer_without_json_content_type_fails() {
    let mut app = App::new()
        .event_function("Any")
        .handler(json!({"functions": {"Any": "text"}}))
        .start()
        .await;
    assert_eq!(app.notify("Any", json!([event("1")])).await, 500);
    app.logged("no reader for media type 'text/plain; charset=utf-8'").await;
}
