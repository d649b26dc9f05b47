//! The ids of a machine, and whether two sets of ids are of the same machine (decision 0008).

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::{Uuid, uuid};

/// The ids of one machine, to which a record is bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineIdentity {
    pub instance_id: Option<String>,
    pub machine_id: Option<String>,
    #[serde(default)]
    pub product_uuid: Option<String>,
}

/// An id in which two machines differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `instance id`, `SMBIOS product uuid`, `machine-id`.
    pub id: &'static str,
    pub recorded: String,
    pub here: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its {} is {:?}, and this machine's is {:?}", self.id, self.recorded, self.here)
    }
}

impl MachineIdentity {
    /// The first id that both have and that differs. None where they are the same machine.
    ///
    /// Where the instance ids are equal, two differences are allowed that are known to happen on EC2: in
    /// a product UUID that EC2 assigned, and in the machine-id.
    #[must_use]
    pub fn difference(&self, here: &Self) -> Option<Difference> {
        let differs = |id, recorded: &str, here: &str| {
            Some(Difference { id, recorded: recorded.to_owned(), here: here.to_owned() })
        };
        let mut is_same_instance = false;
        if let (Some(a), Some(b)) = (&self.instance_id, &here.instance_id) {
            if !a.eq_ignore_ascii_case(b) {
                return differs("instance id", a, b);
            }
            is_same_instance = true;
        }
        if let (Some(a), Some(b)) = (&self.product_uuid, &here.product_uuid)
            && !is_same_uuid(a, b)
            && !(is_same_instance && is_ec2_uuid(a) && is_ec2_uuid(b))
        {
            return differs("SMBIOS product uuid", a, b);
        }
        if let (Some(a), Some(b)) = (&self.machine_id, &here.machine_id)
            && !a.eq_ignore_ascii_case(b)
            && !is_same_instance
        {
            return differs("machine-id", a, b);
        }
        None
    }

    #[must_use]
    pub fn is_same(&self, here: &Self) -> bool {
        self.difference(here).is_none()
    }

    /// Updates the ids from those of the same machine now: adds new ones, and replaces those that
    /// changed and may.
    pub fn update(&mut self, seen: &Self) {
        for (known, seen) in [
            (&mut self.instance_id, &seen.instance_id),
            (&mut self.machine_id, &seen.machine_id),
            (&mut self.product_uuid, &seen.product_uuid),
        ] {
            if seen.is_some() {
                known.clone_from(seen);
            }
        }
    }
}

/// UUIDs that vendors leave in boards that have none of their own.
const PLACEHOLDERS: [Uuid; 4] = [
    uuid!("03000200-0400-0500-0006-000700080009"),
    uuid!("03020100-0504-0706-0809-0a0b0c0d0e0f"),
    uuid!("01234567-89ab-cdef-0123-456789abcdef"),
    uuid!("12345678-1234-5678-9012-345678901234"),
];

/// Whether two product UUIDs are equal. Firmware and kernels disagree on the byte order of the first
/// three fields (SMBIOS 2.6, section 7.2.1), so an update may swap it. A text that is not a UUID, or a
/// placeholder, counts as equal: it says nothing.
fn is_same_uuid(a: &str, b: &str) -> bool {
    match (own_uuid(a), own_uuid(b)) {
        (Some(a), Some(b)) => a == b || swapped(a) == b,
        _ => true,
    }
}

/// Whether EC2 assigned this UUID: it begins with ec2, in either byte order (EC2 user guide,
/// "Identify EC2 Linux instances").
#[must_use]
pub fn is_ec2_uuid(text: &str) -> bool {
    let begins_with_ec2 = |uuid: Uuid| matches!(uuid.as_bytes(), [0xec, 0x20..=0x2f, ..]);
    own_uuid(text).is_some_and(|uuid| begins_with_ec2(uuid) || begins_with_ec2(swapped(uuid)))
}

/// The UUID of a text; none if it is not one, or a placeholder in either byte order.
fn own_uuid(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text.trim()).ok()?;
    let [first, rest @ ..] = uuid.as_bytes();
    // All zeros, all ones, and others of one byte.
    let is_uniform = rest.iter().all(|byte| byte == first);
    let is_placeholder = |uuid: &Uuid| PLACEHOLDERS.contains(uuid);
    (!is_uniform && !is_placeholder(&uuid) && !is_placeholder(&swapped(uuid))).then_some(uuid)
}

/// The UUID with the other byte order in its first three fields.
fn swapped(uuid: Uuid) -> Uuid {
    Uuid::from_bytes_le(uuid.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::{MachineIdentity, is_ec2_uuid};

    const A: &str = "4c4c4544-0033-3310-8051-b4c04f4d3132";
    const A_SWAPPED: &str = "44454C4C-3300-1033-8051-B4C04F4D3132";
    const B: &str = "4c4c4544-0033-3310-8051-b4c04f4d9999";
    const EC2: &str = "ec2ae145-d1dc-13b2-94ed-01234567890a";
    const EC2_SWAPPED: &str = "45E12AEC-DCD1-B213-94ED-01234567890A";
    const EC2_OTHER: &str = "ec2bbbbb-d1dc-13b2-94ed-01234567890a";

    fn machine(instance: &str, id: &str, uuid: &str) -> MachineIdentity {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        MachineIdentity {
            instance_id: some(instance),
            machine_id: some(id),
            product_uuid: some(uuid),
        }
    }

    fn difference(a: (&str, &str, &str), b: (&str, &str, &str)) -> Option<&'static str> {
        let (a, b) = (machine(a.0, a.1, a.2), machine(b.0, b.1, b.2));
        let one = a.difference(&b).map(|difference| difference.id);
        assert_eq!(one, b.difference(&a).map(|difference| difference.id), "either way round");
        one
    }

    #[test]
    fn every_id_that_both_have_is_compared() {
        let uuid = Some("SMBIOS product uuid");
        assert_eq!(difference(("", "m", A), ("", "m", A)), None);
        assert_eq!(
            difference(("", "m", A), ("", "m", B)),
            uuid,
            "a copied disk, its machine-id kept"
        );
        assert_eq!(
            difference(("", "m", A), ("", "n", A)),
            Some("machine-id"),
            "two containers of a host"
        );
        assert_eq!(difference(("i-1", "m", A), ("i-2", "m", A)), Some("instance id"));
        assert_eq!(
            difference(("i-1", "m", A), ("i-1", "m", B)),
            uuid,
            "ids that a private cloud reuses"
        );
        assert_eq!(difference(("i-1", "m", ""), ("", "n", "")), Some("machine-id"));
        assert_eq!(difference(("i-1", "", A), ("", "", B)), uuid);
    }

    #[test]
    fn an_id_that_one_side_lacks_is_not_compared() {
        assert_eq!(difference(("", "", ""), ("i-1", "m", A)), None);
        assert_eq!(difference(("i-1", "", ""), ("", "m", A)), None);
        assert_eq!(difference(("", "m", ""), ("i-1", "m", A)), None);
    }

    #[test]
    fn known_changes_of_ids_are_allowed() {
        assert_eq!(difference(("", "m", A), ("", "m", A_SWAPPED)), None, "the byte order");
        assert_eq!(difference(("", "m", A), ("", "m", &A.to_uppercase())), None);
        assert_eq!(
            difference(("i-1", "m", EC2), ("i-1", "m", EC2_OTHER)),
            None,
            "another hypervisor"
        );
        assert_eq!(difference(("", "m", EC2), ("", "m", EC2_OTHER)), Some("SMBIOS product uuid"));
        assert_eq!(difference(("i-1", "m", A), ("i-1", "n", A)), None, "a machine-id made anew");
        for placeholder in [
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "01010101-0101-0101-0101-010101010101",
            "03000200-0400-0500-0006-000700080009",
            "00020003-0004-0005-0006-000700080009",
            "Not Settable",
            "Default string",
            "To be filled by O.E.M.",
        ] {
            assert_eq!(difference(("", "m", A), ("", "m", placeholder)), None, "{placeholder}");
        }
    }

    #[test]
    fn ec2_uuids_are_known_in_either_byte_order() {
        assert!(is_ec2_uuid(EC2) && is_ec2_uuid(EC2_SWAPPED));
        assert!(!is_ec2_uuid(A) && !is_ec2_uuid("ec2") && !is_ec2_uuid(""));
    }

    #[test]
    fn an_update_replaces_known_ids_and_adds_new_ones() {
        let mut known = machine("i-1", "m", "");
        known.update(&machine("", "n", A));
        assert_eq!(known, machine("i-1", "n", A));
    }
}
