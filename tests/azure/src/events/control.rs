//! The hands of a story on Event Grid: events held back, let go, sent again, and the list of all that were told. None of it
//! changes what an event says.

use crate::azure::Azure;
use time::OffsetDateTime;
use uuid::Uuid;

/// One event that Azure told, whether anybody subscribed to it or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmittedEvent {
    /// Its id, the same in every delivery and copy.
    pub id: Uuid,
    /// Such as `Microsoft.Resources.ResourceWriteSuccess`.
    pub event_type: String,
    /// Such as `Microsoft.ContainerService/managedClusters/write`.
    pub operation_name: String,
    /// The resource's id, as its provider spells it.
    pub subject: String,
    /// Azure time of what it tells.
    pub at: OffsetDateTime,
}

impl Azure {
    /// Every event so far, in order.
    pub fn emitted_events(&self) -> Vec<&EmittedEvent> {
        self.outbox.emitted().collect()
    }

    /// Holds back deliveries, those under way and those to come, until [`Azure::release_events`]. `what` is part of an
    /// event's id or of its subject, compared without case; `all` holds back everything.
    pub fn withhold_events(&mut self, what: &str) {
        self.outbox.withhold(what);
    }

    /// Lets go of everything held back; it is due at once, in no promised order.
    pub fn release_events(&mut self) {
        self.outbox.release(self.now);
    }

    /// Sends an event once more to everybody who wants it, with the same id and content. False if none was told by this
    /// id.
    pub fn send_again(&mut self, id: Uuid) -> bool {
        let (account, tenant) = (self.world.subscription.clone(), self.world.tenant);
        self.outbox.send_again(id, &account, tenant, self.now)
    }
}

/// What is held back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Withheld {
    patterns: Vec<String>,
}

impl Withheld {
    pub(crate) fn add(&mut self, what: &str) {
        self.patterns.push(what.to_lowercase());
    }

    pub(crate) fn holds(&self, event: &EmittedEvent) -> bool {
        self.patterns.iter().any(|pattern| {
            pattern == "all"
                || event.id.to_string().contains(pattern.as_str())
                || event.subject.to_lowercase().contains(pattern.as_str())
        })
    }
}
