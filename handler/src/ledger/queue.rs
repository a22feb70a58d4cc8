//! The work queue: small messages that say which key wants work and why, now or after a delay.
//!
//! A message carries no facts to act on, only where to look; its text is base64 of JSON, which is what the host's queue
//! trigger expects (`messageEncoding: base64`) and the SDK does not do. Waiting is a new message with a delay, never a
//! failed one, so nothing drifts into the poison queue by waiting.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::HttpClient;
use azure_storage_queue::models::{QueueClientSendMessageOptions, QueueMessage};
use azure_storage_queue::{QueueClient, QueueClientOptions};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::QUEUE;
use super::account::StorageSettings;
use super::blobs::{client, under};
use super::documents::VERSION;
use super::error::LedgerError;
use crate::clock::Clock;

/// The longest delay of a message: storage's own limit of 7 days.
pub const MAX_DELAY: Duration = Duration::from_secs(7 * 24 * 3600);

/// What is to be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkKind {
    /// A cluster and its spoke.
    Spoke,
    /// A hub's rules.
    Hub,
    /// A cluster that is gone.
    Offboard,
    /// Finding every cluster concerned and wishing a look at each.
    Sweep,
}

/// One message of the work queue.
///
/// Its member names avoid the host's own (`Id`, `DequeueCount`, `sys`...), because the host copies them over its metadata
/// [functions-host: queue trigger].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkMessage {
    /// What is to be worked on.
    pub kind: WorkKind,
    /// The key: a lower-cased resource id or a hub's name.
    pub key: String,
    /// Why, in words for the log.
    pub cause: String,
    /// In a message that continues work: its place in the chain. Absent in a fresh wish. See [`super::keys`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<u64>,
}

/// Why a message cannot be used. It will not become better: it is logged and done with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("work message cannot be read: {0}; another version of this app may have written it, run replay for its key")]
pub struct MessageError(String);

impl WorkMessage {
    /// A fresh wish.
    #[must_use]
    pub fn fresh(kind: WorkKind, key: &str, cause: &str) -> Self {
        Self {
            kind,
            key: key.to_owned(),
            cause: cause.to_owned(),
            turn: None,
        }
    }

    /// Reads the JSON of a message, as the queue trigger delivers it.
    ///
    /// # Errors
    /// [`MessageError`] for another version or shape.
    pub fn from_json(value: &Value) -> Result<Self, MessageError> {
        match value.get("version").and_then(Value::as_u64) {
            Some(VERSION) => Self::deserialize(value).map_err(|error| MessageError(error.to_string())),
            Some(version) => Err(MessageError(format!("version {version} is unknown"))),
            None => Err(MessageError("it has no version".to_owned())),
        }
    }

    /// The JSON of a message.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut value = serde_json::json!({
            "version": VERSION,
            "kind": self.kind,
            "key": self.key,
            "cause": self.cause,
        });
        if let Some(turn) = self.turn {
            value["turn"] = turn.into();
        }
        value
    }
}

/// Where messages are sent: the work queue, or a test's list.
#[async_trait]
pub trait Outbox: Debug + Send + Sync {
    /// Sends a message that becomes visible after `delay` Azure seconds (rounded up, at most [`MAX_DELAY`]).
    async fn send(&self, message: &WorkMessage, delay: Duration) -> Result<(), LedgerError>;
}

/// The queue `hubward-work`.
pub struct WorkQueue {
    queue: QueueClient,
}

impl WorkQueue {
    /// A client for the queue; nothing is sent yet.
    ///
    /// # Errors
    /// [`LedgerError::Settings`] if a credential is missing, [`LedgerError::Storage`] if the SDK refuses the address.
    pub fn new(
        settings: &StorageSettings,
        transport: Arc<dyn HttpClient>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LedgerError> {
        let (credential, client_options) = client(&settings.access, transport, clock)?;
        let options = QueueClientOptions {
            client_options,
            ..Default::default()
        };
        let queue = QueueClient::new(under(&settings.queue, QUEUE), credential, Some(options))
            .map_err(|error| LedgerError::storage("open queue", QUEUE, error))?;
        Ok(Self { queue })
    }

    /// Makes the queue if it is not there.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    pub async fn ensure_exists(&self) -> Result<(), LedgerError> {
        // Storage answers 204 if it is there already.
        self.queue
            .create(None)
            .await
            .map(|_| ())
            .map_err(|error| LedgerError::storage("create queue", QUEUE, error))
    }
}

impl Debug for WorkQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WorkQueue").field(&self.queue.url().as_str()).finish()
    }
}

#[async_trait]
impl Outbox for WorkQueue {
    async fn send(&self, message: &WorkMessage, delay: Duration) -> Result<(), LedgerError> {
        let failed = |error| LedgerError::storage("send", QUEUE, error);
        let body = QueueMessage {
            message_text: Some(BASE64_STANDARD.encode(message.to_json().to_string())),
        };
        let options = QueueClientSendMessageOptions {
            visibility_timeout: Some(whole_seconds(delay)),
            // Without end: by default a message is gone after 7 days, and a stopped app would lose its work.
            message_time_to_live: Some(-1),
            ..Default::default()
        };
        let content = body.try_into().map_err(failed)?;
        self.queue
            .send_message(content, Some(options))
            .await
            .map(|_| ())
            .map_err(failed)
    }
}

/// Rounded up, so that a message never comes before its time.
fn whole_seconds(delay: Duration) -> i32 {
    let seconds = delay.min(MAX_DELAY).as_millis().div_ceil(1000);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_says_what_it_said_and_uses_no_name_of_the_host() {
        let message = WorkMessage {
            turn: Some(3),
            ..WorkMessage::fresh(WorkKind::Spoke, "/subscriptions/s", "event")
        };
        let value = message.to_json();
        let expected = json!({"version": 1, "kind": "spoke", "key": "/subscriptions/s", "cause": "event", "turn": 3});
        assert_eq!(value, expected);
        assert_eq!(WorkMessage::from_json(&value), Ok(message));
        for reserved in [
            "id",
            "dequeuecount",
            "sys",
            "popreceipt",
            "expirationtime",
            "insertiontime",
            "nextvisibletime",
        ] {
            assert!(
                value
                    .as_object()
                    .unwrap()
                    .keys()
                    .all(|name| !name.eq_ignore_ascii_case(reserved))
            );
        }
    }

    #[test]
    fn messages_of_other_versions_and_shapes_are_refused() {
        for value in [
            json!(null),
            json!({"kind": "spoke", "key": "k", "cause": "c"}),
            json!({"version": 2, "kind": "spoke", "key": "k", "cause": "c"}),
            json!({"version": 1, "kind": "moon", "key": "k", "cause": "c"}),
            json!({"version": 1, "kind": "hub", "cause": "c"}),
        ] {
            assert!(WorkMessage::from_json(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn delays_are_rounded_up_and_bounded() {
        assert_eq!(whole_seconds(Duration::ZERO), 0);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(61)), 61);
        assert_eq!(whole_seconds(Duration::MAX), 604_800);
    }
}
