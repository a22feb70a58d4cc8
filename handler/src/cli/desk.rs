//! The desk: what a command works with.
//!
//! A command never asks the process for anything: configuration, Azure, ledger, clock and the door to the app lie on the desk.
//! So the same command runs as a process and in virtual time. A part that cannot be had is an error only for a command that
//! reaches for it. Reading commands see Azure and the ledger with the caller's own rights; writing ones go through the door.

use std::sync::Arc;

use hubward_core::config::{Config, Credential};
use serde_json::Value;

use super::Exit;
use super::configuration::{File, Refused, overlay};
use super::door::{Answer, Ask, Door, DoorError, HttpDoor};
use crate::app::{StartError, azure, ledger_as_it_is};
use crate::arm::{Arm, ArmError};
use crate::clock::Clock;
use crate::environment::Environment;
use crate::ledger::{Ledger, LedgerError, SettingsError};

/// Why a command ended early: the line for people and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// How the command ends.
    pub exit: Exit,
    /// One line: what is wrong and what helps.
    pub line: String,
}

/// What may be on a desk, or why it is not.
type Part<T> = Result<T, Stop>;

/// What a command works with.
pub struct Desk {
    config: Part<Config>,
    arm: Part<Arc<Arm>>,
    ledger: Part<Option<Ledger>>,
    app: Part<Arc<dyn Door>>,
    clock: Arc<dyn Clock>,
    /// Who gives the commands, by the machine's word.
    caller: Option<String>,
    /// A managed identity is configured, and only machines in Azure have one.
    lacks_identity: bool,
}

impl Desk {
    /// A desk with everything on it.
    #[must_use]
    pub fn new(config: Config, arm: Arc<Arm>, ledger: Ledger, clock: Arc<dyn Clock>, app: Arc<dyn Door>) -> Self {
        Self {
            config: Ok(config),
            arm: Ok(arm),
            ledger: Ok(Some(ledger)),
            app: Ok(app),
            clock,
            caller: None,
            lacks_identity: false,
        }
    }

    /// The desk that the environment of a process lays out. Nothing is sent yet, and nothing is made by it.
    ///
    /// # Errors
    /// Without a clock, an identity or an HTTPS client there is no desk.
    pub(super) fn of_environment(environment: &Environment) -> Result<Self, Stop> {
        let config = File::of_app(environment).load(&overlay());
        let credential = config.as_ref().ok().map(|config| &config.credential);
        let managed = matches!(credential, Some(Credential::ManagedIdentity { .. }));
        let azure = azure(environment, credential)?;
        let ledger = match ledger_as_it_is(environment, &azure) {
            Ok(ledger) => Ok(Some(ledger)),
            Err(StartError::Storage(SettingsError::Absent)) => Ok(None),
            Err(error) => Err(error.into()),
        };
        let app = HttpDoor::of_environment(environment, Arc::clone(&azure.http));
        Ok(Self {
            config: config.map_err(Stop::from),
            arm: Ok(Arc::new(azure.arm)),
            ledger,
            app: app.map(|door| Arc::new(door) as Arc<dyn Door>).map_err(Stop::from),
            clock: azure.clock,
            caller: environment.get("USER"),
            // App Service sets it on each instance.
            lacks_identity: managed && environment.get("WEBSITE_INSTANCE_ID").is_none(),
        })
    }

    /// The configuration.
    ///
    /// # Errors
    /// Exit 2: there is none, or a value in it is wrong.
    pub fn config(&self) -> Result<&Config, Stop> {
        self.config.as_ref().map_err(Clone::clone)
    }

    /// Azure Resource Manager, with the caller's rights.
    ///
    /// # Errors
    /// Exit 2: the environment does not say how to reach it.
    pub fn arm(&self) -> Result<&Arm, Stop> {
        self.arm.as_ref().map(AsRef::as_ref).map_err(Clone::clone)
    }

    /// The ledger, with the caller's rights; `None` if nobody says where it is.
    ///
    /// # Errors
    /// Exit 2: what says where it is cannot be used.
    pub fn ledger_if_named(&self) -> Result<Option<&Ledger>, Stop> {
        self.ledger.as_ref().map(Option::as_ref).map_err(Clone::clone)
    }

    /// The ledger, with the caller's rights.
    ///
    /// # Errors
    /// Exit 2: nobody says where it is, or it cannot be used.
    pub fn ledger(&self) -> Result<&Ledger, Stop> {
        self.ledger_if_named()?
            .ok_or_else(|| Stop::usage(SettingsError::Absent.to_string()))
    }

    /// Azure's time.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Who gives the commands, as the machine says: it is told with each decision and proves nothing.
    #[must_use]
    pub fn caller(&self) -> Option<&str> {
        self.caller.as_deref()
    }

    /// Asks an HTTP function of the app.
    ///
    /// # Errors
    /// Exit 2: the door's settings are missing, or the app refuses the key. Exit 3: the app does not answer. Every other
    /// answer is for the command to judge.
    pub async fn ask(
        &self,
        ask: Ask,
        function: &str,
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Answer, Stop> {
        let app = self.app.as_ref().map_err(Clone::clone)?;
        let answer = app.call(ask, function, query, body).await?;
        match answer.status {
            401 | 403 => Err(Stop::usage(format!(
                "the app refuses the key of this call to {function} ({}); allowed: a key of that function or of its host",
                answer.status
            ))),
            500.. => Err(Stop {
                exit: Exit::Unreachable,
                line: format!("{function} failed ({}): {}", answer.status, answer.error()),
            }),
            _ => Ok(answer),
        }
    }

    /// What an error of Azure means for the command. Outside Azure there is no managed identity, and what helps is another
    /// credential.
    #[must_use]
    pub fn stopped_by(&self, error: &ArmError) -> Stop {
        let hint = if self.lacks_identity && matches!(error, ArmError::NoToken { .. }) {
            "; outside Azure set credential.kind = \"developer_tools\""
        } else {
            ""
        };
        Stop {
            exit: if error.is_unreachable() {
                Exit::Unreachable
            } else {
                Exit::Broken
            },
            line: format!("{error}{hint}"),
        }
    }
}

impl Stop {
    /// Wrong usage or configuration.
    #[must_use]
    pub fn usage(line: String) -> Self {
        Self {
            exit: Exit::Usage,
            line,
        }
    }
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::usage(refused.to_string())
    }
}

impl From<StartError> for Stop {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Ledger(error) => error.into(),
            other @ (StartError::Clock(_)
            | StartError::Storage(_)
            | StartError::Loopback(_)
            | StartError::Identity(_)
            | StartError::Endpoint(_)) => Self::usage(other.to_string()),
        }
    }
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        let exit = match &error {
            LedgerError::Settings(_) => Exit::Usage,
            LedgerError::Storage { .. } | LedgerError::Contended { .. } => Exit::Unreachable,
            LedgerError::Damaged(_) | LedgerError::NotJson { .. } | LedgerError::TooMany { .. } => Exit::Broken,
        };
        Self {
            exit,
            line: error.to_string(),
        }
    }
}

impl From<DoorError> for Stop {
    fn from(error: DoorError) -> Self {
        let exit = match &error {
            DoorError::Settings(_) => Exit::Usage,
            DoorError::Unreachable { .. } => Exit::Unreachable,
        };
        Self {
            exit,
            line: error.to_string(),
        }
    }
}
