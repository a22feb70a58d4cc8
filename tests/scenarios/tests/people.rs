//! What people do with the command line while the app runs: they watch, wait, approve, pause, explain. Every command is the one of
//! the executable, run at a desk in virtual time, with the person's own rights on Azure and the app's door for what writes.

#![allow(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use hubward::cli::{Ask, Said, command};
use hubward::stage::Setup;
use scenarios::rig::Rig;
use serde_json::Value;

const SEED: u64 = 1;
const MINUTE: Duration = Duration::from_secs(60);

/// Runs a command while everything else goes on. `'` holds words together.
async fn hubward(rig: &mut Rig, line: &str) -> Said {
    let desk = rig.desk().unwrap_or_else(|error| panic!("a desk: {error:?}"));
    let parts: Vec<&str> = line.split('\'').collect();
    let mut words: Vec<&str> = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        if at % 2 == 0 {
            words.extend(part.split_whitespace());
        } else {
            words.push(part);
        }
    }
    let said = rig.during(async { command(&desk, &words).await }).await;
    said.unwrap_or_else(|error| panic!("the stage goes on: {error:?}"))
}

/// As [`hubward`], which must end with this exit code; gives standard output.
async fn ends(rig: &mut Rig, exit: u8, line: &str) -> String {
    let said = hubward(rig, line).await;
    assert_eq!(said.exit, exit, "{line}: {said:#?}");
    said.stdout
}

/// A command that is refused or ends badly: its last line on standard error.
async fn refused(rig: &mut Rig, exit: u8, line: &str) -> String {
    let said = hubward(rig, line).await;
    assert_eq!((said.exit, said.stdout.as_str()), (exit, ""), "{line}: {said:#?}");
    let last = said.stderr.lines().last().unwrap_or_default().to_owned();
    assert!(!last.is_empty(), "{line} says nothing");
    last
}

/// How far a cluster is, as a pipeline asks over HTTP.
async fn asked(rig: &mut Rig, id: &str, goal: &str) -> (u16, Value) {
    let desk = rig.desk().unwrap_or_else(|error| panic!("a desk: {error:?}"));
    let query = [("id", id), ("for", goal)];
    let answer = rig
        .during(async { desk.ask(Ask::Get, "Status", &query, None).await })
        .await;
    let answer = answer
        .unwrap_or_else(|error| panic!("the stage goes on: {error:?}"))
        .unwrap_or_else(|error| panic!("the app answers: {error:?}"));
    (answer.status, answer.body)
}

async fn in_mode(mode: &str) -> Rig {
    Rig::with(Setup::seeded(SEED).setting("HUBWARD__mode", mode)).await
}

#[tokio::test(start_paused = true)]
async fn in_mode_approve_nothing_is_written_before_somebody_agrees_and_then_the_cluster_is_wired() {
    let mut rig = in_mode("approve").await;
    let cluster = rig.create_cluster(1);
    rig.settle().await;
    assert_eq!(rig.state(&cluster).await, "pending_approval");
    assert_eq!(rig.counters().writes, 0);

    // Waiting does not help, and the command says what does.
    let told = ends(&mut rig, 1, "wait aks-01 --for wired").await;
    assert!(told.contains("wait for approval; hubward approve "), "{told}");
    let (status, body) = asked(&mut rig, &cluster.id, "wired").await;
    assert_eq!(status, 409, "{body}");

    let lines = ends(&mut rig, 0, "approve aks-01 --reason 'the owner agrees'").await;
    assert!(lines.contains("aks-01: switch-"), "{lines}");
    let shown = ends(&mut rig, 0, "status aks-01").await;
    assert!(
        shown.contains("last cause  command approve: the owner agrees"),
        "{shown}"
    );
    let told = ends(&mut rig, 0, "wait aks-01 --for wired --timeout 30m").await;
    assert_eq!(told, "aks-01 is settling\n", "settling counts as wired");
    rig.settle().await;
    rig.assert_all_wired(&[cluster]).await;
    // Nothing is left to agree to.
    let line = refused(&mut rig, 1, "approve aks-01 --reason again").await;
    assert_eq!(line, "nothing of aks-01 waits for approval: it is wired");
}

#[tokio::test(start_paused = true)]
async fn one_step_can_be_approved_and_the_others_wait() {
    let mut rig = in_mode("approve").await;
    let cluster = rig.create_cluster(1);
    rig.settle().await;
    let held = rig
        .report(&cluster.key)
        .await
        .unwrap_or_else(|| panic!("there is no outcome"))
        .held;
    let first = &held[0];
    let line = format!("approve aks-01 --step {} --reason 'the peering first'", first.digest);
    let lines = ends(&mut rig, 0, &line).await;
    assert_eq!(lines, format!("aks-01: {} is approved\n", first.id));
    rig.settle().await;
    assert_eq!(rig.state(&cluster).await, "pending_approval");
    let left = rig
        .report(&cluster.key)
        .await
        .unwrap_or_else(|| panic!("there is no outcome"))
        .held;
    assert!(left.iter().all(|step| step.digest != first.digest), "{left:?}");
    assert_eq!(rig.counters().writes - rig.counters().firewall_updates, 1);
    let wrong = refused(&mut rig, 1, "approve aks-01 --step 0123456789abcdef --reason x").await;
    assert!(wrong.starts_with("no step 0123456789abcdef of aks-01 waits"), "{wrong}");
}

#[tokio::test(start_paused = true)]
async fn what_a_prepared_cluster_asks_for_is_accepted_by_approving_it() {
    let setup = Setup::seeded(SEED).setting("HUBWARD__hubs__main__workload_egress", "required_only");
    let mut rig = Rig::with(setup).await;
    let cluster = rig.create_cluster(1);
    ends(&mut rig, 0, &format!("wait {} --for prepared", cluster.id)).await;
    rig.settle().await;
    assert_eq!(rig.state(&cluster).await, "prepared");
    let told = ends(&mut rig, 1, "wait aks-01 --for wired").await;
    assert!(told.contains("workload_egress_undecided"), "{told}");
    let lines = ends(&mut rig, 0, "approve aks-01 --reason 'the rules are enough'").await;
    assert_eq!(
        lines,
        "aks-01: workload_egress_undecided is accepted for required_only of aks-01\n"
    );
    ends(&mut rig, 0, "wait aks-01 --for wired").await;
    rig.settle().await;
    rig.assert_all_wired(&[cluster]).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_hub_writes_nothing_until_somebody_resumes_it() {
    let mut rig = Rig::new(SEED).await;
    ends(&mut rig, 0, "pause main --reason 'change freeze'").await;
    let cluster = rig.create_cluster(1);
    rig.settle().await;
    assert_eq!(rig.counters().writes, 0);
    let told = ends(&mut rig, 1, "wait aks-01 --for prepared").await;
    assert!(told.contains("hub main is paused; hubward resume main"), "{told}");
    let shown = ends(&mut rig, 0, "status").await;
    assert!(
        shown.starts_with("hub main is paused by somebody with a function key: change freeze"),
        "{shown}"
    );
    let again = ends(&mut rig, 0, "pause main --reason 'change freeze'").await;
    assert_eq!(again, "hub main was paused already\n");

    let resumed = ends(&mut rig, 0, "resume main").await;
    assert_eq!(resumed, "hub main is resumed: it and 1 of its clusters are looked at\n");
    ends(&mut rig, 0, "wait aks-01 --for wired").await;
    rig.settle().await;
    rig.assert_all_wired(&[cluster]).await;
    let line = refused(&mut rig, 1, "resume main").await;
    assert_eq!(line, "hub main is not paused");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_times_out_exits_1_and_one_that_has_time_exits_0() {
    let mut rig = Rig::new(SEED).await;
    let cluster = rig.create_cluster(1);
    let (status, body) = asked(&mut rig, &cluster.id, "wired").await;
    assert_eq!(
        (status, body["line"].as_str()),
        (202, Some("aks-01 was not looked at yet"))
    );
    let began = rig.seconds();
    let line = format!("wait {} --for wired --timeout 2m", cluster.id);
    let told = ends(&mut rig, 1, &line).await;
    assert!(told.starts_with("the time of 120 s is over: aks-01 "), "{told}");
    let took = rig.seconds() - began;
    assert!((120.0..130.0).contains(&took), "{took}");

    let said = hubward(&mut rig, &format!("wait {} --for wired --json", cluster.id)).await;
    assert_eq!(said.exit, 0, "{said:#?}");
    let end: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("one JSON object: {error:?}"));
    assert_eq!(
        (end["reached"].as_bool(), end["cluster"]["state"].as_str()),
        (Some(true), Some("settling"))
    );
    // Progress was told on the way, each line once while it stayed the same.
    let progress: Vec<&str> = said.stderr.lines().collect();
    assert!(
        !progress.is_empty() && progress.windows(2).all(|two| two[0] != two[1]),
        "{progress:?}"
    );
    assert_eq!(asked(&mut rig, &cluster.id, "wired").await.0, 200);
    assert_eq!(asked(&mut rig, &cluster.id, "prepared").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_older_than_the_installation_is_wired_once_somebody_answers_for_it() {
    let mut rig = Rig::without_app(Setup::seeded(SEED)).await;
    let cluster = rig.create_cluster(1);
    rig.run_for(10 * MINUTE).await;
    rig.start_app().await;
    rig.settle().await;
    assert_eq!(rig.state(&cluster).await, "observed");
    let told = ends(&mut rig, 1, "wait aks-01 --for wired").await;
    assert!(told.contains("older_than_installation"), "{told}");
    let lines = ends(&mut rig, 0, "approve aks-01 --reason 'the owner agrees to one reset'").await;
    assert!(
        lines.starts_with("aks-01 is wired although it is older than the installation\n"),
        "{lines}"
    );
    ends(&mut rig, 0, "wait aks-01 --for wired").await;
    rig.settle().await;
    rig.assert_all_wired(&[cluster]).await;
}

#[tokio::test(start_paused = true)]
async fn an_offboarded_cluster_is_left_alone_until_somebody_takes_that_back() {
    let mut rig = Rig::new(SEED).await;
    let cluster = rig.wire_clusters(1).await.remove(0);
    ends(&mut rig, 0, "offboard aks-01 --reason 'it moves to another hub'").await;
    rig.settle().await;
    assert_eq!(rig.state(&cluster).await, "offboarded");
    // Whatever asks for it again, it is left alone.
    ends(&mut rig, 0, "apply aks-01").await;
    rig.settle().await;
    assert_eq!(rig.state(&cluster).await, "offboarded");
    let lines = ends(&mut rig, 0, "approve aks-01 --reason 'it stays'").await;
    assert_eq!(lines, "aks-01 is no longer kept off its hub\n");
    rig.settle().await;
    rig.assert_all_wired(&[cluster]).await;
}

#[tokio::test(start_paused = true)]
async fn explain_says_of_each_thing_why_it_is_there_and_what_breaks_without_it() {
    let mut rig = Rig::new(SEED).await;
    let cluster = rig.wire_clusters(1).await.remove(0);
    let all = ends(&mut rig, 0, "explain aks-01").await;
    assert!(all.starts_with("aks-01 is wired: "), "{all}");
    let rules: Vec<&str> = all
        .lines()
        .filter(|line| line.starts_with("rule ") && !line.starts_with("rule group "))
        .collect();
    assert!(rules.len() > 5, "{all}");
    for line in all
        .lines()
        .filter(|line| !line.starts_with("aks-01 is") && !line.starts_with("finding"))
    {
        assert!(line.contains("; without ") || line.contains("outboundType"), "{line}");
    }
    // Each of them alone: a rule by its name, a route and a peering by id.
    let name = rules[0]
        .split([' ', ':'])
        .nth(1)
        .unwrap_or_else(|| panic!("it has no name"))
        .to_owned();
    assert_eq!(
        ends(&mut rig, 0, &format!("explain {name}")).await,
        format!("{}\n", rules[0])
    );
    let route = format!("{}/routes/hubward-default", rig.route_table_of(&cluster));
    let told = ends(&mut rig, 0, &format!("explain {route}")).await;
    assert!(
        told.starts_with("route hubward-default: sends what leaves the networks"),
        "{told}"
    );
    let group = rig.our_group();
    let told = ends(&mut rig, 0, &format!("explain {group}")).await;
    assert!(
        told.contains("carries the rules of every cluster of hub main"),
        "{told}"
    );
    let line = refused(&mut rig, 2, "explain somebodys-route").await;
    assert!(
        line.starts_with("\"somebodys-route\" is nothing that Hubward made or knows"),
        "{line}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_command_that_names_nothing_known_is_refused_on_one_line() {
    let mut rig = Rig::new(SEED).await;
    for (exit, line, says) in [
        (
            2,
            "pause north --reason x",
            "hub \"north\" is not configured; allowed: main",
        ),
        (2, "apply shop", "\"shop\" is not a cluster that Hubward knows"),
        (2, "status shop", "\"shop\" is not a cluster that Hubward knows"),
        (
            2,
            "wait shop --for wired",
            "\"shop\" is not a cluster that Hubward knows",
        ),
        (
            2,
            "wait shop --for ready",
            "--for is \"ready\"; allowed: prepared, wired",
        ),
        (2, "wait shop", "--for <GOAL> is missing"),
        (2, "approve shop", "--reason <TEXT> is missing"),
        (
            2,
            "apply /subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/a",
            "is not in the configured scope",
        ),
        (
            2,
            "apply /subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v",
            "args.cluster is",
        ),
    ] {
        let told = refused(&mut rig, exit, line).await;
        assert!(told.contains(says) && told.contains("allowed: "), "{line}: {told}");
    }
    assert_eq!(
        ends(&mut rig, 0, "status").await,
        "Hubward has looked at no cluster yet.\n"
    );
}

#[tokio::test(start_paused = true)]
async fn a_person_who_only_reads_writes_nothing_in_azure_or_in_the_ledger() {
    let mut rig = Rig::new(SEED).await;
    let cluster = rig.wire_clusters(1).await.remove(0);
    let before = rig.counters().writes;
    let key = rig
        .ledger
        .keys
        .get(&cluster.key)
        .await
        .unwrap_or_else(|error| panic!("the ledger: {error:?}"));
    for line in [
        "status",
        "status aks-01 --json",
        "explain aks-01",
        "wait aks-01 --for wired",
    ] {
        ends(&mut rig, 0, line).await;
    }
    ends(&mut rig, 0, &format!("plan --cluster {}", cluster.id)).await;
    assert_eq!(rig.counters().writes, before);
    assert_eq!(
        rig.ledger
            .keys
            .get(&cluster.key)
            .await
            .unwrap_or_else(|error| panic!("the ledger: {error:?}")),
        key
    );
}
