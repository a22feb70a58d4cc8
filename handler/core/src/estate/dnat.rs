//! The DNAT rules that a firewall applies, as its rule collection groups show them. Nothing is decided here: whose a rule is
//! and what it means for a packet is said elsewhere.

use serde_json::Value;

use super::access::{strings, text};
use super::{Estate, policy_chain};
use crate::config::Hub;
use crate::ids::ResourceId;

/// One DNAT rule.
#[derive(Clone, Copy, Debug)]
pub struct DnatRule<'a> {
    /// The group.
    pub group: &'a ResourceId,
    /// The whole document of the group.
    pub document: &'a Value,
    /// The collection.
    pub collection: &'a Value,
    /// The rule.
    pub body: &'a Value,
}

/// The DNAT rules of the firewall's own policy; those of a parent policy are not inherited (Azure Firewall Manager
/// policy-overview.md).
#[must_use]
pub fn dnat_rules<'a>(estate: &'a Estate, hub: &Hub) -> Vec<DnatRule<'a>> {
    let chain = policy_chain(estate, hub);
    let Some(policy) = chain.first() else {
        return Vec::new();
    };
    let groups = estate
        .iter()
        .filter(|(id, _)| id.parent().as_ref() == Some(policy))
        .filter_map(|(id, snapshot)| Some((id, snapshot.body.as_ref()?)));
    groups.flat_map(|(group, document)| of_group(group, document)).collect()
}

fn of_group<'a>(group: &'a ResourceId, document: &'a Value) -> impl Iterator<Item = DnatRule<'a>> {
    let items = |value: &'a Value, pointer: &str| value.pointer(pointer).and_then(Value::as_array);
    let collections = items(document, "/properties/ruleCollections").into_iter().flatten();
    collections.flat_map(move |collection| {
        let rules = items(collection, "/rules").into_iter().flatten();
        let dnat = rules.filter(|rule| text(rule, "/ruleType").is_some_and(|t| t.eq_ignore_ascii_case("NatRule")));
        dnat.map(move |body| DnatRule {
            group,
            document,
            collection,
            body,
        })
    })
}

impl<'a> DnatRule<'a> {
    /// The rule's name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        text(self.body, "/name").unwrap_or_default()
    }

    /// The addresses of the firewall that it takes.
    #[must_use]
    pub fn destinations(&self) -> Vec<&'a str> {
        strings(self.body, "/destinationAddresses")
    }

    /// The ports that it takes.
    #[must_use]
    pub fn ports(&self) -> Vec<&'a str> {
        strings(self.body, "/destinationPorts")
    }

    /// The protocols that it takes.
    #[must_use]
    pub fn protocols(&self) -> Vec<&'a str> {
        strings(self.body, "/ipProtocols")
    }
}
