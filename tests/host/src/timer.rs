//! The timer trigger: waits for the next occurrence in Azure time, runs one invocation, and goes on.
//!
//! Runs never overlap, and occurrences that pass during a run are skipped. A failed run is not repeated. Nothing is
//! stored, so a fresh host has missed nothing and `IsPastDue` is always false.

mod schedule;

pub use schedule::Schedule;

use std::time::Duration;

use crate::invoker::Invoker;
use crate::options::Level;
use crate::payload::{self, ScheduleStatus};

/// Schedules that can fire more often than this keep no status (`useMonitor` is ignored).
const MIN_MONITORED: time::Duration = time::Duration::MINUTE;

/// One timer trigger at work.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) function: String,
    pub(crate) binding: String,
    pub(crate) schedule: Schedule,
    pub(crate) use_monitor: bool,
    pub(crate) run_on_startup: bool,
    pub(crate) invoker: Invoker,
}

impl Listener {
    /// Runs until it is aborted or its schedule has no further occurrence.
    pub(crate) async fn run(self) {
        let clock = self.invoker.clock;
        let mut last = None;
        let mut updated = clock.now();
        if self.run_on_startup {
            self.tick(None, "Timer fired at host start").await;
            (last, updated) = (Some(updated), clock.now());
        }
        while let Some(next) = self.schedule.next_after(clock.now()) {
            clock
                .sleep(Duration::try_from(next - clock.now()).unwrap_or_default())
                .await;
            let fired = clock.now();
            let status = self.monitored(next).then_some(ScheduleStatus { last, next, updated });
            self.tick(status.as_ref(), "Timer fired").await;
            (last, updated) = (Some(fired), fired);
        }
        self.invoker.log.host(
            Level::Warning,
            format!("The schedule of {} has no further occurrence.", self.function),
        );
    }

    /// Failure is logged by the invoker and otherwise swallowed: the schedule moves on.
    async fn tick(&self, status: Option<&ScheduleStatus>, reason: &str) {
        let system = self.invoker.system(&self.function);
        let envelope = payload::timer(&self.binding, status, &system);
        let _ = self.invoker.invoke(&self.function, reason, &envelope).await;
    }

    fn monitored(&self, next: time::OffsetDateTime) -> bool {
        let following = self.schedule.next_after(next);
        self.use_monitor && following.is_none_or(|following| following - next >= MIN_MONITORED)
    }
}
