//! One node and its authority, in virtual time. A start can be made to crash at any point.

use std::path::PathBuf;
use std::time::Duration;

use enlist::bootstrap::{
    ByHand, Effect, Event, Leave, Maintenance, Now, Outcome, Plan, StateMachine, resume,
};
use enlist::fault::Fault;
use enlist::host::{Root, Store, engines, lock, signing};
use enlist::secret::{Secret, SecretSource};
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
use super::puppet_ca::Signs;
use super::replies::{Loss, Reply};
use super::tree::Tree;
use super::{agent, checks, chef_server, puppet_ca, wire};

/// 2025-01-01T00:00:00Z.
pub const START: i64 = 1_735_689_600;
/// The duration of a call, in milliseconds: shorter than any wait.
const CALL: u64 = 50;
/// The time between two starts, in milliseconds.
const RESTART: u64 = 2_000;
/// The start was ended by its planned crash.
pub struct Crash;

pub enum End {
    Crashed,
    Finished(Outcome),
}

pub struct Node {
    pub directory: TempDir,
    pub root: Root,
    pub plane: ControlPlane,
    /// Milliseconds since the harness began: now, and when this start began.
    pub clock: u64,
    started: u64,
    /// After so many effects, the wall clock jumps by so many seconds.
    pub jump: Option<(usize, i64)>,
    /// How many points are left until the planned crash.
    pub crash_after: Option<usize>,
    /// How many points this start has passed.
    pub points: usize,
    pub keys_made: usize,
    /// Activation codes, which must not be in any file or message.
    pub secrets: Vec<String>,
    pub losses: Vec<Loss>,
    /// Every call: action and body.
    pub asked: Vec<(String, Value)>,
    /// Who signs at the Puppet CA, and since when a request waits there.
    pub signs: Signs,
    pub waits_since: Option<u64>,
    /// How often the Puppet CA's admin has cleaned this node's name.
    pub cleaned: usize,
    /// Whether its certificate was to be renewed.
    pub is_renewed: bool,
    /// Whether a leave has said what the Puppet CA's admin runs.
    pub told_admin: bool,
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
            puppet_ca: puppet_ca::policy(case.signs),
            chef: chef_server::settings(),
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
            crash_after: None,
            points: 0,
            keys_made: 0,
            secrets: Vec::new(),
            losses: Vec::new(),
            asked: Vec::new(),
            signs: case.signs,
            waits_since: None,
            cleaned: 0,
            is_renewed: false,
            told_admin: false,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        };
        node.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        (case.prepare)(&node);
        node
    }

    /// One start of `enlist join`, with a crash after so many points.
    pub fn join(&mut self, case: &Case, crash: Option<usize>) -> End {
        self.maintain(case, Maintenance::default(), crash)
    }

    /// One start of `enlist join` with this maintenance allowed.
    pub fn maintain(&mut self, case: &Case, maintenance: Maintenance, crash: Option<usize>) -> End {
        self.is_renewed |= maintenance.renew.is_some();
        self.begin(case, maintenance, None, crash)
    }

    /// One start in which a person carries the messages.
    pub fn carry(&mut self, case: &Case, way: ByHand, crash: Option<usize>) -> End {
        self.begin(case, Maintenance::default(), Some(way), crash)
    }

    fn begin(
        &mut self,
        case: &Case,
        maintenance: Maintenance,
        way: Option<ByHand>,
        crash: Option<usize>,
    ) -> End {
        let now = self.start(crash);
        let _lock = self.take_lock();
        let record = self.store(case).load().expect("the record can be read");
        let (target, engines) = (case.target)();
        let plan = Plan {
            target,
            engines,
            name: None,
            budget: Duration::from_mins(30),
            will_renew: maintenance.renew.is_some(),
        };
        let machine = resume(plan, record, 7, now).allowing(maintenance, now);
        let mut machine = match way {
            Some(way) => machine.by_hand(way),
            None => machine,
        };
        self.drive(case, &mut machine)
    }

    /// One start of `enlist leave`.
    pub fn leave(&mut self, case: &Case, crash: Option<usize>) -> End {
        let now = self.start(crash);
        let _lock = self.take_lock();
        let record = self.store(case).load().expect("the record can be read");
        let budget = Duration::from_mins(30);
        let (target, engines) = (case.target)();
        let mut machine = Leave::new(target, engines, record, budget, 7, now);
        self.drive(case, &mut machine)
    }

    /// Takes the lock. A process that another test is starting may hold it for a moment (after fork).
    fn take_lock(&self) -> lock::InstanceLock {
        for _ in 0..1000 {
            if let Some(lock) = lock::try_acquire(&self.root).unwrap() {
                return lock;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("another process holds the lock of {}", self.directory.path().display());
    }

    pub fn store(&self, case: &Case) -> Store {
        Store::new(self.root.clone(), case.id)
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
        self.crash_after = crash;
        self.points = 0;
        self.now()
    }

    /// Unix seconds by the node's clock.
    pub fn unix(&self) -> i64 {
        self.now().unix
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
            assert_eq!(
                effect,
                machine.poll(),
                "poll returns the same effect until its event is handled"
            );
            let status = format!("{:?}", machine.status(now));
            self.assert_no_secret(&status, "the status");
            self.told_admin |= status.contains("run `puppetserver ca clean");
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
                self.assert_no_secret(&record.to_text(), "the record");
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
            Effect::Sign(signing) => {
                let secret = signing.secret().map(|source| self.secret(source));
                signing::sign(&self.root, *signing, secret).map(Event::Signed)
            }
            Effect::Inspect => panic!("a join does not inspect"),
            Effect::Finish(_) => panic!("nothing to perform"),
        };
        Ok(event.unwrap_or_else(Event::Failed))
    }

    fn call(&mut self, request: &Request) -> Result<Result<Answer, Fault>, Crash> {
        let answer = match request {
            Request::PuppetCa(request) => self
                .ask(&puppet_ca::call(request))
                .and_then(|response| puppet_ca::answer(request, &response))
                .map(Answer::from),
            Request::ChefServer(request) => self
                .ask(&chef_server::call(request))
                .and_then(|response| chef_server::answer(request, &response))
                .map(Answer::from),
            _ => {
                self.ask(&wire::call(request)).and_then(|response| wire::answer(request, &response))
            }
        };
        if let Ok(Answer::SystemsManager(ssm::Answer::Created { code: Some(code), .. })) = &answer {
            self.secrets.push(code.expose().to_owned());
        }
        self.pass()?;
        Ok(answer)
    }

    /// Makes a call with its planned loss.
    pub fn ask(&mut self, request: &http::Request) -> Result<http::Response, Fault> {
        let of_puppet_ca = puppet_ca::action(request);
        let of_chef = chef_server::action(request);
        let (action, body, throttled) =
            if let Some(action) = of_puppet_ca.as_ref().or(of_chef.as_ref()) {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                (action.clone(), Value::from(body), 429)
            } else {
                let body = serde_json::from_slice(&request.body).unwrap();
                let target = request.header("x-amz-target").unwrap_or_default();
                (target.split('.').nth(1).unwrap_or_default().to_owned(), body, 400)
            };
        let reply = Reply::of(&mut self.losses, &action, self.asked.len());
        self.asked.push((action, body));
        self.clock += CALL;
        let now = self.plane_now();
        let arrives = reply.arrives();
        if of_puppet_ca.is_some() {
            self.person_signs();
        }
        let response = arrives.then(|| match of_puppet_ca {
            Some(_) => puppet_ca::handle(&mut self.plane, now, request),
            None if of_chef.is_some() => chef_server::handle(&mut self.plane, now, request),
            None => self.plane.handle(now, request),
        });
        self.clock += reply.takes();
        reply.becomes(response, throttled)
    }

    fn secret(&self, source: &SecretSource) -> Secret {
        let SecretSource::File(path) = source else { panic!("{source:?}") };
        Secret::new(std::fs::read_to_string(self.path(path)).unwrap())
    }

    pub fn assert_no_secret(&self, text: &str, what: &str) {
        assert!(!text.contains("PRIVATE KEY"), "{what} contains a private key");
        for secret in &self.secrets {
            assert!(!text.contains(secret.as_str()), "{what} contains an activation code");
        }
    }
}
