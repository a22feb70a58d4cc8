//! The commands that write, as processes against the app on the stand-in Functions host: the host asks for the function key, the
//! key is shown nowhere, and what is asked for is kept.

#![cfg(all(feature = "local", unix))]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod process;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use azure_sim::door::clock::WallClock;
use azure_sim::door::loopback::{self, Served};
use azure_sim::{Azure, World};
use host_sim::{Host, HostOptions, Keys};
use process::{Ended, run};
use tempfile::TempDir;
use time::OffsetDateTime;

/// The app on its host, with everything it talks to.
struct App {
    host: Host,
    key: String,
    /// What a person needs to read Azure and the ledger.
    settings: Vec<(String, String)>,
    _served: Served,
    _folder: TempDir,
}

impl App {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/hubward.example.toml");
        let config = config.display().to_string();
        let packaged = run(&["package", &root.display().to_string(), "--config", &config], &[]).await;
        assert_eq!(packaged.code, Some(0), "{}", packaged.stderr);

        let world = World::one_hub();
        let clock = clock();
        let azure = Arc::new(Mutex::new(Azure::new(world.clone(), 1, clock.now())));
        let served = loopback::serve(azure, clock).await.unwrap();
        let storage = format!(
            "DefaultEndpointsProtocol=http;AccountName={};AccountKey={};BlobEndpoint={};QueueEndpoint={}",
            world.storage_account, world.storage_key, served.blob_url, served.queue_url
        );
        let settings = [
            ("AzureWebJobsStorage", storage),
            ("IDENTITY_ENDPOINT", served.identity_url.clone()),
            ("IDENTITY_HEADER", world.identity_secret.clone()),
            ("HUBWARD_ARM_LOOPBACK", served.arm_url.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        let mut env = settings.clone();
        env.push(("FUNCTIONS_WORKER_RUNTIME".to_owned(), "custom".to_owned()));
        let (log, _lines) = tokio::sync::mpsc::unbounded_channel();
        let keys = Keys::from_seed(1);
        let key = keys.host_default.clone();
        let host = host_sim::start(HostOptions {
            script_root: root,
            env,
            time_scale: 1.0,
            seed: 1,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            keys,
            log,
        })
        .await
        .unwrap();
        host.ready().await.unwrap();
        Self {
            host,
            key,
            settings,
            _served: served,
            _folder: folder,
        }
    }

    fn address(&self) -> String {
        let url = url::Url::parse(&self.host.webhook_url("ClusterEvents")).unwrap();
        url.origin().ascii_serialization()
    }

    /// Runs a command as somebody with this key.
    async fn command(&self, key: &str, words: &[&str]) -> Ended {
        let address = self.address();
        let mut environment: Vec<(&str, &str)> =
            vec![("HUBWARD_APP", &address), ("HUBWARD_APP_KEY", key), ("USER", "anna")];
        environment.extend(
            self.settings
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let ended = run(words, &environment).await;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!said.contains(key), "the key is shown: {said}");
        ended
    }
}

#[tokio::test]
async fn the_app_takes_commands_from_those_who_have_its_key() {
    let app = App::start().await;
    let pause = ["pause", "main", "--reason", "change freeze"];

    let ended = app.command("guessed-key-of-nobody", &pause).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .starts_with("the app refuses the key of this call to Command (401)"),
        "{}",
        ended.stderr
    );

    let key = app.key.clone();
    let ended = app.command(&key, &pause).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("hub main is paused"), "{}", ended.stdout);

    // It is kept: another process reads it from the ledger.
    let ended = app.command(&key, &["status"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("paused by anna: change freeze"),
        "{}",
        ended.stdout
    );

    for (words, code, says) in [
        (&["resume", "north"][..], 2, "allowed: main"),
        (
            &["approve", "shop", "--reason", "x"],
            2,
            "\"shop\" is not a cluster that Hubward knows",
        ),
        (&["resume", "main"], 0, ""),
        (&["resume", "main"], 1, "hub main is not paused"),
    ] {
        let ended = app.command(&key, words).await;
        assert_eq!(ended.code, Some(code), "{words:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(says), "{words:?}: {}", ended.stderr);
    }
    app.host.shutdown().await;
}

#[tokio::test]
async fn the_app_replays_for_those_who_have_its_key_and_says_what_it_cannot() {
    let app = App::start().await;
    let since = ["replay", "--since", "2020-01-01T00:00:00Z"];
    let ended = app.command("guessed-key-of-nobody", &since).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("to Replay (401)"), "{}", ended.stderr);

    let key = app.key.clone();
    let cluster = "/subscriptions/5b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/rg-shop/providers/Microsoft.ContainerService/managedClusters/shop";
    for (words, code, says) in [
        (&since[..], 2, "is longer ago than 31 days"),
        (
            &["replay", "--event", "nobody-knows"],
            1,
            "event nobody-knows is not in the archive",
        ),
        (
            &["replay", "--dead-letter"],
            1,
            "there is no container hubward-dead-letters",
        ),
        (&["replay", "--cluster", cluster], 0, "0 events, 1 looks are asked for"),
        (
            &["drift", "--fix", "--reason", "test"],
            0,
            "every cluster in scope is looked at",
        ),
    ] {
        let ended = app.command(&key, words).await;
        assert_eq!(ended.code, Some(code), "{words:?}: {}", ended.stderr);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains(says), "{words:?}: {said}");
    }
    app.host.shutdown().await;
}

#[tokio::test]
async fn without_the_address_or_the_key_nothing_is_sent() {
    let pause = ["pause", "main", "--reason", "x"];
    run(&pause, &[]).await.is_refused_with(&["HUBWARD_APP is not set"]);
    let there = ("HUBWARD_APP", "https://hubward.example");
    run(&pause, &[there])
        .await
        .is_refused_with(&["HUBWARD_APP_KEY is not set"]);
    let key = ("HUBWARD_APP_KEY", "secret-of-this-test");
    let ended = run(&pause, &[("HUBWARD_APP", "http://hubward.example"), key]).await;
    assert!(!ended.stderr.contains("secret-of-this-test"), "{}", ended.stderr);
    ended.is_refused_with(&["plain http to another machine"]);
    // Nothing listens on the discard port.
    let ended = run(&pause, &[("HUBWARD_APP", "http://127.0.0.1:9"), key]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .starts_with("the app at http://127.0.0.1:9 does not answer"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("secret-of-this-test"), "{}", ended.stderr);
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
