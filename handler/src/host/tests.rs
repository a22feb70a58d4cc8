//! The protocol as the Functions host speaks it: captured requests in, answers it accepts out.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Functions, Invocation, MAX_BODY, Reply, ServeError, router, serve};

#[derive(Default)]
struct Recorder {
    seen: Mutex<Vec<Invocation>>,
}

#[async_trait]
impl Functions for Recorder {
    async fn invoke(&self, invocation: Invocation) -> Reply {
        let order = invocation.json("msg").ok();
        self.seen.lock().unwrap().push(invocation);
        match order.as_ref().and_then(Value::as_str) {
            Some("panic") => panic!("a bug\nin two lines"),
            Some("fail") => Reply::Failed {
                reason: "storage is away".to_owned(),
            },
            Some(_) | None => Reply::Done {
                logs: vec!["queued 1 key".to_owned()],
            },
        }
    }

    fn names(&self) -> &[&'static str] {
        &["ClusterEvents", "Work"]
    }
}

fn app() -> (Router, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let functions: Arc<dyn Functions> = recorder.clone();
    (router(async move { functions }), recorder)
}

async fn send(app: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let json: Value = serde_json::from_slice(&body).unwrap();
    assert!(json.is_object(), "an answer is never empty or null");
    (status, json)
}

fn invocation(function: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(format!("/{function}"))
        .header("X-Azure-Functions-InvocationId", "83a33220-a921-460a-bec0-b3f043dcf1ff")
        .header("Content-Type", "application/json; charset=utf-8")
        .body(body.into())
        .unwrap()
}

fn queue_text(text: &str) -> String {
    let encoded = Value::String(text.to_owned()).to_string();
    json!({"Data": {"msg": encoded}, "Metadata": {}}).to_string()
}

/// functions-host 2.3, shortened.
const EVENT: &str = r#"{"Data":{"event":{
   "id":"93902694","topic":"/subscriptions/s","subject":"/subscriptions/s/resourceGroups/g","eventType":"Microsoft.Resources.ResourceWriteSuccess",
   "eventTime":"2024-05-10T16:13:45.1647262Z","dataVersion":"","metadataVersion":"1","data":{"status":"Succeeded"}}},
 "Metadata":{"data":{"status":"Succeeded"},
   "sys":{"MethodName":"ClusterEvents","UtcNow":"2024-05-10T16:13:47.1756352Z","RandGuid":"828f9d97"}}}"#;

/// functions-host 2.5, a real capture.
const MESSAGE: &str = r#"{"Data":{"msg":"\"{\\\"scraperId\\\":\\\"vienna002\\\",\\\"timestamp\\\":\\\"2024-04-06T15:30:00Z\\\",\\\"listings\\\":[]}\""},
 "Metadata":{"DequeueCount":"5",
  "ExpirationTime":"2024-05-17T16:13:45+00:00","Id":"\"4434c659-815f-434e-a851-f1df7b701f27\"",
  "sys":{"MethodName":"Work","UtcNow":"2024-05-10T16:13:47.1756352Z","RandGuid":"828f9d97"},
  "scraperId":"\"vienna002\"","timestamp":"\"04/06/2024 15:30:00\""}}"#;

#[tokio::test]
async fn an_event_arrives_as_the_object_it_is() {
    let (app, recorder) = app();
    let (status, answer) = send(&app, invocation("ClusterEvents", EVENT)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        answer,
        json!({"Outputs": {}, "Logs": ["queued 1 key"], "ReturnValue": null})
    );
    let seen = recorder.seen.lock().unwrap()[0].clone();
    assert_eq!(seen.id, "83a33220-a921-460a-bec0-b3f043dcf1ff");
    assert_eq!(seen.function, "ClusterEvents");
    assert_eq!(seen.data["event"]["data"]["status"], "Succeeded");
    assert_eq!(seen.data["event"]["eventTime"], "2024-05-10T16:13:45.1647262Z");
    assert_eq!(seen.metadata["sys"]["MethodName"], "ClusterEvents");
}

#[tokio::test]
async fn a_doubly_encoded_queue_text_arrives_as_text_and_its_json_is_one_step_away() {
    let (app, recorder) = app();
    let (status, _) = send(&app, invocation("Work", MESSAGE)).await;
    assert_eq!(status, StatusCode::OK);
    let seen = recorder.seen.lock().unwrap()[0].clone();
    let text = r#"{"scraperId":"vienna002","timestamp":"2024-04-06T15:30:00Z","listings":[]}"#;
    assert_eq!(seen.data["msg"], text);
    assert_eq!(seen.json("msg").unwrap()["listings"], json!([]));
    assert_eq!(seen.metadata["DequeueCount"], 5);
    assert_eq!(seen.metadata["Id"], "4434c659-815f-434e-a851-f1df7b701f27");
    assert_eq!(seen.metadata["ExpirationTime"], "2024-05-17T16:13:45+00:00");
}

#[tokio::test]
async fn a_batch_of_events_arrives_as_an_array() {
    let (app, recorder) = app();
    let body = r#"{"Data":{"events":"[{\"id\":\"1\"},{\"id\":\"2\"}]"},"Metadata":{}}"#;
    send(&app, invocation("ClusterEvents", body)).await;
    assert_eq!(
        recorder.seen.lock().unwrap()[0].data["events"],
        json!([{"id": "1"}, {"id": "2"}])
    );
}

#[tokio::test]
async fn the_probe_is_answered_while_the_app_is_still_initialising() {
    let app = router(std::future::pending());
    let (status, _) = send(&app, Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn invocations_wait_for_the_initialisation_and_it_runs_once() {
    let (ready, wait) = tokio::sync::oneshot::channel::<()>();
    let runs = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&runs);
    let app = router(async move {
        wait.await.unwrap();
        *counted.lock().unwrap() += 1;
        Arc::new(Recorder::default()) as Arc<dyn Functions>
    });
    let body = queue_text("\"go\"");
    let first = send(&app, invocation("Work", body.clone()));
    let second = send(&app, invocation("Work", body));
    let release = async {
        tokio::task::yield_now().await;
        assert_eq!(*runs.lock().unwrap(), 0);
        ready.send(()).unwrap();
    };
    let ((first, _), (second, _), ()) = tokio::join!(first, second, release);
    assert_eq!(
        (first, second, *runs.lock().unwrap()),
        (StatusCode::OK, StatusCode::OK, 1)
    );
}

#[tokio::test]
async fn a_failure_is_500_in_json_so_that_the_host_brings_it_again() {
    let (app, _) = app();
    let (status, answer) = send(&app, invocation("Work", queue_text("\"fail\""))).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer, json!({"error": "storage is away"}));
}

#[tokio::test]
async fn a_panic_stays_in_its_invocation() {
    let (app, _) = app();
    let (status, answer) = send(&app, invocation("Work", queue_text("\"panic\""))).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer, json!({"error": "panicked: a bug\nin two lines"}));
    let (status, _) = send(&app, invocation("Work", queue_text("\"go\""))).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_failed_initialisation_fails_the_invocations() {
    let app = router(async { panic!("no configuration") });
    let (status, answer) = send(&app, invocation("Work", queue_text("\"go\""))).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer, json!({"error": "the app did not start: no configuration"}));
}

#[tokio::test]
async fn errors_are_json_too() {
    let (app, recorder) = app();
    for (request, expected) in [
        (invocation("work", MESSAGE), StatusCode::NOT_FOUND),
        (invocation("a/b", MESSAGE), StatusCode::NOT_FOUND),
        (invocation("Work", "{"), StatusCode::BAD_REQUEST),
        (
            invocation("Work", vec![b' '; MAX_BODY + 1]),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        (
            Request::get("/Work").body(Body::empty()).unwrap(),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
    ] {
        let name = format!("{} {}", request.method(), request.uri());
        let (status, answer) = send(&app, request).await;
        assert_eq!(status, expected, "{name}: {answer}");
        assert!(answer["error"].is_string(), "{name}: {answer}");
    }
    assert!(recorder.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_body_above_the_usual_limit_of_axum_is_accepted() {
    let (app, recorder) = app();
    let text = "x".repeat(3 * 1024 * 1024);
    let (status, _) = send(&app, invocation("Work", queue_text(&text))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(recorder.seen.lock().unwrap()[0].data["msg"], text);
}

#[tokio::test]
async fn a_taken_port_is_an_error_with_its_number() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let end = serve(port, || async { Arc::new(Recorder::default()) as Arc<dyn Functions> }).await;
    assert!(matches!(end, Err(ServeError::Bind { port: reported, .. }) if reported == port));
}

#[tokio::test]
async fn a_panic_of_the_initialisation_ends_the_server_with_an_error() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let end = serve(port, || async { panic!("no ledger") }).await;
    assert!(matches!(end, Err(ServeError::Initialisation(reason)) if reason == "no ledger"));
}
