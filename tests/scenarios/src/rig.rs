//! The rig of a test: a [`Stage`] whose errors are failures of the test, with the checks that many tests make. What it does not
//! define itself is the stage's own.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use azure_sim::{Azure, Call, CallKind, ClusterSpec, DeliveryId};
use hubward::host::Reply;
use hubward::stage::reach::{API_ADDRESS, API_SERVER, MCR, NOT_ALLOWED, PARTNER, walks};
use hubward::stage::{Cluster, Crash, Setup, Stage, StageError};
use hubward::work::Report;
use serde_json::Value;

pub use hubward::stage::{Line, START, queue, reach, wire};

/// A stage in a test.
pub struct Rig {
    /// What this run is about, for the message of a failure.
    pub story: String,
    stage: Stage,
}

impl Rig {
    /// A fresh Azure with the app installed and running.
    pub async fn new(seed: u64) -> Self {
        Self::with(Setup::seeded(seed)).await
    }

    /// As [`Rig::new`], from a setup.
    pub async fn with(setup: Setup) -> Self {
        Self::on(Stage::with(setup).await)
    }

    /// A fresh Azure in which the app is not installed yet; events already come.
    pub async fn without_app(setup: Setup) -> Self {
        Self::on(Stage::without_app(setup).await)
    }

    /// A rig over an Azure as it is, at its own time, without an app: how a run goes on after the whole machine was lost.
    pub async fn over(azure: Azure, seed: u64, settings: BTreeMap<String, String>) -> Self {
        Self::on(Stage::over(azure, seed, settings).await)
    }

    fn on(stage: Result<Stage, StageError>) -> Self {
        Self {
            story: String::new(),
            stage: stage.unwrap_or_else(|error| panic!("there is no stage: {error}")),
        }
    }

    /// Starts the process.
    pub async fn start_app(&mut self) {
        let started = self.stage.start_app().await;
        self.sure(started);
    }

    /// Runs until nothing is under way or owed.
    pub async fn settle(&mut self) {
        let settled = self.stage.settle().await;
        self.sure(settled);
    }

    /// Lets that much virtual time pass, and everything happen that is due in it.
    pub async fn run_for(&mut self, span: Duration) {
        let ran = self.stage.run_for(span).await;
        self.sure(ran);
    }

    /// Runs until `there` holds, looked at after every single event.
    pub async fn run_until(&mut self, what: &str, there: impl FnMut(&Stage) -> bool) {
        let ran = self.stage.run_until(what, there).await;
        self.sure(ran);
    }

    /// Ends the process or the machine now, and starts it again after the time that takes.
    pub async fn crash(&mut self, how: Crash) {
        let crashed = self.stage.crash(how).await;
        self.sure(crashed);
    }

    /// Ends the process or the machine; nothing is started.
    pub async fn stop_app(&mut self, how: Crash) {
        let stopped = self.stage.stop_app(how).await;
        self.sure(stopped);
    }

    /// Goes on after the machine was lost in the middle of `deliveries`.
    pub async fn recover(&mut self, deliveries: &[DeliveryId]) {
        let recovered = self.stage.recover(deliveries).await;
        self.sure(recovered);
    }

    /// Sends an event, or an array of events as one batch, to `ClusterEvents`; it is not sent again if it fails.
    pub fn send_event(&mut self, body: &Value) {
        let sent = self.stage.send_event(body);
        self.sure(sent);
    }

    /// The timer's time has come.
    pub fn tick(&mut self) {
        let ticked = self.stage.tick();
        self.sure(ticked);
    }

    /// Puts a message into the work queue, as somebody with the storage account's key could.
    pub fn put_message(&mut self, body: &Value) {
        let put = self.stage.put_message(body);
        self.sure(put);
    }

    /// One invocation of `Work` with this message, past the queue: what it answered and how long it took, in Azure time.
    pub async fn work_once(&self, message: &Value) -> (Reply, Duration) {
        let worked = self.stage.work_once(message).await;
        self.sure(worked)
    }

    /// A person creates cluster number `index` (1 to 255); it is there some minutes later.
    pub fn create_cluster(&mut self, index: u8) -> Cluster {
        self.stage.create(ClusterSpec::usual(&format!("aks-{index:02}"), index))
    }

    /// Creates clusters 1 to `count` and runs until all is done.
    pub async fn wire_clusters(&mut self, count: u8) -> Vec<Cluster> {
        let clusters = (1..=count).map(|index| self.create_cluster(index)).collect();
        self.settle().await;
        clusters
    }

    /// The event of the cluster's creation, in Event Grid's schema, as it was delivered.
    #[must_use]
    pub fn creation_of(&self, cluster: &Cluster) -> Value {
        self.first(&self.events(), cluster)
    }

    /// The event of the cluster's creation as a CloudEvent.
    #[must_use]
    pub fn cloud_creation_of(&self, cluster: &Cluster) -> Value {
        self.first(&self.cloud_events(), cluster)
    }

    /// A document as GET would show it.
    #[must_use]
    pub fn document(&self, id: &str) -> Value {
        self.sure(self.stage.document(id))
    }

    /// The one route table on the cluster's subnet.
    #[must_use]
    pub fn route_table_of(&self, cluster: &Cluster) -> String {
        let subnet = self.document(&cluster.subnet);
        let table = subnet["properties"]["routeTable"]["id"].as_str();
        table.map_or_else(
            || self.fail(&format!("{} has no route table", cluster.subnet)),
            str::to_owned,
        )
    }

    /// The one rule collection group that was not there at the start.
    #[must_use]
    pub fn our_group(&self) -> String {
        let foreign = self.azure.lock().world().hub.foreign_rule_collection_group.clone();
        let mut ours = self.ids_of("Microsoft.Network/firewallPolicies/ruleCollectionGroups");
        ours.retain(|id| !id.eq_ignore_ascii_case(&foreign));
        match ours.as_slice() {
            [one] => one.clone(),
            other => self.fail(&format!("one group of ours was expected, not {other:?}")),
        }
    }

    /// The last outcome of a key, as people see it.
    pub async fn report(&self, key: &str) -> Option<Report> {
        let report = self.stage.report(key).await;
        self.sure(report)
    }

    /// The state of a cluster in words; `unknown` before its first outcome.
    pub async fn state(&self, cluster: &Cluster) -> String {
        let state = self.stage.state(&cluster.key).await;
        self.sure(state)
    }

    /// The keys that want something that is not done.
    pub async fn owed(&self) -> Vec<String> {
        let owed = self.stage.owed().await;
        self.sure(owed)
    }

    /// The hub's egress address.
    #[must_use]
    pub fn egress_address(&self) -> std::net::Ipv4Addr {
        self.sure(self.stage.egress_address())
    }

    /// Fails unless the cluster reaches what it must from the egress address alone, and the firewall drops the rest.
    pub fn assert_wired(&self, cluster: &Cluster) {
        use azure_sim::walk::Outcome;

        let seen_from = self.egress_address();
        let outcomes = walks(&self.azure.lock(), cluster);
        for label in [MCR, PARTNER, API_SERVER, API_ADDRESS] {
            let outcome = outcomes.get(label);
            if outcome != Some(&Outcome::Reached { seen_from }) {
                self.fail(&format!(
                    "{}: {label} fares {outcome:?}, not reached from {seen_from}",
                    cluster.spec.name
                ));
            }
        }
        let firewall = self.azure.lock().world().hub.firewall.clone();
        let firewall = firewall.rsplit('/').next().unwrap_or_default().to_owned();
        match outcomes.get(NOT_ALLOWED) {
            Some(Outcome::Dropped { at, .. }) if at.contains(&firewall) => {}
            other => self.fail(&format!(
                "{}: {NOT_ALLOWED} fares {other:?}, not dropped at {firewall}",
                cluster.spec.name
            )),
        }
    }

    /// As [`Rig::assert_wired`], and the ledger says so too.
    pub async fn assert_all_wired(&self, clusters: &[Cluster]) {
        for cluster in clusters {
            let report = self.report(&cluster.key).await;
            if !report.as_ref().is_some_and(|report| report.state.is_wired()) {
                self.fail(&format!("{} is not wired: {report:#?}", cluster.spec.name));
            }
            self.assert_wired(cluster);
        }
    }

    /// Paths of the handler's accepted writes, in order.
    #[must_use]
    pub fn accepted_writes(&self) -> Vec<String> {
        let azure = self.azure.lock();
        let handler = azure.world().handler.clone();
        let accepted = |call: &&Call| {
            call.kind == CallKind::Write && call.principal.as_ref() == Some(&handler) && call.status < 300
        };
        azure
            .trace()
            .iter()
            .filter(accepted)
            .map(|call| call.path.clone())
            .collect()
    }

    /// The writes that Azure refused, one a line.
    #[must_use]
    pub fn refused_writes(&self) -> Vec<String> {
        let azure = self.azure.lock();
        let refused = |call: &&Call| call.kind == CallKind::Write && call.status >= 300;
        let line = |call: &Call| format!("{} {} {} {:?}", call.at, call.path, call.status, call.error_code);
        azure.trace().iter().filter(refused).map(line).collect()
    }

    /// Fails the test.
    ///
    /// # Panics
    /// Always, with the seed and the virtual time.
    pub fn fail(&self, what: &str) -> ! {
        panic!("seed {}, at {:.1} s, {}: {what}", self.seed, self.seconds(), self.story)
    }

    fn sure<T>(&self, result: Result<T, StageError>) -> T {
        result.unwrap_or_else(|error| self.fail(&error.to_string()))
    }

    fn first(&self, events: &[Value], cluster: &Cluster) -> Value {
        let about = |event: &&Value| {
            let uri = event["data"]["resourceUri"].as_str().unwrap_or_default();
            uri.eq_ignore_ascii_case(&cluster.id)
        };
        let found = events.iter().find(about).cloned();
        found.unwrap_or_else(|| self.fail(&format!("no event of {} was delivered", cluster.id)))
    }
}

impl Deref for Rig {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl DerefMut for Rig {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.stage
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
