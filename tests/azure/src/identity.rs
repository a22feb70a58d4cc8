//! The identity endpoint of an App Service and the tokens it gave out.
//! Tokens look like the real ones and are honoured as long as this Azure lives; their `expires_on` is wall clock,
//! because token caches outside compare it with the wall clock.

use crate::azure::Azure;
use crate::trace::Principal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

/// What a token stands for.
#[derive(Clone, Debug)]
pub(crate) struct TokenGrant {
    pub(crate) principal: Principal,
    pub(crate) audience: String,
}

/// Every token given out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    given: BTreeMap<String, TokenGrant>,
}

impl Tokens {
    pub(crate) fn find(&self, token: &str) -> Option<&TokenGrant> {
        self.given.get(token)
    }

    fn clear(&mut self) {
        self.given.clear();
    }
}

/// True when two audiences are the same but for a trailing slash.
pub(crate) fn audience_is(audience: &str, wanted: &str) -> bool {
    audience.trim_end_matches('/').eq_ignore_ascii_case(wanted)
}

/// App Service tokens live a day.
const TOKEN_LIFE: Duration = Duration::hours(24);

impl Azure {
    /// Gives `principal` a token for `audience`, as the identity endpoint would.
    pub fn token_for(&mut self, principal: &Principal, audience: &str) -> String {
        let expires = self.wall_now() + TOKEN_LIFE;
        let claims = json!({
            "aud": audience, "iss": format!("https://sts.windows.net/{}/", self.world.tenant),
            "exp": expires.unix_timestamp(), "appid": principal.client_id, "oid": principal.object_id,
            "tid": self.world.tenant
        });
        let head = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"RS256"}"#);
        let signature = self.draws.opaque(
            &format!("token|{}|{audience}|{}", principal.object_id, expires.unix_timestamp()),
            342,
        );
        let token = format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let grant = TokenGrant {
            principal: principal.clone(),
            audience: audience.to_owned(),
        };
        if audience_is(audience, "https://storage.azure.com") {
            self.storage.trust_token(&token);
        }
        self.tokens.given.insert(token.clone(), grant);
        token
    }

    /// Every token given out so far is refused from now on, as after a revocation.
    pub fn revoke_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Answers `GET /msi/token?resource=..&api-version=2019-08-01[&client_id=..]` [App Service managed identity].
    pub(crate) fn identity(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        let secret = request
            .headers()
            .get("x-identity-header")
            .and_then(|value| value.to_str().ok());
        if secret != Some(self.world.identity_secret.as_str()) {
            return answer(
                401,
                &json!({"statusCode": 401, "message": "The X-IDENTITY-HEADER is missing or wrong."}),
            );
        }
        let query: BTreeMap<String, String> =
            url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let Some(resource) = query.get("resource").filter(|resource| !resource.is_empty()) else {
            return answer(
                400,
                &json!({"statusCode": 400, "message": "The parameter 'resource' is missing."}),
            );
        };
        if query.get("api-version").map(String::as_str) != Some("2019-08-01") {
            return answer(
                400,
                &json!({"statusCode": 400, "message": "The api-version is missing or not supported."}),
            );
        }
        let handler = self.world.handler.clone();
        let asked = query.get("client_id");
        if asked.is_some_and(|id| !id.eq_ignore_ascii_case(&handler.client_id.to_string())) {
            return answer(
                400,
                &json!({"statusCode": 400, "message": "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."}),
            );
        }
        let expires = self.wall_now() + TOKEN_LIFE;
        let token = self.token_for(&handler, resource);
        answer(
            200,
            &json!({
                "access_token": token, "expires_on": expires.unix_timestamp().to_string(), "resource": resource,
                "token_type": "Bearer", "client_id": handler.client_id
            }),
        )
    }

    /// Tells the identity endpoint the wall clock. In virtual time it is left unset and Azure time stands in.
    pub fn set_wall_clock(&mut self, wall: OffsetDateTime) {
        self.wall = Some(wall);
    }

    fn wall_now(&self) -> OffsetDateTime {
        self.wall.unwrap_or(self.now)
    }
}

fn answer(status: u16, body: &Value) -> Response<Bytes> {
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    response
        .body(Bytes::from(body.to_string()))
        .unwrap_or_else(|_| Response::new(Bytes::new()))
}
