//! A transport that takes ARM requests to a simulated Azure on this machine.
//!
//! It sits below the bearer policy, so the product's URLs stay https and the SDK's own policy stays in use. It accepts no target
//! but a loopback address, and while it is in use no request leaves the machine: anything that is neither for the endpoint nor
//! for a loopback address is refused.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::Error;
use azure_core::error::ErrorKind;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use url::{Host, Url};

/// Takes requests for the ARM endpoint to a loopback address, keeping path, query and the `Host` header.
#[derive(Debug)]
pub struct Loopback {
    inner: Arc<dyn HttpClient>,
    endpoint: Url,
    target: Url,
}

/// Why a text is no loopback target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoopbackError {
    /// Not a URL.
    #[error("HUBWARD_ARM_LOOPBACK {text:?} is not a URL ({reason}); give one like http://127.0.0.1:8080")]
    NotAUrl {
        /// The text.
        text: String,
        /// What the parser said.
        reason: String,
    },
    /// A URL, but not plain http on a loopback address.
    #[error(
        "HUBWARD_ARM_LOOPBACK {text:?} is not http on 127.0.0.0/8 or [::1]; tokens are sent there in the clear, so nothing else is accepted"
    )]
    NotLoopback {
        /// The text.
        text: String,
    },
}

impl Loopback {
    /// Wraps `inner`; `target` is `http://<loopback address>:<port>`.
    ///
    /// # Errors
    /// [`LoopbackError`] if `target` is anything else.
    pub fn new(inner: Arc<dyn HttpClient>, endpoint: Url, target: &str) -> Result<Self, LoopbackError> {
        let url = Url::parse(target).map_err(|error| LoopbackError::NotAUrl {
            text: target.to_owned(),
            reason: error.to_string(),
        })?;
        let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if url.scheme() != "http" || !is_loopback(&url) || !plain {
            return Err(LoopbackError::NotLoopback {
                text: target.to_owned(),
            });
        }
        Ok(Self {
            inner,
            endpoint,
            target: url,
        })
    }

    /// The request as it goes to the simulator.
    fn redirected(&self, request: &Request) -> Result<Request, Error> {
        let mut redirected = request.clone();
        let url = redirected.url_mut();
        let moved = url.set_scheme(self.target.scheme()).is_ok()
            && url.set_host(self.target.host_str()).is_ok()
            && url.set_port(self.target.port()).is_ok();
        if !moved {
            return Err(refused(request.url()));
        }
        let host = match self.endpoint.port() {
            Some(port) => format!("{}:{port}", self.endpoint.host_str().unwrap_or_default()),
            None => self.endpoint.host_str().unwrap_or_default().to_owned(),
        };
        redirected.insert_header("host", host);
        Ok(redirected)
    }
}

#[async_trait]
impl HttpClient for Loopback {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let url = request.url();
        if url.origin() == self.endpoint.origin() {
            return self.inner.execute_request(&self.redirected(request)?).await;
        }
        if is_loopback(url) {
            return self.inner.execute_request(request).await;
        }
        Err(refused(url))
    }
}

fn refused(url: &Url) -> Error {
    let host = url.host_str().unwrap_or_default();
    Error::with_message(
        ErrorKind::Other,
        format!("while HUBWARD_ARM_LOOPBACK is set no request may leave this machine, and {host:?} is not on it"),
    )
}

/// Addresses only: a name would be resolved by somebody else.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    }
}
