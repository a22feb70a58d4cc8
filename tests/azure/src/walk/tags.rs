//! What stands behind Microsoft's tags. The prefixes of service tags are made up, because the real ones change weekly:
//! they only have to be disjoint and known to whoever places names in the simulated internet. The names behind the FQDN
//! tag are those Microsoft documents for AKS; what users report as missing from it is missing here as well.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::addresses::covers;

/// Prefixes behind service tags; a tag that is not listed matches nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceTags(BTreeMap<String, Vec<Ipv4Net>>);

impl ServiceTags {
    /// A table from pairs of tag (any case) and prefixes.
    pub fn new(table: impl IntoIterator<Item = (String, Vec<Ipv4Net>)>) -> Self {
        Self(
            table
                .into_iter()
                .map(|(tag, prefixes)| (tag.to_lowercase(), prefixes))
                .collect(),
        )
    }

    /// The prefixes of a tag.
    pub fn prefixes(&self, tag: &str) -> &[Ipv4Net] {
        self.0.get(&tag.to_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// Whether an entry of a rule covers the address, as address, prefix, range, `*` or tag.
    pub(super) fn covers(&self, entry: &str, address: Ipv4Addr) -> bool {
        covers(entry, address) || self.prefixes(entry).iter().any(|prefix| prefix.contains(&address))
    }
}

impl Default for ServiceTags {
    /// `AzureCloud` is 20.0.0.0/8; within it West Europe has 20.50.0.0/16, North Europe 20.51.0.0/16, `AzureMonitor`
    /// 20.60.0.0/16 and `Storage` 20.70.0.0/16.
    fn default() -> Self {
        let table = [
            ("AzureCloud", "20.0.0.0/8"),
            ("AzureCloud.WestEurope", "20.50.0.0/16"),
            ("AzureCloud.NorthEurope", "20.51.0.0/16"),
            ("AzureMonitor", "20.60.0.0/16"),
            ("Storage", "20.70.0.0/16"),
        ];
        Self::new(table.into_iter().filter_map(|(tag, prefix)| {
            let prefix: Ipv4Net = prefix.parse().ok()?;
            Some((tag.to_owned(), vec![prefix]))
        }))
    }
}

/// Names behind the FQDN tag `AzureKubernetesService`: the required and the recommended application rules of the AKS
/// outbound page (2026-06-18). `mcrprod.azurecr.io` is not among them: it was seen blocked with the tag in force
/// (mspnp/aks-baseline#457).
pub(super) const AZURE_KUBERNETES_SERVICE: [&str; 12] = [
    "mcr.microsoft.com",
    "*.data.mcr.microsoft.com",
    "mcr-0001.mcr-msedge.net",
    "management.azure.com",
    "login.microsoftonline.com",
    "packages.microsoft.com",
    "acs-mirror.azureedge.net",
    "packages.aks.azure.com",
    "security.ubuntu.com",
    "azure.archive.ubuntu.com",
    "changelogs.ubuntu.com",
    "snapshot.ubuntu.com",
];

/// Whether the FQDN tag holds a name.
pub(super) fn fqdn_tag_holds(tag: &str, name: &str) -> bool {
    tag.eq_ignore_ascii_case("AzureKubernetesService")
        && (is_api_server(name)
            || AZURE_KUBERNETES_SERVICE
                .iter()
                .any(|pattern| fqdn_matches(pattern, name)))
}

/// Whether a pattern of an application rule matches a name: equal, `*`, or `*.` before a suffix. `*.x` does not match
/// `x` (firewall FAQ); a star elsewhere is no wildcard.
pub(super) fn fqdn_matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    match pattern.strip_prefix('*') {
        Some(suffix) => name.len() > suffix.len() && name.ends_with(&suffix),
        None => pattern == name,
    }
}

/// `*.hcp.<location>.azmk8s.io`.
fn is_api_server(name: &str) -> bool {
    let labels: Vec<&str> = name.rsplit('.').collect();
    matches!(labels.as_slice(), ["io", "azmk8s", _, "hcp", _, ..])
}
