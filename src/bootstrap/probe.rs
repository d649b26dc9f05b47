//! Asks the authority what it knows of this node now. Read-only, without retries: the first fault ends
//! it. Pure.

use super::{Effect, Event, Now, Outcome, Phase, PhaseName, Record, Signing, StateMachine, Status};
use crate::engines::{Authority, Engine, Engines, FactsWanted, NodeContext, Observed};
use crate::facts::Facts;
use crate::fault::Fault;
use crate::targets::{Answer, Member, Question, Standing, Target, ToSign, invariant, state_dir};

/// The question to one authority.
pub struct Probe {
    target: Box<dyn Target>,
    engines: Engines,
    record: Record,
    facts: Option<(Facts, Observed)>,
    answers: Vec<Answer>,
    next: Effect,
}

impl Probe {
    /// Asks about the membership of this record. Without one, asks only whether the authority is there.
    #[must_use]
    pub fn new(
        target: Box<dyn Target>,
        engines: Engines,
        record: Option<Record>,
        now: Now,
    ) -> Self {
        let new = || Record::new(target.id(), &target.authority_name(), now.unix);
        let record = record.unwrap_or_else(new);
        let mut probe = Self {
            target,
            engines,
            record,
            facts: None,
            answers: Vec::new(),
            next: Effect::Inspect,
        };
        let engine = probe.engine().wanted(&probe.record.engine);
        probe.next = Effect::GatherFacts(FactsWanted { engine, early_key: None });
        probe
    }

    fn engine(&self) -> &dyn Engine {
        let authority = self.record.membership().authority;
        self.engines.get(authority.map_or_else(|| self.target.engine(), Authority::engine))
    }

    fn take(&mut self, now: Now, event: Event) -> Result<Effect, Fault> {
        match event {
            Event::Facts(facts, observed) => self.facts = Some((*facts, *observed)),
            Event::Answered(answer) => self.answers.push(answer),
            Event::Signed(signature) => self.answers.push(Answer::Signature(signature)),
            Event::Failed(fault) => return Err(fault),
            other => return Err(invariant(&format!("unexpected event {other:?}"))),
        }
        let (facts, observed) =
            self.facts.as_ref().ok_or_else(|| invariant("the facts were not gathered"))?;
        let member = member(&self.record, facts, observed);
        Ok(match self.target.probe(&member, &self.answers, now.unix)? {
            Question::Ask(request) => Effect::Call(request),
            Question::Sign(to_sign) => {
                sign(to_sign, &*self.target, self.engine(), &self.record, self.facts.as_ref())?
            }
            Question::AskLater(_) => Effect::Finish(Outcome::Probed(Standing::Reachable)),
            Question::Done(standing) => Effect::Finish(Outcome::Probed(standing)),
        })
    }
}

/// Signs for a node that may be a member. One without a name or an authority has nothing to sign.
pub(super) fn sign(
    to_sign: ToSign,
    target: &dyn Target,
    engine: &dyn Engine,
    record: &Record,
    gathered: Option<&(Facts, Observed)>,
) -> Result<Effect, Fault> {
    let (Some((facts, observed)), Some(name), Some(authority)) =
        (gathered, &record.name, record.membership().authority)
    else {
        return Err(invariant("there is no key to sign with"));
    };
    let node = NodeContext {
        facts,
        observed,
        name,
        authority,
        additions: target.additions(),
        key: None,
        former: None,
        former_key: record.former_key(),
        will_renew: false,
        state_dir: &state_dir(&record.target),
    };
    // A renewal that has just begun has no new key yet.
    let known = record.key_sha256().or(record.former_key()).map(str::to_owned);
    Signing::of(to_sign, engine, &node, known).map(Effect::sign)
}

/// What a target is told of this node's membership.
pub(super) fn member<'a>(
    record: &'a Record,
    facts: &'a Facts,
    observed: &'a Observed,
) -> Member<'a> {
    Member {
        name: record.name.as_deref(),
        authority: record.membership().authority,
        grant: record.current_grant(),
        is_installed: !record.installed.is_empty(),
        was_attempted: matches!(record.phase, Phase::Leaving { was_attempted: true, .. }),
        mark: record.mark.as_deref().unwrap_or_default(),
        machine: record.machine.as_ref(),
        key_sha1: record.key.as_ref().and_then(|key| key.sha1.as_deref()),
        identity: record.identity(),
        key_sha256: record.key_sha256(),
        has_former_key: record.key.is_some() && record.former_key().is_some(),
        facts,
        observed,
    }
}

impl StateMachine for Probe {
    fn poll(&self) -> Effect {
        self.next.clone()
    }

    fn handle(&mut self, now: Now, event: Event) {
        let next = self.take(now, event);
        self.next = next.unwrap_or_else(|fault| Effect::Finish(Outcome::Failed(fault)));
    }

    fn status(&self, _: Now) -> Status {
        let authority = self.target.authority_name();
        Status {
            target: self.target.id(),
            phase: if self.record.is_member() { PhaseName::Joined } else { PhaseName::New },
            name: self.record.name.clone(),
            doing: self.next.describe(&authority),
            waiting: None,
            failures: 0,
            fault: None,
            findings: Vec::new(),
            steps: Vec::new(),
            authority,
        }
    }
}
