//! Seeded draws: every latency, id, etag and delay comes from the seed and the name of what it is for.
//! Draws do not share a stream, so two clients racing in wall-clock time never change each other's latencies.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The seed of one simulated Azure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    seed: u64,
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// A generator for one purpose.
    pub(crate) fn rng(self, purpose: &str) -> ChaCha8Rng {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(purpose.as_bytes());
        ChaCha8Rng::from_seed(hash.finalize().into())
    }

    /// A version 4 style identifier for one purpose.
    pub(crate) fn uuid(self, purpose: &str) -> Uuid {
        let mut bytes = [0_u8; 16];
        self.rng(purpose).fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A number in `0.0..1.0` for one purpose.
    pub(crate) fn fraction(self, purpose: &str) -> f64 {
        fraction(&mut self.rng(purpose))
    }

    /// `length` characters of base64url, as in the signed part of a poll URL.
    pub(crate) fn opaque(self, purpose: &str, length: usize) -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut rng = self.rng(purpose);
        let mut bytes = vec![0_u8; length];
        rng.fill_bytes(&mut bytes);
        bytes
            .iter()
            .map(|b| char::from(ALPHABET[usize::from(b & 63)]))
            .collect()
    }
}

/// A number in `0.0..1.0` from a running generator.
pub(crate) fn fraction(rng: &mut ChaCha8Rng) -> f64 {
    f64::from(rng.next_u32()) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_purpose_draw_the_same_and_another_seed_does_not() {
        assert_eq!(Draws::new(1).uuid("a"), Draws::new(1).uuid("a"));
        assert_ne!(Draws::new(1).uuid("a"), Draws::new(2).uuid("a"));
        assert_ne!(Draws::new(1).uuid("a"), Draws::new(1).uuid("b"));
        let fraction = Draws::new(7).fraction("x");
        assert!((0.0..1.0).contains(&fraction));
    }
}
