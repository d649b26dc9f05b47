//! A target that finds an earlier request of the node's at the authority goes on waiting for it: with
//! the ticket on disk before it polls, and without a creating call.

use std::time::Duration;

use enlist::bootstrap::{Effect, Event, Outcome, PhaseName, Plan, StateMachine, resume};
use enlist::engines::{Authority, EngineId, Grant, NodeContext, Observed};
use enlist::facts::Facts;
use enlist::fault::{Fault, Kind};
use enlist::targets::opsworks_cm::api::{Answer as Own, Request};
use enlist::targets::{
    Answer, Created, Creation, Decision, Departure, Member, Permissions, Question, Reconciled,
    Target, Undecided,
};

use super::puppet_node;
use super::script::{World, facts};

struct Waiting {
    ca: String,
    certificate: String,
}

fn poll() -> enlist::targets::Request {
    Request::DescribeServers { server: "p".to_owned() }.into()
}

impl Target for Waiting {
    fn id(&self) -> &'static str {
        "waiting"
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

    fn shows_registration(&self, _: &Observed) -> bool {
        true
    }

    fn create(&self, _: &NodeContext<'_>, _: &str, _: i64) -> Result<Creation, Fault> {
        Ok(Creation::Call(poll()))
    }

    fn created(&self, _: &Answer) -> Result<Created, Fault> {
        panic!("nothing is created")
    }

    fn reconcile(
        &self,
        _: &NodeContext<'_>,
        _: &str,
        _: &[Answer],
    ) -> Result<Question<Reconciled>, Fault> {
        Ok(Question::Done(Reconciled::Pending("ours".to_owned())))
    }

    fn wait(
        &self,
        _: &NodeContext<'_>,
        ticket: &str,
        answers: &[Answer],
        _: i64,
    ) -> Result<Question<Decision>, Fault> {
        assert_eq!(ticket, "ours");
        Ok(match answers.last() {
            None => Question::Ask(poll()),
            Some(Answer::OpsworksCm(Own::NotFound(_))) => Question::AskLater(poll()),
            Some(_) => Question::Done(Decision::Granted(Grant::Certificate {
                pem: self.certificate.clone(),
                serial: "1".to_owned(),
                not_after: i64::MAX,
            })),
        })
    }

    fn undecided(&self, name: &str) -> Undecided {
        Undecided { what: format!("{name} is not signed"), todo: format!("sign {name}") }
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

/// Drives a join whose authority says `undecided` times that it has not decided.
fn join(undecided: usize, budget: Duration) -> (Outcome, usize, Vec<String>) {
    let mut world = World::new();
    let (_, engines) = puppet_node::opsworks_cm("p");
    let target = Waiting { ca: world.ca.pem(), certificate: world.certificate("i-1") };
    let plan = Plan { target: Box::new(target), engines, name: None, budget };
    let mut core = resume(plan, None, 7, world.now());
    let (mut polls, mut said) = (0, Vec::new());
    for _ in 0..200 {
        let event = match core.poll() {
            Effect::Finish(outcome) => return (outcome, polls, said),
            Effect::GatherFacts(_) => facts("i-1"),
            Effect::EnsureKey(_) => Event::Key(Box::new(world.report())),
            Effect::Persist(_) => Event::Persisted,
            Effect::Hold(_) => Event::Held,
            Effect::Release(_) => Event::Released,
            Effect::Call(_) => {
                assert_eq!(core.status(world.now()).phase, PhaseName::Watching);
                polls += 1;
                Event::Answered(Answer::OpsworksCm(if polls <= undecided {
                    Own::NotFound(String::new())
                } else {
                    Own::Servers(Vec::new())
                }))
            }
            Effect::WaitUntil(until) => {
                said.push(core.status(world.now()).doing);
                world.mono = until;
                Event::Woke
            }
            Effect::Install(bundle) => Event::Installed(bundle.installed_files()),
            other => panic!("{other:?}"),
        };
        core.handle(world.now(), event);
    }
    panic!("no end");
}

#[test]
fn an_earlier_request_is_waited_for_and_what_is_waited_for_is_said() {
    let (outcome, polls, said) = join(2, Duration::from_mins(5));
    assert!(matches!(outcome, Outcome::Joined { already: false, .. }), "{outcome:?}");
    assert_eq!(polls, 3);
    assert_eq!(said.len(), 2);
    assert!(said.iter().all(|line| line.contains("i-1 is not signed")), "{said:?}");
}

#[test]
fn at_the_end_of_the_budget_the_target_says_what_to_do() {
    let (outcome, _, _) = join(usize::MAX, Duration::from_secs(30));
    let Outcome::Failed(fault) = outcome else { panic!("{outcome:?}") };
    assert_eq!((fault.kind, fault.what.as_str()), (Kind::Transient, "i-1 is not signed"));
    assert_eq!(fault.todo, "sign i-1");
}
