//! Who the product is to Azure, and how its requests leave the process.
//!
//! The credential is chosen by configuration, never guessed from what the environment happens to hold, and talks through the
//! same injected transport as everything else. Nothing is asked for here; a wrong identity shows at the first token.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::is_loopback;
use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::{AsyncRawResponse, ClientOptions, HttpClient, Request, RetryOptions, Transport};
use azure_identity::{
    ClientAssertionCredentialOptions, DeveloperToolsCredential, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use serde::{Deserialize, Serialize};

/// Longest time to make a connection. Shorter than one ARM try, so that a dead address is known as such.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest silence within an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Which credential to use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// The identity of the function app (or virtual machine).
    ManagedIdentity {
        /// Client id of a user-assigned identity; `None` = the system-assigned one. Resource ids are not offered, because the
        /// SDK refuses them on App Service.
        client_id: Option<String>,
    },
    /// A Kubernetes service account, by the variables that AKS workload identity sets.
    WorkloadIdentity,
    /// Azure CLI, then Azure Developer CLI: for commands on a laptop.
    DeveloperTools,
}

/// Why there is no credential or transport.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The environment has no managed identity the SDK supports.
    #[error("no managed identity can be used here: {0}; assign one to the app, or configure another credential")]
    ManagedIdentity(#[source] azure_core::Error),
    /// The variables of workload identity are missing.
    #[error(
        "workload identity cannot be used here: {0}; it needs AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE"
    )]
    WorkloadIdentity(#[source] azure_core::Error),
    /// The developer tools cannot be used.
    #[error("the developer tools cannot be used: {0}; run `az login` first")]
    DeveloperTools(#[source] azure_core::Error),
    /// The HTTP client could not be built.
    #[error("no HTTPS client can be made: {0}; check the certificate store of this machine")]
    Client(#[source] reqwest::Error),
}

/// Makes the configured credential. The developer tools start programs and do not use `transport`.
///
/// # Errors
/// [`IdentityError`] if the environment lacks what the kind needs.
pub fn credential(
    kind: &CredentialKind,
    transport: Arc<dyn HttpClient>,
) -> Result<Arc<dyn TokenCredential>, IdentityError> {
    // The callers retry on the injected clock; the SDK's own retries would sleep on the machine's.
    let client_options = ClientOptions {
        retry: RetryOptions::none(),
        transport: Some(Transport::new(transport)),
        ..ClientOptions::default()
    };
    match kind {
        CredentialKind::ManagedIdentity { client_id } => {
            let options = ManagedIdentityCredentialOptions {
                user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                client_options,
            };
            let credential = ManagedIdentityCredential::new(Some(options)).map_err(IdentityError::ManagedIdentity)?;
            Ok(credential)
        }
        CredentialKind::WorkloadIdentity => {
            let options = WorkloadIdentityCredentialOptions {
                credential_options: ClientAssertionCredentialOptions { client_options },
                ..WorkloadIdentityCredentialOptions::default()
            };
            let credential = WorkloadIdentityCredential::new(Some(options)).map_err(IdentityError::WorkloadIdentity)?;
            Ok(credential)
        }
        CredentialKind::DeveloperTools => {
            let credential = DeveloperToolsCredential::new(None).map_err(IdentityError::DeveloperTools)?;
            Ok(credential)
        }
    }
}

/// Installs ring as the TLS provider of this process, the one process static. Installing it again changes nothing.
pub fn install_tls() {
    // An error only says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The transport of the process: one connection pool, ring as TLS provider, no redirects, and no proxy for loopback.
///
/// # Errors
/// [`IdentityError::Client`].
pub fn http_client() -> Result<Arc<dyn HttpClient>, IdentityError> {
    install_tls();
    let client = || {
        reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            // A redirect would take the bearer token to whatever host it names.
            .redirect(reqwest::redirect::Policy::none())
    };
    Ok(Arc::new(ProcessClient {
        outward: client().build().map_err(IdentityError::Client)?,
        loopback: client().no_proxy().build().map_err(IdentityError::Client)?,
    }))
}

/// Goes out through the proxy of the environment, if there is one, but reaches this machine directly.
#[derive(Debug)]
struct ProcessClient {
    outward: reqwest::Client,
    loopback: reqwest::Client,
}

#[async_trait]
impl HttpClient for ProcessClient {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let client = if is_loopback(request.url()) {
            &self.loopback
        } else {
            &self.outward
        };
        client.execute_request(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use url::Url;

    /// Answers one connection with fixed bytes and gives what was asked.
    async fn serve_once(answer: &'static str) -> (Url, tokio::task::JoinHandle<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 8192];
            let read = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&asked[..read]).into_owned()
        });
        (url, served)
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let (url, served) =
            serve_once("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
        let client = http_client().unwrap();
        let request = Request::new(url, azure_core::http::Method::Get);
        let response = client.execute_request(&request).await.unwrap();
        assert_eq!(u16::from(response.status()), 302);
        served.await.unwrap();
    }

    #[tokio::test]
    async fn a_signed_url_and_a_given_host_header_arrive_unchanged_on_the_wire() {
        let (url, served) = serve_once("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let target = "/operations/1?api-version=2016-03-30&c=A-_~b.%2B%2f+==&s=a+b*!";
        let mut request = Request::new(
            Url::parse(&format!("{}{}", url.as_str().trim_end_matches('/'), target)).unwrap(),
            azure_core::http::Method::Get,
        );
        request.insert_header("host", "management.azure.com");
        http_client().unwrap().execute_request(&request).await.unwrap();
        let asked = served.await.unwrap();
        assert!(asked.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{asked}");
        let hosts: Vec<&str> = asked
            .lines()
            .filter(|line| line.to_ascii_lowercase().starts_with("host:"))
            .collect();
        assert_eq!(hosts, ["host: management.azure.com"], "{asked}");
    }

    #[derive(Debug, Default)]
    struct MetadataService(std::sync::Mutex<Vec<Url>>);

    #[async_trait]
    impl HttpClient for MetadataService {
        async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
            self.0.lock().unwrap().push(request.url().clone());
            let body = r#"{"access_token":"t","expires_on":"9999999999","resource":"r","token_type":"Bearer"}"#;
            let headers = azure_core::http::headers::Headers::new();
            Ok(AsyncRawResponse::from_bytes(
                azure_core::http::StatusCode::Ok,
                headers,
                body,
            ))
        }
    }

    #[tokio::test]
    async fn a_managed_identity_gets_its_token_through_the_injected_transport() {
        let service = Arc::new(MetadataService::default());
        let kind = CredentialKind::ManagedIdentity {
            client_id: Some("c0ffee".to_owned()),
        };
        let credential = credential(&kind, service.clone()).unwrap();
        let token = credential
            .get_token(&["https://management.azure.com/.default"], None)
            .await
            .unwrap();
        assert_eq!(token.token.secret(), "t");
        let asked = service.0.lock().unwrap().clone();
        assert_eq!(asked.len(), 1);
        let query: std::collections::BTreeMap<_, _> = asked[0].query_pairs().into_owned().collect();
        assert_eq!(query["resource"], "https://management.azure.com");
        assert_eq!(query["client_id"], "c0ffee");
    }

    #[test]
    fn workload_identity_without_its_variables_names_them() {
        let error = credential(&CredentialKind::WorkloadIdentity, Arc::new(MetadataService::default())).unwrap_err();
        assert!(error.to_string().contains("AZURE_FEDERATED_TOKEN_FILE"), "{error}");
    }

    #[test]
    fn only_addresses_of_this_machine_bypass_the_proxy() {
        let machine = |text: &str| is_loopback(&Url::parse(text).unwrap());
        assert!(machine("http://127.0.0.1:7071/") && machine("http://[::1]:7071/") && machine("http://localhost:1/"));
        assert!(!machine("https://management.azure.com/") && !machine("http://127.0.0.1.example/"));
    }
}
