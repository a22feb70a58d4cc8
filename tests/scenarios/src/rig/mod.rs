//! The rig itself: one Azure, the product's `App` on a wire, and a host that pumps events and messages, all in virtual time
//! on one thread. Nothing in it retries or repairs what the product should; when a run does not come to rest it fails with
//! the seed and with what is still owed.

mod cluster;
mod envelope;
mod host;
pub mod queue;
pub mod reach;
pub mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use azure_core::http::{HttpClient, Url};
use azure_sim::{Azure, Counters, EventSchema, EventSubscription, World};
use hubward::app::ARM;
use hubward::app::App;
use hubward::arm::{Arm, ArmDeps};
use hubward::clock::{Clock, TokioClock};
use hubward::ledger::{Ledger, StorageSettings};
use hubward::work::Report;
use hubward_core::config::{Config, ConfigError};
use time::OffsetDateTime;
use time::macros::datetime;

use wire::{BLOB_PORT, Identity, QUEUE_PORT, Shared, SideDoor, Wire};

pub use cluster::Cluster;
pub use host::{Crash, Line};

/// The commented example configuration, with which the product runs here as in `local`.
const EXAMPLE: &str = include_str!("../../../../infra/hubward.example.toml");
/// When the simulated Azure begins: a Monday morning.
pub const START: OffsetDateTime = datetime!(2026-01-05 08:00 UTC);
/// Tokens end by the wall clock, which the SDK reads; a fixed day far ahead keeps the wall clock out of every run.
const TOKENS_LAST_UNTIL: OffsetDateTime = datetime!(2100-01-01 00:00 UTC);
/// Where the simulated Event Grid sends what the product subscribed to.
const TO_CLUSTER_EVENTS: &str = "rig://ClusterEvents";
/// Where it sends the same events as CloudEvents; they are only kept, for tests to send them on.
const TO_NOBODY: &str = "rig://nobody";
/// A run that has not come to rest by then never will: firewall updates take minutes, retries an hour at the most.
const PATIENCE: Duration = Duration::from_secs(12 * 3600);

/// What a run begins with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Decides every draw, of Azure and of the wire.
    pub seed: u64,
    /// What exists.
    pub world: World,
    /// App settings that overlay the example configuration.
    pub settings: BTreeMap<String, String>,
}

impl Setup {
    /// One hub and the example configuration.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            world: World::one_hub(),
            settings: BTreeMap::new(),
        }
    }

    /// Overlays one setting, as `HUBWARD__mode`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// Product, Azure and host in one process.
pub struct Rig {
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
    /// What this run is about, for the message of a failure.
    pub story: String,
    settings: BTreeMap<String, String>,
    app: Option<Arc<App>>,
    starts: u64,
    host: host::Host,
}

impl Rig {
    /// A fresh Azure with the app installed and running.
    pub async fn new(seed: u64) -> Self {
        Self::with(Setup::seeded(seed)).await
    }

    /// As [`Rig::new`], from a setup.
    pub async fn with(setup: Setup) -> Self {
        let mut rig = Self::without_app(setup).await;
        rig.start_app().await;
        rig
    }

    /// A fresh Azure in which the app is not installed yet; events already come.
    pub async fn without_app(setup: Setup) -> Self {
        let mut azure = Azure::new(setup.world, setup.seed, START);
        azure.set_wall_clock(TOKENS_LAST_UNTIL);
        for (endpoint, schema) in [
            (TO_CLUSTER_EVENTS, EventSchema::EventGrid),
            (TO_NOBODY, EventSchema::CloudEvents),
        ] {
            azure.subscribe(EventSubscription {
                name: endpoint.trim_start_matches("rig://").to_owned(),
                endpoint: endpoint.to_owned(),
                schema,
                operation_names: Vec::new(),
            });
        }
        Self::over(azure, setup.seed, setup.settings).await
    }

    /// A rig over an Azure as it is, at its own time, without an app: how a run goes on after the whole machine was lost.
    pub async fn over(azure: Azure, seed: u64, settings: BTreeMap<String, String>) -> Self {
        let clock = Arc::new(TokioClock::new(azure.now()));
        let azure = Shared::new(azure);
        let wire = Arc::new(Wire::new(azure.clone(), clock.clone(), seed));
        let side_door = Arc::new(SideDoor {
            azure: azure.clone(),
            clock: clock.clone(),
        });
        let ledger = open_ledger(&azure, side_door, clock.clone()).await;
        Self {
            seed,
            azure,
            wire,
            ledger,
            clock,
            lines: Vec::new(),
            story: String::new(),
            settings,
            app: None,
            starts: 0,
            host: host::Host::default(),
        }
    }

    /// Starts the process: builds the app from its parts, as `serve` does.
    pub async fn start_app(&mut self) {
        self.wire.rest_hooks(true);
        let ledger = open_ledger(&self.azure, self.wire.clone(), self.clock.clone()).await;
        if let Err(error) = ledger.installed.at(self.clock.now()).await {
            self.fail(&format!("the app cannot be installed: {error}"));
        }
        self.wire.rest_hooks(false);
        let Ok(endpoint) = Url::parse(ARM) else {
            self.fail(&format!("{ARM} is no URL"))
        };
        let clock: Arc<dyn Clock> = self.clock.clone();
        let arm = Arm::new(ArmDeps {
            endpoint,
            credential: Arc::new(Identity {
                azure: self.azure.clone(),
                clock: self.clock.clone(),
            }),
            transport: self.wire.clone(),
            clock: Arc::clone(&clock),
            seed: self.seed.wrapping_mul(1000).wrapping_add(self.starts),
        });
        self.starts += 1;
        self.app = Some(Arc::new(App {
            config: self.config(),
            arm,
            ledger,
            clock,
        }));
    }

    /// Changes an app setting; it takes effect with the next start of the process.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
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

    /// The last outcome of a key, as people see it.
    pub async fn report(&self, key: &str) -> Option<Report> {
        match self.ledger.outcomes.get(key).await {
            Ok(outcome) => serde_json::from_value(outcome?.body).ok(),
            Err(error) => self.fail(&format!("the outcome of {key} cannot be read: {error}")),
        }
    }

    /// The state of a cluster in words; `unknown` before its first outcome.
    pub async fn state(&self, cluster: &Cluster) -> String {
        let report = self.report(&cluster.key).await;
        report.map_or_else(|| "unknown".to_owned(), |report| report.state.to_string())
    }

    /// Fails the test.
    ///
    /// # Panics
    /// Always, with the seed and the virtual time.
    pub fn fail(&self, what: &str) -> ! {
        panic!("seed {}, at {:.1} s, {}: {what}", self.seed, self.seconds(), self.story)
    }

    fn config(&self) -> Result<Config, ConfigError> {
        Config::load(EXAMPLE, &self.settings)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "this run had seed {} and had come to {:.1} s",
                self.seed,
                self.seconds()
            );
        }
    }
}

async fn open_ledger(azure: &Shared, transport: Arc<dyn HttpClient>, clock: Arc<TokioClock>) -> Ledger {
    let (account, key) = {
        let azure = azure.lock();
        (azure.world().storage_account.clone(), azure.world().storage_key.clone())
    };
    let text = format!(
        "DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};\
         BlobEndpoint=http://127.0.0.1:{BLOB_PORT}/{account};QueueEndpoint=http://127.0.0.1:{QUEUE_PORT}/{account}"
    );
    let settings = StorageSettings::from_env(&|name| (name == "AzureWebJobsStorage").then(|| text.clone()));
    let settings = settings.unwrap_or_else(|error| panic!("the connection string is refused: {error}"));
    let ledger = Ledger::open(settings, transport, clock).await;
    ledger.unwrap_or_else(|error| panic!("the ledger cannot be opened: {error}"))
}
