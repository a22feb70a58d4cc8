//! The custom-handler protocol of the Azure Functions host: one HTTP server on loopback, one POST per invocation.
//!
//! It decodes the envelope, hands an [`Invocation`] to the app's [`Functions`] and answers JSON in every case; it knows no
//! function by name and writes no output bindings but the answer of an HTTP function. A failed or panicked invocation answers 500, so that the trigger brings
//! it again; the process never ends with code 0, because the host would not start it again [functions-host: issue #6301].

mod answer;
mod envelope;
mod http;
mod server;
#[cfg(test)]
mod tests;

pub use answer::Reply;
pub use envelope::{BindingError, EnvelopeError, Invocation, decode, open};
pub use http::{Call, REQUEST, RESPONSE};
pub use server::{MAX_BODY, ServeError, router, serve};

use async_trait::async_trait;

/// The functions of an app, by the names of their folders.
#[async_trait]
pub trait Functions: Send + Sync {
    /// Runs one invocation. A panic in it is answered like [`Reply::Failed`].
    async fn invoke(&self, invocation: Invocation) -> Reply;

    /// The function names, with the case of their folders [functions-host: path = `/<FolderName>`, case kept].
    fn names(&self) -> &[&'static str];

    /// The functions among them that answer forwarded HTTP requests: those with an `httpTrigger` and an `http` output alone.
    fn http_names(&self) -> &[&'static str] {
        &[]
    }
}
