//! The Shared Key signature of Blob and Queue storage: both services use the same string to sign since version
//! 2009-09-19 ("Authorize with Shared Key", REST reference). It only computes; whether a request is let in is decided by
//! the account. The age of the date is not judged, because a loopback clock may run scaled.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// The whole value of the `Authorization` header this request must carry: `SharedKey account:signature`.
pub fn header(account: &str, key: &[u8], request: &http::Request<Bytes>) -> String {
    let signature = match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(string_to_sign(account, request).as_bytes());
            STANDARD.encode(mac.finalize().into_bytes())
        }
        // HMAC takes keys of every length, so this arm is never reached; an empty signature matches nothing.
        Err(_) => String::new(),
    };
    format!("SharedKey {account}:{signature}")
}

/// The string both sides sign. In a path-style address the account stands twice in the resource: once as the account,
/// once as the first part of the path.
pub fn string_to_sign(account: &str, request: &http::Request<Bytes>) -> String {
    let mut text = format!("{}\n", request.method());
    for name in STANDARD_HEADERS {
        text.push_str(&standard_header(request, name));
        text.push('\n');
    }
    for (name, value) in canonical_headers(request) {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(&format!("/{account}{}", request.uri().path()));
    for (name, value) in canonical_query(request) {
        text.push_str(&format!("\n{name}:{value}"));
    }
    text
}

/// Whether the request carries `x-ms-date` or `Date`; the service refuses a signed request without one.
pub(super) fn has_date(request: &http::Request<Bytes>) -> bool {
    request.headers().contains_key("x-ms-date") || request.headers().contains_key("date")
}

const STANDARD_HEADERS: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

fn standard_header(request: &http::Request<Bytes>, name: &str) -> String {
    match name {
        // A length of zero is signed as the empty string since version 2015-02-21. The body is measured, because HTTP
        // stacks add the header below the signing layer.
        "content-length" if request.body().is_empty() => String::new(),
        "content-length" => request.body().len().to_string(),
        // With x-ms-date the Date header is left out of the signature.
        "date" if request.headers().contains_key("x-ms-date") => String::new(),
        _ => header_value(request, name),
    }
}

fn header_value(request: &http::Request<Bytes>, name: &str) -> String {
    let values: Vec<&str> = request
        .headers()
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(str::trim)
        .collect();
    values.join(",")
}

fn canonical_headers(request: &http::Request<Bytes>) -> BTreeMap<String, String> {
    request
        .headers()
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| name.starts_with("x-ms-"))
        .map(|name| (name.to_owned(), header_value(request, name)))
        .collect()
}

fn canonical_query(request: &http::Request<Bytes>) -> BTreeMap<String, String> {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let query = request.uri().query().unwrap_or_default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        values.entry(name.to_lowercase()).or_default().push(value.into_owned());
    }
    values
        .into_iter()
        .map(|(name, mut values)| {
            values.sort();
            (name, values.join(","))
        })
        .collect()
}
