//! How the handler proves to Azure who it is. Only the kind is configured here, never a secret.

use serde::{Deserialize, Serialize};

/// How the handler proves to Azure who it is: `[credential] kind = "managed_identity"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", tag = "kind", rename_all = "snake_case")]
pub enum Credential {
    /// The identity of the Function app itself: what runs in Azure.
    ManagedIdentity {
        /// The client id of a user-assigned identity; none for the system-assigned one.
        #[serde(skip_serializing_if = "Option::is_none")]
        client_id: Option<String>,
    },
    /// A federated token, as Kubernetes and pipelines hand it out.
    WorkloadIdentity,
    /// Whoever is signed in on this machine with Azure's own tools.
    DeveloperTools,
}

impl Default for Credential {
    fn default() -> Self {
        Self::ManagedIdentity { client_id: None }
    }
}

/// The table as it is written. A tagged enum would lose the path of the field at fault.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: Kind,
    client_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    ManagedIdentity,
    WorkloadIdentity,
    DeveloperTools,
}

impl TryFrom<Written> for Credential {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match (written.kind, written.client_id) {
            (Kind::ManagedIdentity, client_id) => Ok(Self::ManagedIdentity { client_id }),
            (Kind::WorkloadIdentity, None) => Ok(Self::WorkloadIdentity),
            (Kind::DeveloperTools, None) => Ok(Self::DeveloperTools),
            (Kind::WorkloadIdentity | Kind::DeveloperTools, Some(_)) => {
                Err("client_id has no meaning for this kind; allowed: client_id with kind = \"managed_identity\" only")
            }
        }
    }
}
