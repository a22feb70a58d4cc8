//! Network security groups of subnets: rules by priority, first match ends, Azure's default rules last. Groups are
//! stateful, so replies are not judged. Rules that name application security groups match nothing.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::addresses::{covers_port, is_private};
use super::topology::{Place, address_space, links};
use super::view::{items, name, number, text, texts};
use super::{Flow, Lost, Protocol, Walker};

/// Which way a packet crosses the subnet's border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Inbound,
    Outbound,
}

impl Direction {
    fn word(self) -> &'static str {
        match self {
            Self::Inbound => "Inbound",
            Self::Outbound => "Outbound",
        }
    }
}

impl Walker<'_> {
    /// Judges a packet at the border of a subnet; a subnet without a group lets everything through.
    pub(super) fn pass_security_group(&mut self, place: &Place, direction: Direction, flow: &Flow) -> Result<(), Lost> {
        let group =
            text(&place.subnet, "/properties/networkSecurityGroup/id").and_then(|group| self.documents.get(group));
        match group {
            Some(group) => self.pass_group(&group, place, direction, flow),
            None => Ok(()),
        }
    }

    /// Judges a packet by one security group, wherever it sits.
    pub(super) fn pass_group(
        &mut self,
        group: &Value,
        place: &Place,
        direction: Direction,
        flow: &Flow,
    ) -> Result<(), Lost> {
        let mut rules: Vec<&Value> = items(group, "/properties/securityRules")
            .iter()
            .filter(|rule| {
                text(rule, "/properties/direction").is_some_and(|word| word.eq_ignore_ascii_case(direction.word()))
            })
            .collect();
        rules.sort_by_key(|rule| number(rule, "/properties/priority"));
        let decided = rules
            .into_iter()
            .find(|rule| self.security_rule_matches(rule, place, flow));
        let (rule, allowed) = match decided {
            Some(rule) => (
                name(rule),
                text(rule, "/properties/access").is_some_and(|access| access.eq_ignore_ascii_case("Allow")),
            ),
            None => self.default_rule(place, direction, flow),
        };
        let verb = if allowed { "allows" } else { "denies" };
        self.note(format!(
            "security group {} rule {rule} {verb} {}",
            name(group),
            flow.text()
        ));
        if allowed {
            Ok(())
        } else {
            Err(Lost::new(
                name(group),
                format!("security rule {rule} denies {}", flow.text()),
            ))
        }
    }

    fn security_rule_matches(&self, rule: &Value, place: &Place, flow: &Flow) -> bool {
        let protocol = text(rule, "/properties/protocol").unwrap_or("*");
        let ports = || {
            flow.protocol == Protocol::Icmp
                || entries(rule, "destinationPortRange").any(|port| covers_port(port, flow.port))
        };
        (protocol == "*" || protocol.eq_ignore_ascii_case(flow.protocol.word()))
            && entries(rule, "sourceAddressPrefix").any(|entry| self.side(entry, flow.from, place))
            && entries(rule, "destinationAddressPrefix").any(|entry| self.side(entry, flow.to, place))
            && ports()
    }

    fn default_rule(&self, place: &Place, direction: Direction, flow: &Flow) -> (&'static str, bool) {
        let within = self.in_virtual_network(place, flow.from) && self.in_virtual_network(place, flow.to);
        match direction {
            Direction::Inbound if within => ("AllowVnetInBound", true),
            Direction::Inbound => ("DenyAllInBound", false),
            Direction::Outbound if within => ("AllowVnetOutBound", true),
            Direction::Outbound if self.side("Internet", flow.to, place) => ("AllowInternetOutBound", true),
            Direction::Outbound => ("DenyAllOutBound", false),
        }
    }

    fn side(&self, entry: &str, address: Ipv4Addr, place: &Place) -> bool {
        if entry.eq_ignore_ascii_case("VirtualNetwork") {
            self.in_virtual_network(place, address)
        } else if entry.eq_ignore_ascii_case("Internet") {
            !is_private(address) && !self.in_virtual_network(place, address)
        } else {
            self.tags.covers(entry, address)
        }
    }

    fn in_virtual_network(&self, place: &Place, address: Ipv4Addr) -> bool {
        address_space(&place.vnet)
            .into_iter()
            .chain(
                links(self.documents, &place.vnet)
                    .into_iter()
                    .flat_map(|link| link.prefixes),
            )
            .any(|prefix| prefix.contains(&address))
    }
}

/// The values of a field that may be singular (`...Prefix`) or plural (`...Prefixes`).
fn entries<'a>(rule: &'a Value, field: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let plural = if field.ends_with('x') {
        format!("/properties/{field}es")
    } else {
        format!("/properties/{field}s")
    };
    text(rule, &format!("/properties/{field}"))
        .filter(|entry| !entry.is_empty())
        .into_iter()
        .chain(texts(rule, &plural))
}
