//! Every recorded managed cluster goes through its view and through the plan of a hub in its region.

use std::collections::BTreeMap;

use hubward_core::config::Config;
use hubward_core::estate::{ClusterView, Estate, Identity};
use hubward_core::plan::{Age, Known, plan_spoke};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::files::{Document, data_for, documents, evidence, json_files, read};

const READ: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
const HUBS: &str = "11111111-2222-4333-8444-555555555555";

/// What the command line prints lacks `properties`: a shape that ARM never sends, which must not be taken for a cluster that
/// can be wired.
#[test]
fn every_recorded_cluster_is_read_and_judged() {
    let Some(data) = data_for("conformance-clusters") else {
        return;
    };
    let mut found = documents(
        &data,
        &["clusters", "examples", "recordings"],
        &["Microsoft.ContainerService/managedClusters"],
    );
    for file in json_files(&data.join("clusters")) {
        let body = read(&file);
        let id = ClusterView::new(&body).id();
        if let Some(id) = id.filter(|id| id.is_type("Microsoft.ContainerService/managedClusters"))
            && body.get("properties").is_none()
        {
            let file = file.file_stem().unwrap().to_string_lossy().into_owned();
            found.push(Document {
                file,
                real: true,
                id,
                body,
            });
        }
    }
    assert!(
        found.len() >= 20,
        "only {} clusters under {}",
        found.len(),
        data.display()
    );
    let mut lines: Vec<String> = found.iter().map(line).collect();
    lines.dedup();
    insta::assert_snapshot!(lines.join("\n"));
    evidence("ran conformance-clusters");
}

fn line(document: &Document) -> String {
    let cluster = ClusterView::new(&document.body);
    assert_eq!(cluster.id().as_ref(), Some(&document.id));
    assert_eq!(cluster.name(), document.id.name());
    assert!(!cluster.location().is_empty(), "{}", document.file);
    let identity = match cluster.identity() {
        Identity::SystemAssigned(_) => "system-assigned",
        Identity::UserAssigned(_) => "user-assigned",
        Identity::ServicePrincipal(_) => "service principal",
        Identity::Unknown => "identity not shown",
    };
    let pools: Vec<String> = cluster
        .pools()
        .iter()
        .map(|pool| {
            let subnet = pool.subnet.as_ref().map_or("AKS's own network", |id| id.name());
            let windows = if pool.windows { " windows" } else { "" };
            format!("{}@{subnet}{windows}", pool.name)
        })
        .collect();
    let api = match (cluster.api_server_is_private(), cluster.api_server()) {
        (true, _) => "private",
        (false, Some(_)) => "public",
        (false, None) => "no name",
    };
    format!(
        "{:.60} | {} | {} | {} | {identity} | API {api}, {} ranges | {} | {}",
        document.file,
        cluster.provisioning_state(),
        cluster.outbound_type(),
        cluster.network_plugin(),
        cluster.authorized_ranges().len(),
        pools.join(" "),
        verdict(document),
    )
}

/// The state and the findings of a plan made with a hub in the cluster's region, of which nothing was read.
fn verdict(document: &Document) -> String {
    let config = hub_in(ClusterView::new(&document.body).location(), document.id.subscription());
    let mut estate = Estate::default();
    estate.insert(document.id.clone(), Some(document.body.clone()), READ);
    let age = Age {
        installed_at: Some(datetime!(2000-01-01 00:00 UTC)),
        create_seen: true,
    };
    let plan = plan_spoke(&estate, &config, &document.id, &Known::at(READ, age));
    assert!(plan.steps.is_empty(), "{}: a step without a hub", document.file);
    let codes: Vec<String> = plan.findings.iter().map(|finding| finding.code.text()).collect();
    format!("{}: {}", plan.state.unwrap(), codes.join(", "))
}

fn hub_in(location: &str, subscription: &str) -> Config {
    let network = format!("/subscriptions/{HUBS}/resourceGroups/hub/providers/Microsoft.Network");
    let toml = format!(
        "mode = \"correct\"\n[scope]\nsubscriptions = [\"{HUBS}\"]\n[hubs.main]\nlocation = \"{location}\"\n\
         virtual_network = \"{network}/virtualNetworks/hub\"\nfirewall = \"{network}/azureFirewalls/hub\"\n\
         nat_gateway = \"{network}/natGateways/hub\"\nworkload_egress = \"rules\"\n"
    );
    let mut config = Config::load(&toml, &BTreeMap::new()).unwrap_or_else(|e| panic!("{location}: {e}"));
    // Scrubbed recordings have subscriptions that no configuration file could name.
    config.scope.subscriptions.push(subscription.to_owned());
    config
}
