//! One node and its authority, in virtual time, with a crash at whatever point is asked for.

use std::path::PathBuf;
use std::time::Duration;

use enlist::bootstrap::{
    Effect, Event, Leave, Maintenance, Now, Outcome, Plan, StateMachine, resume,
};
use enlist::engines::{Bundle, Installed};
use enlist::fault::Fault;
use enlist::host::{Root, Store, engines, install, lock};
use enlist::targets::ssm::api as ssm;
use enlist::targets::{Answer, Request};
use enlist_emulator::control::{
    ControlPlane, ControlSettings, OpsWorksCmSettings, OpsWorksSettings, ServerSpec, StackSpec,
};
use enlist_emulator::http;
use enlist_emulator::now::Now as PlaneNow;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::authority::Registrar;
use super::cases::Case;
use super::replies::{Loss, Reply};
use super::tree::{Tree, locked};
use super::{agent, checks, wire};

/// 2025-01-01T00:00:00Z.
const START: i64 = 1_735_689_600;
/// Longer than a call, shorter than any wait: milliseconds.
const CALL: u64 = 50;
/// Between a crash and the next start: milliseconds.
const RESTART: u64 = 2_000;
/// The process is gone.
pub struct Crash;

pub enum End {
    Crashed,
    Finished(Outcome),
}

pub struct Node {
    pub directory: TempDir,
    pub root: Root,
    pub plane: ControlPlane,
    /// Since the harness began, and when this start began: milliseconds.
    pub clock: u64,
    started: u64,
    /// After so many effects the wall clock jumps by so many seconds.
    pub jump: Option<(usize, i64)>,
    /// Points until the crash.
    plan: Option<usize>,
    /// Points that this start came past.
    pub points: usize,
    pub keys_made: usize,
    /// Activation codes: what must not be written down.
    pub secrets: Vec<String>,
    pub losses: Vec<Loss>,
    /// Every call that had an effect, or may have: action and body.
    pub asked: Vec<(String, Value)>,
    pub runtime: Runtime,
}

impl Node {
    pub fn new(case: &Case) -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let directory = if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        let settings = ControlSettings {
            throttle: None,
            seed: 7,
            opsworks_cm: OpsWorksCmSettings {
                servers: ["puppet-test", "chef-test,engine=Chef"]
                    .map(|spec| format!("name={spec}").parse::<ServerSpec>().unwrap())
                    .to_vec(),
                association_time: Duration::from_secs(3),
                disassociation_time: Duration::from_secs(2),
                ..OpsWorksCmSettings::default()
            },
            opsworks: OpsWorksSettings {
                stacks: vec![StackSpec { fingerprints: case.shows_keys, ..StackSpec::default() }],
                ..OpsWorksSettings::default()
            },
            ..ControlSettings::default()
        };
        let start = PlaneNow::from_unix_seconds(START.unsigned_abs());
        let node = Self {
            root: Root::new(directory.path()),
            directory,
            plane: ControlPlane::new(settings, Box::new(Registrar::new(start)), start),
            clock: 0,
            started: 0,
            jump: None,
            plan: None,
            points: 0,
            keys_made: 0,
            secrets: Vec::new(),
            losses: Vec::new(),
            asked: Vec::new(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        };
        node.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        (case.prepare)(&node);
        node
    }

    /// One start of `enlist join`, with a crash after so many points.
    pub fn join(&mut self, case: &Case, crash: Option<usize>) -> End {
        self.keep_up(case, Maintenance::default(), crash)
    }

    /// The same, and what a member has to do then.
    pub fn keep_up(&mut self, case: &Case, upkeep: Maintenance, crash: Option<usize>) -> End {
        let now = self.start(crash);
        let _lock = self.own_lock();
        let record = self.store(case).load().expect("the record can be read");
        let (target, engines) = (case.target)();
        let plan = Plan { target, engines, name: None, budget: Duration::from_mins(30) };
        let mut machine = resume(plan, record, 7, now).allowing(upkeep, now);
        self.drive(case, &mut machine)
    }

    /// One start of `enlist leave`.
    pub fn leave(&mut self, case: &Case, crash: Option<usize>) -> End {
        let now = self.start(crash);
        let _lock = self.own_lock();
        let record = self.store(case).load().expect("the record can be read");
        let budget = Duration::from_mins(30);
        let (target, engines) = (case.target)();
        let mut machine = Leave::new(target, engines, record, budget, 7, now);
        self.drive(case, &mut machine)
    }

    /// A program that another test is just starting may hold it for a moment (fork copies it).
    fn own_lock(&self) -> lock::InstanceLock {
        for _ in 0..1000 {
            if let Some(lock) = lock::try_acquire(&self.root).unwrap() {
                return lock;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("somebody holds the lock of {}", self.directory.path().display());
    }

    pub fn store(&self, case: &Case) -> Store {
        Store::new(self.root.clone(), case.word)
    }

    pub fn tree(&self) -> Tree {
        Tree::read(self.directory.path())
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path.trim_start_matches('/'))
    }

    pub fn is_directory(&self, path: &std::path::Path) -> bool {
        self.directory.path().join(path).is_dir()
    }

    pub fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn plane_now(&self) -> PlaneNow {
        PlaneNow::from_unix_ms(START.unsigned_abs() * 1000 + self.clock)
    }

    fn start(&mut self, crash: Option<usize>) -> Now {
        if self.clock > 0 {
            self.clock += RESTART;
        }
        self.started = self.clock;
        self.plan = crash;
        self.points = 0;
        self.now()
    }

    fn now(&self) -> Now {
        let off = self.jump.filter(|(effects, _)| *effects == 0).map_or(0, |(_, seconds)| seconds);
        Now {
            mono: Duration::from_millis(self.clock - self.started),
            unix: START + i64::try_from(self.clock / 1000).unwrap() + off,
            skew: 0,
        }
    }

    fn drive(&mut self, case: &Case, machine: &mut dyn StateMachine) -> End {
        for _ in 0..2000 {
            let now = self.now();
            let effect = machine.poll();
            assert_eq!(effect, machine.poll(), "the same answer until it is handled");
            self.hold_no_secret(&format!("{:?}", machine.status(now)), "the status");
            if self.pass().is_err() {
                return End::Crashed;
            }
            checks::wrote_ahead(self, case, &effect);
            if let Effect::Finish(outcome) = effect {
                return End::Finished(outcome);
            }
            match self.perform(case, effect) {
                Ok(event) => machine.handle(self.now(), event),
                Err(Crash) => return End::Crashed,
            }
        }
        panic!("no end after 2000 effects");
    }

    /// A point at which a process may end.
    pub fn pass(&mut self) -> Result<(), Crash> {
        self.points += 1;
        match &mut self.plan {
            Some(0) => Err(Crash),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn perform(&mut self, case: &Case, effect: Effect) -> Result<Event, Crash> {
        self.jump = self.jump.map(|(effects, seconds)| (effects.saturating_sub(1), seconds));
        let store = self.store(case);
        let unix = self.now().unix;
        let event = match effect {
            Effect::SettleHandOver => agent::settle(self)?.map(|()| Event::HandOverSettled),
            Effect::GatherFacts(wanted) => {
                let observed = self.runtime.block_on(engines::observe(&self.root, wanted.engine));
                observed
                    .map(|observed| Event::Facts(Box::new(self.facts(case)), Box::new(observed)))
            }
            Effect::EnsureKey(spec) => self.on_disk(|node| {
                node.ensure_key(&store, &spec).map(|report| Event::Key(Box::new(report)))
            })?,
            Effect::Persist(record) => {
                self.hold_no_secret(&record.to_text(), "the record");
                self.on_disk(|_| store.persist(&record).map(|()| Event::Persisted))?
            }
            Effect::Call(request) => self.call(&request)?.map(Event::Answered),
            Effect::WaitUntil(mono) => {
                self.clock = self.started + u64::try_from(mono.as_millis()).unwrap() + 1;
                Ok(Event::Woke)
            }
            Effect::Hold(bundle) => self.bundle(&store, &bundle)?.map(|_| Event::Held),
            Effect::Release(bundle) => self.bundle(&store, &bundle)?.map(|_| Event::Released),
            Effect::Install(bundle) => self.bundle(&store, &bundle)?.map(Event::Installed),
            Effect::Clear(bundle) => self.bundle(&store, &bundle)?.map(|_| Event::Cleared),
            Effect::HandOver(wanted) => {
                agent::hand_over(self, &store, &wanted)?.map(Event::HandedOver)
            }
            Effect::Forget => self.on_disk(|_| store.forget(unix).map(|()| Event::Forgotten))?,
            Effect::Keep(evidence) => {
                self.on_disk(|_| store.keep(&evidence, unix).map(|()| Event::Kept))?
            }
            Effect::SetAside(paths) => {
                self.on_disk(|_| store.set_aside(&paths, unix).map(|()| Event::IsAside))?
            }
            Effect::Sign(..) => panic!("nobody has anything signed"),
            Effect::Inspect => panic!("only what stays a member looks after it"),
            Effect::Finish(_) => panic!("nothing to perform"),
        };
        Ok(event.unwrap_or_else(Event::Failed))
    }

    /// Does something to the disk, or as much of it as is done when the process ends.
    pub fn on_disk<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Result<T, Crash> {
        if self.plan.is_none() {
            return Ok(work(self));
        }
        let before = self.tree();
        let result = work(self);
        let after = self.tree();
        if !self.pass_all(before.states_between(&after)) {
            self.pass_through(&after, before.states_towards(&after))?;
        }
        Ok(result)
    }

    /// Comes past so many points at once, where the crash is not among them.
    fn pass_all(&mut self, points: usize) -> bool {
        match &mut self.plan {
            Some(left) if *left >= points => *left -= points,
            _ => return false,
        }
        self.points += points;
        true
    }

    /// Comes past each of these states, or ends in one.
    pub fn pass_through(&mut self, now: &Tree, states: Vec<Tree>) -> Result<(), Crash> {
        for state in states {
            if self.pass().is_err() {
                now.make_so(self.directory.path(), &state);
                return Err(Crash);
            }
        }
        Ok(())
    }

    /// Action by action where a crash may come in between, with the engine's lock as it then is.
    fn bundle(
        &mut self,
        store: &Store,
        bundle: &Bundle,
    ) -> Result<Result<Vec<Installed>, Fault>, Crash> {
        let root = self.root.clone();
        if self.plan.is_none() {
            return Ok(self.runtime.block_on(install::perform(&root, store, bundle)));
        }
        let mut installed = Vec::new();
        for action in &bundle.actions {
            let one = Bundle { actions: vec![action.clone()], ..bundle.clone() };
            let before = self.tree();
            let done = self.runtime.block_on(install::perform(&root, store, &one));
            let after = self.tree();
            match done {
                Ok(files) => installed.extend(files),
                Err(fault) => return Ok(Err(fault)),
            }
            if !self.pass_all(before.states_between(&after)) {
                let states = before.states_towards(&after).into_iter();
                let states = states
                    .map(|state| locked(state, bundle.lock.as_ref().map(|lock| &lock.at)))
                    .collect();
                self.pass_through(&after, states)?;
            }
        }
        self.pass()?;
        Ok(Ok(installed))
    }

    fn call(&mut self, request: &Request) -> Result<Result<Answer, Fault>, Crash> {
        let response = self.ask(&wire::call(request));
        if let Ok(response) = &response
            && let Ok(Answer::SystemsManager(ssm::Answer::Created { code: Some(code), .. })) =
                wire::answer(request, response)
        {
            self.secrets.push(code.expose().to_owned());
        }
        self.pass()?;
        Ok(match response {
            Ok(response) => wire::answer(request, &response),
            Err(fault) => Err(fault),
        })
    }

    /// A call and its reply, whatever becomes of either on the way.
    pub fn ask(&mut self, request: &http::Request) -> Result<http::Response, Fault> {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let target = request.header("x-amz-target").unwrap_or_default();
        let action = target.split('.').nth(1).unwrap_or_default().to_owned();
        let reply = Reply::of(&mut self.losses, &action, self.asked.len());
        self.asked.push((action, body));
        self.clock += CALL;
        let now = self.plane_now();
        let arrives = reply.arrives();
        let response = arrives.then(|| self.plane.handle(now, request));
        self.clock += reply.takes();
        reply.becomes(response)
    }

    pub fn hold_no_secret(&self, text: &str, what: &str) {
        assert!(!text.contains("PRIVATE KEY"), "{what} holds a private key");
        for secret in &self.secrets {
            assert!(!text.contains(secret.as_str()), "{what} holds an activation code");
        }
    }
}
