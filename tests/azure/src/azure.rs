//! The state machine itself: one Azure, asked with a time and never asking for it.
//! Everything due up to that time happens first, in order of time. It has no clock, task or socket; a clone is a
//! snapshot.

use crate::arm::operations::Operations;
use crate::arm::queries::Graph;
use crate::arm::request::ArmCall;
use crate::arm::throttle::Throttle;
use crate::directory::{Age, Directory};
use crate::documents::Documents;
use crate::draws::Draws;
use crate::events::{
    Delivery, DeliveryId, DeliveryOutcome, EventDraft, EventSource, EventSubscription, Outbox, Undelivered,
};
use crate::faults::{Fault, Faults};
use crate::identity::Tokens;
use crate::ids::ArmPath;
use crate::internet::Internet;
use crate::kinds::Kind;
use crate::person::Intent;
use crate::storage::{self, Storage};
use crate::store::{Store, text};
use crate::trace::{Call, Counters, Principal, Trace};
use crate::walk::{self, Inbound, Packet, Walk};
use crate::world::{AddressPool, Grant, World};
use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use time::OffsetDateTime;

/// A simulated Azure. `Clone` is a snapshot.
#[derive(Clone, Debug)]
pub struct Azure {
    pub(crate) world: Arc<World>,
    pub(crate) now: OffsetDateTime,
    pub(crate) wall: Option<OffsetDateTime>,
    pub(crate) draws: Draws,
    pub(crate) store: Store,
    pub(crate) operations: Operations,
    pub(crate) throttle: Throttle,
    pub(crate) faults: Faults,
    pub(crate) fail_next_operation: Option<(String, String)>,
    pub(crate) outbox: Outbox,
    pub(crate) graph: Graph,
    pub(crate) trace: Trace,
    pub(crate) internet: Internet,
    pub(crate) addresses: AddressPool,
    pub(crate) tokens: Tokens,
    pub(crate) directory: Directory,
    /// What the handler may do at present: `None` for everything.
    pub(crate) handler_rights: Option<Vec<Grant>>,
    pub(crate) intents: Vec<Intent>,
    pub(crate) write_counts: BTreeMap<String, u64>,
    pub(crate) storage: Storage,
    /// Counts calls and events; part of the names of their draws.
    pub(crate) serial: u64,
}

/// What a request is addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `management.azure.com`.
    Arm,
    /// The identity endpoint of the app.
    Identity,
    /// Blob storage of the one account.
    Blob,
    /// Queue storage of the one account.
    Queue,
}

impl Azure {
    /// An Azure as `world` describes it, at `now`. The seed decides every draw.
    pub fn new(world: World, seed: u64, now: OffsetDateTime) -> Self {
        let draws = Draws::new(seed);
        let mut azure = Self {
            now,
            wall: None,
            draws,
            store: Store::new(draws),
            operations: Operations::default(),
            throttle: Throttle::new(world.throttle),
            faults: Faults::default(),
            fail_next_operation: None,
            graph: Graph::default(),
            outbox: Outbox::new(draws, world.events),
            trace: Trace::default(),
            internet: world.internet.clone(),
            addresses: AddressPool::default(),
            tokens: Tokens::default(),
            directory: Directory::new(draws),
            handler_rights: world.handler_rights.clone(),
            intents: Vec::new(),
            write_counts: BTreeMap::new(),
            serial: 0,
            storage: Storage::new(&world.storage_account, &world.storage_key),
            world: Arc::new(world),
        };
        azure.furnish();
        azure
    }

    /// Answers one request at Azure time `now`, after everything that was due before it.
    pub fn handle(&mut self, service: Service, request: Request<Bytes>, now: OffsetDateTime) -> Response<Bytes> {
        self.run_until(now);
        match service {
            Service::Arm => self.arm(&request),
            Service::Identity => self.identity(&request),
            Service::Blob => self.storage.handle(storage::Kind::Blob, &request, self.now),
            Service::Queue => self.storage.handle(storage::Kind::Queue, &request, self.now),
        }
    }

    /// Walks a packet through what exists: the ground truth of reach and egress.
    pub fn walk(&self, packet: &Packet) -> Walk {
        walk::walk(&self.store, &self.internet, packet)
    }

    /// Walks a packet in from the internet through what exists, and its reply back.
    pub fn walk_inbound(&self, packet: &Inbound) -> Walk {
        walk::walk_inbound(&self.store, &self.internet, packet)
    }

    /// The storage account, for tests that look into it.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The storage account, for tests that change it by hand.
    pub fn storage_mut(&mut self) -> &mut Storage {
        &mut self.storage
    }

    /// When something next changes by itself: an operation ends, a person acts, a delivery is due.
    pub fn next_event(&self) -> Option<OffsetDateTime> {
        [self.next_change(), self.outbox.next_due()].into_iter().flatten().min()
    }

    /// Lets time pass to `to` and hands out the deliveries that are due. Each must be reported by
    /// [`Azure::delivered`].
    pub fn advance(&mut self, to: OffsetDateTime) -> Vec<Delivery> {
        self.run_until(to);
        self.outbox.take_due(self.now)
    }

    /// Reports how a delivery went; what failed is tried again on Event Grid's schedule.
    pub fn delivered(&mut self, id: DeliveryId, outcome: DeliveryOutcome, now: OffsetDateTime) {
        self.run_until(now);
        self.outbox.delivered(id, outcome, self.now);
    }

    /// Events Event Grid gave up on.
    pub fn undelivered(&self) -> &[Undelivered] {
        self.outbox.undelivered()
    }

    /// Adds an event subscription; only later events reach it.
    pub fn subscribe(&mut self, subscription: EventSubscription) {
        self.outbox.subscribe(subscription);
    }

    /// Somebody changes Azure by hand: the stored document changes at once, without event or operation. `change` sees
    /// what the owner wrote (`location`, `tags`, `properties`..), not what Azure adds when it answers. Nothing
    /// happens when there is no such resource.
    pub fn edit(&mut self, id: &str, change: impl FnOnce(&mut Value)) {
        let Some(found) = self.store.find_mut(id) else { return };
        change(&mut found.body);
        let (path, kind) = (found.path.clone(), found.kind);
        self.store.touch(path.key());
        if let (true, Some(parent)) = (kind.is_child(), path.parent()) {
            self.store.touch(parent.key());
        }
    }

    /// Somebody puts a resource there by hand, finished, without event or operation. False when the id names no
    /// kind that exists here.
    pub fn place(&mut self, id: &str, body: Value) -> bool {
        let Some(path) = ArmPath::parse(id) else { return false };
        let Some(kind) = Kind::of(&path).filter(|_| !path.is_collection()) else {
            return false;
        };
        if let Some(address) = text(&body, &["properties", "ipAddress"]).and_then(|address| address.parse().ok()) {
            self.addresses.reserve(address);
        }
        self.store.put(&path, kind, body, "Succeeded", self.now);
        self.enrol_identities(&path, Age::Old);
        true
    }

    /// Somebody takes a resource away by hand, with everything below it, without event or operation.
    pub fn erase(&mut self, id: &str) {
        if let Some(path) = ArmPath::parse(id) {
            self.remove(&path);
        }
    }

    /// A document as GET would render it.
    pub fn document(&self, id: &str) -> Option<Value> {
        self.store.get(id)
    }

    /// All documents, read-only: what the packet walk reads.
    pub fn documents(&self) -> &impl Documents {
        &self.store
    }

    /// Public names, the API servers of clusters included.
    pub fn internet(&self) -> &Internet {
        &self.internet
    }

    /// The world this Azure started from.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The latest Azure time seen.
    pub fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// Every ARM call, in order.
    pub fn trace(&self) -> &[Call] {
        self.trace.calls()
    }

    /// Totals of one principal.
    pub fn counters(&self, principal: &Principal) -> Counters {
        self.trace.counters(principal)
    }

    /// Asks for a fault.
    pub fn inject(&mut self, fault: Fault) {
        self.faults.add(fault);
    }

    /// Runs everything due up to `to`, in order of time. Time never runs backwards.
    pub(crate) fn run_until(&mut self, to: OffsetDateTime) {
        while let Some(next) = self.next_change().filter(|next| *next <= to) {
            self.now = self.now.max(next);
            if let Some(operation) = self.operations.take_due(self.now) {
                self.complete(operation);
            }
            self.run_intents();
            self.write_dead_letters();
        }
        self.now = self.now.max(to);
    }

    /// When something happens inside Azure, deliveries aside.
    fn next_change(&self) -> Option<OffsetDateTime> {
        let due = [
            self.operations.next_end(),
            self.next_intent(),
            self.outbox.next_dead_letter(),
        ];
        due.into_iter().flatten().min()
    }

    pub(crate) fn emit(&mut self, draft: EventDraft) {
        self.serial += 1;
        let id = self.draws.uuid(&format!("event|{}", self.serial));
        self.outbox.emit(draft, id, &self.world.subscription, self.world.tenant);
    }

    pub(crate) fn event_source(&self, call: &ArmCall, principal: &Principal) -> EventSource {
        EventSource {
            principal: principal.clone(),
            correlation: call.correlation,
            client_request_id: call
                .client_request_id
                .clone()
                .unwrap_or_else(|| call.request_id.to_string()),
            url: format!("https://{}{}?{}", call.host, call.raw_path, call.raw_query),
        }
    }

    fn furnish(&mut self) {
        let world = self.world.clone();
        for principal in [&world.handler, &world.person]
            .into_iter()
            .chain(&world.service_principals)
        {
            self.enrol_principal(principal);
        }
        for address in world.internet.names.values() {
            self.addresses.reserve(*address);
        }
        for (id, body) in &world.resources {
            if !self.place(id, body.clone()) {
                tracing::warn!(id, "the world names a resource of an unknown kind; it is left out");
            }
        }
    }
}
