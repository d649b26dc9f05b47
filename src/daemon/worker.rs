//! One target, for as long as the daemon lives: join, watch over it, do what becomes due.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use super::status_table::MembershipState;
use super::supervisor::Supervisor;
use crate::bootstrap::{
    Finding, Leave, Maintenance, Monitor, Need, Now, Outcome, Plan, Record, StateMachine, Status,
    backoff, resume,
};
use crate::driver::{Log, Observer, drive, milestones};
use crate::fault::{Fault, Kind};
use crate::host::{Host, Store, clock, facts, timer};
use crate::targets::Target;

/// After a fault that passes and did not within the budget.
const AFTER_BUDGET: Duration = Duration::from_mins(1);
/// After a fault that does not pass by itself, while other targets are well.
const AFTER_FINAL: Duration = Duration::from_hours(1);
/// What was put in place and is damaged again at once is not to be put in place for ever.
const BETWEEN_REPAIRS: Duration = Duration::from_mins(10);

/// One target of the settings.
pub struct TargetWorker<'a> {
    supervisor: &'a Supervisor<'a>,
    index: usize,
    word: &'static str,
    seed: u64,
    repaired: Option<Instant>,
}

impl<'a> TargetWorker<'a> {
    pub fn new(supervisor: &'a Supervisor<'a>, index: usize, word: &'static str) -> Self {
        let seed = facts::seed(supervisor.root, word);
        Self { supervisor, index, word, seed, repaired: None }
    }

    /// Until it is dropped.
    pub async fn run(mut self) -> Infallible {
        let mut maintenance = Maintenance::default();
        let mut tries = 0;
        loop {
            match self.join(maintenance).await {
                Ok(record) => {
                    tries = 0;
                    maintenance = Box::pin(self.stay(record)).await;
                }
                Err(fault) => {
                    tries += 1;
                    self.pause(&fault, tries).await;
                }
            }
        }
    }

    /// Tells the authority that this node leaves, whatever it is in the middle of.
    ///
    /// # Errors
    /// What came in the way.
    pub async fn leave(&self, budget: Duration) -> Result<(), Fault> {
        let _lock = self.supervisor.lock().await?;
        let (record, mut host) = (self.store().load()?, self.host());
        let mut leave = Leave::new(
            self.target()?,
            self.supervisor.settings.engines.clone(),
            record,
            budget,
            self.seed,
            host.now(),
        );
        if let Outcome::Failed(fault) = self.drive(&mut leave, &mut host).await {
            return Err(fault);
        }
        tracing::info!(message_id = milestones::LEFT, "{}: left", self.word);
        self.supervisor.update(self.index, |entry| entry.state = MembershipState::Left);
        Ok(())
    }

    /// Joins, or does the maintenance that a member needs.
    async fn join(&self, maintenance: Maintenance) -> Result<Record, Fault> {
        // A member is one from the first moment on, before anything is looked at or renewed.
        let here = facts::machine(self.supervisor.root);
        let is_own = |record: &Record| record.is_member() && record.other_machine(&here).is_none();
        if let Some(record) = self.store().load()?.filter(is_own) {
            let unix = clock::unix_now();
            self.supervisor.update(self.index, |entry| entry.joined(&record, unix));
        }
        let _lock = self.supervisor.lock().await?;
        let (record, mut host) = (self.store().load()?, self.host());
        let settings = self.supervisor.settings;
        let plan = Plan {
            target: self.target()?,
            engines: settings.engines.clone(),
            name: settings.name.clone(),
            budget: settings.budget,
        };
        let now = host.now();
        let mut bootstrap = resume(plan, record, self.seed, now).with(maintenance, now);
        match self.drive(&mut bootstrap, &mut host).await {
            Outcome::Joined { record, .. } => {
                let unix = host.now().unix;
                self.supervisor.update(self.index, |entry| entry.joined(&record, unix));
                if let Some(fault) = &record.fault {
                    tracing::warn!(
                        message_id = milestones::FAILED,
                        "{}: no new certificate: {}: {}; the former one stays until it ends",
                        self.word,
                        fault.what,
                        fault.on
                    );
                }
                Ok(*record)
            }
            Outcome::Failed(fault) => Err(fault),
            Outcome::Left { .. } | Outcome::Due(_) => Err(bug()),
        }
    }

    /// Watches over what was joined until there is something to do; then, what.
    async fn stay(&mut self, record: Record) -> Maintenance {
        let run = &self.supervisor.settings.run;
        let may_repair = self.repaired.is_none_or(|last| last.elapsed() >= BETWEEN_REPAIRS);
        let repairs = run.repair && may_repair;
        let mut host = self.host();
        let mut monitor =
            Monitor::new(self.word, record, run.inspect, repairs, self.seed, host.now());
        let mut drift_reporter = DriftReporter { worker: self, known: Vec::new() };
        match Box::pin(drive(&mut monitor, &mut host, &mut drift_reporter)).await {
            Outcome::Due(need) => self.attend(need).await,
            _ => Maintenance::default(),
        }
    }

    /// What has to be done before, and what the bootstrap is to do then.
    async fn attend(&mut self, need: Need) -> Maintenance {
        let budget = self.supervisor.settings.budget;
        match need {
            Need::Renewal => Maintenance { renew: Some(budget), ..Maintenance::default() },
            Need::Reinstallation => {
                self.repaired = Some(clock::instant());
                Maintenance { reinstall: true, ..Maintenance::default() }
            }
            Need::Rejoin => {
                self.repaired = Some(clock::instant());
                if let Err(fault) = self.leave(budget).await {
                    self.pause(&fault, 1).await;
                }
                self.supervisor.update(self.index, |entry| entry.state = MembershipState::Pending);
                Maintenance::default()
            }
            Need::OtherMachine => {
                self.supervisor.update(self.index, |entry| entry.state = MembershipState::Pending);
                tracing::warn!(
                    message_id = milestones::DAMAGED,
                    "{}: the record is another machine's (a copied disk); this machine joins anew",
                    self.word
                );
                Maintenance::default()
            }
            Need::Left => {
                self.supervisor.update(self.index, |entry| entry.state = MembershipState::Left);
                tracing::warn!(
                    message_id = milestones::LEFT,
                    "{}: this node was made to leave; it is joined again once the service is reloaded or restarted",
                    self.word
                );
                std::future::pending().await
            }
        }
    }

    async fn drive(&self, machine: &mut impl StateMachine, host: &mut Host) -> Outcome {
        let several = self.supervisor.settings.target_ids().len() > 1;
        let log = Log::of(several.then_some(self.word));
        Box::pin(drive(machine, host, &mut Reporter { worker: self, log })).await
    }

    async fn pause(&self, fault: &Fault, tries: u32) {
        let pause = if fault.is_retried() { AFTER_BUDGET } else { AFTER_FINAL };
        let pause = backoff::with_jitter(self.seed, backoff::Stream::Rejoin, tries, pause);
        tracing::error!(
            message_id = milestones::FAILED,
            "{}: {fault}: {}; to do: {}",
            self.word,
            fault.causes.join("; "),
            fault.todo
        );
        self.supervisor.update(self.index, |entry| {
            if entry.is_member() || fault.is_retried() {
                entry.doing = format!("{}; retrying in {} s", fault.line(), pause.as_secs());
            } else {
                entry.gave_up(fault);
            }
        });
        timer::sleep(pause).await;
    }

    fn target(&self) -> Result<Box<dyn Target>, Fault> {
        self.supervisor.settings.target(self.word).ok_or_else(bug)
    }

    fn host(&self) -> Host {
        self.supervisor.host(self.word)
    }

    fn store(&self) -> Store {
        Store::new(self.supervisor.root.clone(), self.word)
    }
}

/// Says what is found when it is found, and when it is well again; not every time.
struct DriftReporter<'a, 'b> {
    worker: &'a TargetWorker<'b>,
    known: Vec<Finding>,
}

impl Observer for DriftReporter<'_, '_> {
    fn observe(&mut self, status: &Status, now: Now) {
        let word = self.worker.word;
        for finding in status.findings.iter().filter(|finding| !self.known.contains(finding)) {
            tracing::warn!(
                message_id = milestones::DAMAGED,
                "{word}: {finding}; run.repair = true would put it back, `enlist leave` and `enlist join` make it new"
            );
        }
        let is_mended =
            |known: &&Finding| !status.findings.iter().any(|finding| finding.path == known.path);
        for known in self.known.iter().filter(is_mended) {
            tracing::info!(
                message_id = milestones::REPAIRED,
                "{word}: the {} is as it should be: {}",
                known.what(),
                known.path
            );
        }
        self.known.clone_from(&status.findings);
        self.worker.supervisor.update(self.worker.index, |entry| {
            entry.see(status);
            entry.findings = status.findings.len();
            // It waits, so it has just looked.
            let is_well = entry.findings == 0 && status.fault.is_none();
            if is_well && status.waiting.is_some() {
                entry.last_success = Some(now.unix);
            }
        });
    }
}

/// While a machine is driven: the log, and the status_table.
struct Reporter<'a, 'b> {
    worker: &'a TargetWorker<'b>,
    log: Log,
}

impl Observer for Reporter<'_, '_> {
    fn observe(&mut self, status: &Status, now: Now) {
        self.log.observe(status, now);
        self.worker.supervisor.update(self.worker.index, |entry| {
            // What did not go before may go now.
            if matches!(entry.state, MembershipState::GivenUp(_)) {
                entry.state = MembershipState::Pending;
            }
            entry.see(status);
        });
    }
}

fn bug() -> Fault {
    let todo = "this is a bug in enlist; please report it";
    Fault::new(Kind::Invariant, "a machine ended in a way that is not its own", "the daemon", todo)
}
