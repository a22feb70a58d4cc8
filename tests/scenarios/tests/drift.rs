//! Drift: each field that is ours, changed by hand, is told with old and new and put right, and nothing else is written.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what is missing in a function of a test fails the test"
)]

use hubward::cli::{Said, command};
use hubward::work::HubReport;
use scenarios::{Cluster, Rig, Setup};
use serde_json::{Value, json};

/// Somebody's change of one field: of which resource, which field, to what, and how many writes put it right.
struct Change {
    id: String,
    field: String,
    to: Value,
}

#[tokio::test(start_paused = true)]
async fn every_owned_field_changed_by_hand_is_told_with_old_and_new_and_put_right_alone() {
    let mut rig = Rig::new(1).await;
    let clusters = rig.wire_clusters(2).await;
    tick(&mut rig).await;
    let quiet = run(&mut rig, &["drift"]).await;
    assert_eq!(
        (quiet.exit, quiet.stdout.as_str()),
        (0, "0 of 2 clusters and 0 of 1 hubs differ from what they should be\n")
    );

    for change in changes(&rig, &clusters[0]) {
        let before = rig.document(&change.id);
        let old = before.pointer(&change.field).cloned().unwrap_or_default();
        rig.azure
            .lock()
            .edit(&change.id, |body| set(body, &change.field, change.to.clone()));
        rig.story = format!("{} of {}", &change.field, change.id);

        let said = run(&mut rig, &["drift", "--json"]).await;
        assert_eq!(said.exit, 1, "{}: {}", rig.story, said.stdout);
        let found: Value = serde_json::from_str(&said.stdout).unwrap();
        let told: Vec<&Value> = ["clusters", "hubs"]
            .iter()
            .flat_map(|part| found[part].as_array().unwrap())
            .flat_map(|found| found["changes"].as_array().unwrap())
            .collect();
        assert_eq!(told.len(), 1, "{}: {told:#?}", rig.story);
        let (is, should) = (told[0]["old"].to_string(), told[0]["new"].to_string());
        assert!(is.contains(&meat(&change.to)), "{}: {told:#?}", rig.story);
        assert!(
            should.to_lowercase().contains(&meat(&old).to_lowercase()),
            "{}: {told:#?}",
            rig.story
        );

        let writes = rig.counters().writes;
        tick(&mut rig).await;
        let after = rig.document(&change.id);
        assert_eq!(
            after
                .pointer(&change.field)
                .map(|field| field.to_string().to_lowercase()),
            Some(old.to_string().to_lowercase()),
            "{}",
            rig.story
        );
        assert_eq!(rig.counters().writes, writes + 1, "{}", rig.story);
        assert_eq!(run(&mut rig, &["drift"]).await.exit, 0, "{}", rig.story);
        assert!(remembers(&rig, &clusters[0], &told[0]["field"]).await, "{}", rig.story);
    }
    rig.story = String::new();
    rig.assert_all_wired(&clusters).await;
}

#[tokio::test(start_paused = true)]
async fn fix_asks_the_app_which_puts_right_what_differs_also_before_the_first_sweep() {
    for alone in [true, false] {
        let mut rig = Rig::new(2).await;
        let clusters = rig.wire_clusters(2).await;
        let bent = changes(&rig, &clusters[0]).remove(0);
        rig.azure
            .lock()
            .edit(&bent.id, |body| set(body, &bent.field, bent.to.clone()));
        let mut words = vec!["drift", "--fix", "--reason", "somebody was here"];
        if alone {
            words.extend(["--cluster", clusters[0].id.as_str()]);
        }
        let said = run(&mut rig, &words).await;
        assert_eq!(said.exit, 0, "{}", said.stderr);
        rig.settle().await;
        rig.assert_all_wired(&clusters).await;
        assert_eq!(run(&mut rig, &["drift"]).await.exit, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn in_mode_observe_drift_is_told_and_left() {
    let mut rig = Rig::new(3).await;
    let clusters = rig.wire_clusters(1).await;
    rig.set("HUBWARD__mode", "observe");
    rig.crash(scenarios::Crash::Process).await;
    tick(&mut rig).await;
    let bent = changes(&rig, &clusters[0]).remove(0);
    rig.azure
        .lock()
        .edit(&bent.id, |body| set(body, &bent.field, bent.to.clone()));
    let writes = rig.counters().writes;
    tick(&mut rig).await;
    let fixed = run(&mut rig, &["drift", "--fix"]).await;
    assert_eq!(fixed.exit, 0, "{}", fixed.stderr);
    rig.settle().await;
    assert_eq!(rig.counters().writes, writes);
    let said = run(&mut rig, &["drift"]).await;
    assert_eq!(said.exit, 1);
    assert!(said.stdout.contains("is        10.9.9.9\n"), "{}", said.stdout);
    let report = rig.report(&clusters[0].key).await.unwrap();
    assert_eq!(report.drift.now.len(), 1, "{:#?}", report.drift);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_was_never_wired_is_new_and_has_not_drifted() {
    let mut rig = Rig::with(Setup::seeded(4).setting("HUBWARD__mode", "observe")).await;
    let cluster = rig.create_cluster(1);
    rig.settle().await;
    let said = run(&mut rig, &["drift"]).await;
    assert_eq!(said.exit, 0, "{}", said.stdout);
    assert!(
        said.stdout
            .ends_with("differ from what they should be; 1 not on the hub\n"),
        "{}",
        said.stdout
    );
    let report = rig.report(&cluster.key).await.unwrap();
    assert_eq!(report.drift, hubward::work::Drift::default());
}

#[tokio::test(start_paused = true)]
async fn the_report_for_people_is_as_it_is() {
    let mut rig = Rig::new(5).await;
    let clusters = rig.wire_clusters(1).await;
    for change in changes(&rig, &clusters[0]).into_iter().take(3) {
        rig.azure
            .lock()
            .edit(&change.id, |body| set(body, &change.field, change.to.clone()));
    }
    insta::assert_snapshot!(run(&mut rig, &["drift"]).await.stdout);
}

/// One change by hand of every field that is ours.
fn changes(rig: &Rig, cluster: &Cluster) -> Vec<Change> {
    let table = rig.route_table_of(cluster);
    let mut changes = Vec::new();
    let mut add = |id: &str, field: &str, to: Value| {
        changes.push(Change {
            id: id.to_owned(),
            field: field.to_owned(),
            to,
        });
    };
    let routes = rig.document(&table)["properties"]["routes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let default = routes
        .iter()
        .find(|route| route["properties"]["addressPrefix"] == "0.0.0.0/0");
    let default = default.unwrap()["id"].as_str().unwrap();
    add(default, "/properties/nextHopIpAddress", json!("10.9.9.9"));
    let back = routes
        .iter()
        .find(|route| route["properties"]["addressPrefix"] != "0.0.0.0/0");
    let back = back.unwrap()["id"].as_str().unwrap();
    add(back, "/properties/addressPrefix", json!("198.51.100.77/32"));
    let group = rig.our_group();
    let collections = rig.document(&group)["properties"]["ruleCollections"].clone();
    let places = (0..4).flat_map(|collection| (0..40).map(move |rule| (collection, rule)));
    let named = places
        .map(|(collection, rule)| format!("/{collection}/rules/{rule}/targetFqdns"))
        .find(|place| collections.pointer(place).is_some_and(|names| names[0].is_string()));
    let field = format!("/properties/ruleCollections{}", named.unwrap());
    add(&group, &field, json!(["evil.example"]));
    add(&group, "/properties/ruleCollections/0/priority", json!(4711));
    let hub = rig.azure.lock().world().hub.virtual_network.clone();
    for vnet in [&cluster.vnet, &hub] {
        let peerings = rig.document(vnet)["properties"]["virtualNetworkPeerings"].clone();
        let name = cluster.vnet.rsplit('/').next().unwrap_or_default();
        let ours = peerings.as_array().unwrap().iter().find(|peering| {
            let remote = peering["properties"]["remoteVirtualNetwork"]["id"]
                .as_str()
                .unwrap_or_default();
            vnet == &cluster.vnet || remote.ends_with(&format!("/{name}"))
        });
        let id = ours.unwrap()["id"].as_str().unwrap();
        add(id, "/properties/allowForwardedTraffic", json!(false));
        add(id, "/properties/allowVirtualNetworkAccess", json!(false));
    }
    add(&cluster.subnet, "/properties/routeTable", Value::Null);
    changes
}

fn set(body: &mut Value, field: &str, to: Value) {
    let (parent, last) = field.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap();
    match (to, parent) {
        (Value::Null, Value::Object(fields)) => {
            fields.remove(last);
        }
        (to, parent) => parent[last] = to,
    }
}

/// What of a value must be found in the report, which may tell a whole item.
fn meat(value: &Value) -> String {
    match value {
        Value::Array(items) => items.first().map_or_else(String::new, meat),
        Value::Object(fields) => fields.values().next().map_or_else(String::new, meat),
        Value::Null => String::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_)) => other.to_string(),
    }
}

/// True if the outcome of the cluster or of the hub still tells of it after it was put right.
async fn remembers(rig: &Rig, cluster: &Cluster, field: &Value) -> bool {
    let spoke = rig.report(&cluster.key).await.unwrap().drift;
    let hub = rig.ledger.outcomes.get("main").await.unwrap().unwrap();
    let hub = serde_json::from_value::<HubReport>(hub.body).unwrap().drift;
    assert!(spoke.now.is_empty() && hub.now.is_empty());
    spoke
        .last
        .iter()
        .chain(&hub.last)
        .any(|change| *field == change.field.as_str())
}

async fn tick(rig: &mut Rig) {
    rig.tick();
    rig.settle().await;
}

async fn run(rig: &mut Rig, words: &[&str]) -> Said {
    let desk = rig.desk().unwrap();
    rig.during(command(&desk, words)).await.unwrap()
}
