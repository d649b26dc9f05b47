//! A target with fixed answers. A test gives what it reconciles, and how it waits.

use std::time::Duration;

use enlist::bootstrap::Plan;
use enlist::engines::{Authority, EngineId, Grant, NodeContext, Observed, RequestAdditions};
use enlist::facts::Facts;
use enlist::fault::Fault;
use enlist::targets::opsworks_cm::api::Request;
use enlist::targets::{
    Answer, Created, Creation, Decision, Departure, Member, Permissions, Question, Reconciled,
    Target, Undecided,
};

use super::puppet_node;
use super::script::World;

pub struct FixedTarget {
    ca: String,
    grant: Grant,
    pub create: fn(&[Answer]) -> Creation,
    pub created: fn(&Grant) -> Created,
    pub shows_registration: bool,
    pub additions: RequestAdditions,
    pub gives_up_after: Option<Duration>,
    pub reconcile: fn(&Grant, &[Answer]) -> Question<Reconciled>,
    /// From the ticket and the answers.
    pub wait: fn(&Grant, &str, &[Answer]) -> Question<Decision>,
}

impl FixedTarget {
    /// Nothing may be asked of it but what the test sets.
    pub fn new(world: &World) -> Self {
        let grant = Grant::Certificate {
            pem: world.certificate("i-1"),
            serial: "1".to_owned(),
            not_after: i64::MAX,
        };
        Self {
            ca: world.ca.pem(),
            grant,
            create: |_| Creation::Call(call()),
            created: |_| panic!("nothing is created"),
            shows_registration: true,
            additions: RequestAdditions::NONE,
            gives_up_after: None,
            reconcile: |_, answers| panic!("reconciled with {answers:?}"),
            wait: |_, ticket, _| panic!("waited with {ticket}"),
        }
    }

    pub fn plan(self, budget: Duration) -> Plan {
        let (_, engines) = puppet_node::opsworks_cm("p");
        Plan { target: Box::new(self), engines, name: None, budget, will_renew: false }
    }
}

/// The one call that is ever made.
pub fn call() -> enlist::targets::Request {
    Request::DescribeServers { server: "p".to_owned() }.into()
}

impl Target for FixedTarget {
    fn id(&self) -> &'static str {
        "fixed"
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
        self.shows_registration
    }

    fn additions(&self) -> &RequestAdditions {
        &self.additions
    }

    fn create(
        &self,
        _: &NodeContext<'_>,
        _: &str,
        answers: &[Answer],
        _: i64,
    ) -> Result<Creation, Fault> {
        Ok((self.create)(answers))
    }

    fn created(&self, _: &NodeContext<'_>, _: &Answer, _: i64) -> Result<Created, Fault> {
        Ok((self.created)(&self.grant))
    }

    fn reconcile(
        &self,
        _: &NodeContext<'_>,
        _: &str,
        answers: &[Answer],
        _: i64,
    ) -> Result<Question<Reconciled>, Fault> {
        Ok((self.reconcile)(&self.grant, answers))
    }

    fn wait(
        &self,
        _: &NodeContext<'_>,
        ticket: &str,
        answers: &[Answer],
        _: i64,
    ) -> Result<Question<Decision>, Fault> {
        Ok((self.wait)(&self.grant, ticket, answers))
    }

    fn undecided(&self, name: &str) -> Undecided {
        Undecided {
            what: format!("{name} is not signed"),
            todo: format!("sign {name}"),
            longest_poll: Duration::from_mins(2),
            gives_up_after: self.gives_up_after,
        }
    }

    fn leave(&self, _: &Member<'_>, _: &[Answer], _: i64) -> Result<Question<Departure>, Fault> {
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
