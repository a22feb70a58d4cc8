//! Whatever arrives, nothing panics, and both schemas mean the same.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

proptest! {
    #[test]
    fn arbitrary_json_never_panics(value in arbitrary_json()) {
        let _ = decode(&value);
        let _ = decode_all(&value);
        let _ = redacted(&value);
        let _ = decode(&Value::String(value.to_string()));
    }

    #[test]
    fn an_event_with_any_field_replaced_never_panics_and_is_judged_in_either_schema(
        field in prop::sample::select(vec!["topic", "subject", "eventType", "eventTime", "id", "data"]),
        inner in prop::sample::select(vec!["claims", "resourceUri", "operationName", "status", "subscriptionId", "httpRequest"]),
        into_data in any::<bool>(),
        value in arbitrary_json(),
    ) {
        let event = if into_data { with(event_grid(), &["data", inner], value) } else { with(event_grid(), &[field], value) };
        let _ = redacted(&event);
        match (decode(&event), decode(&as_cloud_event(&event))) {
            (Ok(one), Ok(other)) => {
                prop_assert_eq!(classify(&one, &config()), classify(&other, &config()));
                prop_assert_eq!(Event { source_schema: Schema::EventGrid, ..other }, one);
            }
            (Err(_), Err(_)) => {}
            (one, other) => prop_assert!(false, "{one:?} but {other:?}"),
        }
    }

    #[test]
    fn casing_changes_nothing_but_the_text(upper in prop::collection::vec(any::<bool>(), 200)) {
        let recase = |text: &str| -> String {
            text.chars().zip(upper.iter().cycle()).map(|(c, up)| if *up { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect()
        };
        let event = json_event(
            &recase("Microsoft.Resources.ResourceWriteSuccess"),
            &recase(CLUSTER),
            &recase("Microsoft.ContainerService/managedClusters/write"),
        );
        let relevance = classify(&decode(&event).unwrap(), &config());
        let cluster = crate::ids::ResourceId::parse(CLUSTER).unwrap();
        prop_assert_eq!(relevance, Relevance::Spoke { cluster, why: "the cluster was made".to_owned() });
    }
}

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!(CLUSTER)),
        Just(json!("{\"claims\":{}}")),
    ];
    let key = prop_oneof![
        "[a-z]{1,6}",
        prop::sample::select(vec![
            "specversion",
            "eventType",
            "type",
            "id",
            "data",
            "claims",
            "subject",
            "resourceUri"
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner.clone(), 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
            inner.prop_map(|value| Value::String(value.to_string())),
        ]
    })
}
