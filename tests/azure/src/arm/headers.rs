//! ARM's response headers and body formats, per back end.
//! NRP pretty-prints with CRLF, everything else answers compact JSON [arm-behaviour 1: "Error body"].

use crate::arm::errors::{ArmError, Cause};
use crate::arm::request::ArmCall;
use crate::arm::throttle::{Operation, Verdict};
use crate::kinds::Backend;
use bytes::Bytes;
use http::Response;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

/// An answer before its common headers.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Option<Value>,
    pub(crate) backend: Backend,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The write was accepted and a firewall has to take it over.
    pub(crate) firewall_update: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, backend: Backend, body: Option<Value>) -> Self {
        Self {
            status,
            body,
            backend,
            headers: Vec::new(),
            firewall_update: false,
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A refusal as an answer.
    pub(crate) fn refusal(error: &ArmError) -> Self {
        let backend = if error.cause == Cause::Service {
            Backend::Nrp
        } else {
            Backend::Resources
        };
        let cause = if error.cause == Cause::Service {
            "service"
        } else {
            "gateway"
        };
        let mut reply = Self::new(error.status, backend, Some(error.body())).with("x-ms-failure-cause", cause);
        if let Some(seconds) = error.retry_after {
            reply = reply.with("retry-after", seconds.to_string());
        }
        reply
    }

    /// The whole HTTP answer.
    pub(crate) fn into_response(
        self,
        call: &ArmCall,
        quota: Option<(Operation, Verdict)>,
        location: &str,
        now: OffsetDateTime,
    ) -> Response<Bytes> {
        let mut builder = Response::builder()
            .status(self.status)
            .header("cache-control", "no-cache")
            .header("pragma", "no-cache")
            .header("expires", "-1")
            .header("strict-transport-security", "max-age=31536000; includeSubDomains")
            .header("x-content-type-options", "nosniff")
            .header("date", http_date(now))
            .header("x-ms-request-id", call.request_id.to_string())
            .header("x-ms-correlation-request-id", call.correlation.to_string())
            .header("x-ms-routing-request-id", routing_id(call, location, now));
        if let Some(client) = call.client_request_id.as_ref().filter(|_| call.wants_request_id_back) {
            builder = builder.header("x-ms-client-request-id", client);
        }
        if let Some((
            operation,
            Verdict::Allowed {
                remaining,
                global_remaining,
            },
        )) = quota
        {
            let word = operation.word();
            builder = builder
                .header(
                    format!("x-ms-ratelimit-remaining-subscription-{word}"),
                    remaining.to_string(),
                )
                .header(
                    format!("x-ms-ratelimit-remaining-subscription-global-{word}"),
                    global_remaining.to_string(),
                );
        }
        builder = match self.backend {
            Backend::Nrp => builder.header("server", "Microsoft-HTTPAPI/2.0").header(
                "x-ms-arm-service-request-id",
                uuid::Uuid::from_u128(!call.request_id.as_u128()).to_string(),
            ),
            Backend::Nfv => builder.header("server", "Microsoft-HTTPAPI/2.0"),
            Backend::Aks => builder.header("server", "nginx"),
            Backend::Resources => builder,
        };
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        let bytes = self
            .body
            .map_or_else(Bytes::new, |body| format_body(self.backend, &body));
        if !bytes.is_empty() {
            let content = if self.backend == Backend::Aks {
                "application/json"
            } else {
                "application/json; charset=utf-8"
            };
            builder = builder.header("content-type", content);
        }
        builder = builder.header("content-length", bytes.len().to_string());
        builder.body(bytes).unwrap_or_else(|_| Response::new(Bytes::new()))
    }
}

/// RFC 7231 date.
pub(crate) fn http_date(at: OffsetDateTime) -> String {
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    at.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default()
}

fn routing_id(call: &ArmCall, location: &str, now: OffsetDateTime) -> String {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let at = now.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default();
    format!("{}:{at}:{}", location.to_uppercase(), call.correlation)
}

fn format_body(backend: Backend, body: &Value) -> Bytes {
    let text = match backend {
        Backend::Nrp => serde_json::to_string_pretty(body).map(|text| text.replace('\n', "\r\n")),
        Backend::Nfv | Backend::Aks | Backend::Resources => serde_json::to_string(body),
    };
    Bytes::from(text.unwrap_or_default())
}
