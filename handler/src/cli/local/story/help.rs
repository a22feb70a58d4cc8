//! The page that `--help-script` prints: the whole language, from the same list that reads it.

use super::forms::{CHAPTERS, MEANINGS};

/// Where a line of the page ends.
const WIDTH: usize = 110;
/// Where the meaning of a word begins.
const COLUMN: usize = 11;

const INTRODUCTION: &str = "\
A story: what happens to a simulated Azure in which Hubward is at work, line by line.

One statement a line; # begins a comment. Capitals stand for what you choose. A text with blanks is written in
double quotes. Every line is understood before the first one runs. After > stands an example.

A story runs in virtual time: the same app and functions as in Azure, in one process and without a network, so
hours pass in seconds. It begins on a Monday at 08:00 with one hub in westeurope and Hubward installed. The same
story and --seed give the same transcript. Time passes only where a statement waits or lets it pass; the transcript
then says how much has passed since the beginning, as 1:02 for an hour and two minutes.

Exit codes: 0 everything held, 1 something did not (the story ends there), 2 a line is wrong (nothing has run).
";

const EXAMPLE: &str = "\
An example:

  create cluster shop
  wait until shop is wired
  walk shop -> api.partner.example:443 arrives from egress
  expect count firewall updates = 1
  mark
  send event of shop again
  wait until quiet
  expect count writes since mark = 0
";

/// The page.
#[must_use]
pub fn text() -> String {
    let mut page = vec![INTRODUCTION.to_owned()];
    for chapter in CHAPTERS {
        let mut lines = vec![format!("{}:", chapter.heading)];
        for form in chapter.forms {
            lines.push(format!("  {}", form.form));
            lines.push(format!("      {}", form.does));
            if form.example != form.form {
                lines.push(format!("      > {}", form.example));
            }
        }
        page.push(lines.join("\n") + "\n");
    }
    let mut words = vec!["What the capitals stand for:".to_owned()];
    for (word, meaning) in MEANINGS {
        words.extend(folded(word, meaning));
    }
    page.push(words.join("\n") + "\n");
    page.push(EXAMPLE.to_owned());
    page.join("\n")
}

/// A word and its meaning in lines that are not too long.
fn folded(word: &str, meaning: &str) -> Vec<String> {
    let mut lines = vec![format!("  {word:<width$}", width = COLUMN - 2)];
    let mut is_first = true;
    for part in meaning.split(' ') {
        let line = lines.last_mut();
        let Some(line) = line else { break };
        if !is_first && line.len() + 1 + part.len() > WIDTH {
            lines.push(format!("{}{part}", " ".repeat(COLUMN)));
        } else {
            if !is_first {
                line.push(' ');
            }
            line.push_str(part);
        }
        is_first = false;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::forms;
    use super::super::parse::parse;
    use super::*;

    #[test]
    fn the_page_is_the_language() {
        insta::assert_snapshot!(text());
        assert!(text().lines().all(|line| line.len() <= 140), "a line is too long");
    }

    #[test]
    fn every_form_of_the_page_is_read_as_its_example_shows() {
        for (is_opening, form) in forms::all().map(|form| (CHAPTERS[0].forms.iter().any(|f| f.form == form.form), form))
        {
            let first = if is_opening { "" } else { "create cluster shop\n" };
            let story = format!("{first}{}\n", form.example);
            if let Err(error) = parse("example", &story) {
                panic!("{}: {error}", form.form);
            }
            let verb = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
            assert_eq!(verb(form.form), verb(form.example));
        }
    }

    #[test]
    fn the_example_of_the_page_is_a_story() {
        let lines: Vec<&str> = EXAMPLE.lines().skip(2).collect();
        parse("example", &lines.join("\n")).unwrap();
    }
}
