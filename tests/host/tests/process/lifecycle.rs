//! Starts, exits, kills and time-outs of the handler process.

use std::time::{Duration, Instant};

use host_sim::{Level, LogSource, Restarts};
use serde_json::json;

use crate::app::{App, LIMIT, event, notify};

#[tokio::test]
async fn exit_zero_is_never_restarted_and_later_invocations_fail() {
    let app = App::new()
        .event_function("Quit")
        .handler(json!({"functions": {"Quit": "exit:0"}}))
        .start()
        .await;
    assert_eq!(app.notify("Quit", json!([event("1")])).await, 500);
    for _ in 0..3 {
        assert_eq!(app.notify("Quit", json!([event("2")])).await, 500);
    }
    assert_eq!(app.starts().len(), 1);
    assert_eq!(app.requests("/Quit").len(), 1, "nobody listens after exit 0");
    assert_eq!(app.host.restarts(), Restarts::default());
    assert_eq!(app.host.handler_pid(), None);
}

#[tokio::test]
async fn the_third_error_stops_the_host() {
    let prescription = json!({"exit_codes": [3, 3, 3, 3], "stderr": "out of luck"});
    let mut app = App::new().event_function("Any").handler(prescription).start().await;
    let reason = tokio::time::timeout(LIMIT, app.host.stopped()).await.unwrap();
    assert!(
        reason.starts_with("Exceeded http worker restart retry count"),
        "{reason}"
    );
    assert!(reason.contains("code 3") && reason.contains("out of luck"), "{reason}");
    assert_eq!(app.starts().len(), 3);
    assert_eq!(
        app.host.restarts(),
        Restarts {
            errors: 2,
            ..Restarts::default()
        }
    );
    assert_eq!(app.notify("Any", json!([event("1")])).await, 503);
    assert_eq!(
        app.logged("Exceeded http worker restart retry count").await.level,
        Level::Error
    );
}

#[tokio::test]
async fn two_errors_are_forgiven() {
    let app = App::new()
        .event_function("Any")
        .handler(json!({"exit_codes": [1, 101]}))
        .start()
        .await;
    assert_eq!(app.notify("Any", json!([event("1")])).await, 202);
    assert_eq!(
        app.host.restarts(),
        Restarts {
            errors: 2,
            ..Restarts::default()
        }
    );
}

#[tokio::test]
async fn errors_more_than_half_an_hour_apart_never_add_up() {
    // At this scale thirty Azure minutes are 5 ms, and each start takes 50 ms before it exits.
    let prescription = json!({"exit_codes": [1, 1, 1, 1, 1], "start_delay_ms": 50});
    let app = App::new()
        .event_function("Any")
        .handler(prescription)
        .scale(360_000.0)
        .start()
        .await;
    assert_eq!(app.notify("Any", json!([event("1")])).await, 202);
    assert_eq!(app.host.restarts().errors, 5);
}

#[tokio::test]
async fn exit_200_restarts_without_being_counted_as_error() {
    let app = App::new()
        .event_function("Any")
        .handler(json!({"exit_codes": [200, 200, 200, 200]}))
        .start()
        .await;
    assert_eq!(app.notify("Any", json!([event("1")])).await, 202);
    assert_eq!(
        app.host.restarts(),
        Restarts {
            intentional: 4,
            ..Restarts::default()
        }
    );
}

#[tokio::test]
async fn an_invocation_waits_for_a_slow_start() {
    let app = App::new()
        .event_function("Any")
        .handler(json!({"start_delay_ms": 300}))
        .start()
        .await;
    assert_eq!(app.notify("Any", json!([event("1")])).await, 202);
    assert_eq!(app.host.restarts(), Restarts::default());
}

#[tokio::test]
async fn a_handler_that_never_answers_its_probe_counts_as_crashed() {
    let app = App::new()
        .event_function("Any")
        .handler(json!({"start_delay_ms": 60_000}))
        .host_json("/customHandler/initializationTimeout", json!("00:00:00.2"))
        .start()
        .await;
    let reason = tokio::time::timeout(LIMIT, app.host.stopped()).await.unwrap();
    assert!(reason.contains("waiting for the handler to answer GET /"), "{reason}");
    assert_eq!(app.starts().len(), 3);
}

#[tokio::test]
async fn a_timeout_kills_the_process_with_every_other_invocation_in_it() {
    // One wall second per invocation. The bystander starts after an invocation that takes 0.4 s, so that it is far from
    // its own limit when the hanging one reaches its.
    let mut app = App::new()
        .event_function("Hang")
        .event_function("Pause")
        .event_function("Bystander")
        .handler(json!({"functions": {"Hang": "hang", "Pause": "slow:400", "Bystander": "hang"}}))
        .host_json("/functionTimeout", json!("00:00:10"))
        .scale(10.0)
        .start()
        .await;
    app.host.ready().await.unwrap();
    let first = app.host.handler_pid();
    let hang = tokio::spawn(notify(app.host.webhook_url("Hang"), json!([event("1")])));
    app.logged("Executing 'Functions.Hang'").await;
    assert_eq!(app.notify("Pause", json!([event("2")])).await, 202);
    assert_eq!(app.notify("Bystander", json!([event("3")])).await, 500);
    assert_eq!(hang.await.unwrap(), 500);
    let mut failures = Vec::new();
    for _ in 0..2 {
        failures.push(app.logged("(Failed").await.text);
    }
    failures.sort();
    assert!(
        failures[0].contains("Functions.Bystander") && failures[0].contains("connection broke"),
        "{failures:?}"
    );
    assert!(
        failures[1].contains("Functions.Hang") && failures[1].contains("was exceeded"),
        "{failures:?}"
    );
    app.host.ready().await.unwrap();
    assert_ne!(app.host.handler_pid(), first);
    assert_eq!(
        app.host.restarts(),
        Restarts {
            timeouts: 1,
            ..Restarts::default()
        }
    );
}

#[tokio::test]
async fn an_empty_or_null_200_hangs_until_the_timeout() {
    for behaviour in ["empty", "null"] {
        let app = App::new()
            .event_function("Silent")
            .handler(json!({"functions": {"Silent": behaviour}}))
            .host_json("/functionTimeout", json!("00:00:10"))
            .scale(20.0)
            .start()
            .await;
        app.host.ready().await.unwrap();
        let started = Instant::now();
        assert_eq!(app.notify("Silent", json!([event("1")])).await, 500);
        assert!(
            started.elapsed() >= Duration::from_millis(500),
            "{behaviour}: ten Azure seconds at scale 20"
        );
        assert_eq!(app.host.restarts().timeouts, 1, "{behaviour}");
    }
}

#[tokio::test]
async fn a_killed_handler_fails_what_it_did_and_is_started_again() {
    let mut app = App::new()
        .event_function("Hang")
        .event_function("Good")
        .handler(json!({"functions": {"Hang": "together:2"}}))
        .start()
        .await;
    app.host.ready().await.unwrap();
    let running = tokio::spawn(notify(app.host.webhook_url("Hang"), json!([event("1")])));
    app.logged("Executing 'Functions.Hang'").await;
    let pid = app.host.handler_pid();
    assert_eq!(app.host.kill_handler().await, pid);
    assert_eq!(running.await.unwrap(), 500);
    app.logged("exited with code 137").await;
    assert_eq!(app.notify("Good", json!([event("2")])).await, 202);
    assert_eq!(
        app.host.restarts(),
        Restarts {
            errors: 1,
            ..Restarts::default()
        }
    );
    assert_eq!(
        app.starts()[0]["port"],
        app.starts()[1]["port"],
        "the host keeps its port"
    );
    assert_ne!(app.starts()[0]["worker_id"], app.starts()[1]["worker_id"]);
}

#[tokio::test]
async fn shutting_the_host_down_leaves_no_process_behind() {
    let app = App::new().event_function("Any").start().await;
    app.host.ready().await.unwrap();
    let process = format!("/proc/{}", app.host.handler_pid().unwrap());
    assert!(std::path::Path::new(&process).exists());
    app.host.shutdown().await;
    assert!(!std::path::Path::new(&process).exists());
}

#[tokio::test]
async fn without_functions_the_handler_is_never_started() {
    let mut app = App::new().start().await;
    assert_eq!(app.call("GET", "/", &[], "").await.status, 200);
    assert_eq!(app.host.kill_handler().await, None);
    assert!(app.record().is_empty() && app.log.try_recv().is_err());
}

#[tokio::test]
async fn the_process_gets_its_arguments_environment_and_working_directory() {
    let app = App::new()
        .event_function("Any")
        .host_json(
            "/customHandler/description/arguments",
            json!(["serve", "--level=%LEVEL%", "%HOST_SIM_UNSET%"]),
        )
        .env("LEVEL", "two words")
        .start()
        .await;
    app.host.ready().await.unwrap();
    let start = &app.starts()[0];
    assert_eq!(start["start"], json!(["serve", "--level=two", "words"]));
    assert_eq!(start["cwd"], app.root().canonicalize().unwrap().to_str().unwrap());
    assert_eq!(start["root"], app.root().to_str().unwrap());
    assert_eq!(start["port"], start["old_port"]);
    assert_eq!(start["worker_id"], start["old_worker_id"]);
    assert_eq!(start["worker_id"].as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn console_lines_have_the_levels_of_their_streams() {
    let prescription = json!({"stdout": "hello", "stderr": "a Warning\nbad news"});
    let mut app = App::new().event_function("Any").handler(prescription).start().await;
    let hello = app.logged("hello").await;
    assert_eq!(
        (hello.source, hello.level),
        (LogSource::HandlerStdout, Level::Information)
    );
    let mut app = App::new()
        .event_function("Any")
        .handler(json!({"stderr": "a Warning\nbad news"}))
        .start()
        .await;
    assert_eq!(app.logged("a Warning").await.level, Level::Warning);
    assert_eq!(app.logged("bad news").await.level, Level::Error);
}
