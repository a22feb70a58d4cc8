//! The timer trigger on the stage: `DriftTimer` runs on the configured schedule while the app runs, and what passes while it does
//! not is missed, as on a fresh host.

use host_sim::Schedule;
use time::OffsetDateTime;

use super::{Stage, StageError};

/// When the timer runs.
#[derive(Debug, Default)]
pub(super) struct Timer {
    /// False on a stage whose runs shall come to rest.
    pub(super) is_on: bool,
    schedule: Option<Schedule>,
    next: Option<OffsetDateTime>,
}

impl Timer {
    /// When it runs next; `None` if it does not.
    pub(super) fn next(&self) -> Option<OffsetDateTime> {
        self.next
    }

    /// The app starts, with this schedule. One that the host cannot read only stops the timer.
    pub(super) fn start(&mut self, schedule: Option<&str>, now: OffsetDateTime) {
        self.schedule = schedule
            .filter(|_| self.is_on)
            .and_then(|text| Schedule::parse(text).ok());
        self.go_on(now);
    }

    /// The app has stopped.
    pub(super) fn stop(&mut self) {
        self.next = None;
    }

    fn go_on(&mut self, now: OffsetDateTime) {
        self.next = self.schedule.as_ref().and_then(|schedule| schedule.next_after(now));
    }
}

impl Stage {
    /// Runs the timer function if its time has come.
    pub(super) fn hand_out_ticks(&mut self) -> Result<(), StageError> {
        let now = self.now();
        if self.timer.next().is_some_and(|next| next <= now) {
            self.timer.go_on(now);
            self.tick()?;
        }
        Ok(())
    }
}
