//! The door to the running app: how a command asks it for something over HTTP.
//!
//! A laptop never writes to Azure or to the ledger itself; it asks the app, which has the rights and the one path. The key goes
//! into a header and nowhere else: no error and no output holds it. Plain http is spoken with this machine only.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::{HttpClient, Method, Request};
use serde_json::Value;
use url::Url;

use crate::clock::is_loopback;
use crate::environment::Environment;
use crate::transport::in_one_line;

/// The variable with the app's address, as `https://NAME.azurewebsites.net`.
pub const APP_VARIABLE: &str = "HUBWARD_APP";
/// The variable with a key of the app: a function's or the host's.
pub const KEY_VARIABLE: &str = "HUBWARD_APP_KEY";
/// The header in which the Functions host expects a key.
const KEY_HEADER: &str = "x-functions-key";

/// What an HTTP function answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; `null` if it was empty or no JSON.
    pub body: Value,
}

impl Answer {
    /// The one line of a refusal.
    #[must_use]
    pub fn error(&self) -> String {
        let line = self.body.get("error").and_then(Value::as_str);
        line.map_or_else(|| format!("no reason is given (HTTP {})", self.status), str::to_owned)
    }
}

/// How to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// For something to read.
    Get,
    /// For something to be done.
    Post,
}

/// Why the app gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// The address or the key is missing or cannot be used.
    #[error("{0}")]
    Settings(String),
    /// Nobody answered.
    #[error("the app at {address} does not answer: {reason}")]
    Unreachable {
        /// Scheme, host and port.
        address: String,
        /// What the transport says, without queries.
        reason: String,
    },
}

/// The way to the app's HTTP functions: over the network, or straight into an app in the same process.
#[async_trait]
pub trait Door: Send + Sync {
    /// Calls a function by its name.
    async fn call(
        &self,
        ask: Ask,
        function: &str,
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Answer, DoorError>;
}

/// The door over HTTP.
pub(super) struct HttpDoor {
    base: Url,
    key: String,
    http: Arc<dyn HttpClient>,
}

impl HttpDoor {
    /// The door that the environment names; nothing is sent yet. How long an answer may take is `http`'s affair, by the wall
    /// clock: the way to the app is no part of a faster Azure.
    ///
    /// # Errors
    /// [`DoorError::Settings`].
    pub(super) fn of_environment(environment: &Environment, http: Arc<dyn HttpClient>) -> Result<Self, DoorError> {
        let settings = |line: String| DoorError::Settings(line);
        let text = environment.get(APP_VARIABLE).ok_or_else(|| {
            settings(format!(
                "{APP_VARIABLE} is not set; allowed: the app's address, like https://NAME.azurewebsites.net"
            ))
        })?;
        let base = address(&text).map_err(settings)?;
        let key = environment.get(KEY_VARIABLE).ok_or_else(|| {
            settings(format!(
                "{KEY_VARIABLE} is not set; allowed: a function key of the app (az functionapp keys list)"
            ))
        })?;
        Ok(Self { base, key, http })
    }

    fn request(&self, ask: Ask, function: &str, query: &[(&str, &str)], body: Option<&Value>) -> Request {
        let mut url = self.base.clone();
        url.set_path(&format!("/api/{function}"));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let method = match ask {
            Ask::Get => Method::Get,
            Ask::Post => Method::Post,
        };
        let mut request = Request::new(url, method);
        request.insert_header(KEY_HEADER, self.key.clone());
        request.insert_header("accept", "application/json");
        if let Some(body) = body {
            request.insert_header("content-type", "application/json");
            // The client says its length; the host loses a body without one [functions-host: 2.7].
            request.set_body(body.to_string());
        }
        request
    }
}

#[async_trait]
impl Door for HttpDoor {
    async fn call(
        &self,
        ask: Ask,
        function: &str,
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Answer, DoorError> {
        let unreachable = |error: azure_core::Error| DoorError::Unreachable {
            address: self.base.origin().ascii_serialization(),
            reason: in_one_line(&error),
        };
        let request = self.request(ask, function, query, body.as_ref());
        let response = self.http.execute_request(&request).await.map_err(unreachable)?;
        let status = u16::from(response.status());
        let (_, _, stream) = response.deconstruct();
        let content = crate::transport::whole(stream).await.map_err(unreachable)?;
        Ok(Answer {
            status,
            body: serde_json::from_slice(&content).unwrap_or_default(),
        })
    }
}

/// The address of an app: https, or http on this machine; nothing but scheme, host and port.
fn address(text: &str) -> Result<Url, String> {
    let wrong = |why: &str| format!("{APP_VARIABLE} {why}; allowed: an address like https://NAME.azurewebsites.net");
    // The address itself is not repeated if it may hold a key.
    let url = Url::parse(text).map_err(|error| wrong(&format!("is not an address ({error})")))?;
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !bare {
        return Err(wrong("holds more than scheme, host and port"));
    }
    match url.scheme() {
        "https" if url.host().is_some() => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(wrong("is plain http to another machine, which would show the key")),
        _ => Err(wrong("is neither https nor http")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_goes_nowhere_but_to_https_or_this_machine() {
        for good in [
            "https://hubward.azurewebsites.net",
            "https://hubward.example:8443/",
            "http://127.0.0.1:7071",
            "http://[::1]:7071",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for (bad, says) in [
            ("hubward.azurewebsites.net", "is not an address"),
            ("http://hubward.azurewebsites.net", "plain http to another machine"),
            ("https://hubward.azurewebsites.net/api/Command", "more than scheme"),
            ("https://hubward.azurewebsites.net?code=SECRET", "more than scheme"),
            ("https://u:SECRET@hubward.azurewebsites.net", "more than scheme"),
            ("ftp://hubward.azurewebsites.net", "neither https nor http"),
        ] {
            let line = address(bad).unwrap_err();
            assert!(line.contains(says), "{bad}: {line}");
            assert!(!line.contains("SECRET") && line.lines().count() == 1, "{line}");
        }
    }
}
