//! Everything random that the host puts on the wire or waits for, from one seed. No draw is a secret; ids repeat when
//! the seed and the order of calls repeat. A poisoned lock is taken over: a draw has no state worth protecting.

use std::sync::{Mutex, PoisonError};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

/// A seeded source of ids and jitter.
#[derive(Debug)]
pub(crate) struct Draws(Mutex<ChaCha8Rng>);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(ChaCha8Rng::seed_from_u64(seed)))
    }

    /// A random (version 4) GUID.
    pub(crate) fn guid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// `2 * bytes` lower-case hexadecimal digits.
    pub(crate) fn hex(&self, bytes: usize) -> String {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (0..bytes).map(|_| format!("{:02x}", rng.random::<u8>())).collect()
    }

    /// A W3C trace parent with the flag `00` (unsampled), as the capture of host 4.24.4.4 shows it.
    pub(crate) fn trace_parent(&self) -> String {
        format!("00-{}-{}-00", self.hex(16), self.hex(8))
    }

    /// A factor between 0.8 and 1.2: the jitter of the queue listener's back-off.
    pub(crate) fn jitter(&self) -> f64 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .random_range(0.8..1.2)
    }

    fn bytes(&self) -> [u8; 16] {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random()
    }
}
