use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use azure_core::http::headers::Headers;
use serde_json::Value;

use super::*;
use crate::arm::client::absence;
use crate::arm::operation::{self, Asked};
use crate::arm::send::Answer;

/// Runs every recorded answer through the classification. The recordings are real traffic of other clients.
#[test]
fn every_recorded_answer_is_understood() {
    let Some(shared) = std::env::var_os("HUBWARD_SHARED") else {
        evidence("skipped conformance-arm: HUBWARD_SHARED is not set");
        return;
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (name, exchange) in exchanges(&Path::new(&shared).join("data/recordings")) {
        let meaning =
            meaning(&exchange).unwrap_or_else(|error| panic!("{name}: {} {error}", exchange["request"]["uri"]));
        *counts.entry(meaning).or_default() += 1;
    }
    insta::assert_debug_snapshot!(counts, @r#"
    {
        "DELETE refused: AnotherOperationInProgress -> Wait { after: 15s, reason: \"another operation on this or a dependent resource is running\" }": 1,
        "DELETE: done with a body": 2,
        "DELETE: done without a body": 2,
        "DELETE: running, AsyncOperation": 18,
        "GET refused: PrivateIPAddressNotInAnySubnet -> NeedsPerson": 1,
        "GET: document": 212,
        "GET: list": 55,
        "PATCH: done with a body": 5,
        "PATCH: running, Resource": 2,
        "PUT refused: PrincipalNotFound -> Wait { after: 30s, reason: \"the identity is not known to the directory yet\" }": 5,
        "PUT refused: RoleAssignmentExists -> Retry { after: 5s }": 1,
        "PUT: done with a body": 20,
        "PUT: running, AsyncOperation": 162,
        "poll AsyncOperation: done": 305,
        "poll AsyncOperation: failed GwmOperationTimeOut": 2,
        "poll AsyncOperation: failed PreconditionFailed": 2,
        "poll AsyncOperation: running": 123,
        "poll Location: done": 41,
        "poll Location: running": 123,
    }
    "#);
    evidence("ran conformance-arm");
}

/// Adds a line to the evidence that the one test command sums up; in one write, because tests run side by side.
fn evidence(line: &str) {
    let Some(path) = std::env::var_os("HUBWARD_EVIDENCE_FILE") else {
        return;
    };
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn exchanges(folder: &Path) -> Vec<(String, Value)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        // index.json is a list without exchanges.
        let exchanges = document
            .get("exchanges")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        found.extend(exchanges.into_iter().map(|exchange| (name.clone(), exchange)));
    }
    assert!(
        found.len() > 1000,
        "only {} exchanges in {}",
        found.len(),
        folder.display()
    );
    found
}

fn meaning(exchange: &Value) -> Result<String, String> {
    let url = Url::parse(exchange["request"]["uri"].as_str().unwrap()).unwrap();
    let method = exchange["request"]["method"].as_str().unwrap();
    let answer = recorded_answer(&exchange["response"]);
    // The Python client percent-encodes a scope that it puts into a path.
    let path = url.path().replace("%2F", "/").replace("//", "/");
    let path = path.trim_end_matches('/');
    // An action (`.../CheckIPAddressAvailability`) is asked of the resource before it.
    let resource = ResourceId::parse(path).or_else(|error| match path.rsplit_once('/') {
        Some((before, _)) => ResourceId::parse(before),
        None => Err(error),
    });
    let polls = url.path().to_ascii_lowercase().contains("operation") && method == "GET";
    if !(200..300).contains(&answer.status) {
        let resource = resource.map_err(|error| error.to_string())?;
        let error = operation::refusal(&resource, "write", &answer, NOW);
        let fault = error.fault().ok_or("no fault")?;
        return Ok(format!("{method} refused: {} -> {:?}", fault.code, error.class()));
    }
    if polls {
        let style = match answer.status == 202 || url.path().to_ascii_lowercase().contains("operationresults") {
            true => PollStyle::Location,
            false => PollStyle::AsyncOperation,
        };
        let operation = operation(style, url.as_str());
        return match operation::progress(&operation, &answer, NOW).map_err(|error| error.to_string())? {
            Progress::Running { .. } => Ok(format!("poll {style:?}: running")),
            Progress::Done => Ok(format!("poll {style:?}: done")),
            Progress::Failed(fault) => Ok(format!("poll {style:?}: failed {}", fault.code)),
        };
    }
    let written = match method {
        "PUT" => WriteMethod::Put,
        "PATCH" => WriteMethod::Patch,
        "DELETE" => WriteMethod::Delete,
        _ => {
            let found: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
            let kind = if found.get("value").is_some_and(Value::is_array) {
                "list"
            } else {
                "document"
            };
            return Ok(format!("{method}: {kind}"));
        }
    };
    let resource = resource.map_err(|error| error.to_string())?;
    assert_eq!(absence(&resource, &answer), None);
    let asked = Asked {
        endpoint: &Url::parse("https://management.azure.com").unwrap(),
        url: &url,
        resource: &resource,
        api: "recorded",
        method: written,
    };
    match operation::written(&asked, &answer, NOW).map_err(|error| error.to_string())? {
        Written::Done(Some(_)) => Ok(format!("{method}: done with a body")),
        Written::Done(None) => Ok(format!("{method}: done without a body")),
        Written::Running(operation) => {
            assert!(operation.retry_after >= Duration::from_secs(1));
            Ok(format!("{method}: running, {:?}", operation.style))
        }
    }
}

fn recorded_answer(response: &Value) -> Answer {
    let mut headers = Headers::new();
    for (name, value) in response["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // Whoever transcribed a signed URL put `<...>` for certificate and signature; Azure sends base64url there.
        let value = value.replace(['<', '>'], "");
        headers.insert(name.to_ascii_lowercase(), value);
    }
    let body = match response["body"].is_null() {
        true => Vec::new(),
        false => response["body"].to_string().into_bytes(),
    };
    Answer {
        status: u16::try_from(response["status"].as_u64().unwrap()).unwrap(),
        headers,
        body: body.into(),
        correlation: String::new(),
    }
}

fn operation(style: PollStyle, poll_url: &str) -> Operation {
    Operation {
        resource: id(VNET),
        api: API.to_owned(),
        method: WriteMethod::Put,
        poll_url: poll_url.to_owned(),
        style,
        started_at: NOW,
        retry_after: Duration::from_secs(10),
    }
}
