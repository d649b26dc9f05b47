//! The rules that hold at every step.

use std::time::Duration;

use enlist::bootstrap::{Effect, Now, PhaseName, Record};
use enlist::targets::Request;

/// The documented transitions, and each phase to itself.
const TRANSITIONS: [(PhaseName, &[PhaseName]); 5] = [
    // An activation in the settings needs no creating call.
    (PhaseName::New, &[PhaseName::New, PhaseName::Creating, PhaseName::Installing]),
    (PhaseName::Creating, &[PhaseName::Creating, PhaseName::Watching, PhaseName::Installing]),
    (
        PhaseName::Watching,
        &[PhaseName::Watching, PhaseName::Installing, PhaseName::Creating, PhaseName::New],
    ),
    // A grant that the facts show as installed goes to Joined directly.
    (PhaseName::Installing, &[PhaseName::Installing, PhaseName::Joined, PhaseName::Creating]),
    (PhaseName::Joined, &[PhaseName::Joined]),
];

pub struct Rules {
    budget: Duration,
    /// When the budget of this start ends.
    end: Duration,
    /// How many creating calls there were, and the first one.
    created: u32,
    first_call: Option<Request>,
    /// Whether a creating call may have taken effect that was not reconciled since.
    is_in_doubt: bool,
}

impl Rules {
    pub fn new(budget: Duration) -> Self {
        Self { budget, end: Duration::ZERO, created: 0, first_call: None, is_in_doubt: false }
    }

    /// What earlier starts spent counts, unless the last one ended with a final fault.
    pub fn started(&mut self, now: Now, disk: Option<&Record>) {
        let open = disk.filter(|record| record.fault.as_ref().is_none_or(|fault| !fault.is_final));
        let spent = open.map_or(Duration::ZERO, |record| Duration::from_millis(record.elapsed_ms));
        self.end = now.mono + self.budget.saturating_sub(spent);
    }

    pub fn before(&mut self, effect: &Effect, now: Now, disk: Option<&Record>) {
        if let Effect::WaitUntil(until) = effect {
            assert!(*until > now.mono, "a wait that is over already");
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
        if ["AssociateNode", "PUT certificate_request"].contains(&request.call().action()) {
            // Decisions 0001 and 0015: repeated with the same name and the same key.
            let first = self.first_call.get_or_insert_with(|| request.clone());
            assert_eq!(first, request, "repeated with other contents");
        }
        if request.call().action() != "AssociateNode" {
            assert!(!self.is_in_doubt, "created again without reconciling: {request:?}");
        }
    }

    pub fn in_doubt(&mut self, is_creating: bool) {
        self.is_in_doubt |= is_creating;
    }

    /// Whether this call finds out what became of a creating call.
    pub fn reconciles(effect: &Effect) -> bool {
        asks(
            effect,
            &["DescribeInstances", "DescribeActivations", "GET certificate_request", "GET clients"],
        )
    }

    pub fn reconciled(&mut self, is_reconciling: bool) {
        self.is_in_doubt &= !is_reconciling;
    }

    pub fn written(before: Option<&Record>, after: &Record) {
        let from = before.map_or(PhaseName::New, |record| record.phase.name());
        let may_follow = |from: PhaseName, to: PhaseName| {
            TRANSITIONS.iter().any(|(phase, next)| *phase == from && next.contains(&to))
        };
        let to = after.phase.name();
        // A start after a refused join begins anew: the authority has nothing of this node.
        let begins_anew = from == PhaseName::Creating && before.is_some_and(|r| r.was_refused);
        let follows = may_follow(from, to) || (begins_anew && may_follow(PhaseName::New, to));
        assert!(follows, "{from:?} became {to:?}");
        assert!(to == PhaseName::Creating || to == PhaseName::New || !after.was_refused);
        assert!(before.is_none_or(|before| before.attempts <= after.attempts));
    }
}

pub fn creates(effect: &Effect) -> bool {
    asks(
        effect,
        &[
            "AssociateNode",
            "RegisterInstance",
            "CreateActivation",
            "PUT certificate_request",
            "POST clients",
        ],
    )
}

fn asks(effect: &Effect, actions: &[&str]) -> bool {
    matches!(effect, Effect::Call(request) if actions.contains(&request.call().action()))
}
