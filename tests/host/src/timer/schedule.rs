//! NCRONTAB: six fields, seconds first (five: without seconds), in UTC. Day of month and day of week must *both* match,
//! unlike in Vixie cron. `L`, `W`, `#` and `?` do not exist in NCRONTAB and are refused.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use time::{Date, Month, OffsetDateTime, Time};

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// Every date pattern that can occur at all occurs within this many days: 29 February on a given weekday, across 2100.
const SEARCH_DAYS: usize = 41 * 366;

/// A timer's schedule: the values each field admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    seconds: BTreeSet<u8>,
    minutes: BTreeSet<u8>,
    hours: BTreeSet<u8>,
    days: BTreeSet<u8>,
    months: BTreeSet<u8>,
    weekdays: BTreeSet<u8>,
}

impl Schedule {
    /// Reads an expression.
    ///
    /// # Errors
    /// One line that names the field.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        let [seconds, minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!(
                "schedule '{text}' has {} fields, NCRONTAB has six",
                fields.len()
            ));
        };
        Ok(Self {
            seconds: field("seconds", seconds, 0..=59, &[])?,
            minutes: field("minutes", minutes, 0..=59, &[])?,
            hours: field("hours", hours, 0..=23, &[])?,
            days: field("days", days, 1..=31, &[])?,
            months: field("months", months, 1..=12, &MONTHS)?,
            weekdays: field("days of week", weekdays, 0..=6, &DAYS)?,
        })
    }

    /// The first occurrence strictly after `at`; `None` for a date that never comes, such as 31 February.
    #[must_use]
    pub fn next_after(&self, at: OffsetDateTime) -> Option<OffsetDateTime> {
        let at = at.to_offset(time::UtcOffset::UTC);
        let mut date = at.date();
        let mut after = Some(at.time());
        for _ in 0..SEARCH_DAYS {
            if self.admits(date)
                && let Some(time) = self.time_after(after)
            {
                return Some(date.with_time(time).assume_utc());
            }
            date = date.next_day()?;
            after = None;
        }
        None
    }

    fn admits(&self, date: Date) -> bool {
        self.months.contains(&u8::from(date.month()))
            && self.days.contains(&date.day())
            && self.weekdays.contains(&date.weekday().number_days_from_sunday())
    }

    /// The first admitted time of a day, strictly after `after` if given.
    fn time_after(&self, after: Option<Time>) -> Option<Time> {
        let start = after.map_or(0, |time| {
            u32::from(time.hour()) * 3600 + u32::from(time.minute()) * 60 + u32::from(time.second()) + 1
        });
        for &hour in &self.hours {
            let hour_start = u32::from(hour) * 3600;
            if hour_start + 3599 < start {
                continue;
            }
            for &minute in &self.minutes {
                let minute_start = hour_start + u32::from(minute) * 60;
                if let Some(&second) = self
                    .seconds
                    .iter()
                    .find(|second| minute_start + u32::from(**second) >= start)
                {
                    return Time::from_hms(hour, minute, second).ok();
                }
            }
        }
        None
    }
}

/// A comma-separated list of `*`, `a`, `a-b`, each with an optional `/step`.
fn field(name: &str, text: &str, range: RangeInclusive<u8>, names: &[&str]) -> Result<BTreeSet<u8>, String> {
    let bad = || format!("{name} '{text}' cannot be read as NCRONTAB");
    let mut values = BTreeSet::new();
    for part in text.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => (
                span,
                Some(step.parse::<u8>().ok().filter(|step| *step > 0).ok_or_else(bad)?),
            ),
            None => (part, None),
        };
        let one = |text: &str| value(text, &range, names).ok_or_else(bad);
        let (first, last) = match span.split_once('-') {
            _ if span == "*" => (*range.start(), *range.end()),
            Some((first, last)) => (one(first)?, one(last)?),
            // `a/n` starts at a and runs to the end of the range.
            None if step.is_some() => (one(span)?, *range.end()),
            None => (one(span)?, one(span)?),
        };
        if first > last {
            return Err(bad());
        }
        values.extend((first..=last).step_by(usize::from(step.unwrap_or(1))));
    }
    Ok(values)
}

fn value(text: &str, range: &RangeInclusive<u8>, names: &[&str]) -> Option<u8> {
    let by_name = names
        .iter()
        .position(|name| text.len() >= 3 && text.to_ascii_lowercase().starts_with(name));
    let number = match by_name {
        // Names may be written out ("Monday"); positions count from the range's start.
        Some(position) if spelled_out(text) => range.start() + u8::try_from(position).ok()?,
        _ => text.parse().ok()?,
    };
    range.contains(&number).then_some(number)
}

fn spelled_out(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let months = (1..=12)
        .filter_map(|n| Month::try_from(n).ok())
        .map(|month| month.to_string().to_ascii_lowercase());
    let days = (0..7).map(|n| time::Weekday::Sunday.nth_next(n).to_string().to_ascii_lowercase());
    months.chain(days).any(|full| text == full || text == full[..3])
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn next(expression: &str, at: OffsetDateTime) -> Option<OffsetDateTime> {
        Schedule::parse(expression).unwrap().next_after(at)
    }

    #[test]
    fn occurrences_are_those_of_the_documented_examples() {
        let at = datetime!(2024-05-10 16:13:45.5 UTC); // a Friday
        for (expression, expected) in [
            ("0 */5 * * * *", datetime!(2024-05-10 16:15 UTC)),
            ("0 0 * * * *", datetime!(2024-05-10 17:00 UTC)),
            ("0 0 */2 * * *", datetime!(2024-05-10 18:00 UTC)),
            ("0 0 9-17 * * *", datetime!(2024-05-10 17:00 UTC)),
            ("0 30 9 * * *", datetime!(2024-05-11 09:30 UTC)),
            ("0 30 9 * * 1-5", datetime!(2024-05-13 09:30 UTC)),
            ("0 30 9 * Jan Mon", datetime!(2025-01-06 09:30 UTC)),
            ("*/10 * * * * *", datetime!(2024-05-10 16:13:50 UTC)),
            ("46 13 16 * * *", datetime!(2024-05-10 16:13:46 UTC)),
            ("45 13 16 * * *", datetime!(2024-05-11 16:13:45 UTC)),
            ("5,8,10 * * * * *", datetime!(2024-05-10 16:14:05 UTC)),
            ("*/15 * * * *", datetime!(2024-05-10 16:15 UTC)),
            ("0 20/20 * * * *", datetime!(2024-05-10 16:20 UTC)),
            ("0 0 0 1 1 *", datetime!(2025-01-01 0:00 UTC)),
        ] {
            assert_eq!(next(expression, at), Some(expected), "{expression}");
        }
    }

    #[test]
    fn day_of_month_and_day_of_week_must_both_match() {
        assert_eq!(
            next("0 0 0 13 * Friday", datetime!(2024-05-10 16:00 UTC)),
            Some(datetime!(2024-09-13 0:00 UTC))
        );
        assert_eq!(
            next("0 0 0 29 2 0", datetime!(2024-05-10 16:00 UTC)),
            Some(datetime!(2032-02-29 0:00 UTC))
        );
        assert_eq!(next("0 0 0 31 2 *", datetime!(2024-05-10 16:00 UTC)), None);
    }

    #[test]
    fn the_next_occurrence_is_the_first_admitted_second_after_now() {
        let schedule = Schedule::parse("*/7 3-50/9 */5 * * 1,3").unwrap();
        let mut at = datetime!(2024-05-08 19:59:58 UTC);
        for _ in 0..200 {
            let found = schedule.next_after(at).unwrap();
            let mut second = at + time::Duration::SECOND;
            while !(schedule.admits(second.date())
                && schedule.hours.contains(&second.hour())
                && schedule.minutes.contains(&second.minute())
                && schedule.seconds.contains(&second.second()))
            {
                second += time::Duration::SECOND;
            }
            assert_eq!(found, second);
            at = found;
        }
    }

    #[test]
    fn what_ncrontab_does_not_know_is_refused_with_its_field() {
        for (expression, field) in [
            ("0 0 0 L * *", "days"),
            ("60 * * * * *", "seconds"),
            ("0 0 0 * * 7", "days of week"),
            ("0 0 0 ? * *", "days"),
            ("0 */0 * * * *", "minutes"),
            ("0 9-5 * * * *", "minutes"),
            ("0 0 0 * Janitor *", "months"),
            ("00:05:00", "fields"),
        ] {
            let message = Schedule::parse(expression).unwrap_err();
            assert!(message.contains(field), "{expression}: {message}");
        }
    }
}
