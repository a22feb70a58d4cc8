//! Views of load balancers and public IP addresses: which address of a cluster is served to whom.

use std::fmt;
use std::net::Ipv4Addr;

use serde_json::Value;

use super::access::{id, list, text};
use crate::ids::ResourceId;

/// Typed reading of a load balancer.
#[derive(Clone, Copy, Debug)]
pub struct BalancerView<'a> {
    body: &'a Value,
}

/// An address of a load balancer with the ports it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    /// The frontend's name.
    pub name: String,
    /// The public IP resource, if the frontend is public.
    pub public_ip: Option<ResourceId>,
    /// The address in the network, if it is internal.
    pub private_ip: Option<Ipv4Addr>,
    /// What it serves, in order; empty if it is only a way out.
    pub ports: Vec<FrontendPort>,
}

/// One port that a frontend serves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrontendPort {
    /// The port; 0 stands for all of them.
    pub port: u16,
    /// `TCP`, `UDP` or `ALL`, in capitals.
    pub protocol: String,
}

impl fmt::Display for FrontendPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            0 => write!(f, "*/{}", self.protocol),
            port => write!(f, "{port}/{}", self.protocol),
        }
    }
}

impl<'a> BalancerView<'a> {
    /// A view on `body`.
    #[must_use]
    pub fn new(body: &'a Value) -> Self {
        Self { body }
    }

    /// The frontends, in Azure's order, each with the ports of its rules for load balancing and for single machines. Rules that
    /// name no frontend of the document are those of one more, of which nothing else is known.
    #[must_use]
    pub fn frontends(&self) -> Vec<Frontend> {
        let documents = list(self.body, "/properties/frontendIPConfigurations");
        let mut frontends: Vec<Frontend> = documents.iter().map(frontend).collect();
        let mut orphans = Vec::new();
        let kinds = ["/properties/loadBalancingRules", "/properties/inboundNatRules"];
        for rule in kinds.into_iter().flat_map(|kind| list(self.body, kind)) {
            let named = text(rule, "/properties/frontendIPConfiguration/id").and_then(|id| id.rsplit('/').next());
            let owner = frontends
                .iter_mut()
                .find(|frontend| named.is_some_and(|name| name.eq_ignore_ascii_case(&frontend.name)));
            match owner {
                Some(frontend) => frontend.ports.push(port(rule)),
                None => orphans.push(port(rule)),
            }
        }
        if !orphans.is_empty() {
            frontends.push(Frontend {
                name: String::new(),
                public_ip: None,
                private_ip: None,
                ports: orphans,
            });
        }
        for frontend in &mut frontends {
            frontend.ports.sort();
            frontend.ports.dedup();
        }
        frontends
    }
}

fn frontend(body: &Value) -> Frontend {
    Frontend {
        name: text(body, "/name").unwrap_or_default().to_owned(),
        public_ip: id(body, "/properties/publicIPAddress/id"),
        private_ip: text(body, "/properties/privateIPAddress").and_then(|t| t.parse().ok()),
        ports: Vec::new(),
    }
}

fn port(rule: &Value) -> FrontendPort {
    let number = rule.pointer("/properties/frontendPort").and_then(Value::as_u64);
    FrontendPort {
        port: number.and_then(|port| u16::try_from(port).ok()).unwrap_or(0),
        protocol: text(rule, "/properties/protocol").unwrap_or("All").to_ascii_uppercase(),
    }
}

/// The address of a public IP document, if it is an IPv4 address that Azure has given.
#[must_use]
pub fn public_address(body: &Value) -> Option<Ipv4Addr> {
    text(body, "/properties/ipAddress").and_then(|t| t.parse().ok())
}
