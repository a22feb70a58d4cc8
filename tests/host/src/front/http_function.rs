//! Calls http functions: raw forwarding for http-in/http-out functions when host.json asks for it, else an invocation
//! with the request as an object and the answer from the `http` output.
//!
//! A request body without Content-Length is lost in both forms, as in Azure; a failed invocation answers 500 without a
//! body.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::answer::{empty, plain};
use super::{Endpoint, Front, keys};
use crate::invoker::InvocationError;
use crate::payload;
use crate::reply::Reply;

pub(super) async fn serve(front: Arc<Front>, request: Request<Bytes>) -> Response {
    let Some((endpoint, parameters)) = find(&front, &request) else {
        return empty(StatusCode::NOT_FOUND);
    };
    if !keys::opens_function(&front.keys, endpoint.auth, &endpoint.function, &request) {
        return empty(StatusCode::UNAUTHORIZED);
    }
    let (invoker, function) = (front.invoker.clone(), endpoint.function.clone());
    let answer = if endpoint.forwarded {
        let request = forwardable(request);
        front
            .detached(async move { invoker.forward(&function, request).await.map(passed_through) })
            .await
    } else {
        let object = request_object(&request, &parameters);
        let envelope = payload::http(&endpoint.binding, &object, &parameters, &invoker.system(&function));
        let output = endpoint.output.clone();
        let reason = "This function was programmatically called via the host APIs.";
        front
            .detached(async move {
                let reply = invoker.invoke(&function, reason, &envelope).await?;
                Ok(output.map_or_else(|| empty(StatusCode::NO_CONTENT), |output| from_output(&output, reply)))
            })
            .await
    };
    match answer {
        Some(Ok(response)) => response,
        Some(Err(InvocationError::HostStopped(reason))) => plain(StatusCode::SERVICE_UNAVAILABLE, &reason),
        Some(Err(InvocationError::Failed(_) | InvocationError::TimedOut(_))) => {
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
        None => plain(StatusCode::SERVICE_UNAVAILABLE, "Function host is not running."),
    }
}

fn find<'f>(front: &'f Front, request: &Request<Bytes>) -> Option<(&'f Endpoint, Map<String, Value>)> {
    front
        .routes
        .iter()
        .filter(|endpoint| endpoint.methods.is_empty() || endpoint.methods.contains(request.method().as_str()))
        .filter_map(|endpoint| Some((endpoint, endpoint.route.matches(request.uri().path())?)))
        .min_by_key(|(endpoint, _)| endpoint.route.precedence())
}

/// The same request with its query rebuilt (repeated keys merged as `a=1,2`) and a body only if it has a length.
fn forwardable(mut request: Request<Bytes>) -> Request<Bytes> {
    if let Some(query) = request.uri().query() {
        let merged = merged_query(query);
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        let text = pairs.extend_pairs(&merged).finish().replace('+', "%20");
        if let Ok(target) = format!("{}?{text}", request.uri().path()).parse::<PathAndQuery>() {
            *request.uri_mut() = target.into();
        }
    }
    if !has_length(&request) {
        *request.body_mut() = Bytes::new();
    }
    request.headers_mut().remove(CONNECTION);
    request.headers_mut().remove(TRANSFER_ENCODING);
    request
}

fn passed_through(response: axum::http::Response<Bytes>) -> Response {
    let mut response = response.map(Body::from);
    // Hop-by-hop: the body is buffered and gets its own length.
    response.headers_mut().remove(CONNECTION);
    response.headers_mut().remove(TRANSFER_ENCODING);
    response
}

/// `HttpRequestExtensions.GetRequestAsJObject`.
fn request_object(request: &Request<Bytes>, parameters: &Map<String, Value>) -> Value {
    let text = |name: &HeaderName| {
        request
            .headers()
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    };
    let mut headers = Map::new();
    for name in request.headers().keys() {
        let values: Vec<&str> = request
            .headers()
            .get_all(name)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .collect();
        headers.insert(title_case(name.as_str()), values.into());
    }
    let query: Map<String, Value> = merged_query(request.uri().query().unwrap_or_default())
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    let mut object = json!({
        "Url": format!("http://{}{}", text(&HOST), request.uri()),
        "Method": request.method().as_str(),
        "Query": query,
        "Headers": headers,
        "Params": parameters,
        "Identities": [{"AuthenticationType": null, "IsAuthenticated": false, "Claims": []}],
    });
    if has_length(request) {
        let kind = text(&CONTENT_TYPE).to_ascii_lowercase();
        let binary = kind.starts_with("application/octet-stream") || kind.starts_with("multipart/");
        let body = request.body();
        object["Body"] = if binary {
            STANDARD.encode(body)
        } else {
            String::from_utf8_lossy(body).into_owned()
        }
        .into();
    }
    object
}

/// The `http` output as an answer; a missing one is 200 with `{}`, an unreadable one 500.
fn from_output(name: &str, reply: Reply) -> Response {
    let mut outputs = reply.outputs;
    if let Value::Object(members) = reply.return_value {
        outputs.extend(members);
    }
    let output = outputs
        .into_iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value);
    let output = match output {
        None => return plain(StatusCode::OK, "{}"),
        Some(Value::String(text)) => serde_json::from_str(&text).unwrap_or_default(),
        Some(value) => value,
    };
    let Value::Object(members) = output else {
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    build(&members).unwrap_or_else(|| empty(StatusCode::INTERNAL_SERVER_ERROR))
}

fn build(members: &Map<String, Value>) -> Option<Response> {
    let member = |name: &str| {
        members
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    let status = match member("statusCode") {
        None | Some(Value::Null) => StatusCode::OK,
        Some(Value::String(text)) => StatusCode::from_u16(text.parse().ok()?).ok()?,
        Some(number) => StatusCode::from_u16(u16::try_from(number.as_u64()?).ok()?).ok()?,
    };
    let mut response = match member("body") {
        None | Some(Value::Null) => empty(status),
        Some(Value::String(text)) => plain(status, text),
        Some(other) => super::answer::json(status, other),
    };
    for (name, value) in member("headers").and_then(Value::as_object).into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).ok()?;
        response.headers_mut().insert(name, HeaderValue::from_str(&text).ok()?);
    }
    Some(response)
}

fn has_length(request: &Request<Bytes>) -> bool {
    request
        .headers()
        .get(CONTENT_LENGTH)
        .is_some_and(|length| length.as_bytes() != b"0")
}

fn merged_query(query: &str) -> Vec<(String, String)> {
    let mut merged: Vec<(String, String)> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match merged.iter_mut().find(|(present, _)| *present == name) {
            Some((_, values)) => *values = format!("{values},{value}"),
            None => merged.push((name.into_owned(), value.into_owned())),
        }
    }
    merged
}

/// Header names as .NET shows the known ones: `content-type` -> `Content-Type`.
fn title_case(name: &str) -> String {
    let capital = |word: &str| {
        let mut chars = word.chars();
        chars
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + chars.as_str())
            .unwrap_or_default()
    };
    name.split('-').map(capital).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, length: bool, content_type: &str, body: &'static [u8]) -> Request<Bytes> {
        let mut builder = Request::post(uri)
            .header("host", "app.test")
            .header("content-type", content_type);
        if length {
            builder = builder.header("content-length", body.len());
        }
        builder.body(Bytes::from_static(body)).unwrap()
    }

    #[test]
    fn a_request_becomes_the_documented_object() {
        let mut parameters = Map::new();
        parameters.insert("name".to_owned(), "x".into());
        let object = request_object(
            &request("/api/order?id=7&id=8", true, "application/json", b"{\"id\":1005}"),
            &parameters,
        );
        insta::assert_snapshot!(object, @r#"{"Url":"http://app.test/api/order?id=7&id=8","Method":"POST","Query":{"id":"7,8"},"Headers":{"Host":["app.test"],"Content-Type":["application/json"],"Content-Length":["11"]},"Params":{"name":"x"},"Identities":[{"AuthenticationType":null,"IsAuthenticated":false,"Claims":[]}],"Body":"{\"id\":1005}"}"#);
    }

    #[test]
    fn a_body_without_a_length_is_lost_and_a_binary_one_is_base64() {
        let none = Map::new();
        assert!(
            request_object(&request("/", false, "text/plain", b"abc"), &none)
                .get("Body")
                .is_none()
        );
        assert_eq!(
            request_object(&request("/", true, "application/octet-stream", b"abc"), &none)["Body"],
            "YWJj"
        );
        assert!(forwardable(request("/", false, "text/plain", b"abc")).body().is_empty());
        let forwarded = forwardable(request("/api/a?x=1&y=a%20b&x=2", true, "text/plain", b"abc"));
        assert_eq!(forwarded.uri(), "/api/a?x=1%2C2&y=a%20b");
    }

    #[tokio::test]
    async fn the_http_output_decides_the_answer() {
        let outputs = |value: Value| Reply {
            outputs: value.as_object().cloned().unwrap(),
            ..Reply::default()
        };
        let answer = from_output(
            "res",
            outputs(
                json!({"RES": {"statusCode": 201, "headers": {"X-One": "1", "content-type": "text/html"}, "body": "<p>"}}),
            ),
        );
        assert_eq!(
            (answer.status(), &answer.headers()["x-one"]),
            (StatusCode::CREATED, &HeaderValue::from_static("1"))
        );
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/html");
        assert_eq!(
            &axum::body::to_bytes(answer.into_body(), 100).await.unwrap()[..],
            b"<p>"
        );
        let missing = from_output("res", outputs(json!({"other": 1})));
        assert_eq!(missing.status(), StatusCode::OK);
        assert_eq!(
            &axum::body::to_bytes(missing.into_body(), 100).await.unwrap()[..],
            b"{}"
        );
        for bad in [
            json!({"res": "text"}),
            json!({"res": {"statusCode": "many"}}),
            json!({"res": [1]}),
        ] {
            assert_eq!(
                from_output("res", outputs(bad)).status(),
                StatusCode::INTERNAL_SERVER_ERROR
            );
        }
    }
}
