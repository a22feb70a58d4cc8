//! Azure time: a wall clock that runs `scale` times faster. Everything the host waits for or stamps is Azure time, and
//! this is the one place that divides by the scale. It refuses a `HUBWARD_CLOCK` that contradicts the host's scale,
//! because leases and timestamps would then disagree.

use std::time::Duration;

use time::OffsetDateTime;
use time::macros::format_description;

use crate::app_settings::AppSettings;
use crate::error::HostError;

/// The longest single sleep; longer ones would overflow the timer and mean "for ever" anyway.
const LONGEST_SLEEP: Duration = Duration::from_secs(30 * 24 * 3600);

/// Azure time and its relation to wall time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AzureClock {
    scale: f64,
    wall: OffsetDateTime,
    azure: OffsetDateTime,
}

impl AzureClock {
    /// The clock told by `HUBWARD_CLOCK`, or one that starts at the real time and runs at `scale`.
    pub(crate) fn from_settings(settings: &AppSettings, scale: f64) -> Result<Self, HostError> {
        if !(scale.is_finite() && scale > 0.0) {
            return Err(HostError::Clock {
                reason: format!("time_scale {scale} is not a positive number"),
            });
        }
        let Some(text) = settings.get("HUBWARD_CLOCK") else {
            let now = OffsetDateTime::now_utc();
            return Ok(Self {
                scale,
                wall: now,
                azure: now,
            });
        };
        let clock = parse(text).ok_or_else(|| HostError::Clock {
            reason: format!("HUBWARD_CLOCK is {text:?}, which cannot be read"),
        })?;
        if (clock.scale - scale).abs() > 1e-9 * scale {
            return Err(HostError::Clock {
                reason: format!("HUBWARD_CLOCK says scale {} but time_scale is {scale}", clock.scale),
            });
        }
        Ok(clock)
    }

    /// The present Azure time.
    pub(crate) fn now(&self) -> OffsetDateTime {
        self.azure + (OffsetDateTime::now_utc() - self.wall) * self.scale
    }

    /// How long an Azure duration takes on the wall.
    pub(crate) fn wall(&self, azure: Duration) -> Duration {
        Duration::try_from_secs_f64(azure.as_secs_f64() / self.scale)
            .unwrap_or(LONGEST_SLEEP)
            .min(LONGEST_SLEEP)
    }

    /// Sleeps for an Azure duration.
    pub(crate) async fn sleep(&self, azure: Duration) {
        tokio::time::sleep(self.wall(azure)).await;
    }
}

/// .NET's round-trip form of a UTC `DateTime`: up to seven fraction digits, trailing zeros trimmed, then `Z`.
pub(crate) fn utc_text(at: OffsetDateTime) -> String {
    format!("{}Z", local_part(at))
}

/// The same for a `DateTimeOffset` or a local `DateTime` on a machine that keeps UTC: `+00:00` at the end.
pub(crate) fn offset_text(at: OffsetDateTime) -> String {
    format!("{}+00:00", local_part(at))
}

fn local_part(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    let seconds = at
        .format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]"))
        .unwrap_or_else(|_| at.to_string());
    let ticks = format!("{:07}", at.nanosecond() / 100);
    let fraction = ticks.trim_end_matches('0');
    if fraction.is_empty() {
        seconds
    } else {
        format!("{seconds}.{fraction}")
    }
}

fn parse(text: &str) -> Option<AzureClock> {
    let (mut scale, mut wall, mut azure) = (None, None, None);
    for part in text.split(';').filter(|part| !part.trim().is_empty()) {
        let (name, value) = part.split_once('=')?;
        match name.trim() {
            "scale" => scale = value.trim().parse::<f64>().ok().filter(|s| s.is_finite() && *s > 0.0),
            "wall" => wall = instant(value),
            "azure" => azure = instant(value),
            _ => return None,
        }
    }
    Some(AzureClock {
        scale: scale?,
        wall: wall?,
        azure: azure?,
    })
}

fn instant(unix_millis: &str) -> Option<OffsetDateTime> {
    let millis: i128 = unix_millis.trim().parse::<i64>().ok()?.into();
    OffsetDateTime::from_unix_timestamp_nanos(millis * 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn fractions_are_trimmed_as_in_the_captures() {
        assert_eq!(
            utc_text(datetime!(2023-09-07 11:40:45.004275 UTC)),
            "2023-09-07T11:40:45.004275Z"
        );
        assert_eq!(
            utc_text(datetime!(2024-05-10 16:13:47.1756352 UTC)),
            "2024-05-10T16:13:47.1756352Z"
        );
        assert_eq!(
            offset_text(datetime!(2024-05-10 16:13:45 UTC)),
            "2024-05-10T16:13:45+00:00"
        );
    }

    #[test]
    fn the_clock_runs_from_its_anchor_at_its_scale() {
        let wall = OffsetDateTime::now_utc() - time::Duration::seconds(10);
        let text = format!("scale=200;wall={};azure=0", wall.unix_timestamp() * 1000);
        let settings = AppSettings::new(&[("HUBWARD_CLOCK".to_owned(), text)]);
        let clock = AzureClock::from_settings(&settings, 200.0).unwrap();
        let now = clock.now().unix_timestamp();
        assert!(
            (2000..6000).contains(&now),
            "ten wall seconds at scale 200 are at least 2000 s: {now}"
        );
        assert_eq!(clock.wall(Duration::from_secs(300)), Duration::from_millis(1500));
    }

    #[test]
    fn a_clock_that_contradicts_the_scale_is_refused() {
        let settings = AppSettings::new(&[("HUBWARD_CLOCK".to_owned(), "scale=200;wall=0;azure=0".to_owned())]);
        assert!(matches!(
            AzureClock::from_settings(&settings, 10.0),
            Err(HostError::Clock { .. })
        ));
    }
}
