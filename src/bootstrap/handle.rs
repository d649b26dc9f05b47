//! What an event means for a bootstrap.

use std::time::Duration;

use super::{Bootstrap, Event, FaultNote, Installed, Now, Outcome, Phase, Record, Step, Waiting};
use super::{backoff, invariant};
use crate::facts::Facts;
use crate::fault::{Fault, Kind};
use crate::target::name::default_name;
use crate::target::{Answer, KeyReport, Known, Survey, Surveyed, Watched};

impl Bootstrap {
    /// Takes in what became of the effect that [`Bootstrap::poll`] last returned.
    pub fn handle(&mut self, now: Now, event: Event) {
        match event {
            Event::Woke => {}
            Event::Persisted => self.durable = Some(self.working.clone()),
            Event::Failed(fault) if self.owes_persist() => {
                self.store_is_broken = true;
                self.outcome = Some(Outcome::Failed(fault));
            }
            Event::Kept => self.evidence = None,
            // Evidence that can't be kept must not hide the fault it belongs to.
            Event::Failed(_) if self.evidence.is_some() => self.evidence = None,
            event => {
                self.wait = None;
                match self.take(now, event) {
                    Ok(()) => self.failures = 0,
                    Err(fault) => self.fail(now, fault),
                }
            }
        }
    }

    fn take(&mut self, now: Now, event: Event) -> Result<(), Fault> {
        match event {
            Event::Facts(facts) => self.learn(*facts)?,
            Event::IsAside => self.begin_anew(now),
            Event::Held => self.is_held = true,
            Event::Key(key) => self.take_key(now, key)?,
            Event::Installed(files) => self.installed(now, files),
            Event::Answered(answer) => self.answered(now, answer)?,
            Event::Failed(fault) => return Err(fault),
            Event::Persisted | Event::Woke | Event::Kept => {}
        }
        Ok(())
    }

    fn learn(&mut self, facts: Facts) -> Result<(), Fault> {
        let bound = self.working.machine.as_ref();
        if bound.is_some_and(|bound| !bound.is_same(&facts.machine())) {
            let result =
                "the record is another machine's (a copied disk): it and its key are set aside";
            self.step_done("clone", result.to_owned());
            self.aside = Some(self.working.identity_files());
            return Ok(());
        }
        // Once we have asked under a name, it stays.
        if self.working.phase == Phase::New {
            let name = match &self.plan.name {
                Some(template) => template.render(&facts)?,
                None => default_name(&facts),
            };
            self.plan.target.check_name(&name)?;
            self.step_done("facts", describe(&facts, &name));
            self.name = Some(name);
            if let Survey::Pinned(authority) = self.plan.target.survey() {
                self.authority = Some(authority);
            }
        }
        self.facts = Some(facts);
        Ok(())
    }

    fn begin_anew(&mut self, now: Now) {
        let authority = self.plan.target.authority_name();
        self.working = Record::new(self.plan.target.word(), &authority, now.unix);
        // The host has moved the old record away: nothing is on disk.
        self.durable = Some(self.working.clone());
        self.name = None;
        self.authority = None;
        self.aside = None;
    }

    fn take_key(&mut self, now: Now, key: KeyReport) -> Result<(), Fault> {
        let fingerprint = key.public.fingerprint();
        if let Some(recorded) = &self.working.key
            && *recorded != fingerprint
            && self.working.phase != Phase::New
        {
            return Err(Fault::new(
                Kind::Data,
                "the key on disk is not the one that this node asked with",
                format!("SHA-256 {fingerprint}, and the record says {recorded}"),
                "put the former key back, or move the record away to join anew with this one",
            ));
        }
        self.step_done("key", format!("RSA {} bits, SHA-256 {fingerprint}", key.public.bits()));
        if self.working.phase == Phase::New {
            self.working.name = self.name.clone();
            self.working.machine = self.facts.as_ref().map(Facts::machine);
            self.working.puppet = self.facts.as_ref().and_then(|facts| facts.puppet.clone());
            self.working.key = Some(fingerprint);
            self.working.authority = self.authority.clone();
            self.working.attempts += 1;
            self.enter(now, Phase::Creating);
        }
        self.key = Some(key);
        Ok(())
    }

    fn installed(&mut self, now: Now, files: Vec<Installed>) {
        self.working.installed = files;
        self.working.fault = None;
        self.enter(now, Phase::Joined);
        self.step_done("install", "everything is in place".to_owned());
        self.outcome = Some(self.joined(false));
    }

    fn answered(&mut self, now: Now, answer: Answer) -> Result<(), Fault> {
        match self.working.phase {
            Phase::New => self.surveyed(answer),
            Phase::Creating => {
                let ticket = self.plan.target.created(answer)?;
                self.step_done("association", "asked to be accepted".to_owned());
                self.working.ticket = Some(ticket);
                self.enter(now, Phase::Watching);
                self.asked = 0;
                Ok(())
            }
            Phase::Watching => self.watched(now, answer),
            Phase::Installing | Phase::Joined => {
                Err(invariant("an answer came when nothing was asked"))
            }
        }
    }

    fn surveyed(&mut self, answer: Answer) -> Result<(), Fault> {
        match self.plan.target.surveyed(answer)? {
            Surveyed::Ready(authority) => {
                self.step_done(
                    "authority",
                    format!("{} at {}", self.plan.target.authority_name(), authority.endpoint),
                );
                self.authority = Some(authority);
                Ok(())
            }
            Surveyed::NotYet(doing) => Err(Fault::new(
                Kind::Transient,
                doing,
                self.plan.target.authority_name(),
                "wait, or look into the server's state",
            )),
        }
    }

    fn watched(&mut self, now: Now, answer: Answer) -> Result<(), Fault> {
        let (Some(facts), Some(name), Some(authority), Some(key)) =
            (&self.facts, &self.name, &self.authority, &self.key)
        else {
            return Err(invariant("an answer came before its question"));
        };
        let known = Known { facts, name, authority };
        match self.plan.target.watched(&known, key, answer, now.unix) {
            Ok(Watched::Pending) => self.keep_watching(now),
            Ok(Watched::Granted(grant)) => {
                let result = format!(
                    "serial {}, for our key and name, signed by the authority's CA",
                    grant.serial
                );
                self.step_done("certificate", result);
                self.working.grant = Some(grant);
                self.enter(now, Phase::Installing);
                Ok(())
            }
            Ok(Watched::Forgotten) => {
                self.forgotten += 1;
                self.ask_anew(now, Phase::Creating);
                Err(Fault::new(
                    Kind::Transient,
                    "the authority no longer knows the association that it gave us a token for",
                    self.plan.target.authority_name(),
                    "nothing: it is asked anew, with the same key",
                ))
            }
            Err(fault) => {
                // It said no: the ticket is spent. Whoever starts us again asks anew.
                if fault.kind == Kind::Rejected {
                    self.ask_anew(now, Phase::New);
                }
                Err(fault)
            }
        }
    }

    fn ask_anew(&mut self, now: Now, phase: Phase) {
        self.working.ticket = None;
        self.enter(now, phase);
    }

    /// Waits out what can pass, and stops at what can't.
    fn fail(&mut self, now: Now, fault: Fault) {
        self.failures += 1;
        // A creating call that is made again is an attempt more, written ahead like the first.
        self.working.attempts += u32::from(self.working.phase == Phase::Creating);
        let spent = self.elapsed(now);
        let wait = backoff::retry(self.seed, self.failures + self.forgotten);
        let is_final = !fault.kind.is_retried() || spent >= self.plan.budget;
        self.note(now, &fault, is_final);
        if is_final {
            self.evidence.clone_from(&fault.evidence);
            self.outcome = Some(Outcome::Failed(self.given_up(fault)));
            return;
        }
        // The last try comes when the budget ends, not after it.
        let wait = wait.min(self.plan.budget.saturating_sub(spent));
        self.wait =
            Some(Waiting { reason: fault.to_string(), until: now.mono + wait, is_fault: true });
    }

    fn keep_watching(&mut self, now: Now) -> Result<(), Fault> {
        self.asked += 1;
        let wait = backoff::watch(self.seed, self.asked);
        let spent = self.elapsed(now);
        if spent >= self.plan.budget {
            return Err(Fault::new(
                Kind::Transient,
                "the association is still in progress",
                format!(
                    "node {}, {}",
                    self.name.as_deref().unwrap_or("?"),
                    self.plan.target.authority_name()
                ),
                "look into the server; the next join goes on waiting for the same association",
            ));
        }
        self.wait = Some(Waiting {
            reason: "the authority has not decided yet".to_owned(),
            until: now.mono + wait.min(self.plan.budget.saturating_sub(spent)),
            is_fault: false,
        });
        Ok(())
    }

    fn given_up(&self, fault: Fault) -> Fault {
        if !fault.kind.is_retried() {
            return fault;
        }
        let budget = format!("gave up: the budget of {} s is spent", self.plan.budget.as_secs());
        fault.cause(budget)
    }

    fn note(&mut self, now: Now, fault: &Fault, is_final: bool) {
        self.working.fault = Some(FaultNote::of(fault, now.unix, self.failures, is_final));
        self.working.elapsed_ms = millis(self.elapsed(now));
    }

    fn enter(&mut self, now: Now, phase: Phase) {
        self.working.phase = phase;
        self.working.since = now.unix;
        self.working.elapsed_ms = millis(self.elapsed(now));
    }

    /// Spent of the budget: what the record says when we started, and since.
    fn elapsed(&self, now: Now) -> Duration {
        self.spent_before + now.mono.saturating_sub(self.started)
    }

    fn step_done(&mut self, word: &'static str, result: String) {
        self.steps.push(Step { word, result });
    }
}

fn describe(facts: &Facts, name: &str) -> String {
    match &facts.ec2 {
        Some(ec2) => format!(
            "{name}, EC2 instance {} in {}",
            ec2.instance_id,
            ec2.zone.as_deref().unwrap_or("?")
        ),
        None => format!("{name}, no EC2 instance"),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
