//! Requirements on the ARM client, against a scripted transport. Bodies and headers have the shape of recorded traffic.

mod graph;
mod lists;
mod operations;
mod reads;
mod recorded;
mod refusals;
mod transport;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request, StatusCode};
use hubward_core::ids::ResourceId;
use time::OffsetDateTime;
use time::macros::datetime;
use url::Url;

use super::*;
use crate::clock::Clock;

const NOW: OffsetDateTime = datetime!(2026-11-23 10:00:00 UTC);
const API: &str = "2024-07-01";
const VNET: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v";
const FIREWALL: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/azureFirewalls/fw";
const GROUP: &str =
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/firewallPolicies/p/ruleCollectionGroups/hubward";
/// A signed poll URL as Azure has sent them since 2023, with every character that a careless client re-encodes.
const SIGNED: &str = "https://management.azure.com/subscriptions/s/providers/Microsoft.Network/locations/westeurope/operations/\
                      812efa95-f28b?api-version=2021-08-01&t=638000&c=MIIH_-~Ab.%2B%2f+==&s=a+b~c-d_e=&h=%E2%82%AC*!";

/// What the far side does with one request.
enum Far {
    Answers(u16, Vec<(&'static str, String)>, Vec<u8>),
    Breaks(ErrorKind),
    Hangs,
}

/// A request as it reached the wire.
#[derive(Debug, Clone, PartialEq)]
struct Sent {
    line: String,
    body: String,
    headers: Vec<(String, String)>,
}

impl Sent {
    fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }
}

#[derive(Debug, Default)]
struct Wire {
    script: Mutex<VecDeque<Far>>,
    sent: Mutex<Vec<Sent>>,
}

impl std::fmt::Debug for Far {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Far")
    }
}

#[async_trait]
impl HttpClient for Wire {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let Body::Bytes(body) = request.body() else {
            panic!("a streamed body")
        };
        let mut headers: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned()))
            .collect();
        headers.sort();
        self.sent.lock().unwrap().push(Sent {
            line: format!("{} {}", request.method(), request.url()),
            body: String::from_utf8_lossy(body).into_owned(),
            headers,
        });
        let next = self.script.lock().unwrap().pop_front();
        match next.unwrap_or_else(|| panic!("unexpected request {}", request.url())) {
            Far::Answers(status, headers, body) => {
                let mut sent = Headers::new();
                for (name, value) in headers {
                    sent.insert(name, value);
                }
                Ok(AsyncRawResponse::from_bytes(StatusCode::from(status), sent, body))
            }
            Far::Breaks(kind) => Err(azure_core::Error::with_message(kind, "the wire broke")),
            Far::Hangs => std::future::pending().await,
        }
    }
}

#[derive(Debug)]
struct VirtualClock(Mutex<(OffsetDateTime, Vec<Duration>)>);

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> OffsetDateTime {
        self.0.lock().unwrap().0
    }

    async fn sleep(&self, azure: Duration) {
        let mut state = self.0.lock().unwrap();
        state.0 += azure;
        state.1.push(azure);
    }
}

#[derive(Debug)]
struct Token {
    given: Mutex<u32>,
    fails: bool,
}

#[async_trait]
impl TokenCredential for Token {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["https://management.azure.com/.default"]);
        let mut given = self.given.lock().unwrap();
        *given += 1;
        if self.fails {
            return Err(azure_core::Error::with_message(
                ErrorKind::Credential,
                "no such identity",
            ));
        }
        // The SDK compares expiry with the machine's clock.
        let expires = OffsetDateTime::now_utc() + time::Duration::hours(1);
        Ok(AccessToken::new(Secret::new(format!("token-{given}")), expires))
    }
}

/// A client on a scripted wire.
struct Bench {
    arm: Arm,
    wire: Arc<Wire>,
    clock: Arc<VirtualClock>,
}

impl Bench {
    fn new(script: Vec<Far>) -> Self {
        Self::with(script, 7, false)
    }

    fn with(script: Vec<Far>, seed: u64, token_fails: bool) -> Self {
        let wire = Arc::new(Wire {
            script: Mutex::new(script.into()),
            sent: Mutex::default(),
        });
        let clock = Arc::new(VirtualClock(Mutex::new((NOW, Vec::new()))));
        let arm = Arm::new(ArmDeps {
            endpoint: Url::parse("https://management.azure.com").unwrap(),
            credential: Arc::new(Token {
                given: Mutex::new(0),
                fails: token_fails,
            }),
            transport: wire.clone(),
            clock: clock.clone(),
            seed,
        });
        Self { arm, wire, clock }
    }

    fn sent(&self) -> Vec<Sent> {
        self.wire.sent.lock().unwrap().clone()
    }

    fn lines(&self) -> Vec<String> {
        self.sent().into_iter().map(|sent| sent.line).collect()
    }

    fn slept(&self) -> Vec<Duration> {
        self.clock.0.lock().unwrap().1.clone()
    }
}

fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

fn answer(status: u16, body: &str) -> Far {
    Far::Answers(status, Vec::new(), body.as_bytes().to_vec())
}

fn answer_with(status: u16, headers: &[(&'static str, &str)], body: &str) -> Far {
    let headers = headers
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    Far::Answers(status, headers, body.as_bytes().to_vec())
}

fn error(status: u16, code: &str, message: &str) -> Far {
    let body = serde_json::json!({"error": {"code": code, "message": message, "details": []}});
    answer(status, &body.to_string())
}

fn running(written: Written) -> Operation {
    match written {
        Written::Running(operation) => operation,
        Written::Done(body) => panic!("done at once with {body:?}"),
    }
}
