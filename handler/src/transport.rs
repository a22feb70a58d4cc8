//! What every exchange with Azure is bounded by, whoever makes it: a time, a length, and words that hold no signature.
//!
//! It sends nothing of its own and repeats nothing. An answer that does not come in time or is too long becomes an error of
//! kind `Io` or `DataConversion`, which leaves open whether the request was carried out.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::response::AsyncResponseBody;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use crate::clock::Clock;

/// Longest time for one try, in Azure seconds. Well under the lease of 60 s, so that a write that hangs ends before the lease
/// does.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest answer that is read. A rule collection group ends at 2 MB, a page of a list far below this.
pub const MAX_RESPONSE_BYTES: usize = 32 * 1024 * 1024;

/// How many causes of an error are told.
const CAUSES: usize = 8;

/// A transport whose answers come whole, in time and not too long, or not at all.
#[derive(Debug)]
pub struct Bounded {
    inner: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
}

impl Bounded {
    /// Bounds what `inner` carries, by `clock`.
    #[must_use]
    pub fn new(inner: Arc<dyn HttpClient>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, clock }
    }
}

#[async_trait]
impl HttpClient for Bounded {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        in_time(self.clock.as_ref(), async {
            let response = self.inner.execute_request(request).await?;
            let (status, headers, stream) = response.deconstruct();
            let body = whole(stream).await?;
            Ok(AsyncRawResponse::from_bytes(status, headers, body))
        })
        .await
    }
}

/// What `exchange` gives within [`REQUEST_TIMEOUT`].
///
/// # Errors
/// Those of `exchange`, or one of kind `Io` if it did not end in time.
pub async fn in_time<T>(
    clock: &dyn Clock,
    exchange: impl Future<Output = azure_core::Result<T>>,
) -> azure_core::Result<T> {
    tokio::select! {
        biased;
        outcome = exchange => outcome,
        () = clock.sleep(REQUEST_TIMEOUT) => Err(Error::with_message(
            ErrorKind::Io,
            format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()),
        )),
    }
}

/// The whole body of an answer.
///
/// # Errors
/// The stream's own, or one of kind `DataConversion` if it is longer than [`MAX_RESPONSE_BYTES`].
pub async fn whole(mut stream: AsyncResponseBody) -> azure_core::Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
            return Err(Error::with_message(
                ErrorKind::DataConversion,
                format!("the answer is longer than {MAX_RESPONSE_BYTES} bytes"),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// An error with its causes in one line, because the SDK prints only the outermost, and without the queries of URLs, because
/// the HTTP library prints them whole and a poll URL is signed.
#[must_use]
pub fn in_one_line(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    for _ in 0..CAUSES {
        let Some(cause) = source else { break };
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    without_queries(&text)
}

/// Cuts user, query and fragment from every URL in a text.
fn without_queries(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + "://".len());
        kept.push_str(before);
        // What ends a URL in a sentence; none of these is written bare in one.
        let end = url
            .find(|c: char| c.is_whitespace() || matches!(c, ')' | '"' | '\'' | '<' | '>' | '`'))
            .unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let (authority, below) = path.split_at(path.find('/').unwrap_or(path.len()));
        kept.push_str(authority.rsplit('@').next().unwrap_or_default());
        kept.push_str(below);
        rest = after;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_url_in_an_error_keeps_its_query() {
        let text = "error sending request for url (https://u:p@a.example/x/1?t=638&s=SIGNATURE&h=HASH#f): refused; \
                    see \"https://b.example?sig=SECRET\", http://c.example/plain and nothing?";
        assert_eq!(
            without_queries(text),
            "error sending request for url (https://a.example/x/1): refused; \
             see \"https://b.example\", http://c.example/plain and nothing?"
        );
        assert_eq!(without_queries("https://a.example/?"), "https://a.example/");
        assert_eq!(without_queries("no url at all ://"), "no url at all ://");
    }
}
