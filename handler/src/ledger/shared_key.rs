//! Signs storage requests with an account key, which the SDK itself cannot (Azure/azure-sdk-for-rust issue #2975).
//!
//! The rule is Microsoft's "Authorize with Shared Key", version 2015-02-21 and later: the same for blobs and queues. It is
//! used for storage on loopback only; [`super::settings`] refuses a key for anything else.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::Secret;
use azure_core::hmac::hmac_sha256;
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request};
use azure_core::time::to_rfc7231;
use url::Url;

use crate::clock::Clock;

/// Signs each try, after everything else has set its headers.
#[derive(Debug)]
pub struct SharedKeyPolicy {
    account: String,
    key: Secret,
    clock: Arc<dyn Clock>,
}

impl SharedKeyPolicy {
    /// A policy for one account; requests are dated by the clock of the Azure we talk to.
    #[must_use]
    pub fn new(account: String, key: Secret, clock: Arc<dyn Clock>) -> Self {
        Self { account, key, clock }
    }
}

#[async_trait]
impl Policy for SharedKeyPolicy {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        request.insert_header("x-ms-date", to_rfc7231(&self.clock.now()));
        let length = request.body().len().unwrap_or_default();
        let text = string_to_sign(
            request.method().as_ref(),
            request.url(),
            request.headers(),
            length,
            &self.account,
        );
        let signature = hmac_sha256(&text, &self.key)?;
        request.insert_header("authorization", format!("SharedKey {}:{signature}", self.account));
        match next.split_first() {
            Some((policy, rest)) => policy.send(context, request, rest).await,
            None => Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Other,
                "the pipeline ends before its transport",
            )),
        }
    }
}

/// What is signed: method, twelve standard headers, the `x-ms-` headers and the resource.
fn string_to_sign(method: &str, url: &Url, headers: &Headers, length: u64, account: &str) -> String {
    let header = |name: &'static str| {
        headers
            .get_optional_str(&HeaderName::from_static(name))
            .unwrap_or_default()
    };
    // An empty body is signed as an empty text, not as 0.
    let length = if length == 0 { String::new() } else { length.to_string() };
    let standard = [
        method,
        header("content-encoding"),
        header("content-language"),
        &length,
        header("content-md5"),
        header("content-type"),
        // Date: empty, because x-ms-date is sent.
        "",
        header("if-modified-since"),
        header("if-match"),
        header("if-none-match"),
        header("if-unmodified-since"),
        header("range"),
    ];
    format!(
        "{}\n{}{}",
        standard.join("\n"),
        canonical_headers(headers),
        canonical_resource(url, account)
    )
}

fn canonical_headers(headers: &Headers) -> String {
    let own: BTreeMap<String, &str> = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_ascii_lowercase(), value.as_str()))
        .filter(|(name, _)| name.starts_with("x-ms-"))
        .collect();
    own.iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect()
}

fn canonical_resource(url: &Url, account: &str) -> String {
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in url.query_pairs() {
        parameters
            .entry(name.to_ascii_lowercase())
            .or_default()
            .push(value.into_owned());
    }
    let mut resource = format!("/{account}{}", url.path());
    for (name, mut values) in parameters {
        values.sort();
        resource.push_str(&format!("\n{name}:{}", values.join(",")));
    }
    resource
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_follows_the_published_rule() {
        let url =
            Url::parse("http://127.0.0.1:1/acc/hubward/keys%2Fa.json?restype=container&comp=list&include=b&include=a");
        let mut headers = Headers::new();
        for (name, value) in [
            ("x-ms-version", "2026-04-06"),
            ("x-ms-date", "Mon, 23 Nov 2026 12:00:00 GMT"),
            ("content-type", "application/json"),
            ("if-none-match", "*"),
            ("accept", "application/xml"),
        ] {
            headers.insert(name, value);
        }
        let expected = [
            "PUT",
            "",
            "",
            "12",
            "",
            "application/json",
            "",
            "",
            "",
            "*",
            "",
            "",
            "x-ms-date:Mon, 23 Nov 2026 12:00:00 GMT",
            "x-ms-version:2026-04-06",
            "/acc/acc/hubward/keys%2Fa.json",
            "comp:list",
            "include:a,b",
            "restype:container",
        ];
        assert_eq!(
            string_to_sign("PUT", &url.unwrap(), &headers, 12, "acc"),
            expected.join("\n")
        );
    }

    #[test]
    fn an_empty_body_is_signed_as_an_empty_length() {
        let url = Url::parse("http://127.0.0.1:1/acc/q").unwrap();
        let text = string_to_sign("PUT", &url, &Headers::new(), 0, "acc");
        assert_eq!(text, "PUT\n\n\n\n\n\n\n\n\n\n\n\n/acc/acc/q");
    }
}
