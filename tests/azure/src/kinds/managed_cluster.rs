//! AKS clusters: what Azure fills in at creation, and what else comes into being when creation ends.
//! Nodes themselves are not modelled; their addresses live in the subnets that the pools name.

use crate::arm::errors::ArmError;
use crate::ids::ArmPath;
use crate::internet::Internet;
use crate::kinds::checks::{Accepted, Write, default_to, properties_mut, reference};
use crate::kinds::cluster_nodes::node_group_name;
use crate::kinds::user_assigned_identity::fill_identity;
use crate::kinds::{Kind, cluster_network, cluster_shape, kubenet};
use crate::render::aks_id;
use crate::store::{Store, array, text};
use crate::world::AddressPool;
use serde_json::{Value, json};
use time::OffsetDateTime;

/// PUT of a cluster. Values Azure fills in are those of a recorded Azure CNI cluster
/// [recorded: cli aks_azurecni_custom_service_cidr, aks_authorized_ip_ranges_2024].
pub(crate) fn accept(write: Write<'_>) -> Result<Accepted, ArmError> {
    let Write {
        store,
        path,
        existing,
        mut body,
        draws,
        tenant,
        ..
    } = write;
    let location = text(&body, &["location"]).unwrap_or_default().to_owned();
    for pool in array(&body, &["properties", "agentPoolProfiles"]) {
        for field in ["vnetSubnetID", "podSubnetID"] {
            if let Some(subnet) = text(pool, &[field]) {
                reference(store, subnet, Kind::Subnet, path)?;
            }
        }
    }
    let group = path.resource_group.clone().unwrap_or_default();
    let key = path.key();
    let name = path.name().to_owned();
    cluster_shape::judge(store, path, &body)?;
    cluster_shape::hide_secret(&mut body);
    fill_identity(store, path, existing, &mut body, draws, tenant)?;
    if let Some(top) = body.as_object_mut() {
        default_to(top, "sku", json!({"name": "Base", "tier": "Free"}));
    }
    let properties = properties_mut(&mut body);
    default_to(properties, "powerState", json!({"code": "Running"}));
    default_to(properties, "kubernetesVersion", json!("1.33"));
    let version = full_version(properties["kubernetesVersion"].as_str().unwrap_or_default());
    properties.insert("currentKubernetesVersion".to_owned(), json!(version));
    default_to(properties, "dnsPrefix", json!(format!("{name}-dns")));
    cluster_shape::fill_api_server(properties, key, &location, draws);
    default_to(properties, "servicePrincipalProfile", json!({"clientId": "msi"}));
    default_to(
        properties,
        "nodeResourceGroup",
        json!(node_group_name(&group, &name, &location)),
    );
    for (field, value) in [
        ("enableRBAC", json!(true)),
        ("supportPlan", json!("KubernetesOfficial")),
        ("maxAgentPools", json!(100)),
        ("disableLocalAccounts", json!(false)),
        ("securityProfile", json!({})),
        ("oidcIssuerProfile", json!({"enabled": false})),
        ("workloadAutoScalerProfile", json!({})),
        ("autoUpgradeProfile", json!({"nodeOSUpgradeChannel": "NodeImage"})),
        (
            "storageProfile",
            json!({"diskCSIDriver": {"enabled": true}, "fileCSIDriver": {"enabled": true}, "snapshotController": {"enabled": true}}),
        ),
    ] {
        default_to(properties, field, value);
    }
    cluster_shape::fill_network_profile(
        properties
            .entry("networkProfile".to_owned())
            .or_insert_with(|| json!({})),
    );
    let state = if existing.is_some() { "Updating" } else { "Creating" };
    let max_pods = cluster_shape::max_pods(&properties["networkProfile"]);
    for pool in properties
        .get_mut("agentPoolProfiles")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        fill_pool(pool, &version, max_pods, state);
    }
    if let Some(existing) = existing {
        keep_effective_addresses(&existing.body, &mut body);
    }
    Ok(Accepted::operation(body))
}

/// Creation has begun: the API server gets its name and address. AKS does not tell when a cluster was made: `systemData` is
/// in none of the captured bodies [recorded: cli aks_*, cap_*; Azure/AKS#4364 asks for it].
pub(crate) fn begun(store: &mut Store, cluster: &ArmPath, pool: &mut AddressPool, internet: &mut Internet) {
    let Some(found) = store.find(cluster.key()) else {
        return;
    };
    if let Some(fqdn) = text(&found.body, &["properties", "fqdn"])
        && !internet.names.contains_key(fqdn)
    {
        internet.names.insert(fqdn.to_owned(), pool.take());
    }
}

/// The write has ended: pools are there, and after a creation also the node resource group with the load balancer
/// `kubernetes` and its outbound address. Returns what came into being besides, for events.
pub(crate) fn completed(
    store: &mut Store,
    cluster: &ArmPath,
    pool: &mut AddressPool,
    now: OffsetDateTime,
) -> Vec<ArmPath> {
    let Some(found) = store.find_mut(cluster.key()) else {
        return Vec::new();
    };
    for profile in found.body["properties"]["agentPoolProfiles"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        profile["provisioningState"] = json!("Succeeded");
    }
    let body = found.body.clone();
    let subscription = cluster.subscription.clone().unwrap_or_default();
    let group = text(&body, &["properties", "nodeResourceGroup"]).unwrap_or_default();
    let location = body.get("location").cloned().unwrap_or_default();
    let Some(group_path) = ArmPath::parse(&format!("/subscriptions/{subscription}/resourceGroups/{group}")) else {
        return Vec::new();
    };
    if store.exists(group_path.key()) {
        return kubenet::sync(store, cluster, now);
    }
    let tags = json!({"aks-managed-cluster-name": cluster.name(), "aks-managed-cluster-rg": cluster.resource_group});
    let managed_by = aks_id(cluster.as_str());
    store.put(
        &group_path,
        Kind::ResourceGroup,
        json!({"location": location, "tags": tags, "managedBy": managed_by}),
        "Succeeded",
        now,
    );
    let mut made = vec![group_path.clone()];
    made.extend(cluster_network::make(store, cluster, &group_path, &location, now));
    made.extend(kubenet::sync(store, cluster, now));
    let balanced = text(&body, &["properties", "networkProfile", "outboundType"]) == Some("loadBalancer");
    if balanced {
        made.extend(make_load_balancer(store, cluster, &group_path, &location, pool, now));
    }
    made
}

/// A pool as its own resource: read from the cluster's profile.
pub(crate) fn agent_pool(store: &Store, path: &ArmPath) -> Option<Value> {
    let cluster = path.parent().and_then(|cluster| store.find(cluster.key()))?;
    if Kind::of(path) != Some(Kind::AgentPool) || cluster.kind != Kind::ManagedCluster {
        return None;
    }
    let profiles = array(&cluster.body, &["properties", "agentPoolProfiles"]);
    let found = profiles
        .iter()
        .find(|profile| text(profile, &["name"]).is_some_and(|name| name.eq_ignore_ascii_case(path.name())))?;
    Some(render_pool(cluster.path.as_str(), found))
}

/// All pools of a cluster.
pub(crate) fn agent_pools(cluster: &crate::store::Resource) -> Vec<Value> {
    let profiles = array(&cluster.body, &["properties", "agentPoolProfiles"]);
    profiles
        .iter()
        .map(|profile| render_pool(cluster.path.as_str(), profile))
        .collect()
}

fn render_pool(cluster: &str, profile: &Value) -> Value {
    let name = text(profile, &["name"]).unwrap_or_default();
    let mut properties = profile.clone();
    if let Some(properties) = properties.as_object_mut() {
        properties.remove("name");
    }
    json!({
        "id": format!("{}/agentPools/{name}", aks_id(cluster)),
        "name": name,
        "type": "Microsoft.ContainerService/managedClusters/agentPools",
        "properties": properties,
    })
}

fn make_load_balancer(
    store: &mut Store,
    cluster: &ArmPath,
    group: &ArmPath,
    location: &Value,
    pool: &mut AddressPool,
    now: OffsetDateTime,
) -> Vec<ArmPath> {
    let Some(found) = store.find(cluster.key()) else {
        return Vec::new();
    };
    // Address and frontend carry a random identifier as name [clusters: cap_azure_cni_overlay].
    let mark = found.resource_guid;
    let balancer = ArmPath::parse(&format!("{group}/providers/Microsoft.Network/loadBalancers/kubernetes"));
    let address = ArmPath::parse(&format!("{group}/providers/Microsoft.Network/publicIPAddresses/{mark}"));
    let (Some(balancer), Some(address)) = (balancer, address) else {
        return Vec::new();
    };
    let owner = json!({"aks-managed-type": "aks-slb-managed-outbound-ip"});
    store.put(
        &address,
        Kind::PublicIp,
        json!({
            "location": location, "tags": owner, "sku": {"name": "Standard", "tier": "Regional"},
            "properties": {
                "publicIPAddressVersion": "IPv4", "publicIPAllocationMethod": "Static", "idleTimeoutInMinutes": 30,
                "ipTags": [], "ipAddress": pool.take().to_string()
            }
        }),
        "Succeeded",
        now,
    );
    let frontend = format!("{balancer}/frontendIPConfigurations/{mark}");
    let backend = format!("{balancer}/backendAddressPools/aksOutboundBackendPool");
    store.put(
        &balancer,
        Kind::LoadBalancer,
        json!({
            "location": location, "sku": {"name": "Standard", "tier": "Regional"},
            "properties": {
                "frontendIPConfigurations": [{
                    "name": mark, "id": frontend,
                    "properties": {
                        "provisioningState": "Succeeded", "privateIPAllocationMethod": "Dynamic",
                        "publicIPAddress": {"id": address.as_str()},
                        "outboundRules": [{"id": format!("{balancer}/outboundRules/aksOutboundRule")}]
                    }
                }],
                "backendAddressPools": [
                    {"name": "aksOutboundBackendPool", "id": backend, "properties": {"provisioningState": "Succeeded"}},
                    {
                        "name": "kubernetes", "id": format!("{balancer}/backendAddressPools/kubernetes"),
                        "properties": {"provisioningState": "Succeeded"}
                    }
                ],
                "loadBalancingRules": [], "probes": [], "inboundNatRules": [], "inboundNatPools": [],
                "outboundRules": [{
                    "name": "aksOutboundRule", "id": format!("{balancer}/outboundRules/aksOutboundRule"),
                    "properties": {
                        "provisioningState": "Succeeded", "allocatedOutboundPorts": 0, "protocol": "All",
                        "enableTcpReset": true, "idleTimeoutInMinutes": 30,
                        "backendAddressPool": {"id": backend}, "frontendIPConfigurations": [{"id": frontend}]
                    }
                }]
            }
        }),
        "Succeeded",
        now,
    );
    if let Some(found) = store.find_mut(cluster.key()) {
        found.body["properties"]["networkProfile"]["loadBalancerProfile"]["effectiveOutboundIPs"] =
            json!([{"id": address.as_str()}]);
        if found.body.get("identity").is_none() {
            // A service-principal cluster has no identity profile [clusters: cap_windows_pool_ahub_sp].
            return vec![address, balancer];
        }
        let identity = format!("{}-agentpool", cluster.name());
        let client = uuid::Uuid::from_u128(mark.as_u128().wrapping_add(1));
        let object = uuid::Uuid::from_u128(mark.as_u128().wrapping_add(2));
        found.body["properties"]["identityProfile"] = json!({"kubeletidentity": {
            "resourceId": format!("{}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{identity}", aks_id(group.as_str())),
            "clientId": client, "objectId": object
        }});
    }
    vec![address, balancer]
}

pub(crate) fn fill_pool(pool: &mut Value, version: &str, max_pods: u32, state: &str) {
    let Some(pool) = pool.as_object_mut() else { return };
    if pool.get("osDiskSizeGB").is_none_or(|size| size == 0) {
        // 0 comes back as 128 [recorded: cli aks_azurecni_custom_service_cidr].
        pool.insert("osDiskSizeGB".to_owned(), json!(128));
    }
    for (field, value) in [
        ("osDiskType", json!("Managed")),
        ("kubeletDiskType", json!("OS")),
        ("maxPods", json!(max_pods)),
        ("type", json!("VirtualMachineScaleSets")),
        ("enableAutoScaling", json!(false)),
        ("powerState", json!({"code": "Running"})),
        ("orchestratorVersion", json!(version)),
        ("enableNodePublicIP", json!(false)),
        ("mode", json!("User")),
        ("osType", json!("Linux")),
        ("osSKU", json!("Ubuntu")),
        ("enableFIPS", json!(false)),
    ] {
        default_to(pool, field, value);
    }
    pool.insert("currentOrchestratorVersion".to_owned(), json!(version));
    pool.insert("provisioningState".to_owned(), json!(state));
}

/// An alias such as `1.28` stays, the current version is a full one [recorded: cli aks_authorized_ip_ranges_2024].
fn full_version(asked: &str) -> String {
    if asked.split('.').count() == 2 {
        format!("{asked}.5")
    } else {
        asked.to_owned()
    }
}

fn keep_effective_addresses(old: &Value, updated: &mut Value) {
    for keys in [
        ["properties", "networkProfile", "loadBalancerProfile"],
        ["properties", "networkProfile", "natGatewayProfile"],
    ] {
        let kept = crate::store::at(old, &keys).and_then(|profile| profile.get("effectiveOutboundIPs"));
        let same_type = text(old, &["properties", "networkProfile", "outboundType"])
            == text(updated, &["properties", "networkProfile", "outboundType"]);
        if let (Some(kept), true) = (kept, same_type) {
            updated[keys[0]][keys[1]][keys[2]]["effectiveOutboundIPs"] = kept.clone();
        }
    }
    if let Some(profile) = old["properties"].get("identityProfile") {
        updated["properties"]["identityProfile"] = profile.clone();
    }
    for field in ["fqdn", "privateFQDN", "azurePortalFQDN", "nodeResourceGroup"] {
        if let Some(value) = old["properties"].get(field) {
            updated["properties"][field] = value.clone();
        }
    }
}
