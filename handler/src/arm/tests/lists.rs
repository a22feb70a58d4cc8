use super::*;

const CLUSTERS: &str = "/subscriptions/s/providers/Microsoft.ContainerService/managedClusters";

fn page(item: usize, next: Option<&str>) -> Far {
    answer(
        200,
        &serde_json::json!({"value": [{"n": item}], "nextLink": next}).to_string(),
    )
}

#[tokio::test]
async fn every_page_is_read_and_the_next_link_is_followed_as_written() {
    let link = "https://management.azure.com/subscriptions/s/next?api-version=1&%24skiptoken=a%2Bb+c==";
    let bench = Bench::new(vec![page(1, Some(link)), page(2, Some("")), page(3, None)]);
    let items = bench.arm.list(CLUSTERS, API).await.unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(bench.lines()[1], format!("GET {link}"));
}

#[tokio::test]
async fn a_filter_is_one_parameter_whatever_it_holds() {
    let bench = Bench::new(vec![page(1, None), page(2, None)]);
    bench.arm.list_where(CLUSTERS, API, "principalId eq 'p'").await.unwrap();
    bench
        .arm
        .list_where(CLUSTERS, API, "a+b&api-version=1#c")
        .await
        .unwrap();
    let url = |filter: &str| format!("GET https://management.azure.com{CLUSTERS}?api-version={API}&%24filter={filter}");
    assert_eq!(bench.lines()[0], url("principalId%20eq%20%27p%27"));
    assert_eq!(bench.lines()[1], url("a%2Bb%26api-version%3D1%23c"));
}

#[tokio::test]
async fn paging_is_bounded_and_never_gives_a_part_of_the_list() {
    let endless = (0..=MAX_PAGES)
        .map(|n| page(n, Some(&format!("https://management.azure.com/next?page={n}"))))
        .collect();
    let bench = Bench::new(endless);
    let error = bench.arm.list(CLUSTERS, API).await.unwrap_err();
    assert!(
        matches!(error, ArmError::TooManyPages { pages: MAX_PAGES, .. }),
        "{error}"
    );
    assert_eq!(bench.lines().len(), MAX_PAGES);
}

#[tokio::test]
async fn a_next_link_that_leads_back_is_an_error() {
    let same = format!("https://management.azure.com{CLUSTERS}?api-version={API}");
    let bench = Bench::new(vec![page(1, Some(&same))]);
    assert!(matches!(
        bench.arm.list(CLUSTERS, API).await,
        Err(ArmError::Malformed { .. })
    ));
}

#[tokio::test]
async fn a_next_link_on_a_foreign_host_is_refused() {
    let bench = Bench::new(vec![page(1, Some("https://evil.example/next"))]);
    assert!(matches!(
        bench.arm.list(CLUSTERS, API).await,
        Err(ArmError::UntrustedPollUrl { .. })
    ));
    assert_eq!(bench.lines().len(), 1);
}

#[tokio::test]
async fn a_refused_or_broken_page_is_an_error() {
    let bench = Bench::new(vec![
        error(403, "AuthorizationFailed", "no"),
        answer(200, "{}"),
        answer(200, "<html>"),
    ]);
    let forbidden = bench.arm.list(CLUSTERS, API).await.unwrap_err();
    assert!(matches!(forbidden, ArmError::Forbidden { .. }), "{forbidden}");
    assert_eq!(forbidden.fault().unwrap().provider, "Microsoft.ContainerService");
    for _ in 0..2 {
        assert!(matches!(
            bench.arm.list(CLUSTERS, API).await,
            Err(ArmError::Malformed { .. })
        ));
    }
}
