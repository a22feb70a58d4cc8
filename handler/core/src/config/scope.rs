//! Which clusters are ours to wire: subscriptions, less what the operator took out.
//!
//! An id from outside (an event, a replay) is acted on only if the scope covers it; what is not covered is never read or
//! written.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::ids::ResourceId;

/// Which clusters are ours to wire.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Subscription ids, lower-cased. Left out, they are the subscriptions that the hubs lie in.
    #[serde(default, deserialize_with = "not_empty")]
    pub subscriptions: Vec<String>,
    /// Subscriptions, resource groups or resources that Hubward keeps its hands off, with everything under them.
    #[serde(default)]
    pub exclude: Vec<ResourceId>,
}

impl Scope {
    /// True if `id` lies in a subscription of the scope and under nothing that is excluded.
    #[must_use]
    pub fn covers(&self, id: &ResourceId) -> bool {
        self.has_subscription(id.subscription()) && !self.exclude.iter().any(|excluded| id.is_within(excluded))
    }

    /// True if the subscription is in the scope.
    #[must_use]
    pub fn has_subscription(&self, subscription: &str) -> bool {
        self.subscriptions.iter().any(|s| s.eq_ignore_ascii_case(subscription))
    }

    /// Takes the hubs' subscriptions if none was named; lower-cases and drops repetitions, keeping the order.
    pub(super) fn fill_in<'a>(&mut self, of_hubs: impl Iterator<Item = &'a str>) {
        if self.subscriptions.is_empty() {
            self.subscriptions = of_hubs.map(str::to_owned).collect();
        }
        let mut seen = BTreeSet::new();
        self.subscriptions.iter_mut().for_each(|s| s.make_ascii_lowercase());
        self.subscriptions.retain(|s| seen.insert(s.clone()));
    }
}

/// A list that is there and empty would silently mean "the hubs' subscriptions", the opposite of what it says.
fn not_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let subscriptions = Vec::<String>::deserialize(deserializer)?;
    if subscriptions.is_empty() {
        return Err(de::Error::custom(
            "no subscription is in scope; allowed: at least one subscription id, or leave the field out to take the hubs' own",
        ));
    }
    Ok(subscriptions)
}
