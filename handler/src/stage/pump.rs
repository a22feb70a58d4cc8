//! How time passes on the stage: what is due is handed out, then the run waits for whatever comes first. Nothing here knows
//! what the product does; it only keeps it fed until nothing is under way, or says what is still owed.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::error::line;
use super::{Crash, Stage, StageError, queue};
use crate::clock::Clock;

/// A run that has not come to rest by then never will: firewall updates take minutes, retries an hour at the most.
const PATIENCE: Duration = Duration::from_secs(12 * 3600);
/// How many of the last lines an error shows.
const LAST_LINES: usize = 12;

impl Stage {
    /// Runs until nothing is under way or owed.
    ///
    /// # Errors
    /// [`StageError::NoRest`] after twelve virtual hours, [`StageError::Owed`] if it rests with something undone, else what
    /// keeps the stage itself from going on.
    pub async fn settle(&mut self) -> Result<(), StageError> {
        let deadline = self.now() + PATIENCE;
        while !self.is_quiet() {
            if self.now() >= deadline {
                return Err(StageError::NoRest {
                    after: PATIENCE,
                    owed: self.owed().await?,
                    lines: self.last_lines(),
                });
            }
            self.step(deadline).await?;
        }
        let owed = self.owed().await?;
        if !owed.is_empty() {
            return Err(StageError::Owed {
                owed,
                lines: self.last_lines(),
            });
        }
        Ok(())
    }

    /// Lets that much virtual time pass, and everything happen that is due in it.
    ///
    /// # Errors
    /// [`StageError`] if the stage itself cannot go on.
    pub async fn run_for(&mut self, span: Duration) -> Result<(), StageError> {
        let end = self.now() + span;
        while self.now() < end {
            self.step(end).await?;
        }
        Ok(())
    }

    /// Runs until `there` holds, looked at after every single event.
    ///
    /// # Errors
    /// [`StageError::NeverCame`] if nothing is under way any more, or after twelve virtual hours.
    pub async fn run_until(&mut self, what: &str, mut there: impl FnMut(&Self) -> bool) -> Result<(), StageError> {
        let deadline = self.now() + PATIENCE;
        while !there(self) {
            if self.now() >= deadline || self.is_at_rest() {
                return Err(StageError::NeverCame {
                    what: what.to_owned(),
                    lines: self.last_lines(),
                });
            }
            self.step(deadline).await?;
        }
        Ok(())
    }

    /// The keys that want something that is not done.
    ///
    /// # Errors
    /// [`StageError::Ledger`] if the ledger cannot be listed.
    pub async fn owed(&self) -> Result<Vec<String>, StageError> {
        let listing = self.ledger.keys.owed().await?;
        Ok(listing.documents.into_iter().map(|document| document.key).collect())
    }

    /// What the functions said last, with the time of day.
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        let start = self.lines.len().saturating_sub(LAST_LINES);
        let lines = self.lines[start..].iter();
        lines.map(|said| line(said.at, said.function, &said.text)).collect()
    }

    /// True if nothing is under way, nothing is queued for the app, and Azure does nothing by itself any more.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let mut azure = self.azure.lock();
        azure.storage_mut().advance(self.clock.now());
        let idle = self.app.is_none() || azure.storage().queue_length(queue::WORK) == 0;
        self.host.is_idle() && azure.next_event().is_none() && idle
    }

    /// True if nothing will ever happen by itself.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.is_quiet() && self.timer.next().is_none()
    }

    /// Lets Azure do what is due by now, before somebody looks at it.
    ///
    /// # Errors
    /// [`StageError`] if the stage itself cannot go on.
    pub fn catch_up(&mut self) -> Result<(), StageError> {
        self.hand_out_deliveries()
    }

    /// Does `work` while everything else goes on: how a person's command runs beside the app.
    ///
    /// # Errors
    /// [`StageError`] if the stage itself cannot go on.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, StageError> {
        let mut work = std::pin::pin!(work);
        loop {
            let limit = self.now() + PATIENCE;
            if let Some(done) = self.step_or(limit, work.as_mut()).await? {
                return Ok(done);
            }
        }
    }

    /// One turn: hands out what is due, then waits for whatever comes first, at the latest until `limit`.
    ///
    /// # Errors
    /// [`StageError`] if the stage itself cannot go on.
    pub async fn step(&mut self, limit: OffsetDateTime) -> Result<(), StageError> {
        let nothing = std::pin::pin!(std::future::pending::<()>());
        self.step_or(limit, nothing).await.map(|_| ())
    }

    /// As [`Stage::step`], and `work` goes on too: what it came to if it is done.
    async fn step_or<T>(
        &mut self,
        limit: OffsetDateTime,
        work: Pin<&mut impl Future<Output = T>>,
    ) -> Result<Option<T>, StageError> {
        self.hand_out_deliveries()?;
        self.hand_out_ticks()?;
        self.hand_out_messages()?;
        let next = self.next_event().filter(|_| !self.is_quiet());
        let next = [next, self.timer.next()].into_iter().flatten().min();
        let wait = span(next.map_or(limit, |next| next.min(limit)) - self.now());
        let (wire, clock) = (Arc::clone(&self.wire), Arc::clone(&self.clock));
        tokio::select! {
            biased;
            () = wire.died.notified() => self.crash(Crash::Process).await?,
            turn = self.host.turn() => self.take_turn(turn)?,
            done = work => return Ok(Some(done)),
            () = wire.queued.notified() => {}
            () = clock.sleep(wait) => {}
        }
        Ok(None)
    }

    fn next_event(&self) -> Option<OffsetDateTime> {
        let mut azure = self.azure.lock();
        azure.storage_mut().advance(self.clock.now());
        let own = azure.next_event();
        [own, azure.storage().next_event()].into_iter().flatten().min()
    }
}

/// At least a millisecond, which is the grain of tokio's timers: what is due is due then.
pub(super) fn span(until: time::Duration) -> Duration {
    Duration::try_from(until)
        .unwrap_or_default()
        .max(Duration::from_millis(1))
}
