//! Things in Azure as stories name them, and where they lie: found by what Azure shows, not by the names that the product gives.
//! Only the application address has no other mark than its name.

use azure_sim::{Azure, Documents};
use hubward_core::blueprint::application_address_id;
use hubward_core::config::Config;
use hubward_core::ids::ResourceId;
use serde_json::Value;

use super::forms::meaning;
use super::parse::Reader;
use super::statements::{HubPart, Part, Thing};
use super::words::{Words, Wrong};
use crate::stage::Cluster;

/// Names that no cluster of a story may have.
pub(super) const RESERVED: [&str; 3] = ["hub", "group", "cluster"];

/// What may follow a cluster's name; of two that begin alike the longer first.
const PARTS: [(&str, Part); 8] = [
    ("network", Part::Network),
    ("subnet", Part::Subnet),
    ("route table", Part::RouteTable),
    ("default route", Part::DefaultRoute),
    ("return route", Part::ReturnRoute),
    ("hub peering", Part::HubPeering),
    ("peering", Part::Peering),
    ("application address", Part::ApplicationAddress),
];

const HUB_PARTS: [(&str, HubPart); 6] = [
    ("network", HubPart::Network),
    ("firewall", HubPart::Firewall),
    ("policy", HubPart::Policy),
    ("rules", HubPart::Rules),
    ("nat gateway", HubPart::NatGateway),
    ("egress address", HubPart::EgressAddress),
];

/// Kinds of calls, by a part of their path.
const KINDS: [(&str, &str); 11] = [
    ("cluster", "/managedClusters/"),
    ("group", "/resourceGroups/"),
    ("network", "/virtualNetworks/"),
    ("subnet", "/subnets/"),
    ("peering", "/virtualNetworkPeerings/"),
    ("route table", "/routeTables/"),
    ("route", "/routes/"),
    ("rules", "/ruleCollectionGroups/"),
    ("firewall", "/azureFirewalls/"),
    ("public ip", "/publicIPAddresses/"),
    ("role", "/roleAssignments/"),
];

/// Reads a thing.
pub(super) fn read(reader: &Reader, words: &mut Words<'_>) -> Result<Thing, Wrong> {
    if words.peek().starts_with('/') {
        return Ok(Thing::Id(id(&words.word("")?)?));
    }
    if words.skip("hub") {
        let part = HUB_PARTS.into_iter().find(|(name, _)| words.skip(name));
        return match part {
            Some((_, part)) => Ok(Thing::Hub(part)),
            None => Err(words.unexpected(meaning("THING"))),
        };
    }
    let name = reader.cluster(words)?;
    let part = PARTS.into_iter().find(|(name, _)| words.skip(name));
    Ok(Thing::Of(name, part.map_or(Part::Cluster, |(_, part)| part)))
}

/// An ARM id as it may be written in a story.
pub(super) fn id(word: &str) -> Result<String, Wrong> {
    let known = ["/subscriptions/", "/resourceGroups/"];
    if known.iter().any(|start| word.starts_with(start)) {
        return Ok(word.to_owned());
    }
    Err(Wrong::new(format!("{word:?} is no ARM id"), meaning("THING")))
}

/// The part of the path of a kind of call.
pub(super) fn kind(words: &mut Words<'_>) -> Result<&'static str, Wrong> {
    let found = KINDS.into_iter().find(|(name, _)| words.skip(name));
    found
        .map(|(_, path)| path)
        .ok_or_else(|| words.unexpected(meaning("KIND")))
}

/// The whole id of one that may begin at the resource group.
pub(super) fn whole(azure: &Azure, id: &str) -> String {
    if id.starts_with("/subscriptions/") {
        id.to_owned()
    } else {
        format!("/subscriptions/{}{id}", azure.world().subscription)
    }
}

/// The id of a thing. `cluster` finds a cluster of the story by its name.
///
/// # Errors
/// One line that says what Azure lacks.
pub(super) fn find<'c>(
    azure: &Azure,
    config: &Config,
    thing: &Thing,
    cluster: impl Fn(&str) -> Result<&'c Cluster, String>,
) -> Result<String, String> {
    match thing {
        Thing::Id(id) => Ok(whole(azure, id)),
        Thing::Of(name, part) => of_cluster(azure, config, cluster(name)?, *part),
        Thing::Hub(part) => of_hub(azure, *part),
    }
}

/// What people call it.
pub(super) fn name(thing: &Thing) -> String {
    let of = |parts: &[(&str, Part)], part: Part| {
        let found = parts.iter().find(|(_, known)| *known == part);
        found.map_or(String::new(), |(name, _)| format!(" {name}"))
    };
    match thing {
        Thing::Id(id) => id.clone(),
        Thing::Of(name, part) => format!("{name}{}", of(&PARTS, *part)),
        Thing::Hub(part) => {
            let found = HUB_PARTS.iter().find(|(_, known)| known == part);
            format!("hub {}", found.map_or("", |(name, _)| name))
        }
    }
}

fn of_cluster(azure: &Azure, config: &Config, cluster: &Cluster, part: Part) -> Result<String, String> {
    let hub = azure.world().hub.virtual_network.clone();
    match part {
        Part::Cluster => Ok(cluster.id.clone()),
        Part::Network => Ok(cluster.vnet.clone()),
        Part::Subnet => Ok(cluster.subnet.clone()),
        Part::RouteTable => route_table(azure, cluster),
        Part::DefaultRoute => route(azure, cluster, |prefix| prefix == "0.0.0.0/0"),
        Part::ReturnRoute => {
            let egress = azure.document(&azure.world().hub.egress_public_ip).unwrap_or_default();
            let wanted = format!("{}/32", egress["properties"]["ipAddress"].as_str().unwrap_or_default());
            route(azure, cluster, |prefix| prefix == wanted)
        }
        Part::Peering => peering(azure, &cluster.vnet, &hub),
        Part::HubPeering => peering(azure, &hub, &cluster.vnet),
        Part::ApplicationAddress => Ok(application_address(config, cluster)),
    }
}

fn of_hub(azure: &Azure, part: HubPart) -> Result<String, String> {
    let hub = &azure.world().hub;
    Ok(match part {
        HubPart::Network => hub.virtual_network.clone(),
        HubPart::Firewall => hub.firewall.clone(),
        HubPart::Policy => hub.firewall_policy.clone(),
        HubPart::NatGateway => hub.nat_gateway.clone(),
        HubPart::EgressAddress => hub.egress_public_ip.clone(),
        HubPart::Rules => {
            let groups = azure
                .documents()
                .list("Microsoft.Network/firewallPolicies/ruleCollectionGroups");
            let foreign = &hub.foreign_rule_collection_group;
            let mut ids = groups.iter().filter_map(|group| group["id"].as_str());
            let ours = ids.find(|id| !id.eq_ignore_ascii_case(foreign));
            ours.map(str::to_owned)
                .ok_or_else(|| "the policy has no rule collection group but the network team's".to_owned())?
        }
    })
}

fn application_address(config: &Config, cluster: &Cluster) -> String {
    let id = ResourceId::parse(&cluster.id);
    id.map_or_else(|_| String::new(), |id| application_address_id(config, &id).to_string())
}

fn route_table(azure: &Azure, cluster: &Cluster) -> Result<String, String> {
    let subnet = azure.document(&cluster.subnet).unwrap_or_default();
    let table = subnet["properties"]["routeTable"]["id"].as_str();
    table
        .map(str::to_owned)
        .ok_or_else(|| format!("the subnet of {} has no route table", cluster.spec.name))
}

fn route(azure: &Azure, cluster: &Cluster, wanted: impl Fn(&str) -> bool) -> Result<String, String> {
    let table = azure.document(&route_table(azure, cluster)?).unwrap_or_default();
    let is_it = |route: &&Value| {
        let prefix = route["properties"]["addressPrefix"].as_str();
        prefix.is_some_and(&wanted)
    };
    let found = table["properties"]["routes"]
        .as_array()
        .into_iter()
        .flatten()
        .find(is_it);
    found
        .and_then(|route| route["id"].as_str())
        .map(str::to_owned)
        .ok_or_else(|| format!("the route table of {} has no such route", cluster.spec.name))
}

fn peering(azure: &Azure, local: &str, remote: &str) -> Result<String, String> {
    let network = azure.document(local).unwrap_or_default();
    let leads_there = |peering: &&Value| {
        let id = peering["properties"]["remoteVirtualNetwork"]["id"].as_str();
        id.is_some_and(|id| id.eq_ignore_ascii_case(remote))
    };
    let peerings = network["properties"]["virtualNetworkPeerings"].as_array();
    let found = peerings.into_iter().flatten().find(leads_there);
    found
        .and_then(|peering| peering["id"].as_str())
        .map(str::to_owned)
        .ok_or_else(|| format!("{local} has no peering with {remote}"))
}
