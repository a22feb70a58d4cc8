//! Whether a cluster that was not found is gone. Everything of it is removed on the strength of this, so one answer is not
//! enough: Azure must have told of the deletion, or say the same again ten minutes later.
//!
//! A lost right, an unknown subscription and a missing row of a query are no absence; nothing here can be reached with them.

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::{Farewell, State, Unwiring, Wait};
use crate::estate::Absence;
use crate::finding::Finding;

/// How far two looks that both miss a cluster must lie apart to prove that it is gone.
pub const APART: Duration = Duration::minutes(10);

/// What is known of a cluster's end beside the present answer.
#[derive(Clone, Copy, Debug)]
pub struct Sightings {
    /// When the present look began.
    pub now: OffsetDateTime,
    /// When it was created, by the last event that said so.
    pub created: Option<OffsetDateTime>,
    /// When it, or its resource group, was deleted, by the last event that said so and that no look has contradicted since.
    pub deleted: Option<OffsetDateTime>,
    /// The first look that missed it; no look has found it since.
    pub absent_since: Option<OffsetDateTime>,
}

/// What follows from an answer that there is no such cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It is gone.
    Proven {
        /// How we know, one sentence.
        evidence: String,
    },
    /// It may be gone; the same answer at this time or later proves it.
    Doubtful {
        /// From when on.
        until: OffsetDateTime,
    },
    /// The answer is not one that proves anything.
    Unsaid,
}

/// Judges an answer that there is no such cluster.
#[must_use]
pub fn gone(absence: Option<Absence>, seen: &Sightings) -> Gone {
    let word = match absence {
        Some(Absence::ResourceNotFound) => "ResourceNotFound",
        Some(Absence::ResourceGroupNotFound) => "ResourceGroupNotFound",
        Some(Absence::ChildNotFound | Absence::ParentNotFound) | None => return Gone::Unsaid,
    };
    // A deletion that came before the last creation was another cluster's of the same name.
    let matching = seen
        .deleted
        .filter(|deleted| *deleted <= seen.now && seen.created.is_none_or(|created| *deleted > created));
    if let Some(deleted) = matching {
        return Gone::Proven {
            evidence: format!("deleted at {}, {word} at {}", text(deleted), text(seen.now)),
        };
    }
    let first = seen.absent_since.unwrap_or(seen.now);
    if seen.now - first >= APART {
        return Gone::Proven {
            evidence: format!("{word} at {} and since {}", text(seen.now), text(first)),
        };
    }
    Gone::Doubtful { until: first + APART }
}

impl Unwiring {
    /// What would be done if the cluster were proven to be gone: nothing of it may be done before `wait` has ended.
    #[must_use]
    pub fn doubted(mut self, wait: Wait, finding: Option<Finding>) -> Self {
        // Nobody writes the rules meanwhile, so nobody looks whether they are written.
        self.rules.values_mut().for_each(|farewell| *farewell = Farewell::Stays);
        self.plan.waits.retain(|wait| *wait != Wait::RulesGone);
        for step in &mut self.plan.steps {
            step.waits.retain(|wait| *wait != Wait::RulesGone);
        }
        self.plan.findings.extend(finding);
        self.plan.state = Some(State::Offboarding);
        Self {
            plan: self.plan.behind(wait),
            done: false,
            ..self
        }
    }
}

fn text(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn seen() -> Sightings {
        Sightings {
            now: NOW,
            created: Some(NOW - Duration::hours(5)),
            deleted: None,
            absent_since: None,
        }
    }

    fn proven(absence: Absence, seen: &Sightings) -> bool {
        matches!(gone(Some(absence), seen), Gone::Proven { .. })
    }

    #[test]
    fn one_answer_after_a_matching_deletion_proves_absence() {
        let seen = Sightings {
            deleted: Some(NOW - Duration::minutes(1)),
            ..seen()
        };
        let Gone::Proven { evidence } = gone(Some(Absence::ResourceNotFound), &seen) else {
            panic!("not proven")
        };
        insta::assert_snapshot!(evidence, @"deleted at 2026-11-23T11:59:00Z, ResourceNotFound at 2026-11-23T12:00:00Z");
        assert!(proven(Absence::ResourceGroupNotFound, &seen));
    }

    #[test]
    fn a_deletion_before_the_last_creation_is_another_clusters() {
        let seen = Sightings {
            deleted: Some(NOW - Duration::hours(6)),
            ..seen()
        };
        assert_eq!(
            gone(Some(Absence::ResourceNotFound), &seen),
            Gone::Doubtful { until: NOW + APART }
        );
    }

    #[test]
    fn without_a_deletion_two_answers_ten_minutes_apart_prove_absence() {
        let first = |ago| Sightings {
            absent_since: Some(NOW - ago),
            ..seen()
        };
        assert!(!proven(Absence::ResourceNotFound, &seen()));
        assert!(!proven(Absence::ResourceNotFound, &first(APART - Duration::seconds(1))));
        assert!(proven(Absence::ResourceNotFound, &first(APART)));
    }

    #[test]
    fn other_words_for_absence_prove_nothing_at_any_time() {
        let seen = Sightings {
            deleted: Some(NOW),
            absent_since: Some(NOW - Duration::days(1)),
            ..seen()
        };
        for absence in [Some(Absence::ChildNotFound), Some(Absence::ParentNotFound), None] {
            assert_eq!(gone(absence, &seen), Gone::Unsaid);
        }
    }
}
