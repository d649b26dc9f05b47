//! No change of one bit, and no recombination of two requests, is accepted.

use proptest::prelude::*;

use crate::csr::{Key, Proof, Request, pem, puppet_oid};
use crate::{DATE, ID, NOW, RULE, caller, judge};

const OTHER: &str = "i-0fedcba9876543210";

fn is_signed(name: &str, der: &[u8]) -> bool {
    judge(RULE, name, &pem(der), NOW, &caller()).verdict.is_ok()
}

fn whole() -> Vec<u8> {
    let proof = Proof::new(&Key::one().spki, ID, DATE);
    Request::new(ID).iam(&proof.json()).extension(puppet_oid(1, 2), ID).der(Key::one())
}

/// Key, name, proof, extension and both signatures are in these bits.
#[test]
fn a_request_with_one_bit_changed_is_refused() {
    let der = whole();
    assert!(is_signed(ID, &der));
    for at in 0..der.len() {
        for bit in 0..8 {
            let mut changed = der.clone();
            changed[at] ^= 1 << bit;
            assert!(!is_signed(ID, &changed), "byte {at}, bit {bit}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A change by somebody who has the key, and signs the request anew: only the proof is left to
    /// refuse it.
    #[test]
    fn a_proof_with_one_byte_changed_is_refused(at in 0_usize..1024, mask in 1_u8..=127) {
        let proof = Proof::new(&Key::one().spki, ID, DATE).json();
        let mut bytes = proof.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= mask;
        let Ok(changed) = String::from_utf8(bytes) else { return Ok(()) };
        // A space in place of another one, or an escape that means the same, would be the same proof.
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        prop_assume!(value(&changed) != value(&proof));
        let der = Request::new(ID).iam(&changed).der(Key::one());
        prop_assert!(!is_signed(ID, &der), "{changed}");
    }

    /// Two nodes, each with a good request: of their keys, names and proofs, only what belongs together
    /// is signed. `caller` is the first one, who has signed both proofs.
    #[test]
    fn only_what_belongs_together_is_signed(key in any::<bool>(), name in any::<bool>(), bound_key in any::<bool>(), bound_name in any::<bool>()) {
        let keys = |first: bool| if first { Key::one() } else { Key::other() };
        let names = |first: bool| if first { ID } else { OTHER };
        let proof = Proof::new(&keys(bound_key).spki, names(bound_name), DATE);
        let der = Request::new(names(name)).iam(&proof.json()).der(keys(key));
        // The name must be the caller's own instance id.
        let is_good = key == bound_key && name == bound_name && name;
        prop_assert_eq!(is_signed(names(name), &der), is_good);
    }
}
