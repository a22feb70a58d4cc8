//! Commands of a story: run as a person would, at a desk of the stage, while everything else goes on.

use super::scene::{Done, Scene};
use crate::cli::command;
use crate::stage::StageError;

impl Scene {
    /// Runs a command as a person would; its output is the result.
    pub(super) async fn run_command(&mut self, words: &[String]) -> Result<Done, StageError> {
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
            return Ok(self.creation(name)?.to_string());
        }
        Ok(self
            .cluster(word)
            .map_or_else(|_| word.to_owned(), |cluster| cluster.id.clone()))
    }
}
