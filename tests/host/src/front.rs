//! The host's own HTTP front: webhooks, administration and http functions, told apart by path.
//!
//! Every request is checked for its key before anything else happens. A host that has stopped answers 503 to all, as the
//! platform in front of a dead host does.

mod admin;
mod answer;
mod http_function;
mod keys;
mod route;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use bytes::Bytes;

use crate::discovery::{AuthLevel, Function, Trigger};
use crate::invoker::Invoker;
use crate::options::Keys;
use crate::supervisor::Phase;
use crate::tasks::Tasks;
use answer::plain;
pub(crate) use route::Route;

/// The platform's default limit of a request body, 100 MB.
const MAX_BODY: usize = 104_857_600;

/// What the front serves.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) functions: Vec<Function>,
    pub(crate) routes: Vec<Endpoint>,
    /// Why other functions did not load.
    pub(crate) errors: BTreeMap<String, String>,
    pub(crate) keys: Keys,
    pub(crate) invoker: Invoker,
    /// Invocations go on when their caller hangs up; they end with the host.
    pub(crate) invocations: Tasks,
    /// Id of this host, shown in its status.
    pub(crate) id: String,
}

/// One http function where it can be reached.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) route: Route,
    pub(crate) function: String,
    pub(crate) binding: String,
    pub(crate) methods: std::collections::BTreeSet<String>,
    pub(crate) auth: AuthLevel,
    /// Name of the `http` output.
    pub(crate) output: Option<String>,
    /// Raw forwarding instead of Data/Metadata.
    pub(crate) forwarded: bool,
}

/// A router that sends every request to [`Front`].
pub(crate) fn router(front: Front) -> Router {
    Router::new().fallback(serve).with_state(Arc::new(front))
}

async fn serve(State(front): State<Arc<Front>>, request: axum::extract::Request) -> Response {
    if matches!(front.invoker.handler.status().phase, Phase::Stopped(_)) {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "Function host is not running.");
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "");
    };
    let request = Request::from_parts(parts, body);
    let path = request.uri().path().trim_matches('/').to_owned();
    let segments: Vec<&str> = path.split('/').collect();
    let lower: Vec<String> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
    match lower.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [""] => plain(StatusCode::OK, "Your Functions app is up and running"),
        ["runtime", "webhooks", "eventgrid"] => webhook::serve(front, request).await,
        ["runtime", "webhooks", ..] => plain(StatusCode::NOT_FOUND, ""),
        ["admin", rest @ ..] => admin::serve(&front, rest, &segments, &request),
        _ => http_function::serve(front, request).await,
    }
}

impl Front {
    /// A loaded function by its name, which the host compares without case.
    fn function(&self, name: &str) -> Option<&Function> {
        self.functions
            .iter()
            .find(|function| function.name.eq_ignore_ascii_case(name))
    }

    fn event_grid(&self, name: &str) -> Option<(&Function, crate::Cardinality)> {
        let function = self.function(name)?;
        match function.trigger {
            Trigger::EventGrid { cardinality } => Some((function, cardinality)),
            Trigger::Queue { .. } | Trigger::Timer { .. } | Trigger::Http { .. } => None,
        }
    }

    /// Runs `work` to its end even if the caller of the request hangs up meanwhile.
    async fn detached<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (done, result) = tokio::sync::oneshot::channel();
        self.invocations.spawn(async move {
            // The caller may have hung up.
            let _ = done.send(work.await);
        });
        result.await.ok()
    }
}

/// The value of one query parameter; its name is compared without case.
fn query(request: &Request<Bytes>, name: &str) -> Option<String> {
    url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.into_owned())
}
