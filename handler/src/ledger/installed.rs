//! When this installation began: written once, by whoever comes first, and never changed.
//!
//! A cluster that is older starts in `observe`. If the ledger is lost this time is written anew, so every cluster becomes
//! older and is only observed until an operator says otherwise: the safe side.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::documents::{Document, Documents};
use super::error::LedgerError;
use super::store::{Condition, Put};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Installation {
    #[serde(with = "time::serde::rfc3339")]
    installed_at: OffsetDateTime,
}

impl Document for Installation {
    const FOLDER: &'static str = "installation/";

    fn name(&self) -> String {
        NAME.to_owned()
    }
}

const NAME: &str = "installation/installed.json";

/// The time of installation in the ledger.
#[derive(Debug, Clone)]
pub struct Installed {
    documents: Documents,
}

impl Installed {
    /// The time of installation, kept as a document.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self { documents }
    }

    /// The time of installation; `now` is written if there is none. Of several at once, all get the first one's.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`], or [`LedgerError::Contended`] if it keeps vanishing.
    pub async fn at(&self, now: OffsetDateTime) -> Result<OffsetDateTime, LedgerError> {
        if let Some(at) = self.known().await? {
            return Ok(at);
        }
        match self
            .documents
            .write(&Installation { installed_at: now }, Condition::IfAbsent)
            .await?
        {
            Put::Stored(_) => Ok(now),
            Put::Conflict => self.known().await?.ok_or_else(|| LedgerError::Contended {
                name: NAME.to_owned(),
                attempts: 1,
            }),
        }
    }

    /// The time of installation, or `None` if this installation has not begun.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`].
    pub async fn known(&self) -> Result<Option<OffsetDateTime>, LedgerError> {
        let document = self.documents.read::<Installation>(NAME).await?;
        Ok(document.map(|(document, _)| document.installed_at))
    }
}
