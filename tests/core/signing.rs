//! A target can have bytes signed with the node's key. It gets the signature, never the key.

use std::time::Duration;

use enlist::bootstrap::{Outcome, resume};
use enlist::targets::{Answer, Question, Reconciled};

use super::fixed_target::FixedTarget;
use super::script::{Script, World};

#[test]
fn a_target_has_something_signed_and_sees_the_signature_alone() {
    let mut world = World::new();
    let mut target = FixedTarget::new(&world);
    target.reconcile = |grant, answers| match answers {
        [] => Question::Sign(b"to be signed".to_vec()),
        [Answer::Signature(signature)] => {
            assert_eq!(signature, b"signed");
            Question::Done(Reconciled::Granted(grant.clone()))
        }
        other => panic!("{other:?}"),
    };
    let mut script = Script::new(Vec::new());
    let mut core = resume(target.plan(Duration::from_mins(1)), None, 7, world.now());
    let outcome = script.run(&mut world, &mut core);
    assert!(matches!(outcome, Outcome::Joined { .. }), "{outcome:?}");
    let path = "/s/private_keys/i-1.pem".to_owned();
    assert_eq!(script.signed, [(path, b"to be signed".to_vec())]);
}
