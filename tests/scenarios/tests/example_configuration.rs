//! The example configuration is what people copy first and what `local` runs with, so it must be accepted as it stands, and so
//! must every line that it offers as a comment.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hubward_core::config::{Config, Ingress, Mode, Roles, WorkloadEgress};

#[test]
fn the_example_configuration_is_accepted() {
    let config = Config::load(&example(), &BTreeMap::new()).unwrap();
    assert_eq!(config.mode, Mode::Correct);
    assert_eq!(
        config.roles,
        Roles::default(),
        "the example shows the role that holds without it"
    );
    let (name, hub) = config.hub_for_location("westeurope").unwrap();
    assert_eq!((name, hub.workload_egress), ("main", WorkloadEgress::Rules));
    assert_eq!(hub.rules.application[0].targets, ["api.partner.example"]);
    assert!(
        hub.rules.network.is_empty(),
        "the example opens one partner and nothing else"
    );
}

#[test]
fn the_example_configuration_names_the_hub_of_the_simulated_azure() {
    let config = Config::load(&example(), &BTreeMap::new()).unwrap();
    let (_, hub) = config.hub_for_location("westeurope").unwrap();
    let world = azure_sim::world::World::one_hub();
    assert_eq!(hub.virtual_network.as_str(), world.hub.virtual_network);
    assert_eq!(hub.firewall.as_str(), world.hub.firewall);
    assert_eq!(hub.nat_gateway.as_str(), world.hub.nat_gateway);
    assert_eq!(config.scope.subscriptions, [world.subscription]);
}

#[test]
fn every_commented_setting_of_the_example_is_accepted() {
    let offered: Vec<String> = example().lines().filter_map(uncommented).collect();
    assert!(
        offered.len() >= 4,
        "the example has lost its commented settings: {offered:?}"
    );
    let text: Vec<String> = example()
        .lines()
        .map(|line| uncommented(line).unwrap_or_else(|| line.to_owned()))
        .collect();
    let config = Config::load(&text.join("\n"), &BTreeMap::new()).unwrap();
    let (_, hub) = config.hub_for_location("westeurope").unwrap();
    assert_eq!(hub.rules.application[0].priority, Some(3000));
    assert_eq!(hub.rules.network[0].destinations, ["198.51.100.0/24"]);
    assert_eq!(
        config.object_id_of("33333333-3333-4333-8333-333333333333"),
        Some("44444444-4444-4444-8444-444444444444")
    );
    let ingress = hub.ingress.as_ref().unwrap();
    assert_eq!(ingress.sources, ["192.0.2.0/24"]);
    let defaults = Ingress::default();
    assert_eq!(
        (
            ingress.addresses,
            &ingress.ports,
            ingress.spare,
            ingress.quarantine_hours
        ),
        (
            defaults.addresses,
            &defaults.ports,
            defaults.spare,
            defaults.quarantine_hours
        ),
        "a comment shows what holds without it"
    );
}

#[test]
fn the_overlay_that_the_example_shows_is_accepted() {
    let shown = example();
    let setting = shown
        .split_whitespace()
        .find_map(|word| word.strip_prefix("HUBWARD__hubs")?.split_once('='))
        .unwrap();
    let value = setting.1.trim_end_matches('.').to_owned();
    let overlay = BTreeMap::from([(format!("HUBWARD__hubs{}", setting.0), value)]);
    let config = Config::load(&shown, &overlay).unwrap();
    assert_eq!(
        config.hub_for_location("westeurope").unwrap().1.workload_egress,
        WorkloadEgress::Web
    );
}

#[test]
fn the_example_without_workload_egress_is_refused_by_the_name_of_the_field() {
    let text = example().replace("workload_egress = ", "# workload_egress = ");
    let refused = Config::load(&text, &BTreeMap::new()).unwrap_err().to_string();
    assert!(refused.contains("workload_egress"), "{refused}");
}

/// The setting behind `# `: a key with its value, or the header of a table.
fn uncommented(line: &str) -> Option<String> {
    let rest = line.strip_prefix("# ")?;
    let key = rest.split(" = ").next()?;
    let setting =
        rest.contains(" = ") && (key.chars().all(|c| c.is_ascii_lowercase() || c == '_') || key.starts_with('"'));
    (setting || rest.starts_with('[')).then(|| rest.to_owned())
}

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/hubward.example.toml");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
