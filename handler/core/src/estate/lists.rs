//! Lists that Azure has to give whole: only they say what is not there. One that was not read says nothing.

use serde_json::Value;

use super::{ClusterView, Estate, Kind, RoleAssignmentView, Subject, api_version_of, is_neighbour};
use time::OffsetDateTime;

/// A list of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listing {
    /// All clusters, because somebody else may live in the subnets of a switch.
    Clusters {
        /// The subscription's id.
        subscription: String,
    },
    /// All role assignments of one principal at, above and below the subscription.
    RoleAssignments {
        /// The subscription's id.
        subscription: String,
        /// The principal's object id, a GUID.
        principal: String,
    },
    /// The security groups of a resource group: AKS puts one of its own, under a name that nobody can foresee, on the interfaces of
    /// the nodes.
    SecurityGroups {
        /// The subscription's id.
        subscription: String,
        /// The resource group's name.
        group: String,
    },
}

impl Listing {
    /// The security groups on the interfaces of the cluster's nodes; `None` while AKS has not named the group it keeps them in.
    #[must_use]
    pub fn of_interfaces(cluster: &ClusterView<'_>) -> Option<Self> {
        Some(Self::SecurityGroups {
            subscription: cluster.id()?.subscription().to_ascii_lowercase(),
            group: cluster.node_resource_group()?.to_ascii_lowercase(),
        })
    }

    /// The path to list, without a query.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Clusters { subscription } => {
                format!("/subscriptions/{subscription}/providers/Microsoft.ContainerService/managedClusters")
            }
            Self::RoleAssignments { subscription, .. } => {
                format!("/subscriptions/{subscription}/providers/Microsoft.Authorization/roleAssignments")
            }
            Self::SecurityGroups { subscription, group } => format!(
                "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/networkSecurityGroups"
            ),
        }
    }

    /// The OData filter, if the list is a part of a longer one.
    #[must_use]
    pub fn filter(&self) -> Option<String> {
        match self {
            Self::Clusters { .. } | Self::SecurityGroups { .. } => None,
            Self::RoleAssignments { principal, .. } => Some(format!("principalId eq '{principal}'")),
        }
    }

    /// The api-version of the list.
    #[must_use]
    pub fn api_version(&self) -> &'static str {
        api_version_of(match self {
            Self::Clusters { .. } => Kind::ManagedCluster,
            Self::RoleAssignments { .. } => Kind::RoleAssignment,
            Self::SecurityGroups { .. } => Kind::NetworkSecurityGroup,
        })
    }
}

impl Estate {
    /// Records a list that was read to its end. Of the clusters only those that matter for `subject` are kept.
    pub fn insert_list(&mut self, subject: &Subject, listing: Listing, items: Vec<Value>, read_at: OffsetDateTime) {
        let mut kept = Vec::new();
        match listing {
            Listing::Clusters { .. } => {
                for item in items {
                    let cluster = ClusterView::new(&item);
                    if let Some(id) = cluster.id().filter(|_| is_neighbour(self, subject, &cluster)) {
                        self.insert(id, Some(item), read_at);
                    }
                }
            }
            Listing::RoleAssignments { .. } | Listing::SecurityGroups { .. } => {
                kept = items;
                // Azure promises no order.
                kept.sort_by_key(Value::to_string);
            }
        }
        self.lists.insert(listing, kept);
    }

    /// True if the list was read.
    #[must_use]
    pub fn has_listed(&self, listing: &Listing) -> bool {
        self.lists.contains_key(listing)
    }

    /// The role assignments of a principal, or `None` if they were not listed.
    #[must_use]
    pub fn role_assignments(&self, subscription: &str, principal: &str) -> Option<Vec<RoleAssignmentView<'_>>> {
        let listing = Listing::RoleAssignments {
            subscription: subscription.to_ascii_lowercase(),
            principal: principal.to_ascii_lowercase(),
        };
        let items = self.lists.get(&listing)?;
        Some(items.iter().map(RoleAssignmentView::new).collect())
    }

    /// The security groups on the interfaces of the cluster's nodes, or `None` if they were not listed.
    #[must_use]
    pub fn interface_groups(&self, cluster: &ClusterView<'_>) -> Option<&[Value]> {
        self.lists.get(&Listing::of_interfaces(cluster)?).map(Vec::as_slice)
    }

    /// The lists that were read, in order, with what was kept of each.
    pub fn lists(&self) -> impl Iterator<Item = (&Listing, &[Value])> {
        self.lists.iter().map(|(listing, items)| (listing, items.as_slice()))
    }
}
