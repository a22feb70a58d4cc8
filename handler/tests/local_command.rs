//! `hubward local` as people and scripts use it: real processes, loopback, exit codes, and what is left behind.

#![cfg(all(feature = "local", target_os = "linux"))]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod process;

use process::{Ended, children, command_line, handler_of, run, start, until};
use serde_json::{Value, json};

/// Fast, and slow enough that a busy machine keeps Azure's time limits: an ARM call may take 200 ms of wall time.
const SPEED: &str = "100";

#[tokio::test]
async fn json_is_exactly_one_object_with_the_keys_of_the_contract() {
    let ended = run(&["local", "--clusters", "1", "--json", "--speed", SPEED], &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 1);
    let object: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        keys(&object),
        ["arm", "azure_seconds", "clusters", "egress_ip", "wall_seconds"]
    );
    assert_eq!(
        keys(&object["arm"]),
        ["firewall_updates", "reads", "throttled", "writes"]
    );
    let cluster = &object["clusters"][0];
    assert_eq!(
        keys(cluster),
        [
            "app_ip",
            "egress_ip",
            "egress_proof",
            "findings",
            "id",
            "ingress_ip",
            "name",
            "reach_proof",
            "state"
        ]
    );
    let said = (&cluster["state"], &cluster["egress_proof"], &cluster["reach_proof"]);
    assert_eq!(said, (&json!("settling"), &json!("holds"), &json!("holds")));
    assert!(cluster["ingress_ip"].is_string() && cluster["app_ip"].is_string());
    assert!(object["egress_ip"].is_string());
    assert_eq!(cluster["egress_ip"], object["egress_ip"]);
    assert_eq!(keys(&cluster["findings"][0]), ["code", "help", "message", "severity"]);
    // Two peerings, a route table, the application address with its group, three role assignments, the switch, and the hub's rules:
    // the way out first, the way in when the application address is known.
    let updates = object["arm"]["firewall_updates"].as_u64().unwrap();
    assert!((1..=2).contains(&updates), "{updates}");
    assert!(object["arm"]["writes"].as_u64().unwrap() >= 9 + updates);
    assert!(object["azure_seconds"].as_f64().unwrap() > object["wall_seconds"].as_f64().unwrap());
    assert_eq!(ended.left, Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn the_same_seed_gives_the_same_addresses_and_writes() {
    let arguments = ["local", "--clusters", "1", "--seed", "11", "--json", "--speed", SPEED];
    let (one, other) = tokio::join!(run(&arguments, &[]), run(&arguments, &[]));
    let timeless = |ended: &Ended| {
        let mut object: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {}", ended.stderr));
        object["arm"]["reads"] = Value::Null;
        // How often a right is asked for before the directory knows its principal depends on the wall clock.
        object["arm"]["writes"] = Value::Null;
        object["azure_seconds"] = Value::Null;
        object["wall_seconds"] = Value::Null;
        object
    };
    assert_eq!(timeless(&one), timeless(&other));
}

#[tokio::test]
async fn three_different_clusters_leave_from_one_address_and_share_firewall_updates() {
    let ended = run(&["local", "--seed", "7", "--json", "--speed", SPEED], &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let object: Value = serde_json::from_str(&ended.stdout).unwrap();
    let clusters = object["clusters"].as_array().unwrap();
    let names: Vec<&Value> = clusters.iter().map(|cluster| &cluster["name"]).collect();
    assert_eq!(names, ["aks-01", "aks-02-kubenet", "aks-03-private"]);
    for cluster in clusters {
        assert_eq!(
            (&cluster["state"], &cluster["egress_ip"]),
            (&json!("settling"), &object["egress_ip"])
        );
    }
    let updates = object["arm"]["firewall_updates"].as_u64().unwrap();
    assert!((1..=5).contains(&updates), "{updates}");
    // Nine writes of each spoke, two of them routes for kubenet, and the updates of the firewall. A write that meets a running one
    // or a principal that is not known yet is refused, and counts.
    let writes = object["arm"]["writes"].as_u64().unwrap();
    assert!(writes >= 27 + updates, "{writes}");
}

#[tokio::test]
async fn the_table_is_on_standard_output_and_the_progress_is_not() {
    let ended = run(&["local", "--clusters", "1", "--speed", SPEED], &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    insta::assert_snapshot!(without_numbers_of_the_run(&ended.stdout));
    let said: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(said[0], "times are Azure's minutes:seconds");
    assert!(
        said[1].contains("aks-01: waits for AKS to create the cluster"),
        "{}",
        said[1]
    );
    assert!(
        said.last()
            .unwrap()
            .ends_with("the cluster's rights to be in force everywhere"),
        "{}",
        ended.stderr
    );
    let progress = &said[1..];
    let mut once: Vec<&str> = progress.iter().map(|line| line.split_once("] ").unwrap().1).collect();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), progress.len(), "said twice: {}", ended.stderr);
}

#[tokio::test]
async fn a_handler_that_is_killed_in_the_middle_is_started_again_and_the_cluster_is_wired() {
    let running = start(&["local", "--clusters", "1", "--json", "--speed", SPEED], &[]);
    running.says("Azure to finish").await;
    let handler = handler_of(&running).await;
    process::signal(handler, "KILL").await;
    until("another handler", || {
        children(running.pid).into_iter().find(|pid| *pid != handler)
    })
    .await;
    let ended = running.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let object: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(object["clusters"][0]["state"], "settling");
    assert_eq!(object["clusters"][0]["egress_ip"], object["egress_ip"]);
}

#[tokio::test]
async fn a_host_that_gives_up_on_the_handler_ends_the_command_with_1() {
    // Slow enough that the run is far from its end when the third process dies.
    let running = start(&["local", "--clusters", "1", "--speed", "5"], &[]);
    running.says("waits for AKS").await;
    let mut killed = Vec::new();
    for _ in 0..3 {
        let handler = until("a handler", || {
            children(running.pid).into_iter().find(|pid| !killed.contains(pid))
        })
        .await;
        process::signal(handler, "KILL").await;
        killed.push(handler);
    }
    let ended = running.end().await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("the stand-in host stopped: "), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.left, Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn ctrl_c_during_a_run_stops_everything_with_130() {
    for (name, speed) in [("INT", "5"), ("TERM", "5")] {
        let running = start(&["local", "--clusters", "1", "--speed", speed], &[]);
        running.says("waits for AKS").await;
        let handler = handler_of(&running).await;
        running.signal(name).await;
        let ended = running.end().await;
        assert_eq!(ended.code, Some(130), "{}", ended.stderr);
        assert!(
            ended.stderr.contains(&format!("stopped by SIG{name}")),
            "{}",
            ended.stderr
        );
        assert_eq!(ended.stdout, "");
        assert_eq!(ended.left, Vec::<std::path::PathBuf>::new());
        assert_eq!(command_line(handler), Vec::<String>::new(), "the handler still runs");
    }
}

#[tokio::test]
async fn packets_that_fare_otherwise_than_they_should_end_the_command_with_1() {
    // A cluster whose hub lacks what is configured keeps its own way out.
    let ended = local_with(&[("natGateways/hub-nat", "natGateways/no-nat")], SPEED).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let failed: Vec<&str> = ended.stdout.lines().filter(|line| line.starts_with("  FAIL")).collect();
    insta::assert_snapshot!(failed.join("\n"), @r"
      FAIL  aks-01: nodes -> mcr.microsoft.com:443: reached, seen from 198.51.100.3; expected to be seen from 203.0.113.10
      FAIL  aks-01: nodes -> api.partner.example:443: reached, seen from 198.51.100.3; expected to be seen from 203.0.113.10
      FAIL  aks-01: nodes -> aks-01-dns-vplaxxqs.hcp.westeurope.azmk8s.io:443: reached, seen from 198.51.100.3; expected to be seen from 203.0.113.10
      FAIL  aks-01: nodes -> not-allowed.example:443: reached, seen from 198.51.100.3; expected to be dropped at the firewall
    ");
    let last = ended.stderr.lines().last().unwrap();
    assert_eq!(last, "nothing will change by itself: aks-01 (waiting)");
}

#[tokio::test]
async fn what_the_operator_allows_is_expected_to_be_reached_and_is() {
    let rules = file(
        "[\"api.partner.example\"]",
        "[\"not-allowed.example\", \"other.example\"]",
    );
    let rules = rules.path().display().to_string();
    let web = [("HUBWARD__hubs__main__workload_egress", "web")];
    let arguments = ["local", "--clusters", "1", "--speed", SPEED, "--config", &rules];
    let (by_name, by_web) = tokio::join!(
        run(&arguments, &[]),
        run(&["local", "--clusters", "1", "--speed", SPEED], &web)
    );
    for (ended, names) in [
        (by_name, ["not-allowed.example", "other.example"]),
        (by_web, ["not-allowed.example", "api.partner.example"]),
    ] {
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        for name in names {
            let reached = format!("nodes -> {name}:443: reached, seen from 203.0.113.10");
            assert!(ended.stdout.contains(&reached), "{}", ended.stdout);
        }
    }
}

#[tokio::test]
async fn observe_mode_writes_nothing_and_is_no_success() {
    let ended = local_with(&[("mode = \"correct\"", "mode = \"observe\"")], SPEED).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains(" observed "), "{}", ended.stdout);
    assert!(ended.stdout.contains(" 0 writes,"), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("  before the switch  aks-01: "),
        "{}",
        ended.stdout
    );
    assert!(!ended.stdout.contains("FAIL"), "{}", ended.stdout);
}

#[tokio::test]
async fn a_cluster_that_is_never_heard_of_ends_the_command_with_1_and_with_the_reason() {
    let exclude = "exclude = [\"/subscriptions/5b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/rg-aks-01\"]";
    let ended = local_with(&[("[credential]", &format!("{exclude}\n[credential]"))], SPEED).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    insta::assert_snapshot!(ended.stderr.lines().last().unwrap(), @"nothing will change by itself: aks-01 (nothing heard of it; the app says: not ours: /subscriptions/5b1f6471-1bf0-4dda-aec3-cb9272f09590/resourcegroups/rg-aks-01/providers/Microsoft.ContainerService/managedClusters/aks-01 is excluded by scope.exclude)");
}

#[tokio::test]
async fn wrong_input_is_refused_on_one_line_before_anything_is_written() {
    let wrong = file("workload_egress = \"rules\"", "workload_egress = \"all\"");
    let unknown = file("nat_gateway = ", "nat_gatway = ");
    let contradictory = file(
        "firewall = \"/subscriptions/5b1f6471-1bf0-4dda-aec3-cb9272f09590",
        "firewall = \"/subscriptions/00000000-0000-4000-8000-000000000000",
    );
    let path = |file: &tempfile::NamedTempFile| file.path().display().to_string();
    let (wrong_path, unknown_path, contradictory_path) = (path(&wrong), path(&unknown), path(&contradictory));
    let broken = file("mode = \"correct\"", "mode = ");
    let broken_path = path(&broken);
    let cases: [(&[&str], &[&str]); 10] = [
        (&["lokal"], &["\"lokal\" is not a command"]),
        (&["local", "--nope"], &["--nope", "--clusters"]),
        (&["local", "--clusters", "0"], &["--clusters", "1 to 200"]),
        (&["local", "--clusters", "x"], &["--clusters", "1 to 200"]),
        (&["local", "--speed", "0"], &["--speed", "1 to 1000"]),
        (&["local", "--config", "/nope"], &["--config /nope cannot be read"]),
        (&["local", "--config", &broken_path], &[&broken_path, ": line 11: "]),
        (
            &["local", "--config", &wrong_path],
            &["hubs.main.workload_egress", "required_only, web, rules"],
        ),
        (
            &["local", "--config", &unknown_path],
            &["hubs.main.nat_gatway", "nat_gateway"],
        ),
        (
            &["local", "--config", &contradictory_path],
            &["hubs.main.virtual_network"],
        ),
    ];
    for (arguments, says) in cases {
        run(arguments, &[]).await.is_refused_with(says);
    }
    let of_shell: [(&str, &str, &[&str]); 4] = [
        ("HUBWARD_CONFIG", "/nope", &["HUBWARD_CONFIG /nope cannot be read"]),
        ("HUBWARD_CONFIG", &broken_path, &[&broken_path, ": line 11: "]),
        (
            "HUBWARD__hubs__main__workload_egress",
            "all",
            &["HUBWARD__hubs__main__workload_egress (", "required_only, web, rules"],
        ),
        (
            "HUBWARD__hubs__main__place",
            "x",
            &["HUBWARD__hubs__main__place (", "location"],
        ),
    ];
    for (name, value, says) in of_shell {
        run(&["local"], &[(name, value)]).await.is_refused_with(says);
    }
}

/// The example configuration with a text replaced, in a file.
fn file(from: &str, to: &str) -> tempfile::NamedTempFile {
    let example = include_str!("../../infra/hubward.example.toml");
    assert!(example.contains(from), "the example has no {from}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), example.replacen(from, to, 1)).unwrap();
    file
}

async fn local_with(replaced: &[(&str, &str)], speed: &str) -> Ended {
    let [(from, to)] = replaced else {
        panic!("one replacement")
    };
    let file = file(from, to);
    let path = file.path().display().to_string();
    run(&["local", "--clusters", "1", "--speed", speed, "--config", &path], &[]).await
}

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// The last line counts reads and seconds, which differ from run to run.
fn without_numbers_of_the_run(table: &str) -> String {
    let (before, last) = table.trim_end().rsplit_once('\n').unwrap();
    let mut last: Vec<String> = last.split(' ').map(str::to_owned).collect();
    for index in 1..last.len() {
        let word = last[index].trim_end_matches('.').trim_end_matches(',');
        // How often a right is asked for before the directory knows its principal depends on the wall clock.
        let counts = ["reads", "writes", "Azure", "s"].contains(&word) || word == "for";
        if counts {
            "_".clone_into(&mut last[index - 1]);
        }
    }
    format!("{before}\n{}", last.join(" "))
}
