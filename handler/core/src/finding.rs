//! Findings: what a person should know, with a stable code and what helps. Not errors: the work goes on around them.

use serde::{Deserialize, Serialize};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing waits for it.
    Info,
    /// The promise holds with a reservation, or will not hold after a foreseeable change.
    Warning,
    /// Work on this cluster or hub has stopped until a person acts.
    Blocking,
}

/// Stable codes of findings. Scripts match on the snake_case text; a code is never reused for another matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The cluster does not exist.
    ClusterNotFound,
    /// The cluster is being deleted.
    ClusterDeleting,
    /// The last operation on the cluster failed or was canceled, and somebody must start another.
    ClusterFailed,
    /// The node subnets of a kubenet cluster do not carry one and the same route table.
    KubenetRouteTable,
    /// The route table of a kubenet cluster also leads subnets that are not the cluster's, and the switch would change their fate.
    RouteTableShared,
    /// A route table has, or with all nodes of the cluster would have, more routes than Azure takes.
    RouteTableFull,
    /// The addresses of the cluster's pods overlap the hub or a network peered to it.
    PodAddressOverlap,
    /// The cluster lies in a network that AKS manages; AKS forbids changes there.
    ManagedVirtualNetwork,
    /// The cluster's `outboundType` has no egress that a route table could move.
    OutboundTypeUnsupported,
    /// No hub is configured for the cluster's location.
    NoHubForLocation,
    /// The pools' subnets lie in more than one virtual network.
    SeveralVirtualNetworks,
    /// The cluster's address space overlaps the hub or a network peered to it.
    AddressSpaceOverlap,
    /// The cluster is older than the installation (or its age is unknown) and is only observed.
    OlderThanInstallation,
    /// A subnet carries somebody's route table; it is not replaced.
    ForeignRouteTable,
    /// Somebody else lives in the subnet, and the switch would change its fate too.
    SharedSubnet,
    /// The cluster or its network lies outside the configured scope, in which alone Hubward writes.
    OutOfScope,
    /// The subnet is delegated or reserved; a route table must not be attached.
    ReservedSubnet,
    /// A peering of the pair exists but its flags or state do not suffice, and it is not ours to change.
    ForeignPeering,
    /// A peering does not know the address space that the other network has.
    PeeringOutOfSync,
    /// The last write on somebody's peering failed.
    PeeringFailed,
    /// Routes do not join the nodes and the firewall in both directions.
    NoPathToFirewall,
    /// The last write on the network or a subnet failed, and it was not ours.
    NetworkFailed,
    /// A peering is `Disconnected`; Azure repairs it only by deleting and creating it.
    PeeringDisconnected,
    /// The cluster restricts who may call its API server, and the egress address is not on the list.
    AuthorizedRangesLackEgress,
    /// Names in network rules need the firewall's DNS proxy, which is off.
    DnsProxyOff,
    /// The spoke's resolver and the firewall's may answer differently for the same name.
    DnsNotThroughFirewall,
    /// The hub's operator has not said that the rules are all the workloads need.
    WorkloadEgressUndecided,
    /// A public frontend of the cluster is live and the switch would cut it.
    LivePublicInbound,
    /// The address that inbound traffic is to be led to is no live frontend of the cluster.
    IngressTargetGone,
    /// A security group of the nodes drops what the firewall leads in: the source ranges of a service lack its address.
    IngressSourceRanges,
    /// Addresses are reserved, and nobody may come in.
    IngressClosed,
    /// No address of the firewall is free for the cluster's inbound traffic.
    NoIngressAddress,
    /// A reserved address is no longer attached to the firewall.
    IngressAddressDetached,
    /// The firewall takes no more public addresses and DNAT destinations.
    IngressLimit,
    /// Where clients reach the cluster, and how a service takes its application address.
    IngressAddress,
    /// Nodes have public addresses of their own and leave from them.
    NodePublicAddress,
    /// Service endpoints lead around the firewall and the egress address.
    ServiceEndpointBypass,
    /// The cluster has IPv6; only IPv4 is led through the hub.
    DualStack,
    /// A security group of the cluster denies outbound traffic by rules of its own, which are not judged.
    OutboundSecurityRules,
    /// Node auto-provisioning may use subnets that ARM does not show.
    AutoProvisionedNodes,
    /// The cluster has a service principal, and the configuration does not give its object id.
    ServicePrincipalUnknown,
    /// The cluster's document does not say whose identity its control plane has.
    IdentityUnknown,
    /// The hub's egress is not exactly one address.
    NotOneEgressAddress,
    /// The configured NAT gateway does not exist.
    NatGatewayNotFound,
    /// The firewall has no private address (deallocated) or failed.
    HubDown,
    /// Somebody's update of the firewall or its policy failed, and only repeating it mends that.
    HubFailed,
    /// The address on the NAT gateway is not static and may change.
    EgressAddressNotStatic,
    /// The NAT gateway and its address are of different SKUs.
    NatGatewaySkuMismatch,
    /// Azure forbids a call; the message names the action and the scope.
    Forbidden,
    /// A document that decides was not read, so nothing is said or written.
    NotRead,
    /// A document was changed by somebody between our read and our write.
    LostUpdate,
    /// Azure refused a write for good.
    Rejected,
    /// The guard refused a plan, with the counter-example.
    PlanRefused,
    /// A document of the ledger could not be read and was set aside.
    DamagedDocument,
    /// Nodes would have no way out without our route table, which therefore stays.
    NoOtherEgress,
    /// The resource group of an application address holds something of somebody else's, or somebody else uses the address.
    ForeignInGroup,
}

/// One thing a person should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The stable code.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// The thing and the reason, one sentence.
    pub message: String,
    /// What helps, one sentence; empty if nothing needs doing.
    pub help: String,
}

impl Finding {
    /// A finding that stops the work until a person acts.
    #[must_use]
    pub fn blocking(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::of(Severity::Blocking, code, message, help)
    }

    /// A finding that is a reservation.
    #[must_use]
    pub fn warning(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::of(Severity::Warning, code, message, help)
    }

    /// A finding worth knowing.
    #[must_use]
    pub fn info(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::of(Severity::Info, code, message, help)
    }

    /// True if work has stopped because of it.
    #[must_use]
    pub fn is_blocking(&self) -> bool {
        self.severity == Severity::Blocking
    }

    fn of(severity: Severity, code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            help: help.into(),
        }
    }
}

impl Code {
    /// The code as scripts see it.
    #[must_use]
    pub fn text(self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}
