//! The event queue: who does what at which millisecond.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use enlist::fault::{Fault, Kind};
use enlist::targets::{Answer, Request};
use enlist_emulator::control::{
    ControlPlane, ControlSettings, DOCUMENTED, OpsWorksCmSettings, Throttle,
};
use enlist_emulator::http::{AMZ_JSON, Response};
use enlist_emulator::now::Now;

use super::authority::QuickCa;
use super::rng::Rng;
use super::{bootstrap, lower_bound, strategies, wire};

/// There and back: milliseconds. The service sees a call at its beginning.
pub const ROUND_TRIP: u64 = 50;
/// A machine that crashed is back after this: milliseconds.
pub const REBOOT: u64 = 30_000;
/// A crash comes this long after the boot at most: milliseconds.
const EARLY_CRASH: u64 = 4 * ROUND_TRIP;
const LATE_CRASH: u64 = 15_000;
/// A run that takes longer than this has not ended: milliseconds, ten days.
const HORIZON: u64 = 10 * 24 * 3_600_000;

/// The fleet and what befalls it.
#[derive(Clone, Debug)]
pub struct World {
    pub nodes: usize,
    /// Nodes boot within this: milliseconds.
    pub spread_ms: u64,
    /// How long an association is IN_PROGRESS: milliseconds.
    pub association_ms: u64,
    /// How many nodes crash once, at a moment drawn at random: of a thousand. Half of them while
    /// a node that is never throttled makes its first calls, the others in their first 15 s.
    pub crashes: u64,
    /// How many replies are lost after the call had its effect: of a thousand.
    pub losses: u64,
    pub seed: u64,
}

impl Default for World {
    fn default() -> Self {
        Self {
            nodes: 100,
            spread_ms: 60_000,
            association_ms: 20_000,
            crashes: 10,
            losses: 1,
            seed: 1,
        }
    }
}

/// Who boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The real core.
    Enlist,
    /// A script around the AWS CLI: three attempts a call with the CLI's backoff, its waiter of
    /// fifteen polls every 15 s; then it ends.
    Cli,
    /// The same question every 15 s, for ever.
    Fixed,
    /// Doubling from 1 s to 60 s, the same for all nodes, for ever.
    Doubling,
}

impl Strategy {
    pub const ALL: [Self; 4] = [Self::Enlist, Self::Cli, Self::Fixed, Self::Doubling];

    pub fn id(self) -> &'static str {
        match self {
            Self::Enlist => "enlist",
            Self::Cli => "cli",
            Self::Fixed => "fixed",
            Self::Doubling => "doubling",
        }
    }

    fn client(self, index: usize, now_ms: u64, seed: u64) -> Box<dyn Client> {
        match self {
            Self::Enlist => Box::new(bootstrap::Node::new(index, now_ms, seed)),
            other => Box::new(strategies::Script::new(other, index, seed)),
        }
    }
}

/// What a node does next.
pub enum Step {
    Call(Box<Request>),
    /// On the simulation's clock: milliseconds.
    WaitUntil(u64),
    Joined,
    GaveUp,
}

pub trait Client {
    fn step(&mut self, now_ms: u64) -> Step;
    fn reply(&mut self, now_ms: u64, reply: Result<Answer, Fault>);
    /// After a crash.
    fn restart(&mut self, now_ms: u64);
}

/// How it went. Times in seconds.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub strategy: Strategy,
    pub nodes: usize,
    pub spread_ms: u64,
    pub association_ms: u64,
    pub joined: usize,
    /// Names at the authority.
    pub associations: usize,
    /// From the first boot to the last join.
    pub makespan: f64,
    /// The least that any strategy could take.
    pub lower_bound: f64,
    pub calls: usize,
    pub throttled: usize,
    /// From its boot to its join: the longest, the mean and the median.
    pub longest: f64,
    pub mean: f64,
    pub median: f64,
    /// How many had joined by when: sorted, in seconds.
    pub joins: Vec<f64>,
}

struct Machine {
    client: Box<dyn Client>,
    booted: u64,
    /// Before this it can't have joined, whatever it does: milliseconds.
    earliest: u64,
    /// How often it was started: what was under way at a crash is not heard of any more.
    starts: u32,
    joined: Option<u64>,
}

enum Event {
    /// It looks what to do.
    Turn,
    Reply(Result<Answer, Fault>),
    Crash,
    Restart,
}

struct Fleet {
    world: World,
    plane: ControlPlane,
    throttle: Throttle,
    rng: Rng,
    machines: Vec<Machine>,
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    /// What happens, by the number that the queue has it under.
    events: BTreeMap<u64, (u32, Event)>,
    next: u64,
    calls: usize,
    throttled: usize,
}

/// Boots a fleet and waits until every node has joined or given up.
pub fn run(world: &World, strategy: Strategy) -> Outcome {
    let mut fleet = Fleet::new(world, strategy);
    while let Some(Reverse((at, number, index))) = fleet.queue.pop() {
        if at > HORIZON {
            break;
        }
        let (start, event) = fleet.events.remove(&number).expect("it is there");
        let machine = &mut fleet.machines[index];
        if start != machine.starts || machine.joined.is_some() {
            continue;
        }
        match event {
            Event::Turn => {}
            Event::Reply(reply) => machine.client.reply(at, reply),
            Event::Restart => machine.client.restart(at),
            Event::Crash => {
                machine.starts += 1;
                fleet.schedule(at + REBOOT, index, Event::Restart);
                continue;
            }
        }
        fleet.turn(at, index);
    }
    fleet.outcome(strategy)
}

impl Fleet {
    fn new(world: &World, strategy: Strategy) -> Self {
        let settings = ControlSettings {
            // It stands in front: what is throttled need not be kept in the plane's book of calls.
            throttle: None,
            seed: world.seed,
            opsworks_cm: OpsWorksCmSettings {
                association_time: Duration::from_millis(world.association_ms),
                ..OpsWorksCmSettings::default()
            },
            ..ControlSettings::default()
        };
        let start = moment(0);
        let mut fleet = Self {
            world: world.clone(),
            plane: ControlPlane::new(settings, Box::new(QuickCa::new()), start),
            throttle: Throttle::new(Some(DOCUMENTED), start),
            rng: Rng(world.seed),
            machines: Vec::new(),
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            next: 0,
            calls: 0,
            throttled: 0,
        };
        for index in 0..world.nodes {
            let booted = fleet.rng.below(world.spread_ms);
            let crashed = fleet.rng.with_chance(world.crashes).then(|| {
                let window = if fleet.rng.with_chance(500) { EARLY_CRASH } else { LATE_CRASH };
                booted + fleet.rng.below(window)
            });
            let client = strategy.client(index, booted, world.seed);
            let earliest = lower_bound::earliest(booted, crashed, world.association_ms);
            let (starts, joined) = (0, None);
            fleet.machines.push(Machine { client, booted, earliest, starts, joined });
            if let Some(crashed) = crashed {
                fleet.schedule(crashed, index, Event::Crash);
            }
            fleet.schedule(booted, index, Event::Turn);
        }
        fleet
    }

    fn schedule(&mut self, at: u64, index: usize, event: Event) {
        self.queue.push(Reverse((at, self.next, index)));
        self.events.insert(self.next, (self.machines[index].starts, event));
        self.next += 1;
    }

    fn turn(&mut self, at: u64, index: usize) {
        match self.machines[index].client.step(at) {
            Step::Call(request) => self.call(at, index, &request),
            Step::WaitUntil(until) => self.schedule(until.max(at + 1), index, Event::Turn),
            Step::Joined => self.machines[index].joined = Some(at),
            Step::GaveUp => {}
        }
    }

    fn call(&mut self, at: u64, index: usize, request: &Request) {
        self.calls += 1;
        let reply = self.answer(at, request);
        self.schedule(at + ROUND_TRIP, index, Event::Reply(reply));
    }

    fn answer(&mut self, at: u64, request: &Request) -> Result<Answer, Fault> {
        let now = moment(at);
        if !self.throttle.admit(now) {
            self.throttled += 1;
            let body = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
            return wire::answer(request, &Response::new(400, AMZ_JSON, body));
        }
        let response = self.plane.handle(now, &wire::call(request));
        if self.rng.with_chance(self.world.losses) {
            let lost = Fault::new(Kind::Transient, "no answer came", "the authority", "wait");
            return Err(lost.in_doubt());
        }
        wire::answer(request, &response)
    }

    fn outcome(self, strategy: Strategy) -> Outcome {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let mut joins: Vec<f64> =
            self.machines.iter().filter_map(|machine| machine.joined).map(seconds).collect();
        joins.sort_by(f64::total_cmp);
        let waits = self
            .machines
            .iter()
            .filter_map(|machine| machine.joined.map(|joined| seconds(joined - machine.booted)));
        let mut waits: Vec<f64> = waits.collect();
        waits.sort_by(f64::total_cmp);
        let earliest = self.machines.iter().map(|machine| machine.earliest).max().unwrap_or(0);
        let boots: Vec<f64> = self.machines.iter().map(|it| seconds(it.booted)).collect();
        let association = seconds(self.world.association_ms);
        Outcome {
            strategy,
            nodes: self.world.nodes,
            spread_ms: self.world.spread_ms,
            association_ms: self.world.association_ms,
            joined: joins.len(),
            associations: self.plane.opsworks_cm().associations().len(),
            makespan: joins.last().copied().unwrap_or(0.0),
            lower_bound: lower_bound::of_fleet(boots, association).max(seconds(earliest)),
            calls: self.calls,
            throttled: self.throttled,
            longest: waits.last().copied().unwrap_or(0.0),
            mean: waits.iter().sum::<f64>() / waits.len().max(1) as f64,
            median: waits.get(waits.len() / 2).copied().unwrap_or(0.0),
            joins,
        }
    }
}

fn moment(ms: u64) -> Now {
    Now::from_unix_ms(bootstrap::START.unsigned_abs() * 1000 + ms)
}
