//! Tells a story: carries out one statement after the other on the stage and writes down what came of each. It stops at the first
//! line that does not hold or cannot be done.

use std::time::Duration;

use azure_sim::{Azure, World};
use http::Method;
use serde_json::Value;

use super::judge::{explain, is_finished, judge};
use super::snapshot::Snapshot;
use super::statements::{Expectation, Line, Setting, Statement, Story, Thing, Until};
use super::transcript::{Transcript, stamp};
use super::wanted::Wanted;
use super::{StoryError, Told, by_hand, things, walks};
use crate::cli::{Said, command};
use crate::stage::reach::Continuity;
use crate::stage::{Cluster, Crash, START, Setup, Stage, StageError};

/// How long a story waits for something before it says that it never comes.
const PATIENCE: Duration = Duration::from_secs(12 * 3600);

/// The stage with what the story knows of it.
pub(super) struct Scene {
    pub(super) stage: Stage,
    pub(super) clusters: Vec<(String, Cluster)>,
    /// What the last command said.
    pub(super) said: Option<Said>,
    pub(super) mark: Option<Snapshot>,
    pub(super) continuity: Continuity,
}

/// What came of a statement: a text for the transcript, or why the story ends here.
pub(super) type Outcome = Result<String, String>;

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
    setup.world = World::one_hub();
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
            | Self::Install
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
    /// Time since the story began.
    fn elapsed(&self) -> time::Duration {
        self.stage.now() - START
    }

    /// The ledger's key of a cluster.
    pub(super) fn key(&self, name: &str) -> Result<String, StageError> {
        let cluster = self.cluster(name).map_err(StageError::Absent)?;
        Ok(cluster.key.clone())
    }

    /// A cluster of the story.
    pub(super) fn cluster(&self, name: &str) -> Result<&Cluster, String> {
        let found = self.clusters.iter().find(|(known, _)| known == name);
        found
            .map(|(_, cluster)| cluster)
            .ok_or_else(|| format!("cluster {name}"))
    }

    /// The id of a thing.
    pub(super) fn find(&self, azure: &Azure, thing: &Thing) -> Result<String, String> {
        things::find(azure, thing, |name| self.cluster(name))
    }

    /// What the last command printed, progress included.
    pub(super) fn output(&self) -> String {
        let said = self.said.as_ref();
        said.map_or_else(String::new, |said| format!("{}{}", said.stderr, said.stdout))
    }

    async fn tell(&mut self, statement: &Statement) -> Result<Outcome, StageError> {
        match statement {
            Statement::Opening => Ok(Ok(String::new())),
            Statement::Configure(setting) => self.configure(setting).await,
            Statement::Install => {
                self.stage.start_app().await?;
                Ok(Ok("the app runs".to_owned()))
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
            Statement::SendAgain(name) => self.send_again(name),
            Statement::Forge(forged, name) => self.forge(*forged, name),
            Statement::Run(words) => self.command(words).await,
            Statement::Walk(walk) => Ok(self.walk(walk)),
            Statement::Mark => {
                self.mark = Some(Snapshot::of(&self.stage.azure.lock()));
                Ok(Ok(String::new()))
            }
            Statement::Expect(expected) => self.expect(expected).await,
        }
    }

    /// An app setting changes, and the host starts the app again with it.
    async fn configure(&mut self, setting: &Setting) -> Result<Outcome, StageError> {
        self.stage.set(&setting.name, &setting.value);
        if let Err(error) = self.stage.config() {
            return Ok(Err(format!("the configuration is wrong: {error}")));
        }
        self.stage.crash(Crash::Process).await?;
        Ok(Ok("the app runs with it".to_owned()))
    }

    fn create(&mut self, wanted: &Wanted) -> Outcome {
        let spec = wanted.spec(|name| self.cluster(name).map(|cluster| cluster.spec.clone()))?;
        let cluster = self.stage.create(spec);
        self.continuity.add(&cluster);
        self.clusters.retain(|(name, _)| *name != wanted.name);
        self.clusters.push((wanted.name.clone(), cluster));
        Ok(String::new())
    }

    fn delete(&mut self, thing: &Thing) -> Outcome {
        let now = self.stage.now();
        let mut azure = self.stage.azure.lock();
        let id = self.find(&azure, thing)?;
        self.continuity.forget(&id);
        by_hand::call(&mut azure, Method::DELETE, &id, None, now)
    }

    fn delete_group(&mut self, name: &str) -> Outcome {
        let now = self.stage.now();
        let mut azure = self.stage.azure.lock();
        let id = things::whole(&azure, &format!("/resourceGroups/{name}"));
        self.continuity.forget(&id);
        by_hand::call(&mut azure, Method::DELETE, &id, None, now)
    }

    fn put(&mut self, id: &str, body: &Value) -> Outcome {
        let now = self.stage.now();
        let mut azure = self.stage.azure.lock();
        let id = things::whole(&azure, id);
        by_hand::call(&mut azure, Method::PUT, &id, Some(body.clone()), now)
    }

    /// Lets time pass until it is so, looked at after every event that may have changed it.
    async fn wait(&mut self, until: &Until) -> Result<Outcome, StageError> {
        let deadline = self.stage.now() + PATIENCE;
        loop {
            if let Some(text) = self.is_so(until).await? {
                return Ok(Ok(text));
            }
            if self.stage.now() >= deadline || self.stage.is_quiet() {
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
                let report = report.filter(|report| report.state == *state);
                Ok(report.map(|report| {
                    let proof = report.proof.as_ref().map_or_else(String::new, |proof| {
                        format!("; egress {}, reach {}", proof.egress.word(), proof.reach.word())
                    });
                    format!("{name} is {state}{proof}")
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

    /// Runs a command as a person would; its output is the result.
    async fn command(&mut self, words: &[String]) -> Result<Outcome, StageError> {
        let mut meant = Vec::new();
        for word in words {
            match self.meant(word) {
                Ok(word) => meant.push(word),
                Err(line) => return Ok(Err(line)),
            }
        }
        let desk = self.stage.desk()?;
        let words: Vec<&str> = meant.iter().map(String::as_str).collect();
        let said = self.stage.during(command(&desk, &words)).await?;
        let exit = match said.exit {
            0 => String::new(),
            code => format!("exit {code}\n"),
        };
        let text = format!("{}{}{exit}", said.stderr, said.stdout);
        self.said = Some(said);
        Ok(Ok(text))
    }

    /// A word of a command: a cluster's name stands for its id, `event:NAME` for the id of its creation's event.
    fn meant(&self, word: &str) -> Result<String, String> {
        if let Some(name) = word.strip_prefix("event:") {
            let event = self.creation(name)?;
            return Ok(event["id"].as_str().unwrap_or_default().to_owned());
        }
        Ok(self
            .cluster(word)
            .map_or_else(|_| word.to_owned(), |cluster| cluster.id.clone()))
    }

    fn walk(&self, walk: &super::statements::Walk) -> Outcome {
        let egress = self.stage.egress_address().ok();
        let azure = self.stage.azure.lock();
        let walked = walks::send(&azure, walk, |name| self.cluster(name))?;
        let end = walks::end(&walked);
        let firewall = azure.world().hub.firewall.rsplit('/').next().unwrap_or_default();
        let hops: Vec<&str> = walked.hops.iter().map(|hop| hop.text.as_str()).collect();
        match walk.verdict {
            Some(verdict) if walks::is(&walked, verdict, egress, firewall) => Ok(end),
            Some(_) => Err(format!("it {end}\n{}", hops.join("\n"))),
            None => Ok(format!("{}\n{end}", hops.join("\n"))),
        }
    }

    async fn expect(&mut self, expected: &Expectation) -> Result<Outcome, StageError> {
        judge(self, expected).await
    }
}
