//! A target can have bytes signed with the node's key. It gets the signature, never the key.

use std::time::Duration;

use enlist::bootstrap::{Effect, Event, Outcome, Plan, StateMachine, resume};
use enlist::engines::{Authority, EngineId, Grant, Installed, NodeContext};
use enlist::facts::Facts;
use enlist::fault::Fault;
use enlist::targets::{
    Answer, Created, Creation, Departure, Member, Permissions, Question, Target,
};

use super::puppet_node;
use super::script::{World, facts};

/// A target that has bytes signed while it reconciles. Its other answers are fixed.
struct Signing {
    ca: String,
    certificate: String,
}

impl Target for Signing {
    fn id(&self) -> &'static str {
        "signing"
    }

    fn authority_name(&self) -> String {
        "an authority".to_owned()
    }

    fn engine(&self) -> EngineId {
        EngineId::Puppet
    }

    fn discover(&self, _: &Facts, _: &[Answer]) -> Result<Question<Authority>, Fault> {
        let endpoint = "puppet.example".to_owned();
        Ok(Question::Done(Authority::Puppet { endpoint, ca: self.ca.clone(), crl: None }))
    }

    fn shows_registration(&self, _: &enlist::engines::Observed) -> bool {
        true
    }

    fn create(&self, _: &NodeContext<'_>, _: &str, _: i64) -> Result<Creation, Fault> {
        let server = "p".to_owned();
        Ok(Creation::Call(
            enlist::targets::opsworks_cm::api::Request::DescribeServers { server }.into(),
        ))
    }

    fn created(&self, _: &Answer) -> Result<Created, Fault> {
        panic!("nothing is created")
    }

    fn reconcile(
        &self,
        _: &NodeContext<'_>,
        _: &str,
        answers: &[Answer],
    ) -> Result<Question<enlist::targets::Reconciled>, Fault> {
        match answers {
            [] => Ok(Question::Sign(b"to be signed".to_vec())),
            [Answer::Signature(signature)] => {
                assert_eq!(signature, b"signed");
                Ok(Question::Done(enlist::targets::Reconciled::Granted(Grant::Certificate {
                    pem: self.certificate.clone(),
                    serial: "1".to_owned(),
                    not_after: i64::MAX,
                })))
            }
            other => panic!("{other:?}"),
        }
    }

    fn leave(&self, _: &Member<'_>, _: &[Answer]) -> Result<Question<Departure>, Fault> {
        Ok(Question::Done(Departure::Complete))
    }

    fn permissions(&self) -> Permissions {
        Permissions {
            resource: "*".to_owned(),
            passes_role: None,
            join: &[],
            reconcile: &[],
            leave: &[],
        }
    }
}

#[test]
fn a_target_has_something_signed_and_sees_the_signature_alone() {
    let world = World::new();
    let (_, engines) = puppet_node::opsworks_cm("p");
    let target = Signing { ca: world.ca.pem(), certificate: world.certificate("i-1") };
    let budget = Duration::from_mins(1);
    let plan = Plan { target: Box::new(target), engines, name: None, budget };
    let mut core = resume(plan, None, 7, world.now());
    let mut signed = 0;
    for _ in 0..20 {
        let event = match core.poll() {
            Effect::Finish(Outcome::Joined { .. }) => {
                assert_eq!(signed, 1);
                return;
            }
            Effect::GatherFacts(_) => facts("i-1"),
            Effect::EnsureKey(_) => Event::Key(Box::new(world.report())),
            Effect::Persist(_) => Event::Persisted,
            Effect::Hold(_) => Event::Held,
            Effect::Sign(spec, bytes) => {
                assert_eq!(spec.at.path, "/s/private_keys/i-1.pem");
                assert_eq!(bytes, b"to be signed");
                signed += 1;
                Event::Signed(b"signed".to_vec())
            }
            Effect::Install(bundle) => {
                let files: Vec<Installed> = bundle.installed_files();
                Event::Installed(files)
            }
            other => panic!("{other:?}"),
        };
        core.handle(world.now(), event);
    }
    panic!("no end");
}
