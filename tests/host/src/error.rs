//! Why a host could not be started. Each cause has its variant, and its message names the thing, the reason and the next
//! step. Failures of running invocations are no errors of the host: they are logged and answered as the contract says.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why [`crate::start`] refused.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// `host.json` or the script root could not be read.
    #[error("cannot read {path}: {source}; point script_root at the folder that holds host.json")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// `host.json` is there but wrong.
    #[error("host.json is invalid: {reason}; correct it, the real host would not start either")]
    HostJson {
        /// The field and what is wrong with it.
        reason: String,
    },
    /// A function uses a binding this stand-in does not imitate.
    #[error(
        "function {function} uses binding type {kind} ({direction}), which this stand-in does not imitate; use eventGridTrigger, queueTrigger, timerTrigger or httpTrigger with http output"
    )]
    UnsupportedBinding {
        /// Folder name.
        function: String,
        /// `type` in function.json.
        kind: String,
        /// `direction` in function.json.
        direction: String,
    },
    /// A feature of the real host that this stand-in does not imitate.
    #[error("{place}: {feature} is not imitated by this stand-in; remove it or test that part in Azure")]
    UnsupportedFeature {
        /// File or function.
        place: String,
        /// The feature.
        feature: String,
    },
    /// A storage connection could not be made from the app settings.
    #[error("storage connection {name}: {reason}; set it to a connection string with a loopback QueueEndpoint")]
    Connection {
        /// Name of the app setting.
        name: String,
        /// What is wrong; never the value, which holds a key.
        reason: String,
    },
    /// `HUBWARD_CLOCK` or `time_scale` is wrong.
    #[error("clock: {reason}; expected HUBWARD_CLOCK=scale=<n>;wall=<unix ms>;azure=<unix ms> and an equal time_scale")]
    Clock {
        /// What is wrong.
        reason: String,
    },
    /// The host's own address cannot be used.
    #[error("cannot listen on {address}: {reason}; use 127.0.0.1:0")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        reason: String,
    },
}
