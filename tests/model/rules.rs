//! What has to hold at every step.

use std::time::Duration;

use enlist::bootstrap::{Effect, Now, Phase, Record};
use enlist::targets::Request;

/// The documented arrows, each phase to itself included.
const ARROWS: [(Phase, &[Phase]); 5] = [
    // An activation that was made elsewhere needs no creating.
    (Phase::New, &[Phase::New, Phase::Creating, Phase::Installing]),
    (Phase::Creating, &[Phase::Creating, Phase::Watching, Phase::Installing]),
    (Phase::Watching, &[Phase::Watching, Phase::Installing, Phase::Creating, Phase::New]),
    // What the facts show to be installed need not be written as being installed first.
    (Phase::Installing, &[Phase::Installing, Phase::Joined, Phase::Creating]),
    (Phase::Joined, &[Phase::Joined]),
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
        assert_eq!(record.phase, Phase::Creating, "not written ahead: {request:?}");
        assert!(record.name.is_some() && record.machine.is_some());
        self.created += 1;
        assert!(record.attempts >= self.created, "{} attempts on disk", record.attempts);
        if let Request::AssociateNode { .. } = request {
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
        matches!(
            effect,
            Effect::Call(Request::DescribeInstances { .. } | Request::DescribeActivations { .. })
        )
    }

    pub fn settled(&mut self, asked: bool) {
        self.is_in_doubt &= !asked;
    }

    pub fn written(before: Option<&Record>, after: &Record) {
        let from = before.map_or(Phase::New, |record| record.phase);
        let (_, to) = ARROWS.iter().find(|(phase, _)| *phase == from).unwrap();
        assert!(to.contains(&after.phase), "{from:?} became {:?}", after.phase);
        assert!(before.is_none_or(|before| before.attempts <= after.attempts));
        assert!(after.ticket.is_some() || after.phase != Phase::Watching, "no ticket to watch");
        let needs_grant = matches!(after.phase, Phase::Installing | Phase::Joined);
        assert!(after.grant.is_some() || !needs_grant, "nothing was granted");
    }
}

pub fn creates(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Call(
            Request::AssociateNode { .. }
                | Request::RegisterInstance(_)
                | Request::CreateActivation(_)
        )
    )
}
