//! The timer trigger in scaled time.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::app::App;

#[tokio::test]
async fn a_timer_fires_at_its_occurrences_without_overlap() {
    let binding = json!([{"type": "timerTrigger", "direction": "in", "name": "t", "schedule": "*/5 * * * * *"}]);
    // An occurrence every 50 ms, a run of 120 ms: ticks are skipped, never doubled.
    let mut app = App::new()
        .function("Tick", binding)
        .handler(json!({"functions": {"Tick": "slow:120"}}))
        .scale(100.0)
        .start()
        .await;
    for _ in 0..4 {
        app.logged("Executed 'Functions.Tick' (Succeeded").await;
    }
    for request in &app.requests("/Tick") {
        assert_eq!(request["in_flight"], 1);
        let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
        let info = &body["Data"]["t"];
        assert_eq!(
            info,
            &json!({"Schedule": {"AdjustForDST": true}, "ScheduleStatus": null, "IsPastDue": false})
        );
    }
}

#[tokio::test]
async fn the_handlers_clock_setting_is_the_hosts_clock() {
    let wall = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    let binding = json!([{"type": "timerTrigger", "direction": "in", "name": "t", "schedule": "%WHEN%"}]);
    let mut app = App::new()
        .function("Tick", binding)
        .env("WHEN", "0 */10 * * * *")
        .env("HUBWARD_CLOCK", &format!("scale=2000;wall={wall};azure=1000000000000"))
        .scale(2000.0)
        .start()
        .await;
    for _ in 0..2 {
        app.logged("Executed 'Functions.Tick' (Succeeded").await;
    }
    let body: Value = serde_json::from_str(app.requests("/Tick")[1]["body"].as_str().unwrap()).unwrap();
    assert!(
        body["Metadata"]["sys"]["UtcNow"]
            .as_str()
            .unwrap()
            .starts_with("2001-09-09T"),
        "{body}"
    );
    let status = &body["Data"]["t"]["ScheduleStatus"];
    let at = |name: &str| OffsetDateTime::parse(status[name].as_str().unwrap(), &Rfc3339).unwrap();
    assert!(at("Last") < at("Next") && at("Next").minute() % 10 == 0, "{status}");
}
