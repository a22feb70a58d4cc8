//! What `--keep` prints: where everything is, and how a person looks around and breaks something with other tools.
//!
//! The secrets that it prints belong to the simulated Azure, are made of the seed, and are worth nothing anywhere else.

use super::rig::{Cluster, Rig};
use crate::cli::door::{APP_VARIABLE, KEY_VARIABLE};

/// The variables of the app that commands need too, beside the overlay.
const FOR_COMMANDS: [&str; 6] = [
    "HUBWARD_CONFIG",
    "HUBWARD_ARM_LOOPBACK",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "AzureWebJobsStorage",
    "HUBWARD_CLOCK",
];
/// The version of `Microsoft.Network` and of `Microsoft.ContainerService` in the printed call.
const API_VERSION: &str = "2025-05-01";
/// A default route that leads around the firewall.
const AROUND: &str = r#"{"properties":{"addressPrefix":"0.0.0.0/0","nextHopType":"Internet"}}"#;

/// The lines, without the last one that says how to end it.
pub(super) fn lines(rig: &Rig, clusters: &[Cluster]) -> Vec<String> {
    let mut lines = vec![String::new()];
    lines.extend(rig.urls().into_iter().map(|(what, url)| format!("{what:<22} {url}")));
    lines.push(String::new());
    lines.push("Clusters".to_owned());
    lines.extend(clusters.iter().map(|cluster| format!("  {}", cluster.id)));
    lines.push(String::new());
    lines.push(
        "For `hubward status`, `plan --cluster ID`, `pause main --reason TEXT` and others in another terminal; these secrets belong to this simulated world only"
            .to_owned(),
    );
    let settings = rig
        .settings()
        .iter()
        .filter(|(name, _)| FOR_COMMANDS.contains(&name.as_str()));
    lines.extend(settings.map(|(name, value)| export(name, value)));
    lines.push(export(APP_VARIABLE, &rig.app_url()));
    lines.push(export(KEY_VARIABLE, rig.app_key()));
    lines.extend(
        crate::cli::configuration::overlay()
            .iter()
            .map(|(name, value)| export(name, value)),
    );
    if let Some(cluster) = clusters.first() {
        let (what, call) = call(rig, cluster);
        lines.push(String::new());
        lines.push(format!("As a person of that world, {what}"));
        lines.push(call);
    }
    lines.push(String::new());
    lines
}

/// What the call does, and the call: the route of a wired cluster is broken, another cluster is only read.
fn call(rig: &Rig, cluster: &Cluster) -> (String, String) {
    let token = rig.token_of_person();
    let headers = format!(
        "-H {} -H {}",
        quoted("Host: management.azure.com"),
        quoted(&format!("Authorization: Bearer {token}"))
    );
    let url = |id: &str| quoted(&format!("{}{id}?api-version={API_VERSION}", rig.arm_url()));
    let default_route = cluster.subnets.first().and_then(|subnet| rig.first_route(subnet));
    match default_route {
        Some(route) => (
            format!(
                "lead {} around the firewall (`plan` then says what mends it)",
                cluster.name
            ),
            format!(
                "curl -X PUT {headers} -H {} -d {} {}",
                quoted("Content-Type: application/json"),
                quoted(AROUND),
                url(&route)
            ),
        ),
        None => (
            format!("read {}", cluster.name),
            format!("curl {headers} {}", url(&cluster.id)),
        ),
    }
}

fn export(name: &str, value: &str) -> String {
    format!("export {name}={}", quoted(value))
}

/// A text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_word_of_the_shell_whatever_it_holds() {
        assert_eq!(export("A", "scale=1;b='c' $d"), r"export A='scale=1;b='\''c'\'' $d'");
    }
}
