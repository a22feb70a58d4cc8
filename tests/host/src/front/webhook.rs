//! The Event Grid extension's webhook. Handshakes are answered here and never reach the handler.
//!
//! A notification answers only when every event has been handled: 202 if all went well, else 500 with the first
//! exception's message, and Event Grid will send the whole batch again.

use std::sync::Arc;

use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures::future::join_all;
use serde_json::{Value, json};

use super::answer::{empty, json as json_answer, plain};
use super::{Front, keys, query};
use crate::discovery::Cardinality;
use crate::invoker::{InvocationError, Invoker};
use crate::options::Level;
use crate::payload;

pub(super) async fn serve(front: Arc<Front>, request: Request<Bytes>) -> Response {
    if !keys::opens_event_grid(&front.keys, &request) {
        return empty(StatusCode::UNAUTHORIZED);
    }
    let name = query(&request, "functionName").unwrap_or_default();
    let Some((function, cardinality)) = front.event_grid(&name) else {
        front
            .invoker
            .log
            .host(Level::Information, format!("cannot find function: '{name}'"));
        return plain(StatusCode::NOT_FOUND, &format!("cannot find function: '{name}'"));
    };
    if request.method() == Method::OPTIONS {
        return allow_origin(&request);
    }
    let kind = request
        .headers()
        .get("aeg-event-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    match kind.to_ascii_lowercase().as_str() {
        "subscriptionvalidation" => validate(request.body()),
        "notification" => {
            let (function, binding) = (function.name.clone(), function.binding.clone());
            notify(&front, function, binding, cardinality, request.body()).await
        }
        "unsubscribe" => empty(StatusCode::ACCEPTED),
        _ => empty(StatusCode::BAD_REQUEST),
    }
}

/// The CloudEvents handshake.
fn allow_origin(request: &Request<Bytes>) -> Response {
    let Some(origin) = request.headers().get("webhook-request-origin") else {
        return empty(StatusCode::BAD_REQUEST);
    };
    let mut answer = empty(StatusCode::OK);
    answer
        .headers_mut()
        .insert("webhook-allowed-origin", HeaderValue::clone(origin));
    answer
}

/// The Event Grid schema's handshake: an array of one event, or for CloudEvents one object whose data is a JSON text.
fn validate(body: &[u8]) -> Response {
    let event: Value = serde_json::from_slice(body).unwrap_or_default();
    let event = if event.is_array() { &event[0] } else { &event };
    let data = match event["data"].as_str() {
        Some(text) => serde_json::from_str(text).unwrap_or_default(),
        None => event["data"].clone(),
    };
    match data["validationCode"].as_str() {
        Some(code) => json_answer(StatusCode::OK, &json!({"validationResponse": code})),
        None => plain(StatusCode::BAD_REQUEST, "the validation event has no validationCode"),
    }
}

async fn notify(front: &Front, function: String, binding: String, cardinality: Cardinality, body: &[u8]) -> Response {
    let events = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Array(events)) => events,
        Ok(event @ Value::Object(_)) => vec![event],
        Ok(_) | Err(_) => {
            return plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The body is neither an event nor an array of events.",
            );
        }
    };
    let values = match cardinality {
        Cardinality::One => events,
        Cardinality::Many => vec![Value::Array(events)],
    };
    let invoker = front.invoker.clone();
    let run = async move {
        let runs = values.iter().map(|value| one(&invoker, &function, &binding, value));
        join_all(runs).await.into_iter().find_map(Result::err)
    };
    match front.detached(run).await {
        Some(None) => empty(StatusCode::ACCEPTED),
        Some(Some(InvocationError::HostStopped(reason))) => plain(StatusCode::SERVICE_UNAVAILABLE, &reason),
        Some(Some(error @ (InvocationError::Failed(_) | InvocationError::TimedOut(_)))) => {
            plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
        }
        None => plain(StatusCode::SERVICE_UNAVAILABLE, "Function host is not running."),
    }
}

async fn one(invoker: &Invoker, function: &str, binding: &str, value: &Value) -> Result<(), InvocationError> {
    if !(value.is_object() || value.is_array()) {
        return Err(InvocationError::Failed(format!("{value} is not an event")));
    }
    let envelope = payload::event_grid(binding, value, &invoker.system(function));
    let reason = "EventGrid trigger fired";
    invoker.invoke(function, reason, &envelope).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(body: &Value) -> (StatusCode, String) {
        let response = validate(body.to_string().as_bytes());
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn both_forms_of_the_validation_event_are_answered_with_their_code() {
        let expected = (StatusCode::OK, r#"{"validationResponse":"512d38b6"}"#.to_owned());
        let array = json!([{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "512d38b6", "validationUrl": "https://x"}}]);
        assert_eq!(answer(&array).await, expected);
        let text = json!({"data": "{\"validationCode\":\"512d38b6\"}"});
        assert_eq!(answer(&text).await, expected);
        assert_eq!(answer(&json!([])).await.0, StatusCode::BAD_REQUEST);
    }
}
