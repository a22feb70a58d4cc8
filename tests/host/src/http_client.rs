//! The host's only way out: plain HTTP to a loopback address. Any other address is refused before a socket is opened.
//! Answers are buffered whole, as the host's HttpClient does.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::{Request, Response, Uri};
use bytes::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// An HTTP/1.1 client with keep-alive, for loopback addresses.
#[derive(Debug, Clone)]
pub(crate) struct LoopbackClient(Client<HttpConnector, Body>);

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("{0} is not a loopback address")]
    NotLoopback(String),
    #[error("connection failed: {0}")]
    Connect(String),
    #[error("connection broke: {0}")]
    Broken(String),
}

impl LoopbackClient {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Sends one request and reads its whole answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Response<Bytes>, SendError> {
        if !is_loopback(request.uri()) {
            return Err(SendError::NotLoopback(
                request.uri().host().unwrap_or_default().to_owned(),
            ));
        }
        let response = self.0.request(request).await.map_err(|error| {
            let text = chain(&error);
            if error.is_connect() {
                SendError::Connect(text)
            } else {
                SendError::Broken(text)
            }
        })?;
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(Body::new(body), usize::MAX)
            .await
            .map_err(|error| SendError::Broken(chain(&error)))?;
        Ok(Response::from_parts(parts, bytes))
    }
}

/// True for `127.0.0.0/8`, `::1` and `localhost`, over http.
pub(crate) fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    uri.scheme_str() == Some("http")
        && (host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()))
}

/// A body without a known length, which HTTP/1.1 sends as `Transfer-Encoding: chunked`.
pub(crate) fn chunked(bytes: impl Into<Bytes>) -> Body {
    let bytes: Bytes = bytes.into();
    Body::from_stream(futures::stream::iter([Ok::<_, std::convert::Infallible>(bytes)]))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_over_http_is_ever_contacted() {
        for (uri, allowed) in [
            ("http://127.0.0.1:80/", true),
            ("http://[::1]:80/", true),
            ("http://localhost/", true),
            ("https://127.0.0.1/", false),
            ("http://10.0.0.1/", false),
            ("http://localhost.example/", false),
            ("/relative", false),
        ] {
            assert_eq!(is_loopback(&uri.parse().unwrap()), allowed, "{uri}");
        }
    }
}
