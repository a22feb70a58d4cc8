//! Properties of a cluster that the switch does not mend: parts of its traffic leave elsewhere, or may. Nothing waits for
//! them; the proof says the same with a counter-example.

use std::collections::BTreeSet;

use super::gates::Scene;
use crate::config::Hub;
use crate::estate::{Estate, text};
use crate::finding::{Code, Finding};
use crate::ids::ResourceId;
use crate::proof::denies_outbound;

pub(super) fn reservations(scene: &Scene<'_>) -> Vec<Finding> {
    let name = scene.cluster.name();
    let mut findings = reservations_of_hub(scene.estate, scene.hub);
    for attachment in &scene.blueprint.subnets {
        let subnet = scene.estate.subnet(&attachment.id);
        if let Some(service) = subnet.and_then(|s| s.service_endpoints().first().map(|s| (*s).to_owned())) {
            findings.push(Finding::warning(
                Code::ServiceEndpointBypass,
                format!(
                    "the subnet {} reaches {service} by a service endpoint, around the firewall",
                    attachment.id.name()
                ),
                "Remove the service endpoint if this traffic must leave from the egress address too.",
            ));
        }
    }
    let groups: BTreeSet<ResourceId> = scene
        .blueprint
        .subnets
        .iter()
        .filter_map(|attachment| scene.estate.subnet(&attachment.id)?.security_group())
        .collect();
    for id in groups {
        if scene.estate.get(&id).is_some_and(denies_outbound) {
            findings.push(Finding::warning(
                Code::OutboundSecurityRules,
                format!(
                    "the security group {} denies outbound traffic by rules of its own, which are not judged",
                    id.name()
                ),
                "Make sure that it denies nothing the cluster needs, and nothing to the firewall.",
            ));
        }
    }
    if scene.cluster.is_dual_stack() {
        findings.push(Finding::warning(
            Code::DualStack,
            format!("{name} has IPv6, and only IPv4 is led through the hub"),
            "",
        ));
    }
    if scene.cluster.is_auto_provisioned() {
        findings.push(Finding::warning(
            Code::AutoProvisionedNodes,
            format!("nodes that {name} provisions by itself may use subnets that ARM does not show"),
            "Keep spec.vnetSubnetID of every AKSNodeClass within the subnets of the pools.",
        ));
    }
    findings
}

/// Properties of the hub's way out that hold today and may not tomorrow.
pub(super) fn reservations_of_hub(estate: &Estate, hub: &Hub) -> Vec<Finding> {
    let nat_sku = estate.get(&hub.nat_gateway).and_then(|nat| text(nat, "/sku/name"));
    let addresses = estate.nat_gateway(&hub.nat_gateway).map(|nat| nat.public_ips());
    let mut findings = Vec::new();
    for id in addresses.into_iter().flatten() {
        let Some(address) = estate.get(&id) else { continue };
        let method = text(address, "/properties/publicIPAllocationMethod");
        if method.is_some_and(|m| !m.eq_ignore_ascii_case("Static")) {
            findings.push(Finding::warning(
                Code::EgressAddressNotStatic,
                format!(
                    "the address {} of the NAT gateway is not static and may change",
                    id.name()
                ),
                "Set its publicIPAllocationMethod to Static.",
            ));
        }
        // A StandardV2 gateway takes StandardV2 addresses and no others, and the other way round (Azure NAT gateway nat-sku.md).
        let v2 = |sku: Option<&str>| sku.is_some_and(|s| s.eq_ignore_ascii_case("StandardV2"));
        let address_sku = text(address, "/sku/name");
        if v2(nat_sku) != v2(address_sku) {
            findings.push(Finding::warning(
                Code::NatGatewaySkuMismatch,
                format!(
                    "the NAT gateway {} is {}, its address {} is {}",
                    hub.nat_gateway.name(),
                    nat_sku.unwrap_or("without a SKU"),
                    id.name(),
                    address_sku.unwrap_or("without a SKU")
                ),
                "Give the gateway an address of its own SKU.",
            ));
        }
    }
    findings
}
