//! The app: what the functions share, and how it is made from the environment.
//!
//! There are no process statics and no detached tasks, so dropping the app is what a crash is. A wrong configuration does not
//! keep it from starting: it answers the host and says what is wrong with each event. A clock that runs faster than the wall
//! is refused unless ARM and storage are on this machine.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::HttpClient;
use hubward_core::config::{Config, ConfigError, Credential};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use url::Url;

use crate::arm::{Arm, ArmDeps, Loopback, LoopbackError};
use crate::clock::{Clock, ClockError, ScaledClock, require_loopback_for_scale};
use crate::environment::Environment;
use crate::identity::{self, CredentialKind, IdentityError};
use crate::ledger::{Ledger, LedgerError, SettingsError, StorageSettings};

/// ARM's address in Azure's global cloud.
pub const ARM: &str = "https://management.azure.com";

/// What the functions share.
pub struct App {
    /// The configuration, or the one line that says what is wrong with it: the app runs and waits for a good one.
    pub config: Result<Config, ConfigError>,
    /// Azure.
    pub arm: Arm,
    /// The durable record.
    pub ledger: Ledger,
    /// Azure time.
    pub clock: Arc<dyn Clock>,
}

/// Why the app cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The clock setting is wrong.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The storage settings are wrong.
    #[error(transparent)]
    Storage(#[from] SettingsError),
    /// The loopback address of ARM is wrong.
    #[error(transparent)]
    Loopback(#[from] LoopbackError),
    /// There is no identity or no HTTPS client.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// ARM's address is not a URL.
    #[error("{ARM} is not an address: {0}")]
    Endpoint(#[from] url::ParseError),
}

/// Azure as the environment says, without a ledger: what a command needs that only reads.
pub struct Azure {
    /// Azure Resource Manager.
    pub arm: Arm,
    /// Azure time.
    pub clock: Arc<dyn Clock>,
    scale: f64,
    reached: Url,
    credential: Arc<dyn TokenCredential>,
    pub(crate) http: Arc<dyn HttpClient>,
}

/// Makes the app from the environment.
///
/// # Errors
/// [`StartError`]; what is only wrong in the configuration file is no error here but in [`App::config`].
pub async fn open(environment: &Environment) -> Result<App, StartError> {
    let config = environment.config();
    let azure = azure(environment, config.as_ref().ok().map(|c| &c.credential))?;
    let ledger = ledger(environment, &azure).await?;
    ledger.installed.at(azure.clock.now()).await?;
    if let Err(error) = &config {
        tracing::error!("the configuration cannot be used: {error}");
    }
    Ok(App {
        config,
        arm: azure.arm,
        ledger,
        clock: azure.clock,
    })
}

/// Makes the clients of Azure; nothing is sent yet. Without a configured credential the system-assigned identity is used.
///
/// # Errors
/// [`StartError`].
pub fn azure(environment: &Environment, credential: Option<&Credential>) -> Result<Azure, StartError> {
    let clock = ScaledClock::parse(environment.get("HUBWARD_CLOCK").as_deref())?;
    let scale = clock.scale();
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let http = identity::http_client()?;
    let endpoint = Url::parse(ARM)?;
    let (transport, reached) = arm_transport(environment, &endpoint, Arc::clone(&http))?;
    require_loopback_for_scale(scale, std::slice::from_ref(&reached))?;
    let kind = credential.map_or(CredentialKind::ManagedIdentity { client_id: None }, kind_of);
    let credential = identity::credential(&kind, Arc::clone(&http))?;
    let arm = Arm::new(ArmDeps {
        endpoint,
        credential: Arc::clone(&credential),
        transport,
        clock: Arc::clone(&clock),
        seed: seed(environment, clock.now()),
    });
    Ok(Azure {
        arm,
        clock,
        scale,
        reached,
        credential,
        http,
    })
}

/// Opens the ledger that the environment names.
///
/// # Errors
/// [`StartError`].
pub async fn ledger(environment: &Environment, azure: &Azure) -> Result<Ledger, StartError> {
    let storage = storage(environment, azure)?;
    Ok(Ledger::open(storage, Arc::clone(&azure.http), Arc::clone(&azure.clock)).await?)
}

/// The ledger that the environment names as it is: nothing is sent yet, and nothing is made in storage.
///
/// # Errors
/// [`StartError`].
pub fn ledger_as_it_is(environment: &Environment, azure: &Azure) -> Result<Ledger, StartError> {
    let storage = storage(environment, azure)?;
    Ok(Ledger::as_it_is(
        &storage,
        Arc::clone(&azure.http),
        Arc::clone(&azure.clock),
    )?)
}

fn storage(environment: &Environment, azure: &Azure) -> Result<StorageSettings, StartError> {
    let mut storage = StorageSettings::from_env(&|name| environment.get(name))?;
    let [blob, queue] = storage.urls();
    require_loopback_for_scale(azure.scale, &[azure.reached.clone(), blob, queue])?;
    if storage.needs_credential() {
        storage = storage.with_credential(Arc::clone(&azure.credential));
    }
    Ok(storage)
}

/// The seed of jitter and correlation ids: given, or made of what tells this process from others. Containers often share a
/// process id, so instance and time are in it.
fn seed(environment: &Environment, now: OffsetDateTime) -> u64 {
    if let Some(given) = environment.get("HUBWARD_SEED").and_then(|text| text.parse().ok()) {
        return given;
    }
    let instance = environment.get("WEBSITE_INSTANCE_ID").unwrap_or_default();
    let text = format!("{instance}|{}|{}", std::process::id(), now.unix_timestamp_nanos());
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .take(8)
        .fold(0, |seed, byte| (seed << 8) | u64::from(*byte))
}

/// The transport to ARM and the address it really reaches.
fn arm_transport(
    environment: &Environment,
    endpoint: &Url,
    http: Arc<dyn HttpClient>,
) -> Result<(Arc<dyn HttpClient>, Url), StartError> {
    match environment.get("HUBWARD_ARM_LOOPBACK") {
        None => Ok((http, endpoint.clone())),
        Some(target) => {
            let transport = Loopback::new(http, endpoint.clone(), &target)?;
            Ok((Arc::new(transport), Url::parse(&target)?))
        }
    }
}

fn kind_of(credential: &Credential) -> CredentialKind {
    match credential {
        Credential::ManagedIdentity { client_id } => CredentialKind::ManagedIdentity {
            client_id: client_id.clone(),
        },
        Credential::WorkloadIdentity => CredentialKind::WorkloadIdentity,
        Credential::DeveloperTools => CredentialKind::DeveloperTools,
    }
}
