//! Azure Firewall instances: a PUT that changes nothing answers at once, every other takes minutes.
//! The private address is given when the operation ends and lost when the ipConfigurations are (deallocation).

use crate::arm::errors::ArmError;
use crate::ids::ArmPath;
use crate::kinds::Kind;
use crate::kinds::checks::{Accepted, Answer, Write, default_to, objects_only, properties_mut, reference};
use crate::kinds::public_ip::refuse_if_held_by_another;
use crate::store::{Resource, Store, array, text};
use ipnet::Ipv4Net;
use serde_json::{Map, Value, json};
use std::net::Ipv4Addr;

/// PUT of a firewall.
pub(crate) fn accept(write: Write<'_>) -> Result<Accepted, ArmError> {
    let Write {
        store,
        path,
        existing,
        mut body,
        ..
    } = write;
    objects_only(
        array(&body, &["properties", "ipConfigurations"]),
        "ipConfigurations",
        path,
    )?;
    let properties = properties_mut(&mut body);
    default_to(properties, "sku", json!({"name": "AZFW_VNet", "tier": "Standard"}));
    default_to(properties, "threatIntelMode", json!("Alert"));
    default_to(properties, "additionalProperties", json!({}));
    for rules in [
        "networkRuleCollections",
        "applicationRuleCollections",
        "natRuleCollections",
    ] {
        default_to(properties, rules, json!([]));
    }
    if let Some(policy) = properties
        .get("firewallPolicy")
        .and_then(|policy| text(policy, &["id"]))
    {
        crate::kinds::checks::reference(store, policy, Kind::FirewallPolicy, path)?;
    }
    judge_addresses(store, path, existing, &body)?;
    let properties = properties_mut(&mut body);
    let address = existing.and_then(private_address).map(str::to_owned);
    let configurations = properties.get_mut("ipConfigurations").and_then(Value::as_array_mut);
    for configuration in configurations.into_iter().flatten() {
        strip_configuration(configuration);
        judge_configuration(store, path, configuration)?;
        if text(configuration, &["properties", "subnet", "id"]).is_some()
            && let Some(address) = &address
        {
            configuration["properties"]["privateIPAddress"] = json!(address);
        }
    }
    let unchanged = existing.is_some_and(|firewall| firewall.body == body && firewall.state == "Succeeded");
    let answer = if unchanged {
        Answer::Unchanged
    } else {
        Answer::Operation
    };
    Ok(Accepted {
        body,
        children: Vec::new(),
        answer,
    })
}

/// The write has ended: the first configuration with a subnet has the instance's private address, the fourth of the
/// subnet [api-examples 3: `privateIPAddress`].
pub(crate) fn completed(store: &mut Store, firewall: &str) {
    let Some(found) = store.find(firewall) else { return };
    let configurations = array(&found.body, &["properties", "ipConfigurations"]);
    let lacking = configurations.iter().position(|configuration| {
        text(configuration, &["properties", "subnet", "id"]).is_some()
            && text(configuration, &["properties", "privateIPAddress"]).is_none()
    });
    let Some(index) = lacking else { return };
    let subnet = text(&configurations[index], &["properties", "subnet", "id"]).and_then(|id| store.find(id));
    let address = subnet.and_then(first_usable).map(|address| address.to_string());
    if let (Some(address), Some(found)) = (address, store.find_mut(firewall)) {
        found.body["properties"]["ipConfigurations"][index]["properties"]["privateIPAddress"] = json!(address);
    }
}

/// Ids, etags and states of the ipConfigurations, as answers carry them [api-examples 3].
pub(crate) fn decorate_ip_configurations(firewall: &Resource, properties: &mut Map<String, Value>) {
    let configurations = properties.get_mut("ipConfigurations").and_then(Value::as_array_mut);
    for configuration in configurations.into_iter().flatten() {
        let name = text(configuration, &["name"]).unwrap_or_default().to_owned();
        configuration["id"] = json!(format!("{}/azureFirewallIpConfigurations/{name}", firewall.path));
        configuration["etag"] = json!(format!("W/\"{}\"", firewall.etag));
        configuration["type"] = json!("Microsoft.Network/azureFirewalls/azureFirewallIpConfigurations");
        configuration["properties"]["provisioningState"] = json!(firewall.state);
    }
}

fn private_address(firewall: &Resource) -> Option<&str> {
    let configurations = array(&firewall.body, &["properties", "ipConfigurations"]);
    configurations
        .iter()
        .find_map(|configuration| text(configuration, &["properties", "privateIPAddress"]))
}

/// Judges the public addresses together: none twice, and none taken away that a DNAT rule still names.
fn judge_addresses(store: &Store, path: &ArmPath, existing: Option<&Resource>, body: &Value) -> Result<(), ArmError> {
    let wanted = public_addresses(body);
    for (index, id) in wanted.iter().enumerate() {
        if wanted[..index].contains(id) {
            // Code and text from memory, not captured [?].
            return Err(ArmError::service(
                400,
                "AzureFirewallDuplicatePublicIPAddress",
                format!("Public IP address {id} is used by more than one ipConfiguration of {path}."),
            ));
        }
    }
    let Some(existing) = existing else { return Ok(()) };
    let policy = text(&existing.body, &["properties", "firewallPolicy", "id"]).unwrap_or_default();
    for id in public_addresses(&existing.body) {
        // Taking every address away stops the firewall, which is always allowed.
        if wanted.is_empty() || wanted.contains(&id) {
            continue;
        }
        let address = store
            .find(&id)
            .and_then(|found| text(&found.body, &["properties", "ipAddress"]));
        if address.is_some_and(|address| is_dnat_destination(store, policy, address)) {
            // "An internal server error occurred", until the DNAT rules are gone [azure-docs#99045].
            return Err(ArmError::service(
                500,
                "InternalServerError",
                "An error occurred.".to_owned(),
            ));
        }
    }
    Ok(())
}

/// Ids of the public addresses of a firewall's ipConfigurations, in lower case.
fn public_addresses(body: &Value) -> Vec<String> {
    array(body, &["properties", "ipConfigurations"])
        .iter()
        .filter_map(|configuration| text(configuration, &["properties", "publicIPAddress", "id"]))
        .map(str::to_lowercase)
        .collect()
}

fn is_dnat_destination(store: &Store, policy: &str, address: &str) -> bool {
    let groups = store.children(policy, Kind::RuleCollectionGroup);
    groups
        .iter()
        .flat_map(|group| array(&group.body, &["properties", "ruleCollections"]))
        .flat_map(|collection| array(collection, &["rules"]))
        .filter(|rule| text(rule, &["ruleType"]) == Some("NatRule"))
        .flat_map(|rule| array(rule, &["destinationAddresses"]))
        .any(|destination| destination == address)
}

fn strip_configuration(configuration: &mut Value) {
    if let Some(object) = configuration.as_object_mut() {
        for field in ["id", "etag", "type"] {
            object.remove(field);
        }
    }
    if let Some(properties) = configuration.get_mut("properties").and_then(Value::as_object_mut) {
        for field in ["provisioningState", "privateIPAddress", "privateIPAllocationMethod"] {
            properties.remove(field);
        }
    }
}

fn judge_configuration(store: &Store, path: &ArmPath, configuration: &Value) -> Result<(), ArmError> {
    if let Some(id) = text(configuration, &["properties", "publicIPAddress", "id"]) {
        let address = reference(store, id, Kind::PublicIp, path)?;
        refuse_if_held_by_another(store, address, path)?;
    }
    let Some(subnet) = text(configuration, &["properties", "subnet", "id"]) else {
        return Ok(());
    };
    let subnet = reference(store, subnet, Kind::Subnet, path)?;
    if subnet.path.name().eq_ignore_ascii_case("AzureFirewallSubnet") {
        return Ok(());
    }
    // Code from memory, not captured [?].
    Err(ArmError::service(
        400,
        "AzureFirewallSubnetNameMustBeAzureFirewallSubnet",
        format!(
            "Subnet {} of firewall {path} must be named AzureFirewallSubnet.",
            subnet.path
        ),
    ))
}

/// Azure keeps the first four addresses of a subnet for itself.
fn first_usable(subnet: &Resource) -> Option<Ipv4Addr> {
    let net: Ipv4Net = text(&subnet.body, &["properties", "addressPrefix"])?.parse().ok()?;
    Some(Ipv4Addr::from(u32::from(net.network()).checked_add(4)?))
}
