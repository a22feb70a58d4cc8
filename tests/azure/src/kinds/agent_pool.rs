//! Agent pools written alone: each is a profile of its cluster, and the cluster takes one operation at a time.
//! A pool can neither move to another subnet nor be the last system pool that is deleted.

use crate::arm::errors::ArmError;
use crate::arm::headers::Reply;
use crate::arm::lanes;
use crate::arm::latency::Verb;
use crate::arm::operations::Effect;
use crate::arm::request::ArmCall;
use crate::azure::Azure;
use crate::ids::{ArmPath, same_id};
use crate::kinds::checks::reference;
use crate::kinds::managed_cluster::fill_pool;
use crate::kinds::{Backend, Kind, cluster_shape, kubenet};
use crate::store::{Resource, array, text};
use crate::trace::Principal;
use serde_json::{Value, json};

impl Azure {
    /// 201 with the pool `Creating`, or 200 with it `Updating`, and an operation [api-examples: AKS agentPools PUT].
    pub(crate) fn put_pool(
        &mut self,
        call: &ArmCall,
        principal: &Principal,
        path: &ArmPath,
        body: Value,
    ) -> Result<Reply, ArmError> {
        let lanes = self.free_lanes(call, path)?;
        let mut profile = body.get("properties").cloned().unwrap_or_else(|| json!({}));
        if let Some(subnet) = text(&profile, &["vnetSubnetID"]) {
            reference(&self.store, subnet, Kind::Subnet, path)?;
        }
        let cluster = self.cluster_of(path)?;
        let present = profile_of(cluster, path.name());
        if let Some(present) = present {
            refuse_another_subnet(present, &mut profile)?;
        }
        let (verb, state) = match present {
            Some(_) => (Verb::Update, "Updating"),
            None => (Verb::Create, "Creating"),
        };
        let version = text(&cluster.body, &["properties", "currentKubernetesVersion"]).unwrap_or_default();
        let max_pods = cluster_shape::max_pods(&cluster.body["properties"]["networkProfile"]);
        fill_pool(&mut profile, version, max_pods, state);
        profile["name"] = json!(path.name());
        let (cluster_path, mut cluster_body) = (cluster.path.clone(), cluster.body.clone());
        replace(&mut cluster_body, path.name(), Some(profile));
        self.store
            .put(&cluster_path, Kind::ManagedCluster, cluster_body, "Updating", self.now);
        let effect = Effect::Write {
            update: verb == Verb::Update,
        };
        let operation = self.start_operation(call, principal, path, Kind::AgentPool, verb, effect, lanes);
        let status = if verb == Verb::Update { 200 } else { 201 };
        Ok(self.write_reply(call, path, Kind::AgentPool, status, operation))
    }

    /// 202 with both URLs, 204 when there is no such pool.
    pub(crate) fn delete_pool(
        &mut self,
        call: &ArmCall,
        principal: &Principal,
        path: &ArmPath,
    ) -> Result<Reply, ArmError> {
        let cluster = self.cluster_of(path)?;
        if profile_of(cluster, path.name()).is_none() {
            return Ok(Reply::new(204, Backend::Aks, None));
        }
        let others = array(&cluster.body, &["properties", "agentPoolProfiles"]);
        let system_left = others
            .iter()
            .any(|pool| !is_named(pool, path.name()) && text(pool, &["mode"]) == Some("System"));
        if !system_left {
            // [AKS#2560]
            return Err(ArmError::service(
                400,
                "OperationNotAllowed",
                "There has to be at least one agent pool.",
            ));
        }
        let lanes = self.free_lanes(call, path)?;
        self.pool_settled(path, "Deleting");
        let operation = self.start_operation(
            call,
            principal,
            path,
            Kind::AgentPool,
            Verb::Delete,
            Effect::Delete,
            lanes,
        );
        Ok(self.delete_reply(call, Backend::Aks, operation))
    }

    /// The pool's write has ended. Returns what came into being besides: routes of its nodes.
    pub(crate) fn pool_written(&mut self, pool: &ArmPath) -> Vec<ArmPath> {
        self.pool_settled(pool, "Succeeded");
        let cluster = pool.parent();
        cluster.map_or_else(Vec::new, |cluster| kubenet::sync(&mut self.store, &cluster, self.now))
    }

    /// The pool's own state, as its cluster's profile shows it.
    pub(crate) fn pool_settled(&mut self, pool: &ArmPath, state: &str) {
        let Some(cluster) = pool.parent().and_then(|cluster| self.store.find_mut(cluster.key())) else {
            return;
        };
        let profiles = cluster.body["properties"]["agentPoolProfiles"].as_array_mut();
        for profile in profiles.into_iter().flatten() {
            if is_named(profile, pool.name()) {
                profile["provisioningState"] = json!(state);
            }
        }
    }

    /// The pool's deletion has ended; the routes of its nodes go with it.
    pub(crate) fn pool_deleted(&mut self, pool: &ArmPath) {
        let Some(cluster) = pool.parent() else { return };
        if let Some(found) = self.store.find_mut(cluster.key()) {
            replace(&mut found.body, pool.name(), None);
        }
        kubenet::sync(&mut self.store, &cluster, self.now);
    }

    fn cluster_of(&self, pool: &ArmPath) -> Result<&Resource, ArmError> {
        let cluster = pool.parent().and_then(|cluster| self.store.find(cluster.key()));
        cluster.ok_or_else(|| self.not_found(pool, Kind::AgentPool))
    }

    fn free_lanes(&self, call: &ArmCall, pool: &ArmPath) -> Result<Vec<String>, ArmError> {
        let state = self.cluster_of(pool)?.state.as_str();
        let lanes = lanes::needed(&self.store, pool, Kind::AgentPool, None);
        lanes::refuse_if_taken(
            &self.operations,
            self.draws,
            &call.host,
            &lanes,
            pool,
            Kind::AgentPool,
            state,
        )?;
        Ok(lanes)
    }
}

/// [AKS#695: PropertyChangeNotAllowed]; left out, the subnet stays.
fn refuse_another_subnet(present: &Value, wanted: &mut Value) -> Result<(), ArmError> {
    let had = text(present, &["vnetSubnetID"]);
    match (had, text(wanted, &["vnetSubnetID"])) {
        (Some(had), None) => wanted["vnetSubnetID"] = json!(had),
        (Some(had), Some(asked)) if same_id(had, asked) => {}
        (None, None) => {}
        (_, Some(_)) => {
            return Err(ArmError::service(
                400,
                "PropertyChangeNotAllowed",
                "Changing property 'agentPoolProfile.vnetSubnetID' is not allowed.",
            ));
        }
    }
    Ok(())
}

fn profile_of<'a>(cluster: &'a Resource, name: &str) -> Option<&'a Value> {
    let profiles = array(&cluster.body, &["properties", "agentPoolProfiles"]);
    profiles.iter().find(|profile| is_named(profile, name))
}

fn is_named(profile: &Value, name: &str) -> bool {
    text(profile, &["name"]).is_some_and(|own| own.eq_ignore_ascii_case(name))
}

/// Puts a profile in the place of the one of its name, at the end if there is none, or takes it out.
fn replace(cluster: &mut Value, name: &str, profile: Option<Value>) {
    let Some(profiles) = cluster["properties"]["agentPoolProfiles"].as_array_mut() else {
        return;
    };
    let place = profiles.iter().position(|present| is_named(present, name));
    match (place, profile) {
        (Some(place), Some(profile)) => profiles[place] = profile,
        (Some(place), None) => {
            profiles.remove(place);
        }
        (None, Some(profile)) => profiles.push(profile),
        (None, None) => {}
    }
}
