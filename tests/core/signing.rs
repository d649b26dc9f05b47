//! A target can have bytes signed with the node's key. It gets the signature, never the key.

use std::time::Duration;

use enlist::bootstrap::{Outcome, resume};
use enlist::fault::{Fault, Kind};
use enlist::secret::SecretSource;
use enlist::targets::{Answer, Created, Creation, Question, Reconciled, SigningKey, ToSign};

use super::fixed_target::{FixedTarget, call};
use super::script::{Script, World, token};

fn to_sign() -> ToSign {
    ToSign { with: SigningKey::Node, bytes: b"to be signed".to_vec() }
}

#[test]
fn a_target_has_something_signed_and_sees_the_signature_alone() {
    let mut world = World::new();
    let mut target = FixedTarget::new(&world);
    target.reconcile = |grant, answers| match answers {
        [] => Question::Sign(to_sign()),
        [Answer::Signature(signature)] => {
            assert_eq!(signature.signature, b"signed");
            assert_eq!(signature.bytes, b"to be signed");
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

fn by_secret() -> ToSign {
    let source = SecretSource::File("/k".to_owned());
    ToSign { with: SigningKey::Secret { source, setting: "key" }, bytes: b"create".to_vec() }
}

/// A signature does not outlive the call that it was made for.
#[test]
fn a_creating_call_is_signed_anew_each_time() {
    let mut world = World::new();
    let mut target = FixedTarget::new(&world);
    target.shows_registration = false;
    target.create = |answers| match answers {
        [] => Creation::Sign(by_secret()),
        [Answer::Signature(_)] => Creation::Call(call()),
        other => panic!("{other:?}"),
    };
    target.created = |grant| Created::Granted(grant.clone(), None);
    let refused = Fault::new(Kind::Transient, "not sent", "the authority", "wait");
    let mut script = Script::new(vec![Err(refused), Ok(token())]);
    let mut core = resume(target.plan(Duration::from_mins(1)), None, 7, world.now());
    let outcome = script.run(&mut world, &mut core);
    assert!(matches!(outcome, Outcome::Joined { .. }), "{outcome:?}");
    let signed = ("key".to_owned(), b"create".to_vec());
    assert_eq!(script.signed, [signed.clone(), signed]);
}
