//! The stage on which stories and scenario tests run: one simulated Azure, the product's `App` on a wire, and a host that
//! pumps events and messages, in one process, without sockets, in virtual time.
//!
//! It builds the app from its public parts and replaces only what is outside of it: transport, token and clock. Nothing in it
//! retries or repairs what the product should; a run that does not come to rest is an error that names what is still owed. The
//! same seed gives the same run. It needs a current-thread runtime whose time is paused.

mod cluster;
mod deliveries;
mod documents;
mod envelope;
mod error;
mod host;
mod laptop;
mod pump;
pub mod queue;
pub mod reach;
mod timer;
pub mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use azure_core::http::{HttpClient, Url};
use azure_sim::{Azure, Counters, EventSchema, EventSubscription, World};
use hubward_core::config::{Config, ConfigError, Events};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::app::{ARM, App};
use crate::arm::{Arm, ArmDeps};
use crate::clock::{Clock, TokioClock};
use crate::ledger::{Ledger, StorageSettings};
use crate::work::Report;
use wire::{BLOB_PORT, Identity, QUEUE_PORT, Shared, SideDoor, Wire};

pub use cluster::Cluster;
pub use documents::documents;
pub use error::StageError;
pub use host::{Crash, Line};

/// The commented example configuration, with which the product runs here as in `local`.
const EXAMPLE: &str = include_str!("../../../infra/hubward.example.toml");
/// When the simulated Azure begins: a Monday morning.
pub const START: OffsetDateTime = datetime!(2026-01-05 08:00 UTC);
/// Tokens end by the wall clock, which the SDK reads; a fixed day far ahead keeps the wall clock out of every run.
const TOKENS_LAST_UNTIL: OffsetDateTime = datetime!(2100-01-01 00:00 UTC);
/// Where the simulated Event Grid sends what the product subscribed to.
const TO_CLUSTER_EVENTS: &str = "stage://ClusterEvents";
/// Where it sends the same events as CloudEvents; they are only kept, so that they can be sent on.
const TO_NOBODY: &str = "stage://nobody";

/// What a run begins with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Decides every draw, of Azure and of the wire.
    pub seed: u64,
    /// What exists.
    pub world: World,
    /// App settings that overlay the example configuration.
    pub settings: BTreeMap<String, String>,
    /// True if `DriftTimer` runs on its schedule. A run with it never comes to rest for good.
    pub timer: bool,
}

impl Setup {
    /// One hub and the example configuration.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            world: World::one_hub(),
            settings: BTreeMap::new(),
            timer: false,
        }
    }

    /// Overlays one setting, as `HUBWARD__mode`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The configuration that the app will read.
    ///
    /// # Errors
    /// The one line that says what is wrong with it.
    pub fn config(&self) -> Result<Config, ConfigError> {
        config(&self.settings)
    }
}

/// Product, Azure and host in one process.
pub struct Stage {
    /// The seed of the run.
    pub seed: u64,
    /// The Azure.
    pub azure: Shared,
    /// The product's way to it.
    pub wire: Arc<Wire>,
    /// The product's ledger, seen through a door of its own.
    pub ledger: Ledger,
    /// The one clock.
    pub clock: Arc<TokioClock>,
    /// What the functions said, in order.
    pub lines: Vec<Line>,
    settings: BTreeMap<String, String>,
    app: Option<Arc<App>>,
    starts: u64,
    host: host::Host,
    timer: timer::Timer,
}

impl Stage {
    /// A fresh Azure with the app installed and running.
    ///
    /// # Errors
    /// [`StageError`] if the app cannot be started.
    pub async fn with(setup: Setup) -> Result<Self, StageError> {
        let mut stage = Self::without_app(setup).await?;
        stage.start_app().await?;
        Ok(stage)
    }

    /// A fresh Azure in which the app is not installed yet; events already come.
    ///
    /// # Errors
    /// [`StageError`] if the ledger cannot be opened.
    pub async fn without_app(setup: Setup) -> Result<Self, StageError> {
        let mut azure = Azure::new(setup.world, setup.seed, START);
        azure.set_wall_clock(TOKENS_LAST_UNTIL);
        // The operator makes the container and names it in the event subscription.
        let events = config(&setup.settings).map_or_else(|_| Events::default(), |config| config.events);
        let dead_letters = events.dead_letter_container;
        azure.storage_mut().make_container(&dead_letters);
        for (endpoint, schema, dead_letter) in [
            (TO_CLUSTER_EVENTS, EventSchema::EventGrid, Some(dead_letters)),
            (TO_NOBODY, EventSchema::CloudEvents, None),
        ] {
            azure.subscribe(EventSubscription {
                name: endpoint.trim_start_matches("stage://").to_owned(),
                endpoint: endpoint.to_owned(),
                schema,
                operation_names: Vec::new(),
                dead_letter,
            });
        }
        let mut stage = Self::over(azure, setup.seed, setup.settings).await?;
        stage.timer.is_on = setup.timer;
        Ok(stage)
    }

    /// A stage over an Azure as it is, at its own time, without an app: how a run goes on after the whole machine was lost.
    ///
    /// # Errors
    /// [`StageError`] if the ledger cannot be opened.
    pub async fn over(azure: Azure, seed: u64, settings: BTreeMap<String, String>) -> Result<Self, StageError> {
        let clock = Arc::new(TokioClock::new(azure.now()));
        let azure = Shared::new(azure);
        let wire = Arc::new(Wire::new(azure.clone(), clock.clone(), seed));
        let side_door = Arc::new(SideDoor {
            azure: azure.clone(),
            clock: clock.clone(),
        });
        let ledger = open_ledger(&azure, side_door, clock.clone()).await?;
        Ok(Self {
            seed,
            azure,
            wire,
            ledger,
            clock,
            lines: Vec::new(),
            settings,
            app: None,
            starts: 0,
            host: host::Host::default(),
            timer: timer::Timer::default(),
        })
    }

    /// Starts the process: builds the app from its parts, as `serve` does.
    ///
    /// # Errors
    /// [`StageError`] if the ledger cannot be opened or the installation cannot be noted.
    pub async fn start_app(&mut self) -> Result<(), StageError> {
        self.wire.rest_hooks(true);
        let ledger = open_ledger(&self.azure, self.wire.clone(), self.clock.clone()).await?;
        ledger.installed.at(self.clock.now()).await?;
        self.wire.rest_hooks(false);
        let clock: Arc<dyn Clock> = self.clock.clone();
        let arm = Arm::new(ArmDeps {
            endpoint: Url::parse(ARM)?,
            credential: Arc::new(Identity {
                azure: self.azure.clone(),
                clock: self.clock.clone(),
            }),
            transport: self.wire.clone(),
            clock: Arc::clone(&clock),
            seed: self.seed.wrapping_mul(1000).wrapping_add(self.starts),
        });
        self.starts += 1;
        let config = self.config();
        let schedule = config.as_ref().ok().map(|config| config.drift.schedule.as_str());
        self.timer.start(schedule, self.clock.now());
        self.app = Some(Arc::new(App {
            config,
            arm,
            ledger,
            clock,
        }));
        Ok(())
    }

    /// Changes an app setting; it takes effect with the next start of the process.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    /// The configuration as the next start of the process reads it.
    ///
    /// # Errors
    /// The one line that says what is wrong with it.
    pub fn config(&self) -> Result<Config, ConfigError> {
        config(&self.settings)
    }

    /// Virtual time.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// Virtual seconds since the start of Azure.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        (self.now() - START).as_seconds_f64()
    }

    /// The handler's totals at ARM.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let azure = self.azure.lock();
        let handler = azure.world().handler.clone();
        azure.counters(&handler)
    }

    /// The last outcome of a key, as people see it; `None` before its first.
    ///
    /// # Errors
    /// [`StageError::Ledger`] if it cannot be read.
    pub async fn report(&self, key: &str) -> Result<Option<Report>, StageError> {
        let outcome = self.ledger.outcomes.get(key).await?;
        Ok(outcome.and_then(|outcome| serde_json::from_value(outcome.body).ok()))
    }

    /// The state of a key in words; `unknown` before its first outcome.
    ///
    /// # Errors
    /// [`StageError::Ledger`] if it cannot be read.
    pub async fn state(&self, key: &str) -> Result<String, StageError> {
        let report = self.report(key).await?;
        Ok(report.map_or_else(|| "unknown".to_owned(), |report| report.state.to_string()))
    }
}

fn config(settings: &BTreeMap<String, String>) -> Result<Config, ConfigError> {
    Config::load(EXAMPLE, settings)
}

async fn open_ledger(
    azure: &Shared,
    transport: Arc<dyn HttpClient>,
    clock: Arc<TokioClock>,
) -> Result<Ledger, StageError> {
    Ok(Ledger::open(storage_settings(azure)?, transport, clock).await?)
}

/// The one account, as `AzureWebJobsStorage` would name it.
fn storage_settings(azure: &Shared) -> Result<StorageSettings, StageError> {
    let azure = azure.lock();
    let (account, key) = (&azure.world().storage_account, &azure.world().storage_key);
    let text = format!(
        "DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};\
         BlobEndpoint=http://127.0.0.1:{BLOB_PORT}/{account};QueueEndpoint=http://127.0.0.1:{QUEUE_PORT}/{account}"
    );
    Ok(StorageSettings::from_env(&|name| {
        (name == "AzureWebJobsStorage").then(|| text.clone())
    })?)
}
