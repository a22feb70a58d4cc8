//! ARM paths: how the simulator splits a request path into subscription, resource group, provider and typed names.
//! A resource that extends another (`{scope}/providers/Microsoft.Authorization/roleAssignments/..`) is split at its
//! last `providers`; what comes before is its scope.
//! It compares case-insensitively and keeps the case it was given, because ARM does the same. It refuses to
//! guess: a path of another shape is `None`, and the router then answers 404.

use std::fmt;

/// One ARM path, with the case it was written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmPath {
    text: String,
    key: String,
    /// Subscription id, if the path has one.
    pub subscription: Option<String>,
    /// Resource group name, if the path has one.
    pub resource_group: Option<String>,
    /// Provider namespace such as `Microsoft.Network`, if the path has one; of an extension resource, its own.
    pub provider: Option<String>,
    /// Type segments below the provider, for instance `[virtualNetworks, subnets]`.
    pub types: Vec<String>,
    /// Names, one per type segment; one fewer when the path names a collection.
    pub names: Vec<String>,
}

impl ArmPath {
    /// Splits `path` (no query). `None` when it is not an ARM path.
    pub fn parse(path: &str) -> Option<Self> {
        let trimmed = path.trim_end_matches('/');
        let mut segments = trimmed.strip_prefix('/')?.split('/').peekable();
        let mut parsed = Self {
            text: trimmed.to_owned(),
            key: trimmed.to_lowercase(),
            subscription: None,
            resource_group: None,
            provider: None,
            types: Vec::new(),
            names: Vec::new(),
        };
        if segments.peek().is_some_and(|s| s.eq_ignore_ascii_case("subscriptions")) {
            segments.next();
            parsed.subscription = Some(non_empty(segments.next()?)?);
            if segments
                .peek()
                .is_some_and(|s| s.eq_ignore_ascii_case("resourceGroups"))
            {
                segments.next();
                match segments.next() {
                    Some(name) => parsed.resource_group = Some(non_empty(name)?),
                    None => {
                        parsed.types.push("resourceGroups".to_owned());
                        return Some(parsed);
                    }
                }
            }
        }
        match segments.next() {
            None => return parsed.subscription.is_some().then_some(parsed),
            Some(word) if word.eq_ignore_ascii_case("resources") && segments.peek().is_none() => {
                parsed.types.push("resources".to_owned());
                return parsed.subscription.is_some().then_some(parsed);
            }
            Some(word) if word.eq_ignore_ascii_case("providers") => {
                parsed.provider = Some(non_empty(segments.next()?)?)
            }
            Some(_) => return None,
        }
        while let Some(segment) = segments.next() {
            if segment.eq_ignore_ascii_case("providers") {
                parsed.provider = Some(non_empty(segments.next()?)?);
                parsed.types.clear();
                parsed.names.clear();
                continue;
            }
            parsed.types.push(non_empty(segment)?);
            if let Some(name) = segments.next() {
                parsed.names.push(non_empty(name)?);
            }
        }
        (!parsed.types.is_empty()).then_some(parsed)
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path in lower case: what the store compares by.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The last name, or the resource group's name.
    pub fn name(&self) -> &str {
        self.names
            .last()
            .or(self.resource_group.as_ref())
            .map_or("", String::as_str)
    }

    /// True when the path names a collection (`.../subnets`) and not one resource.
    pub fn is_collection(&self) -> bool {
        self.types.len() > self.names.len()
    }

    /// `Namespace/type/childType` in lower case, empty for subscriptions and resource groups.
    pub fn type_key(&self) -> String {
        match &self.provider {
            Some(provider) => format!("{provider}/{}", self.types.join("/")).to_lowercase(),
            None => String::new(),
        }
    }

    /// What an extension resource extends, or a top-level resource lies in: the text before the last `/providers/`.
    pub fn scope(&self) -> &str {
        self.key.rfind("/providers/").map_or("", |end| &self.text[..end])
    }

    /// The path of the resource that contains this one; for a top-level resource, its resource group; for an
    /// extension resource, what it extends.
    pub fn parent(&self) -> Option<ArmPath> {
        let cut = |levels: usize| -> Option<ArmPath> {
            let mut text = self.text.as_str();
            for _ in 0..levels {
                text = &text[..text.rfind('/')?];
            }
            ArmPath::parse(text)
        };
        if self.names.len() > 1 {
            cut(2)
        } else if self.names.len() == 1 && self.resource_group.is_some() {
            cut(4)
        } else {
            None
        }
    }

    /// The path of a child of this resource.
    pub fn child(&self, child_type: &str, name: &str) -> Option<ArmPath> {
        ArmPath::parse(&format!("{}/{child_type}/{name}", self.text))
    }
}

impl fmt::Display for ArmPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn non_empty(segment: &str) -> Option<String> {
    (!segment.is_empty()).then(|| segment.to_owned())
}

/// True when two ARM ids name the same resource: ids are compared without case
/// [arm-behaviour 1: AKS answers `/resourcegroups/`].
pub fn same_id(left: &str, right: &str) -> bool {
    left.trim_end_matches('/')
        .eq_ignore_ascii_case(right.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_path_knows_its_parent_and_its_group() {
        let subnet = ArmPath::parse(
            "/subscriptions/s/resourcegroups/Rg/providers/Microsoft.Network/virtualNetworks/v/subnets/n",
        )
        .unwrap();
        assert_eq!(subnet.type_key(), "microsoft.network/virtualnetworks/subnets");
        let vnet = subnet.parent().unwrap();
        assert_eq!(vnet.name(), "v");
        assert_eq!(vnet.parent().unwrap().resource_group.as_deref(), Some("Rg"));
    }

    #[test]
    fn a_collection_has_one_type_more_than_names() {
        let list = ArmPath::parse("/subscriptions/s/providers/Microsoft.ContainerService/managedClusters").unwrap();
        assert!(list.is_collection());
        assert!(
            ArmPath::parse("/subscriptions/s/resourceGroups")
                .unwrap()
                .is_collection()
        );
    }

    #[test]
    fn an_extension_resource_knows_what_it_extends() {
        let table = "/subscriptions/s/resourceGroups/Rg/providers/Microsoft.Network/routeTables/t";
        let text = format!("{table}/providers/Microsoft.Authorization/roleAssignments/a");
        let assignment = ArmPath::parse(&text).unwrap();
        assert_eq!(assignment.type_key(), "microsoft.authorization/roleassignments");
        assert_eq!((assignment.name(), assignment.scope()), ("a", table));
        assert_eq!(assignment.parent().unwrap().as_str(), table);
        let list = ArmPath::parse("/subscriptions/s/providers/Microsoft.Authorization/roleAssignments").unwrap();
        assert!(list.is_collection());
        assert_eq!(list.scope(), "/subscriptions/s");
    }

    #[test]
    fn paths_of_another_shape_are_refused() {
        for path in [
            "",
            "/",
            "relative",
            "/subscriptions",
            "/subscriptions/s/what/ever",
            "/providers/X",
            "/providers//y",
        ] {
            assert_eq!(ArmPath::parse(path), None, "{path}");
        }
    }
}
