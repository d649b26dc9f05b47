//! What has to hold at every step.

use std::time::Duration;

use enlist::bootstrap::{Effect, Now, PhaseName, Record};
use enlist::targets::{Call, Request};

/// The documented transitions, each phase to itself included.
const TRANSITIONS: [(PhaseName, &[PhaseName]); 5] = [
    // An activation that was made elsewhere needs no creating.
    (PhaseName::New, &[PhaseName::New, PhaseName::Creating, PhaseName::Installing]),
    (PhaseName::Creating, &[PhaseName::Creating, PhaseName::Watching, PhaseName::Installing]),
    (
        PhaseName::Watching,
        &[PhaseName::Watching, PhaseName::Installing, PhaseName::Creating, PhaseName::New],
    ),
    // What the facts show to be installed need not be written as being installed first.
    (PhaseName::Installing, &[PhaseName::Installing, PhaseName::Joined, PhaseName::Creating]),
    (PhaseName::Joined, &[PhaseName::Joined]),
];

pub struct Rules {
    budget: Duration,
    /// When the budget of this start ends.
    end: Duration,
    /// Creating calls so far, and what they asked.
    created: u32,
    asked_with: Option<Request>,
    /// A creating call may have taken effect, and nobody has looked since.
    is_in_doubt: bool,
}

impl Rules {
    pub fn new(budget: Duration) -> Self {
        Self { budget, end: Duration::ZERO, created: 0, asked_with: None, is_in_doubt: false }
    }

    /// What earlier starts spent counts, unless they came to a verdict.
    pub fn started(&mut self, now: Now, disk: Option<&Record>) {
        let open = disk.filter(|record| record.fault.as_ref().is_none_or(|fault| !fault.is_final));
        let spent = open.map_or(Duration::ZERO, |record| Duration::from_millis(record.elapsed_ms));
        self.end = now.mono + self.budget.saturating_sub(spent);
    }

    pub fn before(&mut self, effect: &Effect, now: Now, disk: Option<&Record>) {
        if let Effect::WaitUntil(until) = effect {
            assert!(*until > now.mono, "a wait for what is past");
            assert!(*until <= self.end.max(now.mono), "a wait beyond the budget");
        }
        let Effect::Call(request) = effect else { return };
        if !creates(effect) {
            return;
        }
        let record = disk.unwrap();
        assert_eq!(record.phase.name(), PhaseName::Creating, "not written ahead: {request:?}");
        assert!(record.name.is_some() && record.machine.is_some());
        self.created += 1;
        assert!(record.attempts >= self.created, "{} attempts on disk", record.attempts);
        if request.action() == "AssociateNode" {
            // Decision 0001: asked again with the same name and the same key.
            let first = self.asked_with.get_or_insert_with(|| request.clone());
            assert_eq!(first, request, "asked again, and otherwise");
        } else {
            assert!(!self.is_in_doubt, "created again without having looked: {request:?}");
        }
    }

    pub fn in_doubt(&mut self, is_creating: bool) {
        self.is_in_doubt |= is_creating;
    }

    /// Whether this is the question that settles a doubt.
    pub fn settles(effect: &Effect) -> bool {
        asks(effect, &["DescribeInstances", "DescribeActivations"])
    }

    pub fn settled(&mut self, asked: bool) {
        self.is_in_doubt &= !asked;
    }

    pub fn written(before: Option<&Record>, after: &Record) {
        let from = before.map_or(PhaseName::New, |record| record.phase.name());
        let (_, to) = TRANSITIONS.iter().find(|(phase, _)| *phase == from).unwrap();
        let after_name = after.phase.name();
        assert!(to.contains(&after_name), "{from:?} became {after_name:?}");
        assert!(before.is_none_or(|before| before.attempts <= after.attempts));
    }
}

pub fn creates(effect: &Effect) -> bool {
    asks(effect, &["AssociateNode", "RegisterInstance", "CreateActivation"])
}

fn asks(effect: &Effect, actions: &[&str]) -> bool {
    matches!(effect, Effect::Call(request) if actions.contains(&request.action()))
}
