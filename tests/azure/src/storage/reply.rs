//! What the service says: a success with its headers, or a refusal with its code as header and XML body. Rendering adds
//! the headers every answer of Azure Storage carries, and takes the body from answers to HEAD and from 304.

use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::xml::escaped;

const RFC1123: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// A time as headers and XML carry it (RFC 1123, whole seconds).
pub(super) fn rfc1123(instant: OffsetDateTime) -> String {
    instant
        .to_offset(time::UtcOffset::UTC)
        .format(RFC1123)
        .unwrap_or_default()
}

/// A success.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// `ETag` (quoted) and `Last-Modified`.
    pub(super) fn version(self, etag: &str, modified: OffsetDateTime) -> Self {
        self.header("etag", format!("\"{etag}\""))
            .header("last-modified", rfc1123(modified))
    }

    pub(super) fn metadata(self, metadata: &std::collections::BTreeMap<String, String>) -> Self {
        metadata.iter().fold(self, |reply, (name, value)| {
            reply.header(&format!("x-ms-meta-{name}"), value)
        })
    }

    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    pub(super) fn xml(self, body: String) -> Self {
        self.header("content-type", "application/xml").body(Bytes::from(body))
    }
}

/// A refusal: status, Azure's error code and its sentence.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(super) fn authentication() -> Self {
        Self::new(
            403,
            "AuthenticationFailed",
            "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.",
        )
    }

    pub(super) fn condition_not_met(status: u16) -> Self {
        Self::new(
            status,
            "ConditionNotMet",
            "The condition specified using HTTP conditional header(s) is not met.",
        )
    }

    pub(super) fn invalid_header(name: &str, value: &str) -> Self {
        Self::new(
            400,
            "InvalidHeaderValue",
            format!("The value for one of the HTTP headers is not in the correct format: {name}: {value}."),
        )
    }

    pub(super) fn invalid_name() -> Self {
        Self::new(
            400,
            "InvalidResourceName",
            "The specified resource name contains invalid characters.",
        )
    }

    pub(super) fn invalid_xml() -> Self {
        Self::new(400, "InvalidXmlDocument", "XML specified is not syntactically valid.")
    }

    fn into_reply(self, request_id: &str, now: OffsetDateTime) -> Reply {
        let time = now
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap_or_default();
        let message = format!("{}\nRequestId:{request_id}\nTime:{time}", self.message);
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{}</Code><Message>{}</Message></Error>",
            self.code,
            escaped(&message)
        );
        Reply::new(self.status).header("x-ms-error-code", self.code).xml(body)
    }
}

/// The HTTP response for a result.
pub(super) fn render(
    result: Result<Reply, Refusal>,
    request: &http::Request<Bytes>,
    request_id: &str,
    now: OffsetDateTime,
) -> http::Response<Bytes> {
    let reply = result.unwrap_or_else(|refusal| refusal.into_reply(request_id, now));
    let bodiless = request.method() == http::Method::HEAD || reply.status == 304;
    let mut response = http::Response::new(if bodiless { Bytes::new() } else { reply.body });
    *response.status_mut() =
        http::StatusCode::from_u16(reply.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &reply.headers {
        insert(response.headers_mut(), name, value);
    }
    insert(response.headers_mut(), "x-ms-request-id", request_id);
    insert(response.headers_mut(), "date", &rfc1123(now));
    for echoed in ["x-ms-version", "x-ms-client-request-id"] {
        if let Some(value) = request.headers().get(echoed) {
            response.headers_mut().insert(echoed, value.clone());
        }
    }
    response
}

fn insert(headers: &mut http::HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), http::HeaderValue::try_from(value)) {
        headers.insert(name, value);
    }
}
