//! `enlist csr`: prints the certificate request that a join would send, and asks no authority.
//!
//! It runs the first steps of a join: facts, record, key, request. The join that follows uses the same
//! key.

use clap::Args;

use super::drive::{self, Scope, Selection};
use super::{Global, printer, runtime};
use crate::bootstrap::{Effect, Event, Now, Outcome, Phase, Plan, Record, StateMachine, resume};
use crate::engines::{Authority, EngineId, Grant, KeyReport, NodeContext, RequestAdditions};
use crate::facts::Facts;
use crate::fault::{Fault, Kind};
use crate::host::{Host, Store, facts, lock};
use crate::targets::{Answer, Created, Creation, Departure, Member, Permissions, Question, Target};

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    selection: Selection,
}

pub fn run(global: &Global, options: &Options) -> Result<u8, Fault> {
    let root = global.root()?;
    let selected = drive::select(global, &root, &options.selection, Scope::Configured)?;
    let [known] = selected.as_slice() else {
        let ids: Vec<&str> = selected.iter().map(|known| known.id).collect();
        let what = "a request is printed for one target";
        let todo = format!("name one: `enlist csr --target {}`", ids.first().unwrap_or(&"TARGET"));
        return Err(Fault::new(Kind::Usage, what, ids.join(", "), todo));
    };
    let (target, settings) = known.target()?;
    let target = Offline::new(target)?;
    let mut host = settings.access()?.host(&root, known.id);
    let csr = runtime()?.block_on(async {
        let _lock = lock::acquire(&root, settings.budget).await?;
        let record = Store::new(root.clone(), known.id).load()?;
        if let Some(record) = &record {
            check(record)?;
        }
        let plan = Plan {
            target: Box::new(target),
            engines: settings.engines.clone(),
            name: settings.name.clone(),
            budget: settings.budget,
            will_renew: false,
        };
        let now = host.now();
        let machine = resume(plan, record, facts::seed(&root, known.id), now);
        let machine = machine.with_settings(settings.recorded(known.id));
        Box::pin(request(machine, &mut host)).await
    })?;
    printer::out(csr.csr()?)?;
    Ok(0)
}

/// The authority of a node that has asked already has its request.
fn check(record: &Record) -> Result<(), Fault> {
    if record.phase == Phase::New && !record.is_member() {
        return Ok(());
    }
    let what = "the authority has been asked already, with an earlier request";
    let todo = format!(
        "`enlist status` shows what became of it; for a new one: `enlist leave --target {0} && enlist csr --target {0}`",
        record.target
    );
    Err(Fault::new(Kind::Usage, what, format!("target {}", record.target), todo))
}

/// Drives a join until its request is made. Nothing is written but the record and the key.
async fn request(mut machine: impl StateMachine, host: &mut Host) -> Result<Box<KeyReport>, Fault> {
    loop {
        let event = match machine.poll() {
            Effect::Finish(Outcome::Failed(fault)) => return Err(fault),
            // The engine is held by the join itself.
            Effect::Hold(_) => Event::Held,
            effect @ (Effect::SettleHandOver
            | Effect::GatherFacts(_)
            | Effect::EnsureKey(_)
            | Effect::Persist(_)
            | Effect::SetAside(_)
            | Effect::WaitUntil(_)) => host.perform(effect).await,
            other => {
                return Err(crate::targets::invariant(&format!(
                    "no request was made before {}",
                    other.describe("the authority")
                )));
            }
        };
        if let Event::Key(report) = event {
            return Ok(report);
        }
        let now: Now = host.now();
        machine.handle(now, event);
    }
}

/// A target whose authority is not asked.
struct Offline {
    target: Box<dyn Target>,
    authority: Authority,
}

impl Offline {
    /// # Errors
    /// `Usage` where the target takes no certificate request.
    fn new(target: Box<dyn Target>) -> Result<Self, Fault> {
        if target.engine() != EngineId::Puppet {
            let what = "a join of this target sends no certificate request";
            let todo = "run `enlist csr` for [puppet-server], or for [opsworks-cm] with Puppet";
            return Err(Fault::new(Kind::Usage, what, format!("target {}", target.id()), todo));
        }
        let (endpoint, ca) = (target.authority_name(), String::new());
        Ok(Self { target, authority: Authority::Puppet { endpoint, ca, crl: None } })
    }
}

impl Target for Offline {
    fn id(&self) -> &'static str {
        self.target.id()
    }

    fn authority_name(&self) -> String {
        self.target.authority_name()
    }

    fn engine(&self) -> EngineId {
        self.target.engine()
    }

    fn check(&self, facts: &Facts, name: &str) -> Result<(), Fault> {
        self.target.check(facts, name)
    }

    fn discover(&self, _: &Facts, _: &[Answer]) -> Result<Question<Authority>, Fault> {
        Ok(Question::Done(self.authority.clone()))
    }

    fn additions(&self) -> &RequestAdditions {
        self.target.additions()
    }

    fn create(
        &self,
        _: &NodeContext<'_>,
        _: &str,
        _: &[Answer],
        _: i64,
    ) -> Result<Creation, Fault> {
        Err(unasked())
    }

    fn created(&self, _: &NodeContext<'_>, _: &Answer, _: i64) -> Result<Created, Fault> {
        Err(unasked())
    }

    fn leave(&self, _: &Member<'_>, _: &[Answer], _: i64) -> Result<Question<Departure>, Fault> {
        Err(unasked())
    }

    fn usable_until(&self, grant: &Grant, since: i64) -> Option<i64> {
        self.target.usable_until(grant, since)
    }

    fn permissions(&self) -> Permissions {
        self.target.permissions()
    }
}

fn unasked() -> Fault {
    crate::targets::invariant("the authority is asked by a command that only prints a request")
}
