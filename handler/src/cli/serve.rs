//! `hubward serve`: the custom handler. It never ends with code 0, because the host would not start it again.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::tell;
use crate::app::{App, StartError, open};
use crate::environment::Environment;
use crate::functions::{HTTP_NAMES, NAMES};
use crate::host::{self, Functions, Invocation, Reply};

/// The variable in which the host says where to listen.
const PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";

pub(super) fn run() -> ExitCode {
    let environment = Environment::of_process();
    let Some(port) = environment
        .get(PORT)
        .and_then(|text| text.parse().ok())
        .filter(|port| *port != 0)
    else {
        tell(&format!(
            "{PORT} is not a port; allowed: 1 to 65535, set by the Functions host"
        ));
        return ExitCode::from(2);
    };
    crate::logging::init(environment.get("RUST_LOG").as_deref());
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(&format!("the runtime cannot be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let served = runtime.block_on(host::serve(port, move || async move {
        let starting = Starting {
            environment,
            app: OnceCell::new(),
        };
        // Opened at once, so that the time of installation is noted before the first event.
        if let Err(error) = starting.app().await {
            tracing::error!("the app cannot be opened yet: {error}");
        }
        Arc::new(starting) as Arc<dyn Functions>
    }));
    match served {
        Ok(never) => match never {},
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The app, opened again with each invocation until it succeeds once: storage may be late.
struct Starting {
    environment: Environment,
    app: OnceCell<App>,
}

impl Starting {
    async fn app(&self) -> Result<&App, StartError> {
        self.app.get_or_try_init(|| open(&self.environment)).await
    }
}

#[async_trait]
impl Functions for Starting {
    async fn invoke(&self, invocation: Invocation) -> Reply {
        match self.app().await {
            Ok(app) => app.invoke(invocation).await,
            Err(error) => Reply::Failed {
                reason: format!("the app cannot be opened: {error}"),
            },
        }
    }

    fn names(&self) -> &[&'static str] {
        &NAMES
    }

    fn http_names(&self) -> &[&'static str] {
        &HTTP_NAMES
    }
}
