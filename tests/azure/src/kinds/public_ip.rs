//! Public IP addresses: the address is given when the operation ends, and stays while the resource lives.
//! An address in use can be neither deleted nor given to a second holder.

use crate::arm::errors::ArmError;
use crate::ids::ArmPath;
use crate::kinds::checks::{Accepted, Write, default_to, properties_mut};
use crate::render::public_ip_holder;
use crate::store::{Resource, Store, text};
use serde_json::{Value, json};

/// PUT of an address. Defaults: Basic, Dynamic, IPv4, 4 minutes [api-examples 6].
pub(crate) fn accept(write: Write<'_>) -> Result<Accepted, ArmError> {
    let Write {
        path,
        existing,
        mut body,
        ..
    } = write;
    if let Some(top) = body.as_object_mut() {
        default_to(top, "sku", json!({"name": "Basic"}));
    }
    let standard = text(&body, &["sku", "name"]).is_some_and(|sku| sku != "Basic");
    let properties = properties_mut(&mut body);
    default_to(properties, "publicIPAddressVersion", json!("IPv4"));
    default_to(properties, "publicIPAllocationMethod", json!("Dynamic"));
    default_to(properties, "idleTimeoutInMinutes", json!(4));
    default_to(properties, "ipTags", json!([]));
    if standard && properties["publicIPAllocationMethod"] != "Static" {
        // Code from memory, not captured [?].
        return Err(ArmError::service(
            400,
            "StandardSkuPublicIPAddressesMustBeStatic",
            format!("Standard sku publicIp {path} must have AllocationMethod set to Static."),
        ));
    }
    if let Some(address) = existing.and_then(|existing| text(&existing.body, &["properties", "ipAddress"])) {
        properties.insert("ipAddress".to_owned(), json!(address));
    }
    Ok(Accepted::operation(body))
}

/// True when Azure still has to give the address.
pub(crate) fn lacks_address(body: &Value) -> bool {
    text(body, &["properties", "ipAddress"]).is_none()
        && text(body, &["properties", "publicIPAllocationMethod"]) == Some("Static")
}

/// [arm-behaviour 3: PublicIPAddressCannotBeDeleted, ernest#514]
pub(crate) fn refuse_if_in_use(store: &Store, address: &ArmPath) -> Result<(), ArmError> {
    let Some((_, holder)) = public_ip_holder(store, address.as_str()) else {
        return Ok(());
    };
    Err(ArmError::service(
        400,
        "PublicIPAddressCannotBeDeleted",
        format!(
            "Public IP address {address} can not be deleted since it is still allocated to resource {holder}. In order \
             to delete the public IP, disassociate/detach the Public IP address from the resource.  To learn how to do \
             this, see aka.ms/deletepublicip."
        ),
    ))
}

/// An address has one holder. Code from memory, not captured [?].
pub(crate) fn refuse_if_held_by_another(store: &Store, address: &Resource, by: &ArmPath) -> Result<(), ArmError> {
    let Some((_, holder)) = public_ip_holder(store, address.path.as_str()) else {
        return Ok(());
    };
    let own = holder.to_lowercase();
    if own == by.key() || own.starts_with(&format!("{}/", by.key())) {
        return Ok(());
    }
    Err(ArmError::service(
        400,
        "PublicIPAddressInUse",
        format!(
            "Resource {by} is referencing public IP address {} that is already allocated to resource {holder}.",
            address.path
        ),
    ))
}
