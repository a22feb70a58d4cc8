//! Keeps the one handler process alive, by the host's rules: exit 0 is never restarted, 200 restarts uncounted, a
//! timeout kills and restarts, anything else is an error and the third error (each within 30 minutes of the one before)
//! stops the host. The process gets SIGKILL and no warning; requests are accepted in any state and never block.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use time::OffsetDateTime;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::AzureClock;
use crate::console::{self, LastErrors};
use crate::draws::Draws;
use crate::host_json::WorkerDescription;
use crate::http_client::{LoopbackClient, SendError};
use crate::options::{Level, Log, LogSource};
use crate::tasks::Tasks;

mod handle;
mod port;

use handle::Order;
pub use handle::Restarts;
pub(crate) use handle::{Handle, Phase, Status};

/// `WorkerConstants`: the wait between two start-up probes, wall time.
const PROBE_INTERVAL: Duration = Duration::from_millis(25);
/// The third error within the window stops the host.
const MAX_ERRORS: usize = 3;
/// Azure time after which earlier errors are forgotten.
const ERROR_WINDOW: time::Duration = time::Duration::minutes(30);
/// The exit code with which a handler asks for a restart.
const INTENTIONAL_RESTART: i32 = 200;
/// How long the host waits for the output of a dead process, wall time.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// Why a process is no more.
enum End {
    ExitedZero,
    AskedForRestart,
    /// Any other exit, a failed start or a failed probe.
    Failed(String),
    TimedOut(oneshot::Sender<()>),
    Stopped(String),
}

/// Everything needed to start the handler again and again.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) worker: WorkerDescription,
    /// Script root and app settings, for the environment of the process.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) clock: AzureClock,
    pub(crate) draws: Arc<Draws>,
    pub(crate) client: LoopbackClient,
    pub(crate) log: Log,
}

impl Supervisor {
    /// Starts supervising; the handler itself is started at once if there is anything to serve.
    pub(crate) fn start(self, tasks: &Tasks, has_functions: bool) -> Handle {
        let (orders, inbox) = mpsc::unbounded_channel();
        let first = Status {
            phase: Phase::Starting,
            pid: None,
            restarts: Restarts::default(),
        };
        let (publish, status) = watch::channel(first);
        tasks.spawn(self.run(inbox, publish, has_functions));
        Handle { orders, status }
    }

    async fn run(self, mut inbox: mpsc::UnboundedReceiver<Order>, status: watch::Sender<Status>, has_functions: bool) {
        let mut errors: Vec<OffsetDateTime> = Vec::new();
        let mut port = None;
        if !has_functions {
            // Without functions the host never starts the handler.
            let stopped = idle(&mut inbox).await;
            return finish(&status, stopped);
        }
        loop {
            let end = match port::choose(self.worker.port, port) {
                Ok(chosen) => {
                    port = Some(chosen);
                    self.one_process(chosen, &mut inbox, &status).await
                }
                Err(error) => End::Failed(error),
            };
            status.send_modify(|status| status.pid = None);
            match end {
                End::Stopped(reason) => return finish(&status, reason),
                End::ExitedZero => {
                    // The host keeps its state, so every later invocation meets a closed port (issue #6301).
                    self.log.host(
                        Level::Warning,
                        "Handler process exited with code 0; the host does not restart it.",
                    );
                    match after_exit_zero(&mut inbox).await {
                        Ok(done) => self.note_timeout(&status, done),
                        Err(reason) => return finish(&status, reason),
                    }
                }
                End::AskedForRestart => {
                    self.log.host(
                        Level::Information,
                        "Handler process asked for a restart (exit code 200).",
                    );
                    restarting(&status, |restarts| restarts.intentional += 1);
                }
                End::TimedOut(done) => self.note_timeout(&status, done),
                End::Failed(text) => {
                    if self.counts_out(&text, &mut errors, &status) {
                        return;
                    }
                }
            }
        }
    }

    fn note_timeout(&self, status: &watch::Sender<Status>, done: oneshot::Sender<()>) {
        self.log.host(
            Level::Warning,
            "Handler process killed after a function timeout; restarting it.",
        );
        restarting(status, |restarts| restarts.timeouts += 1);
        // The invocation that timed out may be gone with its caller.
        let _ = done.send(());
    }

    /// Records an error; true when it was one too many and the host has stopped.
    fn counts_out(&self, text: &str, errors: &mut Vec<OffsetDateTime>, status: &watch::Sender<Status>) -> bool {
        self.log.host(Level::Error, text);
        let now = self.clock.now();
        if errors.last().is_some_and(|last| now - *last > ERROR_WINDOW) {
            errors.clear();
        }
        errors.push(now);
        if errors.len() < MAX_ERRORS {
            restarting(status, |restarts| restarts.errors += 1);
            return false;
        }
        let reason = "Exceeded http worker restart retry count. Shutting down Functions Host";
        self.log.host(Level::Error, reason);
        finish(status, format!("{reason} ({text})"));
        true
    }

    /// Runs one process to its end.
    async fn one_process(
        &self,
        port: u16,
        inbox: &mut mpsc::UnboundedReceiver<Order>,
        status: &watch::Sender<Status>,
    ) -> End {
        let mut child = match self.spawn(port) {
            Ok(child) => child,
            Err(error) => return End::Failed(format!("Failed to start the handler process: {error}.")),
        };
        status.send_modify(|status| status.pid = child.id());
        let errors = LastErrors::default();
        let readers = Tasks::default();
        let output = self.capture(&mut child, &errors, &readers);
        let end = self.watch(&mut child, port, inbox, status).await;
        // A grandchild may hold the pipes open: the host waits a second for the rest, no longer.
        let _ = tokio::time::timeout(LAST_OUTPUT, output).await;
        match end {
            Err(end) => end,
            Ok(exit) => match exit_code(exit) {
                0 => End::ExitedZero,
                INTENTIONAL_RESTART => End::AskedForRestart,
                code => End::Failed(format!(
                    "Handler process exited with code {code}. Last errors: [{}]",
                    errors.joined()
                )),
            },
        }
    }

    fn spawn(&self, port: u16) -> std::io::Result<Child> {
        let id = self.draws.guid().hyphenated().to_string();
        let port = port.to_string();
        Command::new(&self.worker.executable)
            .args(&self.worker.arguments)
            .current_dir(&self.worker.working_directory)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", &port)
            .env("FUNCTIONS_HTTPWORKER_PORT", &port)
            .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", &id)
            .env("FUNCTIONS_HTTPWORKER_ID", &id)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }

    /// Reads both streams; the receiver ends when both have.
    fn capture(&self, child: &mut Child, errors: &LastErrors, readers: &Tasks) -> impl Future<Output = ()> + use<> {
        let (done, mut ended) = mpsc::channel::<()>(1);
        if let Some(stream) = child.stdout.take() {
            let (log, errors, done) = (self.log.clone(), errors.clone(), done.clone());
            readers.spawn(async move {
                console::read(stream, LogSource::HandlerStdout, log, errors).await;
                drop(done);
            });
        }
        if let Some(stream) = child.stderr.take() {
            let (log, errors) = (self.log.clone(), errors.clone());
            readers.spawn(async move {
                console::read(stream, LogSource::HandlerStderr, log, errors).await;
                drop(done);
            });
        }
        async move {
            // `None` comes when both senders are gone.
            ended.recv().await;
        }
    }

    /// Probes until the handler answers, then waits for its own exit (`Ok`) or another end.
    async fn watch(
        &self,
        child: &mut Child,
        port: u16,
        inbox: &mut mpsc::UnboundedReceiver<Order>,
        status: &watch::Sender<Status>,
    ) -> Result<ExitStatus, End> {
        let probe = tokio::time::timeout(self.worker.initialization_timeout, self.probe(port));
        tokio::pin!(probe);
        let mut probing = true;
        loop {
            tokio::select! {
                exit = child.wait() => return exit.map_err(lost),
                order = inbox.recv() => {
                    let pid = child.id();
                    // Before the kill: no invocation may take the dying process for a ready one.
                    status.send_modify(|status| (status.phase, status.pid) = (Phase::Starting, None));
                    let exit = kill(child).await;
                    return match order {
                        Some(Order::Kill(done)) => {
                            // The one who asked may have gone.
                            let _ = done.send(pid);
                            exit
                        }
                        Some(Order::TimedOut(done)) => Err(End::TimedOut(done)),
                        Some(Order::Stop(reason)) => Err(End::Stopped(reason)),
                        None => Err(End::Stopped("The host was dropped.".to_owned())),
                    };
                },
                ready = &mut probe, if probing => {
                    probing = false;
                    if ready.is_err() {
                        kill(child).await?;
                        let limit = self.worker.initialization_timeout;
                        let text = format!("Timed out after {limit:?} waiting for the handler to answer GET /.");
                        return Err(End::Failed(text));
                    }
                    self.log.host(Level::Information, "Handler process started and initialized.");
                    status.send_modify(|status| status.phase = Phase::Initialized { port });
                }
            }
        }
    }

    /// `GET /` until anything but a refused connection comes back.
    async fn probe(&self, port: u16) {
        loop {
            let mut request = Request::new(Body::empty());
            if let Ok(uri) = format!("http://127.0.0.1:{port}/").parse() {
                *request.uri_mut() = uri;
            }
            if !matches!(self.client.send(request).await, Err(SendError::Connect(_))) {
                return;
            }
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
    }
}

async fn kill(child: &mut Child) -> Result<ExitStatus, End> {
    // Already dead is as good as killed; `wait` tells how it ended.
    let _ = child.start_kill();
    child.wait().await.map_err(lost)
}

fn lost(error: std::io::Error) -> End {
    End::Failed(format!("The handler process was lost: {error}."))
}

/// .NET's exit code: 128 + signal for a killed process.
fn exit_code(exit: ExitStatus) -> i32 {
    exit.code().unwrap_or_else(|| 128 + exit.signal().unwrap_or_default())
}

fn restarting(status: &watch::Sender<Status>, count: impl FnOnce(&mut Restarts)) {
    status.send_modify(|status| {
        status.phase = Phase::Starting;
        count(&mut status.restarts);
    });
}

fn finish(status: &watch::Sender<Status>, reason: String) {
    status.send_modify(|status| {
        status.pid = None;
        status.phase = Phase::Stopped(reason);
    });
}

/// Serves orders while there is no process and never will be; returns the reason to stop.
async fn idle(inbox: &mut mpsc::UnboundedReceiver<Order>) -> String {
    loop {
        match after_exit_zero(inbox).await {
            Ok(done) => drop(done),
            Err(reason) => return reason,
        }
    }
}

/// Serves orders while the process is gone: a timeout starts another, a kill finds nothing.
async fn after_exit_zero(inbox: &mut mpsc::UnboundedReceiver<Order>) -> Result<oneshot::Sender<()>, String> {
    loop {
        match inbox.recv().await {
            Some(Order::Kill(done)) => drop(done.send(None)),
            Some(Order::TimedOut(done)) => return Ok(done),
            Some(Order::Stop(reason)) => return Err(reason),
            None => return Err("The host was dropped.".to_owned()),
        }
    }
}
