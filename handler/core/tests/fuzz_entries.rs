//! The promises of the fuzz targets, held by property tests in every run; `cargo fuzz` looks deeper and needs more tools.

use proptest::prelude::*;

#[path = "../fuzz/entries.rs"]
mod entries;

proptest! {
    #[test]
    fn any_bytes_are_an_id_kept_as_it_is_or_are_refused(data in prop::collection::vec(any::<u8>(), 0..256)) {
        entries::resource_id(&data);
    }

    #[test]
    fn any_path_of_arm_words_is_an_id_kept_as_it_is_or_is_refused(text in path_of_arm_words()) {
        entries::resource_id(text.as_bytes());
    }

    #[test]
    fn any_well_formed_id_is_accepted(text in well_formed_id()) {
        prop_assert!(hubward_core::ids::ResourceId::parse(&text).is_ok(), "{text} is refused");
        entries::resource_id(text.as_bytes());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_event_or_are_refused_on_one_line(data in prop::collection::vec(any::<u8>(), 0..256)) {
        entries::event(&data);
    }

    #[test]
    fn any_event_is_judged_in_scope_only_and_the_same_as_text(text in near_event()) {
        entries::event(text.as_bytes());
    }
}

/// Deliveries of both schemas about ids of every kind, some in the example's subscription, some broken in one place.
fn near_event() -> impl Strategy<Value = String> {
    let cluster = "/subscriptions/5b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/c";
    let id = prop_oneof![Just(cluster.to_owned()), well_formed_id(), path_of_arm_words()];
    let kind = prop_oneof![
        Just("ResourceWriteSuccess"),
        Just("ResourceDeleteSuccess"),
        Just("ResourceActionSuccess"),
        Just("Other")
    ];
    let operation = prop_oneof![Just("write"), Just("delete"), Just("start/action"), Just("")];
    (id, kind, operation, any::<bool>(), any::<bool>(), any::<u16>()).prop_map(
        |(id, kind, operation, cloud, many, broken)| {
            let (kind_field, schema) = if cloud {
                ("type", "specversion")
            } else {
                ("eventType", "dataVersion")
            };
            let event = serde_json::json!({
                "id": "1", schema: "1.0", kind_field: format!("Microsoft.Resources.{kind}"), "subject": id,
                "data": {
                    "resourceUri": id, "status": "Succeeded",
                    "operationName": format!("Microsoft.ContainerService/managedClusters/{operation}")
                }
            });
            let mut text = if many {
                format!("[{event},{event}]")
            } else {
                event.to_string()
            };
            if broken % 4 == 0 {
                let at = usize::from(broken) % text.len();
                if text.is_char_boundary(at) {
                    text.truncate(at);
                }
            }
            text
        },
    )
}

/// Paths of the words that ids are made of, in any order: near enough to an id to get past the first check.
fn path_of_arm_words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("subscriptions".to_owned()),
        Just("resourceGroups".to_owned()),
        Just("resourcegroups".to_owned()),
        Just("PROVIDERS".to_owned()),
        Just("providers".to_owned()),
        Just(String::new()),
        "[a-zA-Z0-9._()-]{1,12}",
        "\\PC{1,4}",
    ];
    (any::<bool>(), prop::collection::vec(word, 0..14)).prop_map(|(subscription, words)| {
        let head = if subscription { "/subscriptions/s/" } else { "/" };
        format!("{head}{}", words.join("/"))
    })
}

/// `/subscriptions/S`, with a group, with a resource of one to three levels, with an extension resource.
fn well_formed_id() -> impl Strategy<Value = String> {
    let name = "[a-zA-Z0-9][a-zA-Z0-9._()-]{0,30}";
    let resource = (
        "Microsoft\\.[A-Z][a-zA-Z]{2,12}",
        prop::collection::vec(("[a-z][a-zA-Z]{2,20}", name), 1..4),
    )
        .prop_map(|(namespace, levels)| {
            let levels: Vec<String> = levels.iter().map(|(kind, name)| format!("{kind}/{name}")).collect();
            format!("/providers/{namespace}/{}", levels.join("/"))
        });
    (
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}",
        prop::option::of((prop_oneof![Just("resourceGroups"), Just("resourcegroups")], name)),
        prop::collection::vec(resource, 0..3),
    )
        .prop_map(|(subscription, group, resources)| {
            let group = group.map(|(word, name)| format!("/{word}/{name}")).unwrap_or_default();
            format!("/subscriptions/{subscription}{group}{}", resources.concat())
        })
}
