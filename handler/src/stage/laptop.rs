//! A person's laptop on the stage: Azure with the person's own rights, over a wire of its own, the ledger as it is, and the door
//! to the app's HTTP functions, which asks the running process as the host would. A process that dies breaks the connection.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::Url;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::host::Request;
use super::wire::{Identity, Wire};
use super::{Stage, StageError, storage_settings};
use crate::app::ARM;
use crate::arm::{Arm, ArmDeps};
use crate::cli::{Answer, Ask, Desk, Door, DoorError};
use crate::clock::Clock;
use crate::functions::HTTP_NAMES;
use crate::host::{Call, Reply};
use crate::ledger::Ledger;

/// What ARM's tokens are for.
const AUDIENCE: &str = "https://management.azure.com/";
/// What the app is called in errors: nothing has an address here.
const APP: &str = "the function app";

impl Stage {
    /// The desk of a person: what the commands of the command line work with.
    ///
    /// # Errors
    /// [`StageError::Configuration`] if the app's configuration is wrong, [`StageError::Storage`].
    pub fn desk(&self) -> Result<Desk, StageError> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let wire = Arc::new(Wire::new(self.azure.clone(), Arc::clone(&clock), self.seed));
        wire.lend_token(self.token_of_person());
        let arm = Arm::new(ArmDeps {
            endpoint: Url::parse(ARM)?,
            credential: Arc::new(Identity {
                azure: self.azure.clone(),
                clock: Arc::clone(&clock),
            }),
            transport: wire.clone(),
            clock: Arc::clone(&clock),
            seed: self.seed,
        });
        let ledger = Ledger::as_it_is(&storage_settings(&self.azure)?, wire, Arc::clone(&clock))?;
        let door = FrontDoor {
            front: self.host.front.clone(),
        };
        Ok(Desk::new(self.config()?, Arc::new(arm), ledger, clock, Arc::new(door)))
    }

    fn token_of_person(&self) -> String {
        let mut azure = self.azure.lock();
        let person = azure.world().person.clone();
        azure.token_for(&person, AUDIENCE)
    }
}

/// The way to the app's HTTP functions past the network.
struct FrontDoor {
    front: mpsc::UnboundedSender<Request>,
}

#[async_trait]
impl Door for FrontDoor {
    async fn call(
        &self,
        ask: Ask,
        function: &str,
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Answer, DoorError> {
        let Some(function) = HTTP_NAMES.iter().find(|known| **known == function) else {
            return Ok(Answer {
                status: 404,
                body: Value::Null,
            });
        };
        let (answer, answered) = oneshot::channel();
        let call = Call {
            method: match ask {
                Ask::Get => "GET".to_owned(),
                Ask::Post => "POST".to_owned(),
            },
            query: query
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: body.map(|body| body.to_string()),
        };
        let broken = |_| DoorError::Unreachable {
            address: APP.to_owned(),
            reason: "the connection broke".to_owned(),
        };
        let request = Request { function, call, answer };
        if self.front.send(request).is_err() {
            return Err(broken(()));
        }
        match answered.await.map_err(|_| broken(()))? {
            Reply::Http { status, body, .. } => Ok(Answer { status, body }),
            // What the host makes of an HTTP function without an output, and of a failed one [functions-host: 2.8].
            Reply::Done { .. } => Ok(Answer {
                status: 200,
                body: Value::Null,
            }),
            Reply::Failed { .. } => Ok(Answer {
                status: 500,
                body: Value::Null,
            }),
        }
    }
}
