use serde_json::json;

use super::*;

const QUERY: &str =
    "Resources | where type =~ 'microsoft.containerservice/managedclusters' | project id | order by id asc";
const ADDRESS: &str =
    "POST https://management.azure.com/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01";

fn rows(ids: &[&str], token: Option<&str>) -> serde_json::Value {
    let data: Vec<_> = ids.iter().map(|id| json!({"id": id})).collect();
    let mut page =
        json!({"totalRecords": 9, "count": ids.len(), "data": data, "facets": [], "resultTruncated": "false"});
    if let Some(token) = token {
        page["$skipToken"] = token.into();
        page["resultTruncated"] = "true".into();
    }
    page
}

fn subscriptions() -> Vec<String> {
    vec!["s".to_owned()]
}

#[tokio::test]
async fn every_page_of_a_query_is_read_by_its_skip_token() {
    let script = [
        rows(&["a", "b"], Some("t1")),
        rows(&["c"], Some("t2")),
        rows(&["d"], None),
    ];
    let bench = Bench::new(script.iter().map(|page| answer(200, &page.to_string())).collect());
    let found = bench.arm.query(&subscriptions(), QUERY).await.unwrap();
    let ids: Vec<&str> = found.iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(ids, ["a", "b", "c", "d"]);
    assert_eq!(bench.lines(), [ADDRESS; 3]);
    let bodies: Vec<serde_json::Value> = bench
        .sent()
        .iter()
        .map(|s| serde_json::from_str(&s.body).unwrap())
        .collect();
    assert_eq!(bodies[0]["subscriptions"], json!(["s"]));
    assert_eq!(bodies[0]["query"], QUERY);
    assert_eq!(
        bodies[0]["options"],
        json!({"resultFormat": "objectArray", "$top": 1000})
    );
    assert_eq!(bodies[1]["options"]["$skipToken"], "t1");
    assert_eq!(bodies[2]["options"]["$skipToken"], "t2");
    assert!(bench.slept().is_empty());
}

#[tokio::test]
async fn a_used_up_quota_is_waited_for_between_pages_and_not_after_the_last() {
    let headers = [
        ("x-ms-user-quota-remaining", "0"),
        ("x-ms-user-quota-resets-after", "00:00:05"),
    ];
    let bench = Bench::new(vec![
        answer_with(200, &headers, &rows(&["a"], Some("t1")).to_string()),
        answer_with(200, &headers, &rows(&["b"], None).to_string()),
    ]);
    assert_eq!(bench.arm.query(&subscriptions(), QUERY).await.unwrap().len(), 2);
    assert_eq!(bench.slept(), [Duration::from_secs(5)]);
}

#[tokio::test]
async fn a_throttled_query_says_when_the_quota_is_back() {
    let body = r#"{"error":{"code":"RateLimiting","message":"Please slow down."}}"#;
    let bench = Bench::new(vec![answer_with(
        429,
        &[("x-ms-user-quota-resets-after", "00:00:04")],
        body,
    )]);
    let error = bench.arm.query(&subscriptions(), QUERY).await.unwrap_err();
    assert!(
        matches!(error, ArmError::Throttled { retry_after, .. } if retry_after == Duration::from_secs(4)),
        "{error}"
    );
}

#[tokio::test]
async fn a_query_is_a_read_and_is_repeated_when_the_answer_is_lost() {
    let bench = Bench::new(vec![
        Far::Breaks(ErrorKind::Io),
        answer(500, "{}"),
        answer(200, &rows(&["a"], None).to_string()),
    ]);
    assert_eq!(bench.arm.query(&subscriptions(), QUERY).await.unwrap().len(), 1);
    assert_eq!(bench.lines().len(), 3);
}

#[tokio::test]
async fn a_part_of_the_rows_is_never_given_as_the_whole() {
    let mut truncated = rows(&["a"], None);
    truncated["resultTruncated"] = "true".into();
    let again = rows(&["a"], Some("t1")).to_string();
    for script in [
        vec![answer(200, &truncated.to_string())],
        vec![answer(200, &again), answer(200, &again)],
        vec![answer(200, "{}")],
        vec![answer(200, "<html>")],
    ] {
        let bench = Bench::new(script);
        let error = bench.arm.query(&subscriptions(), QUERY).await.unwrap_err();
        assert!(matches!(error, ArmError::Malformed { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_query_that_does_not_end_is_ended() {
    let endless = (0..=MAX_PAGES)
        .map(|n| answer(200, &rows(&["a"], Some(&format!("t{n}"))).to_string()))
        .collect();
    let bench = Bench::new(endless);
    let error = bench.arm.query(&subscriptions(), QUERY).await.unwrap_err();
    assert!(matches!(error, ArmError::TooManyPages { .. }), "{error}");
}

#[tokio::test]
async fn many_subscriptions_are_asked_for_in_several_queries() {
    let many: Vec<String> = (0..201).map(|n| format!("s{n}")).collect();
    let page = || answer(200, &rows(&["a"], None).to_string());
    let bench = Bench::new(vec![page(), page()]);
    assert_eq!(bench.arm.query(&many, QUERY).await.unwrap().len(), 2);
    let asked: Vec<usize> = bench
        .sent()
        .iter()
        .map(|sent| {
            serde_json::from_str::<serde_json::Value>(&sent.body).unwrap()["subscriptions"]
                .as_array()
                .unwrap()
                .len()
        })
        .collect();
    assert_eq!(asked, [200, 1]);
}
