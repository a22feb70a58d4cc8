//! Http functions: forwarded raw, or as Data/Metadata with an http output.

use serde_json::{Value, json};

use crate::app::App;

fn app() -> App {
    App::new()
        .function(
            "Page",
            json!([
                {"type": "httpTrigger", "direction": "in", "name": "req", "methods": ["get", "post"], "route": "page/{name}"},
                {"type": "http", "direction": "out", "name": "res"}
            ]),
        )
        .function(
            "Open",
            json!([
                {"type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "anonymous"},
                {"type": "http", "direction": "out", "name": "res"}
            ]),
        )
}

#[tokio::test]
async fn a_forwarded_request_keeps_method_path_query_and_body_and_its_answer_passes_unchanged() {
    let app = app()
        .host_json("/customHandler/enableForwardingHttpRequest", json!(true))
        .handler(json!({"functions": {"api/page/one": "teapot"}}))
        .start()
        .await;
    let headers = [
        ("x-functions-key", "page-key"),
        ("x-own", "kept"),
        ("content-type", "text/plain"),
    ];
    let answer = app
        .call("POST", "/api/page/one?a=1&a=2&b=x%20y", &headers, "the body")
        .await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (418, "the body"));
    assert_eq!(answer.headers["x-from"], "handler");
    let request = &app.requests("/api/page/one?a=1%2C2&b=x%20y")[0];
    assert_eq!(request["method"], "POST");
    assert_eq!(request["headers"]["x-own"], "kept");
    assert_eq!(
        request["headers"]["x-azure-functions-invocationid"]
            .as_str()
            .unwrap()
            .len(),
        36
    );
}

#[tokio::test]
async fn a_function_key_opens_its_function_only() {
    let app = app()
        .host_json("/customHandler/enableForwardingHttpRequest", json!(true))
        .start()
        .await;
    assert_eq!(app.call("GET", "/api/page/one", &[], "").await.status, 401);
    assert_eq!(app.call("GET", "/api/page/one?code=wrong", &[], "").await.status, 401);
    assert_eq!(
        app.call("GET", "/api/page/one?code=page-key", &[], "").await.status,
        200
    );
    assert_eq!(
        app.call("DELETE", "/api/page/one?code=page-key", &[], "").await.status,
        404
    );
    assert_eq!(app.call("GET", "/api/open", &[], "").await.status, 200);
    assert_eq!(app.call("GET", "/api/nothing", &[], "").await.status, 404);
    assert_eq!(app.call("GET", "/open", &[], "").await.status, 404);
}

#[tokio::test]
async fn without_forwarding_the_request_is_data_and_the_output_is_the_answer() {
    let reply = r#"reply:{"Outputs":{"res":{"statusCode":201,"headers":{"x-from":"output"},"body":"made"}}}"#;
    let app = app()
        .handler(json!({"functions": {"Page": reply, "Open": "fail"}}))
        .start()
        .await;
    let answer = app
        .call(
            "POST",
            "/api/page/one?code=page-key",
            &[("content-type", "text/plain")],
            "in",
        )
        .await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (201, "made"));
    assert_eq!(answer.headers["x-from"], "output");
    let body: Value = serde_json::from_str(app.requests("/Page")[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["Data"]["req"]["Params"], json!({"name": "one"}));
    assert_eq!(body["Data"]["req"]["Body"], "in");
    assert_eq!(body["Metadata"]["name"], "\"one\"");
    assert_eq!(body["Metadata"]["Headers"]["Content-Type"], "text/plain");
    assert_eq!(app.call("GET", "/api/open", &[], "").await.status, 500);
}
