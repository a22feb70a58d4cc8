//! Azure on a bad day, and a configuration on one: missing rights, no way to ARM, failed operations, a busy policy, throttling,
//! somebody else's changes. Work is tried again with growing delay, nothing is lost, and it heals by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use azure_sim::{Fault, FaultEffect, Grant};
use hubward_core::finding::Code;
use scenarios::rig::queue::POISON;
use scenarios::rig::wire::{Fate, Moment};
use scenarios::{Crash, Rig, Setup};
use serde_json::json;

const SEEDS: [u64; 3] = [1, 2, 3];
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn a_missing_right_is_a_finding_with_action_and_scope_and_heals_when_it_is_granted() {
    for seed in SEEDS {
        let mut setup = Setup::seeded(seed);
        let scope = format!("/subscriptions/{}", setup.world.subscription);
        let actions = [
            "*/read",
            "*/join/action",
            "Microsoft.Network/virtualNetworks/*",
            "Microsoft.Network/firewallPolicies/*",
        ];
        setup.world.handler_rights = Some(vec![Grant {
            scope,
            actions: actions.map(str::to_owned).to_vec(),
        }]);
        let mut rig = Rig::with(setup).await;
        let cluster = rig.create_cluster(1);
        rig.run_for(6 * HOUR).await;

        let report = rig.report(&cluster.key).await.unwrap();
        assert_eq!(report.state.to_string(), "failed", "seed {seed}: {report:#?}");
        let finding = report.findings.iter().find(|f| f.code == Code::Forbidden);
        let finding = finding.unwrap_or_else(|| rig.fail(&format!("no finding `forbidden`: {report:#?}")));
        let group = format!("/resourceGroups/{}/", cluster.spec.resource_group);
        for part in ["Microsoft.Network/routeTables/write", &group] {
            assert!(
                finding.message.contains(part),
                "seed {seed}: {part} is not in {:?}",
                finding.message
            );
            assert!(
                finding.help.contains(part),
                "seed {seed}: {part} is not in {:?}",
                finding.help
            );
        }
        assert_delays_grow(&rig, &[60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(poisoned(&rig), 0, "seed {seed}");

        let person = rig.azure.lock().world().person.clone();
        let token = rig.azure.lock().token_for(&person, "https://management.azure.com/");
        rig.wire.lend_token(token);
        rig.settle().await;
        rig.assert_all_wired(&[cluster]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_way_to_arm_work_is_requeued_after_a_minute_doubling_to_an_hour_and_heals() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let cluster = rig.create_cluster(1);
        rig.wire.cut_off_arm(true);
        rig.run_for(6 * HOUR).await;
        let delays = assert_delays_grow(&rig, &[60, 120, 240, 480, 960, 1920, 3600, 3600]);
        let key = rig.ledger.keys.get(&cluster.key).await.unwrap().unwrap();
        assert_eq!(usize::try_from(key.attempts), Ok(delays), "seed {seed}: {key:?}");
        assert!(key.first_failed_at.is_some(), "seed {seed}: {key:?}");
        assert_eq!((rig.counters().writes, poisoned(&rig)), (0, 0), "seed {seed}");

        rig.wire.cut_off_arm(false);
        rig.settle().await;
        rig.assert_all_wired(std::slice::from_ref(&cluster)).await;
        let key = rig.ledger.keys.get(&cluster.key).await.unwrap().unwrap();
        assert_eq!((key.attempts, poisoned(&rig)), (0, 0), "seed {seed}: {key:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_arm_in_the_middle_of_a_wiring_costs_nothing_but_time() {
    for seed in SEEDS {
        for after_writes in [1, 3, 4] {
            let mut rig = Rig::new(seed).await;
            let cluster = rig.create_cluster(1);
            rig.run_until("some writes", |rig| rig.counters().writes >= after_writes)
                .await;
            rig.wire.cut_off_arm(true);
            rig.run_for(HOUR).await;
            rig.wire.cut_off_arm(false);
            rig.settle().await;
            rig.assert_all_wired(&[cluster]).await;
            assert_eq!(poisoned(&rig), 0, "seed {seed}");
            assert!(
                rig.accepted_writes().len() <= 8,
                "seed {seed}: {:?}",
                rig.accepted_writes()
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peering_that_azure_failed_to_make_is_made_again_after_a_delay() {
    failed_once("virtualNetworkPeerings").await;
}

#[tokio::test(start_paused = true)]
async fn a_route_table_that_azure_failed_to_make_is_made_again_after_a_delay() {
    failed_once("routeTables").await;
}

#[tokio::test(start_paused = true)]
async fn rules_that_azure_failed_to_put_in_force_are_written_again_after_a_delay() {
    failed_once("ruleCollectionGroups").await;
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_azure_failed_is_made_again_after_a_delay() {
    failed_once("subnets/nodes").await;
}

/// Azure accepts the first write whose path holds `path` and fails its operation.
async fn failed_once(path: &str) {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let cluster = rig.create_cluster(1);
        let network = cluster.vnet.clone();
        rig.run_until("the network exists", |rig| {
            rig.azure.lock().document(&network).is_some()
        })
        .await;
        if path.starts_with("subnets") {
            // The right on the subnet has a path that begins so too, and comes first.
            let right = format!("{}/providers/Microsoft.Authorization", cluster.subnet).to_ascii_lowercase();
            rig.run_until("the right on the subnet is given", |rig| {
                let rights = rig.ids_of("Microsoft.Authorization/roleAssignments");
                rights.iter().any(|id| id.to_ascii_lowercase().starts_with(&right))
            })
            .await;
        }
        rig.azure.lock().inject(Fault {
            method: Some(http::Method::PUT),
            path_contains: path.to_owned(),
            nth: 1,
            effect: FaultEffect::FailOperation {
                code: "InternalServerError".to_owned(),
                message: "An error occurred.".to_owned(),
            },
        });
        rig.settle().await;
        let said = rig.said("Work").join("\n");
        assert!(said.contains("tries again in "), "seed {seed}, {path}: {said}");
        rig.assert_all_wired(std::slice::from_ref(&cluster)).await;
        let table = rig.route_table_of(&cluster);
        for id in [&table, &cluster.subnet, &rig.our_group()] {
            let state = rig.document(id)["properties"]["provisioningState"].clone();
            assert_eq!(state, "Succeeded", "seed {seed}: {id} after a failed write of {path}");
        }
        assert_eq!(poisoned(&rig), 0, "seed {seed}, {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_somebody_else_is_updating_is_waited_for() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let cluster = rig.create_cluster(1);
        let group = rig.azure.lock().world().hub.foreign_rule_collection_group.clone();
        rig.run_until("the first write", |rig| rig.counters().writes > 0).await;
        let mut body = rig.document(&group);
        body["properties"]["priority"] = json!(39_000);
        let (now, path) = (rig.now(), format!("{group}?api-version=2024-05-01"));
        let answer = rig
            .azure
            .lock()
            .person_request(http::Method::PUT, &path, Some(body), now);
        assert!(answer.status().is_success(), "seed {seed}: {answer:?}");
        rig.settle().await;
        rig.assert_all_wired(&[cluster]).await;
        let said = rig.said("Work").join("\n");
        assert!(
            said.contains("somebody else is updating the firewall"),
            "seed {seed}: {said}"
        );
        assert_eq!(rig.document(&group)["properties"]["priority"], 39_000, "seed {seed}");
        assert_eq!((rig.accepted_writes().len(), poisoned(&rig)), (7, 0), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_waits_as_long_as_azure_asks() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        rig.azure.lock().inject(Fault {
            method: Some(http::Method::PUT),
            path_contains: "/routeTables/".to_owned(),
            nth: 1,
            effect: FaultEffect::Throttle { retry_after: Some(177) },
        });
        let clusters = rig.wire_clusters(1).await;
        rig.assert_all_wired(&clusters).await;
        let azure = rig.azure.lock();
        let refused = azure.trace().iter().find(|call| call.status == 429).unwrap();
        let again = azure
            .trace()
            .iter()
            .find(|call| call.path == refused.path && call.at > refused.at)
            .unwrap();
        let waited = (again.at - refused.at).as_seconds_f64();
        assert!(
            (177.0..187.0).contains(&waited),
            "seed {seed}: came back after {waited} s"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_change_between_our_read_and_our_write_is_refused_and_planned_anew() {
    for seed in SEEDS {
        // The last read of the subnet before its write is the one that the write hangs on; the seed makes it the same again.
        let (_, reads) = wired_with_edit_before_read(seed, None).await;
        let (rig, again) = wired_with_edit_before_read(seed, Some(reads)).await;
        assert!(
            again > reads,
            "seed {seed}: the subnet was written without another look"
        );
        let endpoints = rig.document(&subnet_one(&rig))["properties"]["serviceEndpoints"].clone();
        assert_eq!(
            endpoints[0]["service"], "Microsoft.Sql",
            "seed {seed}: the change was written over"
        );
        assert_eq!(
            rig.accepted_writes().len(),
            7,
            "seed {seed}: the refused write was not sent"
        );
    }
}

/// Wires one cluster, and lets somebody edit its subnet right before read number `at` of it. Gives how often the subnet was
/// read before it was written.
async fn wired_with_edit_before_read(seed: u64, at: Option<u64>) -> (Rig, u64) {
    let mut rig = Rig::new(seed).await;
    let cluster = rig.create_cluster(1);
    let (subnet, reads) = (cluster.subnet.clone(), Arc::new(AtomicU64::new(0)));
    let (counted, mut written) = (Arc::clone(&reads), false);
    rig.wire.hook(move |azure, call| {
        written |= call.is_arm("PUT", "/subnets/nodes");
        if call.moment == Moment::Before && call.is_arm("GET", "/subnets/nodes") && !written {
            let number = counted.fetch_add(1, Ordering::Relaxed) + 1;
            if at == Some(number) {
                let endpoints = json!([{"service": "Microsoft.Sql"}]);
                azure.edit(&subnet, |body| body["properties"]["serviceEndpoints"] = endpoints);
            }
        }
        Fate::Goes
    });
    rig.settle().await;
    rig.assert_wired(&cluster);
    (rig, reads.load(Ordering::Relaxed))
}

fn subnet_one(rig: &Rig) -> String {
    let nodes = rig.ids_of("Microsoft.Network/virtualNetworks/subnets");
    let found = nodes.iter().find(|id| id.ends_with("/aks-01-vnet/subnets/nodes"));
    found.cloned().unwrap_or_else(|| rig.fail("there is no node subnet"))
}

#[tokio::test(start_paused = true)]
async fn a_foreign_change_while_we_write_is_told_and_mended() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let cluster = rig.create_cluster(1);
        let subnet = cluster.subnet.clone();
        let mut edited = false;
        rig.wire.hook(move |azure, call| {
            if call.moment == Moment::After && call.is_arm("PUT", "/subnets/nodes") && !edited {
                edited = true;
                azure.edit(&subnet, |body| {
                    let properties = body["properties"].as_object_mut().unwrap();
                    properties.remove("routeTable");
                });
            }
            Fate::Goes
        });
        let mut told = false;
        for _ in 0..200 {
            rig.run_for(Duration::from_secs(10)).await;
            let report = rig.report(&cluster.key).await;
            told |= report.is_some_and(|r| r.findings.iter().any(|f| f.code == Code::LostUpdate));
        }
        assert!(told, "seed {seed}: nobody was told of the lost update");
        rig.settle().await;
        rig.assert_all_wired(&[cluster]).await;
        assert_eq!(rig.accepted_writes().len(), 8, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_bad_configuration_events_come_again_and_work_is_requeued_and_nothing_is_lost() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed).await;
        let first = rig.create_cluster(1);
        rig.run_until("the first write", |rig| rig.counters().writes > 0).await;
        rig.stop_app(Crash::Process).await;
        rig.set("HUBWARD__mode", "sometimes");
        rig.start_app().await;
        let second = rig.create_cluster(2);
        let (writes, lines) = (rig.counters().writes, rig.lines.len());
        rig.run_for(2 * HOUR).await;

        let new = &rig.lines[lines..];
        let events: Vec<_> = new.iter().filter(|line| line.function == "ClusterEvents").collect();
        assert!(events.len() > 1, "seed {seed}: Event Grid came again");
        for line in events {
            assert!(
                !line.done && line.text.contains("HUBWARD__mode"),
                "seed {seed}: {line:?}"
            );
        }
        let work: Vec<_> = new.iter().filter(|line| line.function == "Work").collect();
        assert!(
            !work.is_empty() && work.iter().all(|line| line.done),
            "seed {seed}: {work:#?}"
        );
        assert!(
            work.iter().any(|line| line.text.contains("tries again in")),
            "seed {seed}: {work:#?}"
        );
        assert_eq!((rig.counters().writes, poisoned(&rig)), (writes, 0), "seed {seed}");

        rig.set("HUBWARD__mode", "correct");
        rig.crash(Crash::Process).await;
        rig.settle().await;
        rig.assert_all_wired(&[first, second]).await;
        assert!(rig.azure.lock().undelivered().is_empty(), "seed {seed}");
    }
}

/// The delays that `Work` told of must be these, and maybe more; gives their number.
fn assert_delays_grow(rig: &Rig, wanted: &[u64]) -> usize {
    let delays: Vec<u64> = rig
        .said("Work")
        .iter()
        .filter_map(|text| text.rsplit_once("tries again in ")?.1.strip_suffix(" s")?.parse().ok())
        .collect();
    assert!(delays.starts_with(wanted), "seed {}: {delays:?}", rig.seed);
    delays.len()
}

fn poisoned(rig: &Rig) -> usize {
    rig.azure.lock().storage().queue_length(POISON)
}
