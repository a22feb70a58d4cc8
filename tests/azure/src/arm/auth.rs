//! Who may do what: bearer tokens, then rights by action and scope.
//! A call without a token, with an unknown one or with one for another audience gets ARM's 401 before anything else.

use crate::arm::errors::ArmError;
use crate::azure::Azure;
use crate::identity::audience_is;
use crate::ids::ArmPath;
use crate::kinds::Kind;
use crate::store::{array, text};
use crate::trace::Principal;
use crate::world::Grant;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::Value;

impl Azure {
    /// What the handler may do from now on: `None` for everything, else these grants and nothing besides. It starts
    /// as `World::handler_rights`; the person may always do everything.
    pub fn set_handler_rights(&mut self, rights: Option<Vec<Grant>>) {
        self.handler_rights = rights;
    }

    /// One more grant for the handler. It changes nothing while the handler may do everything.
    pub fn grant(&mut self, grant: Grant) {
        if let Some(rights) = &mut self.handler_rights {
            rights.push(grant);
        }
    }

    /// The caller, by its token.
    pub(crate) fn authenticate(&self, request: &Request<Bytes>) -> Result<Principal, ArmError> {
        let header = request
            .headers()
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        let Some(token) = header.and_then(|value| value.strip_prefix("Bearer ")) else {
            return Err(ArmError::gateway(
                401,
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            ));
        };
        let Some(grant) = self.tokens.find(token) else {
            return Err(ArmError::gateway(
                401,
                "InvalidAuthenticationToken",
                "The access token is invalid.",
            ));
        };
        if !audience_is(&grant.audience, "https://management.azure.com")
            && !audience_is(&grant.audience, "https://management.core.windows.net")
        {
            return Err(ArmError::gateway(
                401,
                "InvalidAuthenticationTokenAudience",
                format!(
                    "The access token has been obtained for wrong audience or resource '{}'. It should exactly match \
                     with one of the allowed audiences 'https://management.core.windows.net/', \
                     'https://management.core.windows.net', 'https://management.azure.com/', \
                     'https://management.azure.com'.",
                    grant.audience
                ),
            ));
        }
        Ok(grant.principal.clone())
    }

    /// The challenge that goes with a 401.
    pub(crate) fn challenge(&self) -> String {
        format!(
            "Bearer authorization_uri=\"https://login.microsoftonline.com/{}\", error=\"invalid_token\", \
             error_description=\"The authentication scheme or token is missing or invalid.\"",
            self.world.tenant
        )
    }

    /// Refuses an action the principal has no right to [recorded: fluent-net Monitor, AuthorizationFailed].
    pub(crate) fn authorize(&self, principal: &Principal, action: &str, scope: &str) -> Result<(), ArmError> {
        if self.may(principal, action, scope) {
            return Ok(());
        }
        let object = principal.object_id;
        Err(ArmError::gateway(
            403,
            "AuthorizationFailed",
            format!(
                "The client '{object}' with object id '{object}' does not have authorization to perform action '{action}' \
                 over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your \
                 credentials."
            ),
        ))
    }

    /// Whoever writes a reference needs the right to use what it names [azure-domain 2.4: linked authorization].
    pub(crate) fn authorize_links(
        &self,
        principal: &Principal,
        kind: Kind,
        path: &ArmPath,
        body: &Value,
    ) -> Result<(), ArmError> {
        let inline = array(body, &["properties", "subnets"]);
        let inline = inline.iter().filter(|_| kind == Kind::VirtualNetwork);
        let parts = std::iter::once((kind, body)).chain(inline.map(|subnet| (Kind::Subnet, subnet)));
        for (part, body) in parts {
            for (field, action) in links(part) {
                match text(body, &["properties", field, "id"]) {
                    Some(target) if !self.may(principal, action, target) => {
                        return Err(unlinked(principal, kind, path, action, target));
                    }
                    Some(_) | None => {}
                }
            }
        }
        Ok(())
    }

    /// Whether a principal may do something.
    pub(crate) fn may(&self, principal: &Principal, action: &str, scope: &str) -> bool {
        let Some(grants) = self
            .handler_rights
            .as_ref()
            .filter(|_| *principal == self.world.handler)
        else {
            return true;
        };
        let scope = scope.to_lowercase();
        grants.iter().any(|grant| {
            let granted = grant.scope.to_lowercase();
            let granted = granted.trim_end_matches('/');
            let inside = scope == granted || scope.starts_with(&format!("{granted}/"));
            inside
                && grant
                    .actions
                    .iter()
                    .any(|pattern| matches_action(&pattern.to_lowercase(), &action.to_lowercase()))
        })
    }
}

fn unlinked(principal: &Principal, kind: Kind, path: &ArmPath, action: &str, target: &str) -> ArmError {
    let object = principal.object_id;
    ArmError::gateway(
        403,
        "LinkedAuthorizationFailed",
        format!(
            "The client '{object}' with object id '{object}' has permission to perform action '{}/write' on scope \
             '{path}'; however, it does not have permission to perform action(s) '{action}' on the linked scope(s) \
             '{target}' (respectively) or the linked scope(s) are invalid.",
            kind.facts().action_name
        ),
    )
}

/// The action a method means for a kind.
pub(crate) fn action_of(kind: Kind, method: &Method) -> String {
    let verb = match method.as_str() {
        "GET" | "HEAD" => "read",
        "DELETE" => "delete",
        _ => "write",
    };
    format!("{}/{verb}", kind.facts().action_name)
}

fn links(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Subnet => &[
            ("routeTable", "Microsoft.Network/routeTables/join/action"),
            (
                "networkSecurityGroup",
                "Microsoft.Network/networkSecurityGroups/join/action",
            ),
            ("natGateway", "Microsoft.Network/natGateways/join/action"),
        ],
        Kind::Peering => &[("remoteVirtualNetwork", "Microsoft.Network/virtualNetworks/peer/action")],
        Kind::AzureFirewall => &[("firewallPolicy", "Microsoft.Network/firewallPolicies/join/action")],
        Kind::ResourceGroup
        | Kind::VirtualNetwork
        | Kind::RouteTable
        | Kind::Route
        | Kind::NetworkSecurityGroup
        | Kind::NatGateway
        | Kind::PublicIp
        | Kind::FirewallPolicy
        | Kind::RuleCollectionGroup
        | Kind::LoadBalancer
        | Kind::ManagedCluster
        | Kind::AgentPool
        | Kind::UserAssignedIdentity
        | Kind::RoleAssignment => &[],
    }
}

/// `*` stands for any run of characters, slashes included, as in role definitions.
fn matches_action(pattern: &str, action: &str) -> bool {
    let mut rest = action;
    let parts: Vec<&str> = pattern.split('*').collect();
    for (index, part) in parts.iter().enumerate() {
        let place = if index == 0 {
            rest.starts_with(part).then_some(0)
        } else {
            rest.find(part)
        };
        let Some(place) = place else { return false };
        rest = &rest[place + part.len()..];
    }
    rest.is_empty() || pattern.ends_with('*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn action_patterns_match_as_in_role_definitions() {
        assert!(matches_action("*", "microsoft.network/routetables/write"));
        assert!(matches_action("*/read", "microsoft.network/routetables/read"));
        assert!(!matches_action("*/read", "microsoft.network/routetables/write"));
        assert!(matches_action(
            "microsoft.network/*",
            "microsoft.network/routetables/write"
        ));
        assert!(!matches_action(
            "microsoft.network/routetables/write",
            "microsoft.network/routetables/writeother"
        ));
    }
}
