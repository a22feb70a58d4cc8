//! What the archive keeps.

use serde_json::{Value, json};

use super::*;

#[test]
fn the_archive_keeps_who_asked_and_nothing_else_of_the_claims() {
    let event = with(
        event_grid(),
        &["data", "httpRequest"],
        json!({ "clientIpAddress": "198.51.100.9", "method": "DELETE" }),
    );
    let kept = redacted(&Value::String(event.to_string()));
    insta::assert_json_snapshot!(kept, @r#"
    {
      "topic": "/subscriptions/11111111-2222-3333-4444-555555555555",
      "subject": "/subscriptions/11111111-2222-3333-4444-555555555555/resourcegroups/team/providers/Microsoft.ContainerService/managedClusters/shop",
      "eventType": "Microsoft.Resources.ResourceWriteSuccess",
      "eventTime": "2026-11-23T06:48:30.1234567Z",
      "id": "e0000000-0000-0000-0000-000000000001",
      "data": {
        "authorization": {
          "scope": "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/team/providers/Microsoft.ContainerService/managedClusters/shop",
          "action": "Microsoft.ContainerService/managedClusters/write"
        },
        "claims": {
          "http://schemas.microsoft.com/identity/claims/objectidentifier": "aaaaaaaa-0000-0000-0000-000000000001"
        },
        "correlationId": "c0000000-0000-0000-0000-000000000001",
        "resourceProvider": "Microsoft.ContainerService",
        "resourceUri": "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/team/providers/Microsoft.ContainerService/managedClusters/shop",
        "operationName": "Microsoft.ContainerService/managedClusters/write",
        "status": "Succeeded",
        "subscriptionId": "11111111-2222-3333-4444-555555555555",
        "tenantId": "dddddddd-0000-0000-0000-000000000003",
        "httpRequest": {
          "method": "DELETE"
        }
      },
      "dataVersion": "2",
      "metadataVersion": "1"
    }
    "#);
    assert_eq!(decode(&kept), decode(&event), "the archived event can be replayed");
}

#[test]
fn the_archive_keeps_no_secret_of_a_malformed_event_either() {
    let secrets = json!({ "aud": "SECRET", "ipaddr": "SECRET" });
    let deep = (0..200).fold(json!("SECRET"), |inner, _| json!([inner]));
    for value in [
        json!({ "claims": secrets, "x": [{ "Claims": secrets.to_string() }] }),
        json!({ "data": json!({ "claims": secrets }).to_string() }),
        json!({ "data": "{ \"claims\": { \"aud\": \"SECRET\" " }),
        json!({ "headers": { "Authorization": "Bearer SECRET" } }),
        json!({ "claims": ["SECRET"], "authorization": { "Evidence": "SECRET" } }),
        json!({ "claims": { "oid": { "x": "SECRET" } } }),
        json!([[{ "httpRequest": { "clientIPAddress": "SECRET" } }]]),
        json!("claims: SECRET"),
        deep,
    ] {
        let kept = redacted(&value).to_string();
        assert!(!kept.contains("SECRET"), "{kept}");
    }
}
