//! The .NET `TimeSpan` texts of host.json (`[d.]hh:mm:ss[.fffffff]`). It refuses negative spans and out-of-range parts
//! with `None`; the caller names the field.

use std::time::Duration;

/// Reads a time span.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let parts: Vec<&str> = text.trim().split(':').collect();
    let [first, minutes, seconds] = parts.as_slice() else {
        return None;
    };
    let (days, hours) = first.split_once('.').unwrap_or(("0", first));
    let whole = number(days, u64::MAX)? * 86_400 + number(hours, 23)? * 3_600 + number(minutes, 59)? * 60;
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    if fraction.is_empty() || fraction.len() > 7 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: u32 = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration::new(whole + number(seconds, 59)?, nanos))
}

fn number(text: &str, max: u64) -> Option<u64> {
    let ok = !text.is_empty() && text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| ok && *n <= max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_have_days_and_fractions_and_bounded_parts() {
        assert_eq!(parse("00:05:00"), Some(Duration::from_secs(300)));
        assert_eq!(parse("1.02:03:04"), Some(Duration::from_secs(93_784)));
        assert_eq!(parse("00:00:00.1"), Some(Duration::from_millis(100)));
        for bad in ["", "5", "00:60:00", "24:00:00", "-00:01:00", "00:00:00.", "00:01"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
