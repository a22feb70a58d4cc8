//! The life of one dequeued message: lease renewal while its invocation runs, then deletion, release or poison.
//!
//! The rules are `QueueProcessor`'s. Whoever lost the message meanwhile (its receipt no longer matches) does nothing
//! more; every other storage failure is logged and leaves the message to its lease.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::listener::Listener;
use super::storage::StorageError;
use crate::options::Level;
use crate::payload::{self, QueueMessage};

/// How long a message is out of sight while it is worked on, Azure time; renewed at half of it.
pub(super) const LEASE: Duration = Duration::from_secs(600);

/// Processes the messages of one listener.
#[derive(Debug)]
pub(super) struct Processor {
    pub(super) listener: Listener,
}

impl Processor {
    /// Takes one message to its end.
    pub(super) async fn process(&self, mut message: QueueMessage) {
        let settings = &self.listener.settings;
        if message.dequeue_count > settings.max_dequeue_count {
            // It was tried often enough by hosts that died before they could say so.
            return self.report("move to the poison queue", self.to_poison(&message).await);
        }
        let Some(body) = self.decode(&message.wire_text) else {
            let text = format!(
                "Message {} is not valid base64; it goes to the poison queue.",
                message.id
            );
            self.listener.invoker.log.host(Level::Error, text);
            return self.report("move to the poison queue", self.to_poison(&message).await);
        };
        let succeeded = self.invoke_with_renewal(&mut message, &body).await;
        if succeeded {
            self.report("delete", self.listener.queue.delete(&message).await);
        } else if self.listener.queue.poison().is_none() {
            let text = format!(
                "Message {} failed and is left to its lease: its queue has no poison queue.",
                message.id
            );
            self.listener.invoker.log.host(Level::Warning, text);
        } else if message.dequeue_count >= settings.max_dequeue_count {
            self.report("move to the poison queue", self.to_poison(&message).await);
        } else {
            let released = self
                .listener
                .queue
                .hide(&mut message, settings.visibility_timeout)
                .await;
            self.report("release", released);
        }
    }

    fn decode(&self, wire_text: &str) -> Option<Vec<u8>> {
        if self.listener.settings.base64 {
            STANDARD.decode(wire_text).ok()
        } else {
            Some(wire_text.as_bytes().to_vec())
        }
    }

    async fn invoke_with_renewal(&self, message: &mut QueueMessage, body: &[u8]) -> bool {
        let Listener {
            function,
            binding,
            binary,
            queue,
            invoker,
            ..
        } = &self.listener;
        let system = invoker.system(function);
        let envelope = payload::queue(binding, body, *binary, Some(message), &system);
        let reason = format!("New queue message detected on '{}'.", queue.name());
        let invocation = invoker.invoke(function, &reason, &envelope);
        tokio::pin!(invocation);
        let mut renewing = true;
        loop {
            tokio::select! {
                result = &mut invocation => return result.is_ok(),
                () = invoker.clock.sleep(LEASE / 2), if renewing => {
                    if let Err(error) = queue.hide(message, LEASE).await {
                        renewing = !error.lost_message();
                        invoker.log.host(Level::Warning, format!("Lease of message {} not renewed: {error}", message.id));
                    }
                }
            }
        }
    }

    /// Copies the message as it is on the wire, creates the poison queue if need be, deletes the original.
    async fn to_poison(&self, message: &QueueMessage) -> Result<(), StorageError> {
        let queue = &self.listener.queue;
        let Some(poison) = queue.poison() else { return Ok(()) };
        match poison.put(&message.wire_text).await {
            Err(error) if error.queue_missing() => {
                poison.create().await?;
                poison.put(&message.wire_text).await?;
            }
            other => other?,
        }
        let (function, id, to) = (&self.listener.function, &message.id, poison.name());
        let text = format!(
            "Message has reached MaxDequeueCount of {} or cannot be read. Moving message {id} of {function} to queue '{to}'.",
            self.listener.settings.max_dequeue_count
        );
        self.listener.invoker.log.host(Level::Warning, text);
        queue.delete(message).await
    }

    fn report(&self, action: &str, outcome: Result<(), StorageError>) {
        if let Err(error) = outcome.or_else(|error| if error.lost_message() { Ok(()) } else { Err(error) }) {
            let queue = self.listener.queue.name();
            self.listener.invoker.log.host(
                Level::Warning,
                format!("Could not {action} a message of '{queue}': {error}"),
            );
        }
    }
}
