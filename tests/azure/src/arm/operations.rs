//! Long-running operations: what is under way, when it ends, and the signed URLs that ask after it.
//! An operation whose answer was lost still runs; one that has ended can be asked after for ever.

use crate::draws::Draws;
use crate::kinds::{Backend, Kind};
use crate::trace::Principal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// What an operation does when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The target becomes `Succeeded`; kinds add their own completion.
    Write { update: bool },
    /// The target disappears.
    Delete,
}

/// How an operation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    InProgress,
    Succeeded,
    Failed { code: String, message: String },
}

/// One long-running operation.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) id: Uuid,
    /// Order of start: operations that end at the same moment end in it.
    pub(crate) serial: u64,
    pub(crate) kind: Kind,
    pub(crate) target: String,
    pub(crate) effect: Effect,
    pub(crate) lanes: Vec<String>,
    /// Resources whose state shows this operation.
    pub(crate) marked: Vec<String>,
    pub(crate) subscription: String,
    pub(crate) location: String,
    pub(crate) started: OffsetDateTime,
    pub(crate) ends: OffsetDateTime,
    pub(crate) status: Status,
    /// Set by fault injection: the operation will end so.
    pub(crate) fails_with: Option<(String, String)>,
    pub(crate) principal: Principal,
    pub(crate) correlation: Uuid,
    pub(crate) client_request_id: String,
    pub(crate) url: String,
}

/// All operations, under way and ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operations {
    running: BTreeMap<Uuid, Operation>,
    ended: BTreeMap<Uuid, std::sync::Arc<Operation>>,
}

impl Operations {
    pub(crate) fn start(&mut self, operation: Operation) {
        self.running.insert(operation.id, operation);
    }

    pub(crate) fn find(&self, id: Uuid) -> Option<&Operation> {
        self.running
            .get(&id)
            .or_else(|| self.ended.get(&id).map(std::sync::Arc::as_ref))
    }

    /// The running operation that holds one of these lanes.
    pub(crate) fn holding(&self, lanes: &[String]) -> Option<&Operation> {
        self.running
            .values()
            .filter(|op| op.lanes.iter().any(|lane| lanes.contains(lane)))
            .min_by_key(|op| op.serial)
    }

    /// When the next operation ends.
    pub(crate) fn next_end(&self) -> Option<OffsetDateTime> {
        self.running.values().map(|operation| operation.ends).min()
    }

    /// Takes the next operation that ends at or before `now`, in order of its end.
    pub(crate) fn take_due(&mut self, now: OffsetDateTime) -> Option<Operation> {
        let id = self
            .running
            .values()
            .filter(|operation| operation.ends <= now)
            .min_by_key(|operation| (operation.ends, operation.serial))?
            .id;
        self.running.remove(&id)
    }

    pub(crate) fn remember_ended(&mut self, operation: Operation) {
        self.ended.insert(operation.id, std::sync::Arc::new(operation));
    }
}

impl Operation {
    /// The `Azure-AsyncOperation` URL. `host` is what the caller asked for, as ARM echoes it.
    pub(crate) fn status_url(&self, draws: Draws, host: &str) -> String {
        let word = match self.kind.facts().backend {
            Backend::Nfv => "nfvOperations",
            Backend::Nrp | Backend::Aks | Backend::Resources => "operations",
        };
        self.poll_url(draws, host, word)
    }

    /// The `Location` URL of a delete.
    pub(crate) fn result_url(&self, draws: Draws, host: &str) -> String {
        let word = match self.kind.facts().backend {
            Backend::Nfv => "nfvOperationResults",
            Backend::Aks => "operationresults",
            Backend::Nrp | Backend::Resources => "operationResults",
        };
        self.poll_url(draws, host, word)
    }

    fn poll_url(&self, draws: Draws, host: &str, word: &str) -> String {
        let query = self.poll_query(draws);
        let Self {
            id,
            subscription,
            location,
            ..
        } = self;
        match self.kind.facts().backend {
            Backend::Resources => format!("https://{host}/subscriptions/{subscription}/operationresults/{id}?{query}"),
            Backend::Aks => format!(
                "https://{host}/subscriptions/{subscription}/providers/Microsoft.ContainerService/locations/{location}/\
                 {word}/{id}?{query}"
            ),
            Backend::Nrp | Backend::Nfv => format!(
                "https://{host}/subscriptions/{subscription}/providers/Microsoft.Network/locations/{location}/{word}/\
                 {id}?{query}"
            ),
        }
    }

    /// The signed query, 3-4 kB, which must come back byte for byte [arm-behaviour 1: "Signed poll URLs"]. Its
    /// api-version is not the request's: AKS answers 2017-08-31.
    pub(crate) fn poll_query(&self, draws: Draws) -> String {
        let version = match self.kind.facts().backend {
            Backend::Aks => "2017-08-31",
            Backend::Resources => "2021-04-01",
            Backend::Nrp | Backend::Nfv => "2024-05-01",
        };
        let ticks = 621_355_968_000_000_000_i128 + self.started.unix_timestamp_nanos() / 100;
        let id = self.id;
        format!(
            "api-version={version}&t={ticks}&c=MII{}&s={}&h={}",
            draws.opaque(&format!("poll-c|{id}"), 2400),
            draws.opaque(&format!("poll-s|{id}"), 342),
            draws.opaque(&format!("poll-h|{id}"), 43)
        )
    }

    /// The body of an `Azure-AsyncOperation` poll: HTTP 200 even for a failure [arm-behaviour 1].
    pub(crate) fn status_body(&self) -> Value {
        let mut body = json!({});
        if self.kind.facts().backend == Backend::Aks {
            body["name"] = json!(self.id);
        }
        match &self.status {
            Status::InProgress => body["status"] = json!("InProgress"),
            Status::Succeeded => body["status"] = json!("Succeeded"),
            Status::Failed { code, message } => {
                body["status"] = json!("Failed");
                body["error"] = json!({"code": code, "message": message, "details": []});
            }
        }
        if self.kind.facts().backend == Backend::Aks {
            body["startTime"] = json!(rfc3339(self.started));
            if self.status != Status::InProgress {
                body["endTime"] = json!(rfc3339(self.ends));
            }
        }
        body
    }
}

/// A time as ARM bodies write it, UTC with `Z`.
pub(crate) fn rfc3339(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(&Rfc3339).unwrap_or_default()
}
