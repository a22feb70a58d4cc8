//! Kubernetes services of type LoadBalancer, as AKS's cloud controller turns them into load balancer frontends: public
//! ones on `kubernetes`, internal ones on `kubernetes-internal`, both in the node resource group. The controller acts by
//! itself and at once here; what it has no right to it leaves pending.

mod balancer;

use crate::azure::Azure;
use crate::events::{EventDraft, EventSource};
use crate::ids::{ArmPath, same_id};
use crate::kinds::Kind;
use crate::kinds::cluster_nodes::{nodes_in, nth_address, prefix_of};
use crate::store::{Resource, array, text};
use crate::trace::Principal;
use balancer::{Face, Listener};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use uuid::Uuid;

/// One service of type LoadBalancer, TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Name of the service in namespace `default`; a service of the name that is there is replaced.
    pub name: String,
    /// Ports, the same on frontend and backend, as AKS makes them.
    pub ports: Vec<u16>,
    /// Where it is to be reached.
    pub frontend: Frontend,
    /// `loadBalancerSourceRanges`; none admits everybody.
    pub source_ranges: Vec<String>,
}

/// Where a service is to be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frontend {
    /// Under a public address that AKS makes in the node resource group.
    Public,
    /// Under the public address with this ARM id, such as an application address.
    PublicAddress(String),
    /// Under a private address of the first pool's subnet; `None` takes the next free one.
    Internal(Option<Ipv4Addr>),
}

/// Why a service has no address (it stays `pending`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PendingService {
    /// There is no such cluster, or its creation has not ended.
    #[error("cluster {cluster} is not there yet; let its creation end first")]
    NoCluster {
        /// The id that was asked for.
        cluster: String,
    },
    /// The public address does not exist or has no address yet.
    #[error("public address {address} does not exist; make it first")]
    NoAddress {
        /// The id that was asked for.
        address: String,
    },
    /// The address is taken by something else.
    #[error("public address {address} is held by {holder}; take another")]
    AddressTaken {
        /// The id that was asked for.
        address: String,
        /// Who holds it.
        holder: String,
    },
    /// The cluster's control plane has no role on the address, which lies outside the node resource group.
    #[error("the control plane of {cluster} has no role on {address}; assign one and expose again")]
    NoRights {
        /// The cluster's id.
        cluster: String,
        /// The id that was asked for.
        address: String,
    },
    /// No address of the subnet is left, or the one asked for is not in it.
    #[error("the subnet of cluster {cluster} has no such free address; name another")]
    NoPrivateAddress {
        /// The cluster's id.
        cluster: String,
    },
}

impl Exposure {
    /// A service under a public address of AKS's own making.
    pub fn public(name: &str, ports: &[u16]) -> Self {
        Self::with(name, ports, Frontend::Public)
    }

    /// A service under a public address that exists.
    pub fn at(name: &str, ports: &[u16], public_address_id: &str) -> Self {
        Self::with(name, ports, Frontend::PublicAddress(public_address_id.to_owned()))
    }

    /// A service under a private address.
    pub fn internal(name: &str, ports: &[u16], address: Option<Ipv4Addr>) -> Self {
        Self::with(name, ports, Frontend::Internal(address))
    }

    fn with(name: &str, ports: &[u16], frontend: Frontend) -> Self {
        Self {
            name: name.to_owned(),
            ports: ports.to_vec(),
            frontend,
            source_ranges: Vec::new(),
        }
    }
}

impl Azure {
    /// Somebody exposes a service in a cluster. Returns the address under which it is to be reached.
    ///
    /// # Errors
    /// [`PendingService`] says what keeps the service without an address; nothing has changed then.
    pub fn expose(&mut self, cluster: &str, exposure: &Exposure) -> Result<Ipv4Addr, PendingService> {
        let found = self.finished_cluster(cluster)?;
        let group = node_group(&found);
        let uid = self.service_uid(&found, &exposure.name);
        let face = match &exposure.frontend {
            Frontend::Public => Face::Public {
                id: format!("{group}/providers/Microsoft.Network/publicIPAddresses/kubernetes-{uid}"),
            },
            Frontend::PublicAddress(id) => {
                self.judge_address(&found, &group, &uid, id)?;
                Face::Public { id: id.clone() }
            }
            Frontend::Internal(wanted) => self.private_face(&found, &uid, *wanted)?,
        };
        self.unexpose(cluster, &exposure.name);
        let address = match &face {
            Face::Public { id } => self.public_address_of(&found, id, &exposure.name)?,
            Face::Internal { address, .. } => *address,
        };
        let listener = Listener {
            uid: &uid,
            service: &exposure.name,
            ports: &exposure.ports,
            address,
            sources: &exposure.source_ranges,
        };
        let written = balancer::add(&mut self.store, &found, &group, &face, &listener, self.now);
        self.tell(&found, &written);
        Ok(address)
    }

    /// Somebody deletes a service: its frontend goes, and the public address that AKS made for it. Nothing happens if there
    /// is no such service.
    pub fn unexpose(&mut self, cluster: &str, name: &str) {
        let Ok(found) = self.finished_cluster(cluster) else {
            return;
        };
        let uid = self.service_uid(&found, name);
        let group = node_group(&found);
        let written = balancer::remove(&mut self.store, &found, &group, &uid);
        self.tell(&found, &written);
        let own = format!("{group}/providers/Microsoft.Network/publicIPAddresses/kubernetes-{uid}");
        if let Some(path) = ArmPath::parse(&own).filter(|path| self.store.exists(path.key())) {
            self.store.remove_tree(path.key());
            let source = self.controller(&found, &own);
            self.emit(EventDraft::delete(source, &path, Kind::PublicIp, self.now));
        }
    }

    fn finished_cluster(&self, cluster: &str) -> Result<Resource, PendingService> {
        let found = self
            .store
            .find(cluster)
            .filter(|found| found.kind == Kind::ManagedCluster);
        found
            .filter(|found| self.store.exists(&node_group(found)))
            .cloned()
            .ok_or_else(|| PendingService::NoCluster {
                cluster: cluster.to_owned(),
            })
    }

    /// `a` and the service's uid without hyphens, 32 characters in all [kubernetes/kubernetes#91997 shows one].
    fn service_uid(&self, cluster: &Resource, service: &str) -> String {
        let drawn = self.draws.uuid(&format!("service|{}|{service}", cluster.path.key()));
        let mut uid = format!("a{}", drawn.simple());
        uid.truncate(32);
        uid
    }

    fn judge_address(&self, cluster: &Resource, group: &str, uid: &str, id: &str) -> Result<(), PendingService> {
        let address = id.to_owned();
        let found = self.store.find(id).filter(|found| found.kind == Kind::PublicIp);
        if found
            .and_then(|found| text(&found.body, &["properties", "ipAddress"]))
            .is_none()
        {
            return Err(PendingService::NoAddress { address });
        }
        let foreign = crate::render::public_ip_holder(&self.store, id).filter(|(_, holder)| !holder.ends_with(uid));
        if let Some((_, holder)) = foreign {
            return Err(PendingService::AddressTaken { address, holder });
        }
        let inside = id.to_lowercase().starts_with(&format!("{}/", group.to_lowercase()));
        if inside || self.control_plane_has_role(cluster, id) {
            return Ok(());
        }
        Err(PendingService::NoRights {
            cluster: cluster.path.to_string(),
            address,
        })
    }

    /// Whether any role of the cluster's control plane covers a resource. The walk of permissions is left to Azure: a role
    /// there is counts as the right one.
    fn control_plane_has_role(&self, cluster: &Resource, id: &str) -> bool {
        let principals = self.control_plane(cluster);
        let id = id.to_lowercase();
        self.store.of_kind(Kind::RoleAssignment).any(|assignment| {
            let scope = assignment.path.scope().to_lowercase();
            let covers = id == scope || id.starts_with(&format!("{scope}/"));
            let who = text(&assignment.body, &["properties", "principalId"]).and_then(|who| who.parse().ok());
            covers && who.is_some_and(|who: Uuid| principals.contains(&who))
        })
    }

    /// Object ids of whom AKS acts as for a cluster.
    fn control_plane(&self, cluster: &Resource) -> BTreeSet<Uuid> {
        let identity = &cluster.body["identity"];
        let named = identity
            .get("userAssignedIdentities")
            .and_then(serde_json::Value::as_object);
        let named = named
            .into_iter()
            .flatten()
            .filter_map(|(_, value)| text(value, &["principalId"]));
        let own = text(identity, &["principalId"]).into_iter().chain(named);
        let mut found: BTreeSet<Uuid> = own.filter_map(|id| id.parse().ok()).collect();
        let client = text(&cluster.body, &["properties", "servicePrincipalProfile", "clientId"]);
        found.extend(
            self.world
                .service_principals
                .iter()
                .filter(|principal| client == Some(principal.client_id.to_string().as_str()))
                .map(|principal| principal.object_id),
        );
        found
    }

    fn private_face(&self, cluster: &Resource, uid: &str, wanted: Option<Ipv4Addr>) -> Result<Face, PendingService> {
        let full = || PendingService::NoPrivateAddress {
            cluster: cluster.path.to_string(),
        };
        let pools = array(&cluster.body, &["properties", "agentPoolProfiles"]);
        let subnet = pools
            .first()
            .and_then(|pool| crate::kinds::cluster_nodes::subnet_of(cluster, pool))
            .and_then(|subnet| self.store.find(&subnet))
            .ok_or_else(full)?;
        let net = prefix_of(subnet).ok_or_else(full)?;
        let taken = balancer::private_addresses(&self.store, subnet.path.as_str(), uid);
        let nodes = nodes_in(&self.store, subnet.path.as_str());
        let free = |address: &Ipv4Addr| !taken.contains(address);
        let address = match wanted {
            Some(wanted) => Some(wanted).filter(|wanted| net.contains(wanted)).filter(free),
            None => (nodes..nodes + 1000)
                .map_while(|number| nth_address(net, number))
                .find(free),
        };
        Ok(Face::Internal {
            subnet: subnet.path.as_str().to_owned(),
            address: address.ok_or_else(full)?,
        })
    }

    /// The address behind a public face; made if AKS makes it.
    fn public_address_of(&mut self, cluster: &Resource, id: &str, service: &str) -> Result<Ipv4Addr, PendingService> {
        let missing = || PendingService::NoAddress { address: id.to_owned() };
        if let Some(found) = self.store.find(id) {
            let address = text(&found.body, &["properties", "ipAddress"]).and_then(|address| address.parse().ok());
            return address.ok_or_else(missing);
        }
        let address = self.addresses.take();
        let path = ArmPath::parse(id).ok_or_else(missing)?;
        let body = json!({
            "location": cluster.body["location"], "sku": {"name": "Standard", "tier": "Regional"},
            // Tags of the cloud controller [cloud-provider-azure: serviceTagKey, clusterNameKey].
            "tags": {"k8s-azure-cluster-name": "kubernetes", "k8s-azure-service": format!("default/{service}")},
            "properties": {
                "publicIPAddressVersion": "IPv4", "publicIPAllocationMethod": "Static", "idleTimeoutInMinutes": 4,
                "ipTags": [], "ipAddress": address.to_string()
            }
        });
        self.store.put(&path, Kind::PublicIp, body, "Succeeded", self.now);
        self.tell(cluster, &[path]);
        Ok(address)
    }

    /// Write events of what the cloud controller wrote.
    fn tell(&mut self, cluster: &Resource, written: &[ArmPath]) {
        for path in written {
            if let Some(kind) = Kind::of(path) {
                let source = self.controller(cluster, path.as_str());
                self.emit(EventDraft::write(source, path, kind, true, self.now));
            }
        }
    }

    fn controller(&self, cluster: &Resource, id: &str) -> EventSource {
        let nobody = self.draws.uuid(&format!("controller|{}", cluster.path.key()));
        let object_id = self.control_plane(cluster).first().copied().unwrap_or(nobody);
        let request = self
            .draws
            .uuid(&format!("controller|{}|{}", self.serial, id.to_lowercase()));
        EventSource {
            principal: Principal {
                name: format!("control plane of {}", cluster.path.name()),
                client_id: nobody,
                object_id,
            },
            correlation: request,
            client_request_id: request.to_string(),
            url: format!("https://management.azure.com{id}?api-version=2024-05-01"),
        }
    }
}

/// Id of the node resource group.
fn node_group(cluster: &Resource) -> String {
    let subscription = cluster.path.subscription.as_deref().unwrap_or_default();
    let group = text(&cluster.body, &["properties", "nodeResourceGroup"]).unwrap_or_default();
    format!("/subscriptions/{subscription}/resourceGroups/{group}")
}

/// True for a load balancer's frontend in this subnet.
pub(crate) fn sits_in(frontend: &serde_json::Value, subnet: &str) -> bool {
    text(frontend, &["properties", "subnet", "id"]).is_some_and(|id| same_id(id, subnet))
}
