//! What Azure sends is understood in either schema and any casing, and what it never sends does no harm.

mod classified;
mod decoded;
mod properties;
mod redaction;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::config::Config;

const SUBSCRIPTION: &str = "11111111-2222-3333-4444-555555555555";
const CALLER: &str = "aaaaaaaa-0000-0000-0000-000000000001";
const CLUSTER: &str = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/team/providers/Microsoft.ContainerService/managedClusters/shop";

/// An event that a subscription's topic sends, in Event Grid's schema.
fn event_grid() -> Value {
    json!({
        "topic": format!("/subscriptions/{SUBSCRIPTION}"),
        "subject": CLUSTER.replace("resourceGroups", "resourcegroups"),
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": "2026-11-23T06:48:30.1234567Z",
        "id": "e0000000-0000-0000-0000-000000000001",
        "data": {
            "authorization": {
                "scope": CLUSTER,
                "action": "Microsoft.ContainerService/managedClusters/write",
                "evidence": { "role": "Contributor" }
            },
            "claims": {
                "aud": "https://management.core.windows.net/",
                "appid": "bbbbbbbb-0000-0000-0000-000000000002",
                "ipaddr": "198.51.100.9",
                "http://schemas.microsoft.com/identity/claims/objectidentifier": CALLER
            },
            "correlationId": "c0000000-0000-0000-0000-000000000001",
            "resourceProvider": "Microsoft.ContainerService",
            "resourceUri": CLUSTER,
            "operationName": "Microsoft.ContainerService/managedClusters/write",
            "status": "Succeeded",
            "subscriptionId": SUBSCRIPTION,
            "tenantId": "dddddddd-0000-0000-0000-000000000003"
        },
        "dataVersion": "2",
        "metadataVersion": "1"
    })
}

/// The same event as CloudEvents 1.0: topic is source, eventType is type, eventTime is time.
fn as_cloud_event(event: &Value) -> Value {
    json!({
        "specversion": "1.0",
        "id": event["id"],
        "source": event["topic"],
        "type": event["eventType"],
        "subject": event["subject"],
        "time": event["eventTime"],
        "data": event["data"],
    })
}

fn json_event(kind: &str, resource: &str, operation: &str) -> Value {
    let event = with(event_grid(), &["eventType"], json!(kind));
    let event = with(event, &["subject"], json!(resource));
    let event = with(event, &["data", "resourceUri"], json!(resource));
    let event = without(event, &["data", "subscriptionId"]);
    with(event, &["data", "operationName"], json!(operation))
}

fn with(mut event: Value, path: &[&str], value: Value) -> Value {
    let place = path.iter().fold(&mut event, |at, key| &mut at[*key]);
    *place = value;
    event
}

fn without(mut event: Value, path: &[&str]) -> Value {
    let (last, parents) = path.split_last().unwrap();
    let place = parents.iter().fold(&mut event, |at, key| &mut at[*key]);
    place.as_object_mut().unwrap().remove(*last);
    event
}

fn config() -> Config {
    let id =
        |kind: &str| format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/hub/providers/Microsoft.Network/{kind}/hub");
    let text = format!(
        "scope.exclude = [\"/subscriptions/{SUBSCRIPTION}/resourceGroups/keep-out\"]\n\
         [hubs.main]\nlocation = \"westeurope\"\nvirtual_network = {:?}\nfirewall = {:?}\nnat_gateway = {:?}\nworkload_egress = \"rules\"\n",
        id("virtualNetworks"),
        id("azureFirewalls"),
        id("natGateways"),
    );
    Config::load(&text, &BTreeMap::new()).unwrap()
}
