//! What a story is made of once it is understood: the opening, which says what exists before anything happens, and the
//! statements in the order of the lines.

use std::time::Duration;

use hubward_core::finding::Code;
use hubward_core::plan::State;
use serde_json::Value;

use super::wanted::Wanted;
use crate::stage::Crash;

/// A whole story.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Story {
    pub(super) opening: Opening,
    /// Every line, the empty ones included.
    pub(super) lines: Vec<Line>,
}

/// A line as it is written, and what it asks for if it is a statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) statement: Option<Statement>,
}

/// What exists before anything happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// Addresses on the hub's firewall beyond its first.
    pub(super) ingress_addresses: u8,
    /// App settings that overlay the example configuration.
    pub(super) settings: Vec<Setting>,
    /// False if the app is installed later.
    pub(super) installed: bool,
}

/// One value of the configuration, as an app setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) value: String,
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    /// Belongs to the opening and is done already.
    Opening,
    Configure(Setting),
    Start,
    Stop,
    Tick,
    Expose(Exposed),
    /// Everything, or what is told of one thing.
    Withhold(Option<Thing>),
    Release,
    Create(Wanted),
    Delete(Thing),
    DeleteGroup(String),
    Edit(Thing, Change),
    Put(String, Value),
    Wait(Until),
    Advance(Duration),
    Kill(Crash),
    Fail(Failure),
    SendAgain(String),
    Forge(Forged, String),
    Run(Vec<String>),
    Walk(Walk),
    Mark,
    Expect(Expectation),
}

/// Something in Azure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    /// By its id.
    Id(String),
    /// Of a cluster.
    Of(String, Part),
    /// Of the hub.
    Hub(HubPart),
}

/// What belongs to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Cluster,
    Network,
    Subnet,
    RouteTable,
    DefaultRoute,
    ReturnRoute,
    Peering,
    HubPeering,
    ApplicationAddress,
}

/// A service to be exposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exposed {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) how: Exposing,
}

/// Where a service is exposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exposing {
    Publicly,
    Internally(Option<std::net::Ipv4Addr>),
    AtApplicationAddress,
}

/// What belongs to the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HubPart {
    Network,
    Firewall,
    Policy,
    Rules,
    NatGateway,
    EgressAddress,
}

/// A change by hand.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Set(String, Value),
    Remove(String),
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// A cluster is in this state.
    State(String, State),
    /// A resource exists, finished.
    There(Thing),
    /// A resource is gone.
    Gone(Thing),
    /// Nothing is under way.
    Quiet,
}

/// A call that fails once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) method: String,
    /// Part of the path.
    pub(super) path: &'static str,
    pub(super) how: FailsBy,
}

/// How a call fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FailsBy {
    /// By this answer.
    Answer(u16, String),
    /// It is accepted, and its operation fails.
    Operation(String),
    /// It is carried out, and its answer is lost.
    LostAnswer,
}

/// What a made-up event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forged {
    Create,
    Delete,
}

/// A packet, and what should become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    pub(super) from: From,
    pub(super) to: To,
    pub(super) port: u16,
    pub(super) verdict: Option<Verdict>,
}

/// Where a packet starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// In a cluster's nodes.
    Cluster(String),
    /// On the internet.
    Address(std::net::Ipv4Addr),
}

/// Where a packet goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    Name(String),
    Address(std::net::Ipv4Addr),
    /// The cluster's API server, by its name.
    ApiServer(String),
    /// The cluster's ingress address on the hub.
    Ingress(String),
    /// Where the cluster's last service was exposed.
    Service(String),
}

/// What should become of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Arrives,
    ArrivesFromEgress,
    ArrivesFrom(std::net::Ipv4Addr),
    Dropped,
    DroppedAtFirewall,
}

/// What should hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expectation {
    State(String, State),
    /// A proof of the cluster: `holds`, `unknown` or `broken`.
    Proof(String, Judged, String),
    Finding(String, Code),
    NoFinding(String, Code),
    NoFindings(String),
    /// The last command's exit code.
    Exit(u8),
    /// The last command's output holds the text.
    Output(String),
    /// It does not.
    NoOutput(String),
    Count {
        what: Counter,
        since_mark: bool,
        compare: Compare,
        number: u64,
    },
    /// A field of a document.
    Field(Thing, String, Value),
    There(Thing),
    Gone(Thing),
    Unchanged,
    NothingCut,
}

/// Which proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    Egress,
    Reach,
}

/// What is counted of the handler's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counter {
    Reads,
    Writes,
    FirewallUpdates,
    Throttled,
}

/// How a count is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Is,
    AtMost,
    AtLeast,
}
