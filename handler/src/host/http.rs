//! HTTP functions: the request as a function sees it, however the host sends it.
//!
//! With `enableForwardingHttpRequest` the host forwards the client's own request with its path (`/api/Status`) and passes the
//! answer through; without it, it sends an envelope whose binding `req` holds the request [functions-host: 2.7, 2.8]. Both
//! become the same [`Invocation`]. Keys and identities of the caller are left out: the host has judged them already, and what
//! is not kept is not logged.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::http::{Method, Uri};
use serde_json::{Map, Value, json};

use super::Invocation;

/// The name of the trigger's binding in the `function.json` of every HTTP function.
pub const REQUEST: &str = "req";
/// The name of their output.
pub const RESPONSE: &str = "res";

/// A request to an HTTP function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The method, in capitals.
    pub method: String,
    /// The query; of a repeated name the host joins the values with commas.
    pub query: BTreeMap<String, String>,
    /// The body as text; the host loses one without a Content-Length.
    pub body: Option<String>,
}

impl Call {
    /// The body as JSON.
    ///
    /// # Errors
    /// One line: there is no body, or it is not JSON.
    pub fn json(&self) -> Result<Value, String> {
        let text = self.body.as_deref().unwrap_or_default();
        if text.trim().is_empty() {
            return Err("the body is empty; allowed: a JSON object, sent with a Content-Length".to_owned());
        }
        serde_json::from_str(text).map_err(|error| format!("the body is not JSON ({error}); allowed: a JSON object"))
    }

    /// The invocation of `function` by this request.
    #[must_use]
    pub fn invocation(&self, id: String, function: &str) -> Invocation {
        let mut request = json!({"Method": self.method, "Query": self.query});
        if let Some(body) = &self.body {
            request["Body"] = json!(body);
        }
        Invocation {
            id,
            function: function.to_owned(),
            data: Map::from_iter([(REQUEST.to_owned(), request)]),
            metadata: Map::new(),
        }
    }

    /// A request that the host forwarded.
    pub(super) fn forwarded(method: &Method, uri: &Uri, body: &Bytes) -> Self {
        let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned();
        Self {
            method: method.as_str().to_owned(),
            // A client may name its key in the query as well as in a header.
            query: query.filter(|(name, _)| name != "code").collect(),
            body: (!body.is_empty()).then(|| String::from_utf8_lossy(body).into_owned()),
        }
    }
}

impl Invocation {
    /// The request of an HTTP function; `None` if the invocation carries none.
    #[must_use]
    pub fn call(&self) -> Option<Call> {
        let request = self.data.get(REQUEST)?.as_object()?;
        let text = |name: &str| request.get(name).and_then(Value::as_str).map(str::to_owned);
        let query = request.get("Query").and_then(Value::as_object);
        Some(Call {
            method: text("Method").unwrap_or_default().to_ascii_uppercase(),
            query: query
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .filter(|(name, _)| name != "code")
                .collect(),
            body: text("Body"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::open;

    /// functions-host 2.7.
    const ENVELOPE: &str = r#"{"Data":{"req":{
       "Url":"https://app.azurewebsites.net/api/order?id=7&code=secret","Method":"POST",
       "Query":{"id":"7","code":"secret"},
       "Headers":{"Content-Type":["application/json"],"x-functions-key":["secret"]},
       "Params":{},"Identities":[],"Body":"{\"id\":1005}"}},"Metadata":{}}"#;

    #[test]
    fn a_forwarded_request_and_an_enveloped_one_are_the_same_call_without_the_key() {
        let enveloped = open("1".to_owned(), "order".to_owned(), ENVELOPE.as_bytes()).unwrap();
        let enveloped = enveloped.call().unwrap();
        let uri: Uri = "/api/order?id=7&code=secret".parse().unwrap();
        let forwarded = Call::forwarded(&Method::POST, &uri, &Bytes::from_static(b"{\"id\":1005}"));
        assert_eq!(enveloped, forwarded);
        assert_eq!(forwarded.query, BTreeMap::from([("id".to_owned(), "7".to_owned())]));
        assert_eq!(forwarded.json().unwrap(), json!({"id": 1005}));
        assert_eq!(forwarded.invocation("2".to_owned(), "order").call().unwrap(), forwarded);
    }

    #[test]
    fn a_body_that_cannot_be_read_is_told_on_one_line() {
        let call = |body: Option<&str>| Call {
            body: body.map(str::to_owned),
            ..Call::default()
        };
        assert_eq!(
            call(None).json().unwrap_err(),
            "the body is empty; allowed: a JSON object, sent with a Content-Length"
        );
        assert!(
            call(Some("{"))
                .json()
                .unwrap_err()
                .starts_with("the body is not JSON (")
        );
    }
}
