//! The HTTP server that the Functions host starts and probes.
//!
//! It binds first and initialises behind a shared future, so the probe `GET /` is answered while invocations wait for the
//! app. It never returns success: whatever ends it is a [`ServeError`], which `main` turns into exit code 1. A panic of one
//! invocation stays in that invocation; a panic of the initialisation ends the process, so that the host starts another.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{any, get, post};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tracing::Instrument;

use super::{Call, Functions, Invocation, Reply, answer, envelope};

/// The largest request body, in bytes. Event Grid batches reach 1 MB and are encoded twice; axum's own limit is 2 MiB.
pub const MAX_BODY: usize = 8 * 1024 * 1024;

/// The header with the host's id of an attempt.
const INVOCATION_ID: &str = "x-azure-functions-invocationid";

/// The longest invocation id that is logged; the host's are GUIDs.
const MAX_ID: usize = 64;

/// What ended the server. There is no good end: exit code 0 would never be restarted.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port is taken or not allowed.
    #[error(
        "127.0.0.1:{port} cannot be bound ({source}); the Functions host sets FUNCTIONS_CUSTOMHANDLER_PORT to a free port"
    )]
    Bind {
        /// The port.
        port: u16,
        /// What the system answered.
        source: std::io::Error,
    },
    /// Signals cannot be listened for.
    #[error("signals cannot be listened for ({0}); the process has too few file handles or is restricted")]
    Signals(#[source] std::io::Error),
    /// The server stopped by itself.
    #[error("the HTTP server ended ({0}); the Functions host starts this process again")]
    Ended(String),
    /// The app's initialisation panicked.
    #[error("the app did not start: {0}; the panic above names the place")]
    Initialisation(String),
    /// Someone asked the process to stop: a terminal, a container; the Functions host itself only kills
    /// [functions-host: shutdown].
    #[error("stopped by {0}; invocations in flight come again from their triggers")]
    Signal(&'static str),
}

/// The app once it is initialised, or the message of the panic that kept it from it.
type App = Shared<BoxFuture<'static, Result<Arc<dyn Functions>, String>>>;

/// Serves the functions on `127.0.0.1:port` until something ends the process.
///
/// The socket is bound before `init` runs: the host polls `GET /` every 25 ms and counts a late answer as a crash.
///
/// # Errors
/// Always [`ServeError`]: there is no successful end.
pub async fn serve<F, Fut>(port: u16, init: F) -> Result<Infallible, ServeError>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = Arc<dyn Functions>> + Send + 'static,
{
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .map_err(|source| ServeError::Bind { port, source })?;
    let signal = stop_signal().map_err(ServeError::Signals)?;
    let app = share(init());
    let starting = {
        let app = app.clone();
        async move {
            match app.await {
                Ok(_) => std::future::pending().await,
                Err(panic) => ServeError::Initialisation(panic),
            }
        }
    };
    tokio::select! {
        biased;
        name = signal => Err(ServeError::Signal(name)),
        error = starting => Err(error),
        ended = axum::serve(listener, routes(app)).into_future() => {
            Err(ServeError::Ended(ended.err().map_or_else(|| "without an error".to_owned(), |error| error.to_string())))
        }
    }
}

/// The routes over an app that `init` makes: what [`serve`] serves, without a socket. `init` runs with the first invocation.
pub fn router<Fut>(init: Fut) -> Router
where
    Fut: Future<Output = Arc<dyn Functions>> + Send + 'static,
{
    routes(share(init))
}

fn share<Fut>(init: Fut) -> App
where
    Fut: Future<Output = Arc<dyn Functions>> + Send + 'static,
{
    AssertUnwindSafe(init)
        .catch_unwind()
        .map(|made| made.map_err(|panic| panic_text(&*panic)))
        .boxed()
        .shared()
}

fn routes(app: App) -> Router {
    Router::new()
        .route("/", get(probe))
        .route("/{function}", post(invoke))
        .route("/api/{function}", any(forwarded))
        .fallback(unknown_address)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(app)
}

/// The host's start-up probe and monitor: any answer will do, at once.
async fn probe() -> Response {
    answer::of(Reply::Done { logs: Vec::new() })
}

async fn unknown_address(uri: Uri) -> Response {
    answer::error(StatusCode::NOT_FOUND, &format!("there is nothing at {}", uri.path()))
}

async fn wrong_method() -> Response {
    answer::error(StatusCode::METHOD_NOT_ALLOWED, "the host calls functions by POST")
}

async fn invoke(
    State(app): State<App>,
    Path(function): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let id = invocation_id(&headers);
    let span = tracing::info_span!("invocation", %id, function = %clip(&function));
    async move {
        let body = match body {
            Ok(body) => body,
            Err(rejection) => return refused(rejection.status(), &rejection.body_text()),
        };
        let functions = match started(app, &function, |functions| functions.names()).await {
            Ok(functions) => functions,
            Err(response) => return response,
        };
        let invocation = match envelope::open(id, function, &body) {
            Ok(invocation) => invocation,
            Err(error) => return refused(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        match reply(functions.as_ref(), invocation).await {
            Reply::Failed { reason } => refused(StatusCode::INTERNAL_SERVER_ERROR, &reason),
            done @ (Reply::Done { .. } | Reply::Http { .. }) => answer::of(done),
        }
    }
    .instrument(span)
    .await
}

/// A client's own request, which the host forwards with its path.
async fn forwarded(
    State(app): State<App>,
    Path(function): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let id = invocation_id(&headers);
    let span = tracing::info_span!("request", %id, function = %clip(&function));
    async move {
        let body = match body {
            Ok(body) => body,
            Err(rejection) => return refused(rejection.status(), &rejection.body_text()),
        };
        let functions = match started(app, &function, |functions| functions.http_names()).await {
            Ok(functions) => functions,
            Err(response) => return response,
        };
        let invocation = Call::forwarded(&method, &uri, &body).invocation(id, &function);
        match reply(functions.as_ref(), invocation).await {
            Reply::Failed { reason } => refused(StatusCode::INTERNAL_SERVER_ERROR, &reason),
            done @ (Reply::Done { .. } | Reply::Http { .. }) => answer::passed_through(done),
        }
    }
    .instrument(span)
    .await
}

/// The app's functions, once it is initialised and if one of `names` is called.
async fn started(
    app: App,
    function: &str,
    names: impl Fn(&dyn Functions) -> &[&'static str],
) -> Result<Arc<dyn Functions>, Response> {
    let functions = app.await.map_err(|panic| {
        refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("the app did not start: {panic}"),
        )
    })?;
    let names = names(functions.as_ref());
    if names.contains(&function) {
        return Ok(functions);
    }
    let reason = format!("there is no function {function:?}, only {}", names.join(", "));
    Err(refused(StatusCode::NOT_FOUND, &reason))
}

/// What the function replies; a panic of it is a failure.
async fn reply(functions: &dyn Functions, invocation: Invocation) -> Reply {
    let reply = AssertUnwindSafe(functions.invoke(invocation)).catch_unwind().await;
    reply.unwrap_or_else(|panic| Reply::Failed {
        reason: format!("panicked: {}", panic_text(&*panic)),
    })
}

/// A failure, logged here because the host drops the body of every answer that is not 2xx.
fn refused(status: StatusCode, reason: &str) -> Response {
    tracing::error!(status = status.as_u16(), reason, "invocation failed");
    answer::error(status, reason)
}

fn invocation_id(headers: &HeaderMap) -> String {
    let given = headers.get(INVOCATION_ID).and_then(|value| value.to_str().ok());
    clip(given.unwrap_or("not-given"))
}

fn clip(text: &str) -> String {
    text.chars().take(MAX_ID).collect()
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

/// Listens from the call on, so that a signal during the start is not missed; resolves to the signal's name.
fn stop_signal() -> std::io::Result<impl Future<Output = &'static str>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            biased;
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}
