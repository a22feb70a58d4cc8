//! Tells a story: carries out one statement after the other on the stage and writes down what came of each. It stops at the first
//! line that does not hold or cannot be done.

use std::collections::BTreeMap;

use azure_sim::World;

use super::judge::{explain, judge};
use super::scene::{Done, Scene};
use super::snapshot::Snapshot;
use super::statements::{Line, Setting, Statement, Story};
use super::transcript::{Transcript, stamp};
use super::{StoryError, Told, by_hand};
use crate::stage::reach::Continuity;
use crate::stage::{Crash, Setup, Stage, StageError};

/// Tells the story.
///
/// # Errors
/// [`StoryError::Line`] if the opening's configuration is wrong, [`StoryError::Stage`].
pub(super) async fn run(file: &str, story: &Story, seed: u64) -> Result<Told, StoryError> {
    let of_stage = |error| StoryError::Stage {
        file: file.to_owned(),
        error: Box::new(error),
    };
    let mut scene = open(file, story, seed).await?;
    let mut transcript = Transcript::default();
    let mut held = 0;
    for line in &story.lines {
        transcript.line(&line.text);
        let Some(statement) = &line.statement else { continue };
        let began = scene.stage.now();
        let outcome = scene.tell(statement).await.map_err(of_stage)?;
        match outcome {
            Ok(text) if scene.stage.now() > began && !text.is_empty() => transcript.result_at(scene.elapsed(), &text),
            Ok(text) => transcript.result(&text),
            Err(text) => {
                transcript.result_at(scene.elapsed(), &format!("NOT SO: {text}"));
                transcript.line("");
                transcript.line(&explain(&scene).await.map_err(of_stage)?);
                return Ok(broken(file, line, &text, transcript));
            }
        }
        held += usize::from(statement.is_expectation());
    }
    transcript.line("");
    transcript.line(&format!(
        "{held} expectations hold, {} h in Azure (seed {seed})",
        stamp(scene.elapsed())
    ));
    Ok(Told {
        transcript: transcript.into_text(),
        broken: None,
    })
}

/// The stage as the story's opening wants it.
async fn open(file: &str, story: &Story, seed: u64) -> Result<Scene, StoryError> {
    let of_stage = |error| StoryError::Stage {
        file: file.to_owned(),
        error: Box::new(error),
    };
    let mut setup = Setup::seeded(seed);
    setup.world = World::one_hub().with_ingress_addresses(story.opening.ingress_addresses);
    setup.timer = true;
    for setting in &story.opening.settings {
        setup.settings.insert(setting.name.clone(), setting.value.clone());
        // The configuration is judged after each line, so that the line that is wrong is named.
        setup.config().map_err(|error| StoryError::Line {
            file: file.to_owned(),
            line: setting.line,
            what: format!("{} {}", error.field, error.problem),
            allowed: error.allowed,
        })?;
    }
    let stage = if story.opening.installed {
        Stage::with(setup).await
    } else {
        Stage::without_app(setup).await
    };
    let stage = stage.map_err(of_stage)?;
    Ok(Scene {
        continuity: Continuity::of(&stage, &[]),
        stage,
        clusters: Vec::new(),
        said: None,
        mark: None,
        services: BTreeMap::new(),
    })
}

fn broken(file: &str, line: &Line, text: &str, transcript: Transcript) -> Told {
    let first = text.lines().next().unwrap_or_default();
    Told {
        transcript: transcript.into_text(),
        broken: Some(format!("{file}:{}: {}: not so: {first}", line.number, line.text.trim())),
    }
}

impl Statement {
    fn is_expectation(&self) -> bool {
        match self {
            Self::Expect(_) => true,
            Self::Walk(walk) => walk.verdict.is_some(),
            Self::Opening
            | Self::Configure(_)
            | Self::Start
            | Self::Stop
            | Self::Tick
            | Self::Expose(_)
            | Self::Withhold(_)
            | Self::Release
            | Self::Create(_)
            | Self::Delete(_)
            | Self::DeleteGroup(_)
            | Self::Edit(..)
            | Self::Put(..)
            | Self::Wait(_)
            | Self::Advance(_)
            | Self::Kill(_)
            | Self::Fail(_)
            | Self::SendAgain(_)
            | Self::Forge(..)
            | Self::Run(_)
            | Self::Mark => false,
        }
    }
}

impl Scene {
    async fn tell(&mut self, statement: &Statement) -> Result<Done, StageError> {
        match statement {
            Statement::Opening => Ok(Ok(String::new())),
            Statement::Configure(setting) => self.configure(setting).await,
            Statement::Start => {
                self.stage.start_app().await?;
                Ok(Ok("it runs".to_owned()))
            }
            Statement::Stop => {
                self.stage.stop_app(Crash::Machine).await?;
                Ok(Ok(String::new()))
            }
            Statement::Tick => {
                self.stage.tick()?;
                Ok(Ok(String::new()))
            }
            Statement::Expose(exposed) => Ok(self.expose(exposed)),
            Statement::Withhold(thing) => Ok(self.withhold(thing.as_ref())),
            Statement::Release => {
                self.stage.azure.lock().release_events();
                Ok(Ok(String::new()))
            }
            Statement::Create(wanted) => Ok(self.create(wanted)),
            Statement::Delete(thing) => Ok(self.delete(thing)),
            Statement::DeleteGroup(name) => Ok(self.delete_group(name)),
            Statement::Edit(thing, change) => {
                let mut azure = self.stage.azure.lock();
                let id = self.find(&azure, thing);
                Ok(id.and_then(|id| by_hand::edit(&mut azure, &id, change)))
            }
            Statement::Put(id, body) => Ok(self.put(id, body)),
            Statement::Wait(until) => self.wait(until).await,
            Statement::Advance(span) => {
                self.stage.run_for(*span).await?;
                Ok(Ok(String::new()))
            }
            Statement::Kill(how) => {
                self.stage.crash(*how).await?;
                Ok(Ok("it runs again".to_owned()))
            }
            Statement::Fail(failure) => {
                by_hand::fail_next(&mut self.stage.azure.lock(), failure);
                Ok(Ok(String::new()))
            }
            Statement::SendAgain(name) => Ok(self.send_again(name)),
            Statement::Forge(forged, name) => self.forge(*forged, name),
            Statement::Run(words) => self.run_command(words).await,
            Statement::Walk(walk) => self.walk(walk).await,
            Statement::Mark => {
                self.mark = Some(Snapshot::of(&self.stage.azure.lock()));
                Ok(Ok(String::new()))
            }
            Statement::Expect(expected) => judge(self, expected).await,
        }
    }

    /// An app setting changes, and the host starts the app again with it.
    async fn configure(&mut self, setting: &Setting) -> Result<Done, StageError> {
        self.stage.set(&setting.name, &setting.value);
        if let Err(error) = self.stage.config() {
            return Ok(Err(format!("the configuration is wrong: {error}")));
        }
        self.stage.crash(Crash::Process).await?;
        Ok(Ok("the app runs with it".to_owned()))
    }
}
