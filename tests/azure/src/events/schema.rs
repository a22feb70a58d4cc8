//! Resource events as Event Grid writes them, in its own schema and as CloudEvents 1.0 [azure-domain 7.2, 7.3].
//! They carry no resource payload, and `httpRequest` only for updates and deletes.

use crate::arm::operations::rfc3339;
use crate::ids::ArmPath;
use crate::kinds::{Backend, Kind};
use crate::render::aks_id;
use crate::trace::Principal;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

/// Who made the call an event speaks of.
#[derive(Clone, Debug)]
pub(crate) struct EventSource {
    pub(crate) principal: Principal,
    pub(crate) correlation: Uuid,
    pub(crate) client_request_id: String,
    pub(crate) url: String,
}

/// One event before it is written in a schema.
#[derive(Clone, Debug)]
pub(crate) struct EventDraft {
    pub(crate) event_type: &'static str,
    pub(crate) operation_name: String,
    pub(crate) subject: String,
    pub(crate) at: OffsetDateTime,
    source: EventSource,
    status: &'static str,
    provider: String,
    http_method: Option<&'static str>,
}

impl EventDraft {
    /// A write that succeeded.
    pub(crate) fn write(source: EventSource, path: &ArmPath, kind: Kind, update: bool, at: OffsetDateTime) -> Self {
        let method = update.then_some("PUT");
        Self::draft(
            source,
            path,
            kind,
            "write",
            "Microsoft.Resources.ResourceWriteSuccess",
            "Succeeded",
            method,
            at,
        )
    }

    /// A delete that succeeded.
    pub(crate) fn delete(source: EventSource, path: &ArmPath, kind: Kind, at: OffsetDateTime) -> Self {
        let event_type = "Microsoft.Resources.ResourceDeleteSuccess";
        Self::draft(
            source,
            path,
            kind,
            "delete",
            event_type,
            "Succeeded",
            Some("DELETE"),
            at,
        )
    }

    /// A write or delete that failed in the end.
    pub(crate) fn failure(source: EventSource, path: &ArmPath, kind: Kind, delete: bool, at: OffsetDateTime) -> Self {
        let (verb, event_type) = if delete {
            ("delete", "Microsoft.Resources.ResourceDeleteFailure")
        } else {
            ("write", "Microsoft.Resources.ResourceWriteFailure")
        };
        Self::draft(
            source,
            path,
            kind,
            verb,
            event_type,
            "Failed",
            Some(if delete { "DELETE" } else { "PUT" }),
            at,
        )
    }

    #[expect(clippy::too_many_arguments, reason = "the one place where an event is put together")]
    fn draft(
        source: EventSource,
        path: &ArmPath,
        kind: Kind,
        verb: &str,
        event_type: &'static str,
        status: &'static str,
        http_method: Option<&'static str>,
        at: OffsetDateTime,
    ) -> Self {
        // AKS subjects carry its lower-case `/resourcegroups/` [azure-domain 7.3].
        let subject = if kind.facts().backend == Backend::Aks {
            aks_id(path.as_str())
        } else {
            path.as_str().to_owned()
        };
        Self {
            event_type,
            operation_name: format!("{}/{verb}", kind.facts().action_name),
            subject,
            at,
            source,
            status,
            provider: path
                .provider
                .clone()
                .unwrap_or_else(|| "Microsoft.Resources".to_owned()),
            http_method,
        }
    }

    /// The body in Event Grid's own schema: an array of one.
    pub(crate) fn event_grid(&self, id: Uuid, subscription: &str, tenant: Uuid) -> Value {
        json!([{
            "topic": format!("/subscriptions/{subscription}"),
            "subject": self.subject,
            "eventType": self.event_type,
            "eventTime": rfc3339(self.at),
            "id": id,
            "data": self.data(subscription, tenant),
            "dataVersion": "2",
            "metadataVersion": "1"
        }])
    }

    /// The body as one CloudEvent.
    pub(crate) fn cloud_event(&self, id: Uuid, subscription: &str, tenant: Uuid) -> Value {
        json!({
            "specversion": "1.0",
            "id": id,
            "source": format!("/subscriptions/{subscription}"),
            "type": self.event_type,
            "subject": self.subject,
            "time": rfc3339(self.at),
            "data": self.data(subscription, tenant)
        })
    }

    fn data(&self, subscription: &str, tenant: Uuid) -> Value {
        let principal = &self.source.principal;
        let mut data = json!({
            "authorization": {
                "scope": self.subject, "action": self.operation_name, "evidence": {"role": "Contributor"}
            },
            "claims": {
                "aud": "https://management.core.windows.net/",
                "iss": format!("https://sts.windows.net/{tenant}/"),
                "iat": self.at.unix_timestamp().to_string(),
                "appid": principal.client_id,
                "appidacr": "2",
                "http://schemas.microsoft.com/identity/claims/objectidentifier": principal.object_id,
                "http://schemas.microsoft.com/identity/claims/tenantid": tenant,
                "ver": "1.0"
            },
            "correlationId": self.source.correlation,
            "resourceProvider": self.provider,
            "resourceUri": self.subject,
            "operationName": self.operation_name,
            "status": self.status,
            "subscriptionId": subscription,
            "tenantId": tenant
        });
        if let Some(method) = self.http_method {
            data["httpRequest"] = json!({
                "clientRequestId": self.source.client_request_id, "clientIpAddress": "203.0.113.200",
                "method": method, "url": self.source.url
            });
        }
        data
    }
}
