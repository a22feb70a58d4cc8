//! What the core promises for any input whatever, one function per decoder.
//!
//! The fuzz targets feed these functions with what libfuzzer finds; `tests/fuzz_entries.rs` feeds them with property tests in
//! every run. A broken promise is a panic that shows the input.

use std::collections::{BTreeMap, BTreeSet};

use hubward_core::config::Config;
use hubward_core::event::{self, Event, Relevance};
use hubward_core::ids::{MAX_LENGTH, ResourceId};
use serde_json::Value;

/// The configuration that events are judged under: one hub, one subscription.
const CONFIGURATION: &str = include_str!("../../../infra/hubward.example.toml");

/// A text is refused or kept as it is: an id survives printing, serialising and change of case, and knows its relatives.
pub fn resource_id(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let id = match ResourceId::parse(text) {
        Ok(id) => id,
        Err(refused) => {
            assert!(!refused.to_string().is_empty(), "{text:?} is refused without a reason");
            return;
        }
    };
    assert!(
        (1..=MAX_LENGTH).contains(&text.len()),
        "{text:?} is longer than an id may be"
    );
    assert_eq!(id.as_str(), text, "an id is kept as it was given");
    assert_eq!(id.to_string(), text, "an id is printed as it was given");
    assert!(!id.subscription().is_empty(), "{text:?} has no subscription");
    assert!(!id.name().is_empty(), "{text:?} has no name");

    holds_whatever_the_case(&id);
    survives_json(&id);
    knows_its_relatives(&id);
}

/// A delivery is decoded or refused on one line, the same when it is text in text, and nothing outside the scope is acted on.
pub fn event(data: &[u8]) {
    let delivery: Value =
        serde_json::from_slice(data).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(data).into_owned()));
    let decoded = event::decode_all(&delivery);
    if delivery.is_object() || delivery.is_array() {
        let wrapped = Value::String(delivery.to_string());
        assert_eq!(
            decoded,
            event::decode_all(&wrapped),
            "text in text is read as something else"
        );
    }
    for event in decoded.into_iter().flatten() {
        match event {
            Ok(event) => is_acted_on_in_scope_only(&event),
            Err(refused) => assert_eq!(refused.to_string().lines().count(), 1, "not one line: {refused}"),
        }
    }
}

fn is_acted_on_in_scope_only(event: &Event) {
    let config = match Config::load(CONFIGURATION, &BTreeMap::new()) {
        Ok(config) => config,
        Err(error) => panic!("the example configuration is refused: {error}"),
    };
    assert_eq!(
        event.subscription,
        event.resource.subscription(),
        "the event names two subscriptions"
    );
    match event::classify(event, &config) {
        Relevance::Spoke { cluster: id, .. }
        | Relevance::Offboard { cluster: id }
        | Relevance::Group { group: id }
        | Relevance::Network { resource: id } => {
            assert!(config.scope.covers(&id), "{id} is out of scope and acted on");
        }
        Relevance::Foreign { reason } => assert!(!reason.is_empty(), "{event:?} is dropped without a reason"),
    }
}

fn holds_whatever_the_case(id: &ResourceId) {
    let mut same = BTreeSet::from([id.clone()]);
    for text in [id.key(), id.as_str().to_ascii_uppercase()] {
        let Ok(other) = ResourceId::parse(&text) else {
            panic!("{id} is an id, and {text:?} is refused");
        };
        assert_eq!(*id, other, "equality looks at the case");
        assert_eq!(id.key(), other.key(), "the key looks at the case");
        assert!(other.is_type(&id.resource_type()), "the type looks at the case");
        assert!(other.is_within(id) && id.is_within(&other), "scope looks at the case");
        assert!(!same.insert(other), "order looks at the case");
    }
}

fn survives_json(id: &ResourceId) {
    let read = serde_json::to_value(id).and_then(serde_json::from_value::<ResourceId>);
    assert!(
        read.is_ok_and(|read| read.as_str() == id.as_str()),
        "{id} is lost in JSON"
    );
}

fn knows_its_relatives(id: &ResourceId) {
    let child = id.child("children", "one");
    assert!(child.is_within(id), "{id} does not hold its child");
    assert!(!id.is_within(&child), "{id} lies in its own child");
    assert_eq!(child.name(), "one");
    if let Some(parent) = id.parent() {
        assert!(id.is_within(&parent), "{id} does not lie in its parent");
        assert!(
            ResourceId::parse(parent.as_str()).is_ok(),
            "the parent of {id} is no id"
        );
        assert_eq!(parent.subscription(), id.subscription());
        assert_eq!(parent.resource_group(), id.resource_group());
    }
}
