//! Event Grid's side of the stage: deliveries become invocations of `ClusterEvents`, and their outcomes go back. Whatever was
//! handed out is kept, so that it can be looked at and sent once more.

use std::sync::{Arc, Mutex, PoisonError};

use azure_sim::{Delivery, DeliveryId, DeliveryOutcome};
use serde_json::Value;

use super::host::Flight;
use super::{Stage, StageError, TO_CLUSTER_EVENTS, TO_NOBODY, envelope};

/// What was handed out so far.
#[derive(Default)]
pub(super) struct Delivered {
    /// Every event body, by the endpoint it was for.
    bodies: Vec<(String, Value)>,
    /// Every delivery.
    ids: Arc<Mutex<Vec<DeliveryId>>>,
}

impl Stage {
    /// Sends an event, or an array of events as one batch, to `ClusterEvents`; it is not sent again if it fails.
    ///
    /// # Errors
    /// [`StageError::NoApp`] while no app is running.
    pub fn send_event(&mut self, body: &Value) -> Result<(), StageError> {
        self.invoke_events(vec![body.clone()], None)
    }

    /// The deliveries that were handed out so far, kept up to date.
    #[must_use]
    pub fn handed_out(&self) -> Arc<Mutex<Vec<DeliveryId>>> {
        Arc::clone(&self.host.delivered.ids)
    }

    /// Event bodies that Event Grid has handed out for the product, single events in the order of delivery.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.bodies(TO_CLUSTER_EVENTS)
    }

    /// The same events as CloudEvents 1.0, which went to nobody.
    #[must_use]
    pub fn cloud_events(&self) -> Vec<Value> {
        self.bodies(TO_NOBODY)
    }

    pub(super) fn hand_out_deliveries(&mut self) -> Result<(), StageError> {
        let now = self.now();
        let due = {
            let mut azure = self.azure.lock();
            let foreseen = azure.next_event();
            let due = azure.advance(now);
            if azure.next_event() != foreseen {
                self.wire.show(&azure, "time passed");
            }
            due
        };
        due.into_iter().try_for_each(|delivery| self.take(&delivery))
    }

    fn take(&mut self, delivery: &Delivery) -> Result<(), StageError> {
        let ids = &self.host.delivered.ids;
        ids.lock().unwrap_or_else(PoisonError::into_inner).push(delivery.id);
        let events = match serde_json::from_slice(&delivery.body)? {
            Value::Array(events) => events,
            event @ (Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                vec![event]
            }
        };
        let bodies = events.iter().map(|event| (delivery.url.clone(), event.clone()));
        self.host.delivered.bodies.extend(bodies);
        let wanted = delivery.url == TO_CLUSTER_EVENTS;
        if wanted && self.app.is_some() {
            return self.invoke_events(events, Some(delivery.id));
        }
        let outcome = if wanted {
            DeliveryOutcome::NoAnswer
        } else {
            DeliveryOutcome::Status(200)
        };
        self.azure.lock().delivered(delivery.id, outcome, self.now());
        Ok(())
    }

    /// One invocation per event of a delivery, as `cardinality: one` means [functions-host: 2.3].
    fn invoke_events(&mut self, events: Vec<Value>, delivery: Option<DeliveryId>) -> Result<(), StageError> {
        let app = self.app.clone().ok_or(StageError::NoApp("an event was sent"))?;
        let now = self.now();
        let bodies = events.iter().map(|event| envelope::event(event, now)).collect();
        self.host.launch(app, "ClusterEvents", bodies, Flight::Events(delivery));
        Ok(())
    }

    fn bodies(&self, endpoint: &str) -> Vec<Value> {
        let delivered = self.host.delivered.bodies.iter();
        delivered
            .filter(|(url, _)| url == endpoint)
            .map(|(_, body)| body.clone())
            .collect()
    }
}
