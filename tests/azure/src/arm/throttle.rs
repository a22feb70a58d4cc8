//! ARM's token buckets: per principal and operation type, plus one global bucket per subscription, in Azure seconds.
//! Numbers: reads 250 + 25/s, writes 200 + 10/s, deletes 200 + 10/s, global fifteen times that [arm-behaviour 4].

use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Which bucket a call takes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Reads,
    Writes,
    Deletes,
}

impl Operation {
    /// The word in the `x-ms-ratelimit-remaining-subscription-*` headers.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Operation::Reads => "reads",
            Operation::Writes => "writes",
            Operation::Deletes => "deletes",
        }
    }
}

/// Size and refill of one principal's bucket; the global bucket is fifteen times as large.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BucketSize {
    /// Calls that can be made at once.
    pub burst: f64,
    /// Calls regained per Azure second.
    pub per_second: f64,
}

/// Sizes of the three bucket kinds. Vary them to study throttling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThrottleLimits {
    /// GET calls.
    pub reads: BucketSize,
    /// PUT, PATCH and POST calls.
    pub writes: BucketSize,
    /// DELETE calls.
    pub deletes: BucketSize,
}

impl Default for ThrottleLimits {
    fn default() -> Self {
        Self {
            reads: BucketSize {
                burst: 250.0,
                per_second: 25.0,
            },
            writes: BucketSize {
                burst: 200.0,
                per_second: 10.0,
            },
            deletes: BucketSize {
                burst: 200.0,
                per_second: 10.0,
            },
        }
    }
}

/// What a call may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Let through; what is left for the `x-ms-ratelimit-remaining-*` headers.
    Allowed { remaining: u32, global_remaining: u32 },
    /// Refused; seconds until a token is there again.
    Refused { retry_after: u32 },
}

/// All buckets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Throttle {
    limits: ThrottleLimits,
    buckets: BTreeMap<(String, Operation), Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: OffsetDateTime,
}

/// The global bucket's factor over one principal's [arm-behaviour 4].
const GLOBAL_FACTOR: f64 = 15.0;

impl Throttle {
    pub(crate) fn new(limits: ThrottleLimits) -> Self {
        Self {
            limits,
            buckets: BTreeMap::new(),
        }
    }

    /// Takes one token for `principal` in `subscription`, or says when to come back. A refused call takes none.
    pub(crate) fn take(
        &mut self,
        subscription: &str,
        principal: &str,
        operation: Operation,
        now: OffsetDateTime,
    ) -> Verdict {
        let size = match operation {
            Operation::Reads => self.limits.reads,
            Operation::Writes => self.limits.writes,
            Operation::Deletes => self.limits.deletes,
        };
        let global_size = BucketSize {
            burst: size.burst * GLOBAL_FACTOR,
            per_second: size.per_second * GLOBAL_FACTOR,
        };
        let own_key = (format!("{subscription}|{principal}"), operation);
        let global_key = (subscription.to_owned(), operation);
        let own = self.filled(&own_key, size, now);
        let global = self.filled(&global_key, global_size, now);
        let missing = (1.0 - own).max(1.0 - global);
        if missing > 0.0 {
            let retry_after = (missing / size.per_second).ceil().max(1.0) as u32;
            return Verdict::Refused { retry_after };
        }
        self.buckets.insert(
            own_key,
            Bucket {
                tokens: own - 1.0,
                at: now,
            },
        );
        self.buckets.insert(
            global_key,
            Bucket {
                tokens: global - 1.0,
                at: now,
            },
        );
        Verdict::Allowed {
            remaining: (own - 1.0) as u32,
            global_remaining: (global - 1.0) as u32,
        }
    }

    fn filled(&self, key: &(String, Operation), size: BucketSize, now: OffsetDateTime) -> f64 {
        self.buckets.get(key).map_or(size.burst, |bucket| {
            let elapsed = (now - bucket.at).as_seconds_f64().max(0.0);
            (bucket.tokens + elapsed * size.per_second).min(size.burst)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Duration;

    #[test]
    fn two_hundred_writes_pass_the_next_waits_and_another_principal_is_not_touched() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let mut throttle = Throttle::new(ThrottleLimits::default());
        for left in (0..200).rev() {
            let verdict = throttle.take("s", "p", Operation::Writes, now);
            assert!(
                matches!(verdict, Verdict::Allowed { remaining, .. } if remaining == left),
                "{verdict:?}"
            );
        }
        assert_eq!(
            throttle.take("s", "p", Operation::Writes, now),
            Verdict::Refused { retry_after: 1 }
        );
        assert!(matches!(
            throttle.take("s", "q", Operation::Writes, now),
            Verdict::Allowed { remaining: 199, .. }
        ));
        assert!(matches!(
            throttle.take("s", "p", Operation::Reads, now),
            Verdict::Allowed { .. }
        ));
        let later = now + Duration::seconds(1);
        assert!(matches!(
            throttle.take("s", "p", Operation::Writes, later),
            Verdict::Allowed { remaining: 9, .. }
        ));
    }
}
