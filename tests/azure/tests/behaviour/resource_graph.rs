//! Resource Graph: what the drift timer's list is made of.

use crate::bench::{Answer, Bench, START};
use azure_sim::{ClusterSpec, Grant, World};
use http::Method;
use serde_json::{Value, json};

const LIST: &str = "resources | where type =~ 'microsoft.containerservice/managedclusters' \
                    | project id, name, location, tags | order by id asc";

/// A bench with this many clusters, all of them in the graph.
fn bench(clusters: u8) -> Bench {
    let mut bench = Bench::new();
    for index in 1..=clusters {
        bench
            .azure
            .create_cluster(&ClusterSpec::usual(&format!("c{index}"), index), START);
    }
    bench.pass(1800);
    bench
}

fn ask(bench: &mut Bench, query: &str, options: Value) -> Answer {
    let subscription = bench.azure.world().subscription.clone();
    let body = json!({"query": query, "subscriptions": [subscription], "options": options});
    let path = "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01";
    bench.send(Method::POST, path, Some(body))
}

fn names(answer: &Answer) -> Vec<&str> {
    let rows = answer.body["data"].as_array().unwrap();
    rows.iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn the_list_of_clusters_has_the_columns_asked_for_in_order() {
    let mut bench = bench(3);
    let answer = ask(&mut bench, LIST, json!({}));
    assert_eq!(names(&answer), ["c1", "c2", "c3"]);
    let columns: Vec<&String> = answer.body["data"][0].as_object().unwrap().keys().collect();
    assert_eq!(columns, ["id", "name", "location", "tags"]);
    assert_eq!(answer.body["data"][0]["tags"], json!({"team": "shop"}));
    assert_eq!(
        [
            &answer.body["count"],
            &answer.body["totalRecords"],
            &answer.body["resultTruncated"]
        ],
        [&json!(3), &json!(3), &json!("false")]
    );
    assert_eq!(answer.body.get("$skipToken"), None);
}

#[test]
fn pages_are_followed_by_a_token_as_long_as_rows_have_their_ids() {
    let mut bench = bench(5);
    let mut found = Vec::new();
    let mut options = json!({"$top": 2});
    let mut pages = 0;
    loop {
        let answer = ask(&mut bench, LIST, options.clone());
        assert_eq!((answer.status, &answer.body["totalRecords"]), (200, &json!(5)));
        found.extend(names(&answer).into_iter().map(str::to_owned));
        pages += 1;
        let Some(token) = answer.body.get("$skipToken") else {
            break;
        };
        options["$skipToken"] = token.clone();
    }
    assert_eq!(
        (pages, found.as_slice()),
        (3, ["c1", "c2", "c3", "c4", "c5"].map(str::to_owned).as_slice())
    );
    let blind = "resources | where type =~ 'microsoft.containerservice/managedclusters' | project name";
    let answer = ask(&mut bench, blind, json!({"$top": 2}));
    assert_eq!(
        (&answer.body["resultTruncated"], answer.body.get("$skipToken")),
        (&json!("true"), None)
    );
    assert_eq!(ask(&mut bench, LIST, json!({"$top": 1001})).status, 400);
    assert_eq!(ask(&mut bench, LIST, json!({"$skipToken": "edited"})).status, 400);
}

#[test]
fn rows_come_late_and_go_late() {
    let mut bench = bench(1);
    let id = ask(&mut bench, LIST, json!({})).body["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let deleted = bench.send(Method::DELETE, &format!("{id}?api-version=2025-05-01"), None);
    while bench.azure.document(&id).is_some() {
        bench.pass(1);
    }
    assert_eq!(deleted.status, 202);
    bench.pass(3);
    assert_eq!(
        ask(&mut bench, LIST, json!({})).body["count"],
        1,
        "the row outlives the cluster"
    );
    bench.pass(61);
    assert_eq!(ask(&mut bench, LIST, json!({})).body["count"], 0);
}

#[test]
fn fifteen_queries_in_five_seconds_are_all_there_are() {
    let mut bench = bench(1);
    let first = ask(&mut bench, LIST, json!({}));
    assert_eq!(first.header("x-ms-user-quota-remaining"), Some("14"));
    assert_eq!(first.header("x-ms-user-quota-resets-after"), Some("00:00:05"));
    for _ in 1..15 {
        assert_eq!(ask(&mut bench, LIST, json!({})).status, 200);
    }
    bench.pass(2);
    let refused = ask(&mut bench, LIST, json!({}));
    assert_eq!((refused.status, refused.code()), (429, "RateLimiting"));
    assert_eq!(refused.header("x-ms-user-quota-remaining"), Some("0"));
    assert_eq!(refused.header("x-ms-user-quota-resets-after"), Some("00:00:03"));
    bench.pass(3);
    assert_eq!(ask(&mut bench, LIST, json!({})).status, 200);
}

#[test]
fn only_what_the_caller_may_read_is_shown() {
    let mut bench = bench(2);
    let scope = bench.group("rg-c2");
    bench.azure.set_handler_rights(Some(vec![Grant {
        scope,
        actions: vec!["*/read".to_owned()],
    }]));
    assert_eq!(names(&ask(&mut bench, LIST, json!({}))), ["c2"]);
}

#[test]
fn queries_and_subscriptions_that_are_not_known_are_refused() {
    let mut bench = Bench::with(World::one_hub(), 7);
    let refused = ask(&mut bench, "resources | summarize count()", json!({}));
    assert_eq!((refused.status, refused.code()), (400, "BadRequest"));
    assert!(refused.message().contains("summarize"));
    let body = json!({"query": LIST, "subscriptions": ["00000000-0000-0000-0000-000000000000"]});
    let path = "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01";
    let refused = bench.send(Method::POST, path, Some(body));
    assert!(refused.message().starts_with("NoValidSubscriptionsInQueryRequest"));
}
