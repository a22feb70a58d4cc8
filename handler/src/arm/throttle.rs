//! How long Azure asks us to wait.
//!
//! Reads `Retry-After` in both of its forms and keeps it within sensible bounds; it never waits itself. A header that cannot
//! be read counts as absent, because a wrong pause is worse than the default one.

use std::time::Duration;

use azure_core::http::headers::{HeaderName, Headers};
use azure_core::time::parse_rfc7231;
use time::OffsetDateTime;

/// The pause when Azure names none. Network polls carry `Retry-After: 10` almost always [recorded: fluent-net].
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(10);
/// No pause is shorter: `Retry-After: 0` would make a busy loop.
pub const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// No pause is longer: the old ARM quotas refilled hourly, and a wait beyond that is looked at again anyway.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");

/// The pause that the headers ask for, between [`SHORTEST_PAUSE`] and [`LONGEST_PAUSE`]; `None` if they ask for none.
///
/// `now` is needed because the header may hold an HTTP date (RFC 9110, section 10.2.3).
pub fn requested_pause(headers: &Headers, now: OffsetDateTime) -> Option<Duration> {
    let text = headers.get_optional_str(&RETRY_AFTER)?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = parse_rfc7231(text).ok()?;
            Duration::try_from(until - now).unwrap_or(Duration::ZERO)
        }
    };
    Some(pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
}

/// [`requested_pause`], or [`DEFAULT_PAUSE`].
pub fn pause(headers: &Headers, now: OffsetDateTime) -> Duration {
    requested_pause(headers, now).unwrap_or(DEFAULT_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-23 10:00:00 UTC);

    fn asked(value: &str) -> Option<Duration> {
        let mut headers = Headers::new();
        headers.insert("retry-after", value.to_owned());
        requested_pause(&headers, NOW)
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date_and_kept_within_bounds() {
        assert_eq!(asked("17"), Some(Duration::from_secs(17)));
        assert_eq!(asked("0"), Some(SHORTEST_PAUSE));
        assert_eq!(asked("99999999"), Some(LONGEST_PAUSE));
        assert_eq!(asked("Mon, 23 Nov 2026 10:00:42 GMT"), Some(Duration::from_secs(42)));
        assert_eq!(asked("Mon, 23 Nov 2026 09:00:00 GMT"), Some(SHORTEST_PAUSE));
    }

    #[test]
    fn an_unreadable_retry_after_is_no_retry_after() {
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-5"), None);
        assert_eq!(pause(&Headers::new(), NOW), DEFAULT_PAUSE);
    }
}
