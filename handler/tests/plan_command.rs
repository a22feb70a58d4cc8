//! `hubward plan` as a process: wrong words end with 2, an Azure that does not answer with 3.

#![allow(clippy::expect_used, reason = "a test that cannot start its process has failed")]

use std::path::Path;
use std::process::{Command, Output};

/// Nothing listens on the discard port.
const NOBODY: &str = "http://127.0.0.1:9";

const CLUSTER: &str = "/subscriptions/5b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks-01";

fn plan(cluster: &str) -> Output {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/hubward.example.toml");
    Command::new(env!("CARGO_BIN_EXE_hubward"))
        .args(["plan", "--cluster", cluster])
        .env_clear()
        .env("HUBWARD_CONFIG", config)
        .env("HUBWARD_ARM_LOOPBACK", NOBODY)
        .env("IDENTITY_ENDPOINT", format!("{NOBODY}/msi/token"))
        .env("IDENTITY_HEADER", "secret-of-this-test")
        .output()
        .expect("the executable runs")
}

fn refused(cluster: &str, says: &str) {
    let output = plan(cluster);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains(says) && stderr.contains("allowed"), "{stderr}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_text_that_is_no_cluster_id_is_refused_with_what_is_allowed() {
    refused("aks-01", "--cluster");
    refused(
        "/subscriptions/5b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/v",
        "is not an AKS cluster",
    );
    refused(
        "/subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/a",
        "is not in the configured scope",
    );
}

#[test]
fn an_azure_that_does_not_answer_ends_the_command_with_3_and_no_secret() {
    let output = plan(CLUSTER);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(!stderr.contains("secret-of-this-test"), "{stderr}");
    assert!(
        stderr.ends_with("outside Azure set credential.kind = \"developer_tools\"\n"),
        "{stderr}"
    );
}

#[test]
fn without_a_configuration_it_says_where_one_may_be() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().canonicalize().expect("a real path");
    let output = Command::new(env!("CARGO_BIN_EXE_hubward"))
        .args(["plan", "--cluster", CLUSTER])
        .env_clear()
        .current_dir(&folder)
        .output()
        .expect("the executable runs");
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let says = format!(
        "hubward.toml is not in {} and HUBWARD_CONFIG is not set; example: infra/hubward.example.toml\n",
        folder.display()
    );
    assert_eq!(stderr, says);
}

#[test]
fn the_help_shows_one_complete_call() {
    let output = Command::new(env!("CARGO_BIN_EXE_hubward"))
        .args(["plan", "--help"])
        .output()
        .expect("the executable runs");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        help.contains("HUBWARD_CONFIG=hubward.toml hubward plan --cluster"),
        "{help}"
    );
    assert!(help.contains("/managedClusters/NAME"), "{help}");
}
