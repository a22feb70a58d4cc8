//! The configuration: one TOML text with an overlay of application settings, checked before anything uses it.
//!
//! It reads no file and no environment; the shell hands over both texts. Whatever is unknown, missing or contradictory is
//! refused with the field's path, what is wrong and what is allowed, on one line; nothing is repaired or guessed.

mod address;
mod check;
mod credential;
mod drift;
mod error;
mod events;
mod hub;
mod ingress;
mod overlay;
mod roles;
mod rules;
mod scope;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use credential::Credential;
pub use drift::Drift;
pub use error::ConfigError;
pub use events::Events;
pub use hub::{Hub, WorkloadEgress, same_location};
pub use ingress::{AddressSource, Ingress, IngressTarget};
pub use overlay::PREFIX as OVERLAY_PREFIX;
pub use roles::Roles;
pub use rules::{
    ApplicationKind, ApplicationProtocol, ApplicationRule, DestinationKind, IpProtocol, NetworkRule, OperatorRules,
};
pub use scope::Scope;

/// Everything an operator decides. The commented example is `infra/hubward.example.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What Hubward may do; `observe` unless said otherwise, so that a first start never writes.
    #[serde(default)]
    pub mode: Mode,
    /// How the resources that Hubward makes are named.
    #[serde(default)]
    pub naming: Naming,
    /// Which clusters are ours to wire.
    #[serde(default)]
    pub scope: Scope,
    /// The hubs by the short name the operator gave them; one per region.
    #[serde(default)]
    pub hubs: BTreeMap<String, Hub>,
    /// How the handler proves to Azure who it is.
    #[serde(default)]
    pub credential: Credential,
    /// When everything is looked at again.
    #[serde(default)]
    pub drift: Drift,
    /// Where Event Grid leaves what it could not deliver.
    #[serde(default)]
    pub events: Events,
    /// Which rights the clusters' identities are given.
    #[serde(default)]
    pub roles: Roles,
    /// The object id of each service principal by its client id, for clusters that have one instead of a managed identity.
    #[serde(default)]
    pub service_principals: BTreeMap<String, String>,
}

/// What Hubward may do with its plans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Plans and proves, never writes.
    #[default]
    Observe,
    /// Writes a plan once a person approved it.
    Approve,
    /// Writes on its own.
    Correct,
}

/// How the resources that Hubward makes are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Naming {
    /// What every name begins with, see [`crate::names::name`]. Letters, digits and dashes, at most 30.
    pub prefix: String,
}

impl Default for Naming {
    fn default() -> Self {
        Self {
            prefix: "hubward".to_owned(),
        }
    }
}

impl Config {
    /// Reads the TOML text, lays the settings of `overlay` over it (`HUBWARD__hubs__main__workload_egress = "web"`) and
    /// checks the whole. Entries of `overlay` whose name does not begin with `HUBWARD__` are not ours and are passed over.
    ///
    /// # Errors
    /// [`ConfigError`] names the first field at fault. Of a setting from the overlay it names the variable too.
    pub fn load(toml: &str, overlay: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut table: toml::Table = toml::from_str(toml).map_err(|e| ConfigError::from_syntax(toml, &e))?;
        let settings = overlay::apply(&mut table, overlay)?;
        let mut config: Self = serde_path_to_error::deserialize(toml::Value::Table(table))
            .map_err(|e| overlay::blame(ConfigError::from_serde(&e), &settings))?;
        config.fill_in();
        check::check(&config).map_err(|e| overlay::blame(e, &settings))?;
        Ok(config)
    }

    /// The hub of a region with the operator's name for it; `West Europe` and `westeurope` are the same region.
    #[must_use]
    pub fn hub_for_location(&self, location: &str) -> Option<(&str, &Hub)> {
        self.hubs
            .iter()
            .find(|(_, hub)| same_location(&hub.location, location))
            .map(|(name, hub)| (name.as_str(), hub))
    }

    /// Gives the values that follow from others.
    fn fill_in(&mut self) {
        self.scope
            .fill_in(self.hubs.values().map(|hub| hub.firewall.subscription()));
        for hub in self.hubs.values_mut() {
            hub.rules.fill_in();
        }
    }
}

#[cfg(test)]
mod tests;
