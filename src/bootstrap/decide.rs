//! Decides the next effect of a bootstrap, from its phase and from what is known so far.

use std::ops::ControlFlow::{self, Break, Continue};

use super::journal::Journal;
use super::steps::Steps;
use super::{
    Bootstrap, Changes, Effect, Event, Fault, Key, Now, Outcome, Phase, PhaseName, Request,
    Signing, StepKind,
};
use crate::engines::{Bundle, EngineRecord, FactsWanted, Grant, Installation, KeySpec, Proof};
use crate::targets::{Creation, Question, Reconciled, ToSign, invariant};

impl Steps for Bootstrap {
    fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    fn apply(&mut self, now: Now, event: Event) -> Result<(), Fault> {
        self.apply_event(now, event)
    }

    fn next_effect(&mut self, now: Now) -> Result<Option<Effect>, Fault> {
        if let Some(files) = &self.other_machines_files {
            return Ok(Some(Effect::SetAside(files.clone())));
        }
        if self.facts.is_none() {
            return Ok(Some(self.gather()));
        }
        if let Some(fault) = self.wrong_way() {
            self.journal.end(Outcome::Failed(fault));
            return Ok(None);
        }
        if matches!(self.journal.working.phase, Phase::Joined { .. }) {
            return Ok(Some(self.tidy_up()));
        }
        self.doubt_lists_of_earlier_start();
        if self.authority.is_none() {
            if self.changes == Changes::Unreached {
                return self.authority_offline();
            }
            let is_asked = self.by_hand.is_none();
            return if is_asked { self.discover(now) } else { self.authority_by_hand() };
        }
        if self.needs_hold && !self.only_requests() {
            return self.hold();
        }
        if self.repairs_former() {
            return self.repair_former();
        }
        let is_asking = self.asks_with_request();
        if is_asking && !self.request.can_be_sent(now) {
            self.key = Key::Unknown;
        }
        if let Key::Unknown = self.key {
            return self.ensure_key(is_asking, now);
        }
        match (self.journal.working.phase.clone(), self.by_hand.clone()) {
            (Phase::Installing { .. }, _)
                if self.applies_settings() && self.changes != Changes::Told =>
            {
                self.tell_changes(now)
            }
            (Phase::Installing { grant, .. }, _) => self.install(now, &grant),
            (_, Some(way)) => self.go_by_hand(now, &way),
            (Phase::New, None) => self.create(now),
            (Phase::Creating, None) if self.calls.is_in_doubt => self.reconcile(now),
            (Phase::Creating, None) => self.create_again(now),
            (Phase::Watching { ticket }, None) => self.wait(now, &ticket),
            (Phase::Requested | Phase::Joined { .. } | Phase::Leaving { .. }, None) => {
                Err(invariant("this phase has no next effect"))
            }
        }
    }

    fn fail(&mut self, now: Now, fault: Fault) {
        self.take_fault(now, fault);
    }
}

impl Bootstrap {
    /// Removes what the join has used up, then ends.
    fn tidy_up(&self) -> Effect {
        match self.plan.target.after_join().filter(|_| !self.end.is_tidy) {
            Some(bundle) => Effect::Clear(bundle),
            None => Effect::Finish(self.joined(!self.end.is_new)),
        }
    }

    fn gather(&self) -> Effect {
        let engine = self.engine();
        if engine.registers_itself() && !self.hand_over_is_settled && self.unfit_record().is_none()
        {
            return Effect::SettleHandOver;
        }
        if self.observed_before.is_some() {
            return Effect::GatherFacts(FactsWanted::default());
        }
        let record = &self.journal.working;
        let is_new = record.phase == Phase::New;
        // Nothing is installed yet. The engine may have been exchanged since the last start.
        let nothing = EngineRecord::default();
        let recorded = if is_new { &nothing } else { &record.engine };
        let early_key = engine.early_key(&self.state_dir);
        Effect::GatherFacts(FactsWanted {
            engine: engine.wanted(recorded),
            early_key: early_key.filter(|_| is_new && !record.is_member() && !self.takes_key()),
        })
    }

    fn discover(&mut self, now: Now) -> Result<Option<Effect>, Fault> {
        let (facts, _) = self.facts.as_ref().ok_or_else(super::not_gathered)?;
        let target = &self.plan.target;
        let former = self.journal.working.former.as_ref();
        let known = former.and_then(|former| former.authority.as_ref());
        let question = match known.or(self.outdated.as_ref()) {
            Some(known) => target.rediscover(facts, known, &self.answers),
            None => target.discover(facts, &self.answers),
        };
        let has_asked = !self.answers.is_empty();
        let authority = match self.ask(question)? {
            Continue(authority) => authority,
            Break(effect) => return Ok(Some(effect)),
        };
        let warnings = self.plan.target.check_authority(&authority, self.observed()?, now.unix)?;
        if has_asked {
            self.journal.step_done(StepKind::Authority, self.plan.target.authority_name());
        }
        for warning in warnings {
            self.journal.step_done(StepKind::Warning, warning);
        }
        if self.applies_settings() {
            self.check_change(&authority, now)?;
        }
        // In phase New, the record gets it when the authority is first asked to accept the node.
        if self.journal.working.phase != Phase::New {
            self.journal.working.authority = Some(authority.clone());
        }
        self.authority = Some(authority);
        self.authority_since = Some(now.mono);
        self.outdated = None;
        Ok(None)
    }

    fn hold(&mut self) -> Result<Option<Effect>, Fault> {
        let hold = self.engine().hold(&self.node()?);
        self.needs_hold = hold.is_some();
        // A member's agent has its key, and is not stopped.
        let record = &self.journal.working;
        let is_repair = record.is_member() || record.repaired_since().is_some();
        let hold = if is_repair { hold.map(Bundle::without_unit) } else { hold };
        Ok(hold.map(Effect::Hold))
    }

    /// Whether the next creating call sends the certificate request. Until then its challenge password is
    /// not read: it may be gone once it was used. Nor is its proof made, which is good for some minutes.
    fn asks_with_request(&self) -> bool {
        let record = &self.journal.working;
        match self.by_hand {
            Some(_) => self.only_requests(),
            None => {
                matches!(record.phase.name(), PhaseName::New | PhaseName::Creating)
                    && !self.calls.is_in_doubt
                    && record.former.is_none()
            }
        }
    }

    fn ensure_key(&mut self, is_asking: bool, now: Now) -> Result<Option<Effect>, Fault> {
        let Some(spec) = self.engine().key(&self.node()?)? else {
            self.key = Key::NotNeeded;
            self.request = Request::Whole(None);
            return Ok(None);
        };
        self.check_brought(now)?;
        let if_missing = self.way_without_key();
        let is_plain = spec.challenge_password.is_none() && spec.proof == Proof::None;
        self.request = if is_asking || is_plain {
            Request::Whole(spec.proof.fresh_for().map(|time| now.mono.saturating_add(time)))
        } else {
            Request::Partial
        };
        let challenge_password = spec.challenge_password.clone().filter(|_| is_asking);
        let proof = if is_asking { spec.proof } else { Proof::None };
        let spec = KeySpec { challenge_password, proof, if_missing, ..spec };
        Ok(Some(Effect::EnsureKey(Box::new(self.key_by_hand(spec)))))
    }

    /// What a person does where the key is lost that the authority was asked with. None: a new one may be made.
    fn way_without_key(&self) -> Option<String> {
        let record = &self.journal.working;
        let is_fixed = match &record.former {
            Some(_) => record.former_key().is_none(),
            None => record.phase != Phase::New && record.key.is_some(),
        };
        let (id, phase) = (&record.target, record.phase.name());
        is_fixed.then(|| match phase {
            PhaseName::Requested => super::new_request(id),
            _ => format!("`enlist leave --target {id} && enlist join --target {id}`"),
        })
    }

    /// Decides the creating call.
    fn create(&mut self, now: Now) -> Result<Option<Effect>, Fault> {
        let node = self.node()?;
        match self.plan.target.create(&node, &self.mark(), &self.answers, now.unix)? {
            Creation::Sign(to_sign) => self.sign(to_sign).map(Some),
            Creation::Call(_) if self.plan.target.shows_registration(node.observed) => {
                // The node is registered already, and no record says by whom: reconcile first.
                self.record_request()?;
                self.calls.is_in_doubt = true;
                self.journal.enter(now, Phase::Creating);
                Ok(None)
            }
            Creation::Call(request) => {
                self.record_request()?;
                self.count_attempt();
                self.journal.enter(now, Phase::Creating);
                Ok(Some(Effect::Call(request)))
            }
            Creation::Given(grant) => {
                self.record_request()?;
                self.journal.enter(now, Phase::Installing { grant });
                Ok(None)
            }
        }
    }

    /// Records what the authority is asked with.
    fn record_request(&mut self) -> Result<(), Fault> {
        self.answers.clear();
        self.note_node()?;
        self.journal.working.authority.clone_from(&self.authority);
        Ok(())
    }

    fn create_again(&mut self, now: Now) -> Result<Option<Effect>, Fault> {
        let node = self.node()?;
        match self.plan.target.create(&node, &self.mark(), &self.answers, now.unix)? {
            Creation::Call(request) => {
                self.answers.clear();
                Ok(Some(Effect::Call(request)))
            }
            Creation::Sign(to_sign) => self.sign(to_sign).map(Some),
            Creation::Given(_) => Err(invariant("this target has no creating call")),
        }
    }

    fn reconcile(&mut self, now: Now) -> Result<Option<Effect>, Fault> {
        let node = self.node()?;
        let question = self.plan.target.reconcile(&node, &self.mark(), &self.answers, now.unix);
        let reconciled = match self.ask(question)? {
            Continue(reconciled) => reconciled,
            Break(effect) => return Ok(Some(effect)),
        };
        self.calls.is_in_doubt = false;
        match reconciled {
            Reconciled::CallAgain => {
                // Looking succeeds each time, and must not make the pauses between the calls short again.
                self.journal.schedule.count_setback();
                // The earlier grant is gone, and with it any registration that it left here.
                let observed = self.observed()?;
                self.journal.working.engine = EngineRecord::of(observed);
                self.count_attempt();
            }
            Reconciled::Granted(grant) => {
                let result = "an earlier call had taken effect";
                self.journal.step_done(StepKind::Reconciled, result);
                self.granted(now, grant);
            }
            Reconciled::Pending(ticket) => {
                self.journal.step_done(StepKind::Reconciled, "the authority has our request");
                self.await_decision(now, ticket);
            }
        }
        Ok(None)
    }

    fn install(&mut self, now: Now, grant: &Grant) -> Result<Option<Effect>, Fault> {
        let node = self.node()?;
        let engine = self.engine();
        let recorded = &self.journal.working.engine;
        if let Some(installed) = engine.installed_grant(node.observed, recorded, grant) {
            let files = self.journal.working.planned.clone();
            self.installed(now, installed, files);
            return Ok(None);
        }
        match engine.install(&node, grant, self.secret.as_ref())? {
            Installation::Bundle(mut bundle) => {
                bundle.remove_outdated(&self.journal.working.installed);
                self.journal.working.planned = bundle.installed_files();
                Ok(Some(Effect::Install(bundle)))
            }
            Installation::HandOver(hand_over) => Ok(Some(Effect::HandOver(Box::new(hand_over)))),
            Installation::SecretLost => {
                let result = "the secret of the last start's grant is lost; asking for a new grant";
                self.journal.step_done(StepKind::Secret, result);
                self.replace_grant(now);
                Ok(None)
            }
        }
    }

    /// The result of the target's question, or the effect that gets its next answer.
    pub(super) fn ask<T>(
        &mut self,
        question: Result<Question<T>, Fault>,
    ) -> Result<ControlFlow<Effect, T>, Fault> {
        match question {
            Ok(Question::Ask(request)) => {
                if request.call().creates() {
                    self.count_attempt();
                }
                Ok(Break(Effect::Call(request)))
            }
            Ok(Question::AskLater(request)) => {
                self.answers.pop();
                Ok(Break(Effect::Call(request)))
            }
            Ok(Question::Sign(to_sign)) => self.sign(to_sign).map(Break),
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

    fn sign(&self, to_sign: ToSign) -> Result<Effect, Fault> {
        let known = self.key.report().map(|key| key.public.fingerprint());
        Signing::of(to_sign, self.engine(), &self.node()?, known).map(Effect::sign)
    }
}
