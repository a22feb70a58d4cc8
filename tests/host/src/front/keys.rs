//! Who may call what. A key comes as `?code=` or in `x-functions-key`; an empty configured key opens nothing. The
//! comparison is not constant-time: the host listens for its own machine only.

use axum::http::Request;
use bytes::Bytes;

use super::query;
use crate::discovery::AuthLevel;
use crate::options::Keys;

/// True if the request carries the Event Grid extension's system key or the master key.
pub(super) fn opens_event_grid(keys: &Keys, request: &Request<Bytes>) -> bool {
    carries(request, &[&keys.eventgrid_extension, &keys.master])
}

/// True if the request carries the master key.
pub(super) fn opens_admin(keys: &Keys, request: &Request<Bytes>) -> bool {
    carries(request, &[&keys.master])
}

/// True if the request may call an http function of this level.
pub(super) fn opens_function(keys: &Keys, level: AuthLevel, function: &str, request: &Request<Bytes>) -> bool {
    let own = keys.functions.get(function).map_or("", String::as_str);
    match level {
        AuthLevel::Anonymous => true,
        AuthLevel::Function => carries(request, &[own, &keys.host_default, &keys.master]),
        AuthLevel::Admin => carries(request, &[&keys.master]),
    }
}

fn carries(request: &Request<Bytes>, accepted: &[&str]) -> bool {
    let header = request
        .headers()
        .get("x-functions-key")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    header
        .into_iter()
        .chain(query(request, "code"))
        .any(|key| !key.is_empty() && accepted.contains(&key.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, header: Option<&str>) -> Request<Bytes> {
        let mut request = Request::get(uri).body(Bytes::new()).unwrap();
        if let Some(key) = header {
            request.headers_mut().insert("x-functions-key", key.parse().unwrap());
        }
        request
    }

    #[test]
    fn each_level_takes_its_own_keys_and_the_master_key() {
        let mut keys = Keys::from_seed(1);
        keys.functions.insert("One".to_owned(), "own".to_owned());
        let level = |level, key: &str| opens_function(&keys, level, "One", &request("/", Some(key)));
        assert!(level(AuthLevel::Function, "own"));
        assert!(level(AuthLevel::Function, &keys.host_default));
        assert!(level(AuthLevel::Function, &keys.master));
        assert!(!level(AuthLevel::Function, &keys.eventgrid_extension));
        assert!(!level(AuthLevel::Admin, "own") && level(AuthLevel::Admin, &keys.master));
        assert!(!opens_function(
            &keys,
            AuthLevel::Function,
            "Two",
            &request("/", Some("own"))
        ));
        assert!(opens_event_grid(
            &keys,
            &request(&format!("/?code={}", keys.eventgrid_extension), None)
        ));
        assert!(!opens_admin(
            &keys,
            &request(&format!("/?code={}", keys.eventgrid_extension), None)
        ));
    }

    #[test]
    fn an_unset_key_opens_nothing() {
        assert!(!opens_admin(&Keys::default(), &request("/?code=", Some(""))));
    }
}
