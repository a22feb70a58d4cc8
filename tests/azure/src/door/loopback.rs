//! The loopback door: ARM and identity on one port, blob and queue on two more, and one task that lets time pass.
//! It binds and contacts 127.0.0.1 only. When it is dropped or shut down, ports and task go with it; the Azure stays.

use crate::azure::{Azure, Service};
use crate::door::clock::WallClock;
use crate::events::{Delivery, DeliveryOutcome};
use crate::faults::NoAnswer;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A served Azure. Dropping it closes the ports.
#[derive(Debug)]
pub struct Served {
    /// `http://127.0.0.1:PORT` of ARM.
    pub arm_url: String,
    /// `http://127.0.0.1:PORT/ACCOUNT` of the blob service.
    pub blob_url: String,
    /// `http://127.0.0.1:PORT/ACCOUNT` of the queue service.
    pub queue_url: String,
    /// What `IDENTITY_ENDPOINT` must be.
    pub identity_url: String,
    /// What `IDENTITY_HEADER` must be.
    pub identity_header: String,
    /// The clock everybody shares; its text form is for `HUBWARD_CLOCK`.
    pub clock: WallClock,
    tasks: Vec<JoinHandle<()>>,
}

/// The largest request body taken: ARM's own limit is 4 MB, blob uploads in one piece are small here.
const BODY_LIMIT: usize = 16 * 1024 * 1024;
/// Event Grid waits 30 s for an answer. The endpoint works in wall time, so the wait is not scaled.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(30);
/// How often the passing of time is looked at when nothing is foreseen: requests may foresee something at any moment.
const IDLE: Duration = Duration::from_millis(20);

#[derive(Clone)]
struct Door {
    azure: Arc<Mutex<Azure>>,
    clock: WallClock,
    service: Service,
}

/// Serves `azure` on three loopback ports until the answer is dropped.
///
/// # Errors
/// When a port cannot be bound or the HTTP client for deliveries cannot be made.
pub async fn serve(azure: Arc<Mutex<Azure>>, clock: WallClock) -> io::Result<Served> {
    let client = delivery_client()?;
    let (account, identity_header) = {
        let azure = lock(&azure);
        (
            azure.world().storage_account.clone(),
            azure.world().identity_secret.clone(),
        )
    };
    let mut tasks = Vec::new();
    let mut ports = Vec::new();
    for service in [Service::Arm, Service::Blob, Service::Queue] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        ports.push(listener.local_addr()?);
        let door = Door {
            azure: azure.clone(),
            clock,
            service,
        };
        let app = axum::Router::new().fallback(answer).with_state(door);
        tasks.push(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "a loopback port of the simulated Azure has closed");
            }
        }));
    }
    tasks.push(tokio::spawn(let_time_pass(azure, clock, client)));
    let url = |address: &SocketAddr| format!("http://{address}");
    Ok(Served {
        arm_url: url(&ports[0]),
        blob_url: format!("{}/{account}", url(&ports[1])),
        queue_url: format!("{}/{account}", url(&ports[2])),
        identity_url: format!("{}/msi/token", url(&ports[0])),
        identity_header,
        clock,
        tasks,
    })
}

impl Served {
    /// Closes the ports and stops time.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn answer(State(door): State<Door>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, BODY_LIMIT).await else {
        return status_only(413);
    };
    let identity = door.service == Service::Arm && parts.uri.path().starts_with("/msi/");
    let service = if identity { Service::Identity } else { door.service };
    let response = {
        let mut azure = lock(&door.azure);
        azure.set_wall_clock(OffsetDateTime::now_utc());
        azure.handle(service, http::Request::from_parts(parts, bytes), door.clock.now())
    };
    if response.extensions().get::<NoAnswer>().is_some() {
        return never_answered();
    }
    response.map(Body::from)
}

/// A body that breaks off before its promised length: the client sees a broken connection, not a status to trust.
fn never_answered() -> Response {
    let broken =
        futures::stream::once(async { Err::<bytes::Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset)) });
    let response = Response::builder()
        .status(200)
        .header("content-length", "1")
        .body(Body::from_stream(broken));
    response.unwrap_or_else(|_| status_only(500))
}

/// A client that trusts no certificate at all: it is for plain http on loopback, and with its own TLS settings it
/// needs no process-wide provider.
fn delivery_client() -> io::Result<reqwest::Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let tls = tls
        .map_err(io::Error::other)?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .timeout(DELIVERY_PATIENCE);
    builder
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(io::Error::other)
}

async fn let_time_pass(azure: Arc<Mutex<Azure>>, clock: WallClock, client: reqwest::Client) {
    loop {
        let next = lock(&azure).next_event();
        let wait = next.map_or(IDLE, |next| clock.wall_until(next).min(IDLE));
        tokio::time::sleep(wait).await;
        let due = lock(&azure).advance(clock.now());
        for delivery in due {
            tokio::spawn(deliver(azure.clone(), clock, client.clone(), delivery));
        }
    }
}

async fn deliver(azure: Arc<Mutex<Azure>>, clock: WallClock, client: reqwest::Client, delivery: Delivery) {
    let outcome = post(&client, &delivery).await;
    lock(&azure).delivered(delivery.id, outcome, clock.now());
}

/// POSTs to loopback endpoints only: anything else counts as unreachable.
async fn post(client: &reqwest::Client, delivery: &Delivery) -> DeliveryOutcome {
    if !is_plain_loopback(&delivery.url) {
        tracing::warn!(
            url = delivery.url,
            "an event endpoint that is not plain http on loopback is never contacted"
        );
        return DeliveryOutcome::NoAnswer;
    }
    let mut request = client.post(&delivery.url).body(delivery.body.clone());
    for (name, value) in &delivery.headers {
        request = request.header(name, value);
    }
    match request.send().await {
        Ok(response) => DeliveryOutcome::Status(response.status().as_u16()),
        Err(error) => {
            tracing::debug!(%error, "an event was not answered");
            DeliveryOutcome::NoAnswer
        }
    }
}

fn is_plain_loopback(text: &str) -> bool {
    let Ok(parsed) = url::Url::parse(text) else {
        return false;
    };
    let loopback = match parsed.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    parsed.scheme() == "http" && loopback
}

fn status_only(status: u16) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// The state stays usable after a panic elsewhere: each call leaves it whole.
fn lock(azure: &Mutex<Azure>) -> MutexGuard<'_, Azure> {
    azure.lock().unwrap_or_else(PoisonError::into_inner)
}
