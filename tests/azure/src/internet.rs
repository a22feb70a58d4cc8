//! The internet as the simulator knows it: public names and their addresses.
//! It resolves exact names only; what is not in the table does not exist.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Public names and the address each answers at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Internet {
    /// Name in lower case -> address. API-server names are added when a cluster is created.
    pub names: BTreeMap<String, Ipv4Addr>,
}

impl Internet {
    /// The address of a name, compared without case.
    pub fn resolve(&self, name: &str) -> Option<Ipv4Addr> {
        self.names.get(&name.trim_end_matches('.').to_lowercase()).copied()
    }
}
