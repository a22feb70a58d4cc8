//! `hubward serve` as the Functions host meets it, and the script root that `hubward package` writes for that host.

#![cfg(all(feature = "local", unix))]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod process;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use azure_sim::door::clock::WallClock;
use azure_sim::door::loopback::{self, Served};
use azure_sim::{Azure, World};
use host_sim::{Host, HostOptions, Keys};
use process::{Running, run, start, until};
use time::OffsetDateTime;

const PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";

#[tokio::test]
async fn without_a_port_of_the_host_it_ends_with_2() {
    run(&["serve"], &[]).await.is_refused_with(&[PORT, "1 to 65535"]);
    for port in ["", "0", "65536", "http"] {
        run(&["serve"], &[(PORT, port)]).await.is_refused_with(&[PORT]);
    }
}

#[tokio::test]
async fn with_a_bad_configuration_it_answers_the_probe_and_says_what_is_wrong() {
    let (azure, settings) = azure();
    let served = loopback::serve(azure, clock()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("hubward.toml");
    let example = include_str!("../../infra/hubward.example.toml");
    std::fs::write(&config, example.replace("location = ", "place = ")).unwrap();
    let port = free_port();
    let mut environment = app_settings(&settings, &served);
    environment.push(("HUBWARD_CONFIG".to_owned(), config.display().to_string()));
    environment.push((PORT.to_owned(), port.to_string()));
    let running = start(&["serve"], &borrowed(&environment));

    let probe = until("an answer to GET /", || exchange(port, "GET / HTTP/1.1", "")).await;
    assert!(probe.starts_with("HTTP/1.1 200"), "{probe}");
    let event = r#"{"Data":{"event":{"eventType":"Microsoft.Resources.ResourceWriteSuccess"}},"Metadata":{}}"#;
    let answer = tokio::task::spawn_blocking(move || exchange(port, "POST /ClusterEvents HTTP/1.1", event))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    assert!(answer.contains("hubs.main.place"), "{answer}");
    assert_ends_badly(running).await;
}

#[tokio::test]
async fn stopped_by_a_signal_it_never_ends_with_0_because_the_host_would_not_start_it_again() {
    let port = free_port();
    let running = start(&["serve"], &[(PORT, &port.to_string())]);
    until("an answer to GET /", || exchange(port, "GET / HTTP/1.1", "")).await;
    assert_ends_badly(running).await;
}

#[tokio::test]
async fn on_a_port_that_is_taken_it_says_so_and_ends_with_1() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = run(&["serve"], &[(PORT, &port)]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.contains(&format!("127.0.0.1:{port} cannot be bound")),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn the_packaged_script_root_runs_on_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/hubward.example.toml");
    let ended = run(
        &[
            "package",
            &root.display().to_string(),
            "--config",
            &config.display().to_string(),
        ],
        &[],
    )
    .await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("with ClusterEvents, Command, DriftTimer, Replay, Status, Work"),
        "{}",
        ended.stderr
    );

    let (azure, settings) = azure();
    let served = loopback::serve(azure, clock()).await.unwrap();
    let host = host_on(&root, app_settings(&settings, &served)).await;
    host.ready().await.unwrap();
    assert_eq!(host.function_errors().len(), 0, "{:?}", host.function_errors());
    let names: Vec<&str> = host.functions().iter().map(|function| function.name.as_str()).collect();
    assert_eq!(
        names,
        ["ClusterEvents", "Command", "DriftTimer", "Replay", "Status", "Work"]
    );

    // An event of somebody else's is answered and dropped by the handler itself.
    let event = r#"[{"id":"1","topic":"/","subject":"/a","eventType":"Other.Event","eventTime":"2026-01-05T08:00:00Z","data":{},"dataVersion":"1","metadataVersion":"1"}]"#;
    let request = posting(&host.webhook_url("ClusterEvents"), event);
    let answer = tokio::task::spawn_blocking(request).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    host.shutdown().await;
}

#[tokio::test]
async fn a_package_with_a_wrong_configuration_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let config = folder.path().join("hubward.toml");
    std::fs::write(&config, "mode = \"repair\"").unwrap();
    let root_text = root.display().to_string();
    let config_text = config.display().to_string();
    let ended = run(&["package", &root_text, "--config", &config_text], &[]).await;
    ended.is_refused_with(&["mode", "observe, approve, correct"]);
    assert!(!root.exists());
    run(&["package", &root_text, "--config", "/nope"], &[])
        .await
        .is_refused_with(&["--config /nope cannot be read"]);
}

async fn assert_ends_badly(running: Running) {
    running.signal("TERM").await;
    let ended = running.end().await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("stopped by SIGTERM"), "{}", ended.stdout);
}

async fn host_on(root: &Path, env: Vec<(String, String)>) -> Host {
    let (log, _lines) = tokio::sync::mpsc::unbounded_channel();
    host_sim::start(HostOptions {
        script_root: root.to_owned(),
        env,
        time_scale: 1.0,
        seed: 1,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        keys: Keys::from_seed(1),
        log,
    })
    .await
    .unwrap()
}

/// A simulated Azure, and the world it was made from.
fn azure() -> (Arc<Mutex<Azure>>, World) {
    let world = World::one_hub();
    (Arc::new(Mutex::new(Azure::new(world.clone(), 1, clock().now()))), world)
}

/// Azure's time is the wall's.
fn clock() -> WallClock {
    let now = i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap();
    WallClock {
        scale: 1.0,
        wall_ms: now,
        azure_ms: now,
    }
}

fn app_settings(world: &World, served: &Served) -> Vec<(String, String)> {
    let storage = format!(
        "DefaultEndpointsProtocol=http;AccountName={};AccountKey={};BlobEndpoint={};QueueEndpoint={}",
        world.storage_account, world.storage_key, served.blob_url, served.queue_url
    );
    [
        ("FUNCTIONS_WORKER_RUNTIME", "custom".to_owned()),
        ("AzureWebJobsStorage", storage),
        ("IDENTITY_ENDPOINT", served.identity_url.clone()),
        ("IDENTITY_HEADER", world.identity_secret.clone()),
        ("HUBWARD_ARM_LOOPBACK", served.arm_url.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn borrowed(environment: &[(String, String)]) -> Vec<(&str, &str)> {
    environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// A port that nobody has, a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// One HTTP exchange, as text; `None` while nobody listens.
fn exchange(port: u16, first_line: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(process::PATIENCE)).unwrap();
    let length = body.len();
    let request = format!(
        "{first_line}\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\naeg-event-type: Notification\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn posting(url: &str, body: &'static str) -> impl FnOnce() -> String + Send + 'static {
    let url = url::Url::parse(url).unwrap();
    move || {
        let query = url.query().unwrap_or_default();
        let first_line = format!("POST {}?{query} HTTP/1.1", url.path());
        exchange(url.port().unwrap(), &first_line, body).expect("the host listens")
    }
}
