//! What people do in a story: they create and delete clusters, expose services and write resources, with their own rights.

use azure_sim::Exposure;
use http::Method;
use serde_json::Value;

use super::scene::{Done, Scene};
use super::statements::{Exposed, Exposing, Part, Thing};
use super::wanted::Wanted;
use super::{by_hand, things};

impl Scene {
    pub(super) fn create(&mut self, wanted: &Wanted) -> Done {
        let spec = wanted.spec(|name| self.cluster(name).map(|cluster| cluster.spec.clone()))?;
        let cluster = self.stage.create(spec);
        self.continuity.add(&cluster);
        self.clusters.retain(|(name, _)| *name != wanted.name);
        self.clusters.push((wanted.name.clone(), cluster));
        Ok(String::new())
    }

    pub(super) fn delete(&mut self, thing: &Thing) -> Done {
        let now = self.stage.now();
        let mut azure = self.stage.azure.lock();
        let id = self.find(&azure, thing)?;
        self.continuity.forget(&id);
        by_hand::call(&mut azure, Method::DELETE, &id, None, now)
    }

    pub(super) fn delete_group(&mut self, name: &str) -> Done {
        let now = self.stage.now();
        let mut azure = self.stage.azure.lock();
        let id = things::whole(&azure, &format!("/resourceGroups/{name}"));
        self.continuity.forget(&id);
        by_hand::call(&mut azure, Method::DELETE, &id, None, now)
    }

    /// Somebody exposes a service; what answers under its address is said.
    pub(super) fn expose(&mut self, exposed: &Exposed) -> Done {
        let cluster = self.cluster(&exposed.name)?.id.clone();
        let mut azure = self.stage.azure.lock();
        let (name, ports) = ("web", [exposed.port]);
        let exposure = match exposed.how {
            Exposing::Publicly => Exposure::public(name, &ports),
            Exposing::Internally(address) => Exposure::internal(name, &ports, address),
            Exposing::AtApplicationAddress => {
                let thing = Thing::Of(exposed.name.clone(), Part::ApplicationAddress);
                Exposure::at(name, &ports, &self.find(&azure, &thing)?)
            }
        };
        let address = azure.expose(&cluster, &exposure).map_err(|error| error.to_string())?;
        drop(azure);
        self.services.insert(exposed.name.clone(), address);
        Ok(format!("at {address}"))
    }

    pub(super) fn put(&mut self, id: &str, body: &Value) -> Done {
        let now = self.stage.now();
        let mut azure = self.stage.azure.lock();
        let id = things::whole(&azure, id);
        by_hand::call(&mut azure, Method::PUT, &id, Some(body.clone()), now)
    }
}
