//! The rig: simulator, stand-in host and the handler's process, wired together on loopback.
//!
//! It starts nothing before the configuration is found good. Dropping it kills the handler and removes the script root.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use azure_sim::door::clock::WallClock;
use azure_sim::door::loopback::{self, Served};
use azure_sim::walk::{Inbound, Packet, Walk};
use azure_sim::{
    Azure, ClusterSpec, Counters, EventSchema, EventSubscription, Exposure, Frontend, PendingService, World,
};
use host_sim::{Host, HostOptions, Keys};
use hubward_core::blueprint::application_address_id;
use hubward_core::config::{AddressSource, Config, Hub};
use hubward_core::ids::ResourceId;
use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::expectation;
use super::logs::Logs;
use super::{Arguments, LocalError};
use crate::cli::configuration::{File, judge, overlay};
use crate::environment::{CONFIG_VARIABLE, Environment};
use crate::ledger::{Ledger, StorageSettings};

/// The commented example, which is what `local` runs with.
const EXAMPLE: &str = include_str!("../../../../infra/hubward.example.toml");

/// What `local` adds to it: clients of one network may come in, through addresses that the hub's owner has attached.
const INGRESS: &str = "\n[hubs.main.ingress]\nsources = [\"192.0.2.0/26\"]\n";

/// When the simulated Azure begins, in Unix milliseconds: 2026-01-05 08:00 UTC, a Monday morning. Fixed, so that the same
/// seed prints the same times.
const EPOCH_MS: i64 = 1_767_600_000_000;

/// What the names of operator rules that the simulated internet lacks are given: the network of benchmarks (RFC 2544), which
/// nobody else is in.
const NAMES: u32 = u32::from_be_bytes([198, 18, 0, 1]);

/// The longest that all parts may take to start, in wall time.
const START: Duration = Duration::from_secs(120);

/// A cluster of this run.
pub(super) struct Cluster {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) name: String,
    pub(super) subnets: Vec<String>,
}

/// Everything that runs.
pub(super) struct Rig {
    azure: Arc<Mutex<Azure>>,
    clock: WallClock,
    served: Served,
    pub(super) host: Host,
    pub(super) ledger: Ledger,
    world: World,
    config: Config,
    settings: Vec<(String, String)>,
    /// The host's own key, with which every HTTP function may be called.
    app_key: String,
    started: Instant,
    pub(super) logs: Logs,
    _script_root: TempDir,
}

impl Rig {
    /// Starts all parts and waits until the app is installed.
    pub(super) async fn start(arguments: &Arguments) -> Result<Self, LocalError> {
        let (text, config) = configuration(arguments)?;
        let started = Instant::now();
        let clock = WallClock {
            scale: f64::from(arguments.speed()),
            wall_ms: unix_ms(),
            azure_ms: EPOCH_MS,
        };
        let world = world(&config, arguments.clusters);
        let azure = Arc::new(Mutex::new(Azure::new(world.clone(), arguments.seed, clock.now())));
        let served = loopback::serve(Arc::clone(&azure), clock).await?;

        let folder = tempfile::Builder::new().prefix("hubward-local-").tempdir()?;
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(text.as_bytes())?;
        let script_root = folder.path().join("script-root");
        let root = crate::package::assemble(
            &script_root,
            &std::env::current_exe()?,
            Some(file.path()),
            &config.drift,
        )?;

        let connection = connection_string(&world, &served);
        let (sender, receiver) = mpsc::unbounded_channel();
        let settings = app_settings(
            &world,
            &served,
            &clock,
            &connection,
            &root.path.join(crate::package::CONFIG),
            arguments.seed,
        );
        let keys = Keys::from_seed(arguments.seed);
        let app_key = keys.host_default.clone();
        let host = host_sim::start(HostOptions {
            env: settings.clone(),
            script_root: root.path,
            time_scale: clock.scale,
            seed: arguments.seed,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            keys,
            log: sender,
        })
        .await?;
        let logs = Logs::follow(receiver, arguments.verbose);
        lock(&azure).subscribe(EventSubscription {
            name: "hubward-clusters".to_owned(),
            endpoint: host.webhook_url("ClusterEvents"),
            schema: EventSchema::EventGrid,
            operation_names: Vec::new(),
            dead_letter: None,
        });
        let rig = Self {
            ledger: ledger(&connection).await?,
            azure,
            clock,
            served,
            host,
            world,
            config,
            settings,
            app_key,
            started,
            logs,
            _script_root: folder,
        };
        rig.installed().await?;
        Ok(rig)
    }

    /// Creates the clusters as a person would; the app hears of them by Event Grid.
    pub(super) fn create_clusters(&self, count: u8) -> Vec<Cluster> {
        let now = self.clock.now();
        (1..=count)
            .map(|index| {
                let spec = spec(index);
                let id = lock(&self.azure).create_cluster(&spec, now);
                let subscription = &self.world.subscription;
                Cluster {
                    key: id.to_ascii_lowercase(),
                    id,
                    subnets: spec
                        .subnets
                        .iter()
                        .map(|s| spec.subnet_id(subscription, &s.name))
                        .collect(),
                    name: spec.name,
                }
            })
            .collect()
    }

    /// Azure's time.
    pub(super) fn azure_now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// Azure time since the start.
    pub(super) fn azure_elapsed(&self) -> Duration {
        self.wall_elapsed().mul_f64(self.clock.scale)
    }

    /// Wall time since the start.
    pub(super) fn wall_elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Walks a packet through what exists in the simulated Azure.
    pub(super) fn walk(&self, packet: &Packet) -> Walk {
        lock(&self.azure).walk(packet)
    }

    /// Walks a client's packet in from the internet.
    pub(super) fn walk_inbound(&self, packet: &Inbound) -> Walk {
        lock(&self.azure).walk_inbound(packet)
    }

    /// A person of the cluster's team exposes a web service under the cluster's application address.
    pub(super) fn expose_web(&self, cluster: &Cluster, ports: &[u16]) -> Result<Ipv4Addr, PendingService> {
        let address = ResourceId::parse(&cluster.id).map(|id| application_address_id(&self.config, &id));
        let exposure = Exposure {
            name: "web".to_owned(),
            ports: ports.to_vec(),
            frontend: Frontend::PublicAddress(address.map(|id| id.to_string()).unwrap_or_default()),
            source_ranges: Vec::new(),
        };
        lock(&self.azure).expose(&cluster.id, &exposure)
    }

    /// The address of the hub's NAT gateway.
    pub(super) fn egress_ip(&self) -> Option<String> {
        let azure = lock(&self.azure);
        let nat = azure.document(&self.world.hub.nat_gateway)?;
        let id = nat.pointer("/properties/publicIpAddresses/0/id")?.as_str()?.to_owned();
        text(&azure.document(&id)?, "/properties/ipAddress")
    }

    /// The public name of a cluster's API server.
    pub(super) fn api_server(&self, cluster: &str) -> Option<String> {
        text(&lock(&self.azure).document(cluster)?, "/properties/fqdn")
    }

    /// True if AKS has made the cluster.
    pub(super) fn is_created(&self, cluster: &str) -> bool {
        let document = lock(&self.azure).document(cluster);
        document
            .and_then(|d| text(&d, "/properties/provisioningState"))
            .as_deref()
            == Some("Succeeded")
    }

    /// The id of the first route of the subnet's table.
    pub(super) fn first_route(&self, subnet: &str) -> Option<String> {
        let azure = lock(&self.azure);
        let table = text(&azure.document(subnet)?, "/properties/routeTable/id")?;
        text(&azure.document(&table)?, "/properties/routes/0/id")
    }

    /// A token for ARM of a person who may do everything.
    pub(super) fn token_of_person(&self) -> String {
        lock(&self.azure).token_for(&self.world.person, "https://management.azure.com/")
    }

    /// The address of a public name.
    pub(super) fn resolve(&self, name: &str) -> Option<Ipv4Addr> {
        self.world.internet.resolve(name)
    }

    /// The configured hub of the region in which the clusters are.
    pub(super) fn hub(&self) -> Option<&Hub> {
        self.config.hub_for_location(&self.world.location).map(|(_, hub)| hub)
    }

    /// The settings that the app runs with.
    pub(super) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// Where the app's HTTP functions can be called.
    pub(super) fn app_url(&self) -> String {
        self.host.base_url()
    }

    /// The key with which they may be called.
    pub(super) fn app_key(&self) -> &str {
        &self.app_key
    }

    /// Where ARM can be reached.
    pub(super) fn arm_url(&self) -> &str {
        &self.served.arm_url
    }

    /// True if `name` is the hub's firewall.
    pub(super) fn is_firewall(&self, name: &str) -> bool {
        self.world
            .hub
            .firewall
            .rsplit('/')
            .next()
            .is_some_and(|n| n.eq_ignore_ascii_case(name))
    }

    /// The ARM calls of the app's identity.
    pub(super) fn counters(&self) -> Counters {
        lock(&self.azure).counters(&self.world.handler)
    }

    /// Where the parts can be reached.
    pub(super) fn urls(&self) -> Vec<(&'static str, String)> {
        vec![
            ("Azure Resource Manager", self.served.arm_url.clone()),
            ("blob storage", self.served.blob_url.clone()),
            ("queue storage", self.served.queue_url.clone()),
            ("Functions host", self.host.base_url()),
            ("Event Grid webhook", self.host.webhook_url("ClusterEvents")),
        ]
    }

    /// Stops everything and removes the script root.
    pub(super) async fn stop(self) {
        self.host.shutdown().await;
        self.served.shutdown();
    }

    /// The app notes the time of its installation when it starts; a cluster created before that would only be observed.
    async fn installed(&self) -> Result<(), LocalError> {
        while self.ledger.installed.known().await?.is_none() {
            if self.wall_elapsed() > START {
                return Err(LocalError::NotInstalled(START.as_secs()));
            }
            tokio::select! {
                biased;
                reason = self.host.stopped() => return Err(LocalError::Stopped(reason)),
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
        Ok(())
    }
}

/// The configuration's text and meaning. Refused here, before anything starts; the handler reads the same text and inherits
/// the same overlay.
fn configuration(arguments: &Arguments) -> Result<(String, Config), LocalError> {
    let environment = Environment::of_process();
    let file = match &arguments.config {
        Some(path) => Some(File::of_option(path)),
        None => File::of_variable(&environment),
    };
    let text = file
        .as_ref()
        .map_or_else(|| Ok(format!("{EXAMPLE}{INGRESS}")), File::read)?;
    let config = judge(&text, file.as_ref(), &overlay())?;
    Ok((text, config))
}

/// Cluster number `index`: Azure CNI, kubenet and a private API server by turns.
fn spec(index: u8) -> ClusterSpec {
    let usual = |shape: &str| ClusterSpec::usual(&format!("aks-{index:02}{shape}"), index);
    match index % 3 {
        2 => usual("-kubenet").kubenet(),
        0 => usual("-private").private(),
        _ => usual(""),
    }
}

/// A world with one hub, in which every name that the operator's rules allow exists.
/// Where the configuration gives out addresses that the hub's owner attaches, there is one for each cluster.
fn world(config: &Config, clusters: u8) -> World {
    let mut world = World::one_hub();
    let ingress = config
        .hub_for_location(&world.location)
        .and_then(|(_, hub)| hub.ingress.as_ref());
    if ingress.is_some_and(|ingress| ingress.addresses == AddressSource::Provided) {
        world = world.with_ingress_addresses(clusters);
    }
    let hub = config.hub_for_location(&world.location).map(|(_, hub)| hub);
    let names = hub.map(expectation::names).unwrap_or_default();
    for ((name, _), address) in names.into_iter().zip(NAMES..) {
        world.internet.names.entry(name).or_insert(Ipv4Addr::from(address));
    }
    world
}

fn app_settings(
    world: &World,
    served: &Served,
    clock: &WallClock,
    connection: &str,
    config: &std::path::Path,
    seed: u64,
) -> Vec<(String, String)> {
    [
        ("FUNCTIONS_WORKER_RUNTIME", "custom".to_owned()),
        ("AzureWebJobsStorage", connection.to_owned()),
        ("IDENTITY_ENDPOINT", served.identity_url.clone()),
        ("IDENTITY_HEADER", world.identity_secret.clone()),
        ("HUBWARD_ARM_LOOPBACK", served.arm_url.clone()),
        ("HUBWARD_CLOCK", clock.to_env()),
        ("HUBWARD_SEED", seed.to_string()),
        (CONFIG_VARIABLE, config.display().to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn connection_string(world: &World, served: &Served) -> String {
    format!(
        "DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};BlobEndpoint={blob};QueueEndpoint={queue}",
        account = world.storage_account,
        key = world.storage_key,
        blob = served.blob_url,
        queue = served.queue_url,
    )
}

/// The ledger as the app sees it, to watch it from here: by the clock of the wall, because watching has no part in Azure's
/// time and must not miss its limits when that runs fast.
async fn ledger(connection: &str) -> Result<Ledger, LocalError> {
    let settings = StorageSettings::from_env(&|name| (name == "AzureWebJobsStorage").then(|| connection.to_owned()))
        .map_err(crate::app::StartError::from)?;
    let http = crate::identity::http_client().map_err(crate::app::StartError::from)?;
    let clock = crate::clock::ScaledClock::parse(None).map_err(crate::app::StartError::from)?;
    Ok(Ledger::open(settings, http, Arc::new(clock)).await?)
}

fn text(document: &Value, pointer: &str) -> Option<String> {
    document.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// A panic in another task must not hide what the simulator knows.
fn lock(azure: &Mutex<Azure>) -> MutexGuard<'_, Azure> {
    azure.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix_ms() -> i64 {
    i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
