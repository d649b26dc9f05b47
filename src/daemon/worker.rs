//! The worker of one target: joins, monitors the membership, and does the maintenance that becomes
//! due.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use tracing::Instrument;

use super::memberships::{self, Known, is_membership};
use super::observers::{DriftReporter, JoinObserver};
use super::standing;
use super::status_table::{Entry, MembershipState};
use super::supervisor::{Member, Supervisor};
use crate::bootstrap::{
    Leave, Maintenance, Monitor, Need, Outcome, Phase, PhaseName, Plan, Record, StateMachine,
    backoff, resume,
};
use crate::driver::{drive, milestones, span};
use crate::fault::{Fault, Kind};
use crate::host::{Host, Store, clock, facts, timer};
use crate::targets::Standing;
use crate::text;

/// The pause after a fault that ended the join, while other targets work: that of the unit, which
/// restarts the service where no other target does.
const BETWEEN_JOINS: Duration = Duration::from_mins(1);
/// The pause if only a person can help.
const FOR_A_PERSON: Duration = Duration::from_hours(1);
/// The time between two looks whether a carried answer was accepted.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);
/// The least time between two repairs: something may damage the files again at once.
const BETWEEN_REPAIRS: Duration = Duration::from_mins(10);

/// Works on one target of the settings.
pub struct TargetWorker<'a> {
    supervisor: &'a Supervisor<'a>,
    /// Of its entry in the status table.
    index: usize,
    pub id: &'static str,
    member: &'a Member,
    seed: u64,
    last_repair: Option<Instant>,
}

impl<'a> TargetWorker<'a> {
    pub fn new(supervisor: &'a Supervisor<'a>, index: usize, member: &'a Member) -> Self {
        let id = member.known.id;
        let seed = facts::seed(supervisor.root, id);
        Self { supervisor, index, id, member, seed, last_repair: None }
    }

    /// Joins and stays joined, until it is dropped.
    pub async fn run(self) -> Infallible {
        let span = span(self.id);
        self.work().instrument(span).await
    }

    async fn work(mut self) -> Infallible {
        let mut maintenance = Maintenance::default();
        let mut tries = 0;
        loop {
            self.await_answer().await;
            match self.join(maintenance.clone()).await {
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

    /// Leaves, whatever it was doing before.
    ///
    /// # Errors
    /// The fault that kept it from leaving.
    pub async fn leave(&self, budget: Duration) -> Result<(), Fault> {
        self.tell_authority(budget).instrument(span(self.id)).await
    }

    async fn tell_authority(&self, budget: Duration) -> Result<(), Fault> {
        let _lock = self.supervisor.lock().await?;
        let record = self.store().load()?;
        let mut known = self.member.known.clone();
        if let Some(record) = &record {
            known.follow(self.supervisor.root, record);
        }
        let (target, settings) = known.target()?;
        let mut host = settings.access()?.host(self.supervisor.root, self.id);
        let engines = settings.engines.clone();
        let mut leave = Leave::new(target, engines, record, budget, self.seed, host.now());
        if let Outcome::Failed(fault) = self.drive(&mut leave, &mut host).await {
            return Err(fault);
        }
        tracing::info!(message_id = milestones::LEFT, "left");
        self.update(|entry| entry.state = MembershipState::Left);
        Ok(())
    }

    /// Joins, or does the maintenance of a member.
    async fn join(&self, maintenance: Maintenance) -> Result<Record, Fault> {
        // A node that is a member counts as one before it is inspected or renewed.
        let machine = facts::machine(self.supervisor.root);
        let lifetime = self.key_lifetime();
        let is_member =
            |record: &Record| record.is_member() && record.other_machine(&machine).is_none();
        if let Some(record) = self.store().load()?.filter(is_member) {
            let unix = clock::unix_now();
            self.update(|entry| entry.joined(&record, lifetime, unix));
        }
        let lock = self.supervisor.lock().await?;
        let (record, mut host) = (self.store().load()?, self.host());
        if !self.member.known.is_configured && !record.as_ref().is_some_and(is_membership) {
            drop(lock);
            match self.has_left().await {}
        }
        let (target, settings) = self.member.known.target()?;
        let plan = Plan {
            target,
            engines: settings.engines.clone(),
            name: settings.name.clone(),
            budget: settings.budget,
            will_renew: true,
        };
        let now = host.now();
        let apply = record
            .as_ref()
            .filter(|_| self.member.known.is_configured)
            .and_then(|record| memberships::to_apply(self.supervisor.root, settings, record));
        let maintenance = Maintenance { apply, ..maintenance };
        let mut bootstrap = resume(plan, record, self.seed, now)
            .with_settings(settings.recorded(self.id))
            .allowing(maintenance, now);
        match self.drive(&mut bootstrap, &mut host).await {
            Outcome::Joined { record, .. } => {
                let unix = host.now().unix;
                self.update(|entry| entry.joined(&record, lifetime, unix));
                if let Some(note) = &record.fault {
                    tracing::warn!(
                        message_id = milestones::FAILED,
                        kind = note.kind.word(),
                        "{}",
                        note.of_maintenance()
                    );
                }
                Ok(*record)
            }
            Outcome::Failed(fault) => Err(fault),
            Outcome::Left { .. } | Outcome::Due(_) | Outcome::Probed(_) | Outcome::Requested(_) => {
                Err(wrong_outcome())
            }
        }
    }

    /// While a person carries this node's messages, waits until the answer is accepted.
    async fn await_answer(&self) {
        let waits = |record: &Record| {
            let here = facts::machine(self.supervisor.root);
            record.phase == Phase::Requested && record.other_machine(&here).is_none()
        };
        let mut is_said = false;
        loop {
            match self.store().load() {
                Ok(Some(record)) if waits(&record) => {}
                Ok(None) if is_said => match self.has_left().await {},
                _ => return,
            }
            if !is_said {
                is_said = true;
                let doing = format!(
                    "waiting for the answer that a person carries: `enlist accept --target {} FILE`",
                    self.id
                );
                tracing::info!("{doing}");
                self.update(|entry| {
                    entry.doing = doing;
                    entry.phase = PhaseName::Requested;
                });
            }
            timer::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// An operator has run `enlist leave`: waits until it is reloaded.
    async fn has_left(&self) -> Infallible {
        self.update(|entry| entry.state = MembershipState::Left);
        tracing::warn!(
            message_id = milestones::LEFT,
            "this node has left, by `enlist leave`; to join again, run `systemctl reload enlist.service`"
        );
        std::future::pending().await
    }

    /// Monitors a member until it needs maintenance; returns which.
    async fn stay(&mut self, record: Record) -> Maintenance {
        let run = &self.supervisor.settings.run;
        let may_repair = self.last_repair.is_none_or(|last| last.elapsed() >= BETWEEN_REPAIRS);
        let repairs = run.repair && may_repair;
        let mut host = self.host();
        let mut monitor =
            Monitor::new(self.id, record, run.inspect, repairs, self.seed, host.now())
                .renewing_keys(self.key_lifetime());
        let mut observer = DriftReporter::new(self);
        let monitored = Box::pin(drive(&mut monitor, &mut host, &mut observer));
        let outcome = tokio::select! {
            outcome = monitored => outcome,
            never = self.ask_at_intervals() => match never {},
        };
        match outcome {
            Outcome::Due(need) => self.attend_to(need).await,
            _ => Maintenance::default(),
        }
    }

    /// Does what has to be done before the bootstrap; returns what the bootstrap has to do.
    async fn attend_to(&mut self, need: Need) -> Maintenance {
        let budget = self.supervisor.settings.budget;
        match need {
            Need::Renewal => return Maintenance { renew: Some(budget), ..Maintenance::default() },
            Need::Repair => {
                self.last_repair = Some(clock::instant());
                return Maintenance { repair: true, ..Maintenance::default() };
            }
            Need::Rejoin => {
                self.last_repair = Some(clock::instant());
                if let Err(fault) = self.tell_authority(budget).await {
                    self.pause(&fault, 1).await;
                }
            }
            Need::OtherMachine => tracing::warn!(
                message_id = milestones::DAMAGED,
                "the record is another machine's (a copied disk); this machine joins as a new node"
            ),
            Need::Left => match self.has_left().await {},
        }
        self.update(|entry| entry.state = MembershipState::Pending);
        Maintenance::default()
    }

    /// Asks the authority now and then whether it still has this member, and reports if not. Not at the
    /// start: a fleet may start together.
    async fn ask_at_intervals(&self) -> Infallible {
        let is_probed = |known: &Known| known.target().is_ok_and(|(target, _)| target.is_probed());
        let known = &self.member.known;
        let Some(pause) = self.supervisor.settings.run.probe.filter(|_| is_probed(known)) else {
            return std::future::pending().await;
        };
        let store = self.store();
        let recalled = || store.load().ok()?.and_then(|record| standing::recall(&store, &record));
        let mut before = recalled();
        self.update(|entry| entry.absence = before.as_ref().map(|it| it.what.clone()));
        let mut times = 0;
        loop {
            times += 1;
            let stream = backoff::Stream::Probe;
            timer::sleep(backoff::with_jitter(self.seed, stream, times, pause)).await;
            let standing = match Box::pin(standing::ask(self.supervisor.root, known)).await {
                Ok(standing) => standing,
                Err(fault) => {
                    tracing::info!("whether the authority has this node is not known: {fault}");
                    continue;
                }
            };
            let Ok(Some(record)) = store.load() else { continue };
            let now = standing::keep(&store, &record, &standing);
            let is_new = now.as_ref().map(|it| &it.what) != before.as_ref().map(|it| &it.what);
            match &now {
                Some(absence) if is_new => tracing::warn!(
                    message_id = milestones::DAMAGED,
                    "the authority does not have this node any more: {}; to do: {}",
                    absence.what,
                    absence.todo()
                ),
                None if is_new => tracing::info!(
                    message_id = milestones::REPAIRED,
                    "the authority has this node again"
                ),
                _ => {}
            }
            let is_said = matches!(standing, Standing::Present(_) | Standing::Absent { .. });
            self.update(|entry| {
                entry.absence = now.as_ref().map(|it| it.what.clone());
                entry.is_known = is_said.then_some(now.is_none());
            });
            before = now;
        }
    }

    fn key_lifetime(&self) -> Option<Duration> {
        self.member.known.target().ok()?.0.key_lifetime()
    }

    async fn drive(&self, machine: &mut impl StateMachine, host: &mut Host) -> Outcome {
        Box::pin(drive(machine, host, &mut JoinObserver::new(self))).await
    }

    /// Reports a fault that ended a join, and waits before the next one.
    async fn pause(&self, fault: &Fault, tries: u32) {
        let pause = if fault.kind.needs_person() { FOR_A_PERSON } else { BETWEEN_JOINS };
        let pause = backoff::with_jitter(self.seed, backoff::Stream::Rejoin, tries, pause);
        let now = clock::unix_now();
        let next = now.saturating_add(i64::try_from(pause.as_secs()).unwrap_or(i64::MAX));
        let next = text::moment(now, next);
        tracing::error!(
            message_id = milestones::FAILED,
            kind = fault.kind.word(),
            "{}; the next try is at {next}",
            fault.sentence()
        );
        self.update(|entry| {
            entry.doing = format!("{}; the next try is at {next}", fault.line());
            if !entry.is_member() && !fault.is_retried() {
                entry.gave_up(fault);
            }
        });
        timer::sleep(pause).await;
    }

    /// Changes the target's entry in the status table.
    pub fn update(&self, change: impl FnOnce(&mut Entry)) {
        self.supervisor.update(self.index, change);
    }

    fn host(&self) -> Host {
        self.member.access.host(self.supervisor.root, self.id)
    }

    fn store(&self) -> Store {
        Store::new(self.supervisor.root.clone(), self.id)
    }
}

fn wrong_outcome() -> Fault {
    let todo = "this is a bug in enlist; please report it";
    Fault::new(Kind::Invariant, "a state machine ended with another's outcome", "the daemon", todo)
}
