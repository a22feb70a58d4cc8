//! Events of a story: true ones that come once more, and made-up ones.

use serde_json::json;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::scene::{Done, Scene};
use super::statements::{Forged, Thing};
use crate::stage::StageError;

impl Scene {
    /// The event of the cluster's creation comes again, by Event Grid.
    pub(super) fn send_again(&mut self, name: &str) -> Done {
        let id = self.creation(name)?;
        let sent = self.stage.azure.lock().send_again(id);
        if sent {
            Ok(String::new())
        } else {
            Err(format!("Event Grid knows no event {id}"))
        }
    }

    /// The id of the event that told of the cluster's creation, delivered or not.
    pub(super) fn creation(&self, name: &str) -> Result<Uuid, String> {
        let cluster = self.cluster(name)?;
        let azure = self.stage.azure.lock();
        let events = azure.emitted_events();
        let mut about = events
            .iter()
            .filter(|event| event.subject.eq_ignore_ascii_case(&cluster.id));
        let found = about.find(|event| event.operation_name.ends_with("/write"));
        found
            .map(|event| event.id)
            .ok_or_else(|| format!("Azure has not told of {name} yet"))
    }

    /// Event Grid delivers nothing of a thing, or of anything.
    pub(super) fn withhold(&mut self, thing: Option<&Thing>) -> Done {
        let mut azure = self.stage.azure.lock();
        let what = match thing {
            Some(thing) => self.find(&azure, thing)?,
            None => "all".to_owned(),
        };
        azure.withhold_events(&what);
        Ok(String::new())
    }

    /// An event as Event Grid would write it, for something that did not happen.
    pub(super) fn forge(&mut self, forged: Forged, name: &str) -> Result<Done, StageError> {
        let cluster = match self.cluster(name) {
            Ok(cluster) => cluster,
            Err(line) => return Ok(Err(line)),
        };
        let (kind, verb) = match forged {
            Forged::Create => ("Microsoft.Resources.ResourceWriteSuccess", "write"),
            Forged::Delete => ("Microsoft.Resources.ResourceDeleteSuccess", "delete"),
        };
        let subscription = self.stage.azure.lock().world().subscription.clone();
        let at = self.stage.now();
        let at = at.format(&Rfc3339).unwrap_or_default();
        let event = json!({
            "id": format!("forged-{}-{at}", cluster.spec.name),
            "topic": format!("/subscriptions/{subscription}"),
            "subject": cluster.id,
            "eventType": kind,
            "eventTime": at,
            "data": {
                "operationName": format!("Microsoft.ContainerService/managedClusters/{verb}"),
                "resourceUri": cluster.id,
                "status": "Succeeded",
                "subscriptionId": subscription,
                "resourceProvider": "Microsoft.ContainerService",
            },
            "dataVersion": "2",
            "metadataVersion": "1",
        });
        self.stage.send_event(&event)?;
        Ok(Ok(String::new()))
    }
}
