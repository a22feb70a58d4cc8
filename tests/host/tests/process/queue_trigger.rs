//! The queue trigger against a queue service: leases, releases, poison, concurrency.

use host_sim::HostError;
use serde_json::{Value, json};

use crate::app::{App, Running};
use crate::queue_server::QueueServer;

const SCALE: f64 = 100.0;

fn app(server: &QueueServer, behaviour: &str, queues: Value) -> App {
    App::new()
        .function(
            "Work",
            json!([{"type": "queueTrigger", "direction": "in", "name": "msg", "queueName": "%QUEUE%", "connection": "Store"}]),
        )
        .handler(json!({"functions": {"Work": behaviour}}))
        .host_json("/extensions", json!({"queues": queues}))
        .env("QUEUE", "work")
        .env("AzureWebJobsStore", &server.connection)
        .scale(SCALE)
}

fn bodies(app: &Running) -> Vec<Value> {
    app.requests("/Work")
        .iter()
        .map(|request| serde_json::from_str(request["body"].as_str().unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn a_message_is_encoded_twice_delivered_once_and_deleted() {
    let server = QueueServer::start(SCALE).await;
    server.put_base64("work", r#"{"kind":"spoke","key":"/subscriptions/1"}"#);
    let app = app(&server, "ok", json!({"maxPollingInterval": "00:00:02"}))
        .start()
        .await;
    server.until(|contents| contents.queues["work"].is_empty()).await;
    let bodies = bodies(&app);
    assert_eq!(bodies.len(), 1);
    assert_eq!(
        bodies[0]["Data"]["msg"],
        r#""{\"kind\":\"spoke\",\"key\":\"/subscriptions/1\"}""#
    );
    let metadata = &bodies[0]["Metadata"];
    assert_eq!(metadata["DequeueCount"], "1");
    assert_eq!(metadata["Id"], "\"message-1\"");
    assert_eq!(metadata["InsertionTime"], "2024-05-10T16:13:45+00:00");
    assert_eq!(metadata["kind"], "\"spoke\"");
    assert_eq!(metadata["sys"]["MethodName"], "Work");
}

#[tokio::test]
async fn a_failing_message_is_poison_after_max_dequeue_count_and_others_go_on() {
    let server = QueueServer::start(SCALE).await;
    server.put_base64("work", "bad");
    server.put_base64("work", "good");
    let settings = json!({"maxDequeueCount": 3, "maxPollingInterval": "00:00:01"});
    let app = app(&server, "fail_if:bad", settings).start().await;
    let contents = server
        .until(|contents| contents.queues.contains_key("work-poison") && contents.queues["work"].is_empty())
        .await;
    assert_eq!(contents.queues["work-poison"].len(), 1);
    assert_eq!(
        contents.queues["work-poison"][0].text, "YmFk",
        "the wire text is copied as it is"
    );
    let counts: Vec<Value> = bodies(&app)
        .iter()
        .filter(|body| body["Data"]["msg"] == "\"bad\"")
        .map(|body| body["Metadata"]["DequeueCount"].clone())
        .collect();
    assert_eq!(counts, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_message_that_is_not_base64_goes_to_poison_unseen() {
    let server = QueueServer::start(SCALE).await;
    server.put("work", "{not base64}");
    let app = app(&server, "ok", json!({"maxPollingInterval": "00:00:01"}))
        .start()
        .await;
    let contents = server
        .until(|contents| contents.queues.contains_key("work-poison") && contents.queues["work"].is_empty())
        .await;
    assert_eq!(contents.queues["work-poison"][0].text, "{not base64}");
    assert!(app.requests("/Work").is_empty());
}

#[tokio::test]
async fn without_message_encoding_the_text_is_the_message() {
    let server = QueueServer::start(SCALE).await;
    server.put("work", "plain text");
    let app = app(
        &server,
        "ok",
        json!({"messageEncoding": "none", "maxPollingInterval": "00:00:01"}),
    )
    .start()
    .await;
    server.until(|contents| contents.queues["work"].is_empty()).await;
    assert_eq!(bodies(&app)[0]["Data"]["msg"], "\"plain text\"");
}

#[tokio::test]
async fn a_lease_is_renewed_while_the_invocation_runs() {
    // Ten Azure minutes are 200 ms at this scale; the invocation takes 900 ms.
    let server = QueueServer::start(3000.0).await;
    server.put_base64("work", "long");
    let app = app(&server, "slow:900", json!({"maxPollingInterval": "00:00:30"}))
        .scale(3000.0)
        .start()
        .await;
    let contents = server.until(|contents| contents.queues["work"].is_empty()).await;
    let renewals = contents
        .calls
        .iter()
        .filter(|call| call.starts_with("PUT work/messages/"))
        .count();
    assert!(renewals >= 3, "a renewal each 100 ms: {:?}", contents.calls);
    assert_eq!(app.requests("/Work").len(), 1, "nobody else saw the message");
}

#[tokio::test]
async fn concurrency_is_batch_size_plus_new_batch_threshold() {
    let server = QueueServer::start(SCALE).await;
    for number in 0..12 {
        server.put_base64("work", &number.to_string());
    }
    let settings = json!({"batchSize": 2, "newBatchThreshold": 1, "maxPollingInterval": "00:00:01"});
    let app = app(&server, "slow:50", settings).start().await;
    server.until(|contents| contents.queues["work"].is_empty()).await;
    let most = app
        .requests("/Work")
        .iter()
        .map(|request| request["in_flight"].as_u64().unwrap())
        .max()
        .unwrap();
    assert!((2..=3).contains(&most), "{most}");
    assert_eq!(app.requests("/Work").len(), 12);
}

#[tokio::test]
async fn a_failed_message_is_released_for_the_visibility_timeout() {
    let server = QueueServer::start(SCALE).await;
    server.put_base64("work", "bad");
    let settings = json!({"visibilityTimeout": "00:01:00", "maxDequeueCount": 2, "maxPollingInterval": "00:00:01"});
    let started = std::time::Instant::now();
    let app = app(&server, "fail", settings).start().await;
    server
        .until(|contents| contents.queues.contains_key("work-poison"))
        .await;
    assert!(
        started.elapsed().as_millis() >= 600,
        "one Azure minute at scale 100 between the two attempts"
    );
    assert_eq!(app.requests("/Work").len(), 2);
}

#[tokio::test]
async fn a_missing_queue_is_made_and_said_so() {
    let server = QueueServer::start(SCALE).await;
    let mut app = app(&server, "ok", json!({})).start().await;
    app.logged("Queue 'work' did not exist and was created").await;
    assert!(server.contents().queues["work"].is_empty());
}

#[tokio::test]
async fn a_crash_leaves_the_message_to_be_tried_again() {
    let server = QueueServer::start(SCALE).await;
    server.put_base64("work", "later");
    let mut app = app(&server, "together:2", json!({"maxPollingInterval": "00:00:01"}))
        .start()
        .await;
    app.logged("Executing 'Functions.Work'").await;
    app.host.ready().await.unwrap();
    app.host.kill_handler().await;
    app.logged("Executed 'Functions.Work' (Failed").await;
    // The second attempt waits for a companion in the fresh process.
    server.put_base64("work", "companion");
    server.until(|contents| contents.queues["work"].is_empty()).await;
    let counts: Vec<Value> = bodies(&app)
        .iter()
        .filter(|body| body["Data"]["msg"] == "\"later\"")
        .map(|body| body["Metadata"]["DequeueCount"].clone())
        .collect();
    assert_eq!(counts.last().unwrap(), "2");
}

#[tokio::test]
async fn a_connection_that_is_not_loopback_refuses_the_start() {
    let server = QueueServer::start(SCALE).await;
    let away = server.connection.replace("127.0.0.1", "192.0.2.1");
    let refused = app(&server, "ok", json!({}))
        .env("AzureWebJobsStore", &away)
        .try_start()
        .await;
    assert!(matches!(refused.err(), Some(HostError::Connection { name, .. }) if name == "Store"));
}
