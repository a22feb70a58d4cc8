//! The test bench: one Azure with a hub, asked as the handler, and time that passes when told.

use azure_sim::{Azure, Delivery, EventSchema, EventSubscription, OffsetDateTime, Service, World};
use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use time::Duration;

/// Monday 23 November 2026, 06:00 UTC.
pub const START: OffsetDateTime = time::macros::datetime!(2026-11-23 06:00 UTC);
/// Api version of Network calls in these tests.
pub const NETWORK: &str = "2024-05-01";

pub struct Bench {
    pub azure: Azure,
    pub now: OffsetDateTime,
    pub token: String,
    /// What `pass` handed out for delivery.
    pub handed_out: Vec<Delivery>,
}

pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub response: Response<Bytes>,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(World::one_hub(), 7)
    }

    pub fn with(world: World, seed: u64) -> Self {
        let handler = world.handler.clone();
        let mut azure = Azure::new(world, seed, START);
        let token = azure.token_for(&handler, "https://management.azure.com/");
        Self {
            azure,
            now: START,
            token,
            handed_out: Vec::new(),
        }
    }

    pub fn group(&self, name: &str) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{name}",
            self.azure.world().subscription
        )
    }

    pub fn network(&self, group: &str, rest: &str) -> String {
        format!("{}/providers/Microsoft.Network/{rest}", self.group(group))
    }

    pub fn send(&mut self, method: Method, path_and_query: &str, body: Option<Value>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path_and_query)
            .header("host", "management.azure.com")
            .header("authorization", format!("Bearer {}", self.token))
            .body(body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string())))
            .unwrap();
        self.send_raw(request)
    }

    pub fn send_raw(&mut self, request: Request<Bytes>) -> Answer {
        let response = self.azure.handle(Service::Arm, request, self.now);
        let body = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
        Answer {
            status: response.status().as_u16(),
            body,
            response,
        }
    }

    pub fn get(&mut self, id: &str) -> Answer {
        self.send(Method::GET, &format!("{id}?api-version={NETWORK}"), None)
    }

    pub fn put(&mut self, id: &str, body: Value) -> Answer {
        self.send(Method::PUT, &format!("{id}?api-version={NETWORK}"), Some(body))
    }

    pub fn delete(&mut self, id: &str) -> Answer {
        self.send(Method::DELETE, &format!("{id}?api-version={NETWORK}"), None)
    }

    pub fn poll(&mut self, url: &str) -> Answer {
        let path = url.strip_prefix("https://management.azure.com").unwrap().to_owned();
        self.send(Method::GET, &path, None)
    }

    pub fn pass(&mut self, seconds: i64) {
        self.now += Duration::seconds(seconds);
        self.handed_out.extend(self.azure.advance(self.now));
    }

    /// Lets everything happen that is under way.
    pub fn settle(&mut self) {
        while let Some(next) = self.azure.next_event() {
            self.now = self.now.max(next);
            self.handed_out.extend(self.azure.advance(self.now));
        }
    }

    /// Subscribes to every event and lets each be delivered once.
    pub fn listen(&mut self) {
        self.azure.subscribe(EventSubscription {
            name: "all".to_owned(),
            endpoint: "http://127.0.0.1:1/events".to_owned(),
            schema: EventSchema::CloudEvents,
            operation_names: vec![],
            dead_letter: None,
        });
    }

    /// What was delivered so far, as `operation subject`, in order of delivery.
    pub fn told(&self) -> Vec<String> {
        let told = self.handed_out.iter().map(|delivery| {
            let event: Value = serde_json::from_slice(&delivery.body).unwrap();
            let operation = event["data"]["operationName"].as_str().unwrap();
            format!(
                "{} {operation} {}",
                event["type"].as_str().unwrap(),
                event["subject"].as_str().unwrap()
            )
        });
        told.collect()
    }

    /// PUT that must be accepted, followed to its end.
    pub fn put_done(&mut self, id: &str, body: Value) -> Answer {
        let answer = self.put(id, body);
        assert!(
            matches!(answer.status, 200 | 201),
            "{id}: {} {}",
            answer.status,
            answer.body
        );
        self.finish(&answer);
        answer
    }

    /// Lets time pass until the operation of an answer has ended.
    pub fn finish(&mut self, answer: &Answer) {
        let url = answer.operation();
        for _ in 0..600 {
            self.pass(3);
            if self.poll(&url).body["status"] != "InProgress" {
                return;
            }
        }
        panic!("the operation never ended");
    }

    pub fn make_group(&mut self, name: &str) {
        let id = self.group(name);
        let answer = self.send(
            Method::PUT,
            &format!("{id}?api-version=2024-11-01"),
            Some(json!({"location": "westeurope"})),
        );
        assert_eq!(answer.status, 201);
    }

    /// A spoke VNet with one subnet in group `spoke`, made if absent.
    pub fn make_spoke(&mut self, name: &str, prefix: &str, subnet_prefix: &str) -> String {
        if self.azure.document(&self.group("spoke")).is_none() {
            self.make_group("spoke");
        }
        let id = self.network("spoke", &format!("virtualNetworks/{name}"));
        self.put_done(&id, vnet(prefix, &[("nodes", subnet_prefix)]));
        id
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).and_then(|value| value.to_str().ok())
    }

    pub fn operation(&self) -> String {
        self.header("azure-asyncoperation")
            .expect("an Azure-AsyncOperation header")
            .to_owned()
    }

    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }

    pub fn state(&self) -> &str {
        self.body["properties"]["provisioningState"]
            .as_str()
            .unwrap_or_default()
    }
}

pub fn vnet(prefix: &str, subnets: &[(&str, &str)]) -> Value {
    let subnets: Vec<Value> = subnets
        .iter()
        .map(|(name, prefix)| json!({"name": name, "properties": {"addressPrefix": prefix}}))
        .collect();
    json!({"location": "westeurope", "properties": {"addressSpace": {"addressPrefixes": [prefix]}, "subnets": subnets}})
}

pub fn peering_to(remote: &str) -> Value {
    json!({"properties": {
        "remoteVirtualNetwork": {"id": remote}, "allowVirtualNetworkAccess": true, "allowForwardedTraffic": true
    }})
}

pub fn table(routes: &[(&str, &str, &str, &str)]) -> Value {
    let routes: Vec<Value> = routes
        .iter()
        .map(|(name, prefix, hop, address)| {
            let mut properties = json!({"addressPrefix": prefix, "nextHopType": hop});
            if !address.is_empty() {
                properties["nextHopIpAddress"] = json!(address);
            }
            json!({"name": name, "properties": properties})
        })
        .collect();
    json!({"location": "westeurope", "properties": {"routes": routes}})
}
