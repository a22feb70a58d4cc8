//! The ledger over the official clients against simulated storage, in process and in virtual time.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its bench has failed")]

mod documents;
mod footprints;
mod keys;
mod reservations;
mod storage;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request, StatusCode};
use azure_sim::storage::{Kind, Storage};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hubward::arm::{Operation, PollStyle, WriteMethod};
use hubward::clock::{Clock, TokioClock};
use hubward::ledger::archive::ArchivedEvent;
use hubward::ledger::blobs::Blobs;
use hubward::ledger::keys::{BUSY_DELAY, Begin, FIRST_RETRY, Finish, KeyLease};
use hubward::ledger::operations::OperationRecord;
use hubward::ledger::outcomes::Outcome;
use hubward::ledger::queue::{WorkKind, WorkMessage};
use hubward::ledger::store::{Condition, Put, Store};
use hubward::ledger::{CONTAINER, Ledger, LedgerError, QUEUE, StorageSettings};
use hubward_core::ids::ResourceId;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

const KEY: &str = "aHVid2FyZC1sb2NhbC1rZXktZm9yLXRlc3RzLW9ubHk=";
const CLUSTER: &str = "/subscriptions/s/resourcegroups/g/providers/microsoft.containerservice/managedclusters/c";
const START: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

/// Carries requests to the simulated account without a socket; blob and queue differ by port.
#[derive(Debug)]
struct InProcess {
    storage: Mutex<Storage>,
    clock: Arc<TokioClock>,
}

#[async_trait]
impl HttpClient for InProcess {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut copy = axum::http::Request::builder()
            .method(request.method().as_ref())
            .uri(request.url().as_str());
        for (name, value) in request.headers().iter() {
            copy = copy.header(name.as_str(), value.as_str());
        }
        let Body::Bytes(body) = request.body() else {
            panic!("the ledger sends whole bodies")
        };
        let kind = match request.url().port() {
            Some(1) => Kind::Blob,
            Some(2) => Kind::Queue,
            other => panic!("no service listens on port {other:?}"),
        };
        let request = copy.body(body.clone()).unwrap();
        let answer = self.storage.lock().unwrap().handle(kind, &request, self.clock.now());
        let mut headers = Headers::new();
        for (name, value) in answer.headers() {
            headers.insert(name.as_str().to_owned(), value.to_str().unwrap().to_owned());
        }
        let status = StatusCode::from(answer.status().as_u16());
        Ok(AsyncRawResponse::from_bytes(status, headers, answer.into_body()))
    }
}

/// A transport that reaches nothing.
#[derive(Debug)]
struct Unreachable;

#[async_trait]
impl HttpClient for Unreachable {
    async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
        Err(azure_core::Error::with_message(
            azure_core::error::ErrorKind::Connection,
            "refused",
        ))
    }
}

struct Bench {
    ledger: Ledger,
    blobs: Blobs,
    transport: Arc<InProcess>,
    clock: Arc<TokioClock>,
}

fn settings(key: &str) -> StorageSettings {
    let text = format!(
        "DefaultEndpointsProtocol=http;AccountName=hubwardlocal;AccountKey={key};\
         BlobEndpoint=http://127.0.0.1:1/hubwardlocal;QueueEndpoint=http://127.0.0.1:2/hubwardlocal"
    );
    StorageSettings::from_env(&|name| (name == "AzureWebJobsStorage").then(|| text.clone())).unwrap()
}

impl Bench {
    async fn new() -> Self {
        let clock = Arc::new(TokioClock::new(START));
        let transport = Arc::new(InProcess {
            storage: Mutex::new(Storage::new("hubwardlocal", KEY)),
            clock: clock.clone(),
        });
        let ledger = Ledger::open(settings(KEY), transport.clone(), clock.clone())
            .await
            .unwrap();
        let blobs = Blobs::new(&settings(KEY), transport.clone(), clock.clone()).unwrap();
        Self {
            ledger,
            blobs,
            transport,
            clock,
        }
    }

    fn storage(&self) -> std::sync::MutexGuard<'_, Storage> {
        self.transport.storage.lock().unwrap()
    }

    /// The queued messages, as their reader will see them.
    fn messages(&self) -> Vec<WorkMessage> {
        self.storage().advance(self.clock.now());
        let texts = self.storage().queue_texts(QUEUE);
        texts
            .iter()
            .map(|text| {
                let json: Value = serde_json::from_slice(&BASE64_STANDARD.decode(text).unwrap()).unwrap();
                WorkMessage::from_json(&json).unwrap()
            })
            .collect()
    }

    async fn pass(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    async fn wish(&self) {
        self.ledger
            .keys
            .request(WorkKind::Spoke, CLUSTER, "event")
            .await
            .unwrap();
    }

    async fn begin(&self, message: &WorkMessage) -> Begin {
        self.ledger.keys.begin(message).await.unwrap()
    }

    async fn leased(&self, message: &WorkMessage) -> KeyLease {
        match self.begin(message).await {
            Begin::Lease(lease) => *lease,
            other @ (Begin::Idle | Begin::Busy) => panic!("{other:?}"),
        }
    }

    async fn damage(&self, name: &str, content: &'static str) {
        self.blobs
            .put(name, Bytes::from_static(content.as_bytes()), Condition::Any)
            .await
            .unwrap();
    }
}

fn fresh() -> WorkMessage {
    WorkMessage::fresh(WorkKind::Spoke, CLUSTER, "event")
}
