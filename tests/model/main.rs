//! The core against a reference model, with random failures, lost replies and crashes. The rules of
//! the design hold at every step, and once nothing fails any more the node joins.
//!
//! `PROPTEST_CASES=100000 cargo test --test model` tries more cases.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod authority;
mod chef_server;
mod puppet_ca;
mod rules;
#[allow(dead_code, reason = "shared with the fuzz targets, which use all of it")]
#[path = "../../fuzz/bodies/world.rs"]
mod world;

use std::time::Duration;

use enlist::bootstrap::{Effect, Event, Now, Outcome, Plan, Record, StateMachine, resume};
use enlist::config::Settings;
use enlist::fault::{Fault, Kind};
use proptest::prelude::*;

use authority::Authority;
use rules::{Rules, creates};

/// What happens to one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Fine,
    /// It fails without effect, and the host knows that.
    Refused(Kind),
    /// It fails without effect, and the host does not know that.
    LostBefore(Kind),
    /// It takes effect, and the host does not know that.
    LostAfter(Kind),
    /// The process ends before it or after it.
    CrashBefore,
    CrashAfter,
    /// The authority has not decided, refuses, or does not know the ticket any more.
    Slow,
    Refuses,
    Forgotten,
    /// A spurious wake-up comes before it.
    SpuriousWake,
    /// The wall clock jumps by so many days before it.
    ClockJump(i16),
}

fn fate() -> impl Strategy<Value = Fate> {
    let kind = prop_oneof![
        4 => Just(Kind::Transient), 1 => Just(Kind::Denied), 1 => Just(Kind::Protocol),
        1 => Just(Kind::Rejected), 1 => Just(Kind::Host),
    ];
    prop_oneof![
        8 => Just(Fate::Fine),
        2 => kind.clone().prop_map(Fate::Refused),
        2 => kind.clone().prop_map(Fate::LostBefore),
        2 => kind.prop_map(Fate::LostAfter),
        2 => Just(Fate::CrashBefore),
        2 => Just(Fate::CrashAfter),
        1 => Just(Fate::Slow),
        1 => Just(Fate::Refuses),
        1 => Just(Fate::Forgotten),
        1 => Just(Fate::SpuriousWake),
        1 => any::<i16>().prop_map(Fate::ClockJump),
    ]
}

/// The settings of each target that is driven.
const TARGETS: [&str; 11] = [
    "[opsworks-cm]\nserver = \"p\"\n",
    "[opsworks-cm]\nserver = \"p\"\nendpoint = \"puppet.example\"\nca_file = \"/ca.pem\"\n",
    "[opsworks-cm]\nserver = \"p\"\nengine = \"chef\"\n",
    "[opsworks]\nstack_id = \"2f18b4cb-4de5-4429-a149-ff7da9f0d8ee\"\n",
    "[ssm]\niam_role = \"r\"\non_ec2 = true\n",
    "[ssm]\niam_role = \"r\"\non_ec2 = true\nhand_over = \"file\"\n",
    "[ssm]\nactivation_id = \"11111111-2222-3333-4444-555555555555\"\nactivation_code_file = \"/c\"\non_ec2 = true\n",
    "[opsworks]\nstack_id = \"2f18b4cb-4de5-4429-a149-ff7da9f0d8ee\"\ninfrastructure = \"on-premises\"\nprivate_ip = \"10.0.0.1\"\n",
    "[puppet-server]\nserver = \"puppet.example\"\nca_file = \"/ca.pem\"\n",
    "[chef-server]\nurl = \"https://chef.example/organizations/o\"\nvalidator_key = { file = \"/v\" }\n",
    "[chef-server]\nurl = \"https://goiardi.example\"\nvalidator_name = \"o-validator\"\nvalidator_key = { file = \"/v\" }\n",
];
const CHEF: usize = 2;
const ON_PREMISES: usize = 7;
const PUPPET_SERVER: usize = 8;
const CHEF_SERVER: usize = 9;
const GOIARDI: usize = 10;

proptest! {
    #![proptest_config(ProptestConfig {
        // Inputs are shrunk within seconds, and a seed in a file would become outdated.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_rules_hold_at_every_step_and_the_node_joins(
        which in 0..TARGETS.len(),
        seed in any::<u64>(),
        budget in 1..600u64,
        fates in prop::collection::vec(fate(), 0..60),
    ) {
        Run::new(which, seed, Duration::from_secs(budget), fates).drive();
    }
}

/// One node, from nothing to joined, over any number of starts.
struct Run {
    which: usize,
    seed: u64,
    budget: Duration,
    fates: std::vec::IntoIter<Fate>,
    now: Now,
    disk: Option<Record>,
    authority: Authority,
    rules: Rules,
}

/// How a start ended.
enum Ended {
    Joined,
    Failed,
    Crashed,
}

impl Run {
    fn new(which: usize, seed: u64, budget: Duration, fates: Vec<Fate>) -> Self {
        Self {
            which,
            seed,
            budget,
            fates: fates.into_iter(),
            now: Now { mono: Duration::from_secs(9), unix: world::NOW, skew: 0 },
            disk: None,
            authority: Authority::new(which),
            rules: Rules::new(budget),
        }
    }

    fn plan(&self) -> Plan {
        let text = TARGETS[self.which];
        let mut input = enlist::config::Input::looked_for_in("here".to_owned());
        enlist::config::fragments::add_text(&mut input, text, "f").unwrap();
        let ca = if self.which == PUPPET_SERVER { &puppet_ca::MADE.ca } else { world::CA };
        let settings = Settings::parse(&input, &|_| Ok(ca.to_owned())).unwrap();
        let target = settings.targets().remove(0);
        Plan {
            target,
            engines: settings.engines,
            name: None,
            budget: self.budget,
            will_renew: false,
        }
    }

    fn drive(mut self) {
        for _ in 0..200 {
            if let Ended::Joined = self.start() {
                self.authority.has_one_member(self.which);
                return self.start_again();
            }
        }
        panic!("not joined after 200 starts: {:?}", self.disk);
    }

    /// A node that has joined makes no call when it is started again.
    fn start_again(mut self) {
        let before = self.disk.clone();
        self.fates = Vec::new().into_iter();
        self.authority.is_closed = true;
        assert!(matches!(self.start(), Ended::Joined));
        assert_eq!(self.disk, before);
    }

    fn start(&mut self) -> Ended {
        let mut core = resume(self.plan(), self.disk.clone(), self.seed, self.now);
        self.rules.started(self.now, self.disk.as_ref());
        for _ in 0..2000 {
            let effect = core.poll();
            core.status(self.now);
            assert!(
                effect == core.poll(),
                "poll returns the same effect until its event is handled"
            );
            if let Effect::Finish(outcome) = effect {
                return self.finished(&core, &outcome);
            }
            self.rules.before(&effect, self.now, self.disk.as_ref());
            let mut fate = self.fates.next().unwrap_or(Fate::Fine);
            if fate == Fate::SpuriousWake {
                core.handle(self.now, Event::Woke);
                assert!(core.poll() == effect, "a wake-up changes nothing");
                fate = Fate::Fine;
            }
            if let Fate::ClockJump(days) = fate {
                self.now.unix = world::NOW + i64::from(days) * 86_400;
                fate = Fate::Fine;
            }
            let Some(event) = self.perform(effect, fate) else { return Ended::Crashed };
            core.handle(self.now, event);
        }
        panic!("a start did not end after 2000 effects");
    }

    fn finished(&mut self, core: &impl StateMachine, outcome: &Outcome) -> Ended {
        assert!(matches!(core.poll(), Effect::Finish(_)), "nothing comes after Finish");
        // The next start comes later, with a clock that is correct again.
        self.now.mono += Duration::from_mins(1);
        self.now.unix = world::NOW;
        match outcome {
            Outcome::Joined { record, .. } => {
                assert_eq!(self.disk.as_ref(), Some(&**record), "the joined record is not on disk");
                Ended::Joined
            }
            Outcome::Failed(fault) => {
                assert_ne!(fault.kind, Kind::Invariant, "{fault:?}");
                Ended::Failed
            }
            Outcome::Left { .. } | Outcome::Due(_) | Outcome::Probed(_) | Outcome::Requested(_) => {
                panic!("{outcome:?}")
            }
        }
    }

    /// None: the process ended.
    fn perform(&mut self, effect: Effect, fate: Fate) -> Option<Event> {
        let is_creating = creates(&effect);
        let failed = |kind, doubt: bool| {
            let fault = Fault::new(kind, "it failed", "x", "wait");
            Some(Event::Failed(if doubt { fault.in_doubt() } else { fault }))
        };
        match fate {
            Fate::CrashBefore => None,
            Fate::Refused(kind) => failed(kind, false),
            Fate::LostBefore(kind) => {
                self.rules.in_doubt(is_creating);
                failed(kind, true)
            }
            Fate::LostAfter(kind) => {
                self.rules.in_doubt(is_creating);
                self.done(effect, Fate::Fine);
                failed(kind, true)
            }
            Fate::CrashAfter => {
                self.rules.in_doubt(is_creating);
                self.done(effect, Fate::Fine);
                None
            }
            fate => {
                let is_reconciling = Rules::reconciles(&effect);
                let event = self.done(effect, fate);
                self.rules.reconciled(is_reconciling);
                Some(event)
            }
        }
    }

    fn done(&mut self, effect: Effect, fate: Fate) -> Event {
        // Every effect takes a little time.
        self.now.mono += Duration::from_millis(20);
        match effect {
            Effect::GatherFacts(_) => {
                let mut observed = world::observed();
                let ssm = observed.ssm_agent.as_mut().unwrap();
                ssm.instance.clone_from(&self.authority.vault);
                ssm.handed_over.clone_from(&self.authority.handed_over);
                Event::Facts(Box::new(world::facts()), Box::new(observed))
            }
            Effect::EnsureKey(_) if self.which == PUPPET_SERVER => {
                Event::Key(Box::new(puppet_ca::MADE.key.clone()))
            }
            Effect::EnsureKey(_) => Event::Key(Box::new(world::key_report())),
            Effect::Persist(record) => {
                Rules::written(self.disk.as_ref(), &record);
                assert!(!record.to_text().contains(authority::CODE), "a secret in a record");
                self.disk = Some(*record);
                Event::Persisted
            }
            Effect::Call(request) => Event::Answered(self.authority.answer(request, fate)),
            Effect::SettleHandOver => Event::HandOverSettled,
            Effect::WaitUntil(until) => {
                self.now.mono = self.now.mono.max(until);
                Event::Woke
            }
            Effect::Hold(_) => Event::Held,
            Effect::Release(_) => Event::Released,
            Effect::Install(bundle) => {
                self.authority.install(&bundle);
                Event::Installed(Vec::new())
            }
            Effect::HandOver(wanted) => match self.authority.register(&wanted) {
                Some(id) => Event::HandedOver(id),
                None => Event::Failed(Fault::new(Kind::Transient, "used up", "x", "wait")),
            },
            Effect::Sign(signing) => Event::Signed(chef_server::sign(*signing)),
            Effect::Keep(_) => Event::Kept,
            other => panic!("{other:?} in a join"),
        }
    }
}
