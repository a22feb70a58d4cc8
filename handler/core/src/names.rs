//! Deterministic names: the same resource gets the same name on every run, so a repeated write meets its own earlier work.
//!
//! Names are made of ids, never of time or chance, and a second installation is told apart by its prefix. Ownership is
//! decided by these names, not by tags, because tags are lost and copied.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::ids::ResourceId;

/// The namespace of our role assignments: UUIDv5 of `hubward.role-assignments` in the DNS namespace. Changing it would
/// orphan every assignment made so far.
pub const ROLE_ASSIGNMENTS: Uuid = Uuid::from_u128(0x184a_610c_2275_58df_a3a0_3d54_1751_6998);

/// Azure's limit for most networking names, in characters.
pub const MAX_LENGTH: usize = 80;

/// The name of a resource of ours: `{prefix}-{kind}-{first 10 hex digits of SHA-256 of the lower-cased id}`, where `id` is
/// the resource it serves. At most [`MAX_LENGTH`] characters: prefix and kind are cut, the digits never.
#[must_use]
pub fn name(prefix: &str, kind: &str, id: &ResourceId) -> String {
    let digits = hash(id);
    let mut front = format!("{prefix}-{kind}");
    if let Some((cut, _)) = front.char_indices().nth(MAX_LENGTH - 1 - digits.len()) {
        front.truncate(cut);
    }
    format!("{front}-{digits}")
}

/// The name of a role assignment: Azure demands a UUID, so it is UUIDv5 over the lower-cased
/// `scope|principalId|roleDefinitionId`; the same grant twice is the same assignment.
#[must_use]
pub fn role_assignment(scope: &ResourceId, principal_id: &str, role_definition_id: &str) -> Uuid {
    let grant = format!("{scope}|{principal_id}|{role_definition_id}").to_ascii_lowercase();
    Uuid::new_v5(&ROLE_ASSIGNMENTS, grant.as_bytes())
}

/// The first ten hex digits of the SHA-256 of the lower-cased id: what tells one resource's things from another's.
#[must_use]
pub fn hash(id: &ResourceId) -> String {
    let digest = Sha256::digest(id.key().as_bytes());
    digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLUSTER: &str = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/team/providers/Microsoft.ContainerService/managedClusters/shop";

    fn id(text: &str) -> ResourceId {
        ResourceId::parse(text).unwrap()
    }

    #[test]
    fn names_never_change_from_one_release_to_the_next() {
        insta::assert_snapshot!(name("hubward", "rt", &id(CLUSTER)), @"hubward-rt-a9826bd9b8");
        insta::assert_snapshot!(role_assignment(&id(CLUSTER), "P", "R"), @"5c8ff5df-9aee-5046-84a6-35a6e2463d47");
        assert_eq!(
            ROLE_ASSIGNMENTS,
            Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"hubward.role-assignments")
        );
    }

    #[test]
    fn casing_makes_no_second_name() {
        let upper = id(&CLUSTER.to_ascii_uppercase());
        assert_eq!(name("hubward", "rt", &upper), name("hubward", "rt", &id(CLUSTER)));
        assert_eq!(
            role_assignment(&upper, "p", "r"),
            role_assignment(&id(CLUSTER), "P", "R")
        );
    }

    #[test]
    fn another_scope_principal_or_role_is_another_assignment() {
        let one = role_assignment(&id(CLUSTER), "p", "r");
        assert_ne!(one, role_assignment(&id(CLUSTER), "p", "r2"));
        assert_ne!(one, role_assignment(&id(CLUSTER), "p2", "r"));
        assert_ne!(one, role_assignment(&id("/subscriptions/s"), "p", "r"));
    }

    proptest! {
        #[test]
        fn every_name_fits_into_azures_limit_and_keeps_its_digits(prefix in "[a-z-]{1,30}", kind in "[a-zé-]{1,100}") {
            let made = name(&prefix, &kind, &id(CLUSTER));
            prop_assert!(made.chars().count() <= MAX_LENGTH);
            prop_assert!(made.starts_with(&prefix));
            prop_assert!(made.ends_with(&hash(&id(CLUSTER))));
        }
    }
}
