//! Which ingress address belongs to which cluster, one document per hub.
//!
//! The look at the hub writes it before it writes rules that use an address, and by ETag, so that two lookers never give one
//! address to two clusters. A lost document is found again in the hub's DNAT rules, but for the quarantines.

use azure_core::http::Etag;
use hubward_core::blueprint::Reservations as Table;
use serde::{Deserialize, Serialize};

use super::documents::{Document, Documents, digest};
use super::error::LedgerError;
use super::store::{Condition, Put};

/// The document of a hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OfHub {
    hub: String,
    #[serde(flatten)]
    table: Table,
}

impl Document for OfHub {
    const FOLDER: &'static str = "reservations/";

    fn name(&self) -> String {
        name_of(&self.hub)
    }
}

/// The reservations in the ledger.
#[derive(Debug, Clone)]
pub struct Reservations {
    documents: Documents,
}

/// A hub's reservations as they were read.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Who has which address.
    pub table: Table,
    version: Option<Etag>,
}

impl Reservations {
    /// Reservations kept as documents.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self { documents }
    }

    /// The reservations of a hub; nothing is reserved in one without a document.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn of_hub(&self, hub: &str) -> Result<Kept, LedgerError> {
        let document = self.documents.read::<OfHub>(&name_of(hub)).await?;
        Ok(match document {
            Some((document, etag)) => Kept {
                table: document.table,
                version: Some(etag),
            },
            None => Kept {
                table: Table::default(),
                version: None,
            },
        })
    }

    /// Replaces what was read; false if somebody else replaced it meanwhile, and then nothing is written.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    pub async fn replace(&self, hub: &str, read: &Kept, table: &Table) -> Result<bool, LedgerError> {
        let document = OfHub {
            hub: hub.to_owned(),
            table: table.clone(),
        };
        let condition = match &read.version {
            Some(etag) => Condition::IfMatch(etag.clone()),
            None => Condition::IfAbsent,
        };
        let put = self.documents.write(&document, condition).await?;
        Ok(matches!(put, Put::Stored(_)))
    }
}

fn name_of(hub: &str) -> String {
    format!("{}{}.json", OfHub::FOLDER, digest(hub))
}
