//! `managed` ingress addresses: public IPs that Hubward makes beside the firewall and attaches to it, so many that each cluster
//! has one and a few are free.
//!
//! Attaching is a full update of the firewall, minutes long, so all that is missing goes into one write: the firewall as it was
//! read with nothing but further ipConfigurations. Nothing is ever detached here.

use serde_json::{Value, json};

use super::{Step, Wait, comparable};
use crate::blueprint::{HubFacts, MOST_DESTINATIONS, Reservations, free};
use crate::config::{AddressSource, Config, Hub, Mode};
use crate::estate::{Estate, at_rest, has_failed, ingress_address_id, ingress_addresses_ahead, public_address};
use crate::ids::ResourceId;

/// The steps towards the addresses that are missing: those to be made, then one write that attaches all that exist. With them
/// what is still being made.
pub(super) fn missing_addresses(
    estate: &Estate,
    config: &Config,
    hub: &Hub,
    facts: &HubFacts,
    reservations: &Reservations,
    busy: &[Wait],
) -> (Vec<Step>, Vec<Wait>) {
    let Some(ingress) = hub.ingress.as_ref().filter(|i| i.addresses == AddressSource::Managed) else {
        return (Vec::new(), Vec::new());
    };
    let Some(firewall) = estate.firewall(&hub.firewall) else {
        return (Vec::new(), Vec::new());
    };
    let attached = firewall.public_ips();
    // Free addresses are nobody's wish, and in mode `approve` nobody would have agreed to them.
    let spare = if config.mode == Mode::Approve { 0 } else { ingress.spare };
    let wanted = reservations.unserved.len() + spare as usize;
    let lacking = wanted
        .saturating_sub(free(estate, config, hub, reservations).len())
        .min(MOST_DESTINATIONS.saturating_sub(attached.len()));
    let candidates = ingress_addresses_ahead(&attached, config, hub)
        .into_iter()
        .map(|number| ingress_address_id(config, hub, number))
        .filter(|id| !attached.contains(id) && estate.knows(id) && !is_held(estate, id));
    let (mut steps, mut waits, mut attachable) = (Vec::new(), Vec::new(), Vec::new());
    for id in candidates.take(lacking) {
        match estate.get(&id) {
            Some(body) if has_failed(body) => {
                steps.push(make(config, firewall.location(), hub, estate, &id).over(body))
            }
            Some(body) if at_rest(body) && public_address(body).is_some() => attachable.push(id),
            Some(_) => waits.push(Wait::AtRest { id }),
            None => steps.push(make(config, firewall.location(), hub, estate, &id)),
        }
    }
    steps.extend(attach(estate, hub, facts, &attachable, busy));
    (steps, waits)
}

/// True if another resource uses the address.
fn is_held(estate: &Estate, id: &ResourceId) -> bool {
    estate
        .get(id)
        .is_some_and(|body| body.pointer("/properties/ipConfiguration/id").is_some())
}

fn make(config: &Config, location: &str, hub: &Hub, estate: &Estate, id: &ResourceId) -> Step {
    let mut body = json!({
        "location": location,
        "sku": {"name": "Standard"},
        "tags": {"managed-by": config.naming.prefix},
        "properties": {"publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4"},
    });
    // An address of other zones than its firewall is refused.
    let zones = estate.get(&hub.firewall).and_then(|firewall| firewall.get("zones"));
    if let Some(zones) = zones.filter(|zones| zones.is_array()) {
        body["zones"] = zones.clone();
    }
    let why = format!(
        "too few addresses of {} are free for inbound traffic",
        hub.firewall.name()
    );
    Step::put(format!("address-{}", id.name()), id.clone(), body, why)
}

fn attach(estate: &Estate, hub: &Hub, facts: &HubFacts, ids: &[ResourceId], busy: &[Wait]) -> Option<Step> {
    let present = estate.get(&hub.firewall)?;
    if ids.is_empty() {
        return None;
    }
    let mut body = comparable(present);
    let configurations = body.pointer_mut("/properties/ipConfigurations")?.as_array_mut()?;
    configurations.extend(ids.iter().map(configuration));
    let names: Vec<&str> = ids.iter().map(ResourceId::name).collect();
    let why = format!("{} of {} are not attached", names.join(", "), hub.firewall.name());
    let step = Step::put("attach-addresses", hub.firewall.clone(), body, why)
        .over(present)
        .in_lanes(&[&facts.policy, &hub.firewall])
        .waiting_for(busy.to_vec());
    Some(step)
}

fn configuration(id: &ResourceId) -> Value {
    json!({"name": id.name(), "properties": {"publicIPAddress": {"id": id.as_str()}}})
}
