//! What a story waits for: time passes until it is so.

use std::time::Duration;

use hubward_core::plan::State;

use super::judge::is_finished;
use super::scene::{Done, Scene};
use super::statements::Until;
use super::things;
use crate::stage::StageError;

/// How long a story waits for something before it says that it never comes.
const PATIENCE: Duration = Duration::from_secs(12 * 3600);

impl Scene {
    /// Lets time pass until it is so, looked at after every event that may have changed it.
    pub(super) async fn wait(&mut self, until: &Until) -> Result<Done, StageError> {
        let deadline = self.stage.now() + PATIENCE;
        loop {
            self.stage.catch_up()?;
            if let Some(text) = self.is_so(until).await? {
                return Ok(Ok(text));
            }
            if self.stage.now() >= deadline || self.stage.is_at_rest() {
                return Ok(Err("it never came to this".to_owned()));
            }
            self.stage.step(deadline).await?;
        }
    }

    /// A line about it if it is so.
    async fn is_so(&self, until: &Until) -> Result<Option<String>, StageError> {
        match until {
            Until::State(name, state) => {
                let report = self.stage.report(&self.key(name)?).await?;
                let report = report.filter(|report| is_there(report.state, *state));
                Ok(report.map(|report| {
                    let proof = report.proof.as_ref().map_or_else(String::new, |proof| {
                        format!("; egress {}, reach {}", proof.egress.word(), proof.reach.word())
                    });
                    format!("{name} is {}{proof}", report.state)
                }))
            }
            Until::There(thing) => {
                let azure = self.stage.azure.lock();
                let there = self.find(&azure, thing).is_ok_and(|id| is_finished(&azure, &id));
                Ok(there.then(|| format!("{} exists", things::name(thing))))
            }
            Until::Gone(thing) => {
                let azure = self.stage.azure.lock();
                let there = self.find(&azure, thing).is_ok_and(|id| azure.document(&id).is_some());
                Ok((!there).then(|| format!("{} is gone", things::name(thing))))
            }
            Until::Quiet => {
                if !self.stage.is_quiet() {
                    return Ok(None);
                }
                let owed = self.stage.owed().await?;
                if owed.is_empty() {
                    return Ok(Some("nothing is under way".to_owned()));
                }
                Err(StageError::Owed {
                    owed,
                    lines: self.stage.last_lines(),
                })
            }
        }
    }
}

/// A cluster that is settling is switched, and counts as wired for who waits.
fn is_there(found: State, wanted: State) -> bool {
    found == wanted || (wanted == State::Wired && found == State::Settling)
}
