//! What the rest of the host sees of the handler: its status, and the orders it takes. An order to a supervisor that has
//! ended does nothing.

use tokio::sync::{mpsc, oneshot, watch};

/// State of the handler as invocations see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No process answers yet; invocations wait.
    Starting,
    /// Invocations go to this port. After exit 0 nobody listens there, and they fail.
    Initialized { port: u16 },
    /// The host has stopped, for this reason.
    Stopped(String),
}

/// How often the handler was restarted, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restarts {
    /// After an error exit, a kill from outside or a failed start-up probe.
    pub errors: u32,
    /// After exit code 200.
    pub intentional: u32,
    /// After a function timeout.
    pub timeouts: u32,
}

/// What is known of the handler at a moment.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    pub(crate) phase: Phase,
    pub(crate) pid: Option<u32>,
    pub(crate) restarts: Restarts,
}

/// The caller's end of a running supervisor.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    pub(super) orders: mpsc::UnboundedSender<Order>,
    pub(super) status: watch::Receiver<Status>,
}

#[derive(Debug)]
pub(super) enum Order {
    /// SIGKILL from outside, as if the machine did it; answers the pid that was killed.
    Kill(oneshot::Sender<Option<u32>>),
    /// A function timed out: dispose of the process and start another.
    TimedOut(oneshot::Sender<()>),
    /// The host stops for this reason.
    Stop(String),
}

impl Handle {
    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Waits until the status satisfies `wanted`; a vanished supervisor counts as stopped.
    pub(crate) async fn wait_for(&self, wanted: impl FnMut(&Status) -> bool) -> Option<Status> {
        self.status
            .clone()
            .wait_for(wanted)
            .await
            .ok()
            .map(|status| status.clone())
    }

    pub(crate) async fn kill(&self) -> Option<u32> {
        let (done, killed) = oneshot::channel();
        self.orders.send(Order::Kill(done)).ok()?;
        killed.await.ok().flatten()
    }

    /// Has the process replaced; returns when the old one is dead.
    pub(crate) async fn restart_after_timeout(&self) {
        let (done, killed) = oneshot::channel();
        if self.orders.send(Order::TimedOut(done)).is_ok() {
            // An error means that the supervisor is gone, and the process with it.
            let _ = killed.await;
        }
    }

    /// Kills the handler and ends the host; the first reason stays.
    pub(crate) fn stop(&self, reason: &str) {
        // A closed channel: it has ended already.
        let _ = self.orders.send(Order::Stop(reason.to_owned()));
    }
}
