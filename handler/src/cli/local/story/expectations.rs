//! Reads what a story expects to hold.

use super::forms::{allowed, meaning};
use super::parse::{Reader, code, state, value};
use super::statements::{Compare, Counter, Expectation, Judged};
use super::things;
use super::words::{Words, Wrong};

/// Reads what follows `expect`.
pub(super) fn read(reader: &Reader, words: &mut Words<'_>) -> Result<Expectation, Wrong> {
    let form = allowed("expect");
    if words.skip("state of") {
        let name = reader.cluster(words)?;
        words.expect("=", &form)?;
        return Ok(Expectation::State(name, state(words)?));
    }
    for (start, judged) in [("egress of", Judged::Egress), ("reach of", Judged::Reach)] {
        if words.skip(start) {
            return proof(reader, words, judged, &form);
        }
    }
    if words.skip("finding") {
        let code = code(words)?;
        words.expect("of", &form)?;
        return Ok(Expectation::Finding(reader.cluster(words)?, code));
    }
    if words.skip("no findings of") {
        return Ok(Expectation::NoFindings(reader.cluster(words)?));
    }
    if words.skip("no finding") {
        let code = code(words)?;
        words.expect("of", &form)?;
        return Ok(Expectation::NoFinding(reader.cluster(words)?, code));
    }
    if words.skip("no change since mark") {
        return Ok(Expectation::Unchanged);
    }
    if words.skip("nothing was cut") {
        return Ok(Expectation::NothingCut);
    }
    if words.skip("exit") {
        let word = words.word(&form)?;
        let number = word.parse();
        return number
            .map(Expectation::Exit)
            .map_err(|_| Wrong::new(format!("{word:?} is no exit code"), "0 to 255"));
    }
    if words.skip("output has") {
        return Ok(Expectation::Output(words.word(&form)?));
    }
    if words.skip("output lacks") {
        return Ok(Expectation::NoOutput(words.word(&form)?));
    }
    if words.skip("count") {
        return count(words, &form);
    }
    if words.skip("field") {
        let thing = things::read(reader, words)?;
        let path = words.word(&form)?;
        words.expect("=", &form)?;
        return Ok(Expectation::Field(thing, path, value(words.rest())?));
    }
    let start = words.peek();
    if !(start.starts_with('/') || start == "hub" || reader.clusters.contains(&start)) {
        return Err(words.unexpected(form));
    }
    let thing = things::read(reader, words)?;
    if words.skip("exists") {
        return Ok(Expectation::There(thing));
    }
    words.expect("is gone", &form)?;
    Ok(Expectation::Gone(thing))
}

fn proof(reader: &Reader, words: &mut Words<'_>, judged: Judged, form: &str) -> Result<Expectation, Wrong> {
    let name = reader.cluster(words)?;
    words.expect("=", form)?;
    let word = words.word(form)?;
    if !["holds", "unknown", "broken"].contains(&word.as_str()) {
        return Err(Wrong::new(format!("{word:?} is no proof"), "holds, unknown, broken"));
    }
    Ok(Expectation::Proof(name, judged, word))
}

fn count(words: &mut Words<'_>, form: &str) -> Result<Expectation, Wrong> {
    let counters = [
        ("reads", Counter::Reads),
        ("writes", Counter::Writes),
        ("firewall updates", Counter::FirewallUpdates),
        ("throttled", Counter::Throttled),
    ];
    let found = counters.into_iter().find(|(name, _)| words.skip(name));
    let (_, what) = found.ok_or_else(|| words.unexpected(meaning("COUNTER")))?;
    let since_mark = words.skip("since mark");
    let compare = match words.word(form)?.as_str() {
        "=" => Compare::Is,
        "<=" => Compare::AtMost,
        ">=" => Compare::AtLeast,
        other => return Err(Wrong::new(format!("{other:?} compares nothing"), "=, <=, >=")),
    };
    let word = words.word(form)?;
    let number = word
        .parse()
        .map_err(|_| Wrong::new(format!("{word:?} is no number"), "a whole number"))?;
    Ok(Expectation::Count {
        what,
        since_mark,
        compare,
        number,
    })
}
