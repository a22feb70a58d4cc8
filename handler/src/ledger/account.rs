//! Where the ledger's storage is and how we are let in, from the app settings of the Functions host.
//!
//! The host's own settings are used, so that its queue trigger and we mean the same account: `AzureWebJobsStorage` as a
//! connection string, or `AzureWebJobsStorage__accountName` and its service addresses with an identity. An account key is
//! accepted for loopback only: in Azure the app has an identity, and a key there is a secret too many.

use std::fmt::Debug;
use std::sync::Arc;

use azure_core::credentials::{Secret, TokenCredential};
use url::Url;

use crate::clock::is_loopback;

/// The account and key that every storage emulator knows (published by Microsoft).
const DEVELOPMENT: &str = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;\
    AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;\
    BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1";

/// Where storage is and how we are let in.
#[derive(Debug, Clone)]
pub struct StorageSettings {
    /// The blob service's address, without a container.
    pub blob: Url,
    /// The queue service's address, without a queue.
    pub queue: Url,
    /// How we are let in.
    pub access: Access,
}

/// How storage lets us in.
#[derive(Debug, Clone)]
pub enum Access {
    /// By the account's key; loopback only.
    SharedKey {
        /// The account's name.
        account: String,
        /// The key in base64; printed as a placeholder.
        key: Secret,
    },
    /// By an identity, which the caller gives with [`StorageSettings::with_credential`].
    Identity(Option<Arc<dyn TokenCredential>>),
}

/// Why the storage settings cannot be used. No variant carries a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Neither form of the setting is there.
    #[error("AzureWebJobsStorage is not set; set it, or AzureWebJobsStorage__accountName for access by identity")]
    Absent,
    /// A needed part of the connection string or of the settings is missing.
    #[error("AzureWebJobsStorage lacks {0}; copy the whole connection string")]
    Missing(&'static str),
    /// A part of the connection string is not `Name=Value`.
    #[error("AzureWebJobsStorage: part {0} is not Name=Value; copy the whole connection string")]
    Part(usize),
    /// An address is not a URL.
    #[error("{setting} {value:?} is not an address ({reason}); it reads like https://ACCOUNT.blob.core.windows.net")]
    Address {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What is wrong.
        reason: String,
    },
    /// An account key would be used for something that is not on this machine.
    #[error(
        "AzureWebJobsStorage has an account key for {0}, which is not loopback; use AzureWebJobsStorage__accountName and an identity"
    )]
    KeyNotLoopback(String),
    /// An identity's token would be sent without encryption.
    #[error("{0} is not https; a token is only sent over https")]
    NotHttps(String),
    /// The account's name holds characters that no account has.
    #[error(
        "AzureWebJobsStorage__accountName {0:?} is not a storage account's name: 3 to 24 lower-case letters and digits"
    )]
    AccountName(String),
    /// Access is by identity and none was given.
    #[error(
        "storage is accessed by identity, and no credential is configured; configure one or use a local account key"
    )]
    NoCredential,
}

impl StorageSettings {
    /// Reads the settings through `setting`, which looks up an app setting (an environment variable) by name.
    ///
    /// A connection string comes first, as in the host.
    ///
    /// # Errors
    /// [`SettingsError`] names the setting and what is allowed.
    pub fn from_env(setting: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let given = |name: &str| setting(name).filter(|value| !value.trim().is_empty());
        match given("AzureWebJobsStorage") {
            Some(text) => from_connection_string(&text),
            None => from_account(&given),
        }
    }

    /// Gives the identity by which storage is accessed. An account key stays in use where there is one.
    #[must_use]
    pub fn with_credential(mut self, credential: Arc<dyn TokenCredential>) -> Self {
        if let Access::Identity(slot) = &mut self.access {
            *slot = Some(credential);
        }
        self
    }

    /// True if [`Self::with_credential`] is needed before the ledger can be opened.
    #[must_use]
    pub fn needs_credential(&self) -> bool {
        matches!(self.access, Access::Identity(None))
    }

    /// The addresses that will be called, for [`crate::clock::require_loopback_for_scale`].
    #[must_use]
    pub fn urls(&self) -> [Url; 2] {
        [self.blob.clone(), self.queue.clone()]
    }
}

fn from_connection_string(text: &str) -> Result<StorageSettings, SettingsError> {
    let mut parts = Vec::new();
    for (index, part) in text.split(';').enumerate() {
        if part.trim().is_empty() {
            continue;
        }
        // An account key ends in '=', so only the first one separates.
        let (name, value) = part.split_once('=').ok_or(SettingsError::Part(index + 1))?;
        parts.push((name.trim(), value.trim()));
    }
    let part = |wanted: &str| {
        parts
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| *value)
    };
    if part("UseDevelopmentStorage").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return from_connection_string(DEVELOPMENT);
    }
    let account = part("AccountName").ok_or(SettingsError::Missing("AccountName"))?;
    let key = part("AccountKey").ok_or(SettingsError::Missing("AccountKey"))?;
    let suffix = part("EndpointSuffix").unwrap_or("core.windows.net");
    let service = |endpoint: &'static str, service: &str| {
        let text = part(endpoint).map_or_else(|| format!("https://{account}.{service}.{suffix}"), str::to_owned);
        let url = address(endpoint, &text)?;
        if is_loopback(&url) {
            Ok(url)
        } else {
            Err(SettingsError::KeyNotLoopback(url.origin().ascii_serialization()))
        }
    };
    Ok(StorageSettings {
        blob: service("BlobEndpoint", "blob")?,
        queue: service("QueueEndpoint", "queue")?,
        access: Access::SharedKey {
            account: account.to_owned(),
            key: Secret::new(key.to_owned()),
        },
    })
}

fn from_account(given: &dyn Fn(&str) -> Option<String>) -> Result<StorageSettings, SettingsError> {
    let account = given("AzureWebJobsStorage__accountName");
    if let Some(name) = &account {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if !(3..=24).contains(&name.len()) || !name.chars().all(allowed) {
            return Err(SettingsError::AccountName(name.clone()));
        }
    }
    let service = |setting: &'static str, service: &str| {
        let text = match (given(setting), &account) {
            (Some(text), _) => text,
            (None, Some(account)) => format!("https://{account}.{service}.core.windows.net"),
            (None, None) => return Ok(None),
        };
        let url = address(setting, &text)?;
        if url.scheme() == "https" {
            Ok(Some(url))
        } else {
            Err(SettingsError::NotHttps(url.origin().ascii_serialization()))
        }
    };
    let blob = service("AzureWebJobsStorage__blobServiceUri", "blob")?;
    let queue = service("AzureWebJobsStorage__queueServiceUri", "queue")?;
    match (blob, queue) {
        (Some(blob), Some(queue)) => Ok(StorageSettings {
            blob,
            queue,
            access: Access::Identity(None),
        }),
        (None, None) => Err(SettingsError::Absent),
        (None, Some(_)) => Err(SettingsError::Missing("AzureWebJobsStorage__blobServiceUri")),
        (Some(_), None) => Err(SettingsError::Missing("AzureWebJobsStorage__queueServiceUri")),
    }
}

fn address(setting: &'static str, text: &str) -> Result<Url, SettingsError> {
    let refused = |reason: String| SettingsError::Address {
        setting,
        value: text.to_owned(),
        reason,
    };
    let url = Url::parse(text).map_err(|error| refused(error.to_string()))?;
    if url.query().is_some() || url.fragment().is_some() || !matches!(url.scheme(), "http" | "https") {
        return Err(SettingsError::Address {
            setting,
            // A query may be a signature that lets anyone in: not into a log.
            value: url.origin().ascii_serialization(),
            reason: "only http or https without a query".to_owned(),
        });
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(settings: &[(&str, &str)]) -> Result<StorageSettings, SettingsError> {
        StorageSettings::from_env(&|name| {
            let found = settings.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_loopback_connection_string_uses_its_key_and_never_prints_it() {
        let text = "DefaultEndpointsProtocol=http;AccountName=hubwardlocal;AccountKey=c2VjcmV0;\
            BlobEndpoint=http://127.0.0.1:1/hubwardlocal;QueueEndpoint=http://127.0.0.1:2/hubwardlocal";
        let settings = from(&[("AzureWebJobsStorage", text)]).unwrap();
        assert_eq!(settings.blob.as_str(), "http://127.0.0.1:1/hubwardlocal");
        assert_eq!(settings.queue.as_str(), "http://127.0.0.1:2/hubwardlocal");
        assert!(!settings.needs_credential());
        assert!(!format!("{settings:?}").contains("c2VjcmV0"));
    }

    #[test]
    fn the_development_account_is_known() {
        let settings = from(&[("AzureWebJobsStorage", "UseDevelopmentStorage=true")]).unwrap();
        assert_eq!(settings.queue.as_str(), "http://127.0.0.1:10001/devstoreaccount1");
    }

    #[test]
    fn an_account_key_is_refused_away_from_loopback() {
        let text =
            "DefaultEndpointsProtocol=https;AccountName=real;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net";
        let error = from(&[("AzureWebJobsStorage", text)]).unwrap_err();
        assert_eq!(
            error,
            SettingsError::KeyNotLoopback("https://real.blob.core.windows.net".to_owned())
        );
        assert!(!error.to_string().contains("c2VjcmV0"));
    }

    #[test]
    fn an_account_name_means_access_by_identity() {
        let settings = from(&[("AzureWebJobsStorage__accountName", "hubward1")]).unwrap();
        assert_eq!(settings.blob.as_str(), "https://hubward1.blob.core.windows.net/");
        assert_eq!(settings.queue.as_str(), "https://hubward1.queue.core.windows.net/");
        assert!(settings.needs_credential());
    }

    #[test]
    fn service_addresses_serve_other_clouds() {
        let settings = from(&[
            (
                "AzureWebJobsStorage__blobServiceUri",
                "https://a.blob.core.chinacloudapi.cn",
            ),
            (
                "AzureWebJobsStorage__queueServiceUri",
                "https://a.queue.core.chinacloudapi.cn",
            ),
        ])
        .unwrap();
        assert_eq!(settings.blob.host_str(), Some("a.blob.core.chinacloudapi.cn"));
    }

    #[test]
    fn bad_settings_are_refused_with_their_reason() {
        for (settings, expected) in [
            (vec![], SettingsError::Absent),
            (vec![("AzureWebJobsStorage", " ")], SettingsError::Absent),
            (
                vec![("AzureWebJobsStorage", "AccountName=a;AccountKey")],
                SettingsError::Part(2),
            ),
            (
                vec![("AzureWebJobsStorage", "AccountName=a")],
                SettingsError::Missing("AccountKey"),
            ),
            (
                vec![("AzureWebJobsStorage", "AccountKey=a")],
                SettingsError::Missing("AccountName"),
            ),
            (
                vec![("AzureWebJobsStorage__accountName", "evil.example/")],
                SettingsError::AccountName("evil.example/".to_owned()),
            ),
            (
                vec![("AzureWebJobsStorage__blobServiceUri", "https://a.blob.core.windows.net")],
                SettingsError::Missing("AzureWebJobsStorage__queueServiceUri"),
            ),
            (
                vec![("AzureWebJobsStorage__blobServiceUri", "http://a.blob.core.windows.net")],
                SettingsError::NotHttps("http://a.blob.core.windows.net".to_owned()),
            ),
        ] {
            assert_eq!(from(&settings).unwrap_err(), expected, "{settings:?}");
        }
    }

    #[test]
    fn a_signature_in_an_address_is_refused_and_not_printed() {
        let text = "https://a.blob.core.windows.net/?sv=1&sig=secret";
        let error = from(&[("AzureWebJobsStorage__blobServiceUri", text)]).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
