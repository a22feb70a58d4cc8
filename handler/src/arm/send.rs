//! One exchange with ARM: bearer token, correlation id, time-out, bounded answer, and the short retries.
//!
//! Repeats only what can do no harm: reads up to three times, writes only if the connection was never made or the token was
//! stale. Every pause in here is at most a few Azure seconds; a `Retry-After` goes back to the caller as it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use azure_core::error::ErrorKind;
use azure_core::http::headers::Headers;
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::http::{
    ClientOptions, Context, Method, Pipeline, PipelineStreamOptions, Request, RetryOptions, Transport,
};
use bytes::Bytes;
use url::Url;
use uuid::Uuid;

use super::client::ArmDeps;
use super::errors::ArmError;
use super::throttle::requested_pause;
use crate::clock::Clock;
use crate::transport::{in_one_line, in_time, whole};

const TRIES: u32 = 3;
/// First pause between tries; it doubles. Jitter takes up to half of it away.
const FIRST_PAUSE: Duration = Duration::from_millis(800);
/// Correlation ids are UUIDv5 under this namespace: the seed decides them, not the machine's randomness.
const CORRELATION: Uuid = Uuid::from_u128(0x1f0c_6c3e_8a52_5d0f_9f61_7a5e_41c7_0b2d);

/// An answer of ARM, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers; names are lower case.
    pub headers: Headers,
    /// The whole body, at most [`crate::transport::MAX_RESPONSE_BYTES`].
    pub body: Bytes,
    /// Our `x-ms-correlation-request-id`.
    pub correlation: String,
}

/// Sends requests through the Azure SDK's pipeline.
#[derive(Debug)]
pub struct Sender {
    pipeline: Pipeline,
    clock: Arc<dyn Clock>,
    seed: u64,
    calls: AtomicU64,
}

/// How one try ended without an answer.
struct Lost {
    reason: String,
    cause: Cause,
}

enum Cause {
    /// The token could not be had.
    Token,
    /// The request never left.
    NotSent,
    /// It may have left.
    Unsure,
    /// It can never leave, or its answer can never be taken.
    Never,
}

impl Sender {
    /// Builds the pipeline: the SDK's own bearer policy, none of its retries.
    pub fn new(deps: &ArmDeps) -> Self {
        let scope = format!("{}/.default", deps.endpoint.as_str().trim_end_matches('/'));
        let bearer = BearerTokenAuthorizationPolicy::new(deps.credential.clone(), [scope]);
        let options = ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(Transport::new(deps.transport.clone())),
            ..ClientOptions::default()
        };
        Self {
            pipeline: Pipeline::new(
                option_env!("CARGO_PKG_NAME"),
                option_env!("CARGO_PKG_VERSION"),
                options,
                Vec::new(),
                vec![Arc::new(bearer)],
                None,
            ),
            clock: deps.clock.clone(),
            seed: deps.seed,
            calls: AtomicU64::new(0),
        }
    }

    /// Sends one request and gives the answer, also if it is a refusal.
    ///
    /// # Errors
    /// [`ArmError::Unreachable`], [`ArmError::NoToken`], or [`ArmError::Unsendable`] if no answer could be had.
    pub async fn exchange(&self, method: Method, url: &Url, body: Option<Bytes>) -> Result<Answer, ArmError> {
        let draw = self.draw();
        // The only POST of this client is a query.
        let read = matches!(method, Method::Get | Method::Post);
        let mut tried = 0;
        loop {
            tried += 1;
            let outcome = self.attempt(method, url, body.clone(), draw).await;
            let again = tried < TRIES
                && match &outcome {
                    Ok(answer) => self.worth_repeating(read, tried, answer),
                    Err(lost) => match lost.cause {
                        Cause::Token | Cause::NotSent => true,
                        Cause::Unsure => read,
                        Cause::Never => false,
                    },
                };
            if !again {
                return outcome.map_err(|lost| lost.into_error(url, read));
            }
            self.clock.sleep(pause_before(tried, draw)).await;
        }
    }

    /// Waits for a few Azure seconds, as a quota asks.
    pub async fn pause(&self, span: Duration) {
        self.clock.sleep(span).await;
    }

    /// The present instant, in Azure time.
    pub fn now(&self) -> time::OffsetDateTime {
        self.clock.now()
    }

    async fn attempt(&self, method: Method, url: &Url, body: Option<Bytes>, draw: Uuid) -> Result<Answer, Lost> {
        let mut request = Request::new(url.clone(), method);
        request.insert_header("accept", "application/json");
        request.insert_header("x-ms-correlation-request-id", draw.to_string());
        if let Some(body) = body {
            request.insert_header("content-type", "application/json");
            request.set_body(body);
        }
        // The token is within the time too.
        in_time(self.clock.as_ref(), self.round_trip(&mut request, draw))
            .await
            .map_err(|error| Lost::from_sdk(&error))
    }

    async fn round_trip(&self, request: &mut Request, draw: Uuid) -> azure_core::Result<Answer> {
        let options = PipelineStreamOptions {
            skip_checks: true,
            ..PipelineStreamOptions::default()
        };
        let response = self.pipeline.stream(&Context::new(), request, Some(options)).await?;
        let (status, headers, stream) = response.deconstruct();
        Ok(Answer {
            status: u16::from(status),
            headers,
            body: whole(stream).await?,
            correlation: draw.to_string(),
        })
    }

    /// A read is repeated on 408 and 5xx, unless Azure names a pause: then the caller waits. A 401 has dropped the cached
    /// token, so one more try goes out with a fresh one; it was not carried out, whatever the method.
    fn worth_repeating(&self, read: bool, tried: u32, answer: &Answer) -> bool {
        match answer.status {
            401 => tried == 1,
            408 | 500..=599 => read && requested_pause(&answer.headers, self.clock.now()).is_none(),
            _ => false,
        }
    }

    /// One draw per call: its correlation id, and the jitter of its pauses.
    fn draw(&self) -> Uuid {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        Uuid::new_v5(&CORRELATION, format!("{}|{call}", self.seed).as_bytes())
    }
}

impl Lost {
    fn from_sdk(error: &azure_core::Error) -> Self {
        let cause = match error.kind() {
            ErrorKind::Connection => Cause::NotSent,
            ErrorKind::Credential => Cause::Token,
            ErrorKind::Io | ErrorKind::DataConversion | ErrorKind::HttpResponse { .. } => Cause::Unsure,
            // The bearer policy refuses a plain http endpoint, the loopback transport a foreign host.
            ErrorKind::Other => Cause::Never,
        };
        Self {
            reason: in_one_line(error),
            cause,
        }
    }

    fn into_error(self, url: &Url, read: bool) -> ArmError {
        let (target, reason) = (url.path().to_owned(), self.reason);
        match self.cause {
            Cause::Token => ArmError::NoToken { reason },
            Cause::NotSent => ArmError::Unreachable {
                target,
                reason,
                outcome_unknown: false,
            },
            Cause::Unsure => ArmError::Unreachable {
                target,
                reason,
                outcome_unknown: !read,
            },
            Cause::Never => ArmError::Unsendable { target, reason },
        }
    }
}

/// The pause after try number `tried`: doubling, with seeded jitter, so that many handlers do not come back together.
fn pause_before(tried: u32, draw: Uuid) -> Duration {
    let full = FIRST_PAUSE * (1 << (tried - 1));
    let byte = draw.as_bytes()[(tried as usize) % 16];
    full - (full / 2).mul_f64(f64::from(byte) / 255.0)
}
