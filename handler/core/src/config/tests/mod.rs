//! What operators read when a configuration is wrong, and what they get when it is right.

mod wrong;

use std::collections::BTreeMap;
use std::fmt::Write;

use super::*;
use crate::ids::ResourceId;

const SUBSCRIPTION: &str = "11111111-2222-3333-4444-555555555555";

const GOOD: &str = r#"
mode = "correct"

[scope]
subscriptions = ["11111111-2222-3333-4444-555555555555"]
exclude = ["/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/keep-out"]

[hubs.main]
location = "West Europe"
virtual_network = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/hub"
firewall = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/hub/providers/Microsoft.Network/azureFirewalls/hub"
nat_gateway = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/hub/providers/Microsoft.Network/natGateways/hub"
workload_egress = "rules"

[[hubs.main.rules.application]]
name = "partner"
targets = ["API.partner.example", "*.cdn.example"]
protocols = ["https:443", "mssql:1433"]

[[hubs.main.rules.network]]
name = "sftp"
protocols = ["tcp"]
destinations = ["203.0.113.0/24", "198.51.100.7", "sftp.partner.example", "Storage.WestEurope"]
ports = [22, "1000-2000"]
priority = 300

[hubs.main.ingress]
addresses = "managed"
ports = [80, 8443]
sources = ["192.0.2.0/24"]
spare = 2
quarantine_hours = 24

[[hubs.main.ingress.targets]]
cluster = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/shop/providers/Microsoft.ContainerService/managedClusters/shop"
address = "10.1.0.9"
"#;

const SECOND_HUB: &str = r#"
[hubs.second]
location = "northeurope"
virtual_network = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/hub2/providers/Microsoft.Network/virtualNetworks/hub"
firewall = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/hub2/providers/Microsoft.Network/azureFirewalls/hub"
nat_gateway = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/hub2/providers/Microsoft.Network/natGateways/hub"
workload_egress = "web"
"#;

#[test]
fn every_wrong_line_is_told_on_one_line_with_its_field_and_what_is_allowed() {
    let mut page = String::new();
    for (title, right, wrong) in wrong::WRONG {
        assert!(GOOD.contains(right), "{title}: the good text does not hold {right:?}");
        let error = load(&GOOD.replace(right, wrong)).expect_err(title).to_string();
        assert!(!error.contains('\n'), "{title}: more than one line");
        writeln!(page, "{title}\n    {error}").unwrap();
    }
    insta::assert_snapshot!(page);
}

#[test]
fn hubs_that_contradict_each_other_are_refused() {
    let both = format!("{GOOD}{SECOND_HUB}");
    load(&both).expect("two hubs in two regions");
    let error = |right: &str, wrong: &str| load(&both.replace(right, wrong)).unwrap_err().to_string();
    insta::assert_snapshot!(error("northeurope", "WestEurope"), @r#"hubs.second.location: "WestEurope" has a hub already, hubs.main; allowed: one hub per region"#);
    insta::assert_snapshot!(error("hub2/providers/Microsoft.Network/natGateways", "hub/providers/Microsoft.Network/natGateways"), @r#"hubs.second.nat_gateway: /subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/hub/providers/Microsoft.Network/natGateways/hub is part of hubs.main already; allowed: a resource of its own for each hub"#);
    insta::assert_snapshot!(load("mode = \"observe\"").unwrap_err().to_string(), @r#"hubs: there is no hub; allowed: at least one table [hubs.NAME]"#);
}

#[test]
fn a_network_rule_to_everywhere_on_a_web_port_is_refused() {
    let alone = |ports: &str, destination: &str, protocol: &str| {
        let cut = GOOD.find("[[hubs.main.rules.application]]").unwrap();
        let rule = format!(
            "[[hubs.main.rules.network]]\nname = \"wide\"\nprotocols = [\"{protocol}\"]\ndestinations = [\"{destination}\"]\nports = [\"{ports}\"]"
        );
        load(&format!("{}{rule}", &GOOD[..cut])).map_err(|e| e.to_string())
    };
    insta::assert_snapshot!(alone("443", "0.0.0.0/0", "TCP").unwrap_err(), @r#"hubs.main.rules.network[0].destinations[0]: "wide" allows every address on port 443, so no application rule there would ever be asked; allowed: narrower destinations, or workload_egress = "web""#);
    for (ports, destination, protocol) in [
        ("1-100", "*", "Any"),
        ("*", "128.0.0.0/1", "TCP"),
        ("443", "0.0.0.0-255.255.255.255", "TCP"),
        ("80", "Internet", "TCP"),
    ] {
        assert!(
            alone(ports, destination, protocol).is_err(),
            "{protocol} {destination} {ports}"
        );
    }
    for (ports, destination, protocol) in [
        ("443", "0.0.0.0/0", "UDP"),
        ("22", "*", "TCP"),
        ("443", "203.0.113.0/24", "TCP"),
        ("*", "*", "ICMP"),
    ] {
        assert!(
            alone(ports, destination, protocol).is_ok(),
            "{protocol} {destination} {ports}"
        );
    }
}

#[test]
fn the_overlay_wins_over_the_file() {
    let config = overlaid(&[
        ("HUBWARD__mode", "observe"),
        ("HUBWARD__HUBS__MAIN__WORKLOAD_EGRESS", "web"),
        ("HUBWARD__hubs__main__rule_collection_group_priority", "700"),
        ("HUBWARD__naming__prefix", "blue"),
        ("HUBWARD__scope__exclude", "[]"),
        ("HUBWARD_CONFIG", "not ours"),
        ("PATH", "not ours"),
    ])
    .unwrap();
    assert_eq!(config.mode, Mode::Observe);
    assert_eq!(config.hubs["main"].workload_egress, WorkloadEgress::Web);
    assert_eq!(config.hubs["main"].rule_collection_group_priority, 700);
    assert_eq!(config.naming.prefix, "blue");
    assert!(config.scope.exclude.is_empty());
}

#[test]
fn a_wrong_setting_of_the_overlay_is_refused_by_its_own_name() {
    let mut page = String::new();
    for (variable, value) in [
        ("HUBWARD__hubs__main__workload_egres", "web"),
        ("HUBWARD__hubs__main__workload_egress", "all"),
        ("HUBWARD__hubs__mian__workload_egress", "web"),
        ("HUBWARD__moode", "observe"),
        ("HUBWARD__mode", "3"),
        ("HUBWARD__mode__hub", "observe"),
        ("HUBWARD__hubs__main__rules__application__0__name", "x"),
        ("HUBWARD__", "x"),
        ("HUBWARD__hubs____location", "x"),
        ("HUBWARD__naming__prefix", "x\ny"),
        ("HUBWARD__scope__subscriptions", "[\"a\"]"),
        ("HUBWARD__hubs__main__firewall", "{ a = 1 }"),
    ] {
        let error = overlaid(&[(variable, value)]).expect_err(variable).to_string();
        assert!(error.contains(variable), "{error}");
        writeln!(page, "{error}").unwrap();
    }
    insta::assert_snapshot!(page);
}

#[test]
fn a_hub_can_come_from_the_overlay_alone() {
    let id =
        |kind: &str| format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/hub/providers/Microsoft.Network/{kind}/hub");
    let (network, firewall, gateway) = (id("virtualNetworks"), id("azureFirewalls"), id("natGateways"));
    let config = Config::load(
        "",
        &settings(&[
            ("HUBWARD__hubs__main__location", "westeurope"),
            ("HUBWARD__hubs__main__virtual_network", &network),
            ("HUBWARD__hubs__main__firewall", &firewall),
            ("HUBWARD__hubs__main__nat_gateway", &gateway),
            ("HUBWARD__hubs__main__workload_egress", "required_only"),
        ]),
    )
    .unwrap();
    assert_eq!(config.hubs["main"].firewall.as_str(), firewall);
}

#[test]
fn without_a_word_hubward_only_observes_under_a_managed_identity() {
    let config = load(&GOOD.replace("mode = \"correct\"", "")).unwrap();
    assert_eq!(config.mode, Mode::Observe);
    assert_eq!(config.naming.prefix, "hubward");
    assert_eq!(config.credential, Credential::ManagedIdentity { client_id: None });
    assert_eq!(config.hubs["main"].rule_collection_group_priority, 500);
}

#[test]
fn without_subscriptions_the_hubs_own_are_in_scope() {
    let config = load(&GOOD.replace("subscriptions = [", "# [")).unwrap();
    assert_eq!(config.scope.subscriptions, [SUBSCRIPTION]);
}

#[test]
fn the_scope_covers_its_subscriptions_less_what_is_excluded() {
    let config = load(GOOD).unwrap();
    let covers = |id: &str| config.scope.covers(&ResourceId::parse(id).unwrap());
    let cluster = "providers/Microsoft.ContainerService/managedClusters/a";
    assert!(covers(&format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/team/{cluster}"
    )));
    assert!(covers(&format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/keep-out-not/{cluster}"
    )));
    assert!(!covers(&format!(
        "/subscriptions/{SUBSCRIPTION}/RESOURCEGROUPS/Keep-Out/{cluster}"
    )));
    assert!(!covers(&format!(
        "/subscriptions/99999999-2222-3333-4444-555555555555/resourceGroups/team/{cluster}"
    )));
}

#[test]
fn a_region_is_found_however_azure_writes_it() {
    let config = load(GOOD).unwrap();
    assert_eq!(config.hub_for_location("westeurope").unwrap().0, "main");
    assert_eq!(config.hub_for_location("West Europe").unwrap().0, "main");
    assert!(config.hub_for_location("westeurope2").is_none());
}

#[test]
fn rules_are_read_as_azure_will_want_them() {
    let config = load(GOOD).unwrap();
    let rules = &config.hubs["main"].rules;
    assert_eq!(rules.application[0].targets, ["api.partner.example", "*.cdn.example"]);
    assert_eq!(rules.application[0].protocols[1].to_string(), "mssql:1433");
    let network = &rules.network[0];
    assert_eq!(network.ports, ["22", "1000-2000"]);
    assert_eq!(network.protocols, [IpProtocol::Tcp]);
    let of = |kind| network.destinations_of(kind).collect::<Vec<_>>();
    assert_eq!(of(DestinationKind::Address), ["203.0.113.0/24", "198.51.100.7"]);
    assert_eq!(of(DestinationKind::Fqdn), ["sftp.partner.example"]);
    assert_eq!(of(DestinationKind::ServiceTag), ["Storage.WestEurope"]);
}

#[test]
fn icmp_needs_no_ports() {
    let config = load(
        &GOOD
            .replace("[\"tcp\"]", "[\"ICMP\"]")
            .replace("ports = [22, \"1000-2000\"]", ""),
    )
    .unwrap();
    assert_eq!(config.hubs["main"].rules.network[0].ports, ["*"]);
}

#[test]
fn what_was_read_can_be_printed_and_read_again() {
    let config = load(GOOD).unwrap();
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
}

proptest::proptest! {
    #[test]
    fn arbitrary_text_never_panics_and_errors_stay_on_one_line(
        text in "\\PC*",
        variable in "HUBWARD__[a-z_.\\PC]{0,40}",
        value in proptest::arbitrary::any::<String>(),
    ) {
        if let Err(error) = load(&text) {
            proptest::prop_assert!(!error.to_string().contains(['\n', '\r']));
        }
        if let Err(error) = overlaid(&[(&variable, &value)]) {
            proptest::prop_assert!(!error.to_string().contains(['\n', '\r']));
        }
    }
}

fn load(toml: &str) -> Result<Config, ConfigError> {
    Config::load(toml, &BTreeMap::new())
}

fn overlaid(overlay: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(GOOD, &settings(overlay))
}

fn settings(overlay: &[(&str, &str)]) -> BTreeMap<String, String> {
    overlay
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

#[test]
fn a_hub_without_an_ingress_section_leaves_inbound_traffic_alone() {
    let (before, _) = GOOD.split_once("[hubs.main.ingress]").unwrap();
    assert_eq!(load(before).unwrap().hubs["main"].ingress, None);
    let empty = load(&format!("{before}[hubs.main.ingress]")).unwrap();
    assert_eq!(empty.hubs["main"].ingress, Some(Ingress::default()));
    assert!(!Ingress::default().is_open());
}
