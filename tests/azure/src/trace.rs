//! What was asked of ARM, by whom and with what answer: the record that tests and people read.
//! It is written for every call that reaches ARM, refused ones included, and never influences an answer.

use std::collections::BTreeMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// Who calls ARM.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Principal {
    /// Name for people, such as `handler`.
    pub name: String,
    /// Application (client) id.
    pub client_id: Uuid,
    /// Object id in the directory; claims of events carry it.
    pub object_id: Uuid,
}

/// What sort of call it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// GET of a resource or a list.
    Read,
    /// GET of an operation URL.
    Poll,
    /// Resource Graph query or `list*` POST: reads, although they are POSTs.
    Query,
    /// PUT, PATCH, DELETE or any other POST.
    Write,
}

/// One ARM call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Azure time of the call.
    pub at: OffsetDateTime,
    /// The caller; `None` when no valid token was sent.
    pub principal: Option<Principal>,
    /// HTTP method.
    pub method: http::Method,
    /// Path without query, as sent.
    pub path: String,
    /// HTTP status of the answer; for an answer that was dropped, the status it would have had.
    pub status: u16,
    /// ARM error code, if refused.
    pub error_code: Option<String>,
    /// Read, poll, query or write.
    pub kind: CallKind,
    /// True when the write was accepted and a firewall has to take it over.
    pub firewall_update: bool,
}

/// Totals of one principal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// GETs of resources and lists, and queries.
    pub reads: u64,
    /// GETs of operation URLs.
    pub polls: u64,
    /// PUT, PATCH, DELETE and POST calls, accepted or refused; queries are not among them.
    pub writes: u64,
    /// Accepted writes that a firewall had to take over.
    pub firewall_updates: u64,
    /// Calls answered 429.
    pub throttled: u64,
}

/// All calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    calls: Vec<Call>,
    counters: BTreeMap<Uuid, Counters>,
}

impl Trace {
    pub(crate) fn record(&mut self, call: Call) {
        if let Some(principal) = &call.principal {
            let counters = self.counters.entry(principal.object_id).or_default();
            match call.kind {
                CallKind::Read | CallKind::Query => counters.reads += 1,
                CallKind::Poll => counters.polls += 1,
                CallKind::Write => counters.writes += 1,
            }
            counters.firewall_updates += u64::from(call.firewall_update);
            counters.throttled += u64::from(call.status == 429);
        }
        self.calls.push(call);
    }

    pub(crate) fn calls(&self) -> &[Call] {
        &self.calls
    }

    pub(crate) fn counters(&self, principal: &Principal) -> Counters {
        self.counters.get(&principal.object_id).copied().unwrap_or_default()
    }
}
