//! What comes next, decided once: the effect that the phase and what is known ask for.

use std::ops::ControlFlow::{self, Break, Continue};

use super::{Bootstrap, Effect, Fault, Key, Kind, Now, Phase, StepKind};
use crate::engines::{
    EngineRecord, FactsWanted, Grant, Installation, KeySpec, NodeContext, Observed,
};
use crate::targets::{Creation, Decision, Question, Reconciled, invariant};

impl Bootstrap {
    /// Decides the next effect, unless there is one, or nothing but time or the end is ahead. A
    /// fault on the way is what the journal waits out or ends with.
    pub(super) fn decide(&mut self, now: Now) -> bool {
        let mut is_well = true;
        while self.decided.is_none() && !self.journal.is_waiting_or_over() {
            match self.step(now) {
                Ok(effect) => self.decided = effect,
                Err(fault) => {
                    is_well = false;
                    self.fail(now, fault);
                }
            }
        }
        is_well
    }

    /// One step: an effect, or none where what is known got one step further without any.
    fn step(&mut self, now: Now) -> Result<Option<Effect>, Fault> {
        if let Some(files) = &self.other_machines_files {
            return Ok(Some(Effect::SetAside(files.clone())));
        }
        if self.facts.is_none() {
            return Ok(Some(self.gather()));
        }
        if matches!(self.journal.working.phase, Phase::Joined { .. }) {
            return Ok(Some(Effect::Finish(self.joined(true))));
        }
        if self.authority.is_none() {
            return self.discover();
        }
        if !self.hold_is_done {
            return self.hold();
        }
        if let Key::Unknown = self.key {
            return self.ensure_key();
        }
        match self.journal.working.phase.clone() {
            Phase::New => self.create(now),
            Phase::Creating if self.is_in_doubt => self.reconcile(now),
            Phase::Creating => self.create_again(now),
            Phase::Watching { ticket } => self.wait(now, &ticket),
            Phase::Installing { grant, .. } => self.install(now, &grant),
            Phase::Joined { .. } | Phase::Leaving { .. } => Err(invariant("there is no next step")),
        }
    }

    fn gather(&self) -> Effect {
        let engine = self.engine();
        if engine.registers_itself() && !self.hand_over_is_settled {
            return Effect::SettleHandOver;
        }
        let record = &self.journal.working;
        let is_new = record.phase == Phase::New;
        // Nothing was installed yet, and the engine may be another one since.
        let nothing = EngineRecord::default();
        let recorded = if is_new { &nothing } else { &record.engine };
        let key = engine.expected_key(&self.state_dir);
        Effect::GatherFacts(FactsWanted {
            engine: engine.wanted(recorded),
            key: key.filter(|_| is_new && !record.is_member()),
        })
    }

    fn discover(&mut self) -> Result<Option<Effect>, Fault> {
        let (facts, _) = self.facts.as_ref().ok_or_else(not_known)?;
        let question = self.plan.target.discover(facts, &self.answers);
        let was_asked = !self.answers.is_empty();
        let authority = match self.ask(question)? {
            Continue(authority) => authority,
            Break(effect) => return Ok(Some(effect)),
        };
        if was_asked {
            self.journal.step_done(StepKind::Authority, self.plan.target.authority_name());
        }
        self.authority = Some(authority);
        Ok(None)
    }

    fn hold(&mut self) -> Result<Option<Effect>, Fault> {
        let hold = self.engine().hold(&self.known()?);
        self.hold_is_done = hold.is_none();
        Ok(hold.map(Effect::Hold))
    }

    fn ensure_key(&mut self) -> Result<Option<Effect>, Fault> {
        let Some(spec) = self.engine().key(&self.known()?)? else {
            self.key = Key::NotNeeded;
            return Ok(None);
        };
        let must_stand = self.journal.working.former.is_some();
        Ok(Some(Effect::EnsureKey(Box::new(KeySpec { must_stand, ..spec }))))
    }

    /// Everything is known: the record gets to hold what the authority is asked with.
    fn create(&mut self, now: Now) -> Result<Option<Effect>, Fault> {
        let node = self.known()?;
        let creation = self.plan.target.create(&node, &self.mark(), now.unix)?;
        let is_registered =
            !self.journal.working.is_member() && self.plan.target.shows_registration(node.observed);
        let engine = EngineRecord::of(node.observed);
        let key = self.key.report().map(|key| super::KeyFingerprints::of(&key.public));
        let record = &mut self.journal.working;
        (record.engine, record.key) = (engine, key);
        record.name.clone_from(&self.name);
        record.authority.clone_from(&self.authority);
        match creation {
            Creation::Call(_) if is_registered => {
                // What the authority has is asked first, as after a call of our own.
                self.is_in_doubt = true;
                self.journal.enter(now, Phase::Creating);
                Ok(None)
            }
            Creation::Call(request) => {
                self.count_attempt();
                self.journal.enter(now, Phase::Creating);
                Ok(Some(Effect::Call(request)))
            }
            Creation::Given(grant) => {
                self.journal.enter(now, Phase::Installing { grant, planned: Vec::new() });
                Ok(None)
            }
        }
    }

    fn create_again(&mut self, now: Now) -> Result<Option<Effect>, Fault> {
        match self.plan.target.create(&self.known()?, &self.mark(), now.unix)? {
            Creation::Call(request) => Ok(Some(Effect::Call(request))),
            Creation::Given(_) => Err(invariant("there is nothing to create")),
        }
    }

    fn reconcile(&mut self, now: Now) -> Result<Option<Effect>, Fault> {
        let question = self.plan.target.reconcile(&self.known()?, &self.mark(), &self.answers);
        let reconciled = match self.ask(question)? {
            Continue(reconciled) => reconciled,
            Break(effect) => return Ok(Some(effect)),
        };
        self.is_in_doubt = false;
        match reconciled {
            Reconciled::CallAgain => {
                // A registration that an earlier grant left here went with that grant.
                let observed = self.observed()?;
                self.journal.working.engine = EngineRecord::of(observed);
                self.count_attempt();
            }
            Reconciled::Granted(grant) => {
                let result = "an earlier attempt had taken effect";
                self.journal.step_done(StepKind::Reconciled, result);
                self.granted(now, grant);
            }
        }
        Ok(None)
    }

    fn wait(&mut self, now: Now, ticket: &str) -> Result<Option<Effect>, Fault> {
        let question = self.plan.target.wait(&self.known()?, ticket, &self.answers, now.unix);
        if let Ok(Question::AskLater(_)) = &question {
            self.wait_longer(now)?;
        }
        match self.ask(question) {
            Ok(Break(effect)) => Ok(Some(effect)),
            Ok(Continue(Decision::Granted(grant))) => {
                self.granted(now, grant);
                Ok(None)
            }
            Ok(Continue(Decision::Forgotten)) => {
                self.journal.schedule.count_setback();
                self.journal.enter(now, Phase::Creating);
                Err(self.forgotten())
            }
            Err(fault) => {
                // The authority said no, and the ticket is spent: the next start asks anew.
                if fault.kind == Kind::Rejected {
                    self.journal.enter(now, Phase::New);
                }
                Err(fault)
            }
        }
    }

    fn wait_longer(&mut self, now: Now) -> Result<(), Fault> {
        if self.journal.schedule.is_spent(now) {
            self.answers.clear();
            let name = self.name.as_deref().unwrap_or("?");
            return Err(Fault::new(
                Kind::Transient,
                "the association is still in progress",
                format!("node {name}, {}", self.plan.target.authority_name()),
                "look into the server; the next join goes on waiting for the same association",
            ));
        }
        self.journal.schedule.poll_later(now, "the authority has not decided yet");
        Ok(())
    }

    fn install(&mut self, now: Now, grant: &Grant) -> Result<Option<Effect>, Fault> {
        let node = self.known()?;
        let engine = self.engine();
        let recorded = &self.journal.working.engine;
        if let Some(installed) = engine.installed_grant(node.observed, recorded, grant) {
            let files = self.journal.working.phase.planned().to_vec();
            self.installed(now, installed, files);
            return Ok(None);
        }
        match engine.install(&node, grant, self.secret.as_ref())? {
            Installation::Bundle(bundle) => {
                self.journal.plan(bundle.installed_files());
                Ok(Some(Effect::Install(bundle)))
            }
            Installation::HandOver(hand_over) => Ok(Some(Effect::HandOver(Box::new(hand_over)))),
            Installation::SecretLost => {
                let result =
                    "what came with the grant was lost with the last start; it is asked for anew";
                self.journal.step_done(StepKind::Secret, result);
                self.doubt_the_grant(now);
                Ok(None)
            }
        }
    }

    /// Takes one step of a question: its result, or the effect that brings the next answer.
    fn ask<T>(
        &mut self,
        question: Result<Question<T>, Fault>,
    ) -> Result<ControlFlow<Effect, T>, Fault> {
        match question {
            Ok(Question::Ask(request)) => Ok(Break(Effect::Call(request))),
            Ok(Question::AskLater(request)) => {
                self.answers.pop();
                Ok(Break(Effect::Call(request)))
            }
            Ok(Question::Sign(bytes)) => {
                let spec = self.engine().key(&self.known()?)?;
                let spec = spec.ok_or_else(|| invariant("there is no key to sign with"))?;
                Ok(Break(Effect::Sign(Box::new(spec), bytes)))
            }
            Ok(Question::Done(result)) => {
                self.answers.clear();
                Ok(Continue(result))
            }
            Err(fault) => {
                self.answers.clear();
                Err(fault)
            }
        }
    }

    pub(super) fn granted(&mut self, now: Now, grant: Grant) {
        self.journal.step_done(StepKind::Granted, grant.describe());
        self.journal.enter(now, Phase::Installing { grant, planned: Vec::new() });
    }
}

impl Bootstrap {
    fn known(&self) -> Result<NodeContext<'_>, Fault> {
        self.node().ok_or_else(not_known)
    }

    fn observed(&self) -> Result<&Observed, Fault> {
        self.facts.as_ref().map(|(_, observed)| observed).ok_or_else(not_known)
    }

    fn forgotten(&self) -> Fault {
        Fault::new(
            Kind::Transient,
            "the authority no longer knows the association that it gave us a token for",
            self.plan.target.authority_name(),
            "nothing: it is asked anew, with the same key",
        )
    }
}

fn not_known() -> Fault {
    invariant("what is known of the node is not enough for this step")
}
