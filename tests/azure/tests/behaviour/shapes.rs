//! The shapes of clusters: what a person sends for each, and what AKS makes of it.

use crate::bench::{Answer, Bench, START};
use azure_sim::walk::{Destination, Outcome, Packet, Protocol, Source};
use azure_sim::{ClusterSpec, OutboundType};
use http::Method;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const AKS: &str = "2025-05-01";
/// A firewall's private address in specs that need one.
const FIREWALL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 4);

fn settle(bench: &mut Bench) {
    while let Some(next) = bench.azure.next_event() {
        bench.now = bench.now.max(next);
        bench.azure.advance(bench.now);
    }
}

/// Creates the cluster of a spec and returns its document.
fn create(bench: &mut Bench, spec: &ClusterSpec) -> Value {
    let id = bench.azure.create_cluster(spec, bench.now);
    settle(bench);
    let cluster = bench.azure.document(&id).expect("the cluster was refused");
    assert_eq!(cluster["properties"]["provisioningState"], "Succeeded");
    cluster
}

fn subscription(bench: &Bench) -> String {
    bench.azure.world().subscription.clone()
}

fn subnet(bench: &Bench, spec: &ClusterSpec, name: &str) -> Value {
    let id = spec.subnet_id(&subscription(bench), name);
    bench.azure.document(&id).unwrap()
}

fn put_cluster(bench: &mut Bench, id: &str, body: Value) -> Answer {
    bench.send(Method::PUT, &format!("{id}?api-version={AKS}"), Some(body))
}

#[test]
fn kubenet_has_a_table_of_aks_in_the_node_group_on_its_subnet_with_one_route_per_node() {
    let mut bench = Bench::new();
    let spec = ClusterSpec::usual("shop", 1).kubenet();
    let cluster = create(&mut bench, &spec);
    let profile = &cluster["properties"]["networkProfile"];
    assert_eq!(
        (
            &profile["networkPlugin"],
            &profile["podCidrs"],
            profile.get("networkDataplane")
        ),
        (&json!("kubenet"), &json!(["10.244.0.0/16"]), None)
    );
    assert_eq!(cluster["properties"]["agentPoolProfiles"][0]["maxPods"], 110);
    let subnet = subnet(&bench, &spec, "nodes");
    let table = subnet["properties"]["routeTable"]["id"].as_str().unwrap();
    assert!(table.contains("/resourceGroups/MC_rg-shop_shop_westeurope/"), "{table}");
    let name = table.rsplit('/').next().unwrap();
    assert!(
        name.starts_with("aks-agentpool-") && name.ends_with("-routetable"),
        "{name}"
    );
    let table = bench.azure.document(table).unwrap();
    assert_eq!(table["properties"]["subnets"][0]["id"], subnet["id"]);
    let routes: Vec<(String, String)> = table["properties"]["routes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|route| {
            let properties = &route["properties"];
            assert_eq!(properties["nextHopType"], "VirtualAppliance");
            let name = route["name"].as_str().unwrap();
            assert!(name.starts_with("aks-system-") && name.contains("-vmss00000"), "{name}");
            (
                properties["addressPrefix"].as_str().unwrap().to_owned(),
                properties["nextHopIpAddress"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let wanted = [
        ("10.244.0.0/24", "10.1.0.4"),
        ("10.244.1.0/24", "10.1.0.5"),
        ("10.244.2.0/24", "10.1.0.6"),
    ];
    assert_eq!(routes, wanted.map(|(prefix, hop)| (prefix.to_owned(), hop.to_owned())));
}

#[test]
fn kubenet_uses_the_customers_table_and_leaves_its_own_routes_alone() {
    let mut bench = Bench::new();
    let spec = ClusterSpec::usual("shop", 1).kubenet_with_own_table();
    let spec = spec.own_table(Some(FIREWALL));
    create(&mut bench, &spec);
    let table = bench.azure.document(&spec.own_table_id(&subscription(&bench))).unwrap();
    let names: Vec<&str> = table["properties"]["routes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|route| route["name"].as_str().unwrap())
        .collect();
    assert_eq!((names.len(), names[0]), (4, "default"));
    assert!(names[1].ends_with("-vmss000000____102440024"), "{names:?}");
    assert_eq!(
        subnet(&bench, &spec, "nodes")["properties"]["routeTable"]["id"],
        table["id"]
    );
}

#[test]
fn kubenet_with_the_customers_table_refuses_a_system_assigned_identity() {
    let mut bench = Bench::new();
    let spec = ClusterSpec::usual("shop", 1).kubenet().own_table(None);
    let id = bench.azure.create_cluster(&spec, START);
    settle(&mut bench);
    assert!(bench.azure.document(&id).is_none());
    let refused = bench.azure.trace().last().unwrap().error_code.clone();
    assert_eq!(refused.as_deref(), Some("CustomRouteTableWithUnsupportedMSIType"));
}

#[test]
fn a_kubenet_cluster_that_grows_and_shrinks_rewrites_its_own_routes_only() {
    let mut bench = Bench::new();
    let spec = ClusterSpec::usual("shop", 1).kubenet();
    let mut cluster = create(&mut bench, &spec);
    let id = spec.cluster_id(&subscription(&bench));
    let table = subnet(&bench, &spec, "nodes")["properties"]["routeTable"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let ours = json!({"properties": {"addressPrefix": "203.0.113.10/32", "nextHopType": "Internet"}});
    bench.put_done(&format!("{table}/routes/ours"), ours);
    for count in [4, 1] {
        cluster["properties"]["agentPoolProfiles"][0]["count"] = json!(count);
        let answer = put_cluster(&mut bench, &id, cluster.clone());
        assert_eq!(answer.status, 200, "{}", answer.body);
        bench.finish(&answer);
        let routes = bench.azure.document(&table).unwrap()["properties"]["routes"].clone();
        assert_eq!(routes.as_array().unwrap().len(), count + 1);
        assert!(routes.as_array().unwrap().iter().any(|route| route["name"] == "ours"));
    }
}

#[test]
fn a_deleted_kubenet_cluster_lets_go_of_the_customers_subnet() {
    let mut bench = Bench::new();
    let spec = ClusterSpec::usual("shop", 1).kubenet();
    create(&mut bench, &spec);
    let id = spec.cluster_id(&subscription(&bench));
    let deleted = bench.send(Method::DELETE, &format!("{id}?api-version={AKS}"), None);
    bench.finish(&deleted);
    let subnet = subnet(&bench, &spec, "nodes");
    assert_eq!(subnet["properties"].get("routeTable"), None);
    let group = spec.node_group_id(&subscription(&bench));
    assert!(bench.azure.document(&group).is_none());
}

#[test]
fn a_private_cluster_has_a_private_name_only_which_answers_in_its_own_subnet() {
    let mut bench = Bench::new();
    let spec = ClusterSpec::usual("vault", 2).private();
    let cluster = create(&mut bench, &spec);
    let properties = &cluster["properties"];
    assert_eq!(properties.get("fqdn"), None);
    assert_eq!(properties["apiServerAccessProfile"]["enablePrivateCluster"], true);
    assert_eq!(properties["apiServerAccessProfile"]["privateDNSZone"], "system");
    let name = properties["privateFQDN"].as_str().unwrap().to_owned();
    assert!(
        name.starts_with("vault-dns-") && name.ends_with(".privatelink.westeurope.azmk8s.io"),
        "{name}"
    );
    let walk = bench.azure.walk(&Packet {
        from: Source {
            subnet: spec.subnet_id(&subscription(&bench), "nodes"),
            cluster: None,
            address: None,
        },
        to: Destination::Name(name.clone()),
        port: 443,
        protocol: Protocol::Tcp,
        server_name: None,
    });
    insta::assert_snapshot!(
        walk.hops.iter().skip(1).map(|hop| hop.text.clone()).collect::<Vec<_>>().join("\n"),
        @"
    security group vault-nsg rule AllowVnetOutBound allows TCP 10.2.0.4 -> 10.2.3.254:443
    route 10.2.0.0/16 of system routes -> the virtual network
    security group vault-nsg rule AllowVnetInBound allows TCP 10.2.0.4 -> 10.2.3.254:443
    "
    );
    let id = spec.cluster_id(&subscription(&bench));
    let again = put_cluster(&mut bench, &id, cluster);
    assert_eq!((again.status, again.body["properties"].get("fqdn")), (200, None));
    assert_eq!(again.body["properties"]["privateFQDN"], name);
}

#[test]
fn overlay_pods_have_a_network_of_their_own_and_no_table() {
    let mut bench = Bench::new();
    let spec = ClusterSpec::usual("shop", 1).overlay();
    let cluster = create(&mut bench, &spec);
    let profile = &cluster["properties"]["networkProfile"];
    assert_eq!(
        (
            &profile["networkPluginMode"],
            &profile["podCidr"],
            &profile["networkDataplane"]
        ),
        (&json!("overlay"), &json!("10.244.0.0/16"), &json!("azure"))
    );
    assert_eq!(cluster["properties"]["agentPoolProfiles"][0]["maxPods"], 250);
    assert_eq!(subnet(&bench, &spec, "nodes")["properties"].get("routeTable"), None);
}

#[test]
fn several_pools_live_in_several_subnets_and_pods_in_a_delegated_one() {
    let mut bench = Bench::new();
    let spec = ClusterSpec::usual("shop", 1)
        .subnet("apps", "10.1.4.0/22")
        .pool("apps", "apps", 2)
        .pod_subnet("pods", "10.1.16.0/20");
    let cluster = create(&mut bench, &spec);
    let pools = cluster["properties"]["agentPoolProfiles"].as_array().unwrap();
    let subscription = subscription(&bench);
    for (pool, name) in pools.iter().zip(["nodes", "apps"]) {
        assert_eq!(pool["vnetSubnetID"], spec.subnet_id(&subscription, name));
        assert_eq!(pool["podSubnetID"], spec.subnet_id(&subscription, "pods"));
    }
    assert_eq!(
        (&pools[0]["mode"], &pools[1]["mode"]),
        (&json!("System"), &json!("User"))
    );
    let pods = subnet(&bench, &spec, "pods");
    let service = &pods["properties"]["delegations"][0]["properties"]["serviceName"];
    assert_eq!(*service, "Microsoft.ContainerService/managedClusters");
    let apps = subnet(&bench, &spec, "apps");
    assert_eq!(apps["properties"]["ipConfigurations"].as_array().unwrap().len(), 2);
}

#[test]
fn two_clusters_share_one_vnet_each_in_a_subnet_of_its_own() {
    let mut bench = Bench::new();
    let first = ClusterSpec::usual("blue", 1);
    let second = ClusterSpec::usual("green", 2).beside(&first, "10.1.8.0/22");
    create(&mut bench, &first);
    let cluster = create(&mut bench, &second);
    let subscription = subscription(&bench);
    assert_eq!(first.vnet_id(&subscription), second.vnet_id(&subscription));
    let vnet = bench.azure.document(&first.vnet_id(&subscription)).unwrap();
    let names: Vec<&Value> = vnet["properties"]["subnets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subnet| &subnet["name"])
        .collect();
    assert_eq!(names, ["nodes", "green-nodes"]);
    assert_eq!(
        cluster["properties"]["agentPoolProfiles"][0]["vnetSubnetID"],
        second.subnet_id(&subscription, "green-nodes")
    );
    assert!(cluster["id"].as_str().unwrap().contains("/resourcegroups/rg-green/"));
}

#[test]
fn identities_come_back_as_aks_answers_them() {
    let mut bench = Bench::new();
    let named = ClusterSpec::usual("blue", 1).user_assigned("blue-identity");
    let cluster = create(&mut bench, &named);
    let id = named.identity_id(&subscription(&bench)).unwrap();
    let principal = &cluster["identity"]["userAssignedIdentities"][&id];
    assert!(principal["principalId"].is_string() && principal["clientId"].is_string());
    assert_eq!(cluster["identity"].get("principalId"), None);
    assert_eq!(cluster["properties"]["servicePrincipalProfile"]["clientId"], "msi");

    let client = "b6fe7f21-8eb3-4d62-acab-b089c80c11e9";
    let classic = ClusterSpec::usual("green", 2).service_principal(client);
    let cluster = create(&mut bench, &classic);
    assert_eq!(
        (cluster.get("identity"), cluster["properties"].get("identityProfile")),
        (None, None)
    );
    assert_eq!(
        cluster["properties"]["servicePrincipalProfile"],
        json!({"clientId": client}),
        "the secret is never answered"
    );
}

#[test]
fn a_managed_vnet_is_made_in_the_node_group_and_the_pools_name_no_subnet() {
    let mut bench = Bench::new();
    let spec = ClusterSpec::usual("shop", 1).managed_vnet();
    let cluster = create(&mut bench, &spec);
    assert_eq!(cluster["properties"]["agentPoolProfiles"][0].get("vnetSubnetID"), None);
    let subnet = subnet(&bench, &spec, "aks-subnet");
    assert!(
        subnet["id"]
            .as_str()
            .unwrap()
            .contains("/resourceGroups/MC_rg-shop_shop_westeurope/")
    );
    assert_eq!(subnet["properties"]["ipConfigurations"].as_array().unwrap().len(), 3);
    let group = subnet["properties"]["networkSecurityGroup"]["id"].as_str().unwrap();
    assert!(group.contains("/aks-agentpool-"), "{group}");
    let walk = bench.azure.walk(&Packet {
        from: Source {
            subnet: subnet["id"].as_str().unwrap().to_owned(),
            cluster: None,
            address: None,
        },
        to: Destination::Name("mcr.microsoft.com".to_owned()),
        port: 443,
        protocol: Protocol::Tcp,
        server_name: None,
    });
    assert!(
        walk.hops.last().unwrap().text.contains("outbound address of shop"),
        "{walk:?}"
    );
}

#[test]
fn user_defined_routing_needs_a_table_with_a_default_route_beforehand() {
    for (spec, code) in [
        (
            ClusterSpec::usual("shop", 1),
            Some("ExistingRouteTableNotAssociatedWithSubnet"),
        ),
        (
            ClusterSpec::usual("shop", 1).own_table(None),
            Some("RouteTableMissingDefaultRouteError"),
        ),
        (ClusterSpec::usual("shop", 1).own_table(Some(FIREWALL)), None),
    ] {
        let mut bench = Bench::new();
        let id = bench
            .azure
            .create_cluster(&spec.outbound(OutboundType::UserDefinedRouting), START);
        settle(&mut bench);
        let refused = bench.azure.trace().last().unwrap().error_code.clone();
        assert_eq!(refused.as_deref(), code);
        assert_eq!(bench.azure.document(&id).is_some(), code.is_none());
    }
}

#[test]
fn authorized_ranges_decide_who_reaches_the_api_server() {
    let mut bench = Bench::new();
    let spec = ClusterSpec::usual("shop", 1).authorized(&["192.0.2.0/24"]);
    let cluster = create(&mut bench, &spec);
    let ranges = &cluster["properties"]["apiServerAccessProfile"]["authorizedIPRanges"];
    assert_eq!(*ranges, json!(["192.0.2.0/24"]));
    let server = cluster["properties"]["fqdn"].as_str().unwrap().to_owned();
    let walk = |bench: &Bench, from: &ClusterSpec| {
        bench.azure.walk(&Packet {
            from: Source {
                subnet: from.subnet_id(&subscription(bench), "nodes"),
                cluster: None,
                address: None,
            },
            to: Destination::Name(server.clone()),
            port: 443,
            protocol: Protocol::Tcp,
            server_name: None,
        })
    };
    let stranger = ClusterSpec::usual("other", 2);
    create(&mut bench, &stranger);
    let own = walk(&bench, &spec).outcome;
    assert!(
        matches!(own, Outcome::Reached { .. }),
        "AKS admits its own outbound address: {own:?}"
    );
    let refused = walk(&bench, &stranger).outcome;
    assert!(
        matches!(&refused, Outcome::Dropped { why, .. } if why.contains("authorizedIPRanges")),
        "{refused:?}"
    );
}
