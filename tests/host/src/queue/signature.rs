//! Shared Key authorization of storage requests (version 2015-02-21 and later of the rules: an empty body signs an empty
//! length). Pure; the caller sets every header before it asks for the signature.

use std::collections::BTreeMap;

use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, InvalidHeaderValue};
use axum::http::{HeaderValue, Request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Adds the `Authorization` header. `x-ms-date` must be there already.
pub(super) fn sign<B>(request: &mut Request<B>, account: &str, key: &[u8]) -> Result<(), InvalidHeaderValue> {
    let text = string_to_sign(request, account);
    // HMAC takes keys of any length; the error type exists for other algorithms.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Ok(());
    };
    mac.update(text.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let value = HeaderValue::from_str(&format!("SharedKey {account}:{signature}"))?;
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(())
}

fn string_to_sign<B>(request: &Request<B>, account: &str) -> String {
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let length = Some(header(CONTENT_LENGTH))
        .filter(|length| *length != "0")
        .unwrap_or_default();
    // Verb, Content-Encoding, -Language, -Length, -MD5, -Type, Date, If-Modified-Since, If-Match, If-None-Match,
    // If-Unmodified-Since, Range: of these only verb, length and type are ever set here.
    let mut text = format!(
        "{}\n\n\n{length}\n\n{}\n\n\n\n\n\n\n",
        request.method(),
        header(CONTENT_TYPE)
    );
    let own: BTreeMap<&str, &str> = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?.trim())))
        .filter(|(name, _)| name.starts_with("x-ms-"))
        .collect();
    for (name, value) in own {
        text += &format!("{name}:{value}\n");
    }
    text += &format!("/{account}{}", request.uri().path());
    let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        query.entry(name.to_lowercase()).or_default().push(value.into_owned());
    }
    for (name, mut values) in query {
        values.sort();
        text += &format!("\n{name}:{}", values.join(","));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_string_to_sign_has_the_documented_lines() {
        let request = Request::get("http://127.0.0.1:2/acc/work/messages?visibilitytimeout=600&numofmessages=16")
            .header("x-ms-version", "2025-11-05")
            .header("x-ms-date", "Fri, 10 May 2024 16:13:45 GMT")
            .header("content-length", "0")
            .body(())
            .unwrap();
        assert_eq!(
            string_to_sign(&request, "acc"),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 10 May 2024 16:13:45 GMT\nx-ms-version:2025-11-05\n/acc/acc/work/messages\nnumofmessages:16\nvisibilitytimeout:600"
        );
    }

    /// Expected value computed with Python's hmac module over the string above with key b"secret=".
    #[test]
    fn the_signature_is_the_base64_hmac_of_that_string() {
        let mut request = Request::get("http://127.0.0.1:2/acc/work/messages?numofmessages=16&visibilitytimeout=600")
            .header("x-ms-version", "2025-11-05")
            .header("x-ms-date", "Fri, 10 May 2024 16:13:45 GMT")
            .body(())
            .unwrap();
        sign(&mut request, "acc", b"secret=").unwrap();
        assert_eq!(
            request.headers()[AUTHORIZATION],
            "SharedKey acc:GhWsat+JcPBgQFGCBXkUL36Tl86IRFGbO+nGWA9CCaw="
        );
    }
}
