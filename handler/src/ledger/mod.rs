//! The durable record: who wants what, who is working, what runs in Azure, what was seen and what came of it.
//!
//! It lives in one container and one queue of the Functions app's own storage account, so there is no second engine. Every
//! document carries `version: 1`; what cannot be read is set aside as [`Damaged`] and never guessed at. A storage failure
//! is an error for the caller, who leaves the work owed: the trigger's message or event then comes again.

pub mod account;
pub mod archive;
pub mod blobs;
pub mod contributions;
mod counters;
pub mod dead_letters;
pub mod decisions;
pub mod documents;
pub mod error;
pub mod footprints;
pub mod installed;
pub mod keys;
pub mod lanes;
pub mod leases;
pub mod operations;
pub mod outcomes;
pub mod queue;
pub mod reservations;
pub mod shared_key;
pub mod store;
pub mod sweeps;

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod memory;

pub use account::{SettingsError, StorageSettings};
pub use documents::{Damaged, Listing};
pub use error::LedgerError;

use std::sync::Arc;

use azure_core::http::HttpClient;

use crate::clock::Clock;
use crate::transport::Bounded;
use archive::Archive;
use blobs::Blobs;
use contributions::Contributions;
use dead_letters::{Account, DeadLetters};
use decisions::Decisions;
use documents::Documents;
use footprints::Footprints;
use installed::Installed;
use keys::Keys;
use lanes::Lanes;
use leases::Leases;
use operations::Operations;
use outcomes::Outcomes;
use queue::{Outbox, WorkQueue};
use reservations::Reservations;
use store::Store;
use sweeps::Sweeps;

/// The container that holds every document and lease.
pub const CONTAINER: &str = "hubward";

/// The queue of the `Work` function; the host adds `hubward-work-poison` itself.
pub const QUEUE: &str = "hubward-work";

/// The ledger's parts, all on one container and one queue.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// What each key wants and what of it is done.
    pub keys: Keys,
    /// One write at a time per lane.
    pub lanes: Lanes,
    /// The running operations of each key.
    pub operations: Operations,
    /// What each cluster needs from its hub.
    pub contributions: Contributions,
    /// What each cluster's wiring touches.
    pub footprints: Footprints,
    /// Which ingress address belongs to which cluster.
    pub reservations: Reservations,
    /// What people decided about clusters and hubs.
    pub decisions: Decisions,
    /// The events that were seen.
    pub archive: Archive,
    /// The last outcome of each key.
    pub outcomes: Outcomes,
    /// When this installation began.
    pub installed: Installed,
    /// The sweeps.
    pub sweeps: Sweeps,
    /// What Event Grid could not deliver.
    pub dead_letters: DeadLetters,
}

impl Ledger {
    /// Opens the ledger and makes its container and queue if they are not there.
    ///
    /// `transport` carries every request, each within [`crate::transport::REQUEST_TIMEOUT`]; retries are the caller's, by bringing the work again.
    ///
    /// # Errors
    /// [`LedgerError::Settings`] if a credential is missing, [`LedgerError::Storage`] if storage refuses or is not reached.
    pub async fn open(
        settings: StorageSettings,
        transport: Arc<dyn HttpClient>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LedgerError> {
        let ledger = Self::as_it_is(&settings, Arc::clone(&transport), Arc::clone(&clock))?;
        let (blobs, queue) = clients(&settings, transport, &clock)?;
        blobs.ensure_container().await?;
        queue.ensure_exists().await?;
        Ok(ledger)
    }

    /// The ledger of an installation as it is, for those who only read it: nothing is sent yet and nothing is made.
    ///
    /// # Errors
    /// [`LedgerError::Settings`] if a credential is missing, [`LedgerError::Storage`] if the SDK refuses an address.
    pub fn as_it_is(
        settings: &StorageSettings,
        transport: Arc<dyn HttpClient>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LedgerError> {
        let (blobs, queue) = clients(settings, Arc::clone(&transport), &clock)?;
        let account = Account {
            settings: settings.clone(),
            transport: Arc::new(Bounded::new(transport, Arc::clone(&clock))),
            clock: Arc::clone(&clock),
        };
        let mut ledger = Self::over(Arc::new(blobs), Arc::new(queue), clock);
        ledger.dead_letters = ledger.dead_letters.in_account(account);
        Ok(ledger)
    }

    /// The ledger over any store and outbox.
    #[must_use]
    pub fn over(store: Arc<dyn Store>, outbox: Arc<dyn Outbox>, clock: Arc<dyn Clock>) -> Self {
        let documents = Documents::new(Arc::clone(&store));
        let leases = Leases::new(store, Arc::clone(&clock));
        Self {
            keys: Keys::new(documents.clone(), leases.clone(), outbox, clock),
            lanes: Lanes::new(leases),
            operations: Operations::new(documents.clone()),
            contributions: Contributions::new(documents.clone()),
            footprints: Footprints::new(documents.clone()),
            reservations: Reservations::new(documents.clone()),
            decisions: Decisions::new(documents.clone()),
            archive: Archive::new(documents.clone()),
            outcomes: Outcomes::new(documents.clone()),
            installed: Installed::new(documents.clone()),
            sweeps: Sweeps::new(documents.clone()),
            dead_letters: DeadLetters::new(documents, None),
        }
    }
}

fn clients(
    settings: &StorageSettings,
    transport: Arc<dyn HttpClient>,
    clock: &Arc<dyn Clock>,
) -> Result<(Blobs, WorkQueue), LedgerError> {
    // The SDK's clients wait for an answer as long as the connection lives.
    let transport: Arc<dyn HttpClient> = Arc::new(Bounded::new(transport, Arc::clone(clock)));
    let blobs = Blobs::new(settings, Arc::clone(&transport), Arc::clone(clock))?;
    let queue = WorkQueue::new(settings, transport, Arc::clone(clock))?;
    Ok((blobs, queue))
}
