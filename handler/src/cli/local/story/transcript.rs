//! The transcript: each line of the story as it is written, and below it what came of it, with the time since the story began.

use std::fmt::Write;

use time::Duration;

/// What results are moved in by.
const INDENT: &str = "    ";

/// The transcript so far.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    text: String,
}

impl Transcript {
    /// A line of the story.
    pub(super) fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// What came of it; several lines stand below each other, and an empty text is nothing.
    pub(super) fn result(&mut self, text: &str) {
        for line in text.lines() {
            let line = format!("{INDENT}{line}");
            self.line(line.trim_end());
        }
    }

    /// What came of it after time has passed.
    pub(super) fn result_at(&mut self, elapsed: Duration, text: &str) {
        let mut stamped = stamp(elapsed);
        let _ = write!(stamped, "  {text}");
        self.result(&stamped);
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// Time since the story began in hours and minutes, as `1:02`. Seconds would only tell how many calls were made.
pub(super) fn stamp(elapsed: Duration) -> String {
    let minutes = (elapsed.whole_seconds() + 30) / 60;
    format!("{}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_below_their_line_with_the_time() {
        let mut transcript = Transcript::default();
        transcript.line("wait until shop is wired  # soon");
        transcript.result_at(Duration::seconds(3723), "shop is wired\nreach holds");
        transcript.result("");
        assert_eq!(
            transcript.into_text(),
            "wait until shop is wired  # soon\n    1:02  shop is wired\n    reach holds\n"
        );
    }
}
