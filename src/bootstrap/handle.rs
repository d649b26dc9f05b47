//! Handles the events of a bootstrap.

use super::leave::other_machines_record;
use super::{
    Bootstrap, Event, Key, KeyFingerprints, Now, Outcome, Phase, PhaseName, Record, StepKind,
};
use crate::engines::{EngineRecord, Grant, Installed, KeyReport, Observed};
use crate::facts::Facts;
use crate::fault::{Fault, Kind};
use crate::targets::name::default_name;
use crate::targets::{Answer, Created, invariant};

impl Bootstrap {
    pub(super) fn apply_event(&mut self, now: Now, event: Event) -> Result<(), Fault> {
        match event {
            Event::HandOverSettled => self.hand_over_is_settled = true,
            Event::Facts(facts, observed) => self.take_facts(now, *facts, *observed)?,
            Event::IsAside => self.start_over(now),
            Event::Cleared => self.end.is_tidy = true,
            Event::Held => self.needs_hold = false,
            Event::Key(key) => self.take_key(*key)?,
            Event::Signed(signature) => self.answers.push(Answer::Signature(signature)),
            Event::Answered(answer) => self.answered(now, answer)?,
            Event::Installed(files) if self.repairs_former() => self.former_repaired(files),
            Event::Installed(files) => {
                if let Some(grant) = self.journal.working.phase.grant().cloned() {
                    self.installed(now, grant, files);
                }
            }
            Event::HandedOver(id) => {
                if let Some(grant) = self.journal.working.phase.grant().cloned() {
                    self.installed(now, grant.registered(id), Vec::new());
                }
            }
            Event::Failed(fault) => return Err(fault),
            other => return Err(invariant(&format!("unexpected event {other:?}"))),
        }
        Ok(())
    }

    fn take_facts(&mut self, now: Now, facts: Facts, observed: Observed) -> Result<(), Fault> {
        if let Some(difference) = self.journal.working.other_machine(&facts.machine()) {
            if self.maintenance.is_of_member {
                let todo = format!(
                    "run `enlist join --target {}`, which moves that record and its key to the backups and joins this machine",
                    self.plan.target.id()
                );
                return Err(other_machines_record(&*self.plan.target, &difference, &todo));
            }
            let result = format!(
                "the record belongs to another machine (this disk was copied: {difference}); moving it and its key to the backups"
            );
            self.journal.step_done(StepKind::Clone, result);
            self.other_machines_files = Some(self.journal.working.identity_files());
            return Ok(());
        }
        if let Some(fault) = self.unfit_record() {
            self.journal.end(Outcome::Failed(fault));
            return Ok(());
        }
        let observed = self.observed_before.take().unwrap_or(observed);
        self.journal.working.bind(facts.machine());
        self.begin_maintenance(now);
        // The name can't change once the authority was asked to accept it.
        if self.journal.working.phase == Phase::New {
            let name = self.name_of(&facts)?;
            self.plan.target.check(&facts, &name)?;
            self.engine().check(&observed, &name)?;
            self.journal.step_done_once(StepKind::Facts, describe(&facts, &name));
            self.name = Some(name);
            // Recorded now, so that `leave` finds the file that holds the engine.
            self.journal.working.engine = EngineRecord::of(&observed);
        }
        self.facts = Some((facts, observed));
        Ok(())
    }

    /// Why the record can't be used, if it turns out to be this machine's.
    pub(super) fn unfit_record(&self) -> Option<Fault> {
        super::unfit(&self.journal.working, &self.plan.target.authority_name())
    }

    fn name_of(&self, facts: &Facts) -> Result<String, Fault> {
        let record = &self.journal.working;
        match (&record.name, &self.plan.name) {
            // A member keeps its name.
            (Some(name), _) if record.is_member() => Ok(name.clone()),
            (_, Some(template)) => template.render(facts),
            (_, None) => default_name(facts),
        }
    }

    /// Begins with a new record, now that the other machine's files are out of the way.
    fn start_over(&mut self, now: Now) {
        let authority = self.plan.target.authority_name();
        self.journal.start_over(Record::new(self.plan.target.id(), &authority, now.unix));
        self.name = None;
        self.authority = None;
        self.calls.is_in_doubt = false;
        self.calls.were_refused = true;
        self.answers.clear();
        self.other_machines_files = None;
    }

    fn take_key(&mut self, key: KeyReport) -> Result<(), Fault> {
        let fingerprint = KeyFingerprints::of(&key.public).sha256;
        let record = &self.journal.working;
        if let Some(recorded) = record.key.as_ref().map(|key| &key.sha256)
            && *recorded != fingerprint
            && (record.phase != Phase::New || record.is_member())
            && !self.takes_key()
        {
            return Err(Fault::new(
                Kind::Data,
                "the private key on disk is not the one that the authority was asked with",
                format!("SHA-256 {fingerprint} on disk, {recorded} in the record"),
                format!(
                    "restore the former key; for a new membership, `enlist leave --force --target {0} && enlist join --target {0}`",
                    record.target
                ),
            ));
        }
        let result = format!("RSA {} bits, SHA-256 {fingerprint}", key.public.bits());
        self.journal.step_done(StepKind::Key, result);
        self.key = Key::Known(key);
        Ok(())
    }

    /// Handles the answer to the creating call. Any other answer is kept for the target's question.
    fn answered(&mut self, now: Now, answer: Answer) -> Result<(), Fault> {
        if self.journal.working.phase.name() != PhaseName::Creating || self.calls.is_in_doubt {
            self.answers.push(answer);
            return Ok(());
        }
        let created = self.plan.target.created(&self.node()?, &answer, now.unix)?;
        self.journal.working.refusal = None;
        match created {
            Created::Ticket(ticket) => {
                self.journal.step_done(
                    StepKind::Association,
                    "the authority was asked to accept this node",
                );
                self.await_decision(now, ticket);
            }
            Created::Granted(grant, secret) => {
                self.secret = secret;
                self.granted(now, grant);
            }
        }
        Ok(())
    }

    pub(super) fn installed(&mut self, now: Now, grant: Grant, files: Vec<Installed>) {
        let record = &self.journal.working;
        let applied_since = self.applies_settings().then(|| record.current_since());
        let joined_since = applied_since.or_else(|| record.repaired_since());
        let kept = record.fault.clone().filter(|fault| fault.is_of_renewal);
        let kept = kept.filter(|_| record.repaired_since().is_some());
        self.keep_settings();
        self.journal.enter(now, Phase::Joined { grant });
        let record = &mut self.journal.working;
        record.fault = kept;
        record.installed = files;
        record.planned.clear();
        // A renewal has installed another key in its place.
        record.key_was_there &= record.former_key().is_none();
        record.former = None;
        record.since = joined_since.unwrap_or(now.unix);
        self.journal.step_done(StepKind::Install, "all files are installed");
        self.secret = None;
        self.end.is_new = true;
    }
}

fn describe(facts: &Facts, name: &str) -> String {
    match &facts.ec2 {
        Some(ec2) => {
            let zone = ec2.zone.as_deref().unwrap_or("?");
            format!("{name}, EC2 instance {} in {zone}", ec2.instance_id)
        }
        None => format!("{name}, not an EC2 instance"),
    }
}
