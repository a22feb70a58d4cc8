//! The handful of Queue service operations a queue trigger needs, over loopback with a shared key.
//!
//! Errors keep the service's status and code, because the listener's reactions depend on them. Nothing is retried here.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use time::macros::format_description;

use super::connection::Connection;
use super::signature::sign;
use crate::http_client::{LoopbackClient, SendError};
use crate::payload::QueueMessage;

/// The service version sent with every request.
const VERSION: &str = "2025-11-05";
/// How long one call may take, wall time: loopback answers at once or not at all.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// One queue of one account.
#[derive(Debug, Clone)]
pub(crate) struct QueueClient {
    client: LoopbackClient,
    connection: Connection,
    name: String,
}

/// Why a storage call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    #[error("queue service answered {status} {code}")]
    Service { status: StatusCode, code: String },
    #[error("queue service unreachable: {0}")]
    Send(#[from] SendError),
    #[error("queue service gave no answer within {CALL_LIMIT:?}")]
    Silent,
    #[error("queue service answer or request malformed: {0}")]
    Malformed(String),
}

impl StorageError {
    /// The message was taken over by somebody else, or is gone: there is nothing left to do with it.
    pub(crate) fn lost_message(&self) -> bool {
        matches!(self, Self::Service { code, .. } if matches!(code.as_str(),
            "PopReceiptMismatch" | "MessageNotFound" | "QueueNotFound" | "QueueBeingDeleted"))
    }

    pub(crate) fn queue_missing(&self) -> bool {
        matches!(self, Self::Service { code, .. } if code == "QueueNotFound")
    }
}

impl QueueClient {
    pub(crate) fn new(client: LoopbackClient, connection: Connection, name: &str) -> Self {
        Self {
            client,
            connection,
            name: name.to_owned(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `<name>-poison`, unless this is one already or the name would exceed 63 characters.
    pub(crate) fn poison(&self) -> Option<Self> {
        let name = format!("{}-poison", self.name);
        (!self.name.ends_with("-poison") && name.len() <= 63).then(|| Self { name, ..self.clone() })
    }

    /// Creates the queue; true if it was not there.
    pub(crate) async fn create(&self) -> Result<bool, StorageError> {
        let response = self.call(Method::PUT, "", &[], None).await;
        match response {
            Ok(response) => Ok(response.status() == StatusCode::CREATED),
            Err(StorageError::Service { code, .. }) if code == "QueueAlreadyExists" => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes up to `count` messages out of sight for `lease` (Azure time).
    pub(crate) async fn receive(&self, count: usize, lease: Duration) -> Result<Vec<QueueMessage>, StorageError> {
        let query = [
            ("numofmessages", count.to_string()),
            ("visibilitytimeout", lease.as_secs().to_string()),
        ];
        let response = self.call(Method::GET, "/messages", &query, None).await?;
        let text = std::str::from_utf8(response.body()).map_err(malformed)?;
        let list: MessagesList = quick_xml::de::from_str(text.trim_start_matches('\u{feff}')).map_err(malformed)?;
        list.messages.into_iter().map(QueueMessage::try_from).collect()
    }

    /// Keeps the message's text and hides it for `visibility` (Azure time); renews its receipt.
    pub(crate) async fn hide(&self, message: &mut QueueMessage, visibility: Duration) -> Result<(), StorageError> {
        let query = [
            ("popreceipt", message.pop_receipt.clone()),
            ("visibilitytimeout", visibility.as_secs().to_string()),
        ];
        let response = self
            .call(Method::PUT, &format!("/messages/{}", message.id), &query, None)
            .await?;
        if let Some(receipt) = response
            .headers()
            .get("x-ms-popreceipt")
            .and_then(|value| value.to_str().ok())
        {
            message.pop_receipt = receipt.to_owned();
        }
        Ok(())
    }

    pub(crate) async fn delete(&self, message: &QueueMessage) -> Result<(), StorageError> {
        let query = [("popreceipt", message.pop_receipt.clone())];
        self.call(Method::DELETE, &format!("/messages/{}", message.id), &query, None)
            .await
            .map(drop)
    }

    /// Puts a message with this wire text.
    pub(crate) async fn put(&self, wire_text: &str) -> Result<(), StorageError> {
        let text = quick_xml::escape::escape(wire_text);
        let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
        self.call(Method::POST, "/messages", &[], Some(body)).await.map(drop)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<String>,
    ) -> Result<Response<Bytes>, StorageError> {
        let request = self.request(method, path, query, body)?;
        let response = tokio::time::timeout(CALL_LIMIT, self.client.send(request))
            .await
            .map_err(|_| StorageError::Silent)??;
        if response.status().is_success() {
            return Ok(response);
        }
        let header = response
            .headers()
            .get("x-ms-error-code")
            .and_then(|value| value.to_str().ok());
        let code = header.map_or_else(|| error_code(response.body()), str::to_owned);
        Err(StorageError::Service {
            status: response.status(),
            code,
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<String>,
    ) -> Result<Request<Body>, StorageError> {
        let mut uri = format!("{}/{}{path}", self.connection.endpoint, self.name);
        if !query.is_empty() {
            let mut pairs = url::form_urlencoded::Serializer::new(String::new());
            uri = format!("{uri}?{}", pairs.extend_pairs(query).finish());
        }
        let body = body.unwrap_or_default();
        let has_body = !body.is_empty();
        let mut builder = Request::builder()
            .method(method.clone())
            .uri(uri)
            .header("x-ms-version", VERSION)
            .header("x-ms-date", http_date(OffsetDateTime::now_utc()));
        if has_body {
            builder = builder.header(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        }
        if has_body || method == Method::PUT {
            builder = builder.header(CONTENT_LENGTH, body.len());
        }
        let mut request = builder.body(Body::from(body)).map_err(malformed)?;
        sign(&mut request, &self.connection.account, &self.connection.key).map_err(malformed)?;
        Ok(request)
    }
}

#[derive(Deserialize)]
struct MessagesList {
    #[serde(rename = "QueueMessage", default)]
    messages: Vec<WireMessage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireMessage {
    message_id: String,
    insertion_time: String,
    expiration_time: String,
    pop_receipt: String,
    time_next_visible: String,
    dequeue_count: i64,
    #[serde(default)]
    message_text: String,
}

impl TryFrom<WireMessage> for QueueMessage {
    type Error = StorageError;

    fn try_from(wire: WireMessage) -> Result<Self, Self::Error> {
        let date = |text: &str| OffsetDateTime::parse(text, &Rfc2822).map_err(malformed);
        Ok(Self {
            inserted: date(&wire.insertion_time)?,
            expires: date(&wire.expiration_time)?,
            next_visible: date(&wire.time_next_visible)?,
            id: wire.message_id,
            pop_receipt: wire.pop_receipt,
            dequeue_count: wire.dequeue_count,
            wire_text: wire.message_text,
        })
    }
}

fn error_code(body: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct ErrorBody {
        code: String,
    }
    let text = String::from_utf8_lossy(body);
    quick_xml::de::from_str(text.trim_start_matches('\u{feff}'))
        .map(|body: ErrorBody| body.code)
        .unwrap_or_default()
}

fn http_date(at: OffsetDateTime) -> String {
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    at.format(&format).unwrap_or_else(|_| at.to_string())
}

fn malformed(error: impl std::fmt::Display) -> StorageError {
    StorageError::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_messages_is_read_from_the_documented_xml() {
        let text = "<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessagesList><QueueMessage><MessageId>1</MessageId><InsertionTime>Fri, 10 May 2024 16:13:45 GMT</InsertionTime><ExpirationTime>Fri, 17 May 2024 16:13:45 GMT</ExpirationTime><PopReceipt>a/b+c=</PopReceipt><TimeNextVisible>Fri, 10 May 2024 16:23:46 GMT</TimeNextVisible><DequeueCount>2</DequeueCount><MessageText>&lt;a&gt; &amp; b</MessageText></QueueMessage></QueueMessagesList>";
        let list: MessagesList = quick_xml::de::from_str(text).unwrap();
        let message = QueueMessage::try_from(list.messages.into_iter().next().unwrap()).unwrap();
        assert_eq!((message.pop_receipt.as_str(), message.dequeue_count), ("a/b+c=", 2));
        assert_eq!(message.wire_text, "<a> & b");
        let empty: MessagesList = quick_xml::de::from_str("<QueueMessagesList />").unwrap();
        assert!(empty.messages.is_empty());
    }

    #[test]
    fn a_poison_queue_has_no_poison_queue_of_its_own() {
        let connection = Connection {
            account: "a".into(),
            key: vec![],
            endpoint: "http://127.0.0.1:1/a".into(),
        };
        let queue = |name: &str| QueueClient::new(LoopbackClient::new(), connection.clone(), name);
        assert_eq!(queue("work").poison().unwrap().name(), "work-poison");
        assert!(queue("work-poison").poison().is_none());
        assert!(queue(&"w".repeat(57)).poison().is_none());
    }

    #[test]
    fn an_error_tells_the_services_code() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>PopReceiptMismatch</Code><Message>x</Message></Error>";
        assert_eq!(error_code(body), "PopReceiptMismatch");
        assert_eq!(error_code(b"not xml"), "");
    }
}
