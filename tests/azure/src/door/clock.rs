//! Azure time from the wall clock: `azure + (wall_now - wall) * scale`.
//! It is the text form `HUBWARD_CLOCK` carries between processes; who sleeps divides by the scale.

use std::time::Duration;
use time::OffsetDateTime;

/// A scaled wall clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WallClock {
    /// Azure seconds per wall second, above 0.
    pub scale: f64,
    /// Wall clock of the anchor, Unix milliseconds.
    pub wall_ms: i64,
    /// Azure time of the anchor, Unix milliseconds.
    pub azure_ms: i64,
}

/// Why a clock text was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("clock text {text:?} is not understood: {reason}; write scale=200;wall=<unix ms>;azure=<unix ms>")]
pub struct ClockError {
    text: String,
    reason: String,
}

impl WallClock {
    /// A clock that shows `azure` now and runs `scale` times as fast as the wall.
    pub fn starting_at(azure: OffsetDateTime, scale: f64) -> Self {
        Self {
            scale,
            wall_ms: wall_ms(),
            azure_ms: (azure.unix_timestamp_nanos() / 1_000_000) as i64,
        }
    }

    /// Azure time now.
    pub fn now(&self) -> OffsetDateTime {
        self.at(wall_ms())
    }

    /// Azure time at a wall time in Unix milliseconds.
    pub fn at(&self, wall_ms: i64) -> OffsetDateTime {
        let elapsed = (wall_ms - self.wall_ms) as f64 * self.scale;
        let nanos = i128::from(self.azure_ms + elapsed as i64) * 1_000_000;
        OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// How long to sleep on the wall until Azure time `until`; zero when it has passed.
    pub fn wall_until(&self, until: OffsetDateTime) -> Duration {
        let azure = (until - self.now()).as_seconds_f64();
        Duration::try_from_secs_f64((azure / self.scale).max(0.0)).unwrap_or(Duration::MAX)
    }

    /// The text for `HUBWARD_CLOCK`.
    pub fn to_env(&self) -> String {
        format!("scale={};wall={};azure={}", self.scale, self.wall_ms, self.azure_ms)
    }

    /// Reads the text of `HUBWARD_CLOCK`.
    ///
    /// # Errors
    /// Names the part that is missing, unknown or out of range.
    pub fn parse(text: &str) -> Result<Self, ClockError> {
        let refuse = |reason: String| ClockError {
            text: text.to_owned(),
            reason,
        };
        let (mut scale, mut wall, mut azure) = (None, None, None);
        for part in text.split(';') {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| refuse(format!("{part:?} has no '='")))?;
            match name.trim() {
                "scale" => {
                    scale = value
                        .parse::<f64>()
                        .ok()
                        .filter(|scale| scale.is_finite() && *scale > 0.0)
                }
                "wall" => wall = value.parse::<i64>().ok(),
                "azure" => azure = value.parse::<i64>().ok(),
                other => return Err(refuse(format!("unknown part {other:?}"))),
            }
        }
        let missing = |name: &str| refuse(format!("{name} is missing or not a fitting number"));
        Ok(Self {
            scale: scale.ok_or_else(|| missing("scale"))?,
            wall_ms: wall.ok_or_else(|| missing("wall"))?,
            azure_ms: azure.ok_or_else(|| missing("azure"))?,
        })
    }
}

fn wall_ms() -> i64 {
    (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_survives_its_text_form_and_scales() {
        let clock = WallClock {
            scale: 200.0,
            wall_ms: 1_000,
            azure_ms: 50_000,
        };
        assert_eq!(clock.to_env(), "scale=200;wall=1000;azure=50000");
        assert_eq!(WallClock::parse(&clock.to_env()), Ok(clock));
        assert_eq!((clock.at(1_500).unix_timestamp_nanos() / 1_000_000) as i64, 150_000);
    }

    #[test]
    fn a_wrong_clock_text_is_refused_with_the_part_that_is_wrong() {
        for (text, part) in [
            ("", "has no '='"),
            ("scale=0;wall=1;azure=1", "scale"),
            ("scale=1;wall=x;azure=1", "wall"),
            ("speed=1", "speed"),
        ] {
            let error = WallClock::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
