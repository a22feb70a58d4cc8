//! Which role the clusters' identities get, and the object ids of service principals, which no cluster's document tells.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Config, ConfigError};

/// Azure's built-in role Network Contributor (Azure RBAC built-in-roles.md).
const NETWORK_CONTRIBUTOR: &str = "4d97b98b-1d4f-4787-a291-c67834d212e7";

/// What the clusters' identities are given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Roles {
    /// The GUID of the role definition: a built-in role, or one of your own.
    pub definition: String,
}

impl Default for Roles {
    fn default() -> Self {
        Self {
            definition: NETWORK_CONTRIBUTOR.to_owned(),
        }
    }
}

impl Config {
    /// The object id that the configuration gives for the application of a service principal.
    #[must_use]
    pub fn object_id_of(&self, client_id: &str) -> Option<&str> {
        self.service_principals
            .iter()
            .find(|(client, _)| client.eq_ignore_ascii_case(client_id))
            .map(|(_, object)| object.as_str())
    }
}

/// Checks both sections.
///
/// # Errors
/// The first field at fault.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    guid(
        "roles.definition",
        &config.roles.definition,
        "the GUID of a role definition",
    )?;
    let mut seen: Vec<String> = Vec::new();
    for (client, object) in &config.service_principals {
        let field = format!("service_principals.{client}");
        guid(&field, client, "the client id of an application as the key")?;
        guid(&field, object, "the object id of its service principal")?;
        let client_key = client.to_ascii_lowercase();
        if seen.contains(&client_key) {
            return Err(ConfigError::of(field, "is there twice", "each client id once"));
        }
        // The same text twice is the usual mistake: portal pages show client and object id side by side.
        if client.eq_ignore_ascii_case(object) {
            return Err(ConfigError::of(
                field,
                "names the client id as the object id",
                "the object id of the service principal: az ad sp show --id CLIENT_ID --query id",
            ));
        }
        seen.push(client_key);
    }
    Ok(())
}

fn guid(field: &str, text: &str, allowed: &str) -> Result<(), ConfigError> {
    if text.len() == 36 && text.parse::<Uuid>().is_ok() {
        return Ok(());
    }
    Err(ConfigError::of(field, format!("{text:?} is no GUID"), allowed))
}
