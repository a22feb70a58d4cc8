//! Route tables and their routes. A table's PUT replaces its routes; a route can be written alone.
//! A table that a subnet uses cannot be deleted.

use crate::arm::errors::ArmError;
use crate::ids::ArmPath;
use crate::kinds::Kind;
use crate::kinds::checks::{
    Accepted, Answer, ReplacedChildren, Write, default_to, prefix, properties_mut, strip_read_only,
};
use crate::render::subnets_with;
use crate::store::{Store, text};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const NEXT_HOP_TYPES: &[&str] = &[
    "VirtualNetworkGateway",
    "VnetLocal",
    "Internet",
    "VirtualAppliance",
    "None",
];

/// PUT of a table: routes left out are removed [recorded: fluent-net RouteTable CreateUpdate, seq 3].
pub(crate) fn accept_table(write: Write<'_>) -> Result<Accepted, ArmError> {
    let Write { path, mut body, .. } = write;
    let properties = properties_mut(&mut body);
    default_to(properties, "disableBgpRoutePropagation", json!(false));
    let listed = properties.remove("routes");
    let mut wanted = Vec::new();
    for route in listed.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let route_path = text(route, &["name"])
            .and_then(|name| path.child("routes", name))
            .ok_or_else(|| {
                ArmError::service(
                    400,
                    "InvalidRequestFormat",
                    format!("A route of {path} has no valid name."),
                )
            })?;
        let mut route_body = route.clone();
        strip_read_only(Kind::Route, &mut route_body);
        let route_body = judge_route(&route_path, route_body)?;
        wanted.push((route_path, route_body));
    }
    let children = vec![ReplacedChildren {
        kind: Kind::Route,
        wanted,
    }];
    Ok(Accepted {
        body,
        children,
        answer: Answer::Operation,
    })
}

/// PUT of one route.
pub(crate) fn accept_route(write: Write<'_>) -> Result<Accepted, ArmError> {
    let Write { store, path, body, .. } = write;
    let body = judge_route(path, body)?;
    let prefix_of = |body: &Value| text(body, &["properties", "addressPrefix"]).map(str::to_owned);
    let parent = path.parent().map(|parent| parent.key().to_owned()).unwrap_or_default();
    let twin = store
        .children(&parent, Kind::Route)
        .into_iter()
        .find(|other| other.path.key() != path.key() && prefix_of(&other.body) == prefix_of(&body));
    if let Some(twin) = twin {
        // Code from memory, not captured [?].
        return Err(ArmError::service(
            400,
            "RouteConflict",
            format!("Route {path} has the same address prefix as route {}.", twin.path),
        ));
    }
    Ok(Accepted::operation(body))
}

/// [azure-domain 5, learn: InUseRouteTableCannotBeDeleted]
pub(crate) fn refuse_if_table_in_use(store: &Store, table: &ArmPath) -> Result<(), ArmError> {
    if subnets_with(store, "routeTable", table.as_str()).is_empty() {
        return Ok(());
    }
    Err(ArmError::service(
        400,
        "InUseRouteTableCannotBeDeleted",
        format!("Route table {} is in use and cannot be deleted.", table.name()),
    ))
}

fn judge_route(path: &ArmPath, mut body: Value) -> Result<Value, ArmError> {
    let name = path.name();
    let given = text(&body, &["properties", "addressPrefix"]).unwrap_or_default();
    // Service tags are prefixes too [azure-domain 5].
    if given.starts_with(|c: char| c.is_ascii_digit()) || given.is_empty() {
        prefix(given, path)?;
    }
    let hop = text(&body, &["properties", "nextHopType"]).unwrap_or_default();
    let known = NEXT_HOP_TYPES
        .iter()
        .find(|known| known.eq_ignore_ascii_case(hop))
        .copied();
    let Some(hop) = known else {
        // Deserialisation failure of an enum value; the code is NRP's usual one, the text not captured [?].
        return Err(ArmError::service(
            400,
            "InvalidRequestFormat",
            format!(
                "Cannot parse the request: nextHopType '{hop}' of route {name} is not one of {}.",
                NEXT_HOP_TYPES.join(", ")
            ),
        ));
    };
    let address = text(&body, &["properties", "nextHopIpAddress"])
        .unwrap_or_default()
        .to_owned();
    if hop == "VirtualAppliance" {
        if address.is_empty() {
            // [terraform-provider-azurerm#20365]
            return Err(ArmError::service(
                400,
                "MissingNextHopIpAddress",
                format!(
                    "NextHopIpAddress cannot be Null or Empty in route {name} when NextHopType is VirtualAppliance."
                ),
            ));
        }
        if address.parse::<Ipv4Addr>().is_err() {
            return Err(invalid_next_hop(name, &address));
        }
    } else if !address.is_empty() {
        return Err(invalid_next_hop(name, &address));
    }
    let properties = properties_mut(&mut body);
    properties.insert("nextHopType".to_owned(), json!(hop));
    if address.is_empty() {
        properties.remove("nextHopIpAddress");
    }
    default_to(properties, "hasBgpOverride", json!(false));
    Ok(body)
}

/// Code from memory, not captured [?].
fn invalid_next_hop(name: &str, address: &str) -> ArmError {
    ArmError::service(
        400,
        "InvalidNextHopIpAddress",
        format!("NextHopIpAddress {address} in route {name} is not valid for its NextHopType."),
    )
}
