//! Clusters that a story asks for: their names, and the shapes they come in.

use azure_sim::ClusterSpec;

use super::parse::Reader;
use super::things::RESERVED;
use super::words::{Words, Wrong};

/// The most clusters of a story: each has a network of its own.
const MOST_CLUSTERS: usize = 99;
/// The most clusters in one network: each has a /22 of a /16.
const MOST_NEIGHBOURS: usize = 32;

/// A cluster that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: String,
    /// Its number among the story's clusters, from 1.
    index: u8,
    shapes: Vec<Shape>,
}

/// What tells a cluster from a usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Kubenet,
    /// kubenet in the customer's own table.
    KubenetOwnTable,
    Overlay,
    Private,
    ManagedNetwork,
    /// In the network of this cluster, whose how manieth neighbour it is.
    InNetworkOf(String, usize),
    TwoPools,
    UserAssigned,
    ServicePrincipal(String),
    Authorized(String),
    Tag(String, String),
}

/// Shapes that are said by words alone; of two that begin alike the longer first.
const PLAIN: [(&str, Shape); 7] = [
    ("kubenet with own table", Shape::KubenetOwnTable),
    ("kubenet", Shape::Kubenet),
    ("overlay", Shape::Overlay),
    ("private", Shape::Private),
    ("in managed network", Shape::ManagedNetwork),
    ("with two pools", Shape::TwoPools),
    ("with user assigned identity", Shape::UserAssigned),
];

/// Reads what follows `create cluster`.
pub(super) fn read(reader: &mut Reader, words: &mut Words<'_>, form: &str) -> Result<Wanted, Wrong> {
    let name = name(words, form)?;
    let mut shapes = Vec::new();
    while !words.is_done() {
        shapes.push(shape(reader, words)?);
    }
    if !reader.clusters.contains(&name) {
        if reader.clusters.len() == MOST_CLUSTERS {
            let allowed = format!("{MOST_CLUSTERS} in a story");
            return Err(Wrong::new("one cluster too many", allowed));
        }
        reader.clusters.push(name.clone());
    }
    let index = reader.clusters.iter().position(|known| *known == name);
    Ok(Wanted {
        name,
        index: u8::try_from(index.unwrap_or_default() + 1).unwrap_or(u8::MAX),
        shapes,
    })
}

impl Wanted {
    /// What a person asks Azure for. `neighbour` is the cluster of this name, which the story has created.
    ///
    /// # Errors
    /// The network to live in is not there.
    pub(super) fn spec(&self, neighbour: impl Fn(&str) -> Result<ClusterSpec, String>) -> Result<ClusterSpec, String> {
        let mut spec = ClusterSpec::usual(&self.name, self.index);
        for shape in &self.shapes {
            spec = match shape {
                Shape::Kubenet => spec.kubenet(),
                Shape::KubenetOwnTable => spec.kubenet_with_own_table(),
                Shape::Overlay => spec.overlay(),
                Shape::Private => spec.private(),
                Shape::ManagedNetwork => spec.managed_vnet(),
                Shape::InNetworkOf(name, number) => {
                    let other = neighbour(name)?;
                    let prefix = neighbours_prefix(&other, *number);
                    spec.beside(&other, &prefix)
                }
                Shape::TwoPools => {
                    let prefix = format!("10.{}.4.0/22", self.index);
                    spec.subnet("apps", &prefix).pool("apps", "apps", 3)
                }
                Shape::UserAssigned => {
                    let identity = format!("{}-identity", self.name);
                    spec.user_assigned(&identity)
                }
                Shape::ServicePrincipal(client_id) => spec.service_principal(client_id),
                Shape::Authorized(range) => spec.authorized(&[range]),
                Shape::Tag(key, value) => spec.tag(key, value),
            };
        }
        Ok(spec)
    }
}

fn name(words: &mut Words<'_>, form: &str) -> Result<String, Wrong> {
    let name = words.word(form)?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(plain) || name.len() > 40 {
        let rule = "small letters, digits and dashes, a letter first, at most 40";
        return Err(Wrong::new(format!("{name:?} is not a name of a cluster here"), rule));
    }
    if RESERVED.contains(&name.as_str()) {
        let what = format!("{name:?} means something else");
        return Err(Wrong::new(what, "another name for the cluster"));
    }
    Ok(name)
}

fn shape(reader: &mut Reader, words: &mut Words<'_>) -> Result<Shape, Wrong> {
    let allowed = super::forms::meaning("SHAPE");
    if let Some((_, shape)) = PLAIN.into_iter().find(|(said, _)| words.skip(said)) {
        return Ok(shape);
    }
    if words.skip("in network of") {
        let name = reader.cluster(words)?;
        reader.neighbours.push(name.clone());
        let number = reader.neighbours.iter().filter(|other| **other == name).count();
        if number > MOST_NEIGHBOURS {
            let allowed = format!("{MOST_NEIGHBOURS} beside the first");
            return Err(Wrong::new(format!("the network of {name} is full"), allowed));
        }
        return Ok(Shape::InNetworkOf(name, number));
    }
    if words.skip("with service principal") {
        return Ok(Shape::ServicePrincipal(words.word(allowed)?));
    }
    if words.skip("for callers from") {
        return Ok(Shape::Authorized(words.word(allowed)?));
    }
    if words.skip("tag") {
        let key = words.word(allowed)?;
        words.expect("=", allowed)?;
        return Ok(Shape::Tag(key, words.word(allowed)?));
    }
    Err(words.unexpected(allowed))
}

/// The prefix of a neighbour's subnet in the network 10.N.0.0/16; the first two /22 are the first cluster's own.
fn neighbours_prefix(other: &ClusterSpec, number: usize) -> String {
    let network = other.vnet_prefix.split('.').nth(1).unwrap_or_default();
    format!("10.{network}.{}.0/22", 4 * (number + 1))
}
