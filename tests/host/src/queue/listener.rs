//! Polls one queue for one function and hands each message to [`super::message`].
//!
//! Concurrency is the host's: `batchSize` messages at a time, the next batch when no more than `newBatchThreshold` are
//! still running. Storage errors are logged and waited out with the same back-off as an empty queue; they never end the
//! listener.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::backoff::Backoff;
use super::message::{LEASE, Processor};
use super::storage::{QueueClient, StorageError};
use crate::host_json::QueueSettings;
use crate::invoker::Invoker;
use crate::options::Level;

/// One queue trigger at work.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) function: String,
    pub(crate) binding: String,
    pub(crate) binary: bool,
    pub(crate) queue: QueueClient,
    pub(crate) settings: QueueSettings,
    pub(crate) invoker: Invoker,
}

impl Listener {
    /// Runs until it is aborted. Messages in flight are then left to their leases, as when a host dies.
    pub(crate) async fn run(self) {
        let invoker = self.invoker.clone();
        let (batch_size, threshold) = (self.settings.batch_size, self.settings.new_batch_threshold);
        let mut backoff = Backoff::new(self.settings.max_polling_interval);
        let processor = Arc::new(Processor { listener: self });
        let queue = &processor.listener.queue;
        let mut running = JoinSet::new();
        let mut found_since_wait = false;
        loop {
            let batch = match queue.receive(batch_size, LEASE).await {
                Ok(batch) => batch,
                Err(error) => {
                    processor.listener.recover(&error).await;
                    Vec::new()
                }
            };
            if batch.is_empty() {
                let wait = backoff.next(found_since_wait, invoker.draws.jitter());
                found_since_wait = false;
                invoker.clock.sleep(wait).await;
                continue;
            }
            found_since_wait = true;
            for message in batch {
                let processor = Arc::clone(&processor);
                running.spawn(async move { processor.process(message).await });
            }
            while running.try_join_next().is_some() {}
            while running.len() > threshold && running.join_next().await.is_some() {}
        }
    }

    /// A queue that is not there is made, so that a function of an empty account works at once.
    async fn recover(&self, error: &StorageError) {
        let name = self.queue.name();
        if !error.queue_missing() {
            self.invoker
                .log
                .host(Level::Warning, format!("Poll of queue '{name}' failed: {error}"));
            return;
        }
        let (level, text) = match self.queue.create().await {
            Ok(_) => (
                Level::Warning,
                format!(
                    "Queue '{name}' did not exist and was created; the real host would wait until somebody makes it."
                ),
            ),
            Err(error) => (Level::Error, format!("Queue '{name}' could not be created: {error}")),
        };
        self.invoker.log.host(level, text);
    }
}
