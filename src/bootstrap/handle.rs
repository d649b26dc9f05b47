//! What an event means for a bootstrap.

use super::{Bootstrap, Event, Key, KeyFingerprints, Now, Phase, PhaseName, Record, StepKind};
use crate::engines::{EngineRecord, Grant, Installed, KeyReport, Observed};
use crate::facts::Facts;
use crate::fault::{Fault, Kind};
use crate::targets::name::default_name;
use crate::targets::{Answer, Created, invariant};

impl Bootstrap {
    pub(super) fn take_in(&mut self, now: Now, event: Event) {
        let had_ended = self.journal.has_ended();
        let event = self.journal.absorb(now, event);
        let is_of_decided = event.is_some();
        let mut is_well = true;
        if let Some(event) = event {
            self.decided = None;
            if let Err(fault) = self.take(now, event) {
                is_well = false;
                self.fail(now, fault);
            }
        }
        is_well &= self.decide(now);
        if is_of_decided && is_well {
            self.journal.schedule.succeeded();
        }
        if self.journal.has_ended() && !had_ended {
            let release = self.release();
            self.journal.release_before_end(release);
        }
    }

    fn take(&mut self, now: Now, event: Event) -> Result<(), Fault> {
        match event {
            Event::HandOverSettled => self.hand_over_is_settled = true,
            Event::Facts(facts, observed) => self.learn(now, *facts, *observed)?,
            Event::IsAside => self.begin_anew(now),
            Event::Held => self.hold_is_done = true,
            Event::Key(key) => self.take_key(*key)?,
            Event::Signed(signature) => self.answers.push(Answer::Signature(signature)),
            Event::Answered(answer) => self.answered(now, answer)?,
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
            other => return Err(invariant(&format!("nobody asked for {other:?}"))),
        }
        Ok(())
    }

    fn learn(&mut self, now: Now, facts: Facts, observed: Observed) -> Result<(), Fault> {
        if let Some(difference) = self.journal.working.other_machine(&facts.machine()) {
            let result = format!(
                "the record is another machine's (a copied disk: {difference}): it and its key are moved to the backups"
            );
            self.journal.step_done(StepKind::Clone, result);
            self.other_machines_files = Some(self.journal.working.identity_files());
            return Ok(());
        }
        self.journal.working.bind(facts.machine());
        self.begin_maintenance(now);
        // Once the authority was asked under a name, that name stays.
        if self.journal.working.phase == Phase::New {
            let name = self.name_of(&facts)?;
            self.plan.target.check(&facts, &name)?;
            self.engine().check(&observed, &name)?;
            self.journal.step_done(StepKind::Facts, describe(&facts, &name));
            self.name = Some(name);
            // `leave` has to find what keeps the engine from running.
            self.journal.working.engine = EngineRecord::of(&observed);
        }
        self.facts = Some((facts, observed));
        Ok(())
    }

    fn name_of(&self, facts: &Facts) -> Result<String, Fault> {
        let record = &self.journal.working;
        match (&record.name, &self.plan.name) {
            // A member's name stays.
            (Some(name), _) if record.is_member() => Ok(name.clone()),
            (_, Some(template)) => template.render(facts),
            (_, None) => default_name(facts),
        }
    }

    fn begin_anew(&mut self, now: Now) {
        let authority = self.plan.target.authority_name();
        self.journal.start_over(Record::new(self.plan.target.id(), &authority, now.unix));
        self.name = None;
        self.authority = None;
        self.is_in_doubt = false;
        self.answers.clear();
        self.other_machines_files = None;
    }

    fn take_key(&mut self, key: KeyReport) -> Result<(), Fault> {
        let fingerprint = KeyFingerprints::of(&key.public).sha256;
        let record = &self.journal.working;
        if let Some(recorded) = record.key.as_ref().map(|key| &key.sha256)
            && *recorded != fingerprint
            && (record.phase != Phase::New || record.is_member())
        {
            return Err(Fault::new(
                Kind::Data,
                "the key on disk is not the one that this node asked with",
                format!("SHA-256 {fingerprint}, and the record says {recorded}"),
                "put the former key back, or move the record away to join anew with this one",
            ));
        }
        let result = format!("RSA {} bits, SHA-256 {fingerprint}", key.public.bits());
        self.journal.step_done(StepKind::Key, result);
        self.key = Key::Known(key);
        Ok(())
    }

    /// The answer to the creating call; any other one belongs to the question that is being asked.
    fn answered(&mut self, now: Now, answer: Answer) -> Result<(), Fault> {
        if self.journal.working.phase.name() != PhaseName::Creating || self.is_in_doubt {
            self.answers.push(answer);
            return Ok(());
        }
        match self.plan.target.created(&answer)? {
            Created::Ticket(ticket) => {
                self.journal.step_done(StepKind::Association, "asked to be accepted");
                self.journal.enter(now, Phase::Watching { ticket });
                self.journal
                    .schedule
                    .begin_polling(now, "the authority is busy and gets time to decide");
            }
            Created::Granted(grant, secret) => {
                self.secret = secret;
                self.granted(now, grant);
            }
        }
        Ok(())
    }

    pub(super) fn installed(&mut self, now: Now, grant: Grant, files: Vec<Installed>) {
        let joined_since = self.journal.working.repaired_since();
        self.journal.enter(now, Phase::Joined { grant });
        let record = &mut self.journal.working;
        record.installed = files;
        record.former = None;
        record.since = joined_since.unwrap_or(now.unix);
        self.journal.step_done(StepKind::Install, "everything is installed");
        self.secret = None;
        let outcome = self.joined(false);
        if !self.journal.has_ended() {
            self.journal.end(outcome);
        }
    }
}

fn describe(facts: &Facts, name: &str) -> String {
    match &facts.ec2 {
        Some(ec2) => {
            let zone = ec2.zone.as_deref().unwrap_or("?");
            format!("{name}, EC2 instance {} in {zone}", ec2.instance_id)
        }
        None => format!("{name}, no EC2 instance"),
    }
}
