//! The rules an operator adds to what AKS itself needs.
//!
//! An application rule allows names and is judged by the firewall's proxy, a network rule allows addresses, service tags or
//! names and is judged by the packet. Each value is read here; what rules mean together is judged in `check`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::address;

/// What the operator allows, in the order in which it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperatorRules {
    /// Rules by name, for HTTP, HTTPS and SQL.
    pub application: Vec<ApplicationRule>,
    /// Rules by address and port.
    pub network: Vec<NetworkRule>,
}

/// Allows names over protocols that carry the name: HTTP, HTTPS (in the TLS greeting) and SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplicationRule {
    /// The rule's name, unique in the hub.
    pub name: String,
    /// Names, lower-cased; `*.example.com` allows every name under `example.com` but not `example.com` itself.
    pub targets: Vec<String>,
    /// Protocols with their ports, for example `https:443`.
    pub protocols: Vec<ApplicationProtocol>,
    /// The priority of the rule's collection, 100 to 65000; chosen by Hubward if absent.
    #[serde(default)]
    pub priority: Option<u32>,
}

/// A protocol with its port, written `https:443`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApplicationProtocol {
    /// The protocol.
    pub kind: ApplicationKind,
    /// The port, 1 to 64000 (the range of Azure's own definition of application rules).
    pub port: u16,
}

/// A protocol that application rules understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApplicationKind {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// SQL Server's protocol.
    Mssql,
}

/// Allows addresses, service tags or names on ports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRule {
    /// The rule's name, unique in the hub.
    pub name: String,
    /// The IP protocols.
    pub protocols: Vec<IpProtocol>,
    /// Networks (`203.0.113.0/24`), addresses, ranges (`203.0.113.1-203.0.113.9`), names in lower case
    /// (`sftp.partner.example`) or service tags with their capitals (`Storage.WestEurope`).
    pub destinations: Vec<String>,
    /// Ports (`443`), ranges (`1000-2000`) or `*`. May be left out if the only protocol is ICMP, and is then `*`.
    #[serde(default, deserialize_with = "ports")]
    pub ports: Vec<String>,
    /// The priority of the rule's collection, 100 to 65000; chosen by Hubward if absent.
    #[serde(default)]
    pub priority: Option<u32>,
}

/// A protocol of network rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IpProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// Every protocol.
    Any,
}

/// What a destination of a network rule is; Azure keeps names in another field than addresses and service tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestinationKind {
    /// A network, address, range or `*`.
    Address,
    /// A name that the firewall resolves.
    Fqdn,
    /// A named set of addresses that Microsoft keeps.
    ServiceTag,
}

impl OperatorRules {
    /// Lower-cases names, so that equal wishes give equal rules, and gives rules for ICMP alone every port, because Azure
    /// demands the field and ICMP knows no ports.
    pub(super) fn fill_in(&mut self) {
        for target in self.application.iter_mut().flat_map(|rule| &mut rule.targets) {
            target.make_ascii_lowercase();
        }
        for rule in &mut self.network {
            if rule.ports.is_empty() && rule.is_icmp_only() {
                rule.ports.push("*".to_owned());
            }
        }
    }
}

impl NetworkRule {
    /// The destinations of one kind, in the order in which they were written.
    pub fn destinations_of(&self, kind: DestinationKind) -> impl Iterator<Item = &str> {
        self.destinations
            .iter()
            .map(String::as_str)
            .filter(move |d| DestinationKind::of(d) == kind)
    }

    /// True if ICMP is the rule's only protocol.
    pub(super) fn is_icmp_only(&self) -> bool {
        !self.protocols.is_empty() && self.protocols.iter().all(|p| *p == IpProtocol::Icmp)
    }
}

impl DestinationKind {
    /// What a destination is. Names are written in lower case and service tags with their capitals, which tells
    /// `storage.partner` from `Storage.WestEurope`.
    #[must_use]
    pub fn of(destination: &str) -> Self {
        if destination == "*" || address::looks_like_address(destination) {
            Self::Address
        } else if destination.starts_with(|c: char| c.is_ascii_uppercase()) {
            Self::ServiceTag
        } else {
            Self::Fqdn
        }
    }
}

impl FromStr for ApplicationProtocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed =
            "allowed: http:PORT, https:PORT or mssql:PORT with a port from 1 to 64000, for example \"https:443\"";
        let refuse = || format!("{text:?} is not a protocol with its port; {allowed}");
        let (kind, port) = text.split_once(':').ok_or_else(refuse)?;
        let kind = match kind.to_ascii_lowercase().as_str() {
            "http" => ApplicationKind::Http,
            "https" => ApplicationKind::Https,
            "mssql" => ApplicationKind::Mssql,
            _ => return Err(refuse()),
        };
        let port = address::port(port).filter(|port| *port <= 64_000).ok_or_else(refuse)?;
        Ok(Self { kind, port })
    }
}

impl fmt::Display for ApplicationProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ApplicationKind::Http => "http",
            ApplicationKind::Https => "https",
            ApplicationKind::Mssql => "mssql",
        };
        write!(f, "{kind}:{}", self.port)
    }
}

impl FromStr for IpProtocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "icmp" => Ok(Self::Icmp),
            "any" => Ok(Self::Any),
            _ => Err(format!("{text:?} is not known; allowed: TCP, UDP, ICMP, Any")),
        }
    }
}

impl fmt::Display for IpProtocol {
    /// As Azure writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Icmp => "ICMP",
            Self::Any => "Any",
        })
    }
}

impl Serialize for ApplicationProtocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ApplicationProtocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for IpProtocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IpProtocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Ports are texts, because ranges are; a plain number is taken as well, since `ports = [443]` cannot mean anything else.
fn ports<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "a port is neither text nor number; allowed: \"443\", \"1000-2000\" or \"*\""
    )]
    enum Written {
        Text(String),
        Number(i64),
    }
    let written = Vec::<Written>::deserialize(deserializer)?;
    Ok(written
        .into_iter()
        .map(|port| match port {
            Written::Text(text) => text,
            Written::Number(number) => number.to_string(),
        })
        .collect())
}
