//! A storage connection string, as far as a queue trigger needs it. Anything but a plain-http loopback queue endpoint is
//! refused, and no message of ours ever holds the key.

use axum::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::app_settings::AppSettings;
use crate::error::HostError;
use crate::http_client::is_loopback;

/// Account and queue endpoint.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) account: String,
    pub(crate) key: Vec<u8>,
    /// Without a slash at its end; path-style endpoints end in the account name.
    pub(crate) endpoint: String,
}

impl Connection {
    /// Reads the connection that function.json calls `name`: first `AzureWebJobs<name>`, then `<name>`.
    pub(crate) fn from_settings(name: &str, settings: &AppSettings) -> Result<Self, HostError> {
        let prefixed = format!("AzureWebJobs{name}");
        let failed = |reason: String| HostError::Connection {
            name: name.to_owned(),
            reason,
        };
        let text = settings
            .get(&prefixed)
            .or_else(|| settings.get(name))
            .ok_or_else(|| failed("no such app setting".to_owned()))?;
        parse(text).map_err(failed)
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("account", &self.account)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

fn parse(text: &str) -> Result<Connection, String> {
    let part = |wanted: &str| {
        text.split(';')
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("the connection string has no {wanted}"))
    };
    let endpoint = part("QueueEndpoint")?.trim_end_matches('/');
    let uri: Uri = endpoint.parse().map_err(|_| "QueueEndpoint is not a URL".to_owned())?;
    if !is_loopback(&uri) {
        return Err(format!(
            "QueueEndpoint {endpoint} is not plain http on a loopback address"
        ));
    }
    Ok(Connection {
        account: part("AccountName")?.to_owned(),
        key: STANDARD
            .decode(part("AccountKey")?)
            .map_err(|_| "AccountKey is not base64".to_owned())?,
        endpoint: endpoint.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "DefaultEndpointsProtocol=http;AccountName=hubwardlocal;AccountKey=c2VjcmV0PQ==;BlobEndpoint=http://127.0.0.1:1/hubwardlocal;QueueEndpoint=http://127.0.0.1:2/hubwardlocal/";

    #[test]
    fn a_connection_string_gives_account_key_and_endpoint() {
        let connection = parse(GOOD).unwrap();
        assert_eq!(connection.account, "hubwardlocal");
        assert_eq!(connection.key, b"secret=");
        assert_eq!(connection.endpoint, "http://127.0.0.1:2/hubwardlocal");
    }

    #[test]
    fn a_connection_that_would_leave_the_machine_is_refused_without_telling_the_key() {
        for bad in [
            GOOD.replace("http://127.0.0.1:2", "https://queue.core.windows.net"),
            GOOD.replace("QueueEndpoint", "Other"),
            GOOD.replace("c2VjcmV0PQ==", "c2VjcmV0PQ=!"),
        ] {
            let settings = AppSettings::new(&[("Store".to_owned(), bad)]);
            let message = Connection::from_settings("Store", &settings).unwrap_err().to_string();
            assert!(
                message.starts_with("storage connection Store: ") && !message.contains("c2Vj"),
                "{message}"
            );
        }
    }
}
