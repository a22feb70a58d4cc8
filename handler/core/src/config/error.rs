//! The one line that tells an operator what is wrong with the configuration and what is allowed.

use serde_path_to_error::Segment;

/// Longest quotation of a value, in characters; a whole certificate pasted into a field must not fill the log.
const LONGEST_QUOTATION: usize = 160;

/// What is wrong with the configuration: always one line, always with the field's path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}; allowed: {allowed}")]
pub struct ConfigError {
    /// The field's path, for example `hubs.main.workload_egress`; with the variable's name in front if the overlay set it.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
    /// What would be right.
    pub allowed: String,
}

impl ConfigError {
    /// An error on one line.
    pub(super) fn of(field: impl Into<String>, problem: impl AsRef<str>, allowed: impl AsRef<str>) -> Self {
        Self {
            field: one_line(&field.into()),
            problem: one_line(problem.as_ref()),
            allowed: one_line(allowed.as_ref()),
        }
    }

    /// A text that is not TOML; the field is then the line.
    pub(super) fn from_syntax(toml: &str, error: &toml::de::Error) -> Self {
        let before = error.span().and_then(|span| toml.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Self::of(
            format!("line {line}"),
            error.message(),
            "TOML, as in the commented example",
        )
    }

    /// A value that does not fit. serde tells of it in prose; every form of that prose is held fast by a test.
    pub(super) fn from_serde(error: &serde_path_to_error::Error<toml::de::Error>) -> Self {
        let mut path = dotted(error.path());
        let message = error.inner().message();
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        if message.starts_with("unknown field") {
            let (wanted, known) = quoted
                .split_first()
                .map_or(("", &[][..]), |(first, rest)| (*first, rest));
            append(&mut path, wanted);
            let hint = nearest(wanted, known).map_or(String::new(), |near| format!(" (did you mean {near}?)"));
            return Self::of(path, format!("is not known{hint}"), known.join(", "));
        }
        if message.starts_with("unknown variant") {
            let (wanted, known) = quoted
                .split_first()
                .map_or(("", &[][..]), |(first, rest)| (*first, rest));
            return Self::of(path, format!("{wanted:?} is not known"), known.join(", "));
        }
        if let (true, Some(missing)) = (message.starts_with("missing field"), quoted.first()) {
            append(&mut path, missing);
            return Self::of(path, "is missing", meaning(missing).unwrap_or("a value"));
        }
        if let Some((found, wanted)) = message.strip_prefix("invalid type: ").and_then(expected) {
            let problem = match found {
                "unit variant" => "is not a text".to_owned(),
                _ => format!("{} does not fit", found.replace('`', "")),
            };
            let allowed = meaning(last_key(&path)).unwrap_or(plain(wanted));
            return Self::of(path.as_str(), problem, allowed);
        }
        if let Some((found, wanted)) = message.strip_prefix("invalid value: ").and_then(expected) {
            let allowed = meaning(last_key(&path)).unwrap_or(plain(wanted));
            return Self::of(
                path.as_str(),
                format!("{} is out of range", found.replace('`', "")),
                allowed,
            );
        }
        if message.starts_with("invalid IPv4 address") {
            return Self::of(
                path.as_str(),
                message,
                meaning(last_key(&path)).unwrap_or("an IPv4 address"),
            );
        }
        if let Some((problem, allowed)) = message.split_once("; allowed: ") {
            return Self::of(path, problem, allowed);
        }
        Self::of(
            path,
            message,
            "a resource id such as /subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/...",
        )
    }
}

/// What a field takes, said where it is missing or of the wrong type.
fn meaning(field: &str) -> Option<&'static str> {
    Some(match field {
        "mode" => "observe, approve, correct",
        "priority" | "rule_collection_group_priority" => "100 to 65000",
        "location" => "the Azure region, for example westeurope",
        "virtual_network" => "the resource id of the hub's virtual network",
        "firewall" => "the resource id of the hub's Azure Firewall",
        "nat_gateway" => "the resource id of the hub's NAT gateway",
        "workload_egress" => "required_only, web, rules",
        "kind" => "managed_identity, workload_identity, developer_tools",
        "targets" => "a list of names, for example [\"api.partner.example\"]",
        "destinations" => "a list of networks, addresses, names or service tags",
        "definition" => "the GUID of a role definition",
        "addresses" => "provided, managed",
        "sources" => "a list of networks, for example [\"203.0.113.0/24\"]",
        "cluster" => "the resource id of the cluster",
        "address" => "the IPv4 address of a load balancer of the cluster",
        "protocols" => "a list, for example [\"https:443\"] in an application rule, [\"TCP\"] in a network rule",
        _ => return None,
    })
}

fn last_key(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or_default()
}

/// Parts what was found from what was expected.
fn expected(message: &str) -> Option<(&str, &str)> {
    message.split_once(", expected ")
}

/// serde's names of types in words.
fn plain(expected: &str) -> &str {
    match expected {
        "u16" | "u32" => "a whole number",
        "a sequence" => "a list in brackets",
        "a map" => "a table",
        _ if expected.starts_with("struct ") => "a table",
        _ => expected,
    }
}

fn dotted(path: &serde_path_to_error::Path) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => text.push_str(&format!("[{index}]")),
            Segment::Map { key } => append(&mut text, key),
            Segment::Enum { variant } => append(&mut text, variant),
            Segment::Unknown => {}
        }
    }
    text
}

/// Adds a key to a path, unless the path ends with it already.
fn append(path: &mut String, key: &str) {
    if path.as_str() == key || path.ends_with(&format!(".{key}")) {
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

/// The known key that a person most likely meant: at most a third of its letters differ.
fn nearest<'a>(wanted: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|key| (distance(wanted, key), *key))
        .filter(|(distance, key)| *distance <= key.len().div_ceil(3))
        .min()
        .map(|(_, key)| key)
}

/// How many letters have to be added, dropped or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(LONGEST_QUOTATION).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Control characters would break the promise of one line.
fn one_line(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if let Some((cut, _)) = line.char_indices().nth(3 * LONGEST_QUOTATION) {
        line.truncate(cut);
        line.push_str("...");
    }
    line
}
