//! The one door through which ground truth reads Azure: rendered ARM documents, as GET would answer them.
//! It offers no writes, so a judge that holds it cannot change what it judges.

use serde_json::Value;

/// Read access to rendered ARM documents.
pub trait Documents {
    /// The document with this id (compared without case), as GET would render it: a virtual network carries its
    /// `subnets[]` and `virtualNetworkPeerings[]`, a route table its `routes[]`.
    fn get(&self, id: &str) -> Option<Value>;

    /// The document whose content is in force: while an update runs, GET shows the wanted values already, but a
    /// firewall still obeys the old rules.
    fn get_live(&self, id: &str) -> Option<Value> {
        self.get(id)
    }

    /// Every document of one type, such as `Microsoft.Network/virtualNetworks` (compared without case), in the
    /// order of their ids.
    fn list(&self, resource_type: &str) -> Vec<Value>;
}
