//! Events of a story: true ones that come once more, and made-up ones.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::run::{Outcome, Scene};
use super::statements::Forged;
use crate::stage::StageError;

impl Scene {
    /// The event of the cluster's creation comes again.
    pub(super) fn send_again(&mut self, name: &str) -> Result<Outcome, StageError> {
        match self.creation(name) {
            Ok(event) => {
                self.stage.send_event(&event)?;
                Ok(Ok(String::new()))
            }
            Err(line) => Ok(Err(line)),
        }
    }

    /// The event of the cluster's creation, as Event Grid delivered it.
    pub(super) fn creation(&self, name: &str) -> Result<Value, String> {
        let cluster = self.cluster(name)?;
        let about = |event: &Value| {
            let uri = event["data"]["resourceUri"].as_str().unwrap_or_default();
            uri.eq_ignore_ascii_case(&cluster.id)
        };
        let found = self.stage.events().into_iter().find(about);
        found.ok_or_else(|| format!("no event of {name} has been delivered yet"))
    }

    /// An event as Event Grid would write it, for something that did not happen.
    pub(super) fn forge(&mut self, forged: Forged, name: &str) -> Result<Outcome, StageError> {
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
