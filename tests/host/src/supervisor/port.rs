//! Picks the handler's port. The host keeps one port for all restarts; a port that somebody else took meanwhile is
//! replaced, because a second handler could not bind it.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Below Linux's ephemeral range, so that no outgoing connection takes the port between choice and bind.
const CANDIDATES: Range<u16> = 20_000..32_000;
const ATTEMPTS: u16 = 64;

/// The fixed port if host.json names one, else the port used before if still free, else a random free one.
pub(super) fn choose(fixed: Option<u16>, before: Option<u16>) -> Result<u16, String> {
    if let Some(port) = fixed.or_else(|| before.filter(|port| is_free(*port))) {
        return Ok(port);
    }
    // Not from the host's seed: two hosts with one seed on one machine must not fight over a port.
    let start = RandomState::new().hash_one(std::process::id());
    let size = u64::from(CANDIDATES.end - CANDIDATES.start);
    (0..ATTEMPTS)
        .map(|step| CANDIDATES.start + ((start % size + u64::from(step) * 181) % size) as u16)
        .find(|port| is_free(*port))
        .ok_or_else(|| format!("No free port among {ATTEMPTS} tried for the handler."))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_kept_while_free_and_replaced_when_taken() {
        let port = choose(None, None).unwrap();
        assert!(CANDIDATES.contains(&port));
        assert_eq!(choose(None, Some(port)).unwrap(), port);
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let other = taken.local_addr().unwrap().port();
        assert_ne!(choose(None, Some(other)).unwrap(), other);
        assert_eq!(choose(Some(other), None).unwrap(), other);
    }
}
