//! `hubward local --keep`: what stays up, what it lets a person do from outside, and that all of it ends.

#![cfg(all(feature = "local", target_os = "linux"))]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod process;

use process::{command_line, handler_of, run, start};
use serde_json::Value;

/// Fast, and slow enough that a busy machine keeps Azure's time limits.
const SPEED: &str = "100";

#[tokio::test]
async fn keep_stays_up_until_ctrl_c_and_leaves_nothing_behind() {
    let running = start(&["local", "--clusters", "1", "--keep", "--speed", SPEED], &[]);
    running.says("stop with Ctrl-C").await;
    let urls: Vec<String> = running
        .stderr()
        .lines()
        .take_while(|line| *line != "Clusters")
        .filter_map(|line| Some(line[line.find("http://")?..].to_owned()))
        .collect();
    assert_eq!(urls.len(), 5, "{}", running.stderr());
    for url in &urls {
        assert!(answers(url), "{url}");
    }

    let handler = handler_of(&running).await;
    let words = command_line(handler);
    assert!(words[0].ends_with("/script-root/hubward"), "{words:?}");
    assert_eq!(words[1..], ["serve"]);

    running.signal("INT").await;
    let ended = running.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.left, Vec::<std::path::PathBuf>::new());
    assert_eq!(command_line(handler), Vec::<String>::new(), "the handler still runs");
    for url in &urls {
        assert!(!answers(url), "{url}");
    }
}

#[tokio::test]
async fn kept_alive_it_lets_plan_look_and_a_person_break_what_plan_then_names() {
    let running = start(
        &["local", "--clusters", "1", "--keep", "--speed", SPEED],
        &[("HUBWARD__naming__prefix", "ours")],
    );
    running.says("stop with Ctrl-C").await;
    let said = running.stderr();
    let environment: Vec<(&str, &str)> = said
        .lines()
        .filter_map(|line| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            Some((name, value.trim_matches('\'')))
        })
        .collect();
    assert!(environment.contains(&("HUBWARD__naming__prefix", "ours")), "{said}");
    assert!(
        said.contains("these secrets belong to this simulated world only"),
        "{said}"
    );
    let cluster = said
        .lines()
        .find(|line| line.starts_with("  /subscriptions/"))
        .unwrap()
        .trim();
    let plan = run(&["plan", "--cluster", cluster], &environment).await;
    assert_eq!(plan.code, Some(0), "{}{}", plan.stdout, plan.stderr);
    assert!(plan.stdout.contains("nothing to write"), "{}", plan.stdout);

    for (words, says) in [
        (&["status"][..], "settling"),
        (&["explain", cluster], "outboundType is"),
        (&["wait", cluster, "--for", "wired"], "is settling"),
        // So that nobody mends what is broken next before `plan` has named it.
        (&["pause", "main", "--reason", "a look around"], "hub main is paused"),
    ] {
        let ended = run(words, &environment).await;
        assert_eq!(ended.code, Some(0), "{words:?}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.contains(says), "{words:?}: {}", ended.stdout);
    }

    let call = said.lines().find(|line| line.starts_with("curl ")).unwrap();
    let written = curl(call).await;
    assert!(written.status().is_success(), "{written:?}");
    // The call that reads it is the same without method and body.
    let read = call.replace("-X PUT ", "").replace(" -d ", " -X ");
    let mut state = Value::Null;
    for _ in 0..1000 {
        let route: Value = serde_json::from_str(&curl(&read).await.text().await.unwrap()).unwrap();
        state = route["properties"]["provisioningState"].clone();
        if state == "Succeeded" {
            break;
        }
    }
    assert_eq!(state, "Succeeded");
    let plan = run(&["plan", "--cluster", cluster], &environment).await;
    assert_eq!(plan.code, Some(1), "{}{}", plan.stdout, plan.stderr);
    assert!(plan.stdout.contains("  1. route"), "{}", plan.stdout);
    assert!(
        plan.stdout.contains("waits for the hub to be resumed"),
        "{}",
        plan.stdout
    );
    let resumed = run(&["resume", "main"], &environment).await;
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);

    running.signal("INT").await;
    assert_eq!(running.end().await.code, Some(0));
}

/// Does what a printed call of curl does: its quoted words are the headers, the body and the address.
async fn curl(call: &str) -> reqwest::Response {
    hubward::identity::install_tls();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let words: Vec<&str> = call.split('\'').collect();
    let method = if call.contains("-X PUT") { "PUT" } else { "GET" };
    let url = words.iter().find(|word| word.starts_with("http://")).unwrap();
    let mut request = client.request(method.parse().unwrap(), *url);
    for pair in words.windows(2) {
        match pair {
            [before, header] if before.ends_with("-H ") => {
                let (name, value) = header.split_once(": ").unwrap();
                request = request.header(name, value);
            }
            [before, body] if before.ends_with("-d ") => request = request.body((*body).to_owned()),
            _ => {}
        }
    }
    request.send().await.unwrap()
}

fn answers(url: &str) -> bool {
    let address = url.trim_start_matches("http://").split('/').next().unwrap();
    std::net::TcpStream::connect(address).is_ok()
}
