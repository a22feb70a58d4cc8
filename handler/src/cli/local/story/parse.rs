//! Reads a story. Everything that can be wrong with a line is found before anything runs: unknown words, clusters that the story
//! has not created, states and codes that do not exist, values that are not JSON.

use std::time::Duration;

use hubward_core::config::OVERLAY_PREFIX;
use hubward_core::finding::Code;
use hubward_core::plan::State;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::forms::{allowed, meaning, verbs};
use super::statements::{
    Change, Exposed, Exposing, FailsBy, Failure, Forged, Line, Opening, Part, Setting, Statement, Story, Thing, Until,
};
use super::things;
use super::words::{Words, Wrong, without_comment};
use super::{StoryError, expectations, packets, wanted};
use crate::stage::Crash;

/// The longest time that one line may let pass: a week.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Reads the text of a story; `file` is its name in errors.
///
/// # Errors
/// [`StoryError::Line`] for the first line that is wrong.
pub(super) fn parse(file: &str, text: &str) -> Result<Story, StoryError> {
    let mut reader = Reader::default();
    let mut lines = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let number = index + 1;
        let statement = reader.line(number, text).map_err(|wrong| StoryError::Line {
            file: file.to_owned(),
            line: number,
            what: wrong.what,
            allowed: wrong.allowed,
        })?;
        lines.push(Line {
            number,
            text: text.trim_end().to_owned(),
            statement,
        });
    }
    Ok(Story {
        opening: reader.opening,
        lines,
    })
}

/// What is known of the story so far.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) clusters: Vec<String>,
    /// For each cluster in another's network the name of that other.
    pub(super) neighbours: Vec<String>,
    opening: Opening,
    /// Something has happened already.
    begun: bool,
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            ingress_addresses: 0,
            settings: Vec::new(),
            installed: true,
        }
    }
}

impl Reader {
    fn line(&mut self, number: usize, text: &str) -> Result<Option<Statement>, Wrong> {
        if without_comment(text).trim().is_empty() {
            return Ok(None);
        }
        let mut words = Words::of(text);
        let verb = words.peek();
        let statement = self.statement(number, &verb, &mut words)?;
        words.end(&allowed(&verb))?;
        self.begun |= statement != Statement::Opening;
        Ok(Some(statement))
    }

    fn statement(&mut self, number: usize, verb: &str, words: &mut Words<'_>) -> Result<Statement, Wrong> {
        let known = words.take().is_some();
        debug_assert!(known, "an empty line is no statement");
        let form = allowed(verb);
        match verb {
            "config" => self.config(number, words, &form),
            "app" => {
                words.expect("is not installed", &form)?;
                self.is_opening(&form)?;
                self.opening.installed = false;
                Ok(Statement::Opening)
            }
            "hub" => {
                words.expect("with", &form)?;
                self.is_opening(&form)?;
                let word = words.word(&form)?;
                let number = word.parse().ok().filter(|number| (1..=100).contains(number));
                let number = number.ok_or_else(|| Wrong::new(format!("{word:?} is no such number"), "1 to 100"))?;
                words.expect("ingress addresses", &form)?;
                self.opening.ingress_addresses = number;
                Ok(Statement::Opening)
            }
            "start" => words.expect("app", &form).map(|()| Statement::Start),
            "stop" => words.expect("app", &form).map(|()| Statement::Stop),
            "timer" => words.expect("fires", &form).map(|()| Statement::Tick),
            "expose" => self.expose(words, &form),
            "withhold" => {
                words.expect("events", &form)?;
                if !words.skip("of") {
                    return Ok(Statement::Withhold(None));
                }
                Ok(Statement::Withhold(Some(things::read(self, words)?)))
            }
            "release" => words.expect("events", &form).map(|()| Statement::Release),
            "create" => {
                words.expect("cluster", &form)?;
                wanted::read(self, words, &form).map(Statement::Create)
            }
            "delete" if words.skip("group") => Ok(Statement::DeleteGroup(words.word(&form)?)),
            "delete" => Ok(Statement::Delete(things::read(self, words)?)),
            "edit" => self.edit(words, &form),
            "put" => {
                let id = things::id(&words.word(&form)?)?;
                Ok(Statement::Put(id, value(words.rest())?))
            }
            "send" => {
                words.expect("event of", &form)?;
                let name = self.cluster(words)?;
                words.expect("again", &form)?;
                Ok(Statement::SendAgain(name))
            }
            "forge" => {
                let forged = match words.word(&form)?.as_str() {
                    "create" => Forged::Create,
                    "delete" => Forged::Delete,
                    other => return Err(Wrong::new(format!("{other:?} is not known here"), form)),
                };
                words.expect("of", &form)?;
                Ok(Statement::Forge(forged, self.cluster(words)?))
            }
            "advance" => Ok(Statement::Advance(duration(&words.word(&form)?)?)),
            "wait" => self.wait(words, &form),
            "kill" if words.skip("handler") => Ok(Statement::Kill(Crash::Process)),
            "kill" if words.skip("machine") => Ok(Statement::Kill(Crash::Machine)),
            "fail" => failure(words, &form),
            "run" => {
                words.expect("hubward", &form)?;
                let all: Vec<String> = std::iter::from_fn(|| words.take()).collect();
                if all.is_empty() {
                    return Err(words.unexpected(form));
                }
                Ok(Statement::Run(all))
            }
            "walk" => packets::read(self, words).map(Statement::Walk),
            "expect" => expectations::read(self, words).map(Statement::Expect),
            "mark" => Ok(Statement::Mark),
            "kill" => Err(words.unexpected(form)),
            other => Err(Wrong::new(format!("{other:?} begins no statement"), verbs())),
        }
    }

    fn config(&mut self, line: usize, words: &mut Words<'_>, form: &str) -> Result<Statement, Wrong> {
        let path = words.word(form)?;
        words.expect("=", form)?;
        let value = words.rest();
        if value.is_empty() {
            return Err(words.unexpected(form));
        }
        let setting = Setting {
            line,
            name: format!("{OVERLAY_PREFIX}{}", path.replace('.', "__")),
            value: value.to_owned(),
        };
        if self.begun {
            return Ok(Statement::Configure(setting));
        }
        self.opening.settings.push(setting);
        Ok(Statement::Opening)
    }

    fn is_opening(&self, form: &str) -> Result<(), Wrong> {
        if self.begun {
            let what = format!("{form:?} comes too late");
            return Err(Wrong::new(what, "before anything else happens"));
        }
        Ok(())
    }

    fn expose(&mut self, words: &mut Words<'_>, form: &str) -> Result<Statement, Wrong> {
        let name = self.cluster(words)?;
        words.expect("port", form)?;
        let word = words.word(form)?;
        let port = word.parse();
        let port = port.map_err(|_| Wrong::new(format!("{word:?} is no port"), "1 to 65535"))?;
        let how = if words.is_done() {
            Exposing::Publicly
        } else if words.skip("at application address") {
            Exposing::AtApplicationAddress
        } else if words.skip("internally at") {
            let word = words.word(meaning("HOW"))?;
            let address = word.parse();
            Exposing::Internally(Some(
                address.map_err(|_| Wrong::new(format!("{word:?} is no address"), meaning("HOW")))?,
            ))
        } else {
            words.expect("internally", meaning("HOW"))?;
            Exposing::Internally(None)
        };
        Ok(Statement::Expose(Exposed { name, port, how }))
    }

    fn edit(&mut self, words: &mut Words<'_>, form: &str) -> Result<Statement, Wrong> {
        let thing = things::read(self, words)?;
        let change = match words.word(form)?.as_str() {
            "set" => {
                let path = words.word(form)?;
                words.expect("=", form)?;
                Change::Set(path, value(words.rest())?)
            }
            "remove" => Change::Remove(words.word(form)?),
            other => return Err(Wrong::new(format!("{other:?} is not known here"), form)),
        };
        Ok(Statement::Edit(thing, change))
    }

    fn wait(&mut self, words: &mut Words<'_>, form: &str) -> Result<Statement, Wrong> {
        words.expect("until", form)?;
        if words.skip("quiet") {
            return Ok(Statement::Wait(Until::Quiet));
        }
        let thing = things::read(self, words)?;
        if words.skip("exists") {
            return Ok(Statement::Wait(Until::There(thing)));
        }
        words.expect("is", form)?;
        if words.skip("gone") {
            return Ok(Statement::Wait(Until::Gone(thing)));
        }
        match thing {
            Thing::Of(name, Part::Cluster) => Ok(Statement::Wait(Until::State(name, state(words)?))),
            Thing::Id(_) | Thing::Of(..) | Thing::Hub(_) => Err(Wrong::new("only a cluster has a state", form)),
        }
    }

    /// The name of a cluster that the story has created.
    pub(super) fn cluster(&self, words: &mut Words<'_>) -> Result<String, Wrong> {
        let word = words.word("a cluster that the story has created")?;
        self.known(word)
    }

    pub(super) fn known(&self, name: String) -> Result<String, Wrong> {
        if self.clusters.contains(&name) {
            return Ok(name);
        }
        let known = match self.clusters.as_slice() {
            [] => "none has been created yet".to_owned(),
            names => names.join(", "),
        };
        Err(Wrong::new(format!("{name:?} is no cluster of this story"), known))
    }
}

/// A state of a cluster.
pub(super) fn state(words: &mut Words<'_>) -> Result<State, Wrong> {
    one_of(words, "state")
}

/// A code of a finding.
pub(super) fn code(words: &mut Words<'_>) -> Result<Code, Wrong> {
    one_of(words, "finding")
}

/// JSON that fills the rest of the line.
pub(super) fn value(text: &str) -> Result<Value, Wrong> {
    serde_json::from_str(text).map_err(|error| {
        Wrong::new(
            format!("{text:?} is not JSON ({error})"),
            "JSON, a text in double quotes",
        )
    })
}

/// One of the words that the type knows.
fn one_of<T: DeserializeOwned>(words: &mut Words<'_>, what: &str) -> Result<T, Wrong> {
    let word = words.word(&format!("a {what}"))?;
    serde_json::from_value(json!(word)).map_err(|error| {
        let said = error.to_string();
        let known = said.split_once("expected one of ").map_or("", |(_, known)| known);
        Wrong::new(format!("{word:?} is no {what}"), known.replace('`', ""))
    })
}

fn failure(words: &mut Words<'_>, form: &str) -> Result<Statement, Wrong> {
    words.expect("next", form)?;
    let method = words.word(meaning("METHOD"))?;
    if !["GET", "PUT", "POST", "DELETE"].contains(&method.as_str()) {
        return Err(Wrong::new(format!("{method:?} is no method"), meaning("METHOD")));
    }
    words.expect("of", form)?;
    let path = things::kind(words)?;
    let how = if words.skip("later with") {
        FailsBy::Operation(words.word(form)?)
    } else if words.skip("by losing the answer") {
        FailsBy::LostAnswer
    } else {
        words.expect("with", form)?;
        let word = words.word(form)?;
        let status = word.parse().ok().filter(|status| (400..600).contains(status));
        let status = status.ok_or_else(|| Wrong::new(format!("{word:?} is no status of a refusal"), "400 to 599"))?;
        FailsBy::Answer(status, words.word(form)?)
    };
    Ok(Statement::Fail(Failure { method, path, how }))
}

fn duration(word: &str) -> Result<Duration, Wrong> {
    let wrong = || Wrong::new(format!("{word:?} is no duration"), "as 90s, 10m, 2h or 1d, at most 7d");
    let at = word.len().checked_sub(1).filter(|at| word.is_char_boundary(*at));
    let (number, unit) = word.split_at(at.ok_or_else(wrong)?);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let span = number.checked_mul(seconds).map(Duration::from_secs);
    span.filter(|span| (Duration::from_secs(1)..=LONGEST).contains(span))
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(story: &str) -> String {
        parse("a.story", story).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_line_is_told_with_its_number_and_what_is_allowed() {
        let lines: Vec<String> = [
            "creat cluster shop",
            "create cluster",
            "create cluster Shop",
            "create cluster hub",
            "create cluster shop kubanet",
            "create cluster shop tag team",
            "create cluster shop in network of pay",
            "wait until shop is wired",
            "create cluster shop\nwait until shop is wierd",
            "create cluster shop\nwait until shop network is wired",
            "create cluster shop\nwait until shop",
            "create cluster shop\nwalk shop -> a.example",
            "create cluster shop\nwalk shop => a.example:443",
            "create cluster shop\nwalk shop -> a.example:443 flies",
            "create cluster shop\nedit shop subnet set properties.x = {\"a\": }",
            "create cluster shop\nedit shop kitchen remove properties.x",
            "edit hub kitchen remove properties.x",
            "put rg-shop {}",
            "advance soon",
            "advance 8d",
            "kill dragon",
            "fail next PUSH of subnet with 409 X",
            "fail next PUT of sandwich with 409 X",
            "fail next PUT of subnet with 200 X",
            "create cluster shop\nexpect egress of shop = fine",
            "expect count smiles = 1",
            "expect count writes != 1",
            "expect count writes = many",
            "expect exit 256",
            "expect luck",
            "run plan",
            "run hubward",
            "mark now",
            "mark\napp is not installed",
        ]
        .into_iter()
        .map(|story| {
            let line = refused(story);
            assert_eq!(line.lines().count(), 1, "{line}");
            format!("{:50} -> {line}", story.replace('\n', " / "))
        })
        .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_finding_that_does_not_exist_is_told_with_those_that_do() {
        let line = refused("create cluster shop\nexpect finding bad_luck of shop");
        assert!(
            line.starts_with("a.story:2: \"bad_luck\" is no finding; allowed: cluster_not_found, "),
            "{line}"
        );
    }
}
