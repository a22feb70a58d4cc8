//! Drift: what differs, field by field, in something that was as it should be before. What is made for the first time is no drift.

use std::collections::BTreeSet;

use hubward_core::plan::{FieldChange, Plan, changes};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The most fields that are kept of one look: more are no list that a person reads.
const MOST: usize = 200;

/// What is known of the drift of a cluster's wiring or of a hub's rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// When everything was last found as it should be; `None` if it never was.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub settled_at: Option<OffsetDateTime>,
    /// What differed at the last look; empty if it was never as it should be before.
    #[serde(default)]
    pub now: Vec<FieldChange>,
    /// When something was found to differ last.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub last_at: Option<OffsetDateTime>,
    /// What that was.
    #[serde(default)]
    pub last: Vec<FieldChange>,
}

impl Drift {
    /// What a plan would change.
    #[must_use]
    pub fn of_plan(plan: &Plan) -> Self {
        Self {
            now: plan.steps.iter().flat_map(changes).take(MOST).collect(),
            ..Self::default()
        }
    }

    /// Leaves out what only follows from the clusters of these names' digests: what they need is news, and no drift.
    pub(super) fn without_news_of(&mut self, hashes: &BTreeSet<String>) {
        self.now.retain(|change| {
            let item = change.item.as_deref().unwrap_or_default();
            !hashes.iter().any(|hash| item.ends_with(hash.as_str()))
        });
    }

    /// Goes on from the look before.
    pub(super) fn after(mut self, before: Self, standing: Standing, now: OffsetDateTime) -> Self {
        if before.settled_at.is_none() {
            self.now.clear();
        }
        // While it is put right, what is left of it is no news.
        let goes_on = !before.now.is_empty() && self.now.iter().all(|change| before.last.contains(change));
        (self.last_at, self.last) = if self.now.is_empty() || goes_on {
            (before.last_at, before.last)
        } else {
            (Some(now), self.now.clone())
        };
        self.settled_at = match standing {
            Standing::Settled => Some(now),
            Standing::Open => before.settled_at,
            Standing::Over => None,
        };
        self
    }
}

/// How things stand after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Everything is as it should be.
    Settled,
    /// Something is left to do, or nobody knows.
    Open,
    /// Nothing of it is left.
    Over,
}

#[cfg(test)]
mod tests {
    use hubward_core::ids::ResourceId;
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2026-01-05 12:00 UTC);

    fn change(field: &str, item: Option<&str>) -> FieldChange {
        let table = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/routeTables/t";
        FieldChange {
            resource: ResourceId::parse(table).unwrap(),
            field: field.to_owned(),
            item: item.map(str::to_owned),
            old: json!(1),
            new: json!(2),
        }
    }

    fn found(fields: &[&str]) -> Drift {
        Drift {
            now: fields.iter().map(|field| change(field, None)).collect(),
            ..Drift::default()
        }
    }

    #[test]
    fn what_was_never_as_it_should_be_does_not_drift() {
        let first = found(&["a"]).after(Drift::default(), Standing::Open, NOON);
        assert_eq!(first, Drift::default());
    }

    #[test]
    fn what_differed_is_kept_until_something_else_differs() {
        let wired = Drift::default().after(Drift::default(), Standing::Settled, NOON);
        assert_eq!(wired.settled_at, Some(NOON));
        let later = NOON + time::Duration::HOUR;
        let drifted = found(&["a", "b"]).after(wired, Standing::Open, later);
        assert_eq!((drifted.now.len(), drifted.last_at), (2, Some(later)));
        assert_eq!(drifted.settled_at, Some(NOON));
        let halfway = found(&["b"]).after(drifted.clone(), Standing::Open, later + time::Duration::MINUTE);
        assert_eq!(
            (halfway.now.len(), &halfway.last, halfway.last_at),
            (1, &drifted.last, Some(later))
        );
        let mended = found(&[]).after(halfway, Standing::Settled, later + time::Duration::HOUR);
        assert_eq!((mended.now.len(), &mended.last), (0, &drifted.last));
        let again = found(&["a"]).after(mended.clone(), Standing::Open, later + time::Duration::DAY);
        assert_eq!(
            (again.last.len(), again.last_at),
            (1, Some(later + time::Duration::DAY))
        );
        let gone = found(&[]).after(mended, Standing::Over, later);
        assert_eq!(gone.settled_at, None);
    }

    #[test]
    fn rules_of_a_cluster_that_is_news_are_no_drift() {
        let mut drift = Drift {
            now: vec![
                change("/a", Some("aks-tag-0123456789")),
                change("/b", Some("aks-tag-9876543210")),
            ],
            ..Drift::default()
        };
        drift.without_news_of(&BTreeSet::from(["0123456789".to_owned()]));
        assert_eq!(drift.now, [change("/b", Some("aks-tag-9876543210"))]);
    }
}
