//! The rule catalogue: what a cluster needs from the firewall, as data with a source and a date per entry.
//!
//! The file is embedded at build time. A fault in it is a fault of the build: a test reads every entry.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::config::{ApplicationProtocol, IpProtocol};

const GLOBAL: &str = include_str!("global.toml");

/// What about a cluster brings a need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Every cluster.
    Always,
    /// At least one Linux pool.
    Linux,
    /// At least one Windows pool.
    Windows,
    /// The API server is reached through its public name.
    PublicApiServer,
    /// The network has DNS servers of its own that are asked through the firewall.
    CustomDns,
}

/// The catalogue of one cloud.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The cloud, as Azure names it.
    pub cloud: String,
    /// Needs met by application rules.
    #[serde(default)]
    pub application: Vec<ApplicationNeed>,
    /// Needs met by network rules.
    #[serde(default)]
    pub network: Vec<NetworkNeed>,
}

/// A need met by an application rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplicationNeed {
    /// Part of the rule's name.
    pub name: String,
    /// The feature that brings it.
    pub when: Feature,
    /// Names, with `*.` on the left at most; `{api_server}` stands for the cluster's own.
    #[serde(default)]
    pub targets: Vec<String>,
    /// FQDN tags.
    #[serde(default)]
    pub fqdn_tags: Vec<String>,
    /// Protocols with ports.
    pub protocols: Vec<ApplicationProtocol>,
    /// Why the rule is there and what breaks without it: the end of a sentence that begins with its name.
    pub why: String,
    /// Where the fact stands.
    pub source: String,
    /// When the source said so.
    pub date: String,
}

/// A need met by a network rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkNeed {
    /// Part of the rule's name.
    pub name: String,
    /// The feature that brings it.
    pub when: Feature,
    /// Names or addresses; `{api_server}` stands for the cluster's own, `{dns_servers}` for all those of its network.
    pub targets: Vec<String>,
    /// IP protocols.
    pub protocols: Vec<IpProtocol>,
    /// Ports or port ranges.
    pub ports: Vec<String>,
    /// Why the rule is there and what breaks without it: the end of a sentence that begins with its name.
    pub why: String,
    /// Where the fact stands.
    pub source: String,
    /// When the source said so.
    pub date: String,
}

impl Catalogue {
    /// The catalogue of Azure's global cloud.
    #[must_use]
    pub fn global() -> &'static Self {
        static PARSED: OnceLock<Catalogue> = OnceLock::new();
        PARSED.get_or_init(|| {
            toml::from_str(GLOBAL)
                .unwrap_or_else(|error| unreachable!("the embedded catalogue is read by a test: {error}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_of_the_catalogue_reads_and_names_its_source() {
        let catalogue = Catalogue::global();
        assert!(!catalogue.application.is_empty() && !catalogue.network.is_empty());
        for need in &catalogue.application {
            assert!(!need.source.is_empty() && need.date.len() == 10, "{}", need.name);
            assert!(need.targets.is_empty() != need.fqdn_tags.is_empty(), "{}", need.name);
            assert!(!need.protocols.is_empty(), "{}", need.name);
        }
        for need in &catalogue.network {
            assert!(!need.source.is_empty() && need.date.len() == 10, "{}", need.name);
            assert!(!need.targets.is_empty() && !need.ports.is_empty(), "{}", need.name);
        }
    }

    #[test]
    fn every_entry_says_why_it_is_there_and_what_breaks_without_it() {
        let catalogue = Catalogue::global();
        let reasons = catalogue.application.iter().map(|need| (&need.name, &need.why));
        for (name, why) in reasons.chain(catalogue.network.iter().map(|need| (&need.name, &need.why))) {
            assert!(
                why.contains("; without it ") || why.contains("; without it, "),
                "{name}"
            );
            assert!(!why.ends_with('.') && !why.contains('\n'), "{name}");
        }
    }

    #[test]
    fn no_need_opens_azurecloud_or_everything() {
        for need in &Catalogue::global().network {
            for name in &need.targets {
                assert!(!name.contains('*') && !name.starts_with("AzureCloud"), "{}", need.name);
            }
        }
    }
}
