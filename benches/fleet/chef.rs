//! Nodes of a Chef server that boot at once, against a server that answers 503 above a limit, as one behind
//! a proxy with `limit_req`. Every node is the real core; the server is a model: a set of clients and nodes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use enlist::bootstrap::{
    Bootstrap, Effect, Event, Now, Outcome as End, Plan, Record, StateMachine, resume,
};
use enlist::config::settings::Settings;
use enlist::config::{Input, fragments};
use enlist::engines::{Installed, Item, KeyReport};
use enlist::fault::{Fault, Kind};
use enlist::host::transports::chef_server::meaning;
use enlist::host::{Environment, HttpClients};
use enlist::targets::chef_server::api::{Action, Answer, Request};
use enlist::targets::{Request as AnyRequest, Signature};
use enlist_emulator::control::{Rate, Throttle};
use enlist_emulator::now::Now as PlaneNow;

use super::authority::shared_key;
use super::bootstrap::{START, name};
use super::puppet_node;
use super::rng::Rng;
use super::simulation::{REBOOT, ROUND_TRIP};

const BUDGET: Duration = Duration::from_hours(4);
const SETTINGS: &str = "[chef-server]\nurl = \"https://chef.example/organizations/acme\"\nvalidator_key = { file = \"/v\" }\n[chef]\nrun_list = [\"recipe[base]\"]\n";
/// What nginx answers.
const BUSY: &str = "<html><head><title>503 Service Temporarily Unavailable</title></head></html>";
/// The requests of a join.
const REQUESTS: usize = 3;

/// The fleet, and the limit.
#[derive(Clone, Debug)]
pub struct World {
    pub nodes: usize,
    pub spread_ms: u64,
    pub per_second: u32,
    pub seed: u64,
}

/// How it went. Times in seconds.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub world: World,
    pub joined: usize,
    /// At the server.
    pub clients: usize,
    pub makespan: f64,
    pub lower_bound: f64,
    pub requests: usize,
    pub refused: usize,
    pub median: f64,
    pub longest: f64,
}

struct Machine {
    index: usize,
    seed: u64,
    core: Bootstrap,
    disk: Option<Record>,
    booted: u64,
    started: u64,
    starts: u32,
    joined: Option<u64>,
}

enum What {
    Turn,
    Reply(Box<Result<Answer, Fault>>),
    Crash,
    Restart,
}

struct Fleet {
    throttle: Throttle,
    http: HttpClients,
    rng: Rng,
    machines: Vec<Machine>,
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: BTreeMap<u64, (u32, What)>,
    next: u64,
    clients: BTreeSet<String>,
    node_objects: BTreeSet<String>,
    requests: usize,
    refused: usize,
}

/// Boots a fleet and waits until every node has joined or given up.
pub fn run(world: &World) -> Outcome {
    let limit = Rate { per_second: world.per_second, burst: world.per_second };
    let mut fleet = Fleet {
        throttle: Throttle::new(Some(limit), moment(0)),
        http: HttpClients::new(&Environment::default()),
        rng: Rng(world.seed),
        machines: Vec::new(),
        queue: BinaryHeap::new(),
        events: BTreeMap::new(),
        next: 0,
        clients: BTreeSet::new(),
        node_objects: BTreeSet::new(),
        requests: 0,
        refused: 0,
    };
    for index in 0..world.nodes {
        let seed = Rng(world.seed ^ Rng(u64::try_from(index).unwrap()).next()).next();
        let booted = fleet.rng.below(world.spread_ms);
        let (disk, starts, joined) = (None, 0, None);
        let core = begin(seed, None);
        fleet.machines.push(Machine {
            index,
            seed,
            core,
            disk,
            booted,
            started: booted,
            starts,
            joined,
        });
        fleet.schedule(booted, index, What::Turn);
        // One in a hundred crashes, early.
        if fleet.rng.with_chance(10) {
            let at = booted + fleet.rng.below(15_000);
            fleet.schedule(at, index, What::Crash);
        }
    }
    while let Some(Reverse((at, number, index))) = fleet.queue.pop() {
        let (start, what) = fleet.events.remove(&number).expect("it is there");
        let machine = &mut fleet.machines[index];
        if start != machine.starts || machine.joined.is_some() {
            continue;
        }
        match what {
            What::Turn => {}
            What::Reply(reply) => machine.reply(at, *reply),
            What::Restart => machine.restart(at),
            What::Crash => {
                machine.starts += 1;
                fleet.schedule(at + REBOOT, index, What::Restart);
                continue;
            }
        }
        fleet.turn(at, index);
    }
    fleet.outcome(world, limit)
}

impl Fleet {
    fn schedule(&mut self, at: u64, index: usize, what: What) {
        self.queue.push(Reverse((at, self.next, index)));
        self.events.insert(self.next, (self.machines[index].starts, what));
        self.next += 1;
    }

    fn turn(&mut self, at: u64, index: usize) {
        match self.machines[index].step(at) {
            Step::Call(request) => {
                let reply = self.answer(at, &request);
                self.schedule(at + ROUND_TRIP, index, What::Reply(Box::new(reply)));
            }
            Step::WaitUntil(until) => self.schedule(until.max(at + 1), index, What::Turn),
            Step::Joined => self.machines[index].joined = Some(at),
            Step::GaveUp => {}
        }
    }

    fn answer(&mut self, at: u64, request: &Request) -> Result<Answer, Fault> {
        self.requests += 1;
        if !self.throttle.admit(moment(at)) {
            self.refused += 1;
            return meaning(&self.http, request, 503, BUSY.into());
        }
        let answer = match &request.action {
            Action::GetVersions => Answer::Versions(Some((0, 2))),
            Action::CreateClient { name, .. } if self.clients.insert(name.clone()) => {
                Answer::Created
            }
            Action::GetClient { name } if self.clients.contains(name) => {
                Answer::Client { name: Some(name.clone()), public_key: None }
            }
            Action::GetClient { .. } => {
                let said = "Failed to authenticate".to_owned();
                let reason = enlist::targets::chef_server::api::Unauthenticated::NoSuchClient;
                Answer::Unauthenticated(reason, said)
            }
            Action::CreateNode { name, .. } if self.node_objects.insert(name.clone()) => {
                Answer::Created
            }
            Action::CreateClient { .. } | Action::CreateNode { .. } => Answer::Taken,
            Action::GetNode { name } => Answer::Node(format!("{{\"name\":\"{name}\"}}")),
            Action::UpdateNode { .. } => Answer::Done,
            other => panic!("{other:?} in a join"),
        };
        if self.rng.with_chance(1) {
            let lost = Fault::new(Kind::Transient, "no answer came", "the server", "wait");
            let creates = matches!(request.action, Action::CreateClient { .. });
            return Err(if creates { lost.in_doubt() } else { lost });
        }
        Ok(answer)
    }

    fn outcome(self, world: &World, limit: Rate) -> Outcome {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let joins = self.machines.iter().filter_map(|it| it.joined);
        let mut waits: Vec<f64> =
            self.machines.iter().filter_map(|it| Some(seconds(it.joined? - it.booted))).collect();
        waits.sort_by(f64::total_cmp);
        Outcome {
            world: world.clone(),
            joined: waits.len(),
            clients: self.clients.len(),
            makespan: seconds(joins.max().unwrap_or(0)),
            lower_bound: self.lower_bound(limit),
            requests: self.requests,
            refused: self.refused,
            median: waits.get(waits.len() / 2).copied().unwrap_or(0.0),
            longest: waits.last().copied().unwrap_or(0.0),
        }
    }

    /// What no strategy can beat: the nodes that boot from some moment on need three requests each through a
    /// bucket that is full at best.
    fn lower_bound(&self, limit: Rate) -> f64 {
        let mut boots: Vec<u64> = self.machines.iter().map(|it| it.booted).collect();
        boots.sort_unstable_by(|one, other| other.cmp(one));
        let bounds = boots.iter().zip(1usize..).map(|(boot, nodes)| {
            let over = (REQUESTS * nodes) as f64 - f64::from(limit.burst);
            *boot as f64 / 1000.0 + over.max(0.0) / f64::from(limit.per_second)
        });
        bounds.fold(0.0, f64::max)
    }
}

enum Step {
    Call(Box<Request>),
    WaitUntil(u64),
    Joined,
    GaveUp,
}

impl Machine {
    fn now(&self, now_ms: u64) -> Now {
        Now {
            mono: Duration::from_millis(now_ms - self.started),
            unix: START + i64::try_from(now_ms / 1000).unwrap(),
            skew: 0,
        }
    }

    fn step(&mut self, now_ms: u64) -> Step {
        let now = self.now(now_ms);
        loop {
            let event = match self.core.poll() {
                Effect::Call(AnyRequest::ChefServer(request)) => {
                    return Step::Call(Box::new(request));
                }
                Effect::WaitUntil(mono) if mono <= now.mono => Event::Woke,
                Effect::WaitUntil(mono) => {
                    let until = u64::try_from(mono.as_nanos().div_ceil(1_000_000)).unwrap();
                    return Step::WaitUntil(self.started + until);
                }
                Effect::Finish(End::Joined { .. }) => return Step::Joined,
                Effect::Finish(_) => return Step::GaveUp,
                Effect::GatherFacts(_) => puppet_node::facts(&name(self.index)),
                Effect::EnsureKey(_) => Event::Key(Box::new(KeyReport {
                    public: shared_key().clone(),
                    csr: None,
                    is_installed: false,
                })),
                // Making and checking signatures would be all that is measured.
                Effect::Sign(signing) => {
                    Event::Signed(Signature { bytes: signing.bytes, signature: vec![0; 256] })
                }
                Effect::Persist(record) => {
                    self.disk = Some(*record);
                    Event::Persisted
                }
                Effect::Hold(_) => Event::Held,
                Effect::Install(_) => Event::Installed(vec![Installed::new(Item::Key, "/k")]),
                Effect::Keep(_) => Event::Kept,
                other => panic!("{other:?} in a join of a Chef server"),
            };
            self.core.handle(now, event);
        }
    }

    fn reply(&mut self, now_ms: u64, reply: Result<Answer, Fault>) {
        let now = self.now(now_ms);
        let event = reply.map_or_else(Event::Failed, |answer| Event::Answered(answer.into()));
        self.core.handle(now, event);
    }

    fn restart(&mut self, now_ms: u64) {
        self.started = now_ms;
        self.core = begin(self.seed, self.disk.clone());
    }
}

fn begin(seed: u64, record: Option<Record>) -> Bootstrap {
    let mut input = Input::default();
    fragments::add_text(&mut input, SETTINGS, "the bench").unwrap();
    let settings = Settings::parse(&input, &|path| Err(format!("{path}: no file here"))).unwrap();
    let target = settings.targets().remove(0);
    let plan =
        Plan { target, engines: settings.engines, name: None, budget: BUDGET, will_renew: false };
    let unix = record.as_ref().map_or(START, |record| record.since);
    resume(plan, record, seed, Now { mono: Duration::ZERO, unix, skew: 0 })
}

fn moment(ms: u64) -> PlaneNow {
    PlaneNow::from_unix_ms(START.unsigned_abs() * 1000 + ms)
}

/// One line for the terminal.
pub fn line(it: &Outcome) -> String {
    format!(
        "{:>6} Chef nodes within {} s, {} requests/s: joined {:>6} (clients {:>6})  makespan {:>7.1} s = {:.3} of the bound {:>6.1} s  \
         requests/node {:.1}  refused/node {:.1}  wait: median {:.1} s, last {:.1} s",
        it.world.nodes,
        it.world.spread_ms / 1000,
        it.world.per_second,
        it.joined,
        it.clients,
        it.makespan,
        it.makespan / it.lower_bound,
        it.lower_bound,
        it.requests as f64 / it.world.nodes as f64,
        it.refused as f64 / it.world.nodes as f64,
        it.median,
        it.longest,
    )
}
