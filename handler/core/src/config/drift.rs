//! When everything is looked at again: `[drift] schedule`, in the language of the Functions host's timer.
//!
//! The host reads the schedule from `function.json` when the app starts, so it is checked here, where a person sees the answer:
//! a schedule that the host cannot read would only stop the timer, and nobody would notice.

use serde::{Deserialize, Serialize};

/// How often drift is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drift {
    /// NCRONTAB of six fields, seconds first, in UTC. It is written into the script root by `hubward package`.
    pub schedule: String,
}

impl Default for Drift {
    fn default() -> Self {
        Self {
            schedule: "0 */30 * * * *".to_owned(),
        }
    }
}

/// What is allowed, for the message of a refusal.
pub(super) const ALLOWED: &str =
    "six fields, seconds first, in UTC, at most once a minute, for example \"0 */30 * * * *\"";

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The fields of NCRONTAB in their order: name, least and greatest value, names of values.
const FIELDS: [(&str, u8, u8, &[&str]); 6] = [
    ("second", 0, 59, &[]),
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day", 1, 31, &[]),
    ("month", 1, 12, &MONTHS),
    ("day of week", 0, 6, &DAYS),
];

/// What is wrong with a schedule; `None` if the host takes it.
///
/// The seconds must be one number: a sweep reads every cluster, and one each second would eat the quota of the reads that matter.
pub(super) fn wrong(schedule: &str) -> Option<String> {
    let parts: Vec<&str> = schedule.split_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return Some(format!("{schedule:?} has {} fields", parts.len()));
    }
    for ((name, least, most, names), part) in FIELDS.into_iter().zip(&parts) {
        if !part.split(',').all(|span| is_span(span, least, most, names)) {
            return Some(format!("the {name} {part:?} of {schedule:?} cannot be read"));
        }
    }
    let often = parts.first().is_some_and(|second| second.parse::<u8>().is_err());
    often.then(|| format!("{schedule:?} comes several times a minute"))
}

/// `*`, `a` or `a-b`, each with an optional `/step`.
fn is_span(text: &str, least: u8, most: u8, names: &[&str]) -> bool {
    let (span, step) = match text.split_once('/') {
        Some((span, step)) => (span, Some(step)),
        None => (text, None),
    };
    if step.is_some_and(|step| number(step).is_none_or(|step| step == 0)) {
        return false;
    }
    let value = |text: &str| {
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
        let named = named.and_then(|at| u8::try_from(at).ok()).map(|at| least + at);
        named
            .or_else(|| number(text))
            .filter(|value| (least..=most).contains(value))
    };
    match span.split_once('-') {
        _ if span == "*" => true,
        Some((first, last)) => value(first).zip(value(last)).is_some_and(|(first, last)| first <= last),
        None => value(span).is_some(),
    }
}

/// Digits only: `parse` would take a sign too.
fn number(text: &str) -> Option<u8> {
    let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedules_of_the_hosts_documentation_are_taken() {
        for schedule in [
            "0 */30 * * * *",
            "0 */5 * * * *",
            "0 0 */2 * * *",
            "0 0 9-17 * * *",
            "0 30 9 * * 1-5",
            "0 30 9 * Jan Mon",
            "30 5,8,10 * * * *",
            "0 20/20 * * * *",
            "  0  0 0 1 1 *  ",
        ] {
            assert_eq!(wrong(schedule), None, "{schedule}");
        }
    }

    #[test]
    fn what_the_host_cannot_read_or_what_comes_too_often_is_told_with_its_field() {
        for (schedule, says) in [
            ("", "has 0 fields"),
            ("*/5 * * * *", "has 5 fields"),
            ("00:05:00", "has 1 fields"),
            ("%SCHEDULE%", "has 1 fields"),
            ("0 60 * * * *", "the minute"),
            ("0 */0 * * * *", "the minute"),
            ("0 9-5 * * * *", "the minute"),
            ("0 +5 * * * *", "the minute"),
            ("0 5, * * * *", "the minute"),
            ("0 0 24 * * *", "the hour"),
            ("0 0 0 0 * *", "the day"),
            ("0 0 0 L * *", "the day"),
            ("0 0 0 * Janitor *", "the month"),
            ("0 0 0 * * 7", "the day of week"),
            ("60 * * * * *", "the second"),
            ("* * * * * *", "several times a minute"),
            ("*/20 * * * * *", "several times a minute"),
            ("0,30 * * * * *", "several times a minute"),
        ] {
            let said = wrong(schedule).unwrap_or_default();
            assert!(said.contains(says), "{schedule:?}: {said:?}");
        }
    }
}
