//! The loopback door: real sockets, scaled wall clock, deliveries that arrive.

use crate::bench::START;
use azure_sim::door::clock::WallClock;
use azure_sim::door::loopback::serve;
use azure_sim::{Azure, ClusterSpec, EventSchema, EventSubscription, Fault, FaultEffect, World};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

#[tokio::test]
async fn a_cluster_made_in_scaled_time_is_told_to_a_webhook_and_read_over_http() {
    let (sender, mut received) = mpsc::unbounded_channel::<Value>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/events", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(move |body: axum::Json<Value>| {
        sender.send(body.0).unwrap();
        async { "" }
    });
    let webhook = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let mut azure = Azure::new(World::one_hub(), 7, START);
    azure.subscribe(EventSubscription {
        name: "test".to_owned(),
        endpoint,
        schema: EventSchema::EventGrid,
        operation_names: vec!["Microsoft.ContainerService/managedClusters/write".to_owned()],
        dead_letter: None,
    });
    let azure = Arc::new(Mutex::new(azure));
    let served = serve(azure.clone(), WallClock::starting_at(START, 2000.0))
        .await
        .unwrap();
    let id = azure
        .lock()
        .unwrap()
        .create_cluster(&ClusterSpec::usual("shop", 1), served.clock.now());
    let event = tokio::time::timeout(Duration::from_secs(20), received.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        event[0]["data"]["operationName"],
        "Microsoft.ContainerService/managedClusters/write"
    );

    let (status, token) = get(
        &format!(
            "{}?resource=https://management.azure.com/&api-version=2019-08-01",
            served.identity_url
        ),
        &[("x-identity-header", &served.identity_header)],
    )
    .await
    .unwrap();
    assert_eq!(status, 200);
    let token: Value = serde_json::from_str(&token).unwrap();
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let url = format!("{}{id}?api-version=2025-05-01", served.arm_url);
    let (status, body) = get(&url, &[("authorization", &bearer)]).await.unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, body["properties"]["provisioningState"].as_str()),
        (200, Some("Succeeded"))
    );

    azure.lock().unwrap().inject(Fault {
        method: None,
        path_contains: "managedClusters".to_owned(),
        nth: 1,
        effect: FaultEffect::Drop,
    });
    assert!(
        get(&url, &[("authorization", &bearer)]).await.is_none(),
        "a dropped call has no answer"
    );
    let address = served.arm_url.trim_start_matches("http://").to_owned();
    served.shutdown();
    webhook.abort();
    tokio::task::yield_now().await;
    assert!(closes(&address).await, "the port is closed after shutdown");
}

/// One GET over a plain socket: status and body, `None` when the connection broke before a whole answer.
async fn get(url: &str, headers: &[(&str, &str)]) -> Option<(u16, String)> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let url = url::Url::parse(url).unwrap();
    let mut stream = tokio::net::TcpStream::connect(format!("127.0.0.1:{}", url.port().unwrap()))
        .await
        .unwrap();
    let mut request = format!(
        "GET {}?{} HTTP/1.1\r\nhost: management.azure.com\r\nconnection: close\r\n",
        url.path(),
        url.query().unwrap()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{request}\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    if stream.read_to_string(&mut answer).await.is_err() {
        return None;
    }
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let length: usize = head
        .to_lowercase()
        .split("content-length: ")
        .nth(1)?
        .split("\r\n")
        .next()?
        .parse()
        .ok()?;
    if body.len() < length {
        return None;
    }
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// True when connecting is refused within a bounded number of tries.
async fn closes(address: &str) -> bool {
    for _ in 0..1000 {
        if tokio::net::TcpStream::connect(address).await.is_err() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}
