//! Resource ids are one thing in any casing, survive printing, and refuse what is no id.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use hubward_core::ids::{IdError, MAX_LENGTH, ResourceId};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

proptest! {
    // A failing seed is kept beside this file; by itself proptest finds no place for it outside of src.
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn ids_that_differ_in_casing_alone_are_equal_in_every_way(text in id_text(), upper in prop::collection::vec(any::<bool>(), 1..40)) {
        let (one, other) = (ResourceId::parse(&text).unwrap(), ResourceId::parse(&recased(&text, &upper)).unwrap());
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(one.cmp(&other), std::cmp::Ordering::Equal);
        prop_assert_eq!(hash(&one), hash(&other));
        prop_assert_eq!(one.key(), other.key());
        prop_assert!(one.is_within(&other));
        prop_assert!(one.is_type(&other.resource_type()));
    }

    #[test]
    fn equality_ordering_and_hash_agree_on_any_two_ids(a in id_text(), b in id_text()) {
        let (a, b) = (ResourceId::parse(&a).unwrap(), ResourceId::parse(&b).unwrap());
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
        prop_assert_eq!(a == b, a.key() == b.key());
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        if a == b {
            prop_assert_eq!(hash(&a), hash(&b));
        }
    }

    #[test]
    fn an_id_is_printed_as_it_was_given_and_read_back(text in id_text()) {
        let id = ResourceId::parse(&text).unwrap();
        prop_assert_eq!(id.to_string(), text.clone());
        prop_assert_eq!(id.as_str(), text.as_str());
        let json = serde_json::to_string(&id).unwrap();
        let back: ResourceId = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(back.as_str(), text.as_str());
    }

    #[test]
    fn a_child_has_its_parent_and_its_own_type_and_lies_within(text in resource_text(), kind in word(), name in name()) {
        let id = ResourceId::parse(&text).unwrap();
        let child = id.child(&kind, &name);
        let parent = child.parent().unwrap();
        prop_assert_eq!(parent.as_str(), text.as_str());
        prop_assert_eq!(child.name(), name.as_str());
        prop_assert_eq!(child.resource_type(), format!("{}/{kind}", id.resource_type()));
        prop_assert_eq!(child.subscription(), id.subscription());
        prop_assert_eq!(child.resource_group(), id.resource_group());
        prop_assert!(child.is_within(&id) && !id.is_within(&child));
        prop_assert_eq!(ResourceId::parse(child.as_str()), Ok(child));
    }

    #[test]
    fn an_id_made_of_its_parts_is_the_id_that_is_read(subscription in name(), group in name(), namespace in word(), kind in word(), name in name()) {
        let id = ResourceId::in_group(&subscription, &group, &format!("{namespace}/{kind}"), &name);
        prop_assert_eq!(&ResourceId::parse(id.as_str()).unwrap(), &id);
        prop_assert_eq!(id.subscription(), subscription.as_str());
        prop_assert_eq!(id.resource_group(), Some(group.as_str()));
        prop_assert_eq!(id.resource_type(), format!("{namespace}/{kind}"));
        prop_assert_eq!(id.name(), name.as_str());
        prop_assert_eq!(id.parent(), None);
    }

    #[test]
    fn arbitrary_text_never_panics_and_what_is_read_is_kept(text in prop_oneof![any::<String>(), "[/a-zA-Z. ]{0,60}", almost_id()]) {
        if let Ok(id) = ResourceId::parse(&text) {
            prop_assert_eq!(id.as_str(), text.as_str());
            prop_assert!(!id.subscription().is_empty());
            prop_assert!(!id.name().is_empty());
            let kind = id.resource_type();
            prop_assert!(kind.is_empty() || kind.split('/').count() >= 2, "{text:?} has the type {kind:?}");
            let (_, _) = (id.parent(), id.resource_group());
        }
    }
}

#[test]
fn an_extension_resource_has_the_type_of_its_last_provider() {
    let text = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/routeTables/t/providers/Microsoft.Authorization/roleAssignments/a";
    let id = ResourceId::parse(text).unwrap();
    assert_eq!(id.resource_type(), "Microsoft.Authorization/roleAssignments");
    assert_eq!(id.parent(), None);
}

#[test]
fn a_resource_named_providers_is_no_extension() {
    let id = ResourceId::parse(
        "/subscriptions/s/resourceGroups/providers/providers/Microsoft.Network/virtualNetworks/providers",
    )
    .unwrap();
    assert_eq!(id.resource_type(), "Microsoft.Network/virtualNetworks");
    assert_eq!(id.resource_group(), Some("providers"));
    let subnet = id.child("subnets", "providers");
    assert_eq!(subnet.resource_type(), "Microsoft.Network/virtualNetworks/subnets");
    assert_eq!(subnet.parent(), Some(id));
}

#[test]
fn an_id_lies_within_its_group_but_not_within_one_of_a_longer_name() {
    let id = |text: &str| ResourceId::parse(text).unwrap();
    let table = id("/subscriptions/s/resourceGroups/hub/providers/Microsoft.Network/routeTables/t");
    assert!(table.is_within(&id("/subscriptions/S")));
    assert!(table.is_within(&id("/subscriptions/s/resourcegroups/HUB")));
    assert!(!table.is_within(&id("/subscriptions/s/resourceGroups/hu")));
    assert!(!table.is_within(&id("/subscriptions/s2")));
}

#[test]
fn what_is_no_id_is_refused_with_the_reason() {
    let refuse = |text: &str| ResourceId::parse(text).expect_err(text);
    assert_eq!(refuse(""), IdError::Length(0));
    assert!(matches!(refuse(&"/".repeat(MAX_LENGTH + 1)), IdError::Length(_)));
    assert!(matches!(refuse("subscriptions/s"), IdError::NoSubscription(_)));
    assert!(matches!(refuse("/subscriptions"), IdError::NoSubscription(_)));
    assert!(matches!(
        refuse("/providers/Microsoft.Network/routeTables/t"),
        IdError::NoSubscription(_)
    ));
    for shape in [
        "/subscriptions/s/resourceGroups",
        "/subscriptions/s/else/g",
        "/subscriptions/s/resourceGroups/g/providers",
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/routeTables",
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/routeTables/t/routes",
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/routeTables/t/providers/Microsoft.Authorization",
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/providers/a",
    ] {
        assert!(matches!(refuse(shape), IdError::Shape(_)), "{shape}");
    }
    for segment in [
        "/subscriptions/s/",
        "/subscriptions//resourceGroups/g",
        "/subscriptions/s/resourceGroups/a b",
        "/subscriptions/s/resourceGroups/a\nb",
        "/subscriptions/s/resourceGroups/a?b",
        "/subscriptions/s/resourceGroups/a#b",
        "/subscriptions/s/resourceGroups/a%2Fb",
        "/subscriptions/s/resourceGroups/..",
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/routeTables/.",
    ] {
        assert!(matches!(refuse(segment), IdError::Segment { .. }), "{segment}");
    }
}

fn id_text() -> impl Strategy<Value = String> {
    let subscription = name().prop_map(|s| format!("/subscriptions/{s}"));
    let group = (name(), name()).prop_map(|(s, g)| format!("/subscriptions/{s}/resourceGroups/{g}"));
    prop_oneof![1 => subscription, 1 => group, 6 => resource_text()]
}

fn resource_text() -> impl Strategy<Value = String> {
    let pairs = prop::collection::vec((word(), name()), 1..4);
    (name(), prop::option::of(name()), word(), pairs).prop_map(|(subscription, group, namespace, pairs)| {
        let group = group.map_or(String::new(), |g| format!("/resourceGroups/{g}"));
        let tail: String = pairs.iter().map(|(kind, name)| format!("/{kind}/{name}")).collect();
        format!("/subscriptions/{subscription}{group}/providers/{namespace}{tail}")
    })
}

/// Words in the places of an id, most of them wrong.
fn almost_id() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec![
        "subscriptions",
        "resourceGroups",
        "providers",
        "Microsoft.Network",
        "a",
        "",
        "..",
        "é",
    ]);
    prop::collection::vec(segment, 0..12).prop_map(|segments| format!("/subscriptions/s/{}", segments.join("/")))
}

/// A namespace or type: never the word that begins the next provider.
fn word() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z.]{0,11}".prop_filter("a keyword", |w| !w.eq_ignore_ascii_case("providers"))
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![20 => "[A-Za-z0-9_()äß-][A-Za-z0-9._()äß-]{0,11}", 1 => Just("providers".to_owned()), 1 => Just("resourceGroups".to_owned())]
}

fn recased(text: &str, upper: &[bool]) -> String {
    text.chars()
        .zip(upper.iter().cycle())
        .map(|(c, up)| {
            if *up {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

fn hash(id: &ResourceId) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
