//! ARM resource ids: compared without regard to case, printed as they were given.
//!
//! Azure answers with other casing than it was asked with (`/resourcegroups/`, `Microsoft.ContainerService/ManagedClusters`),
//! so equality, ordering and hashing use the lower-cased text while the original text survives for display and for writes.
//! Text that is not an id is refused with the reason; nothing is repaired silently.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest id we accept, in bytes. ARM names are far shorter; the bound keeps hostile input cheap.
pub const MAX_LENGTH: usize = 2048;

/// The id of an ARM resource, for example
/// `/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/virtualNetworks/V/subnets/N`.
#[derive(Clone, Debug)]
pub struct ResourceId {
    text: String,
}

/// Why a text is not a resource id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty or longer than [`MAX_LENGTH`].
    #[error("a resource id has 1 to {MAX_LENGTH} characters, this text has {0}")]
    Length(usize),
    /// The text does not start with `/subscriptions/<id>`.
    #[error("{0:?} does not start with /subscriptions/<id>")]
    NoSubscription(String),
    /// After subscription and group there is something other than `/providers/<namespace>/<type>/<name>...`.
    #[error("{0:?} is not /subscriptions/<id>/resourceGroups/<name>/providers/<namespace>/<type>/<name>")]
    Shape(String),
    /// A segment is empty, dots alone, or holds a character that no ARM name has.
    #[error("segment {segment:?} of {text:?} is empty, dots alone, or has a character that no ARM name has")]
    Segment {
        /// The whole text.
        text: String,
        /// The segment at fault.
        segment: String,
    },
}

impl ResourceId {
    /// Reads an id of a resource, a resource group or a subscription.
    ///
    /// # Errors
    /// [`IdError`] names what is wrong; the text is never repaired.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() || text.len() > MAX_LENGTH {
            return Err(IdError::Length(text.len()));
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(IdError::NoSubscription(text.to_owned()));
        };
        let segments: Vec<&str> = rest.split('/').collect();
        for segment in &segments {
            if !is_name(segment) {
                return Err(IdError::Segment {
                    text: text.to_owned(),
                    segment: (*segment).to_owned(),
                });
            }
        }
        let is = |index: usize, word: &str| segments.get(index).is_some_and(|s| s.eq_ignore_ascii_case(word));
        if !is(0, "subscriptions") || segments.len() < 2 {
            return Err(IdError::NoSubscription(text.to_owned()));
        }
        let mut tail = &segments[2..];
        if is(2, "resourceGroups") {
            if tail.len() < 2 {
                return Err(IdError::Shape(text.to_owned()));
            }
            tail = &tail[2..];
        }
        if !tail.is_empty() && !is_provider_path(tail) {
            return Err(IdError::Shape(text.to_owned()));
        }
        Ok(Self { text: text.to_owned() })
    }

    /// The id as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The lower-cased id: what equality, queue keys and hashes are made of.
    #[must_use]
    pub fn key(&self) -> String {
        self.text.to_ascii_lowercase()
    }

    /// The subscription's id.
    #[must_use]
    pub fn subscription(&self) -> &str {
        self.segments().nth(1).unwrap_or_default()
    }

    /// The resource group's name, if the id lies in one.
    #[must_use]
    pub fn resource_group(&self) -> Option<&str> {
        let mut segments = self.segments().skip(2);
        segments
            .next()
            .is_some_and(|s| s.eq_ignore_ascii_case("resourceGroups"))
            .then(|| segments.next())
            .flatten()
    }

    /// The last segment: the resource's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or_default()
    }

    /// The type with its namespace, for example `Microsoft.Network/virtualNetworks/subnets`; empty for a group or subscription.
    /// Of an extension resource it is the type of the last provider.
    #[must_use]
    pub fn resource_type(&self) -> String {
        let segments: Vec<&str> = self.segments().collect();
        let Some(at) = last_provider(&segments) else {
            return String::new();
        };
        let mut parts = vec![segments.get(at + 1).copied().unwrap_or_default()];
        parts.extend(segments.iter().skip(at + 2).step_by(2));
        parts.join("/")
    }

    /// True if the type is `wanted`, whatever the casing.
    #[must_use]
    pub fn is_type(&self, wanted: &str) -> bool {
        self.resource_type().eq_ignore_ascii_case(wanted)
    }

    /// The resource this one is a child of (`.../virtualNetworks/V` for a subnet); `None` for a top-level resource.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let segments: Vec<&str> = self.segments().collect();
        let at = last_provider(&segments)?;
        (segments.len() - at > 4).then(|| Self {
            text: format!("/{}", segments[..segments.len() - 2].join("/")),
        })
    }

    /// A child of this resource: `vnet.child("subnets", "nodes")`.
    #[must_use]
    pub fn child(&self, kind: &str, name: &str) -> Self {
        Self {
            text: format!("{}/{kind}/{name}", self.text),
        }
    }

    /// The id of a resource group.
    #[must_use]
    pub fn group(subscription: &str, name: &str) -> Self {
        Self {
            text: format!("/subscriptions/{subscription}/resourceGroups/{name}"),
        }
    }

    /// The id of a resource in a group.
    #[must_use]
    pub fn in_group(subscription: &str, group: &str, resource_type: &str, name: &str) -> Self {
        Self {
            text: format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/{resource_type}/{name}"),
        }
    }

    /// True if `self` is `scope` or lies under it.
    #[must_use]
    pub fn is_within(&self, scope: &Self) -> bool {
        let (inner, outer) = (self.key(), scope.key());
        inner == outer || inner.strip_prefix(&outer).is_some_and(|rest| rest.starts_with('/'))
    }

    fn segments(&self) -> impl Iterator<Item = &str> {
        self.text.split('/').skip(1)
    }
}

/// True if the segments are `providers/<namespace>/<type>/<name>...`, with extension resources behind, each one whole.
fn is_provider_path(segments: &[&str]) -> bool {
    let mut keywords: Vec<usize> = (0..segments.len())
        .step_by(2)
        .filter(|at| segments[*at].eq_ignore_ascii_case("providers"))
        .collect();
    let begins = keywords.first() == Some(&0);
    keywords.push(segments.len());
    begins && segments.len().is_multiple_of(2) && keywords.windows(2).all(|pair| pair[1] - pair[0] >= 4)
}

/// Where the last provider begins. Keywords and types stand at even places, names at odd ones, so that a resource named
/// `providers` is none.
fn last_provider(segments: &[&str]) -> Option<usize> {
    (0..segments.len())
        .step_by(2)
        .rev()
        .find(|at| segments[*at].eq_ignore_ascii_case("providers"))
}

/// True of a segment that some ARM name or type can be. One of dots alone would climb out of the id when a URL is made of it.
fn is_name(segment: &str) -> bool {
    !segment.chars().all(|c| c == '.') && segment.chars().all(allowed_in_segment)
}

/// Characters of ARM names: no white space, no control character, none of the characters that end a URL path.
fn allowed_in_segment(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !matches!(c, '?' | '#' | '%' | '\\' | '"' | '<' | '>')
}

impl PartialEq for ResourceId {
    fn eq(&self, other: &Self) -> bool {
        self.text.eq_ignore_ascii_case(&other.text)
    }
}

impl Eq for ResourceId {}

impl Hash for ResourceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for ResourceId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ResourceId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for ResourceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ResourceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
