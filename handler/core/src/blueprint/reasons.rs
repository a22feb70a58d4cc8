//! Why each rule of a cluster is there and what breaks without it, in the words of whoever asks for it: the catalogue, the
//! operator's configuration, or the cluster's own inbound ports.

use super::{Contribution, Inbound};
use crate::catalogue::{Catalogue, Feature};
use crate::config::{Hub, WorkloadEgress};
use crate::names;

/// A rule with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleReason {
    /// The rule's name, as Azure shows it.
    pub name: String,
    /// Why it is there and what breaks without it: the end of a sentence that begins with its name.
    pub why: String,
}

/// The reason of every rule that `contribution` brings to `hub`, in the order of the rules.
#[must_use]
pub fn rule_reasons(contribution: &Contribution, hub: &Hub) -> Vec<RuleReason> {
    let hash = names::hash(&contribution.cluster);
    let reason = |name: &str, why: String| RuleReason {
        name: format!("{name}-{hash}"),
        why,
    };
    let needed = |feature: &Feature| contribution.features.contains(feature);
    let catalogue = Catalogue::global();
    let network = catalogue.network.iter().filter(|need| needed(&need.when));
    let application = catalogue.application.iter().filter(|need| needed(&need.when));
    let mut reasons: Vec<RuleReason> = network
        .map(|need| reason(&need.name, need.why.clone()))
        .chain(application.map(|need| reason(&need.name, need.why.clone())))
        .collect();
    for rule in &hub.rules.network {
        let why = operators(&contribution.hub, &rule.name, &rule.destinations);
        reasons.push(reason(&format!("op-{}", rule.name), why));
    }
    for rule in &hub.rules.application {
        let why = operators(&contribution.hub, &rule.name, &rule.targets);
        reasons.push(reason(&format!("op-{}", rule.name), why));
    }
    if hub.workload_egress == WorkloadEgress::Web {
        let why =
            "workload_egress of the hub is web; without it workloads reach only what AKS requires and the rules name";
        reasons.push(reason("web", why.to_owned()));
    }
    if hub.ingress.as_ref().is_some_and(|ingress| ingress.is_open()) && contribution.ingress.is_some() {
        reasons.extend(contribution.inbound.iter().map(|inbound| {
            let protocol = inbound.protocol.to_string().to_ascii_lowercase();
            reason(&format!("in-{protocol}-{}", inbound.port), led(inbound))
        }));
    }
    reasons
}

fn operators(hub: &str, name: &str, targets: &[String]) -> String {
    format!(
        "the configuration of hub {hub} names it ({name}); without it the workloads no longer reach {}",
        targets.join(", ")
    )
}

fn led(inbound: &Inbound) -> String {
    format!(
        "clients that call port {} of the cluster's address are led to {}:{}; without it nobody gets in there",
        inbound.port, inbound.target, inbound.target_port
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::rules::rules;
    use super::*;
    use crate::config::{Config, IpProtocol};
    use crate::ids::ResourceId;

    const SUBSCRIPTION: &str = "5b1f6471-1bf0-4dda-aec3-cb9272f09590";

    fn hub(more: &str) -> Hub {
        let network = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/hub/providers/Microsoft.Network");
        let toml = format!(
            "mode = \"correct\"\n[hubs.main]\nlocation = \"westeurope\"\nvirtual_network = \"{network}/virtualNetworks/v\"\n\
             firewall = \"{network}/azureFirewalls/f\"\nnat_gateway = \"{network}/natGateways/n\"\n{more}"
        );
        Config::load(&toml, &BTreeMap::new()).unwrap().hubs["main"].clone()
    }

    fn contribution() -> Contribution {
        let id = format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/shop"
        );
        Contribution {
            cluster: ResourceId::parse(&id).unwrap(),
            hub: "main".to_owned(),
            prefixes: vec!["10.1.0.0/16".parse().unwrap()],
            api_server: Some("shop.hcp.westeurope.azmk8s.io".to_owned()),
            features: [
                Feature::Always,
                Feature::Linux,
                Feature::Windows,
                Feature::PublicApiServer,
                Feature::CustomDns,
            ]
            .into(),
            dns_servers: vec!["192.0.2.53".parse().unwrap()],
            released: Vec::new(),
            inbound: vec![Inbound {
                protocol: IpProtocol::Tcp,
                port: 443,
                target: "10.1.0.9".parse().unwrap(),
                target_port: 8443,
            }],
            ingress: Some("198.51.100.7".parse().unwrap()),
        }
    }

    #[test]
    fn every_rule_that_is_written_has_a_reason_and_no_other_has() {
        let operators = "workload_egress = \"web\"\n[hubs.main.ingress]\nsources = [\"203.0.113.0/24\"]\n\
             [[hubs.main.rules.network]]\nname = \"mail\"\ndestinations = [\"192.0.2.25\"]\nprotocols = [\"TCP\"]\nports = [\"25\"]\n\
             [[hubs.main.rules.application]]\nname = \"partner\"\ntargets = [\"api.partner.example\"]\nprotocols = [\"https:443\"]\n";
        for more in ["workload_egress = \"rules\"\n", operators] {
            let hub = hub(more);
            let written: Vec<String> = rules(&contribution(), &hub)
                .iter()
                .map(|rule| rule.body["name"].as_str().unwrap().to_owned())
                .collect();
            let explained = rule_reasons(&contribution(), &hub);
            let names: Vec<&String> = explained.iter().map(|reason| &reason.name).collect();
            assert_eq!(names, written.iter().collect::<Vec<_>>());
            assert!(
                explained.iter().all(|reason| reason.why.contains("without it")),
                "{explained:#?}"
            );
        }
    }
}
