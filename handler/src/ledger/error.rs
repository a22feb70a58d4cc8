//! What can go wrong in the ledger, one variant per cause.
//!
//! Conflicts that a caller is meant to handle (a stale ETag, a held lease) are results, not errors; what is here leaves the
//! work owed. Storage's own code and status are kept, because the SDK's message alone does not name them.

use super::account::SettingsError;
use super::documents::Damaged;
use crate::transport::in_one_line;

/// Why the ledger could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The storage settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Storage answered with an error or was not reached.
    #[error(
        "storage: {operation} {name} failed with {status} {code}: {reason}; the work stays owed and is tried again"
    )]
    Storage {
        /// What was asked, for example `put`.
        operation: &'static str,
        /// The blob, container or queue.
        name: String,
        /// The HTTP status, or `no answer`.
        status: String,
        /// Storage's error code, or empty.
        code: String,
        /// What the SDK says, with its causes and without the queries of URLs. The error itself is not kept, because it prints
        /// them.
        reason: String,
    },
    /// A document that is needed cannot be read.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// Others kept changing a document between our read and our write.
    #[error(
        "{name} was changed by others {attempts} times between read and write; the work stays owed and is tried again"
    )]
    Contended {
        /// The document.
        name: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// A document or message cannot be written as JSON.
    #[error("{name} cannot be written as JSON ({reason}); this is a bug")]
    NotJson {
        /// The document or message.
        name: String,
        /// What the serialiser found.
        reason: String,
    },
    /// A listing is larger than anything this product writes.
    #[error("{prefix} holds more than {limit} documents; move old ones away or narrow the range")]
    TooMany {
        /// The listed prefix.
        prefix: String,
        /// The most that is listed.
        limit: usize,
    },
}

impl LedgerError {
    /// An SDK error with what it belongs to.
    #[must_use]
    pub fn storage(operation: &'static str, name: &str, source: azure_core::Error) -> Self {
        Self::Storage {
            operation,
            name: name.to_owned(),
            status: source
                .http_status()
                .map_or_else(|| "no answer".to_owned(), |status| u16::from(status).to_string()),
            code: code_of(&source).unwrap_or_default().to_owned(),
            reason: in_one_line(&source),
        }
    }

    /// True if the same request may succeed later without anybody's help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Storage { .. } | Self::Contended { .. } => true,
            Self::Settings(_) | Self::Damaged(_) | Self::NotJson { .. } | Self::TooMany { .. } => false,
        }
    }
}

/// Storage's error code (`x-ms-error-code`), for example `BlobNotFound`.
pub(super) fn code_of(error: &azure_core::Error) -> Option<&str> {
    if let azure_core::error::ErrorKind::HttpResponse { error_code, .. } = error.kind() {
        error_code.as_deref()
    } else {
        None
    }
}

/// The HTTP status as a number; `None` if there was no answer.
pub(super) fn status_of(error: &azure_core::Error) -> Option<u16> {
    error.http_status().map(u16::from)
}
