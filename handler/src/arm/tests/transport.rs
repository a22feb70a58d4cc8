use super::*;
use crate::transport::{MAX_RESPONSE_BYTES, REQUEST_TIMEOUT};
use serde_json::json;

#[tokio::test]
async fn a_read_is_tried_three_times_with_the_same_correlation_id() {
    let bench = Bench::new(vec![
        Far::Breaks(ErrorKind::Io),
        error(500, "InternalServerError", "x"),
        answer(200, "{}"),
    ]);
    assert!(matches!(bench.arm.read(&id(VNET), API).await.unwrap(), Read::Found(_)));
    let ids: Vec<String> = bench
        .sent()
        .iter()
        .map(|sent| sent.header("x-ms-correlation-request-id").to_owned())
        .collect();
    assert!(ids.iter().all(|one| *one == ids[0]) && ids.len() == 3, "{ids:?}");
    assert_eq!(bench.slept().len(), 2);
    assert!(bench.slept().iter().sum::<Duration>() < Duration::from_secs(3));
}

#[tokio::test]
async fn after_three_tries_the_last_trouble_is_told() {
    let bench = Bench::new((0..3).map(|_| error(502, "BadGateway", "x")).collect());
    let error = bench.arm.read(&id(VNET), API).await.unwrap_err();
    assert!(matches!(error, ArmError::Unavailable { status: 502, .. }), "{error}");
    assert!(error.is_unreachable());
}

#[tokio::test]
async fn a_write_is_not_repeated_if_it_may_have_arrived() {
    for far in [Far::Breaks(ErrorKind::Io), Far::Hangs] {
        let bench = Bench::new(vec![far]);
        let error = bench.arm.put(&id(VNET), API, &json!({})).await.unwrap_err();
        assert!(
            matches!(
                error,
                ArmError::Unreachable {
                    outcome_unknown: true,
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(bench.lines().len(), 1);
    }
    let bench = Bench::new(vec![error(500, "InternalServerError", "x")]);
    assert!(matches!(
        bench.arm.put(&id(VNET), API, &json!({})).await,
        Err(ArmError::Unavailable { .. })
    ));
}

#[tokio::test]
async fn a_write_is_repeated_if_the_connection_was_never_made() {
    let bench = Bench::new(vec![Far::Breaks(ErrorKind::Connection), answer(200, "{}")]);
    let body = json!({"z": 1, "a": []});
    assert!(matches!(
        bench.arm.put(&id(VNET), API, &body).await.unwrap(),
        Written::Done(Some(_))
    ));
    assert_eq!(bench.sent()[1].body, r#"{"z":1,"a":[]}"#);
    assert_eq!(bench.sent()[1].header("content-type"), "application/json");
}

#[tokio::test]
async fn a_try_that_hangs_ends_after_the_request_timeout() {
    let bench = Bench::new(vec![Far::Hangs, answer(200, "{}")]);
    bench.arm.read(&id(VNET), API).await.unwrap();
    assert_eq!(bench.slept()[0], REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_stale_token_is_replaced_once() {
    let bench = Bench::new(vec![error(401, "ExpiredAuthenticationToken", "x"), answer(200, "{}")]);
    bench.arm.put(&id(VNET), API, &json!({})).await.unwrap();
    let tokens: Vec<String> = bench
        .sent()
        .iter()
        .map(|sent| sent.header("authorization").to_owned())
        .collect();
    assert_eq!(tokens, ["Bearer token-1", "Bearer token-2"]);
    let bench = Bench::new((0..2).map(|_| error(401, "InvalidAuthenticationToken", "x")).collect());
    assert!(matches!(
        bench.arm.read(&id(VNET), API).await,
        Err(ArmError::Unauthorized { .. })
    ));
}

#[tokio::test]
async fn a_missing_identity_is_told_and_nothing_is_sent() {
    let bench = Bench::with(Vec::new(), 7, true);
    let error = bench.arm.read(&id(VNET), API).await.unwrap_err();
    assert!(
        matches!(&error, ArmError::NoToken { reason } if reason.contains("no such identity")),
        "{error}"
    );
    assert!(bench.sent().is_empty());
}

#[tokio::test]
async fn the_seed_decides_correlation_ids_and_pauses() {
    let run = async |seed| {
        let bench = Bench::with(vec![Far::Breaks(ErrorKind::Io), answer(200, "{}")], seed, false);
        bench.arm.read(&id(VNET), API).await.unwrap();
        (
            bench.sent()[0].header("x-ms-correlation-request-id").to_owned(),
            bench.slept(),
        )
    };
    assert_eq!(run(1).await, run(1).await);
    assert_ne!(run(1).await, run(2).await);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let huge = vec![b' '; MAX_RESPONSE_BYTES + 1];
    let bench = Bench::new((0..3).map(|_| Far::Answers(200, Vec::new(), huge.clone())).collect());
    let error = bench.arm.read(&id(VNET), API).await.unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
}

#[tokio::test]
async fn the_loopback_takes_arm_to_this_machine_and_keeps_path_query_and_host() {
    let wire = Arc::new(Wire {
        script: Mutex::new(vec![answer(200, "{}"), answer(200, "{}")].into()),
        sent: Mutex::default(),
    });
    let endpoint = Url::parse("https://management.azure.com").unwrap();
    let loopback = Loopback::new(wire.clone(), endpoint, "http://127.0.0.1:4711").unwrap();
    let send = async |url: &str| {
        let request = Request::new(Url::parse(url).unwrap(), azure_core::http::Method::Get);
        loopback.execute_request(&request).await
    };
    send(SIGNED).await.unwrap();
    send("http://127.0.0.1:99/msi/token?resource=x").await.unwrap();
    let sent = wire.sent.lock().unwrap().clone();
    assert_eq!(
        sent[0].line,
        format!(
            "GET {}",
            SIGNED.replace("https://management.azure.com", "http://127.0.0.1:4711")
        )
    );
    assert_eq!(sent[0].header("host"), "management.azure.com");
    assert_eq!(sent[1].line, "GET http://127.0.0.1:99/msi/token?resource=x");
    let error = send("https://login.microsoftonline.com/x").await.unwrap_err();
    assert!(
        error.to_string().contains("no request may leave this machine"),
        "{error}"
    );
    assert_eq!(wire.sent.lock().unwrap().len(), 2);
}

#[test]
fn only_a_loopback_address_is_a_loopback_target() {
    let endpoint = Url::parse("https://management.azure.com").unwrap();
    let make = |target: &str| Loopback::new(Arc::new(Wire::default()), endpoint.clone(), target);
    for good in ["http://127.0.0.1:80", "http://127.0.0.9:8080/", "http://[::1]:1"] {
        assert!(make(good).is_ok(), "{good}");
    }
    for bad in [
        "http://10.0.0.1:80",
        "http://localhost:80",
        "http://127.0.0.1.evil.example",
        "https://127.0.0.1:80",
        "http://127.0.0.1@evil.example",
        "http://127.0.0.1/path",
        "127.0.0.1:80",
        "",
    ] {
        assert!(make(bad).is_err(), "{bad}");
    }
}
