//! Firewall policies and their rule collection groups: whole-group replacement, arrays filled in, unchanged PUTs
//! answered with `null`. Whether a rule makes sense is not judged beyond what Azure itself refuses.

use crate::arm::errors::ArmError;
use crate::ids::ArmPath;
use crate::kinds::checks::{Accepted, Answer, Write, default_to, properties_mut};
use crate::kinds::nat_rule;
use crate::store::{array, text};
use serde_json::{Map, Value, json};

/// PUT of a policy.
pub(crate) fn accept_policy(write: Write<'_>) -> Result<Accepted, ArmError> {
    let Write { mut body, .. } = write;
    let properties = properties_mut(&mut body);
    default_to(properties, "sku", json!({"tier": "Standard"}));
    default_to(properties, "threatIntelMode", json!("Alert"));
    Ok(Accepted::operation(body))
}

/// PUT of a group: the collections sent are all there will be [azure-sdk-for-python#24182].
pub(crate) fn accept_group(write: Write<'_>) -> Result<Accepted, ArmError> {
    let Write {
        store,
        path,
        existing,
        mut body,
        ..
    } = write;
    let properties = properties_mut(&mut body);
    refuse_priority(path, "rule collection group", path.name(), properties.get("priority"))?;
    default_to(properties, "ruleCollections", json!([]));
    if let Some(collections) = properties.get_mut("ruleCollections").and_then(Value::as_array_mut) {
        for collection in collections {
            judge_collection(path, collection)?;
        }
    }
    let policy = path.parent().and_then(|policy| store.find(policy.key()));
    if let Some(location) = policy.and_then(|policy| policy.body.get("location")) {
        // A group comes back with the policy's location [recorded: cli firewallpolicy_and_rcg].
        body["location"] = location.clone();
    }
    let unchanged = existing.is_some_and(|group| group.body == body && group.state == "Succeeded");
    let answer = if unchanged { Answer::Null } else { Answer::Operation };
    Ok(Accepted {
        body,
        children: Vec::new(),
        answer,
    })
}

fn judge_collection(path: &ArmPath, collection: &mut Value) -> Result<(), ArmError> {
    let name = text(collection, &["name"]).unwrap_or_default().to_owned();
    // A collection may lack its priority [api-examples 2]; if it is there it must be in range.
    if collection.get("priority").is_some() {
        refuse_priority(path, "rule collection", &name, collection.get("priority"))?;
    }
    if array(collection, &["rules"]).iter().any(|rule| !rule.is_object()) {
        return Err(ArmError::service(
            400,
            "InvalidRequestFormat",
            format!("A rule of {name} is not an object."),
        ));
    }
    let rules = collection.get_mut("rules").and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten() {
        if text(rule, &["ruleType"]) == Some("NatRule") {
            nat_rule::judge(path, &name, rule)?;
        }
        if let Some(rule) = rule.as_object_mut() {
            fill_arrays(rule);
        }
    }
    Ok(())
}

/// Omitted arrays come back as `[]`, per rule type [recorded: cli firewallpolicy_and_rcg]; the application rule's
/// list of fields follows the official shape.
fn fill_arrays(rule: &mut Map<String, Value>) {
    let fields: &[&str] = match rule.get("ruleType").and_then(Value::as_str) {
        Some("NetworkRule") => &[
            "sourceAddresses",
            "sourceIpGroups",
            "destinationAddresses",
            "destinationIpGroups",
            "destinationFqdns",
        ],
        Some("NatRule") => &["sourceAddresses", "sourceIpGroups", "destinationAddresses"],
        Some("ApplicationRule") => &[
            "fqdnTags",
            "webCategories",
            "targetFqdns",
            "targetUrls",
            "sourceAddresses",
            "destinationAddresses",
            "sourceIpGroups",
        ],
        Some(_) | None => &[],
    };
    for field in fields {
        default_to(rule, field, json!([]));
    }
    if rule.get("ruleType").and_then(Value::as_str) == Some("ApplicationRule") {
        default_to(rule, "terminateTLS", json!(false));
    }
}

/// Priorities run from 100 to 65000 [azure-domain 3.4]. Code from memory, not captured [?].
fn refuse_priority(path: &ArmPath, what: &str, name: &str, priority: Option<&Value>) -> Result<(), ArmError> {
    match priority.and_then(Value::as_u64) {
        Some(100..=65_000) => Ok(()),
        _ => Err(ArmError::service(
            400,
            "FirewallPolicyRuleCollectionGroupInvalidPriorityValue",
            format!("Invalid priority value of {what} {name} in {path}. The priority must be between 100 and 65000."),
        )),
    }
}
