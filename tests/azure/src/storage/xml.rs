//! The little XML the two services speak: escaping on the way out, the text of named elements on the way in. Bodies that
//! are not well-formed give `None`.

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::{BytesRef, Event};

/// Text for use between tags or in an attribute.
pub(super) fn escaped(text: &str) -> String {
    escape(text).into_owned()
}

/// The text of every element that has no element below it, with the element's name, in document order.
pub(super) fn leaves(body: &[u8]) -> Option<Vec<(String, String)>> {
    let mut reader = Reader::from_reader(body);
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let name = String::from_utf8(start.name().as_ref().to_vec()).ok()?;
                open = Some((name, String::new()));
            }
            Event::Empty(start) => {
                let name = String::from_utf8(start.name().as_ref().to_vec()).ok()?;
                found.push((name, String::new()));
            }
            Event::Text(text) => append(&mut open, &text.decode().ok()?),
            Event::CData(data) => append(&mut open, &data.decode().ok()?),
            Event::GeneralRef(reference) => append(&mut open, &resolved(&reference)?),
            Event::End(_) => found.extend(open.take()),
            Event::Eof => return Some(found),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

fn append(open: &mut Option<(String, String)>, text: &str) {
    if let Some((_, content)) = open {
        content.push_str(text);
    }
}

fn resolved(reference: &BytesRef<'_>) -> Option<String> {
    if let Some(character) = reference.resolve_char_ref().ok()? {
        return Some(character.to_string());
    }
    resolve_predefined_entity(&reference.decode().ok()?).map(str::to_owned)
}
