//! Where Event Grid leaves the events that it could not deliver: `[events] dead_letter_container`.

use serde::{Deserialize, Serialize};

/// What belongs to the subscription of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// The blob container, in the app's own storage account, that the event subscription names as its dead-letter destination.
    pub dead_letter_container: String,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            dead_letter_container: "hubward-dead-letters".to_owned(),
        }
    }
}

/// True for the names that storage takes: 3 to 63 lower-case letters, digits and single dashes, none at either end.
pub(super) fn is_container(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.chars().all(|c| plain(c) || c == '-')
        && name.starts_with(plain)
        && name.ends_with(plain)
        && !name.contains("--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_names_are_those_that_storage_takes() {
        for name in ["hubward-dead-letters", "abc", "a1-b2"] {
            assert!(is_container(name), "{name}");
        }
        let long = "a".repeat(64);
        for name in ["", "ab", "Dead", "a_b", "-abc", "abc-", "a--b", "$logs", long.as_str()] {
            assert!(!is_container(name), "{name}");
        }
    }
}
