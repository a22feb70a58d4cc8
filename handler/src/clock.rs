//! The one source of time: every wait, lease and delay is in Azure seconds and goes through a [`Clock`].
//!
//! A local Azure may run faster than the wall clock (`HUBWARD_CLOCK`), and tests run on tokio's paused time, so nobody else
//! reads a clock or sleeps. A malformed value is refused, and so is a scale other than 1 towards anything but loopback:
//! against the real Azure a scaled lease would be believed long after it ended.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use url::{Host, Url};

/// The largest scale accepted: above it, one wall-clock millisecond would be longer than a lease lasts.
pub const MAX_SCALE: f64 = 10_000.0;

/// Tells Azure's time and waits in Azure seconds.
#[async_trait]
pub trait Clock: Debug + Send + Sync {
    /// What time it is in the Azure we talk to.
    fn now(&self) -> OffsetDateTime;

    /// Waits until `azure` of Azure's time has passed.
    async fn sleep(&self, azure: Duration);
}

/// Why a value of `HUBWARD_CLOCK`, or its use, is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ClockError {
    /// The value is not `scale=<n>;wall=<unix ms>;azure=<unix ms>`.
    #[error("HUBWARD_CLOCK {value:?}: {reason}; it reads scale=<n>;wall=<unix ms>;azure=<unix ms>")]
    Malformed {
        /// The whole value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Time is scaled although something that is not on this machine would be called.
    #[error("HUBWARD_CLOCK has scale {scale}, but {url} is not loopback; unset HUBWARD_CLOCK outside of local runs")]
    NotLoopback {
        /// The scale.
        scale: f64,
        /// Scheme, host and port of the first address that is not loopback.
        url: String,
    },
}

/// Wall-clock time, as it is or scaled: `azure_now = azure + (wall_now - wall) * scale`.
#[derive(Debug, Clone, PartialEq)]
pub struct ScaledClock {
    scale: f64,
    wall: OffsetDateTime,
    azure: OffsetDateTime,
}

impl ScaledClock {
    /// Real time: what runs in Azure.
    #[must_use]
    pub fn real() -> Self {
        Self {
            scale: 1.0,
            wall: OffsetDateTime::UNIX_EPOCH,
            azure: OffsetDateTime::UNIX_EPOCH,
        }
    }

    /// Reads the value of `HUBWARD_CLOCK`; absent means real time.
    ///
    /// # Errors
    /// [`ClockError::Malformed`] if a part is missing, unknown, repeated or out of range.
    pub fn parse(value: Option<&str>) -> Result<Self, ClockError> {
        let Some(value) = value else {
            return Ok(Self::real());
        };
        let malformed = |reason: String| ClockError::Malformed {
            value: value.to_owned(),
            reason,
        };
        let (mut scale, mut wall, mut azure) = (None, None, None);
        for part in value.split(';') {
            let (name, text) = part
                .split_once('=')
                .ok_or_else(|| malformed(format!("{part:?} has no '='")))?;
            let repeated = match name {
                "scale" => scale.replace(parse_scale(text).map_err(malformed)?).is_some(),
                "wall" => wall.replace(parse_instant(text).map_err(malformed)?).is_some(),
                "azure" => azure.replace(parse_instant(text).map_err(malformed)?).is_some(),
                _ => return Err(malformed(format!("{name:?} is unknown"))),
            };
            if repeated {
                return Err(malformed(format!("{name} is given twice")));
            }
        }
        match (scale, wall, azure) {
            (Some(scale), Some(wall), Some(azure)) => Ok(Self { scale, wall, azure }),
            (None, _, _) => Err(malformed("scale is missing".to_owned())),
            (_, None, _) => Err(malformed("wall is missing".to_owned())),
            (_, _, None) => Err(malformed("azure is missing".to_owned())),
        }
    }

    /// Azure seconds per wall-clock second.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Azure's time at a moment of the wall clock.
    #[must_use]
    pub fn at(&self, wall: OffsetDateTime) -> OffsetDateTime {
        let passed = (wall - self.wall).as_seconds_f64() * self.scale;
        // An absurd anchor must not bring the process down: the anchor itself is then the best answer there is.
        time::Duration::checked_seconds_f64(passed)
            .and_then(|passed| self.azure.checked_add(passed))
            .unwrap_or(self.azure)
    }
}

#[async_trait]
impl Clock for ScaledClock {
    fn now(&self) -> OffsetDateTime {
        let wall = OffsetDateTime::now_utc();
        if is_real(self.scale) && self.wall == self.azure {
            return wall;
        }
        self.at(wall)
    }

    async fn sleep(&self, azure: Duration) {
        tokio::time::sleep(azure.div_f64(self.scale)).await;
    }
}

/// Time as tokio tells it, counted from `epoch`: under `tokio::time::pause` a day of Azure passes in milliseconds.
#[derive(Debug, Clone)]
pub struct TokioClock {
    epoch: OffsetDateTime,
    started: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that reads `epoch` at the moment of this call.
    #[must_use]
    pub fn new(epoch: OffsetDateTime) -> Self {
        Self {
            epoch,
            started: tokio::time::Instant::now(),
        }
    }
}

#[async_trait]
impl Clock for TokioClock {
    fn now(&self) -> OffsetDateTime {
        self.epoch + self.started.elapsed()
    }

    async fn sleep(&self, azure: Duration) {
        tokio::time::sleep(azure).await;
    }
}

/// Refuses a scale other than 1 unless every address that will be called is on this machine.
///
/// # Errors
/// [`ClockError::NotLoopback`] names the first address that is not.
pub fn require_loopback_for_scale(scale: f64, urls: &[Url]) -> Result<(), ClockError> {
    if is_real(scale) {
        return Ok(());
    }
    match urls.iter().find(|url| !is_loopback(url)) {
        None => Ok(()),
        Some(url) => Err(ClockError::NotLoopback {
            scale,
            url: url.origin().ascii_serialization(),
        }),
    }
}

/// True if the address is on this machine: `localhost`, `127.0.0.0/8` or `::1`.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_real(scale: f64) -> bool {
    (scale - 1.0).abs() < f64::EPSILON
}

fn parse_scale(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|scale| (0.001..=MAX_SCALE).contains(scale))
        .ok_or_else(|| format!("scale {text:?} is not a number from 0.001 to {MAX_SCALE}"))
}

fn parse_instant(text: &str) -> Result<OffsetDateTime, String> {
    text.parse::<i64>()
        .ok()
        .and_then(|ms| OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok())
        .ok_or_else(|| format!("{text:?} is not a time in unix milliseconds"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const ANCHORED: &str = "scale=200;wall=1700000000000;azure=1800000000000";

    #[test]
    fn azure_time_runs_scale_times_as_fast_from_its_anchor() {
        let clock = ScaledClock::parse(Some(ANCHORED)).unwrap();
        let wall = OffsetDateTime::from_unix_timestamp(1_700_000_003).unwrap();
        assert_eq!(clock.at(wall).unix_timestamp(), 1_800_000_600);
    }

    #[test]
    fn an_absent_value_is_real_time() {
        let clock = ScaledClock::parse(None).unwrap();
        assert_eq!(clock, ScaledClock::real());
        let before = OffsetDateTime::now_utc();
        let now = clock.now();
        assert!(before <= now && now <= OffsetDateTime::now_utc());
    }

    #[test]
    fn a_malformed_value_is_refused_with_its_reason() {
        for (value, reason) in [
            ("", "\"\" has no '='"),
            ("scale=200", "wall is missing"),
            ("wall=1;azure=1", "scale is missing"),
            ("scale=1;wall=1", "azure is missing"),
            (
                "scale=0;wall=1;azure=1",
                "scale \"0\" is not a number from 0.001 to 10000",
            ),
            (
                "scale=NaN;wall=1;azure=1",
                "scale \"NaN\" is not a number from 0.001 to 10000",
            ),
            (
                "scale=inf;wall=1;azure=1",
                "scale \"inf\" is not a number from 0.001 to 10000",
            ),
            ("scale=1;scale=2;wall=1;azure=1", "scale is given twice"),
            ("scale=1;wall=x;azure=1", "\"x\" is not a time in unix milliseconds"),
            (
                "scale=1;wall=9223372036854775807;azure=1",
                "\"9223372036854775807\" is not a time in unix milliseconds",
            ),
            ("scale=1;wall=1;azure=1;speed=3", "\"speed\" is unknown"),
        ] {
            let expected = ClockError::Malformed {
                value: value.to_owned(),
                reason: reason.to_owned(),
            };
            assert_eq!(ScaledClock::parse(Some(value)), Err(expected), "{value}");
        }
    }

    #[test]
    fn an_absurd_anchor_does_not_panic() {
        let clock = ScaledClock::parse(Some("scale=10000;wall=-62135596800000;azure=253402300799000")).unwrap();
        assert_eq!(clock.now(), datetime!(9999-12-31 23:59:59 UTC));
    }

    #[tokio::test(start_paused = true)]
    async fn a_scaled_sleep_divides_by_the_scale() {
        let clock = ScaledClock::parse(Some(ANCHORED)).unwrap();
        let started = tokio::time::Instant::now();
        clock.sleep(Duration::from_secs(60)).await;
        assert_eq!(started.elapsed(), Duration::from_millis(300));
    }

    #[tokio::test(start_paused = true)]
    async fn paused_time_moves_only_by_sleeping() {
        let clock = TokioClock::new(datetime!(2026-11-23 00:00 UTC));
        clock.sleep(Duration::from_secs(86_400)).await;
        assert_eq!(clock.now(), datetime!(2026-11-24 00:00 UTC));
    }

    #[test]
    fn scaled_time_is_refused_towards_anything_but_loopback() {
        let url = |text: &str| Url::parse(text).unwrap();
        let here = [
            url("http://127.0.0.1:1/a"),
            url("http://[::1]:2"),
            url("http://localhost:3"),
        ];
        assert_eq!(require_loopback_for_scale(200.0, &here), Ok(()));
        let away = [
            here[0].clone(),
            url("https://hubward.blob.core.windows.net/c?sig=secret"),
        ];
        assert_eq!(
            require_loopback_for_scale(200.0, &away),
            Err(ClockError::NotLoopback {
                scale: 200.0,
                url: "https://hubward.blob.core.windows.net".to_owned()
            })
        );
        assert_eq!(require_loopback_for_scale(1.0, &away), Ok(()));
        assert!(require_loopback_for_scale(2.0, &[url("http://127.0.0.1.example")]).is_err());
    }
}
