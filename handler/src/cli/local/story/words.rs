//! The words of a line: what a statement is made of before anybody knows what it means.
//!
//! A word ends at a blank; a text in double quotes is one word, with JSON's escapes. What stands after `=` may be taken as it is
//! written. A comment begins with `#` at the start of a line or after a blank, outside of quotes.

/// Why a line is no statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// What is wrong.
    pub(super) what: String,
    /// What is allowed there.
    pub(super) allowed: String,
}

impl Wrong {
    pub(super) fn new(what: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            allowed: allowed.into(),
        }
    }
}

/// The rest of a line that is not read yet.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn of(line: &'a str) -> Self {
        Self {
            rest: without_comment(line).trim(),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything that is left, as it is written.
    pub(super) fn rest(&mut self) -> &'a str {
        std::mem::take(&mut self.rest)
    }

    /// The next word, without reading on; empty at the end.
    pub(super) fn peek(&self) -> String {
        self.clone().take().unwrap_or_default()
    }

    /// The next word, if there is one; of a quoted one what is within the quotes.
    pub(super) fn take(&mut self) -> Option<String> {
        let (word, rest) = split(self.rest)?;
        self.rest = rest.trim_start();
        Some(word)
    }

    /// The next word; `allowed` says what it may be.
    pub(super) fn word(&mut self, allowed: &str) -> Result<String, Wrong> {
        self.take()
            .ok_or_else(|| Wrong::new("the line ends too early", allowed))
    }

    /// Reads these words if they are next.
    pub(super) fn skip(&mut self, words: &str) -> bool {
        let mut ahead = self.clone();
        let there = words
            .split(' ')
            .all(|word| ahead.take().is_some_and(|found| found == word));
        if there {
            *self = ahead;
        }
        there
    }

    /// Reads these words, which must be next.
    pub(super) fn expect(&mut self, words: &str, form: &str) -> Result<(), Wrong> {
        if self.skip(words) {
            return Ok(());
        }
        Err(self.unexpected(form))
    }

    /// The next word is not what `allowed` says.
    pub(super) fn unexpected(&self, allowed: impl Into<String>) -> Wrong {
        match self.clone().take() {
            Some(word) => Wrong::new(format!("{word:?} is not known here"), allowed),
            None => Wrong::new("the line ends too early", allowed),
        }
    }

    /// Nothing may be left.
    pub(super) fn end(&self, form: &str) -> Result<(), Wrong> {
        match self.clone().take() {
            Some(word) => Err(Wrong::new(format!("{word:?} is a word too many"), form)),
            None => Ok(()),
        }
    }
}

/// The line up to its comment.
pub(super) fn without_comment(line: &str) -> &str {
    let (mut quoted, mut escaped, mut blank) = (false, false, true);
    for (at, c) in line.char_indices() {
        if c == '#' && blank && !quoted {
            return &line[..at];
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && c == '\\' && !escaped;
        blank = c.is_whitespace();
    }
    line
}

/// The first word and what comes after it.
fn split(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    if text.is_empty() {
        return None;
    }
    if text.starts_with('"') {
        // The reader stops after the closing quote and says how far it came.
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
        if let Some(Ok(word)) = values.next() {
            return Some((word, &text[values.byte_offset()..]));
        }
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    Some((text[..end].to_owned(), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(line: &str) -> Vec<String> {
        let mut words = Words::of(line);
        std::iter::from_fn(|| words.take()).collect()
    }

    #[test]
    fn words_end_at_blanks_and_texts_at_quotes() {
        assert_eq!(all("  walk shop ->  a:443 "), ["walk", "shop", "->", "a:443"]);
        assert_eq!(all(r#"say "two \"words\"" more"#), ["say", "two \"words\"", "more"]);
        assert_eq!(all(r#"say "open"#), ["say", "\"open"]);
    }

    #[test]
    fn a_comment_begins_after_a_blank_and_outside_of_quotes() {
        assert_eq!(all("# all"), Vec::<String>::new());
        assert_eq!(all("mark # now"), ["mark"]);
        assert_eq!(all(r#"set a#b "x # y" # z"#), ["set", "a#b", "x # y"]);
    }

    #[test]
    fn words_are_skipped_together_or_not_at_all() {
        let mut words = Words::of("is dropped at firewall");
        assert!(!words.skip("is reached"));
        assert!(words.skip("is dropped"));
        assert_eq!(words.rest(), "at firewall");
        assert!(words.is_done());
    }
}
