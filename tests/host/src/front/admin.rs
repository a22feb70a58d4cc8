//! Administration with the master key: manual runs of a function and the host's status. A manual run is answered with
//! 202 at once; its result is in the log and nowhere else.

use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{empty, json as json_answer, plain};
use super::{Front, keys};
use crate::HOST_VERSION;
use crate::discovery::{Cardinality, Function, Trigger};
use crate::encoding::Envelope;
use crate::options::Level;
use crate::payload::{self, System};
use crate::supervisor::Phase;

/// `path` is lower-case and without `admin`; `original` has the case of the request.
pub(super) fn serve(front: &Front, path: &[&str], original: &[&str], request: &Request<Bytes>) -> Response {
    if !keys::opens_admin(&front.keys, request) {
        return empty(StatusCode::UNAUTHORIZED);
    }
    match (request.method(), path) {
        (&Method::GET, ["host", "status"]) => json_answer(StatusCode::OK, &status(front)),
        (&Method::GET | &Method::POST, ["host", "ping"]) => empty(StatusCode::OK),
        (&Method::GET, ["functions"]) => {
            let names: Vec<Value> = front
                .functions
                .iter()
                .map(|function| json!({"name": function.name}))
                .collect();
            json_answer(StatusCode::OK, &names.into())
        }
        (&Method::POST, ["functions", _]) => invoke(front, original.get(2).copied().unwrap_or_default(), request),
        _ => empty(StatusCode::NOT_FOUND),
    }
}

fn status(front: &Front) -> Value {
    let errors: Vec<String> = front
        .errors
        .iter()
        .map(|(name, reason)| format!("The '{name}' function is in error: {reason}"))
        .collect();
    let mut status = json!({
        "id": front.id,
        "state": match front.invoker.handler.status().phase {
            Phase::Starting | Phase::Initialized { .. } => "Running",
            Phase::Stopped(_) => "Stopped",
        },
        "version": HOST_VERSION,
        "versionDetails": HOST_VERSION,
    });
    if !errors.is_empty() {
        status["errors"] = errors.into();
    }
    status
}

fn invoke(front: &Front, name: &str, request: &Request<Bytes>) -> Response {
    let Some(function) = front.function(name) else {
        return empty(StatusCode::NOT_FOUND);
    };
    let input = match serde_json::from_slice::<Value>(request.body()) {
        Ok(Value::Object(body)) => match body.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("input")) {
            None => String::new(),
            Some((_, Value::String(input))) => input,
            Some(_) => return plain(StatusCode::BAD_REQUEST, "input must be a string"),
        },
        Ok(_) | Err(_) => return plain(StatusCode::BAD_REQUEST, "the body must be a JSON object with input"),
    };
    let invoker = front.invoker.clone();
    let system = invoker.system(&function.name);
    match envelope(function, &input, &system) {
        Ok(envelope) => {
            let name = function.name.clone();
            front.invocations.spawn(async move {
                let reason = "This function was programmatically called via the host APIs.";
                // The outcome is in the log and nowhere else.
                let _ = invoker.invoke(&name, reason, &envelope).await;
            });
        }
        Err(reason) => {
            let text = format!("Executed 'Functions.{}' (Failed): {reason}", function.name);
            invoker.log.host(Level::Error, text);
        }
    }
    empty(StatusCode::ACCEPTED)
}

/// The body a manual run sends, if `input` can be turned into the trigger's value.
fn envelope(function: &Function, input: &str, system: &System) -> Result<Envelope, String> {
    match &function.trigger {
        Trigger::Queue { binary, .. } => Ok(payload::queue(
            &function.binding,
            input.as_bytes(),
            *binary,
            None,
            system,
        )),
        Trigger::Timer { .. } => Ok(payload::timer(&function.binding, None, system)),
        Trigger::EventGrid {
            cardinality: Cardinality::One,
        } => match serde_json::from_str(input) {
            Ok(event @ Value::Object(_)) => Ok(payload::event_grid(&function.binding, &event, system)),
            Ok(_) | Err(_) => Err("input is not the JSON text of one event".to_owned()),
        },
        Trigger::EventGrid {
            cardinality: Cardinality::Many,
        } => Err("a string cannot be bound to JArray".to_owned()),
        Trigger::Http { .. } => Err("an http function is run by calling its route".to_owned()),
    }
}
