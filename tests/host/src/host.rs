//! A running host: puts discovery, supervisor, triggers and front together, and takes them down again.
//!
//! Starting refuses what cannot be imitated. A host that stops by itself (third error of the handler) stays reachable
//! and answers 503 until it is shut down or dropped; dropping kills the handler.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::app_settings::AppSettings;
use crate::clock::AzureClock;
use crate::discovery::{Discovered, Function, Trigger, discover};
use crate::draws::Draws;
use crate::error::HostError;
use crate::front::{Endpoint, Front, Route, router};
use crate::host_json::{self, HostJson};
use crate::http_client::LoopbackClient;
use crate::invoker::Invoker;
use crate::options::{HostOptions, Keys, Level, Log};
use crate::queue::{self, Connection, QueueClient};
use crate::supervisor::{Handle, Phase, Restarts, Supervisor};
use crate::tasks::Tasks;
use crate::timer::{self, Schedule};

/// How long open connections may finish when the host is shut down, wall time.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// A running host. Dropping it kills the handler and ends everything it does.
#[derive(Debug)]
pub struct Host {
    address: SocketAddr,
    keys: Keys,
    functions: Vec<Function>,
    errors: BTreeMap<String, String>,
    handler: Handle,
    tasks: Tasks,
    triggers: Tasks,
    stop_listening: Option<oneshot::Sender<()>>,
    listening_ended: oneshot::Receiver<()>,
}

/// One trigger that runs by itself.
enum Listener {
    Queue(Box<queue::Listener>),
    Timer(Box<timer::Listener>),
}

/// Starts a host for `options.script_root`. It does not wait for the handler, and neither do the triggers.
pub async fn start(options: HostOptions) -> Result<Host, HostError> {
    let settings = AppSettings::new(&options.env);
    let clock = AzureClock::from_settings(&settings, options.time_scale)?;
    let root = std::path::absolute(&options.script_root).map_err(|source| HostError::Unreadable {
        path: options.script_root.clone(),
        source,
    })?;
    let host_json = host_json::load(&root, &settings)?;
    let mut found = discover(&root)?;
    found.functions.retain(|function| !settings.disables(&function.name));

    let (log, client) = (Log::new(options.log), LoopbackClient::new());
    let draws = Arc::new(Draws::new(options.seed));
    let host_id = draws.guid().simple().to_string();
    let tcp = listen(options.listen).await?;
    let address = tcp.local_addr().map_err(|error| unusable(options.listen, &error))?;

    let mut environment = options.env;
    environment.push((
        "FUNCTIONS_APP_ROOT_PATH".to_owned(),
        root.to_string_lossy().into_owned(),
    ));
    let supervisor = Supervisor {
        worker: host_json.worker.clone(),
        environment,
        clock,
        draws: Arc::clone(&draws),
        client: client.clone(),
        log: log.clone(),
    };
    let tasks = Tasks::default();
    // Prepared before the handler starts: a start that is refused starts no process.
    let plan = Plan::new(&mut found, &host_json, &settings)?;
    let handler = supervisor.start(&tasks, !found.functions.is_empty());
    let invoker = Invoker {
        handler: handler.clone(),
        client,
        clock,
        draws,
        log: log.clone(),
        function_timeout: host_json.function_timeout,
        initialization_timeout: host_json.worker.initialization_timeout,
    };
    for (name, reason) in &found.errors {
        log.host(Level::Error, format!("The '{name}' function is in error: {reason}"));
    }
    for function in &found.functions {
        log.host(Level::Information, format!("Found function {}.", function.name));
    }

    let triggers = Tasks::default();
    for listener in plan.listeners(&invoker) {
        match listener {
            Listener::Queue(listener) => triggers.spawn(listener.run()),
            Listener::Timer(listener) => triggers.spawn(listener.run()),
        };
    }
    end_with_handler(&tasks, handler.clone(), triggers.clone());
    let front = Front {
        functions: found.functions.clone(),
        routes: plan.routes,
        errors: found.errors.clone(),
        keys: options.keys.clone(),
        invoker,
        invocations: tasks.clone(),
        id: host_id,
    };
    let (stop_listening, listening_ended) = serve(&tasks, tcp, front);
    Ok(Host {
        address,
        keys: options.keys,
        functions: found.functions,
        errors: found.errors,
        handler,
        tasks,
        triggers,
        stop_listening: Some(stop_listening),
        listening_ended,
    })
}

impl Host {
    /// `http://127.0.0.1:<port>`, without a slash at its end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The Event Grid webhook of a function, with the extension's key in it.
    pub fn webhook_url(&self, function: &str) -> String {
        let code = &self.keys.eventgrid_extension;
        format!(
            "{}/runtime/webhooks/eventgrid?functionName={function}&code={code}",
            self.base_url()
        )
    }

    /// The functions that are loaded, by name.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// Why other functions did not load, by name.
    pub fn function_errors(&self) -> &BTreeMap<String, String> {
        &self.errors
    }

    /// Process id of the handler, if one runs.
    pub fn handler_pid(&self) -> Option<u32> {
        self.handler.status().pid
    }

    /// SIGKILLs the handler, as a crash of its machine would; returns the killed process id once it is dead. The host
    /// counts this as an error, as it would count any crash.
    pub async fn kill_handler(&self) -> Option<u32> {
        self.handler.kill().await
    }

    /// How often the handler was restarted so far.
    pub fn restarts(&self) -> Restarts {
        self.handler.status().restarts
    }

    /// Waits until the handler has answered its start-up probe; the error is why the host stopped instead.
    pub async fn ready(&self) -> Result<(), String> {
        match self
            .handler
            .wait_for(|status| status.phase != Phase::Starting)
            .await
            .map(|status| status.phase)
        {
            Some(Phase::Initialized { .. }) => Ok(()),
            Some(Phase::Stopped(reason)) => Err(reason),
            Some(Phase::Starting) | None => Err("the host is gone".to_owned()),
        }
    }

    /// Waits until the host has stopped by itself or by [`Host::shutdown`], and tells why.
    pub async fn stopped(&self) -> String {
        let stopped = self
            .handler
            .wait_for(|status| matches!(status.phase, Phase::Stopped(_)))
            .await;
        match stopped.map(|status| status.phase) {
            Some(Phase::Stopped(reason)) => reason,
            Some(Phase::Starting | Phase::Initialized { .. }) | None => "the host is gone".to_owned(),
        }
    }

    /// Kills the handler, gives open connections a second, and ends everything.
    pub async fn shutdown(mut self) {
        self.triggers.abort();
        self.handler.stop("The host was shut down.");
        self.stopped().await;
        if let Some(stop) = self.stop_listening.take() {
            // The front may have ended already.
            let _ = stop.send(());
        }
        let _ = tokio::time::timeout(LAST_ANSWERS, &mut self.listening_ended).await;
        self.tasks.abort();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.triggers.abort();
        self.tasks.abort();
    }
}

/// What will run, checked completely before anything does.
struct Plan {
    routes: Vec<Endpoint>,
    queues: Vec<(Function, String, bool, Connection)>,
    queue_settings: host_json::QueueSettings,
    timers: Vec<(Function, Schedule, bool, bool)>,
}

impl Plan {
    /// Moves functions whose properties do not resolve from `found.functions` to `found.errors`, as the host does.
    fn new(found: &mut Discovered, host_json: &HostJson, settings: &AppSettings) -> Result<Self, HostError> {
        let mut plan = Self {
            routes: Vec::new(),
            queues: Vec::new(),
            queue_settings: host_json.queues.clone(),
            timers: Vec::new(),
        };
        for function in std::mem::take(&mut found.functions) {
            match plan.add(&function, host_json, settings)? {
                Ok(()) => found.functions.push(function),
                Err(reason) => drop(found.errors.insert(function.name, reason)),
            }
        }
        Ok(plan)
    }

    fn add(
        &mut self,
        function: &Function,
        host_json: &HostJson,
        settings: &AppSettings,
    ) -> Result<Result<(), String>, HostError> {
        match &function.trigger {
            Trigger::EventGrid { .. } => {}
            Trigger::Queue {
                queue,
                connection,
                binary,
            } => {
                let connection = Connection::from_settings(connection, settings)?;
                match settings.resolve(queue) {
                    // Queue names are lower-case; the host converts them.
                    Ok(name) => self
                        .queues
                        .push((function.clone(), name.to_lowercase(), *binary, connection)),
                    Err(reason) => return Ok(Err(reason)),
                }
            }
            Trigger::Timer {
                schedule,
                use_monitor,
                run_on_startup,
            } => match settings.resolve(schedule).and_then(|text| Schedule::parse(&text)) {
                Ok(schedule) => self
                    .timers
                    .push((function.clone(), schedule, *use_monitor, *run_on_startup)),
                Err(reason) => return Ok(Err(reason)),
            },
            Trigger::Http {
                route,
                methods,
                auth,
                output,
            } => {
                let route =
                    Route::parse(&host_json.route_prefix, route).map_err(|feature| HostError::UnsupportedFeature {
                        place: format!("{}/function.json", function.name),
                        feature,
                    })?;
                self.routes.push(Endpoint {
                    route,
                    function: function.name.clone(),
                    binding: function.binding.clone(),
                    methods: methods.clone(),
                    auth: *auth,
                    output: output.clone(),
                    forwarded: host_json.forwards_http && output.is_some(),
                });
            }
        }
        Ok(Ok(()))
    }

    fn listeners(&self, invoker: &Invoker) -> Vec<Listener> {
        let queues = self.queues.iter().map(|(function, name, binary, connection)| {
            Listener::Queue(Box::new(queue::Listener {
                function: function.name.clone(),
                binding: function.binding.clone(),
                binary: *binary,
                queue: QueueClient::new(invoker.client.clone(), connection.clone(), name),
                settings: self.queue_settings.clone(),
                invoker: invoker.clone(),
            }))
        });
        let timers = self
            .timers
            .iter()
            .map(|(function, schedule, use_monitor, run_on_startup)| {
                Listener::Timer(Box::new(timer::Listener {
                    function: function.name.clone(),
                    binding: function.binding.clone(),
                    schedule: schedule.clone(),
                    use_monitor: *use_monitor,
                    run_on_startup: *run_on_startup,
                    invoker: invoker.clone(),
                }))
            });
        queues.chain(timers).collect()
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, HostError> {
    if !address.ip().is_loopback() {
        return Err(HostError::Listen {
            address,
            reason: "it is not a loopback address".to_owned(),
        });
    }
    TcpListener::bind(address)
        .await
        .map_err(|error| unusable(address, &error))
}

fn unusable(address: SocketAddr, error: &std::io::Error) -> HostError {
    HostError::Listen {
        address,
        reason: error.to_string(),
    }
}

/// A stopped host fires no triggers.
fn end_with_handler(tasks: &Tasks, handler: Handle, triggers: Tasks) {
    tasks.spawn(async move {
        // `None` means that the supervisor is gone, which is a stop as well.
        handler
            .wait_for(|status| matches!(status.phase, Phase::Stopped(_)))
            .await;
        triggers.abort();
    });
}

fn serve(tasks: &Tasks, tcp: TcpListener, front: Front) -> (oneshot::Sender<()>, oneshot::Receiver<()>) {
    let (stop, stopping) = oneshot::channel();
    let (ended, listening_ended) = oneshot::channel();
    tasks.spawn(async move {
        let until_told = async move {
            // A dropped sender is a dropped host.
            let _ = stopping.await;
        };
        // `axum::serve` reports no errors of its own: it retries a failed accept.
        let _ = axum::serve(tcp, router(front)).with_graceful_shutdown(until_told).await;
        let _ = ended.send(());
    });
    (stop, listening_ended)
}
