//! The listener's wait between polls: `RandomizedExponentialBackoffStrategy` of the WebJobs SDK. Pure arithmetic in
//! Azure time; the jitter comes from the caller.

use std::time::Duration;

use super::MIN_POLLING_INTERVAL;

/// The present wait and how far it has grown.
#[derive(Debug)]
pub(super) struct Backoff {
    max: Duration,
    current: Duration,
    exponent: i32,
}

impl Backoff {
    pub(super) fn new(max: Duration) -> Self {
        Self {
            max,
            current: MIN_POLLING_INTERVAL,
            exponent: 0,
        }
    }

    /// The next wait; `found` tells whether a message came since the last one. `jitter` is a factor near 1.
    pub(super) fn next(&mut self, found: bool, jitter: f64) -> Duration {
        if found {
            self.current = MIN_POLLING_INTERVAL;
            self.exponent = 1;
        } else if self.current != self.max {
            let growth = if self.exponent > 0 {
                jitter * 2_f64.powi(self.exponent - 1)
            } else {
                0.0
            };
            let wait = MIN_POLLING_INTERVAL.mul_f64(1.0 + growth);
            if wait < self.max {
                self.current = wait;
                self.exponent += 1;
            } else {
                self.current = self.max;
            }
        }
        self.current.min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_queue_is_polled_ever_more_rarely_and_a_message_resets_it() {
        let mut backoff = Backoff::new(Duration::from_secs(2));
        let waits: Vec<u128> = (0..8).map(|_| backoff.next(false, 1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 300, 500, 900, 1700, 2000, 2000]);
        assert_eq!(backoff.next(true, 1.0).as_millis(), 100);
        assert_eq!(backoff.next(false, 1.2).as_millis(), 220);
    }
}
