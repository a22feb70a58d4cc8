//! Properties of a cluster that the switch does not mend: parts of its traffic leave elsewhere, or may. Nothing waits for
//! them; the proof says the same with a counter-example.

use super::gates::Scene;
use crate::finding::{Code, Finding};

pub(super) fn reservations(scene: &Scene<'_>) -> Vec<Finding> {
    let name = scene.cluster.name();
    let mut findings = Vec::new();
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
