//! The wire between the product and the simulated Azure: an `HttpClient` that turns each request into a call of the state
//! machine, with a drawn latency on both ways. Hooks see every call before and after it and may lose it or end the process
//! there; the wire itself changes nothing.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request, StatusCode};
use azure_sim::{Azure, NoAnswer, Service};
use bytes::Bytes;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::Notify;

use crate::clock::Clock;

/// Port of the blob service in the connection string. Nothing listens there: the wire only tells services apart by it.
pub const BLOB_PORT: u16 = 10_000;
/// Port of the queue service in the connection string.
pub const QUEUE_PORT: u16 = 10_001;

/// The one Azure of a run, shared by wire, host and test.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<Azure>>);

impl Shared {
    /// Shares an Azure.
    #[must_use]
    pub fn new(azure: Azure) -> Self {
        Self(Arc::new(Mutex::new(azure)))
    }

    /// The Azure, for one moment; never to be kept across an await.
    pub fn lock(&self) -> MutexGuard<'_, Azure> {
        lock(&self.0)
    }
}

/// Whether a call is about to reach Azure or has been carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Azure has not seen it.
    Before,
    /// Azure has answered; the answer is not delivered yet.
    After,
}

/// A call as a hook sees it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Counts the calls of all services, from 1.
    pub index: u64,
    /// Before or after it was carried out.
    pub moment: Moment,
    /// Whom it is addressed to.
    pub service: Service,
    /// Method, as `GET`.
    pub method: &'a str,
    /// Path without query.
    pub path: &'a str,
    /// The status Azure answered with; 0 before.
    pub status: u16,
}

impl Call<'_> {
    /// True for an ARM call with this method whose path ends so, compared without case.
    #[must_use]
    pub fn is_arm(&self, method: &str, path_end: &str) -> bool {
        let path = self.path.to_ascii_lowercase();
        self.service == Service::Arm && self.method == method && path.ends_with(&path_end.to_ascii_lowercase())
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Goes,
    /// The product gets no answer; before, Azure never sees the request either.
    Lost,
    /// It goes on, but that much later.
    Slow(Duration),
    /// Neither an answer nor an error ever comes; before, Azure never sees the request either.
    Hangs,
    /// The process dies at this point.
    Dies,
}

type Hook = Box<dyn FnMut(&mut Azure, &Call<'_>) -> Fate + Send>;
type Watch = Box<dyn FnMut(&Azure, &str) + Send>;

/// The transport of the product.
pub struct Wire {
    azure: Shared,
    clock: Arc<dyn Clock>,
    seed: u64,
    state: Mutex<State>,
    /// Something was put into a queue.
    pub(super) queued: Notify,
    /// A hook ended the process.
    pub(super) died: Notify,
}

#[derive(Default)]
struct State {
    calls: u64,
    arm_calls: u64,
    hooks: Vec<Hook>,
    watches: Vec<Watch>,
    hooks_rest: bool,
    arm_is_cut_off: bool,
    borrowed_token: Option<String>,
}

impl Wire {
    pub(super) fn new(azure: Shared, clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self {
            azure,
            clock,
            seed,
            state: Mutex::new(State::default()),
            queued: Notify::new(),
            died: Notify::new(),
        }
    }

    /// Lets a hook see every call from here on, before and after it. The first hook that does not say [`Fate::Goes`] decides.
    pub fn hook(&self, hook: impl FnMut(&mut Azure, &Call<'_>) -> Fate + Send + 'static) {
        lock(&self.state).hooks.push(Box::new(hook));
    }

    /// Shows Azure to `watch` after every ARM write and after every event of Azure's own, with what just happened.
    pub fn watch(&self, watch: impl FnMut(&Azure, &str) + Send + 'static) {
        lock(&self.state).watches.push(Box::new(watch));
    }

    /// Takes all hooks away.
    pub fn unhook(&self) {
        lock(&self.state).hooks.clear();
    }

    /// Cuts ARM off, or lets it be reached again; identity and storage stay.
    pub fn cut_off_arm(&self, cut_off: bool) {
        lock(&self.state).arm_is_cut_off = cut_off;
    }

    /// From here on the product's ARM calls carry this token: the identity has been given other rights.
    pub fn lend_token(&self, token: String) {
        lock(&self.state).borrowed_token = Some(token);
    }

    /// How many calls were made, of all services.
    #[must_use]
    pub fn calls(&self) -> u64 {
        lock(&self.state).calls
    }

    /// How many calls were addressed to ARM, also those that did not reach it.
    #[must_use]
    pub fn arm_calls(&self) -> u64 {
        lock(&self.state).arm_calls
    }

    /// While the process starts no hook is asked: a crash there would only be another start.
    pub(super) fn rest_hooks(&self, rest: bool) {
        lock(&self.state).hooks_rest = rest;
    }

    pub(super) fn show(&self, azure: &Azure, what: &str) {
        for watch in &mut lock(&self.state).watches {
            watch(azure, what);
        }
    }

    async fn carry(&self, service: Service, request: http::Request<Bytes>) -> azure_core::Result<AsyncRawResponse> {
        let method = request.method().to_string();
        let path = request.uri().path().to_owned();
        let (index, cut_off) = self.count(service);
        let way = self.latency(index);
        self.clock.sleep(way).await;
        let mut call = Call {
            index,
            moment: Moment::Before,
            service,
            method: &method,
            path: &path,
            status: 0,
        };
        match self.fate(&call) {
            Fate::Goes if cut_off => return Err(broken(ErrorKind::Connection, "no way to ARM")),
            Fate::Goes => {}
            Fate::Slow(by) => self.clock.sleep(by).await,
            Fate::Hangs => return std::future::pending().await,
            Fate::Lost => return Err(broken(ErrorKind::Connection, "the connection was refused")),
            Fate::Dies => return self.die().await,
        }
        let answer = {
            let mut azure = self.azure.lock();
            let foreseen = azure.next_event();
            let answer = azure.handle(service, request, self.clock.now());
            // A read may be the first to bring about what was due; all else that changes Azure is a write.
            if (service == Service::Arm && method != "GET") || azure.next_event() != foreseen {
                self.show(&azure, &format!("{method} {path}"));
            }
            answer
        };
        call.moment = Moment::After;
        call.status = answer.status().as_u16();
        let fate = self.fate(&call);
        if service == Service::Queue && method == "POST" {
            self.queued.notify_one();
        }
        match fate {
            Fate::Dies => return self.die().await,
            Fate::Hangs => return std::future::pending().await,
            Fate::Slow(by) => self.clock.sleep(by).await,
            Fate::Goes | Fate::Lost => {}
        }
        self.clock.sleep(way).await;
        if fate == Fate::Lost || answer.extensions().get::<NoAnswer>().is_some() {
            return Err(broken(ErrorKind::Io, "the connection broke before the answer came"));
        }
        let mut headers = Headers::new();
        for (name, value) in answer.headers() {
            headers.insert(name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned());
        }
        let status = StatusCode::from(call.status);
        Ok(AsyncRawResponse::from_bytes(status, headers, answer.into_body()))
    }

    fn count(&self, service: Service) -> (u64, bool) {
        let mut state = lock(&self.state);
        state.calls += 1;
        let arm = service == Service::Arm;
        state.arm_calls += u64::from(arm);
        (state.calls, arm && state.arm_is_cut_off)
    }

    fn fate(&self, call: &Call<'_>) -> Fate {
        let mut hooks = {
            let mut state = lock(&self.state);
            if state.hooks_rest {
                return Fate::Goes;
            }
            std::mem::take(&mut state.hooks)
        };
        let mut fate = Fate::Goes;
        {
            let mut azure = self.azure.lock();
            for hook in &mut hooks {
                let said = hook(&mut azure, call);
                if fate == Fate::Goes {
                    fate = said;
                }
            }
        }
        let mut state = lock(&self.state);
        hooks.append(&mut state.hooks);
        state.hooks = hooks;
        fate
    }

    /// The process is dead: this call never returns, and whoever runs the process is told.
    async fn die(&self) -> azure_core::Result<AsyncRawResponse> {
        self.died.notify_one();
        std::future::pending().await
    }

    /// One way takes 5 to 36 ms, drawn from the seed and the number of the call, so that seeds differ in their interleavings.
    fn latency(&self, index: u64) -> Duration {
        let mut draw = self.seed.wrapping_add(index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        draw = (draw ^ (draw >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Duration::from_millis(5 + (draw >> 59))
    }
}

#[async_trait]
impl HttpClient for Wire {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let url = request.url();
        let service = match (url.host_str(), url.port()) {
            (Some("management.azure.com"), None) => Service::Arm,
            (Some("127.0.0.1"), Some(BLOB_PORT)) => Service::Blob,
            (Some("127.0.0.1"), Some(QUEUE_PORT)) => Service::Queue,
            _ => return Err(broken(ErrorKind::Other, &format!("nothing is at {url}"))),
        };
        let Body::Bytes(body) = request.body() else {
            return Err(broken(ErrorKind::Other, "the wire carries whole bodies only"));
        };
        let borrowed = lock(&self.state)
            .borrowed_token
            .clone()
            .filter(|_| service == Service::Arm);
        let mut copy = http::Request::builder()
            .method(request.method().as_ref())
            .uri(url.as_str());
        for (name, value) in request.headers().iter() {
            match &borrowed {
                Some(token) if name.as_str() == "authorization" => {
                    copy = copy.header("authorization", format!("Bearer {token}"));
                }
                Some(_) | None => copy = copy.header(name.as_str(), value.as_str()),
            }
        }
        if service == Service::Arm {
            copy = copy.header("host", "management.azure.com");
        }
        let copy = copy
            .body(body.clone())
            .map_err(|error| broken(ErrorKind::Other, &error.to_string()))?;
        self.carry(service, copy).await
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// Straight to Azure, without latency, hooks or counting: how a test looks into the ledger.
#[derive(Debug)]
pub(super) struct SideDoor {
    pub(super) azure: Shared,
    pub(super) clock: Arc<dyn Clock>,
}

#[async_trait]
impl HttpClient for SideDoor {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let still = Wire::new(self.azure.clone(), Arc::new(Still(self.clock.now())), 0);
        still.execute_request(request).await
    }
}

#[derive(Debug)]
struct Still(OffsetDateTime);

#[async_trait]
impl Clock for Still {
    fn now(&self) -> OffsetDateTime {
        self.0
    }

    async fn sleep(&self, _: Duration) {}
}

/// Gets its tokens from the identity endpoint of the simulated Azure.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) azure: Shared,
    pub(super) clock: Arc<dyn Clock>,
}

#[async_trait]
impl TokenCredential for Identity {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let failed = |what: &str| broken(ErrorKind::Credential, what);
        let scope = scopes.first().copied().unwrap_or_default();
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        let mut azure = self.azure.lock();
        let request = http::Request::builder()
            .uri(format!(
                "http://127.0.0.1/msi/token?resource={resource}&api-version=2019-08-01"
            ))
            .header("x-identity-header", &azure.world().identity_secret)
            .body(Bytes::new())
            .map_err(|error| failed(&error.to_string()))?;
        let answer = azure.handle(Service::Identity, request, self.clock.now());
        let body: Value = serde_json::from_slice(answer.body()).map_err(|error| failed(&error.to_string()))?;
        let token = body["access_token"].as_str().ok_or_else(|| failed("no access_token"))?;
        let expires = body["expires_on"].as_str().and_then(|text| text.parse().ok());
        let expires = expires.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        let expires = expires.ok_or_else(|| failed("expires_on is not a time in a text"))?;
        Ok(AccessToken::new(token.to_owned(), expires))
    }
}

fn broken(kind: ErrorKind, what: &str) -> azure_core::Error {
    azure_core::Error::with_message(kind, what.to_owned())
}

/// A panic elsewhere must not hide what there is to see.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
