//! Runs one invocation: waits for the handler, posts the body, judges the answer, enforces `functionTimeout`.
//!
//! A timeout kills the whole handler process, and every other invocation in it fails with a broken connection. There is
//! no cancellation and no retry here; triggers decide what a failure means.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use uuid::Uuid;

use crate::HOST_VERSION;
use crate::clock::AzureClock;
use crate::draws::Draws;
use crate::encoding::Envelope;
use crate::http_client::{LoopbackClient, SendError, chunked};
use crate::options::{Level, Log, LogSource};
use crate::payload::System;
use crate::reply::{Reply, Verdict, judge};
use crate::supervisor::{Handle, Phase};

/// Redirects a .NET HttpClient follows before it gives up.
const MAX_REDIRECTS: usize = 50;

/// Sends invocations to the handler.
#[derive(Debug, Clone)]
pub(crate) struct Invoker {
    pub(crate) handler: Handle,
    pub(crate) client: LoopbackClient,
    pub(crate) clock: AzureClock,
    pub(crate) draws: Arc<Draws>,
    pub(crate) log: Log,
    /// Azure time; `None` is unbounded.
    pub(crate) function_timeout: Option<Duration>,
    /// Wall time, from `customHandler.initializationTimeout`.
    pub(crate) initialization_timeout: Duration,
}

/// Why an invocation failed; to a trigger all are alike.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvocationError {
    #[error("The host has stopped: {0}")]
    HostStopped(String),
    #[error("Exception while executing function: {0}")]
    Failed(String),
    #[error("Timeout value of {0:?} was exceeded by function.")]
    TimedOut(Duration),
}

impl Invoker {
    /// The `sys` stamp of the next invocation of `function`.
    pub(crate) fn system(&self, function: &str) -> System {
        System {
            function: function.to_owned(),
            now: self.clock.now(),
            guid: self.draws.guid(),
        }
    }

    /// One Data/Metadata invocation.
    pub(crate) async fn invoke(
        &self,
        function: &str,
        reason: &str,
        envelope: &Envelope,
    ) -> Result<Reply, InvocationError> {
        let id = self.draws.guid();
        let body = Bytes::from(envelope.to_json());
        let work = async |port| {
            let response = self.post(function, id, port, body).await?;
            match judge(response.status(), response.headers(), response.body()) {
                Verdict::Success(reply) => Ok(reply),
                Verdict::Failure(text) => Err(InvocationError::Failed(text)),
                Verdict::Never => std::future::pending().await,
            }
        };
        let reply = self.run(function, reason, id, work).await?;
        for line in &reply.logs {
            self.log
                .line(LogSource::Function(function.to_owned()), Level::Information, line);
        }
        Ok(reply)
    }

    /// One forwarded http request: original method, path and query; any answer is a success.
    pub(crate) async fn forward(
        &self,
        function: &str,
        mut request: Request<Bytes>,
    ) -> Result<Response<Bytes>, InvocationError> {
        let id = self.draws.guid();
        let work = async |port| {
            let path = request
                .uri()
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned();
            *request.uri_mut() = handler_uri(port, &path)?;
            // The client names the host it connects to.
            request.headers_mut().remove(HOST);
            self.stamp(request.headers_mut(), id)?;
            self.client.send(request.map(Body::from)).await.map_err(broken)
        };
        self.run(
            function,
            "This function was programmatically called via the host APIs.",
            id,
            work,
        )
        .await
    }

    async fn run<T>(
        &self,
        function: &str,
        reason: &str,
        id: Uuid,
        work: impl AsyncFnOnce(u16) -> Result<T, InvocationError>,
    ) -> Result<T, InvocationError> {
        self.log.host(
            Level::Information,
            format!("Executing 'Functions.{function}' (Reason='{reason}', Id={id})"),
        );
        let started = Instant::now();
        let result = match self.port().await {
            Ok(port) => self.within_timeout(work(port)).await,
            Err(error) => Err(error),
        };
        let spent = started.elapsed().as_millis();
        match &result {
            Ok(_) => {
                let text = format!("Executed 'Functions.{function}' (Succeeded, Id={id}, Duration={spent}ms)");
                self.log.host(Level::Information, text);
            }
            Err(error) => {
                let text = format!("Executed 'Functions.{function}' (Failed, Id={id}, Duration={spent}ms): {error}");
                self.log.host(Level::Error, text);
            }
        }
        result
    }

    /// Waits while the handler starts: (3 + 1) start limits at most, then the host shuts itself down.
    async fn port(&self) -> Result<u16, InvocationError> {
        let settled = self.handler.wait_for(|status| status.phase != Phase::Starting);
        match tokio::time::timeout(4 * self.initialization_timeout, settled).await {
            Ok(Some(status)) => match status.phase {
                Phase::Initialized { port } => Ok(port),
                Phase::Stopped(reason) => Err(InvocationError::HostStopped(reason)),
                Phase::Starting => Err(InvocationError::HostStopped("the handler never started".to_owned())),
            },
            Ok(None) => Err(InvocationError::HostStopped("the host was dropped".to_owned())),
            Err(_) => {
                let reason = "The handler did not become ready in time. Shutting down Functions Host";
                self.log.host(Level::Error, reason);
                self.handler.stop(reason);
                Err(InvocationError::HostStopped(reason.to_owned()))
            }
        }
    }

    async fn within_timeout<T>(
        &self,
        work: impl Future<Output = Result<T, InvocationError>>,
    ) -> Result<T, InvocationError> {
        let Some(limit) = self.function_timeout else {
            return work.await;
        };
        match tokio::time::timeout(self.clock.wall(limit), work).await {
            Ok(result) => result,
            Err(_) => {
                self.handler.restart_after_timeout().await;
                Err(InvocationError::TimedOut(limit))
            }
        }
    }

    async fn post(&self, function: &str, id: Uuid, port: u16, body: Bytes) -> Result<Response<Bytes>, InvocationError> {
        let mut uri = handler_uri(port, &format!("/{function}"))?;
        let mut method = Method::POST;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = Request::new(Body::empty());
            if method == Method::POST {
                *request.body_mut() = chunked(body.clone());
                let json = HeaderValue::from_static("application/json; charset=utf-8");
                request.headers_mut().insert(CONTENT_TYPE, json);
            }
            *request.method_mut() = method.clone();
            *request.uri_mut() = uri.clone();
            self.stamp(request.headers_mut(), id)?;
            let response = self.client.send(request).await.map_err(broken)?;
            match redirect(&uri, &response) {
                Some(target) => uri = target,
                None => return Ok(response),
            }
            if !matches!(
                response.status(),
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
            ) {
                method = Method::GET;
            }
        }
        Err(InvocationError::Failed(format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// The headers every invocation carries. A forwarded client's own trace parent stays, and its user agent is followed
    /// by the host's; its copies of the host's own headers are replaced.
    fn stamp(&self, headers: &mut HeaderMap, id: Uuid) -> Result<(), InvocationError> {
        let host_agent = format!("Azure-Functions-Host/{HOST_VERSION}");
        let user_agent = match headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()) {
            Some(client) => format!("{client} {host_agent}"),
            None => host_agent,
        };
        let text = |text: &str| HeaderValue::from_str(text).map_err(|error| InvocationError::Failed(error.to_string()));
        headers.insert("x-azure-functions-hostversion", text(HOST_VERSION)?);
        headers.insert("x-azure-functions-invocationid", text(&id.hyphenated().to_string())?);
        headers.insert(USER_AGENT, text(&user_agent)?);
        headers
            .entry("traceparent")
            .or_insert(text(&self.draws.trace_parent())?);
        Ok(())
    }
}

fn handler_uri(port: u16, path: &str) -> Result<Uri, InvocationError> {
    format!("http://127.0.0.1:{port}{path}")
        .parse()
        .map_err(|error| InvocationError::Failed(format!("{path} is no request target: {error}")))
}

fn broken(error: SendError) -> InvocationError {
    InvocationError::Failed(format!("HttpRequestException: {error}"))
}

/// Where a 3xx answer points, resolved against the request; HttpClient ignores one without a usable `Location`.
fn redirect(from: &Uri, response: &Response<Bytes>) -> Option<Uri> {
    if !matches!(response.status().as_u16(), 300..=303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    url::Url::parse(&from.to_string())
        .ok()?
        .join(location)
        .ok()?
        .as_str()
        .parse()
        .ok()
}
